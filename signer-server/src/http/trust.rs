//! Trust list and status lists: for anyone, and for caches. Nobody is asked who asks.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use signer_core::status::STATUS_LIST_MEDIA_TYPE;

use super::{auth::PathId, problem::ApiProblem};
use crate::service::Service;

/// Media type of a trust list.
pub(super) const COSE: &str = "application/cose";
/// How long a cache may keep the trust list.
const TRUST_LIST_CACHE: &str = "public, max-age=300";

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/trust-list", get(trust_list))
        .route("/status/v1/lists", get(status_lists))
        .route("/status/v1/lists/{id}", get(status_list))
}

async fn trust_list(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    let list = service.trust_list()?;
    let headers = [(header::CONTENT_TYPE, COSE), (header::CACHE_CONTROL, TRUST_LIST_CACHE)];
    Ok((headers, list.as_bytes().to_vec()).into_response())
}

async fn status_lists(State(service): State<Arc<Service>>) -> Response {
    let lists = Json(json!({ "status_lists": service.status_list_addresses() }));
    ([(header::CACHE_CONTROL, until_the_next(&service))], lists).into_response()
}

async fn status_list(
    State(service): State<Arc<Service>>,
    PathId(number): PathId<u32>,
) -> Result<Response, ApiProblem> {
    let list = service.status_list(number).await?;
    let headers = [
        (header::CONTENT_TYPE, STATUS_LIST_MEDIA_TYPE.to_owned()),
        (header::CACHE_CONTROL, until_the_next(&service)),
    ];
    Ok((headers, list.to_vec()).into_response())
}

/// A cache may keep a list until there is another.
fn until_the_next(service: &Service) -> String {
    format!("public, max-age={}", service.status_list_seconds_left())
}
