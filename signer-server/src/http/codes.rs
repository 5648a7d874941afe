//! Codes made for an organisation's documents, many in one call.

use std::sync::Arc;

use axum::{Json, extract::State};
use signer_core::wire::{MadeCodes, MakeCodes};

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Generator, StrictJson},
    problem::ApiProblem,
};
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(make))
}

/// Makes a code for each of an organisation's documents, for one step.
#[utoipa::path(
    post, path = "/v1/codes", operation_id = "make_codes", tag = "Codes",
    security(("relying_party" = ["generate"])),
    request_body = MakeCodes,
    responses((status = 200, body = MadeCodes)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn make(
    State(service): State<Arc<Service>>,
    Generator(organisation): Generator,
    StrictJson(asked, _turn): StrictJson<MakeCodes>,
) -> Result<Json<MadeCodes>, ApiProblem> {
    Ok(Json(service.make_codes(organisation, &asked).await?))
}
