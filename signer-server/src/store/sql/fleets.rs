//! Credentials of organisations' documents, in the table of phones' credentials.

use async_trait::async_trait;
use signer_core::{credential::StatusIndex, time::UnixSeconds};

use super::{
    Engine,
    columns::{corrupt, get_time, time},
    credentials,
    db::{Db, execute, execute_one, first, params},
};
use crate::store::{DocumentHash, FleetCredentialRow, Fleets, LivePlace, StoreResult};

#[async_trait]
impl<E: Engine> Fleets for E {
    async fn take_places(&self, rows: Vec<FleetCredentialRow>, now: UnixSeconds) -> StoreResult<Vec<usize>> {
        self.write(now, move |db| take(db, &rows, now)).await
    }

    async fn give_back(&self, places: Vec<StatusIndex>, now: UnixSeconds) -> StoreResult<()> {
        // One that an event has ended stays: a status list may have said so.
        let sql =
            "DELETE FROM credential WHERE list = ?1 AND idx = ?2 AND document IS NOT NULL AND state = 0";
        self.write(now, move |db| {
            for place in &places {
                execute(db, sql, (place.list, place.index))?;
            }
            Ok(())
        })
        .await
    }

    async fn live_places(&self, places: Vec<StatusIndex>) -> StoreResult<Vec<Option<LivePlace>>> {
        self.read(move |db| places.iter().map(|place| live(db, *place)).collect()).await
    }

    async fn fleet_credential(&self, status: StatusIndex) -> StoreResult<Option<FleetCredentialRow>> {
        let sql = "SELECT document, document_type, wrapped_document, day_key, expires FROM credential
            WHERE list = ?1 AND idx = ?2 AND document IS NOT NULL";
        self.read(move |db| {
            first(db, sql, (status.list, status.index), |row| {
                Ok(FleetCredentialRow {
                    status,
                    document: DocumentHash(row.get(0)?),
                    document_type: row.get(1)?,
                    wrapped_document: row.get(2)?,
                    day_key: row.get(3)?,
                    expires: get_time(row, 4)?,
                })
            })
        })
        .await
    }

    async fn withdraw_document(&self, document: DocumentHash, now: UnixSeconds) -> StoreResult<()> {
        self.write(now, move |db| end(db, document)).await
    }
}

fn take(db: &Db<'_>, rows: &[FleetCredentialRow], now: UnixSeconds) -> StoreResult<Vec<usize>> {
    let taken = credentials::taken(db, rows.iter().map(|row| row.status))?;
    if !taken.is_empty() {
        return Ok(taken);
    }
    for row in rows {
        execute_one(
            db,
            "INSERT INTO credential (list, idx, document, document_type, wrapped_document, day_key, expires, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                row.status.list,
                row.status.index,
                row.document.0,
                row.document_type,
                row.wrapped_document,
                row.day_key,
                time(row.expires),
                time(now)
            ],
        )?;
    }
    Ok(taken)
}

fn live(db: &Db<'_>, place: StatusIndex) -> StoreResult<Option<LivePlace>> {
    let sql = "SELECT 1 FROM credential WHERE list = ?1 AND idx = ?2 AND state = 0 AND document IS NOT NULL";
    if first(db, sql, (place.list, place.index), |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    let used = credentials::highest(db, place.list, place.index)?;
    let used = used.map(|(step, n)| u64::try_from(step).map(|step| (step, n))).transpose();
    Ok(Some(LivePlace { used: used.map_err(|_| corrupt("the step of a use"))? }))
}

/// Ends the credentials of a document.
pub(super) fn end(db: &Db<'_>, document: DocumentHash) -> StoreResult<()> {
    let sql = "UPDATE credential SET state = 1 WHERE document = ?1 AND state = 0";
    execute(db, sql, [document.0]).map(|_| ())
}
