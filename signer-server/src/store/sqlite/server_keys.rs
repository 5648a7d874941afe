//! The server's own keys.

use async_trait::async_trait;
use rusqlite::Connection;
use signer_core::time::UnixSeconds;

use super::{
    SqliteStore,
    columns::{corrupt, execute, first, get_time, time},
};
use crate::store::{ServerKeyRow, ServerKeys, StoreResult};

#[async_trait]
impl ServerKeys for SqliteStore {
    async fn server_key(&self, key: ServerKeyRow, now: UnixSeconds) -> StoreResult<ServerKeyRow> {
        self.write(now, move |db| {
            execute(
                db,
                "INSERT INTO server_key (purpose, public_key, wrapped, created) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (purpose) DO NOTHING",
                (&key.purpose, &key.public_key, &key.wrapped, time(key.created)),
            )?;
            load(db, key.purpose)?.ok_or_else(|| corrupt("a server key just stored"))
        })
        .await
    }
}

fn load(db: &Connection, purpose: String) -> StoreResult<Option<ServerKeyRow>> {
    let sql = "SELECT public_key, wrapped, created FROM server_key WHERE purpose = ?1";
    first(db, sql, [&purpose], |row| Ok((row.get(0)?, row.get(1)?, get_time(row, 2)?))).map(|found| {
        found.map(|(public_key, wrapped, created)| ServerKeyRow { purpose, public_key, wrapped, created })
    })
}
