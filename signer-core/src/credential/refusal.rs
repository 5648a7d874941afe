//! Why a code is not accepted: a closed list of reasons, each with one sentence and one next step for a person.
//!
//! A wrong clock is called a clock, never a forgery. No text names the holder or who used a code before.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::{format, string::String};

use serde::{Deserialize, Serialize};

/// Whose clock is wrong, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockFault {
    /// The code's step has not begun.
    CodeEarly {
        /// Seconds from now to the first second of the step.
        seconds: u64,
    },
    /// The code's step is over.
    CodeLate {
        /// Seconds from the last second of the step to now.
        seconds: u64,
    },
    /// The verifier's clock is before a time that a trusted key has signed.
    VerifierBehind {
        /// By at least so many seconds.
        seconds: u64,
    },
}

/// Why a code is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It begins like our codes and is not the one form of any.
    Unreadable,
    /// Another kind of code.
    NotOurs,
    /// No trusted issuer's key fits, or it may not sign this kind of document.
    UnknownIssuer,
    /// The issuer's or the phone's signature is wrong.
    BadSignature,
    /// The code is for another time, or the verifier's clock is wrong.
    Clock(ClockFault),
    /// The credential under the code has ended.
    Expired,
    /// The document itself is past its last day.
    DocumentExpired,
    /// It answers no request or another one.
    NotForThisRequest,
    /// A server holds the key, and the document is a person's.
    HeldByServer,
    /// This very code was accepted before.
    Used,
    /// The issuer has withdrawn the document or the phone was reported lost.
    Revoked,
    /// The issuer has withdrawn the document for now.
    Suspended,
    /// A later code of the credential was shown or used since.
    Superseded,
    /// No such digits are on display.
    UnknownCode,
    /// The holder said no.
    Declined,
    /// The holder did not answer in time.
    NoAnswer,
    /// The holder has not reached the age asked for.
    TooYoung,
    /// The business wants every code checked online.
    OnlineRequired,
    /// The register did not answer.
    RegisterNotReached,
}

/// The stable code of an outcome, as it stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Accepted.
    Valid,
    /// Accepted, but nothing is known of withdrawals.
    WithdrawalsNotChecked,
    /// Accepted, but what is known of withdrawals is a day old or older than the credential.
    ListOld,
    /// Accepted, but the trust list is seven days old.
    TrustListOld,
    /// [`Refusal::Unreadable`].
    Unreadable,
    /// [`Refusal::NotOurs`].
    NotOurs,
    /// [`Refusal::UnknownIssuer`].
    UnknownIssuer,
    /// [`Refusal::BadSignature`].
    BadSignature,
    /// [`Refusal::Clock`].
    Clock,
    /// [`Refusal::Expired`].
    Expired,
    /// [`Refusal::DocumentExpired`].
    DocumentExpired,
    /// [`Refusal::NotForThisRequest`].
    NotForThisRequest,
    /// [`Refusal::HeldByServer`].
    HeldByServer,
    /// [`Refusal::Used`].
    Used,
    /// [`Refusal::Revoked`].
    Revoked,
    /// [`Refusal::Suspended`].
    Suspended,
    /// [`Refusal::Superseded`].
    Superseded,
    /// [`Refusal::UnknownCode`].
    UnknownCode,
    /// [`Refusal::Declined`].
    Declined,
    /// [`Refusal::NoAnswer`].
    NoAnswer,
    /// [`Refusal::TooYoung`].
    TooYoung,
    /// [`Refusal::OnlineRequired`].
    OnlineRequired,
    /// [`Refusal::RegisterNotReached`].
    RegisterNotReached,
}

