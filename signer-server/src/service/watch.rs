//! Wakes long polls when what they wait for ends on this node. Waiting also looks at the store at its end, so a missed wake-up costs
//! time, never the result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signer_core::ids::{CheckId, RequestId};
use tokio::sync::Notify;

/// What a long poll waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Watched {
    Request(RequestId),
    Check(CheckId),
}

#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<HashMap<Watched, Arc<Notify>>>);

impl Watch {
    /// A bell that rings when `watched` ends. Enable its `notified()` before looking at the store.
    pub(super) fn bell(&self, watched: Watched) -> Bell<'_> {
        let bell = Arc::clone(self.lock().entry(watched).or_default());
        Bell { watch: self, watched, bell: Some(bell) }
    }

    pub(super) fn ring(&self, watched: Watched) {
        if let Some(bell) = self.lock().get(&watched) {
            bell.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One waiter's handle; the last one to go takes the entry with it.
pub(super) struct Bell<'a> {
    watch: &'a Watch,
    watched: Watched,
    bell: Option<Arc<Notify>>,
}

impl Bell<'_> {
    pub(super) fn notify(&self) -> Option<&Notify> {
        self.bell.as_deref()
    }
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        let mut bells = self.watch.lock();
        self.bell = None;
        if bells.get(&self.watched).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(&self.watched);
        }
    }
}
