//! The relying-party API: signing requests; and what anybody may ask: public keys, time, a report of a lost phone.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use signer_core::{
    ids::RequestId,
    wire::{
        AnswerKey, CreateRequest, CreatedRequest, ProblemCode, ReportLost, RequestView, SignedTime,
        SigningCertificate,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Asker, PathId, StrictJson},
    problem::ApiProblem,
};
use crate::{
    service::{Refusal, Service, WaitMs},
    store::Holder,
    traces::{self, Part},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(cancel))
        .routes(routes!(signing_certificate))
        .routes(routes!(answer_key))
        .routes(routes!(time))
        .routes(routes!(report_lost))
}

/// Routes that wait for a person; they have limits of their own.
pub(super) fn long_poll_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(view))
}

/// Asks a person to sign.
///
/// Whether the person exists is not revealed: a request to nobody just expires.
#[utoipa::path(
    post, path = "/v1/requests", operation_id = "create_request", tag = "Signing requests", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,128}$",
        description = "Makes the call safe to repeat for 24 h.")),
    request_body = CreateRequest,
    responses((status = 201, body = CreatedRequest)),
    extensions(("x-problems" = json!(["invalid_value", "too_many", "idempotency_mismatch", "idempotency_in_flight"])))
)]
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
    let created = service.create_request(&asker, request, key.transpose()?);
    let created = traces::span(Part::Service, "create_request", created).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ViewQuery {
    /// How long to wait for the end, milliseconds.
    #[param(maximum = 120_000)]
    #[serde(default)]
    pub(super) timeout_ms: u64,
}

/// State of a request, and the result once it is signed.
///
/// Waits for its end as long as asked.
#[utoipa::path(
    get, path = "/v1/requests/{id}", operation_id = "view_request", tag = "Signing requests", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(("id" = RequestId, Path, description = "The request."), ViewQuery),
    responses((status = 200, body = RequestView)),
    extensions(("x-problems" = json!(["invalid_value", "too_many"])))
)]
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

/// Takes a request back.
#[utoipa::path(
    delete, path = "/v1/requests/{id}", operation_id = "cancel_request", tag = "Signing requests", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(("id" = RequestId, Path, description = "The request.")),
    responses((status = 204)),
    extensions(("x-problems" = json!(["request_closed"])))
)]
async fn cancel(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(id): PathId<RequestId>,
) -> Result<StatusCode, ApiProblem> {
    service.cancel_request(&asker, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What signed attributes need to know of a person's certificate before anything is signed.
#[utoipa::path(
    get, path = "/v1/persons/{id}/signing-certificate", tag = "Signing requests", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(("id" = String, Path, pattern = "^[!-~]{1,64}$", description = "The person.")),
    responses((status = 200, body = SigningCertificate))
)]
async fn signing_certificate(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(person): PathId<Holder>,
) -> Result<Json<SigningCertificate>, ApiProblem> {
    Ok(Json(service.signing_certificate(&asker, person).await?))
}

/// The key that signs answers and the time.
#[utoipa::path(
    get, path = "/v1/answer-key", tag = "Public",
    responses((status = 200, body = AnswerKey))
)]
async fn answer_key(State(service): State<Arc<Service>>) -> Json<AnswerKey> {
    Json(service.answer_key())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TimeQuery {
    /// Chosen by the caller, so that the answer cannot be an old one.
    #[param(pattern = "^[0-9a-f]{32}$")]
    nonce: String,
}

/// The time, signed with a nonce.
#[utoipa::path(
    get, path = "/v1/time", tag = "Public",
    params(TimeQuery),
    responses((status = 200, body = SignedTime)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn time(
    State(service): State<Arc<Service>>,
    query: Result<Query<TimeQuery>, QueryRejection>,
) -> Result<Json<SignedTime>, ApiProblem> {
    let Query(query) = query.map_err(query_refusal)?;
    Ok(Json(service.signed_time(&query.nonce)?))
}

/// Ends the installation of a lost code.
///
/// Anybody may send it; the answer tells nothing.
#[utoipa::path(
    post, path = "/v1/report-lost", tag = "Public",
    request_body = ReportLost,
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
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
