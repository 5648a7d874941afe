//! Going on with an earlier state of the store. What the acts of that are: `store/sql/restore.rs`. Here: which state, is it really
//! behind its witness, and the order of files, database and witness, so that one cut short is taken up again.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, TransactionBehavior};
use signer_core::time::UnixSeconds;

use super::{
    BackupError, FileWitness, Mark, OpenError, SqliteOptions, Witness as _, backup, files, migrate,
    open::{check_audit, mark_of},
    settings,
};
use crate::store::{
    Restore, RestoreReport,
    sql::{audit, columns::int, db::Db, restore},
};

/// How far beyond the witness a restored store begins: a transaction may have been committed and never witnessed.
const AHEAD: u64 = 2;

/// Why nothing is restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Nothing is lost.
    #[error(
        "the store at {0} is not behind its witness: start the server. To give it up for a backup nevertheless, move it away \
         first"
    )]
    Newest(PathBuf),
    /// There is nothing to go on with.
    #[error("there is no usable store at {0} ({1}): name a backup")]
    NoState(PathBuf, String),
    /// The backup is of another store.
    #[error("{0} is a backup of another store than the one the witness knows")]
    AnotherStore(PathBuf),
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store, its files or its witness.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<io::Error> for RestoreError {
    fn from(error: io::Error) -> Self {
        Self::Open(error.into())
    }
}

impl From<rusqlite::Error> for RestoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Open(error.into())
    }
}

/// A state to go on with, and what its witness has seen since. It keeps others out of the store.
#[derive(Debug)]
pub struct Survey {
    /// How far the state had come.
    pub had: Mark,
    /// What the witness has seen; none if it is lost.
    pub witness: Option<Mark>,
    /// Whether the state's audit log has the last entry that the witness saw: else it is on another branch, or ends before.
    pub holds: bool,
    /// A restore was cut short before the witness moved, and is taken up: the acts are done.
    pub unfinished: bool,
    backup: Option<PathBuf>,
    options: SqliteOptions,
    _lock: File,
}

/// How far a state has come, and whether it has the last entry that the witness saw.
type State = (Mark, bool);

/// What lies where the store should be.
enum InPlace {
    Newest,
    Unfinished(State),
    Behind(State),
    Unusable(String),
}

impl Survey {
    /// Looks at the store in place, or at a backup to take its place.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing is changed.
    pub fn look(options: &SqliteOptions, backup: Option<&Path>) -> Result<Self, RestoreError> {
        let lock = files::lock(&options.path).map_err(RestoreError::Open)?;
        let witness = FileWitness::new(&options.witness_path).read().map_err(OpenError::Witness)?;
        let survey = |(had, holds), unfinished| Self {
            had,
            witness,
            holds,
            unfinished,
            backup: None,
            options: options.clone(),
            _lock: lock,
        };
        match (in_place(&options.path, witness)?, backup) {
            (InPlace::Newest, _) => Err(RestoreError::Newest(options.path.clone())),
            (InPlace::Unfinished(state), _) => Ok(survey(state, true)),
            (InPlace::Behind(state), None) => Ok(survey(state, false)),
            (InPlace::Unusable(why), None) => Err(RestoreError::NoState(options.path.clone(), why)),
            (_, Some(file)) => {
                backup::check(file)?;
                let db = settings::open_reader(file)?;
                let had = mark_of(&db)?.ok_or_else(|| OpenError::Engine("it holds no store".to_owned()))?;
                if witness.is_some_and(|seen| seen.store != had.store) {
                    return Err(RestoreError::AnotherStore(file.to_owned()));
                }
                let state = (had, holds(&db, witness)?);
                Ok(Self { backup: Some(file.to_owned()), ..survey(state, false) })
            }
        }
    }

