//! Wakes long polls when a request ends on this node. Waiting also looks at the store at its end, so a missed wake-up costs
//! time, never the result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signer_core::ids::RequestId;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<HashMap<RequestId, Arc<Notify>>>);

impl Watch {
    /// A bell that rings when `request` ends. Enable its `notified()` before looking at the store.
    pub(super) fn bell(&self, request: RequestId) -> Bell<'_> {
        let bell = Arc::clone(self.lock().entry(request).or_default());
        Bell { watch: self, request, bell: Some(bell) }
    }

    pub(super) fn ring(&self, request: RequestId) {
        if let Some(bell) = self.lock().get(&request) {
            bell.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One waiter's handle; the last one to go takes the entry with it.
pub(super) struct Bell<'a> {
    watch: &'a Watch,
    request: RequestId,
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
        if bells.get(&self.request).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(&self.request);
        }
    }
}
