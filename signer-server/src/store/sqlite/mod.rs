//! SQLite engine: one file, one process, one writer.
//!
//! | file | what |
//! |---|---|
//! | `open` | options, errors, what is checked before the store runs |
//! | `writer` | the thread that commits many writes together; stopping |
//! | `witness` | the mark outside the database |
//! | `readers` | connections that only read |
//! | `installations`, `attempts`, `requests`, … | the traits, one file each |
//!
//! Numbers of enums in columns are final, like the schema.

mod attempts;
mod audit;
mod certificates;
mod checks;
mod codes;
mod columns;
mod credentials;
mod csc;
mod displays;
mod expire;
mod files;
mod fleets;
mod history;
mod installations;
mod links;
mod migrate;
mod misses;
mod oauth;
mod open;
mod questions;
mod readers;
mod relying_parties;
mod reports;
mod requests;
mod server_keys;
mod settings;
#[cfg(test)]
mod tests;
mod visits;
mod webhooks;
mod witness;
mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::AtomicUsize,
        mpsc::{SyncSender, TrySendError},
    },
    thread::JoinHandle,
};

use async_trait::async_trait;
use rusqlite::Connection;
use signer_core::{time::UnixSeconds, trust::Life};

pub use self::{
    open::{OpenError, SqliteOptions},
    witness::{AuditMark, FileWitness, Mark, Witness},
};
use self::{
    readers::Readers,
    writer::{CLOSED, Job, Shared},
};
use super::{Announcement, Store, StoreError, StoreResult};

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
    /// When it was last brought back from a backup.
    restored: UnixSeconds,
}

impl SqliteStore {
    /// Queues a write and waits until it is committed and witnessed.
    async fn write<T: Send + 'static>(
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
        let sent = jobs.as_ref().ok_or_else(|| self.shared.stopped())?.try_send(job);
        sent.map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => self.shared.stopped(),
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

#[async_trait]
impl Store for SqliteStore {
    async fn expire(&self, now: UnixSeconds, life: Life) -> StoreResult<u64> {
        let mut touched = 0;
        loop {
            let (rows, more) = self.write(now, move |db| expire::some(db, now, life)).await?;
            touched += rows;
            if !more {
                return Ok(touched);
            }
        }
    }

    fn latest_time(&self) -> UnixSeconds {
        self.shared.latest()
    }

    fn restored_at(&self) -> UnixSeconds {
        self.restored
    }

    fn announce(&self) -> Announcement {
        Announcement::new(&self.announced)
    }

    fn commits(&self) -> u64 {
        self.shared.commits()
    }

    async fn check(&self) -> StoreResult<()> {
        self.readers.read(|_| Ok(())).await?;
        // A change of nothing is still a commit, a sync and a mark: the whole way is tried.
        let work = |db: &Connection| columns::execute_one(db, "UPDATE meta SET seq = seq", []);
        self.write(self.latest_time(), work).await
    }

    async fn close(&self) {
        if let Some(thread) = self.shut() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.shared.stop(CLOSED);
    }
}
