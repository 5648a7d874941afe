//! The CSC API, versions 1.0.4 and 2.0: `POST /csc/{version}/…`. Both versions are served by the same handlers.

mod call;
mod credentials;
mod info;
mod parameters;
mod sign;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::oauth_error::OauthProblem;
use crate::service::{OauthRefusal, Service};

/// ecdsa-with-SHA256.
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
/// P-256.
const P256: &str = "1.2.840.10045.3.1.7";
/// SHA-256.
const SHA256: &str = "2.16.840.1.101.3.4.2.1";

/// Which version a call speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(info::info))
        .routes(routes!(credentials::list))
        .routes(routes!(credentials::info))
        .routes(routes!(sign::sign_hash))
}

/// Routes that wait for a person; they have limits of their own.
pub(super) fn long_poll_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(sign::authorize)).routes(routes!(sign::authorize_check))
}

fn invalid(parameter: &str) -> OauthProblem {
    OauthRefusal::request(format!("Invalid parameter {parameter}")).into()
}
