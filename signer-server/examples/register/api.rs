//! What the server asks a register: `spec/registers.md`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::records::Records;

struct Register {
    records: Records,
    authorization: String,
}

/// The register's routes; every question needs `token`.
pub(crate) fn router(records: Records, token: impl std::fmt::Display) -> Router {
    Router::new()
        .route("/v1/persons/{person}/documents/{type}", get(document))
        .route("/v1/organisations/{organisation}/vehicles/{reference}", get(vehicle))
        .with_state(Arc::new(Register { records, authorization: format!("Bearer {token}") }))
}

async fn document(
    State(register): State<Arc<Register>>,
    Path((person, kind)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !register.knows(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match register.records.document(&person, &kind) {
        Ok(Some(document)) => Json(document).into_response(),
        Ok(None) => no_document(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn vehicle(
    State(register): State<Arc<Register>>,
    Path((organisation, reference)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !register.knows(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match register.records.vehicle(&organisation, &reference) {
        Ok(Some(vehicle)) => Json(vehicle).into_response(),
        Ok(None) => no_document(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Register {
    fn knows(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .is_some_and(|value| value.as_bytes() == self.authorization.as_bytes())
    }
}

fn no_document() -> Response {
    let problem = json!({ "title": "There is no such document.", "status": 404, "code": "no_document" });
    let problem = problem.to_string();
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/problem+json")], problem).into_response()
}
