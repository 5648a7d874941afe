//! The one thread that writes, many requests to a transaction.
//!
//! A job runs in a savepoint, so that a failing one takes back its own changes only. The group is answered after COMMIT and
//! after the witness has moved, never before; if either fails nobody can say what is durable, so the store stops for good
//! and must be opened anew. A job that the engine refuses before COMMIT (a full disk, a broken constraint) is known
//! not to have happened: it gets its error and the store goes on.

use std::{
    fs::File,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use signer_core::time::UnixSeconds;
use tokio::sync::{oneshot, watch};

use super::witness::{Mark, Witness};
use crate::store::{
    StoreError, StoreMetrics, StoreResult,
    sql::{
        audit,
        columns::{int, time},
        db::Db,
    },
};

/// Most jobs in one transaction.
const GROUP_MAX: usize = 512;
/// How often a waiting writer looks whether announced writes were given up.
const LOOK: Duration = Duration::from_micros(500);
/// Row changes between two checkpoints of the log.
const CHECKPOINT_CHANGES: u64 = 1_000;

/// What the writer tells everybody.
#[derive(Debug)]
pub(super) struct Shared {
    stopped: OnceLock<String>,
    latest: AtomicU64,
    commits: AtomicU64,
    /// Up to which commit the witness has moved.
    witnessed: watch::Sender<u64>,
    /// Jobs that wait for the writer.
    pub(super) queued: AtomicUsize,
    pub(super) metrics: StoreMetrics,
}

impl Shared {
    pub(super) fn new(seq: u64, latest: UnixSeconds) -> Arc<Self> {
        Arc::new(Self {
            stopped: OnceLock::new(),
            latest: AtomicU64::new(latest.0),
            commits: AtomicU64::new(0),
            witnessed: watch::Sender::new(seq),
            queued: AtomicUsize::new(0),
            metrics: StoreMetrics::default(),
        })
    }

    pub(super) fn latest(&self) -> UnixSeconds {
        UnixSeconds(self.latest.load(Ordering::Acquire))
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Stops the store; the first reason stays.
    pub(super) fn stop(&self, reason: &str) {
        if self.stopped.set(reason.to_owned()).is_ok() && reason != CLOSED {
            tracing::error!(reason, "the store has stopped");
        }
        // Whoever waits looks again.
        self.witnessed.send_modify(|_| {});
    }

    pub(super) fn running(&self) -> StoreResult<()> {
        self.stopped.get().map_or(Ok(()), |reason| Err(StoreError::Stopped(reason.clone())))
    }

    pub(super) fn stopped(&self) -> StoreError {
        StoreError::Stopped(self.stopped.get().map_or(CLOSED, String::as_str).to_owned())
    }

    /// Why a job was dropped without an answer.
    pub(super) fn dropped(&self) -> StoreError {
        match self.running() {
            Ok(()) => StoreError::Engine("taken back together with another write".to_owned()),
            Err(stopped) => stopped,
        }
    }

    /// Waits until what was read at `seq` is witnessed: before that it may still be lost.
    pub(super) async fn wait_witnessed(&self, seq: u64) -> StoreResult<()> {
        let mut witnessed = self.witnessed.subscribe();
        let moved = |now: &u64| *now >= seq || self.running().is_err();
        witnessed.wait_for(moved).await.map_err(|_| self.stopped())?;
        self.running()
    }

    fn committed(&self, seq: u64, latest: UnixSeconds) {
        self.latest.fetch_max(latest.0, Ordering::AcqRel);
        self.commits.fetch_add(1, Ordering::AcqRel);
        self.witnessed.send_replace(seq);
    }
}

pub(super) const CLOSED: &str = "closed";

/// One write.
pub(super) struct Job {
    now: UnixSeconds,
    work: Box<dyn FnOnce(&Connection) -> Worked + Send>,
}

/// A job after its work: its answer is still held back.
struct Worked {
    /// Why the whole group is lost with it, if it is.
    lost: Option<StoreError>,
    answer: Box<dyn FnOnce(StoreResult<()>) + Send>,
}

impl Job {
    /// A job and where its answer will arrive. Dropping the job without running it drops the sender.
    pub(super) fn new<T: Send + 'static>(
        now: UnixSeconds,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> (Self, oneshot::Receiver<StoreResult<T>>) {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move |db: &Connection| {
            let (result, kept) = in_savepoint(db, work);
            let lost = if kept { None } else { result.as_ref().err().map(again) };
            let answer = Box::new(move |group: StoreResult<()>| {
                let _ = sender.send(group.and(result));
            });
            Worked { lost, answer: answer as Box<dyn FnOnce(StoreResult<()>) + Send> }
        });
        (Self { now, work }, receiver)
    }
}

/// The result, and whether the transaction around it still stands.
fn in_savepoint<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> StoreResult<T>,
) -> (StoreResult<T>, bool) {
    let step = |sql: &str| db.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    if let Err(error) = step("SAVEPOINT job") {
        return (Err(error.into()), false);
    }
    match work(db) {
        Ok(value) => match step("RELEASE job") {
            Ok(_) => (Ok(value), true),
            Err(error) => (Err(error.into()), false),
        },
        Err(error) => {
            let clean = !db.is_autocommit() && step("ROLLBACK TO job").is_ok() && step("RELEASE job").is_ok();
            (Err(error), clean)
        }
    }
}

