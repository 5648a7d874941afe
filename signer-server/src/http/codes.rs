//! Codes made for an organisation's documents, many in one call.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::post};
use signer_core::wire::{MadeCodes, MakeCodes, ProblemCode};
use tracing::Instrument as _;

use super::{
    auth::{Generator, StrictJson},
    problem::ApiProblem,
};
use crate::service::Service;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/codes", post(make))
}

async fn make(
    State(service): State<Arc<Service>>,
    Generator(organisation): Generator,
    StrictJson(asked, turn): StrictJson<MakeCodes>,
) -> Result<Json<MadeCodes>, ApiProblem> {
    // A task of its own: a caller that hangs up leaves no place taken, and frees its turn no earlier.
    let work = async move {
        let made = service.make_codes(organisation, &asked).await;
        drop(turn);
        made
    };
    let made = tokio::spawn(work.instrument(tracing::Span::current())).await;
    Ok(Json(made.map_err(|_| ProblemCode::Internal)??))
}
