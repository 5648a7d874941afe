//! Health: `/health/live` says the process answers, `/health/ready` that its store reads and writes.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use super::problem::ApiProblem;
use crate::service::Service;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

async fn ready(State(service): State<Arc<Service>>) -> Result<Json<Value>, ApiProblem> {
    service.check().await?;
    Ok(Json(json!({ "status": "ready", "miss_alarm": service.miss_alarm().await? })))
}
