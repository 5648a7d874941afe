//! Opening: who owns the file, is it durable, is it ours, is it the newest.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicUsize, mpsc::sync_channel},
    time::Duration,
};

use rand::CryptoRng;
use rusqlite::Connection;
use signer_core::time::UnixSeconds;

use super::{
    SqliteStore, files, migrate,
    readers::Readers,
    settings,
    witness::{FileWitness, Mark, Witness},
    writer::{Shared, Writer},
};
use crate::store::{
    AuditMark, StoreError,
    sql::{
        audit,
        columns::{get_time, get_u64, int},
        db::{Db, first},
        restore,
    },
};

/// Where the store is and how it gathers writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The database file. `-wal`, `-shm` and `.lock` stand beside it.
    pub path: PathBuf,
    /// The witness file: outside what is backed up and restored together with the database, best on another disk.
    pub witness_path: PathBuf,
    /// How long a write waits at most for announced ones to share its commit.
    pub group_window: Duration,
    /// Most writes waiting; more are refused as overload.
    pub queue_max: usize,
}

impl SqliteOptions {
    /// 8 ms, 4096 writes.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, witness_path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            witness_path: witness_path.into(),
            group_window: Duration::from_millis(8),
            queue_max: 4096,
        }
    }
}

/// Why the store does not open, and what the operator must do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another process has this store open (it holds {0}); stop that one first")]
    Locked(PathBuf),
    /// Written by a newer binary.
    #[error("the store has schema {found}, this binary knows up to {supported}: start the newer binary")]
    SchemaNewer {
        /// Version of the store.
        found: u32,
        /// Newest version this binary knows.
        supported: u32,
    },
    /// A setting did not take.
    #[error(
        "the store would not be durable here: {setting} is {found:?}, must be {wanted:?}; \
         use a local file system that can share memory and sync"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The store has forgotten something.
    #[error(
        "the store is behind its witness (transaction {store}, witnessed {witness}): was it restored from a backup? It has \
         forgotten counted attempts, used codes or revocations. Bring back the newest files; if they are lost, `signer-server restore`"
    )]
    BehindWitness {
        /// Transactions in the store.
        store: u64,
        /// Transactions witnessed.
        witness: u64,
    },
    /// The audit log is not the one that was witnessed.
    #[error(
        "the audit log was changed while no server ran: {size} entries where {witnessed} were witnessed, or others than those. \
         Keep the files as they are and find out who had access; then bring back the newest true ones"
    )]
    AuditChanged {
        /// Entries in the store.
        size: u64,
        /// Entries witnessed.
        witnessed: u64,
    },
    /// Somebody changed the schema, and with it what is logged.
    #[error(
        "the store's schema was changed by something else than this program: {0}. Find out who had access, and put it back as the \
         migrations make it"
    )]
    SchemaAltered(String),
    /// Witness and store do not belong together.
    #[error("the witness belongs to another store; set the witness path that belongs to this one")]
    WitnessOfAnother,
    /// The store was used before, its witness is gone.
    #[error(
        "the store exists but its witness {0} does not: set the right witness path. If the witness is lost, nobody can \
         tell whether this store is the newest: `signer-server restore`"
    )]
    WitnessMissing(PathBuf),
    /// The witness knows a store that is gone.
    #[error(
        "there is a witness but no store at {0}: set the right store path. To begin a new, empty store remove the witness"
    )]
    StoreMissing(PathBuf),
    /// The witness cannot be read or written.
    #[error("the witness: {0}; repair its disk or its permissions")]
    Witness(io::Error),
    /// A file cannot be made or read.
    #[error("the store's files: {0}; check the path, its permissions and the disk")]
    Files(#[from] io::Error),
    /// The engine refused.
    #[error("the store does not open: {0}; the file may be damaged, keep it and check the disk")]
    Engine(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.to_string())
    }
}

impl SqliteStore {
    /// Opens the store, or makes a new one if there is neither store nor witness. `rng` draws a new store's id.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub fn open(options: &SqliteOptions, rng: &mut impl CryptoRng) -> Result<Arc<Self>, OpenError> {
        Self::open_with(options, Box::new(FileWitness::new(&options.witness_path)), rng)
    }

    /// Opens the store with a witness of the caller's: an HSM's counter, or one that fails in a test.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub fn open_with(
        options: &SqliteOptions,
        mut witness: Box<dyn Witness>,
        rng: &mut impl CryptoRng,
    ) -> Result<Arc<Self>, OpenError> {
        let lock = files::lock(&options.path)?;
        let witnessed = witness.read().map_err(OpenError::Witness)?;
        let mut db = open_or_create(&options.path, witnessed.is_some())?;
        migrate::apply(&mut db)?;
        let mut mark = identify(&db, options, witness.as_mut(), witnessed, rng)?;
        if let Some(name) = migrate::altered(&db)? {
            return Err(OpenError::SchemaAltered(name));
        }
        let ((run, latest, restored), entries) = begin_run(&mut db, &mut mark)?;
        let epoch = restore::epoch(&Db::Sqlite(&db, run))?;
        witness.keep(&entries).and_then(|()| witness.advance(mark)).map_err(OpenError::Witness)?;

        let shared = Shared::new(mark.seq, latest);
        let announced = Arc::new(AtomicUsize::new(0));
        let (sender, jobs) = sync_channel(options.queue_max.max(1));
        let writer = Writer {
            db,
            witness,
            mark,
            jobs,
            announced: Arc::clone(&announced),
            window: options.group_window,
            shared: Arc::clone(&shared),
            lock,
        };
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(|| writer.run())?;
        Ok(Arc::new(Self {
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            readers: Readers::new(options.path.clone(), Arc::clone(&shared)),
            shared,
            announced,
            run,
            restored,
            epoch,
        }))
    }

    /// Brings a store that is not open to the newest schema and returns the versions before and after.
    ///
    /// # Errors
    /// [`OpenError`], as for opening; a missing file is an error too.
    pub fn migrate(path: &Path) -> Result<(u32, u32), OpenError> {
        if !path.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no store at this path").into());
        }
        let _lock = files::lock(path)?;
        let mut db = settings::open_writer(path)?;
        Ok((migrate::apply(&mut db)?, migrate::newest()))
    }

    /// The schema version this binary works with.
    #[must_use]
    pub fn schema_version() -> u32 {
        migrate::newest()
    }
}

