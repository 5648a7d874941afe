//! Problem documents (RFC 9457) from refusals and failures.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use signer_core::wire::{Problem, ProblemCode, Retry};

use super::measure::Outcome;
use crate::{
    hsm::TokenError,
    service::{Refusal, ServiceError},
    store::StoreError,
    wrap::KekError,
};

/// A problem on its way out, and how long to wait, seconds, where that is known.
#[derive(Debug)]
pub(super) struct ApiProblem(Problem, Option<u64>);

impl From<ProblemCode> for ApiProblem {
    fn from(code: ProblemCode) -> Self {
        Refusal::new(code).into()
    }
}

impl From<Refusal> for ApiProblem {
    fn from(refusal: Refusal) -> Self {
        let problem = Problem::new(refusal.code, refusal.detail, refusal.time.map(|time| time.0));
        Self(problem, refusal.retry_after)
    }
}

impl From<ServiceError> for ApiProblem {
    /// What is inside a failure goes to the log; the caller learns the code.
    fn from(error: ServiceError) -> Self {
        let code = match &error {
            ServiceError::Refused(refusal) => return refusal.clone().into(),
            ServiceError::Store(
                StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::Unknown(_),
            ) => ProblemCode::Overloaded,
            ServiceError::Token(TokenError::Refused(_)) => ProblemCode::Internal,
            ServiceError::Token(_) | ServiceError::Kek(KekError::Token(_)) => ProblemCode::HsmUnavailable,
            ServiceError::Store(_)
            | ServiceError::Wrap(_)
            | ServiceError::Kek(_)
            | ServiceError::NoToken
            | ServiceError::Ca(_)
            | ServiceError::Bug(_) => ProblemCode::Internal,
        };
        if code == ProblemCode::Internal {
            tracing::error!(%error, "request failed");
        }
        code.into()
    }
}

#[cfg(feature = "otel")]
impl crate::traces::Coded for ApiProblem {
    fn code(&self) -> &'static str {
        self.0.code.code()
    }

    fn is_failure(&self) -> bool {
        self.0.code.status() >= 500
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        response.extensions_mut().insert(Outcome(code.code()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, super::header_value("application/problem+json"));
        if code.retry() == Retry::SameRequest && matches!(code.status(), 409 | 429 | 503) {
            headers.insert(header::RETRY_AFTER, self.1.unwrap_or(1).into());
        }
        if code == ProblemCode::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, super::header_value("Bearer"));
        }
        response
    }
}
