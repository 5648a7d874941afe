//! Refusals in OAuth's shape (RFC 6749 §5.2), which the CSC API shares.

use signer_core::wire::ProblemCode;

use crate::{
    service::{Refusal, ServiceError},
    store::StoreError,
};

/// A refusal. Its texts hold no secret and no personal value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthRefusal {
    /// HTTP status.
    pub status: u16,
    /// The code of the standard.
    pub error: &'static str,
    /// What exactly.
    pub description: String,
    /// Why a person's signature did not come, of a closed list.
    pub reason: Option<&'static str>,
    /// How long to wait before the same again, seconds, where it is known.
    pub retry_after: Option<u64>,
}

impl OauthRefusal {
    /// A wrong request: status 400, `invalid_request`.
    #[must_use]
    pub fn request(description: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// The client did not prove itself.
    #[must_use]
    pub fn client(description: impl Into<String>) -> Self {
        Self::new(401, "invalid_client", description)
    }

    /// A refusal with this status and code.
    #[must_use]
    pub fn new(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), reason: None, retry_after: None }
    }
}

/// Why a call of OAuth or of the CSC API did not succeed.
#[derive(Debug)]
pub enum OauthError {
    /// Refused.
    Refused(OauthRefusal),
    /// The server failed; what is inside goes to the log.
    Failed(ServiceError),
}

impl From<OauthRefusal> for OauthError {
    fn from(refusal: OauthRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for OauthError {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<ServiceError> for OauthError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(refusal) => Self::Refused(refusal.into()),
            ServiceError::Store(
                StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::Unknown(_),
            ) => Self::Refused(Refusal::new(ProblemCode::Overloaded).into()),
            ServiceError::Token(_) => Self::Refused(Refusal::new(ProblemCode::HsmUnavailable).into()),
            failed => Self::Failed(failed),
        }
    }
}

impl From<Refusal> for OauthRefusal {
    /// A refusal of the core in this shape.
    fn from(refusal: Refusal) -> Self {
        let text = refusal.detail.unwrap_or_else(|| refusal.code.title().to_owned());
        let own = match refusal.code {
            ProblemCode::Unauthenticated => Self::new(401, "invalid_token", text),
            ProblemCode::Forbidden => Self::new(400, "unauthorized_client", text),
            ProblemCode::TooMany => Self::new(429, "temporarily_unavailable", text),
            ProblemCode::Overloaded | ProblemCode::Timeout | ProblemCode::HsmUnavailable => {
                Self::new(503, "temporarily_unavailable", text)
            }
            ProblemCode::Internal => Self::new(500, "server_error", text),
            _ => Self::request(text),
        };
        Self { retry_after: refusal.retry_after, ..own }
    }
}