fn open_or_create(path: &Path, witnessed: bool) -> Result<Connection, OpenError> {
    if !path.try_exists()? {
        if witnessed {
            return Err(OpenError::StoreMissing(path.to_owned()));
        }
        files::create_private(path)?.sync_all()?;
        files::sync_parent(path)?;
    }
    settings::open_writer(path)
}

/// Compares the store with its witness. A store whose making was cut short (sequence 0, never used) is made to the end.
fn identify(
    db: &Connection,
    options: &SqliteOptions,
    witness: &mut dyn Witness,
    witnessed: Option<Mark>,
    rng: &mut impl CryptoRng,
) -> Result<Mark, OpenError> {
    match (mark_of(db)?, witnessed) {
        (None, Some(_)) => Err(OpenError::StoreMissing(options.path.clone())),
        (None, None) => {
            let mut mark = Mark {
                store: [0; 16],
                seq: 0,
                epoch: 0,
                audit: AuditMark::default(),
                latest: UnixSeconds(0),
            };
            rng.fill_bytes(&mut mark.store);
            db.execute(
                "INSERT INTO meta (only_row, store_id, seq, latest_time, run) VALUES (1, ?1, 0, 0, 0)",
                [mark.store],
            )?;
            witness.advance(mark).map_err(OpenError::Witness)?;
            Ok(mark)
        }
        (Some(mark @ Mark { seq: 0, .. }), None) => {
            witness.advance(mark).map_err(OpenError::Witness)?;
            Ok(mark)
        }
        (Some(_), None) => Err(OpenError::WitnessMissing(options.witness_path.clone())),
        (Some(mark), Some(seen)) if mark.store != seen.store => Err(OpenError::WitnessOfAnother),
        (Some(mark), Some(seen)) if mark.seq < seen.seq => {
            Err(OpenError::BehindWitness { store: mark.seq, witness: seen.seq })
        }
        (Some(mark), Some(seen)) => {
            check_audit(db, mark, seen)?;
            Ok(mark)
        }
    }
}

/// How far a database has come; none if nothing was ever in it.
pub(super) fn mark_of(db: &Connection) -> Result<Option<Mark>, OpenError> {
    Ok(first(&Db::Sqlite(db, 0), "SELECT store_id, seq, latest_time FROM meta", [], |row| {
        let audit = audit::head(&Db::Sqlite(db, 0))?;
        let (store, seq, latest) = (row.get(0)?, get_u64(row, 1)?, get_time(row, 2)?);
        Ok(Mark { store, seq, epoch: epoch_of(db)?, audit, latest })
    })?)
}

/// A backup may be from before there were restores.
fn epoch_of(db: &Connection) -> Result<u32, StoreError> {
    let db = &Db::Sqlite(db, 0);
    let any = "SELECT count(*) FROM sqlite_master WHERE name = 'restored'";
    if first(db, any, [], |row| row.get::<i64>(0))? == Some(1) { restore::epoch(db) } else { Ok(0) }
}

/// The entries that were witnessed are there, and no others unless a commit came after.
pub(super) fn check_audit(db: &Connection, mark: Mark, seen: Mark) -> Result<(), OpenError> {
    let last = match seen.audit.size.checked_sub(1) {
        Some(index) => audit::leaf(&Db::Sqlite(db, 0), index)?,
        None => Some(seen.audit.last),
    };
    if last == Some(seen.audit.last) && (mark.seq > seen.seq || mark.audit == seen.audit) {
        return Ok(());
    }
    Err(OpenError::AuditChanged { size: mark.audit.size, witnessed: seen.audit.size })
}

/// Entries that the audit log grew by, each with its place.
type Entries = Vec<(u64, Vec<u8>)>;

/// Run, latest time, last restore.
type Begun = (i64, UnixSeconds, UnixSeconds);

/// Begins a new run: reservations of earlier runs no longer hold, for their processes are gone.
fn begin_run(db: &mut Connection, mark: &mut Mark) -> Result<(Begun, Entries), OpenError> {
    let seq = mark.seq.saturating_add(1);
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE meta SET seq = ?1, run = run + 1", [int(seq)?])?;
    let sql = "SELECT run, latest_time, restored FROM meta";
    let answer = first(&Db::Sqlite(&transaction, 0), sql, [], |row| {
        Ok((row.get(0)?, get_time(row, 1)?, get_time(row, 2)?))
    })?;
    let answer = answer.ok_or_else(|| OpenError::Engine("no row in meta".to_owned()))?;
    let chained = audit::chain(&Db::Sqlite(&transaction, 0), answer.1)?;
    transaction.commit()?;
    *mark = Mark { seq, audit: chained.mark.unwrap_or(mark.audit), latest: answer.1, ..*mark };
    Ok((answer, chained.entries))
}
