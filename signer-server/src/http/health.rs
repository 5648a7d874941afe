//! Health: `/health/live` says the process answers, `/health/ready` that its store reads and writes.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    openapi::{Live, Ready},
    problem::ApiProblem,
};
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// The process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "Health",
    responses((status = 200, body = Live))
)]
async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// The store reads and writes.
#[utoipa::path(
    get, path = "/health/ready", tag = "Health",
    responses((status = 200, body = Ready))
)]
async fn ready(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiProblem> {
    service.check().await?;
    Ok(Json(json!({ "status": "ready", "miss_alarm": service.miss_alarm().await? })))
}
