//! The operator's API of key-encryption keys.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use signer_core::wire::KeksView;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Admin, PathId},
    problem::ApiProblem,
};
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(keks)).routes(routes!(rotate_kek)).routes(routes!(retire_kek))
}

/// The generations of the key-encryption key, and what is left under old ones.
#[utoipa::path(
    get, path = "/keks", tag = "Operator", security(("admin" = [])),
    responses((status = 200, body = KeksView))
)]
async fn keks(State(service): State<Arc<Service>>, _: Admin) -> Result<Json<KeksView>, ApiProblem> {
    Ok(Json(service.keks().await?))
}

/// Makes the next generation.
///
/// It is put to use as soon as every node holds it; then everything is brought under it, while the server works.
#[utoipa::path(
    post, path = "/keks/{id}/prepare", tag = "Operator", security(("admin" = [])),
    params(("id" = u32, Path, description = "Its number: one more than the newest.")),
    responses((status = 200, body = KeksView)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn rotate_kek(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(generation): PathId<u32>,
) -> Result<Json<KeksView>, ApiProblem> {
    Ok(Json(service.rotate_kek(generation).await?))
}

/// Retires an old generation, once nothing is wrapped under it.
#[utoipa::path(
    post, path = "/keks/{id}/retire", tag = "Operator", security(("admin" = [])),
    params(("id" = u32, Path, description = "The generation.")),
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn retire_kek(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(generation): PathId<u32>,
) -> Result<StatusCode, ApiProblem> {
    service.retire_kek(generation).await?;
    Ok(StatusCode::NO_CONTENT)
}
