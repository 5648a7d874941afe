//! Whether this server should get calls, and why not: closed reasons, nothing about anybody.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Service, ServiceResult};
use crate::store::StoreError;

/// How often the store is checked, however often someone asks.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Time for one check.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// How far the clock may be behind the latest time that was written down, seconds.
const BEHIND_MAX: u64 = 60;

/// Why a server should get no calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unready {
    /// It was told to stop.
    Draining,
    /// The store stopped for good: only a restart helps, after a look at the log.
    StoreStopped,
    /// The store cannot be read or written now.
    Store,
    /// No checkpoint of the audit log could be signed.
    Audit,
    /// The clock is behind what was written down before.
    Clock,
}

impl Service {
    /// Whether the store works. Asked at most every two seconds, whoever asks: the check writes.
    ///
    /// # Errors
    /// As the store says.
    pub async fn check(&self) -> ServiceResult<()> {
        let mut checked = self.checked.lock().await;
        if let Some((at, outcome)) = checked.as_ref()
            && at.elapsed() < CHECK_EVERY
        {
            return Ok(outcome.clone()?);
        }
        let outcome = tokio::time::timeout(CHECK_TIME, self.store.check()).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer to a check in time".into())));
        *checked = Some((Instant::now(), outcome.clone()));
        Ok(outcome?)
    }

    /// Why this server should get no calls now; nothing if it should.
    pub async fn unready(&self) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if self.is_draining() {
            reasons.push(Unready::Draining);
        }
        // Asked by itself: what was checked a moment ago may have stopped since.
        if self.is_stopped() {
            reasons.push(Unready::StoreStopped);
        } else if let Err(error) = self.check().await {
            tracing::warn!(%error, "the store does not work");
            reasons.push(Unready::Store);
        }
        if self.checkpoint_failed.load(Ordering::Relaxed) {
            reasons.push(Unready::Audit);
        }
        if self.clock.now().0.saturating_add(BEHIND_MAX) < self.store.latest_time().0 {
            reasons.push(Unready::Clock);
        }
        reasons
    }

    /// Whether the token worked a moment ago; true where there is none. One that does not is no reason to get no calls: most
    /// calls need no key of it, and the other nodes have the same token.
    #[must_use]
    pub(crate) fn token_works(&self) -> bool {
        self.wrapping.token().is_none_or(|token| token.works())
    }

    /// Whether only a restart helps.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.store.is_stopped()
    }

    /// Says from now on that this server should get no calls. Those that come are answered all the same.
    pub fn begin_drain(&self) {
        self.draining.send_replace(Drain::Leaving);
    }

    /// Ends streams and long polls: who waits asks again, elsewhere.
    pub fn hang_up(&self) {
        self.draining.send_replace(Drain::HungUp);
        self.end_streams();
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow() != Drain::No
    }

    /// Returns when those who wait are sent away.
    pub(super) async fn hung_up(&self) {
        let mut draining = self.draining.subscribe();
        // The sender is ours: it is there as long as this is.
        let _hung_up = draining.wait_for(|drain| *drain == Drain::HungUp).await;
    }
}

/// How far the end of a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Drain {
    /// It takes calls.
    #[default]
    No,
    /// It takes them, and says that it should get none.
    Leaving,
    /// Who waits is sent away.
    HungUp,
}
