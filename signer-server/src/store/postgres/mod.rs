//! PostgreSQL engine: any number of nodes on one database.
//!
//! | file | what |
//! |---|---|
//! | `open` | options, errors, what is checked before the store runs |
//! | `server` | what a server must promise, asked on every connection |
//! | `migrate` | the schema's versions |
//! | `transaction` | one transaction on one connection |
//! | `node` | this node among the others: its run, what they tell each other |
//!
//! What it does to the tables is in `store/sql`. Why serializable transactions: `spec/decisions/postgres.md`.

mod migrate;
mod node;
mod open;
mod server;
mod transaction;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool, PoolError};
use signer_core::{time::UnixSeconds, trust::Life};
use tokio::{runtime::Handle, sync::Mutex};

pub use self::open::{OpenError, PostgresOptions};
pub(super) use self::transaction::{PgRow, PgTransaction};
use self::{
    node::Node,
    server::Watched,
    transaction::{Failure, Kind, store_error},
};
use super::{
    Announcement, Ended, Store, StoreError, StoreResult,
    sql::{Engine, audit, columns::time, db::Db, expire},
};

/// Class of the advisory locks: "sign". The second number is a run, 0 for migrations, or -1 for the node that leads.
const LOCKS: i32 = 0x7369_676E;
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
    watched: Arc<Watched>,
    waiting: AtomicUsize,
    /// Those that met others again and again, one at a time.
    turn: Arc<Mutex<()>>,
    clock: Clock,
    commits: Arc<AtomicU64>,
    announced: Arc<AtomicUsize>,
    restored: UnixSeconds,
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
            return Err(StoreError::Overloaded);
        }
        let connection = self.pool.get().await;
        self.waiting.fetch_sub(1, Ordering::AcqRel);
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
            let (tried, again) = self.transact(kind, work).await?;
            work = again;
            match tried {
                Ok(value) => {
                    self.commits.fetch_add(1, Ordering::AcqRel);
                    return Ok(value);
                }
                Err((_, Some(Failure::Conflict))) if tries < TRIES_MAX => {}
                Err((_, Some(Failure::Duplicate))) if tries < DUPLICATE_TRIES => {}
                Err((error, _)) => return Err(error),
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

/// What became of one run of an act.
type Tried<T> = Result<T, (StoreError, Option<Failure>)>;

const CLOSED: &str = "closed";

impl Engine for PostgresStore {
    async fn write<T: Send + 'static>(
        &self,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.commit(Kind::Write, now, work).await
    }

    async fn chain(&self, now: UnixSeconds) -> StoreResult<()> {
        self.commit(Kind::Append, now, move |db| audit::chain(db, now).map(|_| ())).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.transact(Kind::Read, work).await?.0.map_err(|(error, _)| error)
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

    fn announce(&self) -> Announcement {
        Announcement::new(&self.announced)
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    fn tell_nodes(&self, ended: Ended) {
        self.node.tell(ended);
    }

    async fn told_by_node(&self) -> Ended {
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
