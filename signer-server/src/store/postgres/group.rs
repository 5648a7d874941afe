//! Acts of different installations in one transaction: one BEGIN, one COMMIT and one wait for the disk for all of them.
//!
//! Each act is the same code as alone, on a thread of its own; the connection takes their statements as they come and does not
//! wait for one answer before it sends the next. Acts of a group see each other's changes, so a group has at most one act of
//! an installation, and an act that would read and then change what others share says so ([`Db::alone`]). If one act
//! fails, or the group meets another transaction, the group is taken back whole and each act is run by itself: what comes
//! out never depends on who shared a group.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use prometheus_client::metrics::counter::Counter;
use signer_core::{ids::DeviceId, time::UnixSeconds};
use tokio::{
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel, error::TrySendError},
        oneshot,
    },
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    CLOSED, PgTransaction, PostgresStore, WAITING_MAX,
    transaction::{Failure, Kind, Shared},
};
use crate::store::{StoreError, StoreResult, sql::db::Db};

/// Most acts in one transaction.
const GROUP_MAX: usize = 128;
/// Groups under way at once: while one waits for the disk, the next one works.
const AT_ONCE: usize = 2;
/// How often a group that gathers looks whether announced writes were given up.
const LOOK: Duration = Duration::from_micros(500);

/// Where acts wait for a group.
#[derive(Debug)]
pub(super) struct Groups {
    queue: Sender<Job>,
    /// Acts for which there was no place.
    refused: Counter,
}

impl Groups {
    /// The queue, and its other end for [`Groups::work`].
    pub(super) fn new(refused: Counter) -> (Self, Receiver<Job>) {
        let (queue, receiver) = channel(WAITING_MAX);
        (Self { queue, refused }, receiver)
    }

    /// How many acts wait for a group.
    pub(super) fn waiting(&self) -> usize {
        WAITING_MAX.saturating_sub(self.queue.capacity())
    }

    /// Gathers and runs groups until the store is gone.
    pub(super) fn work(store: &Arc<PostgresStore>, receiver: Receiver<Job>, window: Duration) {
        let inbox = Arc::new(Mutex::new(Inbox { receiver, left: VecDeque::new() }));
        for _ in 0..AT_ONCE {
            let (inbox, store) = (Arc::clone(&inbox), Arc::downgrade(store));
            tokio::spawn(async move {
                while let Some(jobs) = gather(&inbox, &store, window).await {
                    let Some(store) = store.upgrade() else { return };
                    store.run_group(jobs).await;
                }
            });
        }
    }

    /// Runs an act of an installation together with those of others, and answers once it is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        device: DeviceId,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (answer, answered) = oneshot::channel();
        let act = Box::new(Typed { now, work, result: None, answer });
        self.queue.try_send(Job { device, now, act }).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.refused.inc();
                StoreError::Overloaded
            }
            TrySendError::Closed(_) => StoreError::Stopped(CLOSED.to_owned()),
        })?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unknown("the act panicked".to_owned())))
    }
}

/// What came, and what waits because the group before had an act of its installation.
struct Inbox {
    receiver: Receiver<Job>,
    left: VecDeque<Job>,
}

/// One act of an installation.
pub(super) struct Job {
    device: DeviceId,
    now: UnixSeconds,
    act: Box<dyn Act>,
}

