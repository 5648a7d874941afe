//! What is told to a restore, and what it tells: spec/restore.md.

use std::fmt;

use signer_core::{audit::AuditEntry, time::UnixSeconds};

use super::{AuditMark, LockPolicy};

/// What a restore goes by.
#[derive(Debug)]
pub struct Restore {
    /// When it is done.
    pub now: UnixSeconds,
    /// What the audit log of the state ends with, as it was looked at.
    pub had: AuditMark,
    /// The epoch that the witness has seen, 0 if it is lost: numbers of that and all before it were given out.
    pub epoch: u32,
    /// What the witness had seen of the audit log; none if it is lost.
    pub witnessed: Option<AuditMark>,
    /// What is told to have happened after the state that is brought back: one chain from its end.
    pub acts: Vec<AuditEntry>,
    /// Whether state and `acts` lead to the very entry that the witness saw last; looked at again. If not, every key is suspended.
    pub whole: bool,
    /// Whether the witness saw every act when it was answered. If not, what the last second brought is not in `acts`.
    pub exact: bool,
    /// How wrong PINs lock.
    pub policy: LockPolicy,
}

/// What a restore did, and what is left to people.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct RestoreReport {
    /// The store's epoch from now on.
    pub epoch: u32,
    /// Entries of the audit log that were still there.
    pub had: u64,
    /// Entries that the witness had seen; none if it was lost.
    pub witnessed: Option<u64>,
    /// Whether every act up to the witness was applied.
    pub whole: bool,
    /// Installations that are suspended because of this restore.
    pub suspended: u64,
    /// Installations that ended: revoked after the state that came back, or their shares were renewed.
    pub ended: u64,
    /// Wrong PINs counted once more.
    pub wrong_pins: u64,
    /// Requests that were open and ended as expired.
    pub requests: u64,
    /// Enrolments of which nothing is left: those people enrol anew.
    pub enrolled_lost: u64,
    /// What the log shows and this store cannot have: for the operator to do again.
    pub again: Vec<Again>,
}

/// Something the operator must do again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Again {
    /// What.
    pub what: AgainWhat,
    /// Which: the id of a relying party, the purpose of a key, the number of a trust list, the name of a person's key in the log.
    pub which: Option<String>,
}

/// Kinds of [`Again`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgainWhat {
    /// Register a relying party.
    AddParty,
    /// Set rights, limits, OAuth key or webhooks of one.
    ChangeParty,
    /// Make a key, or put it to use.
    ServerKey,
    /// Put the trust list.
    TrustList,
    /// Have a register send its last events.
    Register,
    /// Forget how the log names somebody.
    Forget,
    /// End a key of which a log says so that no witness confirms.
    EndKey,
    /// Revoke a relying party of which a log says so that no witness confirms.
    RevokeParty,
    /// Rotate the key-encryption key: the generation that came back was given up.
    RotateKek,
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.what {
            AgainWhat::AddParty => "register a relying party anew",
            AgainWhat::ChangeParty => {
                "look at a relying party's rights, key and webhooks, which were changed"
            }
            AgainWhat::ServerKey => "make or activate a key of the server",
            AgainWhat::TrustList => "put the newest trust list",
            AgainWhat::Register => "have the registers send their last events again",
            AgainWhat::Forget => "forget the audit name of somebody who was to be forgotten",
            AgainWhat::EndKey => {
                "a log that the witness does not confirm says that this key ended, or was lost: it is suspended; find out, and revoke it"
            }
            AgainWhat::RevokeParty => {
                "a log that the witness does not confirm says that this relying party was revoked: find out, and revoke it"
            }
            AgainWhat::RotateKek => {
                "rotate the key-encryption key at once: secrets are under the generation that was given up"
            }
        })?;
        self.which.as_ref().map_or(Ok(()), |which| write!(f, ": {which}"))
    }
}
