//! Copies of a store that is open or not: one snapshot, in one file, with a manifest that says what it is.
//!
//! The copy is made from one read transaction on a connection of its own: writers go on, and only the log grows meanwhile. A
//! copy holds secrets as the store does, wrapped; the key-encryption key is not in it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signer_core::audit::AuditChain;

use super::{OpenError, files, migrate, settings};
use crate::store::sql::{
    columns::get_u64,
    db::{Db, first},
};

/// Pages copied at once, between two calls of the progress.
const PAGES: i32 = 2048;
/// How long a copy waits for a page that the writer has locked.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// Entries of the audit log read at once.
const ENTRIES: i64 = 4096;
const FORMAT: u32 = 1;
/// Most unfinished backups of one name, under way or left by processes that were killed.
const PARTS_MAX: u32 = 100;

/// What a backup holds. It stands beside it as JSON, in a file with `.json` behind the backup's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form, 1.
    pub format: u32,
    /// Id of the store, hexadecimal.
    pub store: String,
    /// Its transactions so far.
    pub transaction: u64,
    /// Latest time it was written at, Unix seconds.
    pub at: u64,
    /// Entries of its audit log.
    pub audit_entries: u64,
    /// Hash of the last one, hexadecimal; zeros if there is none.
    pub audit_last: String,
    /// Version of its schema.
    pub schema: u32,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Whether it is about the store with this id.
    #[must_use]
    pub fn is_of(&self, store: [u8; 16]) -> bool {
        self.store == hex(&store)
    }
}

/// Why there is no backup, or a backup is none.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file would be overwritten.
    #[error("{0} is there already: name another file")]
    Exists(PathBuf),
    /// There is no store.
    #[error("there is no store at {0}")]
    NoStore(PathBuf),
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The engine refused.
    #[error("the store cannot be copied: {0}")]
    Engine(String),
    /// It is not what its manifest says.
    #[error("{file}: {what}. Do not restore it")]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

/// Copies the store at `store`, which may be open and written to, into a new file. `progress` hears pages copied and pages
/// in all, now and then.
///
/// # Errors
/// [`BackupError`]. Of two that copy to one file at once the first to be ready gets it. What was begun stands in a file with
/// `.part-1` or so behind the name; it stays there only if this process is killed.
pub fn back_up(
    store: &Path,
    file: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Manifest, BackupError> {
    if !store.exists() {
        return Err(BackupError::NoStore(store.to_owned()));
    }
    let manifest_file = manifest_of(file);
    for path in [file, &manifest_file] {
        if path.exists() {
            return Err(BackupError::Exists(path.to_owned()));
        }
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::File(path, error)
    };
    let part = Part::beside(file).map_err(at(file))?;
    let part = part.0.as_path();
    copy(store, part, &mut progress)?;
    File::open(part).and_then(|file| file.sync_all()).map_err(at(part))?;
    let manifest = look(part)?;
    // The manifest first: a backup without one is none, a manifest without a backup is seen at once. It is made once, so that
    // no other backup takes the name.
    let mut json = serde_json::to_vec_pretty(&manifest).map_err(|error| at(&manifest_file)(error.into()))?;
    json.push(b'\n');
    let write = || {
        let mut file = files::create_private(&manifest_file)?;
        file.write_all(&json)?;
        file.sync_all()
    };
    write().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(manifest_file.clone()),
        _ => at(&manifest_file)(error),
    })?;
    fs::rename(part, file).and_then(|()| files::sync_parent(file)).map_err(at(file))?;
    Ok(manifest)
}

/// A file of this backup alone, until it is whole. Removed if it never is.
struct Part(PathBuf);

