//! What went wrong, who is at fault, and what to do next. No text holds a secret or a personal value.

use signer_core::{
    ceremony::CeremonyError,
    credential::RequestRefusal,
    history::HistoryFault,
    ids::RequestId,
    signing::SigningError,
    trust::TrustListError,
    wire::{Attempts, Problem, ProblemCode, Retry},
};

use crate::ports::{KeystoreError, StorageError, TransportError};

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The person or program that called.
    Caller,
    /// The network; trying again helps.
    Network,
    /// The server said no, for the reason it gave.
    Refused,
    /// The server broke the protocol. It should not be trusted before it is looked at.
    Server,
    /// This phone: storage, keystore, or its stored state.
    Phone,
}

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused. Nothing was counted or changed unless the code says so.
    #[error("{}{}", .0.title, .0.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Problem(Problem),
    /// No answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An approval was sent and no answer of the server came: it may or may not have been carried out.
    #[error("the approval of request {0} was sent, and no answer of the server came")]
    OutcomeUnknown(RequestId),
    /// The PIN was wrong.
    #[error("the PIN is wrong{}", attempts_text(.0))]
    WrongPin(Attempts),
    /// The server answered something that is not in the protocol, or that fails its checks.
    #[error("the server's answer failed its checks: {0}")]
    ServerMisbehaved(&'static str),
    /// The server's history is not the one this phone has seen.
    #[error("{0}")]
    History(HistoryFault),
    /// A trust list that is not believed; the one believed stays.
    #[error(transparent)]
    TrustList(#[from] TrustListError),
    /// A business's request that is not answered.
    #[error(transparent)]
    Request(#[from] RequestRefusal),
    /// The stored state does not allow this.
    #[error("{0}")]
    State(StateError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The keystore failed.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The call makes no sense.
    #[error("{0}")]
    Usage(&'static str),
}

/// What the stored state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// No key yet.
    #[error("this phone is not enrolled")]
    NotEnrolled,
    /// There is a key already.
    #[error("this phone is enrolled already")]
    AlreadyEnrolled,
    /// The image was written by another version.
    #[error("the stored state has version {found}, this program reads version {expected}")]
    Version {
        /// Version of the image.
        found: u32,
        /// Version this program reads.
        expected: u32,
    },
    /// The image is not a state image, or it was damaged.
    #[error("the stored state is damaged")]
    Damaged,
    /// The image belongs to another keystore.
    #[error("the stored state belongs to another device key")]
    OtherDevice,
    /// The image belongs to another server.
    #[error("the stored state belongs to another server")]
    OtherServer,
    /// The server has other shares of the key than this phone.
    #[error(
        "the server holds other shares of this key than this phone: an old copy of the phone's state was restored"
    )]
    OtherShares,
    /// The shown request was fetched before the key changed, or by another phone.
    #[error("the key changed since this request was fetched")]
    KeyChanged,
    /// An approval was sent, and what became of it is not known yet.
    #[error("an approval was sent, and its outcome is not known yet")]
    Unfinished,
    /// No signed time since the phone was switched on.
    #[error("this phone has not had the server's time since it was switched on")]
    NoSignedTime,
    /// No credential left for this profile.
    #[error("there is no credential left for this profile")]
    NoCredential,
    /// The credential on display has ended.
    #[error("the credential on display has expired")]
    CredentialExpired,
    /// The request answered is of an earlier time.
    #[error("the business's request is over")]
    RequestOver,
    /// The phone was not online since trust lists exist.
    #[error("this phone has no trust list yet")]
    NoTrustList,
    /// All turns of the step are used up.
    #[error("this code was used sixteen times in three minutes")]
    TurnsUsedUp,
}

impl ClientError {
    /// Who must act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Problem(problem) if problem.status >= 500 => Fault::Network,
            Self::Problem(_) | Self::Request(_) => Fault::Refused,
            Self::Transport(TransportError::Address(_)) | Self::WrongPin(_) | Self::Usage(_) => Fault::Caller,
            Self::Transport(_) | Self::OutcomeUnknown(_) => Fault::Network,
            Self::ServerMisbehaved(_) | Self::History(_) | Self::TrustList(_) => Fault::Server,
            Self::State(_) | Self::Storage(_) | Self::Keystore(_) => Fault::Phone,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Problem(problem) => problem.code.code(),
            Self::Transport(_) => "transport",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::WrongPin(_) => "wrong_pin",
            Self::ServerMisbehaved(_) => "server_misbehaved",
            Self::History(_) => "history_changed",
            Self::TrustList(_) => "trust_list",
            Self::Request(refusal) => refusal.code(),
            Self::State(_) => "state",
            Self::Storage(_) => "storage",
            Self::Keystore(_) => "keystore",
            Self::Usage(_) => "usage",
        }
    }

    /// What to do now, in one sentence.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Problem(problem) => match (problem.code, problem.code.retry()) {
                (ProblemCode::Locked, _) => "Wait until the time named, then try again with the right PIN.",
                (ProblemCode::Blocked | ProblemCode::Frozen | ProblemCode::Revoked, _) => {
                    "Remove this enrolment and ask for a new enrolment code."
                }
                (ProblemCode::NotTheDevice, _) => {
                    "Check the server's address; enrol if this phone is new to it."
                }
                (ProblemCode::EnrolmentCode, _) => "Ask for a new enrolment code.",
                (_, Retry::SameRequest) => "Try again in a minute.",
                (_, Retry::NewExchange) => "Start this again from the beginning.",
                (_, Retry::Never) => "Read the sentence above; trying the same again will not help.",
            },
            Self::Transport(TransportError::Address(_)) => {
                "Give an https address, or plain http to this machine only."
            }
            Self::Transport(TransportError::TooLarge) => "Check that the address is that of a signer server.",
            Self::Transport(_) => "Check the connection and try again.",
            Self::OutcomeUnknown(_) => {
                "Go online and ask for the status: it tells what became of the approval."
            }
            Self::WrongPin(attempts) if attempts.blocked => "Enrol again: this PIN can no longer be tried.",
            Self::WrongPin(attempts) if attempts.locked_until.is_some() => {
                "Wait until the lock ends, then fetch the request again and type the right PIN."
            }
            Self::WrongPin(_) => "Fetch the request again and type the right PIN.",
            Self::ServerMisbehaved(_) => "Do not go on with this server; tell its operator.",
            Self::History(HistoryFault::Shortened { .. }) => {
                "Ask the server's operator whether a backup was put back; acts since then are forgotten there."
            }
            Self::History(_) => "Do not go on with this server; tell its operator.",
            Self::TrustList(_) => {
                "Do not answer requests before a newer trust list came; tell the server's operator."
            }
            Self::Request(refusal) => request_step(*refusal),
            Self::State(state) => state.next_step(),
            Self::Storage(_) => "Free space, check permissions, and try again.",
            Self::Keystore(_) => "Restart the phone; if it goes on, enrol again.",
            Self::Usage(_) => "Correct the call.",
        }
    }

    /// Whether another run of the same exchange, from its beginning, may succeed.
    pub(crate) fn wants_new_exchange(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code.retry() == Retry::NewExchange,
            _ => false,
        }
    }

    pub(crate) fn is_problem(&self, code: ProblemCode) -> bool {
        matches!(self, Self::Problem(problem) if problem.code == code)
    }
}

