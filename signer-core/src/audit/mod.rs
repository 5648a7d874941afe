//! The audit log: every act of the server, in order, so that none can be changed or taken back unseen. Rules: `spec/audit.md`.
//!
//! An [`AuditEntry`] is written in the transaction of the act it tells. It holds the hash of the entry before it
//! ([`AuditChain`]), and is a leaf of a Merkle tree ([`tree`], RFC 6962) whose root the server signs ([`Checkpoint`], C2SP
//! tlog-checkpoint). Who keeps a checkpoint can be shown that an entry is in the log, and that a later log continues it.
//!
//! People are in it only by an [`AuditName`], drawn at random for one installation and kept in one place, so that forgetting
//! the name there leaves entries that lead to nobody.

mod chain;
mod checkpoint;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails the test")]
mod tests;
pub mod tree;

use core::fmt;

use minicbor::{Decode, Encode};

use self::tree::TreeHash;
pub use self::{
    chain::{AuditChain, AuditFault},
    checkpoint::{Checkpoint, CheckpointError, CheckpointKey, CheckpointVerifier, NOTE_BYTES_MAX},
};
use crate::{
    codec::{self, CodecError, Label},
    ids::{AuditName, AuditObject, RelyingPartyId},
    time::UnixSeconds,
};

/// Longest entry, bytes.
pub const AUDIT_ENTRY_BYTES_MAX: usize = 256;
/// Longest detail, bytes.
pub const AUDIT_DETAIL_BYTES_MAX: usize = 40;

/// More about an act: a stable code, `snake_case`.
pub type AuditDetail = Label<AUDIT_DETAIL_BYTES_MAX>;

/// One act of the server.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AuditEntry {
    /// Its place in the log, from 0.
    #[n(0)]
    pub index: u64,
    /// Hash of the entry before ([`tree::leaf_hash`]); zeros in the first.
    #[n(1)]
    pub previous: TreeHash,
    /// When, by the server's clock.
    #[n(2)]
    pub at: UnixSeconds,
    /// What.
    #[n(3)]
    pub act: AuditAct,
    /// Whose installation it concerns.
    #[n(4)]
    pub subject: Option<AuditName>,
    /// Which relying party it concerns.
    #[n(5)]
    pub relying_party: Option<RelyingPartyId>,
    /// Which request, or another thing with an id.
    #[n(6)]
    pub object: Option<AuditObject>,
    /// More about it.
    #[n(7)]
    pub detail: Option<AuditDetail>,
}

impl AuditEntry {
    /// The bytes that are hashed and kept.
    #[must_use]
    pub fn encode(&self) -> alloc::vec::Vec<u8> {
        codec::encode(self)
    }

    /// The entry with these bytes.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, AUDIT_ENTRY_BYTES_MAX)
    }
}

macro_rules! acts {
    ($($(#[$doc:meta])* $number:literal $name:ident = $text:literal,)*) => {
        /// What the server did. Numbers and names are final: logs outlive binaries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum AuditAct { $($(#[$doc])* #[n($number)] $name,)* }

        impl AuditAct {
            /// Every act.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

acts! {
    /// The store was opened by a server.
    0 Started = "started",
    /// An enrolment code was made.
    1 CodeMade = "code_made",
    /// An installation was enrolled.
    2 Enrolled = "enrolled",
    /// A relying party asked for signatures.
    3 RequestMade = "request_made",
    /// A request ended without signatures; the detail says how.
    4 RequestEnded = "request_ended",
    /// A request was signed.
    5 Signed = "signed",
    /// A wrong PIN was counted.
    6 PinWrong = "pin_wrong",
    /// The PIN was right, for something else than a signature.
    7 PinProven = "pin_proven",
    /// A phone's message was wrong though its PIN was right: the key has ended.
    8 Cheated = "cheated",
    /// The shares of a key were renewed.
    9 Refreshed = "refreshed",
    /// An installation was suspended.
    10 Suspended = "suspended",
    /// A suspension was taken back.
    11 Resumed = "resumed",
    /// An installation was frozen: a copy of its state was used.
    12 Frozen = "frozen",
    /// An installation was revoked; the detail says why.
    13 Revoked = "revoked",
    /// Credentials were issued.
    14 CredentialsIssued = "credentials_issued",
    /// A document code was used up, by the relying party.
    15 CodeUsed = "code_used",
    /// Credentials of a kind of document were withdrawn.
    16 DocumentsWithdrawn = "documents_withdrawn",
    /// A relying party was registered.
    17 PartyAdded = "party_added",
    /// A relying party's keys, addresses or limits were changed.
    18 PartyChanged = "party_changed",
    /// A relying party was revoked.
    19 PartyRevoked = "party_revoked",
    /// A key of the server was made.
    20 KeyMade = "key_made",
    /// A key of the server was put to use.
    21 KeyActivated = "key_activated",
    /// The trust list was replaced.
    22 TrustListPut = "trust_list_put",
    /// A certificate was issued.
    23 CertificateIssued = "certificate_issued",
    /// Signatures were handed out through the CSC API.
    24 Released = "released",
    /// A document register reported a change.
    25 Reported = "reported",
    /// A holder answered a check.
    26 CheckAnswered = "check_answered",
    /// Credentials of an organisation's documents were issued or withdrawn.
    27 FleetChanged = "fleet_changed",
    /// An installation's name in this log was forgotten.
    28 Forgotten = "forgotten",
    /// Another generation of the key-encryption key was put to use.
    29 KekRotated = "kek_rotated",
    /// A generation of the key-encryption key was retired: nothing is wrapped under it any more.
    30 KekRetired = "kek_retired",
    /// The store was brought back from an earlier state: the detail says between which entries acts are lost, the object is the
    /// beginning of the hash of the last one that was seen.
    31 Restored = "restored",
}

impl fmt::Display for AuditAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::str::FromStr for AuditAct {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|act| act.name() == text).ok_or(())
    }
}
