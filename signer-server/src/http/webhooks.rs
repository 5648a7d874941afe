//! Webhooks of relying parties: their addresses, their events, the keys that sign.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use signer_core::{
    ids::RequestId,
    wire::{WebhookEvents, WebhookKeys, Webhooks},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Asker, PathId, StrictJson},
    problem::ApiProblem,
    relying_party::query_refusal,
};
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(webhooks, put_webhooks, delete_webhooks))
        .routes(routes!(events))
        .routes(routes!(replay))
        .routes(routes!(keys))
}

/// The addresses where the relying party is told that its requests ended.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "webhooks", tag = "Webhooks", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    responses((status = 200, body = Webhooks))
)]
async fn webhooks(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.webhooks(asker.id).await?))
}

/// Replaces them.
///
/// What was still to be told at an address that goes is not told.
#[utoipa::path(
    put, path = "/v1/webhooks", operation_id = "put_webhooks", tag = "Webhooks", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    request_body = Webhooks,
    responses((status = 200, body = Webhooks)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn put_webhooks(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    StrictJson(asked, _turn): StrictJson<Webhooks>,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.put_webhooks(asker.id, asked).await?))
}

/// Removes them all.
#[utoipa::path(
    delete, path = "/v1/webhooks", operation_id = "delete_webhooks", tag = "Webhooks", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    responses((status = 204))
)]
async fn delete_webhooks(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
) -> Result<StatusCode, ApiProblem> {
    service.put_webhooks(asker.id, Webhooks { urls: Vec::new() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// The place after which they begin.
    #[serde(default)]
    after: u64,
}

/// The relying party's events of 7 days, in order, with what became of their deliveries.
#[utoipa::path(
    get, path = "/v1/webhook-events", operation_id = "webhook_events", tag = "Webhooks", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(EventsQuery),
    responses((status = 200, body = WebhookEvents))
)]
async fn events(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<WebhookEvents>, ApiProblem> {
    let Query(EventsQuery { after }) = query.map_err(query_refusal)?;
    Ok(Json(service.webhook_events(asker.id, after).await?))
}

/// Delivers an event again, to the addresses there are now.
#[utoipa::path(
    post, path = "/v1/webhook-events/{id}/replay", operation_id = "replay_webhook_event", tag = "Webhooks", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(("id" = RequestId, Path, description = "The event.")),
    responses((status = 202)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn replay(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(id): PathId<RequestId>,
) -> Result<StatusCode, ApiProblem> {
    service.replay_webhook_event(asker.id, id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The keys that sign deliveries, a JWK set (RFC 7517).
#[utoipa::path(
    get, path = "/v1/webhook-keys", operation_id = "webhook_keys", tag = "Webhooks",
    responses((status = 200, body = WebhookKeys, content_type = "application/jwk-set+json"))
)]
async fn keys(State(service): State<Arc<Service>>) -> Response {
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], Json(service.webhook_keys())).into_response()
}
