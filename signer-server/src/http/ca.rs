//! The authority's certificate and revocation list: for anyone, and for caches.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use signer_core::{certificate::to_pem, wire::ProblemCode};

use super::problem::ApiProblem;
use crate::service::Service;

/// How long a cache may keep what it got, seconds: a revocation is known everywhere that much later.
const CACHE: &str = "public, max-age=300";

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/ca/v1/ca.pem", get(pem))
        .route("/ca/v1/ca.der", get(der))
        .route("/ca/v1/crl.der", get(crl))
}

async fn pem(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    let pem = to_pem("CERTIFICATE", service.authority_certificate()).map_err(|_| ProblemCode::Internal)?;
    Ok(public("application/x-pem-file", pem.into_bytes()))
}

async fn der(State(service): State<Arc<Service>>) -> Response {
    public("application/pkix-cert", service.authority_certificate().to_vec())
}

async fn crl(State(service): State<Arc<Service>>) -> Result<Response, ApiProblem> {
    Ok(public("application/pkix-crl", service.crl().await?))
}

fn public(media_type: &'static str, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, CACHE)], body).into_response()
}