/// An act whose answer is held back.
trait Act: Send {
    /// Runs it in a transaction. Whether that may be committed.
    fn run(&mut self, db: &Db<'_>) -> bool;
    /// Answers it: with what it came to, or with why its transaction did not become durable.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
    /// Runs it in a transaction of its own, and answers it.
    fn alone(self: Box<Self>, store: Arc<PostgresStore>);
}

struct Typed<T, W> {
    now: UnixSeconds,
    work: W,
    result: Option<StoreResult<T>>,
    answer: oneshot::Sender<StoreResult<T>>,
}

impl<T, W> Act for Typed<T, W>
where
    T: Send + 'static,
    W: Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
{
    fn run(&mut self, db: &Db<'_>) -> bool {
        self.result.insert((self.work)(db)).is_ok()
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let result = match failed {
            Some(error) => Err(error),
            None => self.result.unwrap_or_else(|| Err(StoreError::Engine("an act was not run".to_owned()))),
        };
        let _gone = self.answer.send(result);
    }

    fn alone(self: Box<Self>, store: Arc<PostgresStore>) {
        tokio::spawn(async move {
            let _gone = self.answer.send(store.commit(Kind::Write, self.now, self.work).await);
        });
    }
}

/// The acts of the next group: what waits now, and for a moment what was announced. Nothing once the store is gone.
async fn gather(inbox: &Mutex<Inbox>, store: &Weak<PostgresStore>, window: Duration) -> Option<Vec<Job>> {
    let mut inbox = inbox.lock().await;
    let first = match inbox.left.pop_front() {
        Some(job) => job,
        None => inbox.receiver.recv().await?,
    };
    let end = Instant::now() + window;
    let mut devices = HashSet::from([first.device]);
    let mut jobs = vec![first];
    let mut waiting = std::mem::take(&mut inbox.left);
    loop {
        while jobs.len() < GROUP_MAX
            && let Some(job) = waiting.pop_front().or_else(|| inbox.receiver.try_recv().ok())
        {
            if devices.insert(job.device) { jobs.push(job) } else { inbox.left.push_back(job) }
        }
        let announced = store.upgrade().map_or(0, |store| store.announced.load(Ordering::Relaxed));
        let now = Instant::now();
        if jobs.len() >= announced.min(GROUP_MAX) || now >= end {
            inbox.left.extend(waiting);
            return Some(jobs);
        }
        if let Ok(Some(job)) = timeout_at(end.min(now + LOOK), inbox.receiver.recv()).await {
            waiting.push_back(job);
        }
    }
}

/// What became of a group.
enum Ended {
    Durable,
    /// Nothing of it happened: each by itself.
    TakenBack,
    /// The same for all, and nothing to be tried again.
    Failed(StoreError),
}

impl PostgresStore {
    /// Runs a group and answers its acts.
    async fn run_group(self: Arc<Self>, mut jobs: Vec<Job>) {
        if jobs.len() == 1 {
            return jobs.into_iter().for_each(|job| job.act.alone(Arc::clone(&self)));
        }
        let ended = match self.transact_group(&mut jobs).await {
            Ok(ended) => ended,
            Err(error) => Ended::Failed(error),
        };
        for job in jobs {
            match &ended {
                Ended::Durable => job.act.answer(None),
                Ended::TakenBack => job.act.alone(Arc::clone(&self)),
                Ended::Failed(error) => job.act.answer(Some(error.clone())),
            }
        }
    }

    async fn transact_group(&self, jobs: &mut Vec<Job>) -> StoreResult<Ended> {
        let begun = std::time::Instant::now();
        let latest = jobs.iter().map(|job| job.now).max().unwrap_or_default();
        self.move_clock(latest).await?;
        let transaction = Shared::begin(self.connection().await?).await?;
        let running = jobs.drain(..).map(|mut job| {
            let view = PgTransaction::within(&transaction, self.handle.clone(), self.node.run());
            spawn_blocking(move || {
                let good = job.act.run(&Db::Postgres(&view));
                (job, good && view.failed().is_none())
            })
        });
        let mut whole = true;
        for ran in join_all(running.collect::<Vec<_>>()).await {
            // Who panicked is told by the answer that never comes.
            let Ok((job, good)) = ran else {
                whole = false;
                continue;
            };
            whole &= good;
            jobs.push(job);
        }
        if !whole {
            transaction.roll_back().await;
            self.metrics.retries.count(["group"]);
            return Ok(Ended::TakenBack);
        }
        match transaction.commit().await {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::AcqRel);
                self.witnessed().await?;
                self.metrics.committed(jobs.len(), begun.elapsed());
                Ok(Ended::Durable)
            }
            Err((_, Some(Failure::Conflict | Failure::Duplicate | Failure::Refused))) => {
                self.metrics.retries.count(["group"]);
                Ok(Ended::TakenBack)
            }
            Err((error, _)) => {
                self.watched.witness.may_have_missed(&error);
                Ok(Ended::Failed(error))
            }
        }
    }
}