    /// What the witness keeps of the audit log, from where the state ends, as far back as it goes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn kept(&self) -> io::Result<Vec<Vec<u8>>> {
        let seen = self.witness.map_or(0, |seen| seen.audit.size);
        FileWitness::new(&self.options.witness_path).kept(self.had.audit.size, seen)
    }

    /// Makes the state usable and the witness follow it.
    ///
    /// # Errors
    /// [`RestoreError`]. What was begun is taken up by the next try.
    pub fn restore(self, asked: &Restore) -> Result<RestoreReport, RestoreError> {
        let path = &self.options.path;
        if let Some(backup) = &self.backup {
            put_in_place(backup, path, asked.now)?;
        }
        let mut db = settings::open_writer(path)?;
        migrate::apply(&mut db)?;
        if let Some(name) = migrate::altered(&db)? {
            return Err(OpenError::SchemaAltered(name).into());
        }
        let (mark, entries, report) =
            if self.unfinished { finished(&db, self.had)? } else { self.act(&mut db, asked)? };
        db.close().map_err(|(_, error)| error)?;
        let mut witness = FileWitness::new(&self.options.witness_path);
        witness.keep(&entries).and_then(|()| witness.advance(mark)).map_err(OpenError::Witness)?;
        Ok(report)
    }

    fn act(&self, db: &mut Connection, asked: &Restore) -> Result<Acted, RestoreError> {
        let seen = self.witness.map_or(0, |seen| seen.seq);
        let seq = seen.max(self.had.seq).saturating_add(AHEAD);
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let within = Db::Sqlite(&transaction, 0);
        let report = restore::restore(&within, asked).map_err(OpenError::from)?;
        transaction.execute("UPDATE meta SET seq = ?1", [int(seq).map_err(OpenError::from)?])?;
        let chained = audit::chain(&within, asked.now).map_err(OpenError::from)?;
        let audit = chained.mark.unwrap_or(self.had.audit);
        let mark = Mark { seq, epoch: report.epoch, audit, latest: asked.now.plus(1), ..self.had };
        transaction.commit()?;
        Ok((mark, chained.entries, report))
    }
}

/// How far the store has come then, with the entries that its log grew by.
type Acted = (Mark, Vec<(u64, Vec<u8>)>, RestoreReport);

/// The report of a restore whose acts are done.
fn finished(db: &Connection, mark: Mark) -> Result<Acted, RestoreError> {
    let epoch = restore::epoch(&Db::Sqlite(db, 0)).map_err(OpenError::from)?;
    Ok((mark, Vec::new(), RestoreReport { epoch, ..RestoreReport::default() }))
}

fn in_place(path: &Path, witness: Option<Mark>) -> Result<InPlace, RestoreError> {
    if !path.try_exists()? {
        return Ok(InPlace::Unusable("there is none".to_owned()));
    }
    match look(path, witness) {
        Err(OpenError::SchemaNewer { found, supported }) => {
            Err(OpenError::SchemaNewer { found, supported }.into())
        }
        Err(OpenError::WitnessOfAnother) => Err(OpenError::WitnessOfAnother.into()),
        Err(error) => Ok(InPlace::Unusable(error.to_string())),
        Ok(found) => Ok(found),
    }
}

fn look(path: &Path, witness: Option<Mark>) -> Result<InPlace, OpenError> {
    let mut db = settings::open_writer(path)?;
    migrate::apply(&mut db)?;
    let mark = mark_of(&db)?.ok_or_else(|| OpenError::Engine("it holds no store".to_owned()))?;
    let state = (mark, holds(&db, witness)?);
    backup::follow(&db, migrate::newest())?;
    match witness {
        Some(seen) if seen.store != mark.store => Err(OpenError::WitnessOfAnother),
        Some(seen) if mark.seq >= seen.seq => match check_audit(&db, mark, seen) {
            Ok(()) => Ok(InPlace::Newest),
            Err(_) if restore::newest(&Db::Sqlite(&db, 0))? == Some(Some(seen.audit)) => {
                Ok(InPlace::Unfinished(state))
            }
            Err(error) => Err(error),
        },
        _ => Ok(InPlace::Behind(state)),
    }
}

fn holds(db: &Connection, witness: Option<Mark>) -> Result<bool, OpenError> {
    Ok(witness.map(|seen| restore::holds(&Db::Sqlite(db, 0), seen.audit)).transpose()?.unwrap_or(false))
}

/// Puts a copy of a backup in the place of the store. What was there stays beside it, under another name.
fn put_in_place(backup: &Path, path: &Path, now: UnixSeconds) -> Result<(), io::Error> {
    let named = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let draft = named(".restoring");
    if draft.try_exists()? {
        fs::remove_file(&draft)?;
    }
    io::copy(&mut File::open(backup)?, &mut files::create_private(&draft)?)?;
    File::open(&draft)?.sync_all()?;
    // The log and its index with it: they are of the store that goes.
    for ending in ["-wal", "-shm", ""] {
        let there = named(ending);
        if there.try_exists()? {
            fs::rename(&there, named(&format!(".replaced-{}{ending}", now.0)))?;
        }
    }
    fs::rename(&draft, path)?;
    files::sync_parent(path)
}
