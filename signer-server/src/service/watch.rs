//! Long polls: they wait until what they ask for ends, on this node or on another that says so. Waiting also looks at the
//! store at its end, so a missed wake-up costs time, never the result.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signer_core::{time::UnixSeconds, wire::ProblemCode};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{Refusal, Service, ServiceError, ServiceResult, WaitMs};
use crate::store::{Ended, News};

/// Most polls that wait for one thing: the second is for a caller whose first was cut off.
const WAITING_MAX: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Watch {
    bells: Mutex<HashMap<Ended, Arc<Notify>>>,
    ended: Notify,
}

impl Watch {
    /// A bell that rings when `watched` ends; none if enough wait for it. Enable its `notified()` before looking at the store.
    fn bell(&self, watched: Ended) -> Option<Bell<'_>> {
        let mut bells = self.lock();
        let bell = bells.entry(watched).or_default();
        // One handle is the map's.
        if Arc::strong_count(bell) > WAITING_MAX {
            return None;
        }
        Some(Bell { watch: self, watched, bell: Some(Arc::clone(bell)) })
    }

    fn ring(&self, watched: Ended) {
        if let Ended::Request(_) = watched {
            self.end();
        }
        if let Some(bell) = self.lock().get(&watched) {
            bell.notify_waiters();
        }
    }

    /// Says that a request ended: webhooks are due.
    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// Waits until a request ended.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ended, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Wakes those who wait for what has ended, on this node and on others.
    pub(super) fn ring(&self, ended: Ended) {
        self.watch.ring(ended);
        self.store.tell_nodes(News::Ended(ended));
    }

    /// Does what other nodes' news call for, without end.
    pub async fn hear_nodes(&self) {
        loop {
            match self.store.told_by_node().await {
                News::Ended(ended) => self.watch.ring(ended),
                News::Phone(device, event) => self.tell_here(device, event),
                News::Keys => {
                    if let Err(error) = self.take_up_keys().await {
                        tracing::error!(%error, "another node changed keys or trust list, and they are not taken up yet");
                    }
                }
            }
        }
    }

    /// Waits as long as asked until something has ended. `look` gives what it is now and, while it is open, when it ends by
    /// itself.
    ///
    /// # Errors
    /// Those of `look`; `too_many` if enough wait for it already.
    pub(super) async fn wait_for<T, F>(
        &self,
        watched: Ended,
        wait: WaitMs,
        look: impl Fn() -> F,
    ) -> ServiceResult<T>
    where
        F: Future<Output = ServiceResult<(T, Option<UnixSeconds>)>>,
    {
        if wait.duration().is_zero() {
            return Ok(look().await?.0);
        }
        let bell = self.watch.bell(watched).ok_or_else(|| {
            Refusal::because(ProblemCode::TooMany, "two polls wait for this already; it ends for both")
        })?;
        let deadline = Instant::now() + wait.duration();
        let hung_up = self.hung_up();
        tokio::pin!(hung_up);
        let mut stops = false;
        loop {
            let Some(notify) = bell.notify() else { return Err(ServiceError::Bug("bell")) };
            let rung = notify.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let (found, open_until) = look().await?;
            let Some(ends) = open_until.filter(|_| !stops && Instant::now() < deadline) else {
                return Ok(found);
            };
            // What nobody decides wakes nobody: look again when its time is up.
            let left = Duration::from_secs(ends.0.saturating_sub(self.now().0).max(1));
            let left = self.store.look_again().map_or(left, |again| left.min(again));
            tokio::select! {
                _rung_or_not = timeout_at(deadline.min(Instant::now() + left), rung) => {}
                // The caller learns how it stands, and asks again: another server, or the next run of this one.
                () = &mut hung_up => stops = true,
            }
        }
    }
}

/// One waiter's handle; the last one to go takes the entry with it.
struct Bell<'a> {
    watch: &'a Watch,
    watched: Ended,
    bell: Option<Arc<Notify>>,
}

impl Bell<'_> {
    fn notify(&self) -> Option<&Notify> {
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
