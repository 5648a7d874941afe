//! The authority's certificate and revocation list: for anyone, and for caches.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use signer_core::{certificate::to_pem, wire::ProblemCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{openapi::Bytes, problem::ApiProblem};
use crate::service::Service;

/// How long a cache may keep what it got, seconds: a revocation is known everywhere that much later.
const CACHE: &str = "public, max-age=300";

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(pem)).routes(routes!(der)).routes(routes!(crl))
}

/// The authority's certificate, PEM.
#[utoipa::path(
    get, path = "/ca/v1/ca.pem", operation_id = "ca_pem", tag = "Public",
    responses((status = 200, body = Bytes, content_type = "application/x-pem-file"))
)]
async fn pem(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    let pem = to_pem("CERTIFICATE", service.authority_certificate()).map_err(|_| ProblemCode::Internal)?;
    Ok(public("application/x-pem-file", pem.into_bytes()))
}

/// The authority's certificate, DER.
#[utoipa::path(
    get, path = "/ca/v1/ca.der", operation_id = "ca_der", tag = "Public",
    responses((status = 200, body = Bytes, content_type = "application/pkix-cert"))
)]
async fn der(State(service): State<Arc<Service>>) -> Response {
    public("application/pkix-cert", service.authority_certificate().to_vec())
}

/// The revocation list.
#[utoipa::path(
    get, path = "/ca/v1/crl.der", operation_id = "crl", tag = "Public",
    responses((status = 200, body = Bytes, content_type = "application/pkix-crl"))
)]
async fn crl(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    Ok(public("application/pkix-crl", service.crl().await?))
}

fn public(media_type: &'static str, body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, CACHE)], body.into()).into_response()
}