impl StateError {
    const fn next_step(self) -> &'static str {
        match self {
            Self::NotEnrolled => "Enrol first, with the code an operator gave you.",
            Self::AlreadyEnrolled => "Use it, or remove this enrolment first.",
            Self::Version { found, expected } if found > expected => "Update this program.",
            Self::Version { .. } => "Use the program that wrote it, or enrol again.",
            Self::Damaged | Self::OtherShares | Self::OtherDevice => {
                "Remove this enrolment and enrol again with a new code."
            }
            Self::OtherServer => "Use the server this phone was enrolled with.",
            Self::KeyChanged => "Fetch the request again.",
            Self::Unfinished => "Go online and ask for the outcome of that approval first.",
            Self::NoSignedTime => {
                "Connect once; after that showing works offline until the phone is switched off."
            }
            Self::NoCredential | Self::CredentialExpired => {
                "Go online to get new credentials, then show again."
            }
            Self::RequestOver => "Scan the business's new code.",
            Self::NoTrustList => "Go online once; after that requests are checked offline.",
            Self::TurnsUsedUp => "Wait for the next code; it comes within three minutes.",
        }
    }
}

impl From<StateError> for ClientError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<CeremonyError> for ClientError {
    fn from(error: CeremonyError) -> Self {
        match error {
            CeremonyError::Peer => Self::ServerMisbehaved("its part of the key exchange is wrong"),
            CeremonyError::OtherCeremony => Self::ServerMisbehaved("it answered for another key exchange"),
            // Cheating is for the server to find.
            CeremonyError::Own | CeremonyError::Cheating => StateError::Damaged.into(),
        }
    }
}

impl From<SigningError> for ClientError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Mismatch => Self::ServerMisbehaved("its commitments do not belong to this request"),
            SigningError::OtherEpoch => StateError::KeyChanged.into(),
            SigningError::Changed => Self::ServerMisbehaved("the request is not the one that was listed"),
            SigningError::BadSignature => Self::ServerMisbehaved("a signature is not valid under the key"),
            SigningError::Own => StateError::Damaged.into(),
        }
    }
}

const fn request_step(refusal: RequestRefusal) -> &'static str {
    match refusal {
        RequestRefusal::Unreadable => "Scan the business's code again.",
        RequestRefusal::NotOurs => "Scan the code with which the business asks; it begins with DR1.",
        RequestRefusal::UnknownIssuer => "Go online to bring the trust list up to date; else show nothing.",
        RequestRefusal::BadSignature => "Show nothing: this is not the business it says it is.",
        RequestRefusal::Clock(_) => "Go online to set the clock, then scan the business's new code.",
        RequestRefusal::Expired => {
            "The business has to renew its credential; until then show age or minimal."
        }
        RequestRefusal::NotAllowed => "Show nothing; the business may ask for less.",
    }
}

fn attempts_text(attempts: &Attempts) -> String {
    match attempts {
        Attempts { blocked: true, .. } => "; no more tries".into(),
        Attempts { locked_until: Some(until), .. } => {
            format!("; locked until {} (Unix seconds)", until.0)
        }
        Attempts { left, .. } => format!("; {left} left before a lock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_020_an_ended_enrolment_is_answered_by_a_new_code() {
        for code in [ProblemCode::Blocked, ProblemCode::Frozen, ProblemCode::Revoked] {
            let error = ClientError::Problem(Problem::new(code, None, None));
            assert_eq!(error.next_step(), "Remove this enrolment and ask for a new enrolment code.");
            assert!(error.to_string().contains("enrol again"), "{error}");
        }
    }
}
