//! Issued day credentials and the codes used up.

use std::collections::HashSet;

use async_trait::async_trait;
use signer_core::{
    credential::StatusIndex,
    history::SealedEntry,
    ids::{DeviceId, RelyingPartyId},
    time::UnixSeconds,
    wire::Profile,
};

use super::{
    Engine, checks,
    columns::{GOOD, SUSPENDED, get_time, get_u64, int, standing_column, time},
    db::{Db, Row, all, execute_one, first, params},
    displays, history,
    questions::{self, Question},
    reports,
};
use crate::store::{
    AddedCredentials, Burn, Burned, CredentialRow, Credentials, LIVING_CREDENTIALS_MAX, StoreResult,
};

/// How long the same verifier gets the same answer.
const REPEAT_SECONDS: u64 = 60;

#[async_trait]
impl<E: Engine> Credentials for E {
    async fn add_credentials(
        &self,
        batch: Vec<CredentialRow>,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<AddedCredentials> {
        self.write(now, move |db| {
            let added = add(db, &batch, now)?;
            let told = told.as_ref().filter(|_| added == AddedCredentials::Added);
            if let Some(row) = batch.first() {
                history::append(db, row.device, told, now)?;
            }
            Ok(added)
        })
        .await
    }

    async fn credential(&self, list: u32, index: u32) -> StoreResult<Option<CredentialRow>> {
        self.read(move |db| load(db, list, index)).await
    }

    async fn look(&self, burn: Burn) -> StoreResult<Option<Burned>> {
        self.read(move |db| Ok(judge(db, &burn)?.err())).await
    }

    async fn burn(&self, burn: Burn) -> StoreResult<Burned> {
        self.write(burn.now, move |db| use_up(db, &burn)).await
    }

    async fn withdraw(&self, device: DeviceId, document_type: u32, now: UnixSeconds) -> StoreResult<()> {
        self.write(now, move |db| reports::end_document(db, device, document_type)).await
    }

    async fn withdrawn(&self, device: DeviceId) -> StoreResult<Vec<StatusIndex>> {
        let sql = "SELECT list, idx FROM credential WHERE device = ?1 AND state <> 0 ORDER BY expires DESC LIMIT ?2";
        let place = |row: &Row<'_>| Ok(StatusIndex { list: row.get(0)?, index: row.get(1)? });
        self.read(move |db| all(db, sql, (device.as_bytes(), LIVING_CREDENTIALS_MAX), place)).await
    }

    async fn highest_burn(&self, list: u32, index: u32, step: u64) -> StoreResult<Option<u8>> {
        let step = int(step)?;
        let sql = "SELECT n FROM burn WHERE list = ?1 AND idx = ?2 AND step = ?3 ORDER BY n DESC LIMIT 1";
        self.read(move |db| first(db, sql, (list, index, step), |row| row.get(0))).await
    }
}

fn add(db: &Db<'_>, batch: &[CredentialRow], now: UnixSeconds) -> StoreResult<AddedCredentials> {
    for row in batch {
        let used = "SELECT 1 FROM credential WHERE day_key = ?1";
        if first(db, used, [row.day_key], |_| Ok(()))?.is_some() {
            return Ok(AddedCredentials::DayKeyUsed);
        }
    }
    let taken = taken(db, batch.iter().map(|row| StatusIndex { list: row.list, index: row.index }))?;
    if !taken.is_empty() {
        return Ok(AddedCredentials::Taken(taken));
    }
    if let Some(row) = batch.first() {
        let living = "SELECT count(*) FROM credential WHERE device = ?1 AND expires > ?2";
        let living = first(db, living, (row.device.as_bytes(), time(now)), |row| row.get::<u32>(0))?;
        let wanted = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        if living.unwrap_or(0).saturating_add(wanted) > LIVING_CREDENTIALS_MAX {
            return Ok(AddedCredentials::TooMany);
        }
    }
    for row in batch {
        execute_one(
            db,
            "INSERT INTO credential (list, idx, device, document_type, wrapped_otp, day_key, hash, expires, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                row.list,
                row.index,
                row.device.as_bytes(),
                row.document_type,
                row.wrapped_otp,
                row.day_key,
                row.hash,
                time(row.expires),
                time(now)
            ],
        )?;
    }
    Ok(AddedCredentials::Added)
}

/// Positions of the places that belong to a credential, or stand earlier among them.
pub(super) fn taken(db: &Db<'_>, places: impl Iterator<Item = StatusIndex>) -> StoreResult<Vec<usize>> {
    let there = "SELECT 1 FROM credential WHERE list = ?1 AND idx = ?2";
    let mut seen = HashSet::new();
    let mut taken = Vec::new();
    for (position, place) in places.enumerate() {
        if !seen.insert(place) || first(db, there, (place.list, place.index), |_| Ok(()))?.is_some() {
            taken.push(position);
        }
    }
    Ok(taken)
}

