//! A clock that stands until it is moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use signer_client::ports::Monotonic;
use signer_core::time::UnixSeconds;

/// The first second of a step, and not of an hour.
pub(crate) const T0: u64 = 1_800_000_000 + 180;

/// Shared by whoever holds a clone.
#[derive(Debug, Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn at(seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seconds)))
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl signer_server::ports::Clock for TestClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.seconds())
    }
}

impl signer_client::ports::Clock for TestClock {
    fn wall(&self) -> UnixSeconds {
        UnixSeconds(self.seconds())
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic { run: [7; 16], elapsed: Duration::from_secs(self.seconds()) }
    }

    /// Real, but short: a test waits for threads, not for seconds.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time.min(Duration::from_millis(20)));
    }
}
