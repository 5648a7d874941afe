//! SQLite engine: one file, one process, one writer.
//!
//! | file | what |
//! |---|---|
//! | `open` | options, errors, what is checked before the store runs |
//! | `writer` | the thread that commits many writes together; stopping |
//! | `witness` | the mark outside the database |
//! | `readers` | connections that only read |
//! | `backup` | copies with a manifest |
//! | `restore` | going on with an earlier state |
//!
//! What it does to the tables is in `store/sql`.

mod backup;
mod files;
mod inspect;
mod migrate;
mod open;
mod readers;
mod restore;
mod settings;
#[cfg(test)]
mod tests;
mod witness;
mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    thread::JoinHandle,
};

use async_trait::async_trait;
use rusqlite::Connection;
use signer_core::{time::UnixSeconds, trust::Life};

pub(super) use self::files::{create_private, sync_parent};
pub(crate) use self::readers::READERS;
pub use self::{
    backup::{BackupError, Manifest, back_up, check as check_backup},
    open::{OpenError, SqliteOptions},
    restore::{RestoreError, Survey},
    witness::{FileWitness, Mark, Witness},
};
use self::{
    readers::Readers,
    writer::{CLOSED, Job, Shared},
};
use super::{
    Announcement, Store, StoreError, StoreLoad, StoreMetrics, StoreResult,
    sql::{Engine, db, db::Db, expire},
};
use crate::traces::{Part, name_of, span};

/// The store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
    shared: Arc<Shared>,
    announced: Arc<AtomicUsize>,
    /// Number of this opening of the store: leases of earlier ones are dead.
    run: i64,
    /// When it was last brought back from a backup, and how often.
    restored: UnixSeconds,
    epoch: u32,
}

impl SqliteStore {
    /// Queues a write and waits until it is committed and witnessed.
    async fn commit<T: Send + 'static>(
        &self,
        now: UnixSeconds,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.shared.running()?;
        let (job, answer) = Job::new(now, work);
        self.queue(job)?;
        answer.await.unwrap_or_else(|_| Err(self.shared.dropped()))
    }

    fn queue(&self, job: Job) -> StoreResult<()> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or_else(|| self.shared.stopped())?;
        // Before it is sent: the writer takes it off the count.
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        jobs.try_send(job).map_err(|error| {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => {
                    self.shared.metrics.refused.inc();
                    StoreError::Overloaded
                }
                TrySendError::Disconnected(_) => self.shared.stopped(),
            }
        })
    }

    /// Lets the writer finish what is queued; its thread, for joining.
    fn shut(&self) -> Option<JoinHandle<()>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.readers.close();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for SqliteStore {
    /// Waits for the writer, so that the process lock is free afterwards.
    fn drop(&mut self) {
        if let Some(thread) = self.shut() {
            let _ = thread.join();
        }
    }
}

impl Engine for SqliteStore {
    async fn write<T: Send + 'static>(
        &self,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (run, name) = (self.run, name_of(&work));
        span(Part::Sqlite, name, self.commit(now, move |db| work(&Db::Sqlite(db, run)))).await
    }

    async fn chain(&self, _now: UnixSeconds) -> StoreResult<()> {
        Ok(())
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (run, name) = (self.run, name_of(&work));
        span(Part::Sqlite, name, self.readers.read(move |db| work(&Db::Sqlite(db, run)))).await
    }

    async fn read_row<T: Send + 'static>(
        &self,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (run, name) = (self.run, name_of(&work));
        span(Part::Sqlite, name, self.readers.read_here(move |db| work(&Db::Sqlite(db, run)))).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn expire(&self, now: UnixSeconds, life: Life) -> StoreResult<u64> {
        expire::all(self, now, life).await
    }

    fn latest_time(&self) -> UnixSeconds {
        self.shared.latest()
    }

    fn restored_at(&self) -> UnixSeconds {
        self.restored
    }

    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn announce(&self) -> Announcement {
        Announcement::new(&self.announced)
    }

    fn commits(&self) -> u64 {
        self.shared.commits()
    }

    fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    fn is_stopped(&self) -> bool {
        self.shared.running().is_err()
    }

    fn load(&self) -> StoreLoad {
        let (connections, connections_max) = self.readers.load();
        let waiting = self.shared.queued.load(Ordering::Relaxed);
        StoreLoad { waiting, connections, connections_max, leads: true }
    }

    async fn check(&self) -> StoreResult<()> {
        self.read(|_| Ok(())).await?;
        // A change of nothing is still a commit, a sync and a mark: the whole way is tried.
        self.write(self.latest_time(), |db| db::execute_one(db, "UPDATE meta SET seq = seq", [])).await
    }

    async fn close(&self) {
        if let Some(thread) = self.shut() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.shared.stop(CLOSED);
    }
}
