//! The operator's API. Needs the admin token, which lies in the data folder.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection},
    http::StatusCode,
    routing::{delete, get, post, put},
};
use serde::Deserialize;
use signer_core::{
    ids::{DeviceId, RelyingPartyId},
    trust::{TRUST_LIST_BYTES_MAX, TrustList},
    wire::{
        CertificateRequestView, CreateBusinessCredential, CreateEnrolmentCode, CreateRelyingParty,
        CreatedBusinessCredential, CreatedEnrolmentCode, CreatedRelyingParty, ImportCertificate, OauthClient,
        ProblemCode, PutOauthClient, PutTrustList, RelyingPartyView, RequestSummary, Webhooks,
    },
};

use super::{
    auth::{Admin, Cose, PathId, StrictJson},
    problem::ApiProblem,
    relying_party::query_refusal,
};
use crate::{
    service::{KeyPurpose, Refusal, Service},
    store::RevocationReason,
};

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/enrolment-codes", post(create_enrolment_code))
        .route("/relying-parties", get(relying_parties).post(create_relying_party))
        .route("/relying-parties/{id}", delete(revoke_relying_party))
        .route("/relying-parties/{id}/oauth-client", put(put_oauth_client))
        .route("/relying-parties/{id}/webhooks", get(webhooks).put(put_webhooks))
        .route("/requests", get(requests))
        .route("/devices/{id}/revoke", post(revoke_device))
        .route("/devices/{id}/suspend", post(suspend_device))
        .route("/devices/{id}/resume", post(resume_device))
        .route("/devices/{id}/certificate-request", get(certificate_request))
        .route("/devices/{id}/certificate", put(import_certificate))
        .route("/business-credentials", post(create_business_credential))
        .route("/keys", get(keys))
        .route("/keys/{id}/next", post(make_next_key))
        .route("/keys/{id}/activate", post(activate_next_key))
        .merge(trust_list_routes())
}

/// A list is longer than JSON is allowed to be.
fn trust_list_routes() -> Router<Arc<Service>> {
    Router::new().route("/trust-list", put(put_trust_list)).layer(DefaultBodyLimit::max(TRUST_LIST_BYTES_MAX))
}

async fn create_enrolment_code(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateEnrolmentCode>,
) -> Result<(StatusCode, Json<CreatedEnrolmentCode>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_enrolment_code(asked).await?)))
}

async fn create_relying_party(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateRelyingParty>,
) -> Result<(StatusCode, Json<CreatedRelyingParty>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_relying_party(asked).await?)))
}

async fn put_oauth_client(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
    StrictJson(asked, _turn): StrictJson<PutOauthClient>,
) -> Result<Json<OauthClient>, ApiProblem> {
    Ok(Json(service.put_oauth_client(id, asked).await?))
}

async fn webhooks(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.webhooks(id).await?))
}

async fn put_webhooks(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
    StrictJson(asked, _turn): StrictJson<Webhooks>,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.put_webhooks(id, asked).await?))
}

async fn relying_parties(
    State(service): State<Arc<Service>>,
    _: Admin,
) -> Result<Json<Vec<RelyingPartyView>>, ApiProblem> {
    Ok(Json(service.relying_parties().await?))
}

async fn revoke_relying_party(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
) -> Result<StatusCode, ApiProblem> {
    service.revoke_relying_party(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestsQuery {
    relying_party: Option<RelyingPartyId>,
    limit: Option<u32>,
}

/// Requests of an answer, unless it is said.
const SUMMARIES_DEFAULT: u32 = 50;

async fn requests(
    State(service): State<Arc<Service>>,
    _: Admin,
    query: Result<Query<RequestsQuery>, QueryRejection>,
) -> Result<Json<Vec<RequestSummary>>, ApiProblem> {
    let Query(RequestsQuery { relying_party, limit }) = query.map_err(query_refusal)?;
    Ok(Json(service.request_summaries(relying_party, limit.unwrap_or(SUMMARIES_DEFAULT)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeQuery {
    reason: Option<String>,
}

async fn revoke_device(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
    query: Result<Query<RevokeQuery>, QueryRejection>,
) -> Result<StatusCode, ApiProblem> {
    let Query(RevokeQuery { reason }) = query.map_err(query_refusal)?;
    let reason = reason.as_deref().map_or(Some(RevocationReason::Unspecified), RevocationReason::from_name);
    let reason = reason.ok_or_else(|| {
        let names: Vec<_> = RevocationReason::ALL.iter().filter_map(|reason| reason.name()).collect();
        Refusal::because(ProblemCode::InvalidValue, format!("reason is one of {}", names.join(", ")))
    })?;
    service.revoke_device(id, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn suspend_device(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, ApiProblem> {
    service.suspend_device(id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume_device(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, ApiProblem> {
    service.suspend_device(id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn certificate_request(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<Json<CertificateRequestView>, ApiProblem> {
    Ok(Json(service.certificate_request(id).await?))
}

async fn import_certificate(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
    StrictJson(asked, _turn): StrictJson<ImportCertificate>,
) -> Result<StatusCode, ApiProblem> {
    service.import_certificate(id, asked).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create_business_credential(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateBusinessCredential>,
) -> Result<(StatusCode, Json<CreatedBusinessCredential>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_business_credential(asked).await?)))
}

async fn keys(State(service): State<Arc<Service>>, _: Admin) -> Result<Json<TrustList>, ApiProblem> {
    Ok(Json(service.next_trust_list()?))
}

async fn make_next_key(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(purpose): PathId<KeyPurpose>,
) -> Result<StatusCode, ApiProblem> {
    service.make_next_key(purpose).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActivateQuery {
    #[serde(default)]
    force: bool,
}

async fn activate_next_key(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(purpose): PathId<KeyPurpose>,
    query: Result<Query<ActivateQuery>, QueryRejection>,
) -> Result<StatusCode, ApiProblem> {
    let Query(ActivateQuery { force }) = query.map_err(query_refusal)?;
    service.activate_next_key(purpose, force).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put_trust_list(
    State(service): State<Arc<Service>>,
    _: Admin,
    Cose(list, _turn): Cose,
) -> Result<Json<PutTrustList>, ApiProblem> {
    Ok(Json(service.put_trust_list(&list).await?))
}
