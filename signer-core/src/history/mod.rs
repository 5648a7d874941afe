//! The holder's history: who asked what of them, when, and with what result. Rules: `spec/history.md`.
//!
//! The server writes an [`Entry`] in the transaction of the act it tells, sealed to a key that only the phone has
//! ([`HistoryKey`]), and chains it to the one before ([`HistoryHead`]). The phone remembers the newest head it has seen; a
//! [`HistoryCheck`] compares what the server shows later with it and names what does not fit ([`HistoryFault`]).

mod chain;
mod seal;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails the test")]
mod tests;

use minicbor::{Decode, Encode};

pub use self::{
    chain::{HistoryCheck, HistoryFault, HistoryHead},
    seal::{HistoryKey, HistoryKeyBytes, SEALED_BYTES_MAX, SealError, SealedEntry},
};
use crate::{
    approval::{DIGESTS_MAX, NAME_BYTES_MAX, RequestObject},
    codec::{Label, List},
    ids::RequestId,
    time::UnixSeconds,
    wire::{Attempts, Profile},
};

/// Longest entry, bytes: a signature over the most documents with the longest names fits.
pub const ENTRY_BYTES_MAX: usize = 8191;
/// Longest reason, bytes.
pub const REASON_BYTES_MAX: usize = 40;

/// A registered name, as the holder saw it or would have.
pub type Name = Label<NAME_BYTES_MAX>;
/// A stable code of a reason, `snake_case`.
pub type ReasonName = Label<REASON_BYTES_MAX>;

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// When, by the server's clock.
    #[n(0)]
    pub at: UnixSeconds,
    /// What.
    #[n(1)]
    pub act: Act,
}

/// What happened. Numbers are final: phones keep reading old entries.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Act {
    /// A request was signed with this phone.
    #[n(0)]
    Signed {
        /// The request.
        #[n(0)]
        asked: Asked,
    },
    /// The holder declined a request on this phone.
    #[n(1)]
    Declined {
        /// The request.
        #[n(0)]
        asked: Asked,
    },
    /// A wrong PIN was typed.
    #[n(2)]
    WrongPin {
        /// The counter right after.
        #[n(0)]
        attempts: Attempts,
    },
    /// The shares were renewed under a new PIN.
    #[n(3)]
    PinChanged {},
    /// A code of this phone was checked online and accepted.
    #[n(4)]
    Verified {
        /// The check; its reason is `valid`, or says why the result was amber.
        #[n(0)]
        scan: Scan,
    },
    /// A code of this phone was checked online and refused.
    #[n(5)]
    Refused {
        /// The check; `asked`, `declined` and `no_answer` are reasons too.
        #[n(0)]
        scan: Scan,
    },
    /// Day credentials were issued to this phone.
    #[n(6)]
    CredentialsIssued {
        /// Document type; see `spec/credential.md`.
        #[n(0)]
        document_type: u32,
        /// How many.
        #[n(1)]
        count: u32,
    },
    /// The register changed a document: its credentials are withdrawn.
    #[n(7)]
    DocumentChanged {
        /// Document type.
        #[n(0)]
        document_type: u32,
    },
    /// The register withdrew a document.
    #[n(8)]
    DocumentWithdrawn {
        /// Document type.
        #[n(0)]
        document_type: u32,
    },
    /// The installation was suspended, by the operator or because a register said so.
    #[n(9)]
    Suspended {},
    /// The operator took a suspension back.
    #[n(10)]
    Resumed {},
    /// A copy of the phone was seen: its keys are frozen.
    #[n(11)]
    Frozen {},
    /// The installation was revoked.
    #[n(12)]
    Revoked {
        /// Why, as the revocation list says it; `superseded` when the holder enrolled another phone.
        #[n(0)]
        reason: ReasonName,
    },
    /// Somebody with the lost code reported the phone lost.
    #[n(13)]
    ReportedLost {},
    /// The key ended because a contribution was wrong behind the right PIN.
    #[n(14)]
    KeyEnded {},
    /// The holder chose a wrong verification code on this phone, which ended the request.
    #[n(15)]
    WrongCode {
        /// The request.
        #[n(0)]
        asked: Asked,
    },
}

/// A signing request, as the history names it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Asked {
    /// Who asked.
    #[n(0)]
    pub relying_party: Name,
    /// The request.
    #[n(1)]
    pub request: RequestId,
    /// Names of its documents.
    #[n(2)]
    pub documents: List<Name, DIGESTS_MAX>,
}

impl Asked {
    /// What the history says of a request.
    #[must_use]
    pub fn of(object: &RequestObject) -> Option<Self> {
        let documents = object.documents.as_slice().iter().map(|document| document.name.clone()).collect();
        Some(Self {
            relying_party: object.relying_party.name.clone(),
            request: object.request,
            documents: List::new(documents)?,
        })
    }
}

/// An online check of a code.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Scan {
    /// Who checked.
    #[n(0)]
    pub verifier: Name,
    /// What the code showed: the profile says which claims.
    #[n(1)]
    pub profile: Profile,
    /// Document type.
    #[n(2)]
    pub document_type: u32,
    /// The outcome's stable code.
    #[n(3)]
    pub reason: ReasonName,
    /// Where this phone answered: [`crate::wire::Check::digest`] of what its message said had been on the screen.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub shown: Option<[u8; 32]>,
}
