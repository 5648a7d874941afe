//! Webhooks of relying parties: their addresses, their events, the keys that sign.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use signer_core::{
    ids::RequestId,
    wire::{WebhookEvents, Webhooks},
};

use super::{
    auth::{Asker, PathId, StrictJson},
    problem::ApiProblem,
    relying_party::query_refusal,
};
use crate::service::Service;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/webhooks", get(webhooks).put(put_webhooks).delete(delete_webhooks))
        .route("/v1/webhook-events", get(events))
        .route("/v1/webhook-events/{id}/replay", post(replay))
        .route("/v1/webhook-keys", get(keys))
}

async fn webhooks(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.webhooks(asker.id).await?))
}

async fn put_webhooks(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    StrictJson(asked, _turn): StrictJson<Webhooks>,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.put_webhooks(asker.id, asked).await?))
}

async fn delete_webhooks(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
) -> Result<StatusCode, ApiProblem> {
    service.put_webhooks(asker.id, Webhooks { urls: Vec::new() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
}

async fn events(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<WebhookEvents>, ApiProblem> {
    let Query(EventsQuery { after }) = query.map_err(query_refusal)?;
    Ok(Json(service.webhook_events(asker.id, after).await?))
}

async fn replay(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(id): PathId<RequestId>,
) -> Result<StatusCode, ApiProblem> {
    service.replay_webhook_event(asker.id, id).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn keys(State(service): State<Arc<Service>>) -> Response {
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], Json(service.webhook_keys())).into_response()
}
