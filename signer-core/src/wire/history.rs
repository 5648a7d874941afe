//! The holder's history, page by page.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    history::{HistoryHead, SealedEntry},
    time::UnixSeconds,
};

/// Most entries on one page: the longest page fits a reply.
pub const HISTORY_PAGE_MAX: u32 = 64;

/// Asks for entries of the installation's history.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HistoryQuery {
    /// Number of the entry before the first one wanted; 0 from the beginning.
    #[n(0)]
    pub after: u64,
    /// Most entries wanted: 1 to [`HISTORY_PAGE_MAX`].
    #[n(1)]
    pub limit: u32,
}

/// Reply to [`HistoryQuery`]. [`crate::history::HistoryCheck`] compares it with what the phone knows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HistoryPage {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// The chained hash before the first entry of the page.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub before: [u8; 32],
    /// Entries in order; none after the newest.
    #[n(2)]
    pub entries: Vec<NumberedEntry>,
    /// The newest head.
    #[n(3)]
    pub head: HistoryHead,
}

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NumberedEntry {
    /// Its number, from 1.
    #[n(0)]
    pub number: u64,
    /// The entry.
    #[n(1)]
    pub sealed: SealedEntry,
}
