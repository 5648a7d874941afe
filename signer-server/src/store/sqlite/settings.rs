//! The engine's settings, set and read back: a setting that did not take would be found out only by losing data.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::OpenError;

const STATEMENT_CACHE: usize = 96;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What must read back, by pragma.
const REQUIRED: [(&str, &str); 4] =
    [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("secure_delete", "1")];

/// Opens the connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // fullfsync: only macOS knows it, and only there does fsync not reach the disk without it. Checkpoints are the
    // writer's, which looks at their result.
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;",
    )?;
    verify(&db)?;
    keep_statements(&db)?;
    Ok(db)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    keep_statements(&db)?;
    Ok(db)
}

/// Keeps statements as they were compiled. Without the stability guarantee the planner looks at values that are bound, of
/// `LIMIT` for one, and compiles the statement anew each time they change: a sixth of the CPU time of a signature. So an
/// index with a condition is used where the statement names the condition's value itself.
fn keep_statements(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(())
}

/// Refuses a connection whose settings would not keep what is committed.
fn verify(db: &Connection) -> Result<(), OpenError> {
    for (name, wanted) in REQUIRED {
        let found = db.pragma_query_value(None, name, |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            })
        })?;
        if found != wanted {
            return Err(OpenError::NotDurable { setting: name, wanted, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sto_003_settings_that_are_not_durable_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        std::fs::File::create(&path).unwrap();
        let db = open_writer(&path).unwrap();
        for (pragma, setting) in [
            ("PRAGMA synchronous = NORMAL", "synchronous"),
            ("PRAGMA foreign_keys = OFF", "foreign_keys"),
            ("PRAGMA secure_delete = OFF", "secure_delete"),
            ("PRAGMA journal_mode = DELETE", "journal_mode"),
        ] {
            db.execute_batch(pragma).unwrap();
            let Err(OpenError::NotDurable { setting: found, .. }) = verify(&db) else { panic!("{pragma}") };
            assert_eq!(found, setting);
            db.execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON",
            )
            .unwrap();
        }
        // A database in memory cannot keep a log: the setting silently does not take.
        let memory = Connection::open_in_memory().unwrap();
        memory.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        assert!(matches!(verify(&memory), Err(OpenError::NotDurable { setting: "journal_mode", .. })));
    }
}
