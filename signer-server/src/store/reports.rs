//! What registers report of documents, and what verifiers are told of withdrawals.

use async_trait::async_trait;
use signer_core::{ids::DeviceId, time::UnixSeconds, wire::EventOutcome};

use super::{DocumentHash, Holder, Sealer, StoreResult};

/// An event of a register, checked.
#[derive(Debug, Clone)]
pub struct Report {
    /// Hash of reporter, source and id: the same event has the same.
    pub id: [u8; 32],
    /// Hash of everything it says.
    pub content: [u8; 32],
    /// Hash of reporter, source, person and kind of document: what it is ordered among.
    pub about: [u8; 32],
    /// Its place in that order.
    pub sequence: u64,
    /// The person; for a document of an organisation its text, which nobody is looked for by.
    pub holder: Holder,
    /// The document, where it is an organisation's: its credentials end, whatever happened to it.
    pub document: Option<DocumentHash>,
    /// What happened.
    pub what: Happened,
    /// Tells the history of the installation it concerns.
    pub told: Sealer,
    /// Server time.
    pub now: UnixSeconds,
}

/// What a register reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A document of this kind says something else now: its credentials end. Dropped when a later event about it was taken.
    Changed(u32),
    /// A document of this kind is no longer valid: its credentials end, also late, for ending is always safe.
    Withdrawn(u32),
    /// The holder has died: all credentials end, the installation is suspended, also late.
    Deceased,
}

/// Answer to [`Reports::report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// Taken, now or before.
    Taken {
        /// What became of it.
        outcome: EventOutcome,
        /// The installation that lost credentials just now.
        device: Option<DeviceId>,
    },
    /// The id was used for another event.
    Mismatch,
}

/// A place of a status list that is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// Index in the list.
    pub index: u32,
    /// Taken back with the suspension of its installation; not for good.
    pub suspended: bool,
}

/// Events of registers, and the state of credentials.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Takes an event once: ends credentials and codes, in one transaction with the memory of it.
    async fn report(&self, report: Report) -> StoreResult<Reported>;

    /// Events about the documents of an installation's holder so far.
    async fn document_events(&self, device: DeviceId) -> StoreResult<u64>;

    /// Places of a status list given out after `since`.
    async fn issued_since(&self, list: u32, since: UnixSeconds) -> StoreResult<Vec<u32>>;

    /// Places of a status list that are not valid, in order.
    async fn withdrawals(&self, list: u32) -> StoreResult<Vec<Withdrawal>>;
}
