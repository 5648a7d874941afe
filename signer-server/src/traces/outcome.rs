//! How an act ended: a code of a closed list, never a text.

use signer_core::wrap::WrapError;

use crate::{
    hsm::TokenError, registers::RegisterError, service::ServiceError, store::StoreError, wrap::SecretError,
};

/// An act that did its work.
pub(super) const OK: &str = "ok";
/// A failure that is this server's.
const INTERNAL: &str = "internal";

/// An error with a code.
pub(crate) trait Coded {
    /// The code.
    fn code(&self) -> &'static str;

    /// Whether something is wrong here, rather than with what a caller wanted.
    fn is_failure(&self) -> bool {
        true
    }
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Stopped(_) => "stopped",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::Engine(_) => "engine",
            Self::Corrupt(_) => "corrupt",
        }
    }
}

impl Coded for WrapError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownKek(_) => "unknown_kek",
            Self::Altered => "altered",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
        }
    }
}

impl Coded for TokenError {
    fn code(&self) -> &'static str {
        self.outcome()
    }
}

impl Coded for SecretError {
    fn code(&self) -> &'static str {
        match self {
            Self::Wrap(error) => error.code(),
            Self::Token(error) => error.code(),
        }
    }
}

impl Coded for RegisterError {
    fn code(&self) -> &'static str {
        "not_reached"
    }
}

impl Coded for ServiceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code.code(),
            Self::Store(error) => error.code(),
            Self::Wrap(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::Kek(_) | Self::NoToken | Self::Ca(_) | Self::Bug(_) => INTERNAL,
        }
    }

    fn is_failure(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}
