//! Generations of the key-encryption key, and what is wrapped under which.

use async_trait::async_trait;
use signer_core::{time::UnixSeconds, wrap::KekId};

use super::{
    Engine,
    columns::{corrupt, get_time, time},
    db::{Db, Row, all, execute, execute_one, first, params},
};
use crate::store::{
    KekNode, KekRow, KekSource, KekState, Keks, Retirement, StoreResult, WrappedColumn, WrappedRow,
};

const PREPARED: u8 = 0;
const CURRENT: u8 = 1;
const OLD: u8 = 2;
const RETIRED: u8 = 3;

#[async_trait]
impl<E: Engine> Keks for E {
    async fn keks(&self) -> StoreResult<Vec<KekRow>> {
        self.read(keks).await
    }

    async fn add_kek(&self, row: KekRow, now: UnixSeconds) -> StoreResult<bool> {
        self.write(now, move |db| add(db, &row, now)).await
    }

    async fn hold_keks(&self, has: KekNode, now: UnixSeconds) -> StoreResult<()> {
        // Asked each second: nothing is written that is there.
        if self.read(move |db| Ok(nodes(db)?.contains(&(db.run(), has)))).await? {
            return Ok(());
        }
        self.write(now, move |db| {
            for (run, _) in nodes(db)? {
                if !db.runs(run)? {
                    execute(db, "DELETE FROM kek_node WHERE run = ?1", [run])?;
                }
            }
            let sql = "INSERT INTO kek_node (run, holds, wraps) VALUES (?1, ?2, ?3)
                ON CONFLICT (run) DO UPDATE SET holds = excluded.holds, wraps = excluded.wraps";
            execute_one(db, sql, (db.run(), i64::from(has.holds), i64::from(has.wraps)))
        })
        .await
    }

    async fn kek_nodes(&self) -> StoreResult<Vec<KekNode>> {
        self.read(living).await
    }

    async fn put_kek_to_use(&self, generation: u32, now: UnixSeconds) -> StoreResult<bool> {
        self.write(now, move |db| put_to_use(db, generation, now)).await
    }

    async fn wrapped_under(
        &self,
        column: WrappedColumn,
        kek: KekId,
        limit: u32,
    ) -> StoreResult<Vec<WrappedRow>> {
        self.read(move |db| under(db, column, kek, limit)).await
    }

    async fn count_under(&self, column: WrappedColumn, kek: KekId) -> StoreResult<u64> {
        let (table, wrapped, living) = place(column);
        let sql = format!("SELECT count(*) FROM {table} WHERE substr({wrapped}, 2, 4) = ?1 AND {living}");
        self.read(move |db| {
            let count = first(db, &sql, [kek.as_bytes()], |row| row.get::<i64>(0))?.unwrap_or_default();
            u64::try_from(count).map_err(|_| corrupt("a count"))
        })
        .await
    }

    async fn rewrap(&self, rows: Vec<(WrappedRow, Vec<u8>)>, now: UnixSeconds) -> StoreResult<u64> {
        self.write(now, move |db| {
            let mut done = 0;
            for (row, wrapped) in &rows {
                done += u64::from(replace(db, row, wrapped)?);
            }
            Ok(done)
        })
        .await
    }

    async fn retire_kek(&self, generation: u32, now: UnixSeconds) -> StoreResult<Retirement> {
        self.write(now, move |db| retire(db, generation, now)).await
    }
}

fn keks(db: &Db<'_>) -> StoreResult<Vec<KekRow>> {
    let sql = "SELECT generation, id, source, token_wrapped, check_value, state, made, changed FROM kek ORDER BY generation";
    all(db, sql, [], |row| {
        Ok(KekRow {
            generation: row.get(0)?,
            id: KekId::from_bytes(row.get(1)?),
            source: number(row, 2, &KekSource::ALL)?,
            token_wrapped: row.get(3)?,
            check: row.get(4)?,
            state: number(row, 5, &KekState::ALL)?,
            made: get_time(row, 6)?,
            changed: get_time(row, 7)?,
        })
    })
}

fn number<T: Copy>(row: &Row<'_>, column: usize, all: &[T]) -> StoreResult<T> {
    let number: u8 = row.get(column)?;
    all.get(usize::from(number)).copied().ok_or_else(|| corrupt("a generation of the key-encryption key"))
}

fn add(db: &Db<'_>, row: &KekRow, now: UnixSeconds) -> StoreResult<bool> {
    let there = keks(db)?;
    let newest = there.last().map_or(0, |row| row.generation);
    if row.generation != newest.saturating_add(1) || there.iter().any(|row| row.state == KekState::Prepared) {
        return Ok(false);
    }
    let state = if there.is_empty() { CURRENT } else { PREPARED };
    let sql = "INSERT INTO kek (generation, id, source, token_wrapped, check_value, state, made, changed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
    let (id, source) = (*row.id.as_bytes(), row.source.number());
    execute_one(
        db,
        sql,
        params![i64::from(row.generation), id, source, row.token_wrapped, row.check, state, time(now)],
    )?;
    Ok(true)
}

fn nodes(db: &Db<'_>) -> StoreResult<Vec<(i64, KekNode)>> {
    all(db, "SELECT run, holds, wraps FROM kek_node", [], |row| {
        Ok((row.get(0)?, KekNode { holds: row.get(1)?, wraps: row.get(2)? }))
    })
}

fn living(db: &Db<'_>) -> StoreResult<Vec<KekNode>> {
    let mut living = Vec::new();
    for (run, node) in nodes(db)? {
        if db.runs(run)? {
            living.push(node);
        }
    }
    Ok(living)
}

