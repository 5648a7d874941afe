//! Tells phones that something happened, on this node or another. A phone asks by itself now and then, so a message that is missed costs
//! time, never the result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use signer_core::{
    ids::DeviceId,
    wire::{Event, Listen, ProblemCode},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

use super::{Refusal, Service, ServiceResult, good_standing};
use crate::store::{Holder, News};

/// How long a stream lasts: then the phone signs for it again.
const STREAM_TIME: Duration = Duration::from_secs(900);

/// Open streams by device.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<Streams>);

#[derive(Debug, Default)]
struct Streams {
    closed: bool,
    open: HashMap<DeviceId, Arc<Inbox>>,
}

/// What a stream has not sent yet: each event at most once, so that nothing piles up.
#[derive(Debug, Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Event>,
    ended: bool,
}

impl Inbox {
    fn put(&self, event: Event) {
        let mut waiting = lock(&self.waiting);
        if !waiting.events.contains(&event) {
            waiting.events.push(event);
        }
        self.wake.notify_one();
    }

    fn end(&self) {
        lock(&self.waiting).ended = true;
        self.wake.notify_one();
    }
}

/// One stream. It ends when it is dropped, replaced, too old, or the server stops.
#[derive(Debug)]
pub struct Listening {
    listeners: Arc<Listeners>,
    device: DeviceId,
    inbox: Arc<Inbox>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Listening {
    /// The next event, or `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            {
                let mut waiting = lock(&self.inbox.waiting);
                if waiting.ended {
                    return None;
                }
                if !waiting.events.is_empty() {
                    return Some(waiting.events.remove(0));
                }
            }
            tokio::time::timeout_at(self.until, self.inbox.wake.notified()).await.ok()?;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut streams = lock(&self.listeners.0);
        if streams.open.get(&self.device).is_some_and(|open| Arc::ptr_eq(open, &self.inbox)) {
            streams.open.remove(&self.device);
        }
    }
}

impl Service {
    /// Opens a stream of events for the calling device; an earlier one of it ends.
    ///
    /// # Errors
    /// A refusal if the message is not the device's, `overloaded` if too many wait already.
    pub async fn listen(&self, bytes: &[u8]) -> ServiceResult<Listening> {
        let (Listen {}, caller) = self.open(bytes).await?;
        good_standing(&caller.installation)?;
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_| self.shed("streams"))?;
        let device = caller.installation.device;
        let inbox = Arc::new(Inbox::default());
        // Whatever happened before the stream began: the phone looks at everything once.
        Event::ALL.into_iter().for_each(|event| inbox.put(event));
        let mut streams = lock(&self.listeners.0);
        if streams.closed {
            return Err(Refusal::new(ProblemCode::Overloaded).into());
        }
        if let Some(before) = streams.open.insert(device, Arc::clone(&inbox)) {
            before.end();
        }
        drop(streams);
        let (listeners, until) = (Arc::clone(&self.listeners), Instant::now() + STREAM_TIME);
        Ok(Listening { listeners, device, inbox, until, _place: place })
    }

    /// Ends every stream: the server stops.
    pub(super) fn end_streams(&self) {
        let mut streams = lock(&self.listeners.0);
        streams.closed = true;
        streams.open.drain().for_each(|(_, inbox)| inbox.end());
    }

    /// Tells a device, on whichever node it listens.
    pub(super) fn tell(&self, device: DeviceId, event: Event) {
        self.tell_here(device, event);
        self.store.tell_nodes(News::Phone(device, event));
    }

    /// Tells a device that listens on this node.
    pub(super) fn tell_here(&self, device: DeviceId, event: Event) {
        if let Some(inbox) = lock(&self.listeners.0).open.get(&device) {
            inbox.put(event);
        }
    }

    /// Tells a holder's device. That it is not told when the store fails costs time only.
    pub(super) async fn tell_holder(&self, holder: &Holder, event: Event) {
        if lock(&self.listeners.0).open.is_empty() && !self.store.has_nodes() {
            return;
        }
        if let Ok(Some(device)) = self.store.living(holder.clone()).await {
            self.tell(device, event);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