/// How a group failed.
enum Failure {
    /// Nothing of it was committed.
    Refused(StoreError),
    /// What is durable is not known, or not ours.
    Unknown(String),
}

/// The writer's own state; it owns the connection and the process lock.
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) witness: Box<dyn Witness>,
    pub(super) mark: Mark,
    pub(super) jobs: Receiver<Job>,
    pub(super) announced: Arc<AtomicUsize>,
    pub(super) window: Duration,
    pub(super) shared: Arc<Shared>,
    pub(super) lock: File,
}

impl Writer {
    /// Works until every sender of jobs is gone. After a stop, jobs are dropped unread: their callers see it.
    pub(super) fn run(mut self) {
        let _stop = StopAtEnd(Arc::clone(&self.shared));
        let mut checkpointed_at = self.db.total_changes();
        while let Ok(first) = self.jobs.recv() {
            if self.shared.running().is_err() {
                self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let jobs = self.gather(first);
            self.group(jobs);
            let changes = self.db.total_changes();
            if changes.wrapping_sub(checkpointed_at) >= CHECKPOINT_CHANGES {
                self.checkpoint();
                checkpointed_at = changes;
            }
        }
        let Self { db, lock, .. } = self;
        // The connection first: it still writes the log back. Then another process may come.
        if let Err((_, error)) = db.close() {
            tracing::warn!(%error, "closing the store");
        }
        drop(lock);
    }

    /// The jobs of the next transaction: what waits now, and for a moment what was announced.
    fn gather(&self, first: Job) -> Vec<Job> {
        let end = Instant::now() + self.window;
        let mut jobs = vec![first];
        loop {
            while jobs.len() < GROUP_MAX
                && let Ok(job) = self.jobs.try_recv()
            {
                jobs.push(job);
            }
            let left = end.saturating_duration_since(Instant::now());
            if jobs.len() >= self.announced.load(Ordering::Relaxed).min(GROUP_MAX) || left.is_zero() {
                return jobs;
            }
            match self.jobs.recv_timeout(left.min(LOOK)) {
                Ok(job) => jobs.push(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return jobs,
            }
        }
    }

    fn group(&mut self, jobs: Vec<Job>) {
        let (count, begun) = (jobs.len(), Instant::now());
        self.shared.queued.fetch_sub(count, Ordering::Relaxed);
        let commits = self.shared.commits();
        let latest = jobs.iter().map(|job| job.now).max().unwrap_or_default().max(self.shared.latest());
        let mut worked = Vec::with_capacity(jobs.len());
        let failure = match self.transact(jobs, latest, &mut worked) {
            Ok(()) => None,
            Err(Failure::Refused(reason)) => match self.roll_back() {
                Ok(()) => Some(reason),
                Err(error) => Some(self.stop(&format!("{reason}; rolling back: {error}"))),
            },
            Err(Failure::Unknown(reason)) => {
                let stopped = self.stop(&reason);
                // Only to let go of the file: nothing of this group is answered as done.
                let _ = self.roll_back();
                Some(stopped)
            }
        };
        if self.shared.commits() > commits {
            self.shared.metrics.committed(count, begun.elapsed());
        }
        for done in worked {
            (done.answer)(failure.as_ref().map_or(Ok(()), |error| Err(again(error))));
        }
    }

    fn transact(
        &mut self,
        jobs: Vec<Job>,
        latest: UnixSeconds,
        worked: &mut Vec<Worked>,
    ) -> Result<(), Failure> {
        let refused = |error: rusqlite::Error| Failure::Refused(error.into());
        self.db.execute_batch("BEGIN IMMEDIATE").map_err(refused)?;
        let before = self.db.total_changes();
        for job in jobs {
            let done = (job.work)(&self.db);
            let lost = done.lost.as_ref().map(again);
            worked.push(done);
            if let Some(reason) = lost {
                return Err(Failure::Refused(reason));
            }
        }
        if self.db.total_changes() == before {
            // Nothing to make durable: everything answered was committed and witnessed before.
            return self.db.execute_batch("ROLLBACK").map_err(refused);
        }
        self.commit(latest)
    }

    fn commit(&mut self, latest: UnixSeconds) -> Result<(), Failure> {
        let chained = audit::chain(&Db::Sqlite(&self.db, 0), latest).map_err(Failure::Refused)?;
        let audit = chained.mark.unwrap_or(self.mark.audit);
        let next = Mark { seq: self.mark.seq.saturating_add(1), audit, latest, ..self.mark };
        let seq = int(next.seq).map_err(Failure::Refused)?;
        let rows = self
            .db
            .prepare_cached("UPDATE meta SET seq = ?1, latest_time = ?2 WHERE seq < ?1")
            .and_then(|mut statement| statement.execute((seq, time(latest))))
            .map_err(|error| Failure::Refused(error.into()))?;
        if rows != 1 {
            return Err(Failure::Unknown("another process has written to the store".to_owned()));
        }
        self.db.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
            // The log had no room for all of it, and without its last page it is none.
            Some(ErrorCode::DiskFull) => Failure::Refused(error.into()),
            _ => Failure::Unknown(format!("commit: {error}")),
        })?;
        self.mark = next;
        let begun = Instant::now();
        let witnessed = self.witness.keep(&chained.entries).and_then(|()| self.witness.advance(next));
        witnessed.map_err(|error| Failure::Unknown(format!("witness: {error}")))?;
        self.shared.metrics.witness_seconds.observe_time(begun.elapsed());
        self.shared.committed(next.seq, latest);
        Ok(())
    }

    fn roll_back(&self) -> rusqlite::Result<()> {
        if self.db.is_autocommit() { Ok(()) } else { self.db.execute_batch("ROLLBACK") }
    }

    /// Copies the log into the database, after the answers are out. SQLite's own checkpoints hide a failed sync.
    fn checkpoint(&self) {
        let result = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match result {
            Ok(()) => {}
            // It stays in the log.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                tracing::error!("the disk is full: the store's log is not copied back");
            }
            Err(error) => {
                self.stop(&format!("checkpoint: {error}"));
            }
        }
    }

    fn stop(&self, reason: &str) -> StoreError {
        self.shared.stop(reason);
        self.shared.stopped()
    }
}

fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Stopped(reason) => StoreError::Stopped(reason.clone()),
        StoreError::Unavailable(reason) => StoreError::Unavailable(reason.clone()),
        other => StoreError::Engine(other.to_string()),
    }
}

/// Stops the store when the writer ends, also by a panic.
struct StopAtEnd(Arc<Shared>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop(if std::thread::panicking() { "the writer panicked" } else { CLOSED });
    }
}