fn put_to_use(db: &Db<'_>, generation: u32, now: UnixSeconds) -> StoreResult<bool> {
    if living(db)?.iter().any(|node| node.holds < generation) {
        return Ok(false);
    }
    let (generation, now) = (i64::from(generation), time(now));
    let prepared = "SELECT 1 FROM kek WHERE generation = ?1 AND state = ?2";
    if first(db, prepared, (generation, PREPARED), |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    execute_one(db, "UPDATE kek SET state = ?1, changed = ?2 WHERE state = ?3", (OLD, now, CURRENT))?;
    let sql = "UPDATE kek SET state = ?1, changed = ?2 WHERE generation = ?3";
    execute_one(db, sql, (CURRENT, now, generation)).map(|()| true)
}

fn retire(db: &Db<'_>, generation: u32, now: UnixSeconds) -> StoreResult<Retirement> {
    let all = keks(db)?;
    if !all.iter().any(|row| row.generation == generation && row.state == KekState::Old) {
        return Ok(Retirement::NotOld);
    }
    if living(db)?.iter().any(|node| node.wraps <= generation) {
        return Ok(Retirement::NodesBehind);
    }
    // An older one that is still needed says that the job is not done.
    for row in all.iter().filter(|row| row.generation <= generation) {
        for column in WrappedColumn::ALL {
            if !under(db, column, row.id, 1)?.is_empty() {
                return Ok(Retirement::InUse);
            }
        }
    }
    let sql = "UPDATE kek SET state = ?1, changed = ?2, token_wrapped = NULL WHERE generation = ?3";
    execute_one(db, sql, (RETIRED, time(now), i64::from(generation)))?;
    Ok(Retirement::Done)
}

/// Table and column, and what is said of rows with something in them, so that the index over them is used.
const fn place(column: WrappedColumn) -> (&'static str, &'static str, &'static str) {
    match column {
        WrappedColumn::Shares => ("signing_key", "wrapped", "1 = 1"),
        WrappedColumn::Chains => ("certificate", "wrapped_chain", "1 = 1"),
        WrappedColumn::Digits => ("credential", "wrapped_otp", "wrapped_otp IS NOT NULL"),
        WrappedColumn::Documents => ("credential", "wrapped_document", "wrapped_document IS NOT NULL"),
        WrappedColumn::Links => ("request_link", "wrapped_secret", "1 = 1"),
        WrappedColumn::ServerKeys => ("server_key", "wrapped", "1 = 1"),
        WrappedColumn::Ceremonies => ("ceremony", "state", "1 = 1"),
    }
}

fn under(db: &Db<'_>, column: WrappedColumn, kek: KekId, limit: u32) -> StoreResult<Vec<WrappedRow>> {
    let (table, wrapped, living) = place(column);
    let names = match column {
        WrappedColumn::Shares => "id, epoch",
        WrappedColumn::Chains => "sha256, 0",
        WrappedColumn::Digits | WrappedColumn::Documents => "list, idx",
        WrappedColumn::Links => "request, 0",
        WrappedColumn::ServerKeys => "purpose, 0",
        // A confirmation is evaluated from what the keys message left.
        WrappedColumn::Ceremonies => "id, CASE stage WHEN 1 THEN 1 ELSE 2 END",
    };
    let sql = format!(
        "SELECT {wrapped}, {names} FROM {table} WHERE substr({wrapped}, 2, 4) = ?1 AND {living} LIMIT ?2"
    );
    all(db, &sql, params![*kek.as_bytes(), i64::from(limit)], |found| {
        let (row, epoch) = match column {
            WrappedColumn::Shares | WrappedColumn::Ceremonies => (found.get(1)?, found.get(2)?),
            WrappedColumn::Chains | WrappedColumn::Links => (found.get(1)?, 0),
            WrappedColumn::ServerKeys => (found.get::<String>(1)?.into_bytes(), 0),
            WrappedColumn::Digits | WrappedColumn::Documents => {
                let (list, index): (u32, u32) = (found.get(1)?, found.get(2)?);
                ([list.to_be_bytes(), index.to_be_bytes()].concat(), 0)
            }
        };
        Ok(WrappedRow { column, row, epoch, wrapped: found.get(0)? })
    })
}

/// Replaces one, if it is still there.
fn replace(db: &Db<'_>, row: &WrappedRow, new: &[u8]) -> StoreResult<bool> {
    let (table, wrapped, _) = place(row.column);
    let update = |names: &str| format!("UPDATE {table} SET {wrapped} = ?1 WHERE {wrapped} = ?2 AND {names}");
    let old = row.wrapped.as_slice();
    let rows = match row.column {
        WrappedColumn::Shares => {
            execute(db, &update("id = ?3 AND epoch = ?4"), params![new, old, row.row, i64::from(row.epoch)])?
        }
        WrappedColumn::Chains => execute(db, &update("sha256 = ?3"), (new, old, &row.row))?,
        WrappedColumn::Ceremonies => execute(db, &update("id = ?3"), (new, old, &row.row))?,
        WrappedColumn::Links => execute(db, &update("request = ?3"), (new, old, &row.row))?,
        WrappedColumn::ServerKeys => {
            let purpose = std::str::from_utf8(&row.row).map_err(|_| corrupt("the name of a server key"))?;
            execute(db, &update("purpose = ?3"), (new, old, purpose))?
        }
        WrappedColumn::Digits | WrappedColumn::Documents => {
            let (list, index) =
                row.row.split_first_chunk::<4>().ok_or_else(|| corrupt("a place of a credential"))?;
            let index: [u8; 4] = index.try_into().map_err(|_| corrupt("a place of a credential"))?;
            let (list, index) = (u32::from_be_bytes(*list), u32::from_be_bytes(index));
            execute(db, &update("list = ?3 AND idx = ?4"), (new, old, list, index))?
        }
    };
    Ok(rows == 1)
}
