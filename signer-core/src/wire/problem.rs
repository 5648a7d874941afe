//! Problem codes: the closed list of refusals, stable, shared by server and client (RFC 9457).

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// What a client should do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing will help; the input or the right is missing.
    Never,
    /// The same bytes again, after a pause.
    SameRequest,
    /// Start the exchange anew (fetch again, enrol again).
    NewExchange,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal, $retry:ident;)*) => {
        /// Why a request was refused. Nothing was counted or changed unless the code says so.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ProblemCode { $($(#[$doc])* #[serde(rename = $code)] $name,)* }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for ProblemCode {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
                schema.enum_values(Some([$($code,)*])).description(Some("The stable code.")).into()
            }
        }
        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for ProblemCode {}

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, `snake_case`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// One sentence for a person.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do next.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }
        }
    };
}

problems! {
    /// Bytes that are not the expected message.
    Malformed = "malformed", 400, "The message is malformed, oversized or not in canonical form.", Never;
    /// A protocol version this server does not speak.
    UnsupportedVersion = "unsupported_version", 400, "This protocol version is not supported; update the app.", Never;
    /// A value out of its bounds.
    InvalidValue = "invalid_value", 422, "A value is out of its bounds.", Never;
    /// No bearer token, or one that is not known.
    Unauthenticated = "unauthenticated", 401, "A valid bearer token is needed.", Never;
    /// The token is known and does not allow this.
    Forbidden = "forbidden", 403, "This caller may not do that.", Never;
    /// Unknown device, or not signed by its key: the two look alike.
    NotTheDevice = "not_the_device", 401, "The message is not signed by the key of a known device.", Never;
    /// The phone's clock is too far off; the detail names the server's time.
    Clock = "clock", 409, "The clock is too far from the server's; correct it and send again.", SameRequest;
    /// Unknown, used or expired enrolment code.
    EnrolmentCode = "enrolment_code", 403, "The enrolment code is unknown, used or expired; ask for a new one.", Never;
    /// The device key is already enrolled.
    AlreadyEnrolled = "already_enrolled", 409, "This device is already enrolled.", Never;
    /// The ceremony is unknown, ended or timed out; its secrets are destroyed.
    CeremonyUnknown = "ceremony_unknown", 409, "This ceremony has ended or timed out; start again.", NewExchange;
    /// A ceremony failed its checks; its secrets are destroyed.
    CeremonyFailed = "ceremony_failed", 422, "The key exchange failed its checks; start again.", NewExchange;
    /// No such object for this caller.
    NotFound = "not_found", 404, "There is no such object for this caller.", Never;
    /// The request was decided, cancelled or has expired.
    RequestClosed = "request_closed", 409, "The request is no longer open.", Never;
    /// The commitments are too old, from other shares, or not those that were given out.
    Stale = "stale", 409, "What this was based on is no longer valid; fetch again.", NewExchange;
    /// Somebody had success under the same device token after this was fetched: this try will have none.
    Overtaken = "overtaken", 409, "This key signed since this was fetched, perhaps by a copy of this phone; fetch again, and a copy will show.", NewExchange;
    /// The request has a verification code, and the holder has not chosen it yet.
    CodeNotChosen = "code_not_chosen", 409, "The verification code of the request must be chosen first.", Never;
    /// No such link, or one that was altered: the two look alike.
    LinkUnknown = "link_unknown", 404, "This is no link of this server, or it was altered; scan it again.", Never;
    /// A link that is more than three seconds old, or not of this time yet.
    LinkStale = "link_stale", 409, "This link is not of this moment; scan the one that is shown now.", NewExchange;
    /// A link that another phone opened first.
    LinkUsed = "link_used", 409, "This link was opened by another phone.", Never;
    /// What the holder approved is not what was requested.
    RecordMismatch = "record_mismatch", 422, "The approval record does not match the request.", Never;
    /// Another attempt on this installation is being evaluated.
    Busy = "busy", 409, "Another attempt is being evaluated; send the same again.", SameRequest;
    /// Too many wrong PINs; the detail says until when.
    Locked = "locked", 403, "Locked after wrong PINs; wait until the time named.", Never;
    /// Too many wrong PINs, for good.
    Blocked = "blocked", 403, "Blocked after too many wrong PINs; enrol again.", Never;
    /// A retired device token was presented: keys are frozen, for good.
    Frozen = "frozen", 403, "This installation is frozen because a copy of it was seen; enrol again with a new code.", Never;
    /// The operator suspended the installation.
    Suspended = "suspended", 403, "This key is suspended; ask the operator.", Never;
    /// The installation or its key has ended.
    Revoked = "revoked", 403, "This key has ended; enrol again.", Never;
    /// A device token that was never given out.
    UnknownToken = "unknown_token", 403, "The device token is not known; ask for the status.", NewExchange;
    /// The same idempotency key came with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422, "This idempotency key was used with another body.", Never;
    /// The first request with this idempotency key is being made.
    IdempotencyInFlight = "idempotency_in_flight", 409, "The request with this idempotency key is being made; send the same again.", SameRequest;
    /// A verifier's request id came with another code while an answer under it may be asked for.
    RequestIdUsed = "request_id_used", 409, "This request id stands for another code; choose a new one.", Never;
    /// Too many of something.
    TooMany = "too_many", 429, "Too many requests; wait and try again.", SameRequest;
    /// No register is connected, or it does not answer.
    RegisterNotReached = "register_not_reached", 503, "The document register cannot be reached; try later.", SameRequest;
    /// The register has no such document for this holder.
    NoDocument = "no_document", 404, "The register has no such document for this person.", Never;
    /// No such path.
    NoSuchPath = "no_such_path", 404, "There is no such path.", Never;
    /// Not this method.
    MethodNotAllowed = "method_not_allowed", 405, "This path does not take that method.", Never;
    /// Another content type is needed.
    UnsupportedMediaType = "unsupported_media_type", 415, "Another content type is needed.", Never;
    /// More bytes than allowed.
    TooLarge = "too_large", 413, "The body is larger than allowed.", Never;
    /// The time for this request ran out; it may or may not have been carried out.
    Timeout = "timeout", 503, "The request took too long; send the same again.", SameRequest;
    /// More requests than the server takes at once.
    Overloaded = "overloaded", 503, "The server is busy; send the same again.", SameRequest;
    /// The token that holds the server's keys does not work now.
    HsmUnavailable = "hsm_unavailable", 503, "The server cannot reach its keys; send the same again later.", SameRequest;
    /// A fault of the server; nothing was released.
    Internal = "internal", 500, "The server failed; nothing was released. Send the same again or tell the operator.", SameRequest;
}

/// Prefix of every problem's `type` URI.
pub const PROBLEM_TYPE_PREFIX: &str = "urn:signer:problem:";

/// A problem document as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// [`PROBLEM_TYPE_PREFIX`] and the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The title of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What exactly, without any personal value or secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable code.
    pub code: ProblemCode,
    /// Server time or the end of a lock, Unix seconds, where the code speaks of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}

impl Problem {
    /// The problem with this code.
    #[must_use]
    pub fn new(code: ProblemCode, detail: Option<String>, time: Option<u64>) -> Self {
        Self {
            type_uri: alloc::format!("{PROBLEM_TYPE_PREFIX}{}", code.code()),
            title: code.title().into(),
            status: code.status(),
            detail,
            code,
            time,
        }
    }
}
