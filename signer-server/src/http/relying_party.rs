//! The relying-party API: signing requests; and what anybody may ask: public keys, time, a report of a lost phone.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde::Deserialize;
use signer_core::{
    ids::RequestId,
    wire::{
        AnswerKey, CreateRequest, CreatedRequest, ProblemCode, ReportLost, RequestView, SignedTime,
        SigningCertificate,
    },
};

use super::{
    auth::{Asker, PathId, StrictJson},
    problem::ApiProblem,
};
use crate::{
    service::{Refusal, Service, WaitMs},
    store::Holder,
};

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/requests", post(create))
        .route("/v1/persons/{id}/signing-certificate", get(signing_certificate))
        .route("/v1/answer-key", get(answer_key))
        .route("/v1/time", get(time))
        .route("/v1/report-lost", post(report_lost))
}

/// Routes that wait for a person; they have limits of their own.
pub(super) fn long_poll_routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/requests/{id}", get(view).delete(cancel))
}

async fn create(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    headers: HeaderMap,
    StrictJson(request, _turn): StrictJson<CreateRequest>,
) -> Result<(StatusCode, Json<CreatedRequest>), ApiProblem> {
    let key = headers.get("idempotency-key").map(|key| {
        let text = "Idempotency-Key is 1 to 128 visible ASCII characters";
        key.to_str().map_err(|_| Refusal::because(ProblemCode::InvalidValue, text))
    });
    let created = service.create_request(&asker, request, key.transpose()?).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewQuery {
    #[serde(default)]
    pub(super) timeout_ms: u64,
}

async fn view(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(id): PathId<RequestId>,
    query: Result<Query<ViewQuery>, QueryRejection>,
) -> Result<Json<RequestView>, ApiProblem> {
    let Query(query) = query.map_err(query_refusal)?;
    let wait = WaitMs::new(query.timeout_ms)?;
    let _place = service.admit_request_poll(&asker)?;
    Ok(Json(service.request_view(&asker, id, wait).await?))
}

async fn cancel(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(id): PathId<RequestId>,
) -> Result<StatusCode, ApiProblem> {
    service.cancel_request(&asker, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn signing_certificate(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(person): PathId<Holder>,
) -> Result<Json<SigningCertificate>, ApiProblem> {
    Ok(Json(service.signing_certificate(&asker, person).await?))
}

async fn answer_key(State(service): State<Arc<Service>>) -> Json<AnswerKey> {
    Json(service.answer_key())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeQuery {
    nonce: String,
}

async fn time(
    State(service): State<Arc<Service>>,
    query: Result<Query<TimeQuery>, QueryRejection>,
) -> Result<Json<SignedTime>, ApiProblem> {
    let Query(query) = query.map_err(query_refusal)?;
    Ok(Json(service.signed_time(&query.nonce)?))
}

async fn report_lost(
    State(service): State<Arc<Service>>,
    StrictJson(asked, _turn): StrictJson<ReportLost>,
) -> Result<StatusCode, ApiProblem> {
    service.report_lost(&asked).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn query_refusal(_: QueryRejection) -> ApiProblem {
    Refusal::because(ProblemCode::Malformed, "the query has an unknown, missing or malformed parameter")
        .into()
}
