//! PostgreSQL engine: any number of nodes on one database.
//!
//! | file | what |
//! |---|---|
//! | `open` | options, errors, what is checked before the store runs |
//! | `group` | acts of many installations in one transaction |
//! | `server` | what a server must promise, asked on every connection |
//! | `migrate` | the schema's versions |
//! | `restore` | going on with an earlier state |
//! | `transaction` | one transaction on one connection |
//! | `witness` | what this node has seen, kept outside the database |
//! | `node` | this node among the others: its run, what they tell each other |
//!
//! What it does to the tables is in `store/sql`. Why serializable transactions: `spec/decisions/postgres.md`.

mod group;
mod inspect;
mod migrate;
mod node;
mod open;
mod restore;
mod server;
mod transaction;
mod witness;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool, PoolError};
use signer_core::{ids::DeviceId, time::UnixSeconds, trust::Life};
use tokio::{runtime::Handle, sync::Mutex};

pub(super) use self::transaction::{PgRow, PgTransaction};
use self::{
    group::Groups,
    node::Node,
    server::Watched,
    transaction::{Failure, Kind, store_error},
};
pub use self::{
    open::{OpenError, PostgresOptions},
    restore::{RestoreError, Survey},
};
use super::{
    Announcement, News, Store, StoreError, StoreLoad, StoreMetrics, StoreResult,
    sql::{Engine, audit, columns::time, db::Db, expire},
};
use crate::traces::{Part, name_of, span};

/// Class of the advisory locks: "sign". The second number is a run, 0 for migrations, -1 for the node that leads, or
/// [`RESTORE_LOCK`].
const LOCKS: i32 = 0x7369_676E;
/// Held by all nodes together, or by a restore alone.
const RESTORE_LOCK: i32 = -2;
/// Most acts that wait for a connection; more are refused as overload.
const WAITING_MAX: usize = 4096;
/// How often an act is run that meets others. After the first few it waits for its turn among those of this node.
const TRIES_MAX: u32 = 60;
const TRIES_AT_ONCE: u32 = 3;
/// How often a row that is there already is looked at again: an act before may have been taken back.
const DUPLICATE_TRIES: u32 = 3;
/// How long a poll waits at most before it looks again: a node may end between its commit and telling.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The same while other nodes are not heard.
const LOOK_AGAIN_DEAF: Duration = Duration::from_secs(1);

/// The store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    handle: Handle,
    node: Node,
    groups: Groups,
    watched: Arc<Watched>,
    waiting: AtomicUsize,
    /// Those that met others again and again, one at a time.
    turn: Arc<Mutex<()>>,
    clock: Clock,
    commits: Arc<AtomicU64>,
    metrics: StoreMetrics,
    announced: Arc<AtomicUsize>,
    restored: UnixSeconds,
    epoch: u32,
}

/// The latest time written down, for all nodes.
#[derive(Debug)]
struct Clock {
    latest: AtomicU64,
    moving: Mutex<()>,
}

impl PostgresStore {
    /// Writes down that it is `now`, before anything is written at that time. At most once a second for each node.
    async fn move_clock(&self, now: UnixSeconds) -> StoreResult<()> {
        if now <= self.latest_time() {
            return Ok(());
        }
        let _moving = self.clock.moving.lock().await;
        if now <= self.latest_time() {
            return Ok(());
        }
        let connection = self.connection().await?;
        let sql = "UPDATE meta SET latest_time = greatest(latest_time, $1) RETURNING latest_time";
        let work = async {
            let statement = connection.prepare_cached(sql).await?;
            connection.query_one(&statement, &[&time(now)]).await?.try_get::<_, i64>(0)
        };
        let latest = tokio::time::timeout(transaction::STATEMENT_TIME, work).await;
        let latest = match latest {
            Ok(Ok(latest)) => u64::try_from(latest).unwrap_or_default(),
            Ok(Err(error)) => return Err(store_error(&error)),
            Err(_elapsed) => {
                drop(Object::take(connection));
                return Err(StoreError::Unavailable("no answer in time".to_owned()));
            }
        };
        self.clock.latest.fetch_max(latest, Ordering::AcqRel);
        Ok(())
    }

