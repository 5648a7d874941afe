//! How things stand, for figures and health: nothing about anybody.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use signer_core::wire::ProblemCode;
use tokio::sync::Semaphore;

use super::{Refusal, Service, ServiceError, ServiceResult, quota::Quota};
use crate::{
    metrics::{RegisterMetrics, ServiceMetrics},
    store::{OutcomeKind, Reserved, Settled, StoreLoad, StoreMetrics, StoreResult},
};

/// Figures that are read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreFigures {
    pub(crate) audit_entries: u64,
    pub(crate) checkpoint_entries: u64,
    pub(crate) webhooks_waiting: u64,
    pub(crate) miss_alarm: bool,
}

impl Service {
    /// What the service counts.
    #[must_use]
    pub const fn metrics(&self) -> &ServiceMetrics {
        &self.metrics
    }

    /// What the register's connector counts, if it counts.
    pub(crate) fn register_metrics(&self) -> Option<&RegisterMetrics> {
        self.register.as_ref()?.metrics()
    }

    /// Whether the register is left alone after failures.
    pub(crate) fn register_left_alone(&self) -> bool {
        self.register.as_ref().is_some_and(|register| register.left_alone())
    }

    /// Places by what they are for: how many are taken, and how many there are.
    pub(crate) fn places_taken(&self) -> [(&'static str, usize, usize); 5] {
        let of = |kind, places: &Semaphore, most| {
            (kind, usize::saturating_sub(most, places.available_permits()), most)
        };
        let polls = |kind, quota: &Quota<_>| (kind, quota.taken(), quota.most());
        [
            of("turns", &self.turns, super::to_usize(self.turns_max)),
            of("streams", &self.streams, self.request_polls.most()),
            polls("request_polls", &self.request_polls),
            polls("check_polls", &self.check_polls),
            polls("visit_polls", &self.visit_polls),
        ]
    }

    pub(crate) fn store_metrics(&self) -> &StoreMetrics {
        self.store.metrics()
    }

    pub(crate) fn store_load(&self) -> StoreLoad {
        self.store.load()
    }

    /// Since when the newest checkpoint covered the whole audit log.
    pub(crate) fn checkpoint_age(&self) -> Duration {
        self.covered.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// A checkpoint covers the whole audit log.
    pub(super) fn covered(&self) {
        *self.covered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A refusal because of a bound, counted.
    pub(super) fn shed(&self, bound: &'static str) -> Refusal {
        self.metrics.shed.count([bound]);
        Refusal::new(ProblemCode::Overloaded)
    }

    /// The same for places that were asked for elsewhere.
    pub(super) fn counting<T>(&self, bound: &'static str, place: ServiceResult<T>) -> ServiceResult<T> {
        if let Err(ServiceError::Refused(Refusal { code: ProblemCode::Overloaded, .. })) = &place {
            self.metrics.shed.count([bound]);
        }
        place
    }

    /// Counts an attempt that is not evaluated.
    pub(super) fn count_refused(&self, reserved: &Reserved) {
        if let Some(why) = reserved.refusal() {
            self.metrics.attempts_refused.count([why]);
        }
    }

    /// Counts what was evaluated, once it is durable; a lock or an end of the key with it.
    pub(super) fn count_evaluation(&self, verdict: &'static str, settled: &Settled) {
        self.metrics.evaluations.count([verdict]);
        let Settled::Recorded(stored) = settled else { return };
        match &stored.kind {
            OutcomeKind::Signed(signatures) => {
                self.metrics.signatures.inc_by(u64::try_from(signatures.len()).unwrap_or(u64::MAX));
            }
            OutcomeKind::WrongPin => {
                let attempts = stored.counter.shown(&self.policy, stored.at);
                if attempts.blocked {
                    self.metrics.keys_ended.count(["wrong_pins"]);
                } else if attempts.locked_until.is_some() {
                    self.metrics.locks.inc();
                }
            }
            OutcomeKind::Cheating => self.metrics.keys_ended.count(["cheating"]),
            OutcomeKind::PinProven => {}
        }
    }

    pub(crate) async fn store_figures(&self) -> StoreResult<StoreFigures> {
        Ok(StoreFigures {
            audit_entries: self.store.audit_size().await?,
            checkpoint_entries: self.store.audit_checkpoint().await?.map_or(0, |row| row.size),
            webhooks_waiting: self.store.deliveries_waiting().await?,
            miss_alarm: self.store.miss_alarm(self.now()).await?,
        })
    }
}
