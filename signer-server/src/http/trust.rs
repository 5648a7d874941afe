//! Trust list and status lists: for anyone, and for caches. Nobody is asked who asks.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use signer_core::status::STATUS_LIST_MEDIA_TYPE;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::PathId,
    openapi::{Bytes, StatusLists},
    problem::ApiProblem,
};
use crate::service::Service;

/// Media type of a trust list.
pub(super) const COSE: &str = "application/cose";
/// How long a cache may keep the trust list.
const TRUST_LIST_CACHE: &str = "public, max-age=300";

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(trust_list))
        .routes(routes!(status_lists))
        .routes(routes!(status_list))
}

/// The trust list, signed by the root.
#[utoipa::path(
    get, path = "/v1/trust-list", tag = "Public",
    responses((status = 200, body = Bytes, content_type = "application/cose")),
    extensions(("x-problems" = json!(["not_found"])))
)]
async fn trust_list(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    let list = service.trust_list()?;
    let headers = [(header::CONTENT_TYPE, COSE), (header::CACHE_CONTROL, TRUST_LIST_CACHE)];
    Ok((headers, list.as_bytes().to_vec()).into_response())
}

/// Addresses of the status lists.
#[utoipa::path(
    get, path = "/status/v1/lists", tag = "Public",
    responses((status = 200, body = StatusLists))
)]
async fn status_lists(State(service): State<Arc<Service>>) -> Response {
    let lists = Json(json!({ "status_lists": service.status_list_addresses() }));
    ([(header::CACHE_CONTROL, until_the_next(&service))], lists).into_response()
}

/// A status list.
#[utoipa::path(
    get, path = "/status/v1/lists/{id}", tag = "Public",
    params(("id" = u32, Path, description = "Its number.")),
    responses((status = 200, body = Bytes, content_type = "application/statuslist+cwt"))
)]
async fn status_list(
    State(service): State<Arc<Service>>,
    PathId(number): PathId<u32>,
) -> Result<Response, ApiProblem> {
    let list = service.status_list(number).await?;
    let headers = [
        (header::CONTENT_TYPE, STATUS_LIST_MEDIA_TYPE.to_owned()),
        (header::CACHE_CONTROL, until_the_next(&service)),
    ];
    Ok((headers, list).into_response())
}

/// A cache may keep a list until there is another.
fn until_the_next(service: &Service) -> String {
    format!("public, max-age={}", service.status_list_seconds_left())
}