    async fn connection(&self) -> StoreResult<Object> {
        self.watched.running()?;
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.metrics.refused.inc();
            return Err(StoreError::Overloaded);
        }
        let waits = Waits(&self.waiting);
        let connection = self.pool.get().await;
        drop(waits);
        self.watched.running()?;
        connection.map_err(|error| match error {
            PoolError::Timeout(_) => StoreError::Overloaded,
            PoolError::Closed => StoreError::Stopped(CLOSED.to_owned()),
            PoolError::Backend(error) => store_error(&error),
            other => StoreError::Unavailable(other.to_string()),
        })
    }

    /// Runs a transaction until it met no other.
    async fn commit<T: Send + 'static>(
        &self,
        kind: Kind,
        now: UnixSeconds,
        mut work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.move_clock(now).await?;
        let mut turn = None;
        for tries in 1..=TRIES_MAX {
            let begun = Instant::now();
            let (tried, again) = self.transact(kind, work).await?;
            work = again;
            match tried {
                Ok(value) => {
                    self.commits.fetch_add(1, Ordering::AcqRel);
                    self.witnessed().await?;
                    self.metrics.committed(1, begun.elapsed());
                    return Ok(value);
                }
                Err((_, Some(Failure::Conflict))) if tries < TRIES_MAX => {
                    self.metrics.retries.count(["conflict"]);
                }
                Err((_, Some(Failure::Duplicate))) if tries < DUPLICATE_TRIES => {
                    self.metrics.retries.count(["duplicate"]);
                }
                Err((error, _)) => {
                    self.watched.witness.may_have_missed(&error);
                    return Err(error);
                }
            }
            if tries >= TRIES_AT_ONCE {
                if turn.is_none() {
                    turn = Some(Arc::clone(&self.turn).lock_owned().await);
                }
                // Only other nodes are met now: not in step with them.
                let pause = u64::from(tries) * (1 + self.node.run().unsigned_abs() % 5);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        Err(StoreError::Overloaded)
    }

    /// Returns when what was committed before is witnessed. If the witness cannot be written the store stops: what it answered
    /// then could be forgotten unnoticed.
    async fn witnessed(&self) -> StoreResult<()> {
        let begun = Instant::now();
        let done = self.watched.witness.witness(self.connection()).await;
        self.metrics.witness_seconds.observe_time(begun.elapsed());
        if let Err(StoreError::Stopped(reason)) = &done {
            self.watched.stop(reason);
        }
        done
    }

    /// Runs `work` in a transaction on a thread that may wait, and gives `work` back to be run again.
    async fn transact<T, W>(&self, kind: Kind, work: W) -> StoreResult<(Tried<T>, W)>
    where
        T: Send + 'static,
        W: Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    {
        let connection = self.connection().await?;
        let (handle, run) = (self.handle.clone(), self.node.run());
        let task = tokio::task::spawn_blocking(move || {
            let mut transaction = PgTransaction::new(connection, handle, run, kind);
            let tried = match work(&Db::Postgres(&transaction)) {
                Ok(value) => transaction.commit().map(|()| value),
                Err(error) => Err((error, transaction.roll_back())),
            };
            (tried, work)
        });
        task.await.map_err(|error| StoreError::Engine(format!("act: {error}")))
    }
}

/// One that waits for a connection, until it has one or its caller goes away.
struct Waits<'w>(&'w AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What became of one run of an act.
type Tried<T> = Result<T, (StoreError, Option<Failure>)>;

const CLOSED: &str = "closed";

impl Engine for PostgresStore {
    async fn write<T: Send + 'static>(
        &self,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let name = name_of(&work);
        span(Part::Postgres, name, self.commit(Kind::Write, now, work)).await
    }

    async fn write_of<T: Send + 'static>(
        &self,
        device: DeviceId,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let name = name_of(&work);
        span(Part::Postgres, name, self.groups.write(device, now, work)).await
    }

    async fn chain(&self, now: UnixSeconds) -> StoreResult<()> {
        self.commit(Kind::Append, now, move |db| audit::chain(db, now).map(|_| ())).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let name = name_of(&work);
        let read = async {
            let value = self.transact(Kind::Read, work).await?.0.map_err(|(error, _)| error)?;
            // What was committed and could not be witnessed is shown to nobody before it is.
            if self.watched.witness.missed().await {
                self.witnessed().await?;
            }
            Ok(value)
        };
        span(Part::Postgres, name, read).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn expire(&self, now: UnixSeconds, life: Life) -> StoreResult<u64> {
        expire::all(self, now, life).await
    }

    fn latest_time(&self) -> UnixSeconds {
        UnixSeconds(self.clock.latest.load(Ordering::Acquire))
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
        self.commits.load(Ordering::Acquire)
    }

    fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    fn is_stopped(&self) -> bool {
        self.watched.running().is_err()
    }

    fn load(&self) -> StoreLoad {
        let status = self.pool.status();
        StoreLoad {
            waiting: self.waiting.load(Ordering::Acquire).saturating_add(self.groups.waiting()),
            connections: status.size.saturating_sub(status.available),
            connections_max: status.max_size,
            leads: self.node.leads(),
        }
    }

    fn has_nodes(&self) -> bool {
        true
    }

    fn tell_nodes(&self, news: News) {
        self.node.tell(news);
    }

    async fn told_by_node(&self) -> News {
        self.node.told().await
    }

    fn leads(&self) -> bool {
        self.node.leads()
    }

    fn look_again(&self) -> Option<Duration> {
        Some(if self.node.hears() { LOOK_AGAIN } else { LOOK_AGAIN_DEAF })
    }

    async fn check(&self) -> StoreResult<()> {
        // A change of nothing is still a commit: the whole way is tried.
        let connection = self.connection().await?;
        let work = connection.execute("UPDATE meta SET latest_time = latest_time", &[]);
        match tokio::time::timeout(transaction::STATEMENT_TIME, work).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(store_error(&error)),
            Err(_elapsed) => {
                drop(Object::take(connection));
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
        }
    }

    async fn close(&self) {
        self.watched.stop(CLOSED);
        self.pool.close();
        self.node.leave().await;
    }
}
