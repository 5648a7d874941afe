//! Events of registers, and the state of credentials.

use async_trait::async_trait;
use signer_core::{ids::DeviceId, time::UnixSeconds, wire::EventOutcome};

use super::{
    Engine,
    columns::{GOOD, SUSPENDED, get_u64, int, standing_column, time},
    db::{Db, all, execute, execute_one, first},
    fleets, history, installations,
};
use crate::store::{Happened, Report, Reported, Reports, StoreResult, Withdrawal};

const APPLIED: i64 = 0;
const LATE: i64 = 1;

#[async_trait]
impl<E: Engine> Reports for E {
    async fn report(&self, report: Report) -> StoreResult<Reported> {
        self.write(report.now, move |db| take(db, &report)).await
    }

    async fn document_events(&self, device: DeviceId) -> StoreResult<u64> {
        let sql = "SELECT document_events FROM installation WHERE device = ?1";
        let events = self.read(move |db| first(db, sql, [device.as_bytes()], |row| get_u64(row, 0)));
        Ok(events.await?.unwrap_or(0))
    }

    async fn issued_since(&self, list: u32, since: UnixSeconds) -> StoreResult<Vec<u32>> {
        let sql = "SELECT idx FROM credential WHERE list = ?1 AND created > ?2 ORDER BY idx";
        self.read(move |db| all(db, sql, (list, time(since)), |row| row.get(0))).await
    }

    async fn withdrawals(&self, list: u32) -> StoreResult<Vec<Withdrawal>> {
        let sql = concat!(
            "SELECT idx, state, coalesce(",
            standing_column!(),
            ", 0) FROM credential LEFT JOIN installation USING (device)
            WHERE list = ?1 AND (state <> 0 OR standing <> 0 OR suspended <> 0) ORDER BY idx"
        );
        self.read(move |db| {
            all(db, sql, [list], |row| {
                let (state, standing): (i64, i64) = (row.get(1)?, row.get(2)?);
                Ok(Withdrawal { index: row.get(0)?, suspended: state == GOOD && standing == SUSPENDED })
            })
        })
        .await
    }
}

fn take(db: &Db<'_>, report: &Report) -> StoreResult<Reported> {
    let known = "SELECT content, outcome FROM register_event WHERE id = ?1";
    let known = first(db, known, [report.id], |row| Ok((row.get::<[u8; 32]>(0)?, row.get::<i64>(1)?)))?;
    if let Some((content, outcome)) = known {
        if content != report.content {
            return Ok(Reported::Mismatch);
        }
        let outcome = if outcome == APPLIED { EventOutcome::Applied } else { EventOutcome::Late };
        return Ok(Reported::Taken { outcome, device: None });
    }
    let sequence = int(report.sequence)?;
    let late = "SELECT 1 FROM register_order WHERE about = ?1 AND sequence >= ?2";
    let late = first(db, late, (report.about, sequence), |_| Ok(()))?.is_some();
    let remember = "INSERT INTO register_event (id, content, outcome, at) VALUES (?1, ?2, ?3, ?4)";
    let number = if late { LATE } else { APPLIED };
    execute_one(db, remember, (report.id, report.content, number, time(report.now)))?;
    if late && matches!(report.what, Happened::Changed(_)) {
        return Ok(Reported::Taken { outcome: EventOutcome::Late, device: None });
    }
    let outcome = if late { EventOutcome::Late } else { EventOutcome::Applied };
    if !late {
        let order = "INSERT INTO register_order (about, sequence, at) VALUES (?1, ?2, ?3)
            ON CONFLICT (about) DO UPDATE SET sequence = excluded.sequence, at = excluded.at";
        execute_one(db, order, (report.about, sequence, time(report.now)))?;
    }
    if let Some(document) = report.document {
        fleets::end(db, document)?;
        return Ok(Reported::Taken { outcome, device: None });
    }
    if report.what == Happened::Deceased {
        installations::void_codes(db, &report.holder)?;
    }
    let device = installations::living(db, &report.holder)?;
    if let Some(device) = device {
        apply(db, device, report)?;
    }
    Ok(Reported::Taken { outcome, device })
}

/// Ends the credentials of a device for one kind of document, with their codes on display. A batch on its way out is stale.
pub(super) fn end_document(db: &Db<'_>, device: DeviceId, document_type: u32) -> StoreResult<()> {
    count(db, device)?;
    let sql = "UPDATE credential SET state = 1 WHERE device = ?1 AND document_type = ?2 AND state = 0";
    execute(db, sql, (device.as_bytes(), document_type))?;
    end_displays(db, device)
}

fn count(db: &Db<'_>, device: DeviceId) -> StoreResult<()> {
    let counted = "UPDATE installation SET document_events = document_events + 1 WHERE device = ?1";
    execute_one(db, counted, [device.as_bytes()])
}

fn end_displays(db: &Db<'_>, device: DeviceId) -> StoreResult<()> {
    let displays = "DELETE FROM display WHERE device = ?1 AND EXISTS (SELECT 1 FROM credential
        WHERE credential.list = display.list AND credential.idx = display.idx AND state = 1)";
    execute(db, displays, [device.as_bytes()]).map(|_| ())
}

fn apply(db: &Db<'_>, device: DeviceId, report: &Report) -> StoreResult<()> {
    match report.what {
        Happened::Changed(document_type) | Happened::Withdrawn(document_type) => {
            end_document(db, device, document_type)?;
        }
        Happened::Deceased => {
            count(db, device)?;
            let sql = "UPDATE credential SET state = 1 WHERE device = ?1 AND state = 0";
            execute(db, sql, [device.as_bytes()])?;
            installations::suspend(db, device, true, report.now)?;
            end_displays(db, device)?;
        }
    }
    history::append_now(db, device, &report.told, report.now)
}
