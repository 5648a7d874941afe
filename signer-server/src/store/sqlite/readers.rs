//! Connections that only read, on blocking threads. A row by its key is read where it is asked for: that takes some ten
//! microseconds from memory, less than handing it to another thread and back.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{settings, writer::Shared};
use crate::store::{StoreError, StoreResult};

/// Most reads at a time.
pub(crate) const READERS: usize = 4;
/// Most reads that wait for a connection; more are refused as overload.
const WAITING_MAX: usize = 4096;

/// A small pool.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    waiting: Semaphore,
    shared: Arc<Shared>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, shared: Arc<Shared>) -> Arc<Self> {
        let (permits, waiting) = (Arc::new(Semaphore::new(READERS)), Semaphore::new(WAITING_MAX));
        Arc::new(Self { path, idle: Mutex::default(), permits, waiting, shared })
    }

    /// Reads from one snapshot, and answers once that is witnessed: nothing is shown that may still be lost.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let permit = self.permit().await?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            readers.read_now(work)
        });
        let (value, seq) = task.await.map_err(|error| StoreError::Engine(format!("reader: {error}")))??;
        self.shared.wait_witnessed(seq).await?;
        Ok(value)
    }

    /// The same on this thread, for reads that are short.
    pub(super) async fn read_here<T>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let permit = self.permit().await?;
        let (value, seq) = self.read_now(work)?;
        drop(permit);
        self.shared.wait_witnessed(seq).await?;
        Ok(value)
    }

    async fn permit(&self) -> StoreResult<OwnedSemaphorePermit> {
        self.shared.running()?;
        let _place = self.waiting.try_acquire().map_err(|_| StoreError::Overloaded)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| self.shared.stopped())
    }

    /// How many connections are in use, and how many there may be.
    pub(super) fn load(&self) -> (usize, usize) {
        (READERS.saturating_sub(self.permits.available_permits()), READERS)
    }

    /// Closes the idle connections; ones in use close when they are done.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    /// What was read, and the number of the commit it is from.
    fn read_now<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<(T, u64)> {
        let idle = self.idle().pop();
        let mut db = idle.map_or_else(|| settings::open_reader(&self.path), Ok)?;
        let snapshot = db.transaction()?;
        let seq: i64 = snapshot.prepare_cached("SELECT seq FROM meta")?.query_row([], |row| row.get(0))?;
        let value = work(&snapshot)?;
        snapshot.finish()?;
        let mut idle = self.idle();
        // Asked with the list in hand, or one that closes meanwhile would leave it here.
        if !self.permits.is_closed() {
            idle.push(db);
        }
        drop(idle);
        let seq = u64::try_from(seq).map_err(|_| StoreError::Corrupt("a negative number".to_owned()))?;
        Ok((value, seq))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
