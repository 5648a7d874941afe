//! Looking at a store's file beside the process that has it open.

use std::path::Path;

use signer_core::time::UnixSeconds;

use super::{OpenError, SqliteStore, migrate, settings};
use crate::store::Inspection;

impl SqliteStore {
    /// Reads what the file says of itself, and every page of it.
    ///
    /// # Errors
    /// [`OpenError`]: it is no store, or cannot be read.
    pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
        let db = settings::open_reader(path)?;
        let schema = (migrate::version(&db)?, migrate::newest());
        let latest: i64 =
            db.query_row("SELECT coalesce(max(latest_time), 0) FROM meta", [], |row| row.get(0))?;
        let check: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let bytes: i64 = db.query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )?;
        Ok(Inspection {
            about: format!("SQLite, {} MiB, every page readable", bytes >> 20),
            schema,
            damage: (check != "ok").then_some(check),
            latest_time: UnixSeconds(u64::try_from(latest).unwrap_or_default()),
            server_time: None,
            synchronous: None,
            connections: None,
        })
    }
}