impl Part {
    fn beside(file: &Path) -> io::Result<Self> {
        let mut number = 1_u32;
        loop {
            let path = beside(file, &format!(".part-{number}"));
            match files::create_private(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < PARTS_MAX => {
                    number += 1;
                }
                created => return created.map(|_| Self(path)),
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It has its own name by now, or is of no use.
        let _renamed = fs::remove_file(&self.0);
    }
}

/// Whether a backup is whole and what its manifest says: every page, every entry of its audit log.
///
/// # Errors
/// [`BackupError`].
pub fn check(file: &Path) -> Result<Manifest, BackupError> {
    let manifest_file = manifest_of(file);
    let read = fs::read(&manifest_file).map_err(|error| BackupError::File(manifest_file.clone(), error))?;
    let damaged = |what: String| BackupError::Damaged { file: file.to_owned(), what };
    let told: Manifest = serde_json::from_slice(&read)
        .map_err(|error| damaged(format!("its manifest is not understood: {error}")))?;
    if told.format != FORMAT {
        return Err(damaged(format!("its manifest has format {}, this binary knows {FORMAT}", told.format)));
    }
    let sha256 = sha256(file).map_err(|error| BackupError::File(file.to_owned(), error))?;
    if sha256 != told.sha256 {
        return Err(damaged(
            "its SHA-256 is not the one in its manifest: it was changed or cut short".into(),
        ));
    }
    let found = look(file)?;
    if found == told { Ok(told) } else { Err(damaged("it is not what its manifest says".into())) }
}

/// Name of the manifest that belongs to a backup.
pub(super) fn manifest_of(file: &Path) -> PathBuf {
    beside(file, ".json")
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn copy(store: &Path, part: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), BackupError> {
    let source = settings::open_reader(store)?;
    // The snapshot stands until the connection is closed: what is written meanwhile does not begin the copy anew.
    source.execute_batch("BEGIN; SELECT seq FROM meta;")?;
    let mut target = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")?;
    let backup = Backup::new(&source, &mut target)?;
    loop {
        let step = backup.step(PAGES)?;
        let pages = backup.progress();
        let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
        progress(count(pages.pagecount.saturating_sub(pages.remaining)), count(pages.pagecount));
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => std::thread::sleep(PAUSE),
        }
    }
    drop(backup);
    target.close().map_err(|(_, error)| error)?;
    // In the store's journal mode it would not be one file.
    let target = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode: String = target.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    if mode != "delete" {
        return Err(BackupError::Engine(format!("the journal mode stays {mode}")));
    }
    target.close().map_err(|(_, error)| error.into())
}

/// What a file holds, after every page and every entry of the audit log was looked at.
fn look(file: &Path) -> Result<Manifest, BackupError> {
    let damaged = |what: String| BackupError::Damaged { file: file.to_owned(), what };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(|error| damaged(error.to_string()))?;
    let look = || -> Result<_, OpenError> {
        let sound: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(OpenError::Engine(sound));
        }
        let version = migrate::version(&db)?;
        if version > migrate::newest() {
            return Err(OpenError::SchemaNewer { found: version, supported: migrate::newest() });
        }
        let sql = "SELECT store_id, seq, latest_time FROM meta";
        let meta = first(&Db::Sqlite(&db, 0), sql, [], |row| {
            Ok((row.get::<[u8; 16]>(0)?, get_u64(row, 1)?, get_u64(row, 2)?))
        })?;
        let meta = meta.ok_or_else(|| OpenError::Engine("it holds no store".to_owned()))?;
        Ok((version, meta, follow(&db, version)?))
    };
    let (schema, (store, transaction, at), chain) = look().map_err(|error| damaged(error.to_string()))?;
    drop(db);
    let io = |error| BackupError::File(file.to_owned(), error);
    Ok(Manifest {
        format: FORMAT,
        store: hex(&store),
        transaction,
        at,
        audit_entries: chain.size(),
        audit_last: hex(&chain.last().0),
        schema,
        bytes: fs::metadata(file).map_err(io)?.len(),
        sha256: sha256(file).map_err(io)?,
    })
}

/// Follows the chain of the audit log from its beginning.
pub(super) fn follow(db: &Connection, schema: u32) -> Result<AuditChain, OpenError> {
    /// The schema that brought the log.
    const WITH_LOG: u32 = 16;
    let mut chain = AuditChain::default();
    if schema < WITH_LOG {
        return Ok(chain);
    }
    let mut part = db.prepare("SELECT entry FROM audit WHERE idx >= ?1 ORDER BY idx LIMIT ?2")?;
    loop {
        let from = i64::try_from(chain.size()).map_err(|error| OpenError::Engine(error.to_string()))?;
        let mut rows = part.query((from, ENTRIES))?;
        let mut any = false;
        while let Some(row) = rows.next()? {
            let entry = row.get_ref(0)?.as_blob().map_err(|error| OpenError::Engine(error.to_string()))?;
            chain.follow(entry).map_err(|fault| OpenError::Engine(fault.to_string()))?;
            any = true;
        }
        if !any {
            return Ok(chain);
        }
    }
}

/// SHA-256 of a file, hexadecimal.
fn sha256(file: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(file)?, Sha256::new());
    let mut part = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut part)?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(part.get(..count).unwrap_or_default());
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
