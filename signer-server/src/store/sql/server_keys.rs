//! The server's own keys, and the trust list it gives out.

use async_trait::async_trait;
use signer_core::time::UnixSeconds;

use super::{
    Engine,
    columns::{corrupt, get_time, get_u64, int, time},
    db::{Db, all, execute, first, params},
};
use crate::store::{IssuerKeyRow, ServerKeyRow, ServerKeys, StoreResult, TrustListRow};

#[async_trait]
impl<E: Engine> ServerKeys for E {
    async fn server_key(&self, key: ServerKeyRow, now: UnixSeconds) -> StoreResult<ServerKeyRow> {
        self.write(now, move |db| {
            execute(
                db,
                "INSERT INTO server_key (purpose, public_key, wrapped, created) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (purpose) DO NOTHING",
                (&key.purpose, &key.public_key, &key.wrapped, time(key.created)),
            )?;
            load(db, &key.purpose)?.ok_or_else(|| corrupt("a server key just stored"))
        })
        .await
    }

    async fn server_keys(&self, purpose: String) -> StoreResult<Vec<IssuerKeyRow>> {
        let sql = "SELECT purpose, public_key, wrapped, created, coalesce(activated, -1), coalesce(listed, -1) FROM server_key
            WHERE purpose = ?1 OR substr(purpose, 1, length(?1) + 1) = ?1 || '.'";
        self.read(move |db| {
            all(db, sql, [&purpose], |row| {
                let key = ServerKeyRow {
                    purpose: row.get(0)?,
                    public_key: row.get(1)?,
                    wrapped: row.get(2)?,
                    created: get_time(row, 3)?,
                };
                let at = |column| get_u64(row, column).ok().map(UnixSeconds);
                Ok(IssuerKeyRow { key, activated: at(4), listed: at(5) })
            })
        })
        .await
    }

    async fn note_listed(&self, purpose: String, listed: bool, now: UnixSeconds) -> StoreResult<()> {
        let sql = "UPDATE server_key SET listed = CASE WHEN ?2 = 1 THEN coalesce(listed, ?3) END WHERE purpose = ?1";
        self.write(now, move |db| execute(db, sql, (&purpose, listed, time(now))).map(|_| ())).await
    }

    async fn activate_server_key(&self, purpose: String, now: UnixSeconds) -> StoreResult<bool> {
        let sql = "UPDATE server_key SET activated = ?2 WHERE purpose = ?1 AND activated IS NULL";
        self.write(now, move |db| Ok(execute(db, sql, (&purpose, time(now)))? == 1)).await
    }

    async fn trust_list(&self) -> StoreResult<Option<TrustListRow>> {
        let sql = "SELECT number, root, pinned, bytes FROM trust_list";
        let read = |db: &Db<'_>| {
            first(db, sql, [], |row| {
                Ok(TrustListRow {
                    number: get_u64(row, 0)?,
                    root: row.get(1)?,
                    pinned: row.get(2)?,
                    bytes: row.get(3)?,
                })
            })
        };
        self.read(read).await
    }

    async fn put_trust_list(&self, list: TrustListRow, now: UnixSeconds) -> StoreResult<bool> {
        let sql = "INSERT INTO trust_list (only_row, number, root, pinned, bytes) VALUES (1, ?1, ?2, ?3, ?4)
            ON CONFLICT (only_row) DO UPDATE
            SET number = excluded.number, root = excluded.root, pinned = excluded.pinned, bytes = excluded.bytes
            WHERE trust_list.number < excluded.number OR trust_list.pinned <> excluded.pinned";
        let number = int(list.number)?;
        self.write(now, move |db| {
            Ok(execute(db, sql, params![number, list.root, list.pinned, list.bytes])? == 1)
        })
        .await
    }
}

fn load(db: &Db<'_>, purpose: &str) -> StoreResult<Option<ServerKeyRow>> {
    let sql = "SELECT public_key, wrapped, created FROM server_key WHERE purpose = ?1";
    first(db, sql, [purpose], |row| {
        let purpose = purpose.to_owned();
        let (public_key, wrapped, created) = (row.get(0)?, row.get(1)?, get_time(row, 2)?);
        Ok(ServerKeyRow { purpose, public_key, wrapped, created })
    })
}
