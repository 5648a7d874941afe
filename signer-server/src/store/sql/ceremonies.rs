//! Enrolments and refreshes under way.

use async_trait::async_trait;
use signer_core::{
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, DeviceId},
    time::UnixSeconds,
};

use super::{
    Engine,
    columns::{corrupt, get_time, get_u64, time},
    db::{Db, execute, execute_one, first, params},
    installations::usable_code,
};
use crate::store::{
    BeginCeremony, CEREMONIES_PER_CODE_MAX, CEREMONY_SECONDS, CONFIRMATION_SECONDS, Ceremonies, CeremonyRow,
    CeremonyStage, StoreResult, TakeCeremony,
};

const BEGUN: u8 = 1;
const KEYED: u8 = 2;
const CONFIRMING: u8 = 3;

#[async_trait]
impl<E: Engine> Ceremonies for E {
    async fn begin_ceremony(&self, row: CeremonyRow) -> StoreResult<BeginCeremony> {
        self.write(row.started, move |db| begin(db, &row)).await
    }

    async fn ceremony(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<Option<CeremonyRow>> {
        self.read(move |db| Ok(load(db, device, now)?.map(|found| found.row))).await
    }

    async fn key_ceremony(
        &self,
        id: CeremonyId,
        device: DeviceId,
        state: Vec<u8>,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        let sql = "UPDATE ceremony SET stage = ?3, state = ?4
            WHERE device = ?1 AND id = ?2 AND stage = ?5 AND started >= ?6";
        self.write(now, move |db| {
            let since = time(now.minus(CEREMONY_SECONDS));
            let params = params![device.as_bytes(), id.as_bytes(), KEYED, state, BEGUN, since];
            Ok(execute(db, sql, params)? == 1)
        })
        .await
    }

    async fn take_ceremony(
        &self,
        id: CeremonyId,
        device: DeviceId,
        now: UnixSeconds,
    ) -> StoreResult<TakeCeremony> {
        self.write(now, move |db| take(db, id, device, now)).await
    }

    async fn end_ceremony(
        &self,
        id: CeremonyId,
        device: DeviceId,
        stage: CeremonyStage,
        now: UnixSeconds,
    ) -> StoreResult<()> {
        let sql = "DELETE FROM ceremony WHERE device = ?1 AND id = ?2 AND stage = ?3";
        self.write(now, move |db| {
            execute(db, sql, (device.as_bytes(), id.as_bytes(), number(stage))).map(|_| ())
        })
        .await
    }
}

/// A ceremony, and whether somebody is at work on its confirmation.
struct Found {
    row: CeremonyRow,
    busy: bool,
}

/// The ceremony of a device, unless it is over.
fn load(db: &Db<'_>, device: DeviceId, now: UnixSeconds) -> StoreResult<Option<Found>> {
    let sql =
        "SELECT id, device_key, code, stage, state, started, run, taken FROM ceremony WHERE device = ?1";
    let found = first(db, sql, [device.as_bytes()], |row| {
        let row_found = CeremonyRow {
            id: CeremonyId::from_bytes(row.get(0)?),
            device_key: DevicePublicKeyBytes(row.get(1)?),
            code: row.get(2)?,
            stage: stage(row.get(3)?)?,
            state: row.get(4)?,
            started: get_time(row, 5)?,
        };
        let taken = UnixSeconds(get_u64(row, 7)?);
        let at_work = row_found.stage == CeremonyStage::Confirming && now < taken.plus(CONFIRMATION_SECONDS);
        Ok((Found { row: row_found, busy: at_work }, row.get::<i64>(6)?))
    })?;
    let Some((mut found, run)) = found else { return Ok(None) };
    found.busy = found.busy && db.runs(run)?;
    // One whose confirmation is evaluated stays, however old.
    let lives = match found.row.stage {
        CeremonyStage::Confirming => found.busy,
        CeremonyStage::Begun | CeremonyStage::Keyed => now <= found.row.started.plus(CEREMONY_SECONDS),
    };
    Ok(Some(found).filter(|_| lives))
}

fn begin(db: &Db<'_>, row: &CeremonyRow) -> StoreResult<BeginCeremony> {
    let (device, now) = (row.device_key.device_id(), row.started);
    if load(db, device, now)?.is_some_and(|found| found.busy) {
        return Ok(BeginCeremony::Busy);
    }
    if let Some(code) = &row.code {
        if usable_code(db, code, now)?.is_none() {
            return Ok(BeginCeremony::CodeUnusable);
        }
        let sql = "SELECT 1 FROM installation WHERE device = ?1";
        if first(db, sql, [device.as_bytes()], |_| Ok(()))?.is_some() {
            return Ok(BeginCeremony::Enrolled);
        }
        let sql = "SELECT count(*) FROM ceremony WHERE code = ?1 AND device <> ?2 AND started >= ?3";
        let since = time(now.minus(CEREMONY_SECONDS));
        let others = first(db, sql, (code, device.as_bytes(), since), |row| get_u64(row, 0))?;
        if others.unwrap_or(0) >= CEREMONIES_PER_CODE_MAX {
            return Ok(BeginCeremony::TooMany);
        }
    }
    execute(db, "DELETE FROM ceremony WHERE device = ?1", [device.as_bytes()])?;
    execute_one(
        db,
        "INSERT INTO ceremony (device, id, device_key, code, stage, state, started)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            device.as_bytes(),
            row.id.as_bytes(),
            row.device_key.0,
            row.code,
            BEGUN,
            row.state,
            time(row.started)
        ],
    )?;
    Ok(BeginCeremony::Begun)
}

fn take(db: &Db<'_>, id: CeremonyId, device: DeviceId, now: UnixSeconds) -> StoreResult<TakeCeremony> {
    let Some(found) = load(db, device, now)?.filter(|found| found.row.id == id) else {
        return Ok(TakeCeremony::Unknown);
    };
    match found.row.stage {
        CeremonyStage::Confirming => Ok(TakeCeremony::Busy),
        CeremonyStage::Begun => Ok(TakeCeremony::Unknown),
        CeremonyStage::Keyed => {
            let sql = "UPDATE ceremony SET stage = ?2, run = ?3, taken = ?4 WHERE device = ?1";
            execute_one(db, sql, (device.as_bytes(), CONFIRMING, db.run(), time(now)))?;
            Ok(TakeCeremony::Taken(found.row))
        }
    }
}

/// Ends the refresh of a device.
pub(super) fn end_of(db: &Db<'_>, device: DeviceId) -> StoreResult<()> {
    execute(db, "DELETE FROM ceremony WHERE device = ?1", [device.as_bytes()]).map(|_| ())
}

/// Ends every enrolment under a code that is used up.
pub(super) fn end_under(db: &Db<'_>, code: &[u8; 32]) -> StoreResult<()> {
    execute(db, "DELETE FROM ceremony WHERE code = ?1", [code]).map(|_| ())
}

fn stage(column: u8) -> StoreResult<CeremonyStage> {
    match column {
        BEGUN => Ok(CeremonyStage::Begun),
        KEYED => Ok(CeremonyStage::Keyed),
        CONFIRMING => Ok(CeremonyStage::Confirming),
        _ => Err(corrupt("the stage of a ceremony")),
    }
}

const fn number(stage: CeremonyStage) -> u8 {
    match stage {
        CeremonyStage::Begun => BEGUN,
        CeremonyStage::Keyed => KEYED,
        CeremonyStage::Confirming => CONFIRMING,
    }
}