impl Refusal {
    /// Its stable code.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Unreadable => Reason::Unreadable,
            Self::NotOurs => Reason::NotOurs,
            Self::UnknownIssuer => Reason::UnknownIssuer,
            Self::BadSignature => Reason::BadSignature,
            Self::Clock(_) => Reason::Clock,
            Self::Expired => Reason::Expired,
            Self::DocumentExpired => Reason::DocumentExpired,
            Self::NotForThisRequest => Reason::NotForThisRequest,
            Self::HeldByServer => Reason::HeldByServer,
            Self::Used => Reason::Used,
            Self::Revoked => Reason::Revoked,
            Self::Suspended => Reason::Suspended,
            Self::Superseded => Reason::Superseded,
            Self::UnknownCode => Reason::UnknownCode,
            Self::Declined => Reason::Declined,
            Self::NoAnswer => Reason::NoAnswer,
            Self::TooYoung => Reason::TooYoung,
            Self::OnlineRequired => Reason::OnlineRequired,
            Self::RegisterNotReached => Reason::RegisterNotReached,
        }
    }

    /// What happened, in one sentence.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Self::Unreadable => "The code is damaged.".into(),
            Self::NotOurs => "This is not a document code.".into(),
            Self::UnknownIssuer => "The document is from an issuer this verifier does not know.".into(),
            Self::BadSignature => "The code was not made by the issuer and the phone it names.".into(),
            Self::Clock(ClockFault::CodeEarly { seconds }) => {
                format!("The time of this code begins in {seconds} s: a clock is wrong.")
            }
            Self::Clock(ClockFault::CodeLate { seconds }) => {
                format!("The time of this code ended {seconds} s ago.")
            }
            Self::Clock(ClockFault::VerifierBehind { seconds }) => {
                format!("The clock of this verifier is at least {seconds} s behind.")
            }
            Self::Expired => "The phone has not renewed the document for a day.".into(),
            Self::DocumentExpired => "The document is no longer valid.".into(),
            Self::NotForThisRequest => "The code does not answer this request.".into(),
            Self::HeldByServer => "The code was made by a server, not by a phone.".into(),
            Self::Used => "This code has been used.".into(),
            Self::Revoked => "The document has been withdrawn.".into(),
            Self::Suspended => "The document has been withdrawn for now.".into(),
            Self::Superseded => "A later code of this phone has taken the place of this one.".into(),
            Self::UnknownCode => "No phone shows this code now.".into(),
            Self::Declined => "The holder has said no.".into(),
            Self::NoAnswer => "The holder has not answered.".into(),
            Self::TooYoung => "The holder has not reached the age asked for.".into(),
            Self::OnlineRequired => "This business accepts codes only after an online check.".into(),
            Self::RegisterNotReached => "The register does not answer.".into(),
        }
    }

    /// What to do now, in one sentence.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::Unreadable => "Scan again, with more light and the whole code in view.",
            Self::NotOurs => "Ask for the document's code in the app.",
            Self::UnknownIssuer => "Update the list of issuers, then scan again.",
            Self::BadSignature => "Do not accept it; ask for the document itself.",
            Self::Clock(ClockFault::CodeEarly { .. }) => "Compare both clocks, then scan again.",
            Self::Clock(ClockFault::CodeLate { .. }) => {
                "Ask for the code now on the screen; if it is refused too, compare both clocks."
            }
            Self::Clock(ClockFault::VerifierBehind { .. }) => {
                "Set the clock of this verifier, then scan again."
            }
            Self::Expired => "Ask the holder to go online and open the document again.",
            Self::DocumentExpired => "Ask for another document.",
            Self::NotForThisRequest => "Show the request again and let the holder scan it.",
            Self::HeldByServer => "Ask for the code on the holder's own phone.",
            Self::Used | Self::Superseded => "Ask for the code now on the screen.",
            Self::Revoked | Self::Suspended => "Do not accept it; the holder finds the reason in the app.",
            Self::UnknownCode => "Compare the digits with the screen, and type them again.",
            Self::Declined => "Ask the holder which document they want to show.",
            Self::NoAnswer => "Ask the holder to keep the code on the screen and to answer, then try again.",
            Self::TooYoung => "Treat the holder as under age.",
            Self::OnlineRequired => "Go online, then scan again.",
            Self::RegisterNotReached => "Scan the QR code, or try again in a minute.",
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl core::error::Error for Refusal {}
