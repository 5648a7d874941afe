//! The holders' histories: entries sealed by the service, numbered and chained by the store in the transaction of the act.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use signer_core::{
    history::{HistoryHead, HistoryKeyBytes, SealedEntry},
    ids::DeviceId,
    time::UnixSeconds,
    wire::NumberedEntry,
};

use super::StoreResult;

/// Seals one entry, should the store find in the middle of a transaction that it is needed: for what is not known before, and
/// rare. Other entries are sealed before the write.
#[derive(Clone)]
pub struct Sealer(Arc<SealWork>);

type SealWork = dyn Fn(DeviceId, &HistoryKeyBytes) -> Option<SealedEntry> + Send + Sync;

impl Sealer {
    /// Seals by `seal`, for the device and key it is given. `None` writes no entry.
    #[must_use]
    pub fn new(
        seal: impl Fn(DeviceId, &HistoryKeyBytes) -> Option<SealedEntry> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(seal))
    }

    /// Writes no entry.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_, _| None)
    }

    /// The entry.
    #[must_use]
    pub fn seal(&self, device: DeviceId, key: &HistoryKeyBytes) -> Option<SealedEntry> {
        (self.0)(device, key)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// Part of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPart {
    /// The chained hash before the first entry of the part.
    pub before: [u8; 32],
    /// Its entries in order.
    pub entries: Vec<NumberedEntry>,
    /// The newest head.
    pub head: HistoryHead,
}

/// The histories. Acts append to them through their own methods.
#[async_trait]
pub trait Histories: Send + Sync {
    /// Appends an entry for an act that changes nothing else, such as a refusal.
    async fn append_history(&self, device: DeviceId, entry: SealedEntry, now: UnixSeconds)
    -> StoreResult<()>;

    /// At most `limit` entries after number `after`, from one snapshot.
    async fn history(&self, device: DeviceId, after: u64, limit: u32) -> StoreResult<HistoryPart>;
}
