//! The audit log: for those who watch it, for relying parties, and for the operator.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use signer_core::{
    ids::{AuditObject, DeviceId, RequestId},
    wire::{AuditConsistency, AuditKey, AuditLine, AuditPage, AuditProof},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Admin, Asker, PathId},
    problem::ApiProblem,
    relying_party::query_refusal,
};
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(checkpoint)).routes(routes!(consistency)).routes(routes!(of_request))
}

pub(super) fn admin_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(key))
        .routes(routes!(entries))
        .routes(routes!(found))
        .routes(routes!(proof))
        .routes(routes!(forget))
}

/// The newest checkpoint of the audit log, a signed note (C2SP tlog-checkpoint).
///
/// Whoever keeps it can be shown later that the log was continued and not rewritten.
#[utoipa::path(
    get, path = "/v1/audit/checkpoint", operation_id = "audit_checkpoint", tag = "Audit log",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn checkpoint(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    let row = service.audit_checkpoint().await?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, row.note).into_response())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsistencyQuery {
    /// Size of the earlier checkpoint.
    from: u64,
}

/// That the audit log continues an earlier state of it.
#[utoipa::path(
    get, path = "/v1/audit/consistency", operation_id = "audit_consistency", tag = "Audit log", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(ConsistencyQuery),
    responses((status = 200, body = AuditConsistency)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn consistency(
    State(service): State<Arc<Service>>,
    _: Asker,
    query: Result<Query<ConsistencyQuery>, QueryRejection>,
) -> Result<Json<AuditConsistency>, ApiProblem> {
    let Query(ConsistencyQuery { from }) = query.map_err(query_refusal)?;
    Ok(Json(service.audit_consistency(from).await?))
}

/// The entry of the audit log that says a request was signed, with the proof that it is in the log.
#[utoipa::path(
    get, path = "/v1/requests/{id}/audit", operation_id = "request_audit", tag = "Audit log", security(("relying_party" = ["ask"]), ("oauth2" = ["service"])),
    params(("id" = RequestId, Path, description = "The request.")),
    responses((status = 200, body = AuditProof))
)]
async fn of_request(
    State(service): State<Arc<Service>>,
    Asker(asker): Asker,
    PathId(id): PathId<RequestId>,
) -> Result<Json<AuditProof>, ApiProblem> {
    Ok(Json(service.request_audit(&asker, id).await?))
}

/// The key that checkpoints are verified with.
#[utoipa::path(
    get, path = "/audit/key", operation_id = "audit_key", tag = "Operator", security(("admin" = [])),
    responses((status = 200, body = AuditKey))
)]
async fn key(State(service): State<Arc<Service>>, _: Admin) -> Result<Json<AuditKey>, ApiProblem> {
    Ok(Json(service.audit_key()?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Place of the first entry.
    #[serde(default)]
    from: u64,
}

/// A part of the audit log, in order.
#[utoipa::path(
    get, path = "/audit/entries", operation_id = "audit_entries", tag = "Operator", security(("admin" = [])),
    params(PageQuery),
    responses((status = 200, body = AuditPage))
)]
async fn entries(
    State(service): State<Arc<Service>>,
    _: Admin,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<AuditPage>, ApiProblem> {
    let Query(PageQuery { from }) = query.map_err(query_refusal)?;
    Ok(Json(service.audit_page(from).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FoundQuery {
    /// Those about this id only: a request's, an installation's, or as the log names one.
    about: Option<AuditObject>,
    /// Those before this place only.
    before: Option<u64>,
    /// Most of them; 50 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Entries of an answer, unless it is said.
const FOUND_DEFAULT: u32 = 50;

/// Entries of the audit log, newest first, for people.
#[utoipa::path(
    get, path = "/audit/found", operation_id = "audit_found", tag = "Operator", security(("admin" = [])),
    params(FoundQuery),
    responses((status = 200, body = Vec<AuditLine>)),
    extensions(("x-problems" = json!(["invalid_value"])))
)]
async fn found(
    State(service): State<Arc<Service>>,
    _: Admin,
    query: Result<Query<FoundQuery>, QueryRejection>,
) -> Result<Json<Vec<AuditLine>>, ApiProblem> {
    let Query(FoundQuery { about, before, limit }) = query.map_err(query_refusal)?;
    let (before, limit) = (before.unwrap_or(u64::MAX), limit.unwrap_or(FOUND_DEFAULT));
    Ok(Json(service.audit_found(about, before, limit).await?))
}

/// An entry with the proof that it is in the log.
#[utoipa::path(
    get, path = "/audit/proofs/{id}", operation_id = "audit_proof", tag = "Operator", security(("admin" = [])),
    params(("id" = u64, Path, description = "Place of the entry.")),
    responses((status = 200, body = AuditProof))
)]
async fn proof(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(index): PathId<u64>,
) -> Result<Json<AuditProof>, ApiProblem> {
    Ok(Json(service.audit_proof(index).await?))
}

/// Forgets how the audit log names a revoked installation.
///
/// Its entries stay, and lead to nobody.
#[utoipa::path(
    delete, path = "/devices/{id}/audit-name", operation_id = "forget_audit_name", tag = "Operator", security(("admin" = [])),
    params(("id" = DeviceId, Path, description = "The installation.")),
    responses((status = 204))
)]
async fn forget(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, ApiProblem> {
    service.forget_audit_name(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
