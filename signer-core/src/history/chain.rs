//! The chain of a history, and the check of what the server shows of it.
//!
//! ```text
//! head 0 = H[history-start](device)        head n = H[history-entry](head n−1, n(n), sealed entry n)
//! ```

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use super::SealedEntry;
use crate::{
    domain::{Domain, Hasher},
    ids::DeviceId,
    wire::{HistoryPage, NumberedEntry},
};

/// How long a history is, and the hash over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct HistoryHead {
    /// Number of the newest entry; 0 while there is none.
    #[n(0)]
    pub number: u64,
    /// The chained hash.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hash: [u8; 32],
}

impl HistoryHead {
    /// The head of a device's history before its first entry.
    #[must_use]
    pub fn start(device: DeviceId) -> Self {
        Self { number: 0, hash: Hasher::new(Domain::HistoryStart).field(device.as_bytes()).finish() }
    }

    /// The head after one more entry.
    #[must_use]
    pub fn after(&self, sealed: &SealedEntry) -> Self {
        let number = self.number.saturating_add(1);
        let hash = Hasher::new(Domain::HistoryEntry)
            .field(&self.hash)
            .number(number)
            .field(sealed.as_bytes())
            .finish();
        Self { number, hash }
    }
}

/// What the server did to a history. The sentences are for the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// Its history ends before what the phone has seen: a backup was put back, or entries were removed.
    #[error("the server's history ends at entry {got}; this phone has seen entry {known}")]
    Shortened {
        /// Newest entry the phone has seen.
        known: u64,
        /// Newest entry the server has.
        got: u64,
    },
    /// The phone has seen something else at or before this entry.
    #[error("entry {number} of the server's history, or one before it, is not the one this phone has seen")]
    Rewritten {
        /// The newest entry the phone can tell by.
        number: u64,
    },
    /// An entry is missing, or out of its place.
    #[error("the entry after number {after} is missing")]
    Gap {
        /// The entry before it.
        after: u64,
    },
    /// The entries shown do not lead to the head that is named: there is another history than the one shown.
    #[error("the entries the server shows do not lead to entry {number} as it names it")]
    Forked {
        /// Number of the head.
        number: u64,
    },
}

/// Follows the pages the server shows, from any entry up to the head that its first page names. Nothing on them is believed
/// before [`HistoryCheck::wants`] no more.
#[derive(Debug)]
pub struct HistoryCheck {
    known: HistoryHead,
    start: HistoryHead,
    from: u64,
    at: Option<HistoryHead>,
    target: Option<HistoryHead>,
}

impl HistoryCheck {
    /// Begins after entry `from`, which is at most the number of `known`, the newest head seen before. A phone that has seen
    /// none knows [`HistoryHead::start`].
    #[must_use]
    pub fn new(device: DeviceId, known: HistoryHead, from: u64) -> Self {
        let from = from.min(known.number);
        Self { known, start: HistoryHead::start(device), from, at: None, target: None }
    }

    /// The number after which the next page begins, or `None` when all was shown.
    #[must_use]
    pub fn wants(&self) -> Option<u64> {
        match (self.at, self.target) {
            (Some(at), Some(target)) => (at.number < target.number).then_some(at.number),
            _ => Some(self.from),
        }
    }

    /// Takes the next page and gives out its entries.
    ///
    /// # Errors
    /// [`HistoryFault`]
    pub fn page(&mut self, page: HistoryPage) -> Result<Vec<NumberedEntry>, HistoryFault> {
        let target = match self.target {
            Some(target) => target,
            None => self.first(&page)?,
        };
        let mut at = match self.at {
            Some(at) if at.hash == page.before => at,
            Some(_) => return Err(HistoryFault::Forked { number: target.number }),
            None => self.passes(HistoryHead { number: self.from, hash: page.before })?,
        };
        if page.entries.is_empty() && at.number < target.number {
            return Err(HistoryFault::Gap { after: at.number });
        }
        for entry in &page.entries {
            let next = at.after(&entry.sealed);
            if entry.number != next.number {
                return Err(HistoryFault::Gap { after: at.number });
            }
            at = self.passes(next)?;
            if at.number == target.number && at != target {
                return Err(HistoryFault::Forked { number: target.number });
            }
        }
        if at.number == target.number && at != target {
            return Err(HistoryFault::Forked { number: target.number });
        }
        self.at = Some(at);
        Ok(page.entries)
    }

    /// The head reached so far; the phone remembers it. It is the one to compare with once all was shown, or when the phone
    /// has had enough for now.
    #[must_use]
    pub const fn reached(&self) -> Option<HistoryHead> {
        self.at
    }

    /// The head the first page names is where this ends, however much the server goes on adding.
    fn first(&mut self, page: &HistoryPage) -> Result<HistoryHead, HistoryFault> {
        let head = page.head;
        if head.number < self.known.number {
            return Err(HistoryFault::Shortened { known: self.known.number, got: head.number });
        }
        self.passes(head)?;
        self.target = Some(head);
        Ok(head)
    }

    /// A head on the way, unless the phone knows another one with its number.
    fn passes(&self, head: HistoryHead) -> Result<HistoryHead, HistoryFault> {
        let other =
            [self.start, self.known].iter().any(|known| known.number == head.number && *known != head);
        if other { Err(HistoryFault::Rewritten { number: head.number }) } else { Ok(head) }
    }
}
