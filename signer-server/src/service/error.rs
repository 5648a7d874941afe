//! Refusals and failures of the service layer.

use signer_core::{
    ceremony::CeremonyError, codec::CodecError, signing::ApproveRefusal, suite::SuiteError,
    time::UnixSeconds, wire::EnvelopeError, wire::ProblemCode, wrap::WrapError,
};

use crate::{
    hsm::TokenError,
    store::StoreError,
    wrap::{KekError, SecretError},
};

/// A refusal: the caller's fault or a state the caller must wait for. Goes out as a problem document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: ProblemCode,
    /// What exactly; holds no secret and no personal value.
    pub detail: Option<String>,
    /// Server time or the end of a lock.
    pub time: Option<UnixSeconds>,
    /// How long to wait before the same again, seconds, where it is known.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with nothing to add to its code.
    #[must_use]
    pub const fn new(code: ProblemCode) -> Self {
        Self { code, detail: None, time: None, retry_after: None }
    }

    /// A refusal that says what exactly.
    #[must_use]
    pub fn because(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: Some(detail.into()), time: None, retry_after: None }
    }
}

/// Why a use case did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Refused.
    #[error("refused: {}", .0.code.code())]
    Refused(Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Wrapping or unwrapping failed: a wrong key-encryption key or a damaged store.
    #[error("wrapped secret: {0}")]
    Wrap(#[from] WrapError),
    /// The token that has the key does not work.
    #[error("wrapped secret or own key: {0}")]
    Token(TokenError),
    /// One of the server's own keys is in a token, and this server has none.
    #[error("one of this server's own keys is in a token: set hsm.module, hsm.token and hsm.pin_file")]
    NoToken,
    /// A key-encryption key cannot be used.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The certification authority failed.
    #[error(transparent)]
    Ca(#[from] crate::ca::CaError),
    /// A state that the code rules out.
    #[error("bug: {0}")]
    Bug(&'static str),
}

/// Result of a use case.
pub type ServiceResult<T> = Result<T, ServiceError>;

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<TokenError> for ServiceError {
    fn from(error: TokenError) -> Self {
        SecretError::from(error).into()
    }
}

impl From<SecretError> for ServiceError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Wrap(error) => Self::Wrap(error),
            SecretError::Token(error) => Self::Token(error),
        }
    }
}

impl From<EnvelopeError> for Refusal {
    fn from(error: EnvelopeError) -> Self {
        let code = match error {
            EnvelopeError::Codec(_) => ProblemCode::Malformed,
            EnvelopeError::Version => ProblemCode::UnsupportedVersion,
            EnvelopeError::Operation => ProblemCode::Malformed,
            EnvelopeError::Signature => ProblemCode::NotTheDevice,
            EnvelopeError::Clock => ProblemCode::Clock,
        };
        match error {
            EnvelopeError::Codec(_) | EnvelopeError::Operation => Self::because(code, error.to_string()),
            EnvelopeError::Version | EnvelopeError::Signature | EnvelopeError::Clock => Self::new(code),
        }
    }
}

impl From<EnvelopeError> for ServiceError {
    fn from(error: EnvelopeError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<CodecError> for ServiceError {
    fn from(error: CodecError) -> Self {
        Refusal::because(ProblemCode::Malformed, error.to_string()).into()
    }
}

impl From<CeremonyError> for ServiceError {
    fn from(error: CeremonyError) -> Self {
        match error {
            CeremonyError::Peer | CeremonyError::Cheating => Refusal::new(ProblemCode::CeremonyFailed).into(),
            CeremonyError::OtherCeremony => Refusal::new(ProblemCode::CeremonyUnknown).into(),
            CeremonyError::Own => Self::Bug("own computation in a ceremony"),
        }
    }
}

impl From<SuiteError> for ServiceError {
    fn from(error: SuiteError) -> Self {
        match error {
            SuiteError::Peer => Refusal::because(ProblemCode::Malformed, error.to_string()).into(),
            SuiteError::OwnMaterial => Self::Bug("stored key material"),
        }
    }
}

impl From<ApproveRefusal> for ServiceError {
    fn from(error: ApproveRefusal) -> Self {
        let code = match error {
            ApproveRefusal::Malformed => ProblemCode::Malformed,
            ApproveRefusal::RecordSignature => ProblemCode::NotTheDevice,
            ApproveRefusal::RecordMismatch | ApproveRefusal::RecordTime => ProblemCode::RecordMismatch,
            ApproveRefusal::Stale => ProblemCode::Stale,
            ApproveRefusal::Own => return Self::Bug("stored key material"),
        };
        Refusal::because(code, error.to_string()).into()
    }
}
