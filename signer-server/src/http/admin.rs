//! The operator's API. Needs the admin token, which lies in the data folder.

use std::sync::Arc;

use axum::{
    Json,
    extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;
use signer_core::{
    ids::{DeviceId, RelyingPartyId},
    trust::{TRUST_LIST_BYTES_MAX, TrustList},
    wire::{
        CertificateRequestView, CreateBusinessCredential, CreateEnrolmentCode, CreateRelyingParty,
        CreatedBusinessCredential, CreatedEnrolmentCode, CreatedRelyingParty, ImportCertificate, OauthClient,
        ProblemCode, PutOauthClient, PutTrustList, RelyingPartyLimits, RelyingPartyView, RequestSummary,
        Webhooks,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Admin, Cose, PathId, StrictJson},
    openapi::Bytes,
    problem::ApiProblem,
    relying_party::query_refusal,
};
use crate::{
    service::{KeyPurpose, Refusal, Service},
    store::RevocationReason,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(create_enrolment_code))
        .routes(routes!(relying_parties, create_relying_party))
        .routes(routes!(revoke_relying_party))
        .routes(routes!(put_oauth_client))
        .routes(routes!(put_limits))
        .routes(routes!(webhooks, put_webhooks))
        .routes(routes!(requests))
        .routes(routes!(revoke_device))
        .routes(routes!(suspend_device))
        .routes(routes!(resume_device))
        .routes(routes!(certificate_request))
        .routes(routes!(import_certificate))
        .routes(routes!(create_business_credential))
        .routes(routes!(keys))
        .routes(routes!(make_next_key))
        .routes(routes!(activate_next_key))
        .merge(trust_list_routes())
}

/// A list is longer than JSON is allowed to be.
fn trust_list_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(put_trust_list)).layer(DefaultBodyLimit::max(TRUST_LIST_BYTES_MAX))
}

/// Makes an enrolment code for a person.
///
/// The code is shown this once.
#[utoipa::path(
    post, path = "/enrolment-codes", tag = "Operator", security(("admin" = [])),
    request_body = CreateEnrolmentCode,
    responses((status = 201, body = CreatedEnrolmentCode)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn create_enrolment_code(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateEnrolmentCode>,
) -> Result<(StatusCode, Json<CreatedEnrolmentCode>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_enrolment_code(asked).await?)))
}

/// Registers a relying party.
///
/// Its bearer token is shown this once.
#[utoipa::path(
    post, path = "/relying-parties", tag = "Operator", security(("admin" = [])),
    request_body = CreateRelyingParty,
    responses((status = 201, body = CreatedRelyingParty)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn create_relying_party(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateRelyingParty>,
) -> Result<(StatusCode, Json<CreatedRelyingParty>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_relying_party(asked).await?)))
}

/// Gives a relying party limits of its own.
///
/// They hold from its next call on; what is left out is as configured.
#[utoipa::path(
    put, path = "/relying-parties/{id}/limits", operation_id = "put_relying_party_limits", tag = "Operator", security(("admin" = [])),
    params(("id" = RelyingPartyId, Path, description = "The relying party.")),
    request_body = RelyingPartyLimits,
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn put_limits(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
    StrictJson(asked, _turn): StrictJson<RelyingPartyLimits>,
) -> Result<StatusCode, ApiProblem> {
    service.put_limits(id, asked).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a relying party an OAuth client, or changes its key or secret.
///
/// Ends its access tokens.
#[utoipa::path(
    put, path = "/relying-parties/{id}/oauth-client", tag = "Operator", security(("admin" = [])),
    params(("id" = RelyingPartyId, Path, description = "The relying party.")),
    request_body = PutOauthClient,
    responses((status = 200, body = OauthClient)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn put_oauth_client(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
    StrictJson(asked, _turn): StrictJson<PutOauthClient>,
) -> Result<Json<OauthClient>, ApiProblem> {
    Ok(Json(service.put_oauth_client(id, asked).await?))
}

/// The addresses where a relying party is told that its requests ended.
#[utoipa::path(
    get, path = "/relying-parties/{id}/webhooks", operation_id = "relying_party_webhooks", tag = "Operator", security(("admin" = [])),
    params(("id" = RelyingPartyId, Path, description = "The relying party.")),
    responses((status = 200, body = Webhooks))
)]
async fn webhooks(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.webhooks(id).await?))
}

/// Replaces them.
#[utoipa::path(
    put, path = "/relying-parties/{id}/webhooks", operation_id = "put_relying_party_webhooks", tag = "Operator", security(("admin" = [])),
    params(("id" = RelyingPartyId, Path, description = "The relying party.")),
    request_body = Webhooks,
    responses((status = 200, body = Webhooks)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn put_webhooks(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
    StrictJson(asked, _turn): StrictJson<Webhooks>,
) -> Result<Json<Webhooks>, ApiProblem> {
    Ok(Json(service.put_webhooks(id, asked).await?))
}

/// Lists the relying parties.
#[utoipa::path(
    get, path = "/relying-parties", tag = "Operator", security(("admin" = [])),
    responses((status = 200, body = Vec<RelyingPartyView>))
)]
async fn relying_parties(
    State(service): State<Arc<Service>>,
    _: Admin,
) -> Result<Json<Vec<RelyingPartyView>>, ApiProblem> {
    Ok(Json(service.relying_parties().await?))
}

