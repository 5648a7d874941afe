//! Codes made for an organisation's documents, many in one call.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::post};
use signer_core::wire::{MadeCodes, MakeCodes};

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
    StrictJson(asked, _turn): StrictJson<MakeCodes>,
) -> Result<Json<MadeCodes>, ApiProblem> {
    Ok(Json(service.make_codes(organisation, &asked).await?))
}