fn load(db: &Db<'_>, list: u32, index: u32) -> StoreResult<Option<CredentialRow>> {
    let sql = "SELECT device, document_type, wrapped_otp, day_key, expires, hash FROM credential
        WHERE list = ?1 AND idx = ?2 AND device IS NOT NULL";
    first(db, sql, (list, index), |row| {
        Ok(CredentialRow {
            list,
            index,
            device: DeviceId::from_bytes(row.get(0)?),
            document_type: row.get(1)?,
            wrapped_otp: row.get(2)?,
            day_key: row.get(3)?,
            expires: get_time(row, 4)?,
            hash: row.get(5)?,
        })
    })
}

fn use_up(db: &Db<'_>, burn: &Burn) -> StoreResult<Burned> {
    let device = match judge(db, burn)? {
        Ok(device) => device,
        Err(before) => return Ok(before),
    };
    // Of an organisation's document nobody is asked or told.
    if let Some(device) = device {
        if let Some(check) = &burn.check {
            if checks::too_many(db, device, burn.verifier, burn.now)? {
                return Ok(Burned::TooManyChecks);
            }
            checks::open(db, check, burn, false, device, check.profile.unwrap_or(Profile::Age))?;
        }
        history::append(db, device, burn.told.as_ref(), burn.now)?;
    }
    note(db, burn, int(burn.step)?)?;
    Ok(Burned::Fresh)
}

/// The device whose code would be used first now, none for an organisation's document; or what stands against it.
fn judge(db: &Db<'_>, burn: &Burn) -> StoreResult<Result<Option<DeviceId>, Burned>> {
    if questions::is_taken(db, &question(burn), burn.now)? {
        return Ok(Err(Burned::OtherCode));
    }
    let place = (burn.list, burn.index);
    let standing = concat!(
        "SELECT coalesce(",
        standing_column!(),
        ", 0), device FROM credential LEFT JOIN installation USING (device) WHERE list = ?1 AND idx = ?2 AND state = 0"
    );
    let found = first(db, standing, place, |row| {
        Ok((row.get(0)?, row.get::<Option<[u8; 16]>>(1)?.map(DeviceId::from_bytes)))
    })?;
    let device = match found {
        Some((GOOD, device)) => device,
        Some((SUSPENDED, _)) => return Ok(Err(Burned::Suspended)),
        _ => return Ok(Err(Burned::Withdrawn)),
    };
    let step = int(burn.step)?;
    if let Some(used) = used(db, burn, step)? {
        return Ok(Err(used));
    }
    if burn.only_repeat {
        return Ok(Err(Burned::Used));
    }
    if highest(db, burn.list, burn.index)?.is_some_and(|highest| highest > (step, burn.n)) {
        return Ok(Err(Burned::Superseded));
    }
    Ok(Ok(device))
}

/// The highest (step, n) of a credential that was used.
pub(super) fn highest(db: &Db<'_>, list: u32, index: u32) -> StoreResult<Option<(i64, u8)>> {
    let sql = "SELECT step, n FROM burn WHERE list = ?1 AND idx = ?2 ORDER BY step DESC, n DESC LIMIT 1";
    first(db, sql, (list, index), |row| Ok((row.get(0)?, row.get(1)?)))
}

const fn question(burn: &Burn) -> Question<'_> {
    Question { verifier: burn.verifier, request: &burn.request, code: burn.code }
}

/// Notes the use of a code. The short codes up to it go with it: one use ends all three.
pub(super) fn note(db: &Db<'_>, burn: &Burn, step: i64) -> StoreResult<()> {
    displays::kill(db, burn.list, burn.index, step, burn.n)?;
    questions::note(db, &question(burn), burn.now)?;
    execute_one(
        db,
        "INSERT INTO burn (list, idx, step, n, verifier, request, answer, at, forget)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            burn.list,
            burn.index,
            step,
            burn.n,
            burn.verifier.as_bytes(),
            burn.request,
            burn.answer,
            time(burn.now),
            time(burn.forget)
        ],
    )
}

/// The answer if this very code was used before.
fn used(db: &Db<'_>, burn: &Burn, step: i64) -> StoreResult<Option<Burned>> {
    let sql = "SELECT verifier, request, at, answer FROM burn WHERE list = ?1 AND idx = ?2 AND step = ?3 AND n = ?4";
    first(db, sql, (burn.list, burn.index, step, burn.n), |row| {
        let verifier = RelyingPartyId::from_bytes(row.get(0)?);
        let request: [u8; 32] = row.get(1)?;
        let until = UnixSeconds(get_u64(row, 2)?).plus(REPEAT_SECONDS);
        let same = verifier == burn.verifier && request == burn.request && burn.now <= until;
        Ok(if same { Burned::Same(row.get(3)?) } else { Burned::Used })
    })
}
