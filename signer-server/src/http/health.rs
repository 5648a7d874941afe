//! Health: `/health/live` says that a restart would not help, `/health/ready` that this server should get calls.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::openapi::{Health, Live, Ready};
use crate::service::{Service, Unready};

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// A restart would not help.
///
/// 503 if the store has stopped for good: then only a restart does, after a look at the log.
#[utoipa::path(
    get, path = "/health/live", tag = "Health",
    responses((status = 200, body = Live), (status = 503, body = Health))
)]
async fn live(State(service): State<Arc<Service>>) -> Response {
    if service.is_stopped() {
        return not("not_live", &[Unready::StoreStopped]);
    }
    Json(json!({ "status": "live" })).into_response()
}

/// This server should get calls: the store reads and writes, checkpoints are signed, the clock is right.
///
/// 503 with the reasons if not, also while it is about to stop.
#[utoipa::path(
    get, path = "/health/ready", tag = "Health",
    responses((status = 200, body = Ready), (status = 503, body = Health))
)]
async fn ready(State(service): State<Arc<Service>>) -> Response {
    let reasons = service.unready().await;
    if !reasons.is_empty() {
        return not("not_ready", &reasons);
    }
    match service.miss_alarm().await {
        Ok(miss_alarm) => Json(json!({ "status": "ready", "miss_alarm": miss_alarm })).into_response(),
        Err(_) => not("not_ready", &[Unready::Store]),
    }
}

fn not(status: &str, reasons: &[Unready]) -> Response {
    let body: Json<Value> = Json(json!({ "status": status, "reasons": reasons }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
}
