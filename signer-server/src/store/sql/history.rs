//! The holders' histories. An entry is numbered and chained here, within the transaction of the act it tells.

use async_trait::async_trait;
use signer_core::{
    history::{HistoryHead, HistoryKeyBytes, SealedEntry},
    ids::DeviceId,
    time::UnixSeconds,
    wire::NumberedEntry,
};

use super::{
    Engine,
    columns::{corrupt, get_u64, int, time},
    db::{Db, all, execute_one, first},
};
use crate::store::{CheckRow, Histories, HistoryPart, Sealer, StoreResult, TellAsked};

#[async_trait]
impl<E: Engine> Histories for E {
    async fn append_history(
        &self,
        device: DeviceId,
        entry: SealedEntry,
        now: UnixSeconds,
    ) -> StoreResult<()> {
        self.write(now, move |db| append(db, device, Some(&entry), now)).await
    }

    async fn history(&self, device: DeviceId, after: u64, limit: u32) -> StoreResult<HistoryPart> {
        self.read(move |db| part(db, device, after, limit)).await
    }
}

/// Appends an entry, if there is one.
pub(super) fn append(
    db: &Db<'_>,
    device: DeviceId,
    entry: Option<&SealedEntry>,
    now: UnixSeconds,
) -> StoreResult<()> {
    let Some(entry) = entry else { return Ok(()) };
    let head = newest(db, device)?.after(entry);
    execute_one(
        db,
        "INSERT INTO history (device, number, head, sealed, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (device.as_bytes(), int(head.number)?, head.hash, entry.as_bytes(), time(now)),
    )
}

/// Appends what `sealer` seals for a phone that has a history.
pub(super) fn append_now(
    db: &Db<'_>,
    device: DeviceId,
    sealer: &Sealer,
    now: UnixSeconds,
) -> StoreResult<()> {
    let sql = "SELECT history_key FROM installation WHERE device = ?1";
    let key = first(db, sql, [device.as_bytes()], |row| row.get::<Option<_>>(0))?.flatten();
    let entry = key.and_then(|key| sealer.seal(device, &HistoryKeyBytes(key)));
    append(db, device, entry.as_ref(), now)
}

/// Appends what tells the holder of a check, for a phone that has a history.
pub(super) fn append_asked(
    db: &Db<'_>,
    check: &CheckRow,
    told: &TellAsked,
    now: UnixSeconds,
) -> StoreResult<()> {
    let sql = "SELECT history_key FROM installation WHERE device = ?1";
    let key = first(db, sql, [check.device.as_bytes()], |row| row.get::<Option<_>>(0))?.flatten();
    let entry = key.and_then(|key| told.seal(check, &HistoryKeyBytes(key)));
    append(db, check.device, entry.as_ref(), now)
}

fn newest(db: &Db<'_>, device: DeviceId) -> StoreResult<HistoryHead> {
    let sql = "SELECT number, head FROM history WHERE device = ?1 ORDER BY number DESC LIMIT 1";
    let newest = first(db, sql, [device.as_bytes()], |row| {
        Ok(HistoryHead { number: get_u64(row, 0)?, hash: row.get(1)? })
    })?;
    Ok(newest.unwrap_or_else(|| HistoryHead::start(device)))
}

fn part(db: &Db<'_>, device: DeviceId, after: u64, limit: u32) -> StoreResult<HistoryPart> {
    let head = newest(db, device)?;
    // After the newest there is nothing: the caller sees by the head that it knows more than is here.
    if after >= head.number {
        return Ok(HistoryPart { before: head.hash, entries: Vec::new(), head });
    }
    let sql = "SELECT head FROM history WHERE device = ?1 AND number = ?2";
    let before = match after {
        0 => HistoryHead::start(device).hash,
        _ => first(db, sql, (device.as_bytes(), int(after)?), |row| row.get(0))?
            .ok_or_else(|| corrupt("a history with a gap"))?,
    };
    let sql = "SELECT number, sealed FROM history WHERE device = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let entries = all(db, sql, (device.as_bytes(), int(after)?, limit), |row| {
        let sealed = SealedEntry::new(row.get(1)?).ok_or_else(|| corrupt("a sealed entry"))?;
        Ok(NumberedEntry { number: get_u64(row, 0)?, sealed })
    })?;
    Ok(HistoryPart { before, entries, head })
}
