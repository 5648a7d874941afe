//! What a store measures of itself.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use crate::metrics::{Counts, Histogram};

/// Figures of a store, which owns them.
#[derive(Debug)]
pub struct StoreMetrics {
    /// Transactions committed.
    pub commits: Counter,
    /// Acts in them.
    pub acts: Counter,
    /// Acts of one transaction.
    pub acts_per_commit: Histogram,
    /// From the beginning of a transaction to its commit.
    pub commit_seconds: Histogram,
    /// Writing the mark outside the database.
    pub witness_seconds: Histogram,
    /// Acts that were run again, by why.
    pub retries: Counts,
    /// Acts that were refused because too many waited.
    pub refused: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        let retries = Counts::new(["why"]);
        for why in ["conflict", "duplicate", "group"] {
            retries.start([why]);
        }
        Self {
            commits: Counter::default(),
            acts: Counter::default(),
            acts_per_commit: Histogram::counts(),
            commit_seconds: Histogram::seconds(),
            witness_seconds: Histogram::seconds(),
            retries,
            refused: Counter::default(),
        }
    }
}

impl StoreMetrics {
    /// A transaction with so many acts was committed.
    pub(crate) fn committed(&self, acts: usize, time: std::time::Duration) {
        let acts = u32::try_from(acts).unwrap_or(u32::MAX);
        self.commits.inc();
        self.acts.inc_by(acts.into());
        self.acts_per_commit.observe(acts.into());
        self.commit_seconds.observe_time(time);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("store_commits", "Transactions committed", self.commits.clone());
        registry.register("store_acts", "Acts committed", self.acts.clone());
        registry.register("store_acts_per_commit", "Acts of a transaction", self.acts_per_commit.clone());
        registry.register("store_commit_seconds", "Time of a transaction", self.commit_seconds.clone());
        registry.register(
            "store_witness_seconds",
            "Time of writing the witness",
            self.witness_seconds.clone(),
        );
        registry.register("store_retries", "Acts that were run again", self.retries.family());
        registry.register("store_refused", "Acts refused, for too many waited", self.refused.clone());
    }
}

/// How much a store has to do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreLoad {
    /// Acts that wait: for the writer, or for a connection.
    pub waiting: usize,
    /// Connections in use: those that only read, or to the database.
    pub connections: usize,
    /// Most of them.
    pub connections_max: usize,
    /// Whether this node does what one does for all.
    pub leads: bool,
}