/// Ends a relying party's token.
#[utoipa::path(
    delete, path = "/relying-parties/{id}", tag = "Operator", security(("admin" = [])),
    params(("id" = RelyingPartyId, Path, description = "The relying party.")),
    responses((status = 204))
)]
async fn revoke_relying_party(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
) -> Result<StatusCode, ApiProblem> {
    service.revoke_relying_party(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RequestsQuery {
    /// Of this one only.
    relying_party: Option<RelyingPartyId>,
    /// Most of them; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Requests of an answer, unless it is said.
const SUMMARIES_DEFAULT: u32 = 50;

/// The newest signing requests: that they were made and how they ended.
#[utoipa::path(
    get, path = "/requests", operation_id = "request_summaries", tag = "Operator", security(("admin" = [])),
    params(RequestsQuery),
    responses((status = 200, body = Vec<RequestSummary>)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn requests(
    State(service): State<Arc<Service>>,
    _: Admin,
    query: Result<Query<RequestsQuery>, QueryRejection>,
) -> Result<Json<Vec<RequestSummary>>, ApiProblem> {
    let Query(RequestsQuery { relying_party, limit }) = query.map_err(query_refusal)?;
    Ok(Json(service.request_summaries(relying_party, limit.unwrap_or(SUMMARIES_DEFAULT)).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RevokeQuery {
    /// Why, by the name in RFC 5280: `unspecified`, `key_compromise` and so on.
    reason: Option<String>,
}

/// Revokes an installation and its certificates, and ends its key.
#[utoipa::path(
    post, path = "/devices/{id}/revoke", tag = "Operator", security(("admin" = [])),
    params(("id" = DeviceId, Path, description = "The installation."), RevokeQuery),
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
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

/// Suspends an installation and its certificates.
#[utoipa::path(
    post, path = "/devices/{id}/suspend", tag = "Operator", security(("admin" = [])),
    params(("id" = DeviceId, Path, description = "The installation.")),
    responses((status = 204))
)]
async fn suspend_device(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, ApiProblem> {
    service.suspend_device(id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a suspension back.
#[utoipa::path(
    post, path = "/devices/{id}/resume", tag = "Operator", security(("admin" = [])),
    params(("id" = DeviceId, Path, description = "The installation.")),
    responses((status = 204))
)]
async fn resume_device(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, ApiProblem> {
    service.suspend_device(id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The certification request that an installation signed at enrolment.
#[utoipa::path(
    get, path = "/devices/{id}/certificate-request", tag = "Operator", security(("admin" = [])),
    params(("id" = DeviceId, Path, description = "The installation.")),
    responses((status = 200, body = CertificateRequestView))
)]
async fn certificate_request(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<Json<CertificateRequestView>, ApiProblem> {
    Ok(Json(service.certificate_request(id).await?))
}

/// Takes a certificate of an authority elsewhere into use.
#[utoipa::path(
    put, path = "/devices/{id}/certificate", tag = "Operator", security(("admin" = [])),
    params(("id" = DeviceId, Path, description = "The installation.")),
    request_body = ImportCertificate,
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn import_certificate(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
    StrictJson(asked, _turn): StrictJson<ImportCertificate>,
) -> Result<StatusCode, ApiProblem> {
    service.import_certificate(id, asked).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs a credential for a business that asks by QR.
#[utoipa::path(
    post, path = "/business-credentials", tag = "Operator", security(("admin" = [])),
    request_body = CreateBusinessCredential,
    responses((status = 201, body = CreatedBusinessCredential)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn create_business_credential(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateBusinessCredential>,
) -> Result<(StatusCode, Json<CreatedBusinessCredential>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_business_credential(asked).await?)))
}

/// This server's public keys, as the next trust list may name them.
#[utoipa::path(
    get, path = "/keys", tag = "Operator", security(("admin" = [])),
    responses((status = 200, body = TrustList))
)]
async fn keys(State(service): State<Arc<Service>>, _: Admin) -> Result<Json<TrustList>, ApiProblem> {
    Ok(Json(service.next_trust_list()?))
}

/// Makes the key that is to follow the one in use.
#[utoipa::path(
    post, path = "/keys/{id}/next", tag = "Operator", security(("admin" = [])),
    params(("id" = String, Path, pattern = "^(issuer|list|business)$", description = "What the key is for.")),
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn make_next_key(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(purpose): PathId<KeyPurpose>,
) -> Result<StatusCode, ApiProblem> {
    service.make_next_key(purpose).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ActivateQuery {
    /// Also when the trust list does not name it yet.
    #[serde(default)]
    force: bool,
}

/// Takes the next key into use.
#[utoipa::path(
    post, path = "/keys/{id}/activate", tag = "Operator", security(("admin" = [])),
    params(("id" = String, Path, pattern = "^(issuer|list|business)$", description = "What the key is for."), ActivateQuery),
    responses((status = 204)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
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

/// Puts a trust list, signed by the root.
#[utoipa::path(
    put, path = "/trust-list", tag = "Operator", security(("admin" = [])),
    request_body(content = Bytes, content_type = "application/cose"),
    responses((status = 200, body = PutTrustList)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn put_trust_list(
    State(service): State<Arc<Service>>,
    _: Admin,
    Cose(list, _turn): Cose,
) -> Result<Json<PutTrustList>, ApiProblem> {
    Ok(Json(service.put_trust_list(&list).await?))
}
