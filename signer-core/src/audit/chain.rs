//! The chain of entries, followed one by one.

use super::{
    AuditEntry,
    tree::{Frontier, TreeHash, leaf_hash},
};

/// What is wrong with a log. The sentences are for operators and reviewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// Not an entry.
    #[error("entry {index} is not an entry: it was changed, or is of a newer version")]
    Malformed {
        /// Its place.
        index: u64,
    },
    /// An entry is missing, or out of its place.
    #[error("entry {expected} is missing: entry {got} stands in its place")]
    Gap {
        /// The place.
        expected: u64,
        /// What stands there.
        got: u64,
    },
    /// The entry before is not the one that was there when this one was written.
    #[error("entry {index} does not follow the entry before it: one of the two was changed")]
    Broken {
        /// Place of the later one.
        index: u64,
    },
    /// The log ends before a checkpoint.
    #[error(
        "the log ends after {size} entries, a checkpoint was signed over {known}: the last entries were dropped"
    )]
    Shortened {
        /// Entries there are.
        size: u64,
        /// Entries there were.
        known: u64,
    },
    /// The log is not the one a checkpoint was signed over.
    #[error(
        "the first {size} entries are not those a checkpoint was signed over: the log was rewritten or forked"
    )]
    Forked {
        /// Size of the checkpoint.
        size: u64,
    },
}

/// A log as far as it was followed.
#[derive(Debug, Clone, Default)]
pub struct AuditChain {
    last: TreeHash,
    tree: Frontier,
}

impl AuditChain {
    /// Entries so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Hash of the last entry; zeros if there is none.
    #[must_use]
    pub const fn last(&self) -> TreeHash {
        self.last
    }

    /// Root of the tree over all entries so far.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        self.tree.root()
    }

    /// Takes the next entry in.
    ///
    /// # Errors
    /// [`AuditFault::Malformed`], [`AuditFault::Gap`], [`AuditFault::Broken`]; the chain then stands where it stood.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<AuditEntry, AuditFault> {
        let index = self.size();
        let entry = AuditEntry::decode(bytes).map_err(|_| AuditFault::Malformed { index })?;
        if entry.index != index {
            return Err(AuditFault::Gap { expected: index, got: entry.index });
        }
        if entry.previous != self.last {
            return Err(AuditFault::Broken { index });
        }
        self.last = leaf_hash(bytes);
        self.tree.push(self.last);
        Ok(entry)
    }
}
