//! Refusals as OAuth clients and CSC clients read them (RFC 6749 §5.2), with the members of RFC 9457 beside.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use signer_core::wire::ProblemCode;

use super::measure::Outcome;
use crate::service::{OauthError, OauthRefusal, Refusal, ServiceError};

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct OauthProblem(OauthRefusal);

impl From<OauthRefusal> for OauthProblem {
    fn from(refusal: OauthRefusal) -> Self {
        Self(refusal)
    }
}

impl From<OauthError> for OauthProblem {
    /// What is inside a failure goes to the log; the caller learns that there was one.
    fn from(error: OauthError) -> Self {
        match error {
            OauthError::Refused(refusal) => Self(refusal),
            OauthError::Failed(error) => {
                tracing::error!(%error, "request failed");
                Self(Refusal::new(ProblemCode::Internal).into())
            }
        }
    }
}

impl From<ServiceError> for OauthProblem {
    fn from(error: ServiceError) -> Self {
        OauthError::from(error).into()
    }
}

impl From<Refusal> for OauthProblem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl From<BytesRejection> for OauthProblem {
    fn from(error: BytesRejection) -> Self {
        Self(OauthRefusal::new(error.status().as_u16(), "invalid_request", "The body cannot be read"))
    }
}

impl IntoResponse for OauthProblem {
    fn into_response(self) -> Response {
        let Self(OauthRefusal { status, error, description, reason, retry_after }) = self;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "error": error,
            "error_description": description,
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": description,
        });
        if let (Some(reason), Some(members)) = (reason, body.as_object_mut()) {
            members.insert("reason".into(), reason.into());
        }
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(Outcome(error));
        let headers = response.headers_mut();
        // RFC 6750 §3.1, RFC 6749 §5.2.
        let challenge = match error {
            "invalid_token" => Some(HeaderValue::from_static("Bearer error=\"invalid_token\"")),
            "invalid_client" => Some(HeaderValue::from_static("Basic realm=\"token endpoint\"")),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, retry_after.unwrap_or(1).into());
        }
        response
    }
}
