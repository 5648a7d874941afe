//! Going on with an earlier state of the database, in place: one that was promoted, read in from a dump, or brought back to a point in
//! time. What the acts of that are: `store/sql/restore.rs`.

use std::sync::Arc;

use deadpool_postgres::Object;
use signer_core::time::UnixSeconds;
use tokio::runtime::Handle;
use tokio_postgres::Client;

use super::{
    LOCKS, OpenError, PostgresOptions, RESTORE_LOCK, migrate,
    open::{connect, place_before, pool},
    server::{Place, Watched, kept, promises, write_down},
    transaction::{Kind, PgTransaction},
    witness::{NodeWitness, leaf, look},
};
use crate::store::{
    AuditMark, Restore, RestoreReport, StoreError, StoreResult,
    sql::{
        audit,
        db::{Db, first},
        restore,
    },
};

/// Why nothing is restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Nodes are at work.
    #[error("{0} nodes are at work on this database, or another restore: stop them all first")]
    Running(i64),
    /// Nothing is lost.
    #[error(
        "the database holds all that this node's witness has seen, and was neither promoted nor moved: start the nodes"
    )]
    Newest,
    /// The database or the witness.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The acts.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for RestoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Open(error.into())
    }
}

/// A database to go on with, and what this node's witness has seen.
#[derive(Debug)]
pub struct Survey {
    /// How far its audit log had come.
    pub had: AuditMark,
    /// When it was last written.
    pub at: UnixSeconds,
    /// What the witness has seen of the audit log; none if there is no witness.
    pub witness: Option<AuditMark>,
    /// The server's latest time that the witness has seen.
    pub witnessed_at: Option<UnixSeconds>,
    /// The epoch that the witness has seen.
    pub epoch: u32,
    /// Whether the audit log has the last entry that the witness has seen: else it is another branch, or ends before.
    pub holds: bool,
    options: PostgresOptions,
    place: Place,
    /// Keeps nodes out until the end.
    lock: Lock,
}

impl Survey {
    /// Looks at the database.
    ///
    /// # Errors
    /// [`RestoreError`]. Nothing is changed but the schema, which is brought up to date.
    pub async fn look(options: &PostgresOptions) -> Result<Self, RestoreError> {
        let mut client = connect(&options.config()?, &options.tls()?).await?;
        let place = promises(&client).await?;
        lock(&client).await?;
        migrate::apply(&mut client).await?;
        let nothing = || OpenError::Engine("the database holds no store".to_owned());
        let found = look(&client).await?.ok_or_else(nothing)?;
        let witness = NodeWitness::open(options.witness_path.as_deref())?;
        let moved = kept(place_before(&client).await?, place).is_err();
        match witness.held_by(&client).await {
            Ok(()) if !moved && witness.seen().is_some() => return Err(RestoreError::Newest),
            Err(OpenError::WitnessOfAnother) => return Err(OpenError::WitnessOfAnother.into()),
            Ok(()) => {}
            Err(error) if error.is_lost() => {}
            Err(error) => return Err(error.into()),
        }
        let seen = witness.seen();
        let holds = match seen.and_then(|seen| Some((seen.audit.size.checked_sub(1)?, seen.audit.last))) {
            Some((last, hash)) => leaf(&client, last).await? == Some(hash),
            None => false,
        };
        let process = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        Ok(Self {
            had: found.audit,
            at: found.latest,
            witnessed_at: seen.map(|seen| seen.latest),
            witness: seen.map(|seen| seen.audit),
            epoch: seen.map_or(0, |seen| seen.epoch),
            holds,
            options: options.clone(),
            place,
            lock: Lock { _client: client, process },
        })
    }

    /// Makes the database usable and this node's witness follow it.
    ///
    /// # Errors
    /// [`RestoreError`]. What was begun is taken up by the next try.
    pub async fn restore(self, asked: Restore) -> Result<RestoreReport, RestoreError> {
        let (config, tls) = (self.options.config()?, self.options.tls()?);
        let watched = Arc::new(Watched::new(self.place, NodeWitness::open(None)?));
        let pool = pool(config, tls, 1, &watched)?;
        let connection =
            || async { pool.get().await.map_err(|error| StoreError::Unavailable(error.to_string())) };
        let (now, process) = (asked.now, self.lock.process);
        let work = move |db: &Db<'_>| {
            let report = restore::restore(db, &asked)?;
            kept_out(db, process)?;
            Ok(report)
        };
        let report = run(connection().await?, Kind::Write, work).await?;
        run(connection().await?, Kind::Append, move |db| audit::chain(db, now)).await?;
        let client = connection().await?;
        write_down(&client, self.place).await?;
        let found = look(&client).await?.ok_or_else(|| OpenError::Engine("no row in meta".to_owned()))?;
        let witness = NodeWitness::open(self.options.witness_path.as_deref())?;
        witness.write(found).await.map_err(OpenError::Witness)?;
        Ok(report)
    }
}

/// The lock that nodes hold together and a restore alone, for as long as its connection lives.
#[derive(Debug)]
struct Lock {
    _client: Client,
    /// The server's process of that connection.
    process: i32,
}

async fn lock(client: &Client) -> Result<(), RestoreError> {
    if client.query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCKS, &RESTORE_LOCK]).await?.try_get(0)? {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1
        AND objid::bigint = $2 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let nodes = client.query_one(sql, &[&i64::from(LOCKS), &i64::from(RESTORE_LOCK.cast_unsigned())]).await?;
    Err(RestoreError::Running(nodes.try_get(0)?))
}

/// Refuses if the lock was lost with its connection: a node may have begun since.
fn kept_out(db: &Db<'_>, process: i32) -> StoreResult<()> {
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = ?1 AND objid::bigint = ?2
        AND granted AND mode = 'ExclusiveLock' AND pid = ?3";
    let lock = i64::from(RESTORE_LOCK.cast_unsigned());
    match first(db, sql, (i64::from(LOCKS), lock, i64::from(process)), |row| row.get::<i64>(0))? {
        Some(1) => Ok(()),
        _ => Err(StoreError::Unavailable("the lock against nodes was lost: nothing was changed".to_owned())),
    }
}

/// One transaction; nobody else is there for it to meet.
async fn run<T: Send + 'static>(
    connection: Object,
    kind: Kind,
    work: impl FnOnce(&Db<'_>) -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    let handle = Handle::current();
    let task = tokio::task::spawn_blocking(move || {
        let mut transaction = PgTransaction::new(connection, handle, 0, kind);
        match work(&Db::Postgres(&transaction)) {
            Ok(value) => transaction.commit().map(|()| value).map_err(|(error, _)| error),
            Err(error) => {
                transaction.roll_back();
                Err(error)
            }
        }
    });
    task.await.map_err(|error| StoreError::Engine(format!("act: {error}")))?
}
