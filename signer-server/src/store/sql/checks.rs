//! Checks: a verifier's question, the holder's answer.

use async_trait::async_trait;
use signer_core::{
    history::SealedEntry,
    ids::{CheckId, DeviceId, RelyingPartyId},
    time::UnixSeconds,
    wire::{AnswerCheck, CHECK_KEPT_SECONDS, CHECKS_MAX, MatchNumber, Profile},
};

use super::{
    Engine,
    columns::{corrupt, get_time, get_u64, holder, int, standing_column, time},
    db::{Db, Row, all, execute, execute_one, first, params},
    displays::{profile, profile_number},
    history,
};
use crate::store::{
    AnswerResult, Burn, CheckRow, CheckState, Checks, NewCheck, Resolve, StoreResult, Told,
    VERIFIER_CHECKS_MAX,
};

/// Numbers of the states in `holder_check.state`.
const OPEN: u8 = 0;
const ALLOWED: u8 = 1;
const DECLINED: u8 = 2;

macro_rules! select {
    ($where:literal) => {
        concat!(
            "SELECT holder_check.id, verifier, relying_party.name, request_id, holder_check.device, holder,
            CASE WHEN credential.state = 0 AND ",
            standing_column!(),
            " = 0 THEN 1 ELSE 0 END, coalesce(document_type, 0), step, profile, match_number, holder_check.expires,
            holder_check.state, decided, told, reached, code_sha256, shown
            FROM holder_check JOIN installation ON installation.device = holder_check.device
            JOIN relying_party ON relying_party.id = verifier
            LEFT JOIN credential ON credential.list = holder_check.list AND credential.idx = holder_check.idx
            WHERE ",
            $where
        )
    };
}

#[async_trait]
impl<E: Engine> Checks for E {
    async fn holder_check(&self, id: CheckId, now: UnixSeconds) -> StoreResult<Option<CheckRow>> {
        self.read(move |db| load(db, id, now)).await
    }

    async fn open_checks(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<Vec<CheckRow>> {
        let open = move |db: &Db<'_>| {
            let mut found = unanswered(db, device, now)?;
            found.retain(|check| check.state == CheckState::Open);
            found.truncate(CHECKS_MAX);
            Ok(found)
        };
        self.read(open).await
    }

    async fn ended_checks(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<Vec<CheckId>> {
        let ended = move |db: &Db<'_>| {
            let found = unanswered(db, device, now)?.into_iter();
            Ok(found.filter(|check| check.state == CheckState::Ended).map(|check| check.id).collect())
        };
        self.read(ended).await
    }

    async fn answer_check(
        &self,
        given: AnswerCheck,
        device: DeviceId,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<AnswerResult> {
        self.write(now, move |db| answer(db, &given, device, told.as_ref(), now)).await
    }

    async fn tell(
        &self,
        id: CheckId,
        told: Told,
        entry: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<Option<Told>> {
        self.write(now, move |db| tell(db, id, told, entry.as_ref(), now)).await
    }
}

pub(super) fn load(db: &Db<'_>, id: CheckId, now: UnixSeconds) -> StoreResult<Option<CheckRow>> {
    let sql = select!("holder_check.id = ?1 AND coalesce(decided, holder_check.expires) + ?2 >= ?3");
    first(db, sql, (id.as_bytes(), kept(), time(now)), |row| read(row, now))
}

/// The check that the same verifier opened with the same request id and code.
pub(super) fn opened_before(db: &Db<'_>, asked: &Resolve) -> StoreResult<Option<CheckRow>> {
    let sql = select!(
        "verifier = ?1 AND request_id = ?2 AND code = ?3 AND coalesce(decided, holder_check.expires) + ?4 >= ?5"
    );
    let params = (asked.verifier.as_bytes(), &asked.check.request_id, asked.code.0, kept(), time(asked.now));
    first(db, sql, params, |row| read(row, asked.now))
}

/// Checks of a device that nobody answered and whose time is not up, oldest first.
fn unanswered(db: &Db<'_>, device: DeviceId, now: UnixSeconds) -> StoreResult<Vec<CheckRow>> {
    let sql = select!(
        "holder_check.device = ?1 AND holder_check.state = 0 AND holder_check.expires > ?2 ORDER BY opened, holder_check.id"
    );
    all(db, sql, (device.as_bytes(), time(now)), |row| read(row, now))
}

/// Whether the holder or the verifier has as many checks open as there may be.
pub(super) fn too_many(
    db: &Db<'_>,
    device: DeviceId,
    verifier: RelyingPartyId,
    now: UnixSeconds,
) -> StoreResult<bool> {
    let holders = unanswered(db, device, now)?;
    if holders.iter().filter(|check| check.state == CheckState::Open).count() >= CHECKS_MAX {
        return Ok(true);
    }
    let verifiers =
        "SELECT 1 FROM holder_check WHERE verifier = ?1 AND state = 0 AND expires > ?2 LIMIT 1 OFFSET ?3";
    let most = VERIFIER_CHECKS_MAX.saturating_sub(1);
    Ok(first(db, verifiers, (verifier.as_bytes(), time(now), most), |_| Ok(()))?.is_some())
}

/// Opens a check on the use of a code.
pub(super) fn open(
    db: &Db<'_>,
    check: &NewCheck,
    burn: &Burn,
    by_short_code: bool,
    device: DeviceId,
    asked: Profile,
) -> StoreResult<()> {
    execute_one(
        db,
        "INSERT INTO holder_check (id, verifier, request_id, code, device, list, idx, step, profile, match_number,
         opened, expires, code_sha256) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            check.id.as_bytes(),
            burn.verifier.as_bytes(),
            check.request_id,
            by_short_code.then_some(burn.code.0),
            device.as_bytes(),
            burn.list,
            burn.index,
            int(burn.step)?,
            profile_number(asked),
            check.match_number.value(),
            time(burn.now),
            time(check.expires),
            check.code_sha256
        ],
    )
}

fn answer(
    db: &Db<'_>,
    given: &AnswerCheck,
    device: DeviceId,
    told: Option<&SealedEntry>,
    now: UnixSeconds,
) -> StoreResult<AnswerResult> {
    let check = load(db, given.id, now)?.filter(|check| check.device == device);
    let Some(check) = check else { return Ok(AnswerResult::NotFound) };
    match (check.state, given.allow) {
        (CheckState::Open, _) => {
            let sql =
                "UPDATE holder_check SET state = ?2, decided = ?3, shown = ?4 WHERE id = ?1 AND state = 0";
            let state = if given.allow { ALLOWED } else { DECLINED };
            execute_one(db, sql, (given.id.as_bytes(), state, time(now), given.shown))?;
            history::append(db, device, told, now)?;
            Ok(AnswerResult::Answered)
        }
        (CheckState::Allowed(_), true) | (CheckState::Declined(_), false) => Ok(AnswerResult::Answered),
        (CheckState::Allowed(_), false)
        | (CheckState::Declined(_), true)
        | (CheckState::Expired(_) | CheckState::Ended, _) => Ok(AnswerResult::Closed),
    }
}

fn tell(
    db: &Db<'_>,
    id: CheckId,
    told: Told,
    entry: Option<&SealedEntry>,
    now: UnixSeconds,
) -> StoreResult<Option<Told>> {
    let Some(check) = load(db, id, now)? else { return Ok(None) };
    match check.state {
        CheckState::Allowed(_) if !check.good => Ok(None),
        CheckState::Allowed(Some(before)) | CheckState::Expired(Some(before)) => Ok(Some(before)),
        CheckState::Allowed(None) | CheckState::Expired(None) => {
            let sql = "UPDATE holder_check SET told = ?2, reached = ?3 WHERE id = ?1 AND told IS NULL";
            execute_one(db, sql, (id.as_bytes(), time(told.at), told.reached))?;
            history::append(db, check.device, entry, now)?;
            Ok(Some(told))
        }
        CheckState::Open | CheckState::Declined(_) | CheckState::Ended => Ok(None),
    }
}

/// Forgets what a revoked verifier asked.
pub(super) fn forget_all_of(db: &Db<'_>, verifier: RelyingPartyId) -> StoreResult<()> {
    execute(db, "DELETE FROM holder_check WHERE verifier = ?1", [verifier.as_bytes()]).map(|_| ())
}

fn kept() -> i64 {
    i64::try_from(CHECK_KEPT_SECONDS).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>, now: UnixSeconds) -> StoreResult<CheckRow> {
    let expires = get_time(row, 11)?;
    let told = match row.get::<Option<bool>>(15)? {
        Some(reached) => Some(Told { at: get_time(row, 14)?, reached }),
        None => None,
    };
    let good: bool = row.get(6)?;
    let state = match row.get(12)? {
        OPEN if !good => CheckState::Ended,
        OPEN if now < expires => CheckState::Open,
        OPEN => CheckState::Expired(told),
        ALLOWED => CheckState::Allowed(told),
        DECLINED => CheckState::Declined(get_time(row, 13)?),
        _ => return Err(corrupt("the state of a check")),
    };
    Ok(CheckRow {
        id: CheckId::from_bytes(row.get(0)?),
        verifier: RelyingPartyId::from_bytes(row.get(1)?),
        verifier_name: row.get(2)?,
        request_id: row.get(3)?,
        code_sha256: row.get(16)?,
        shown: row.get(17)?,
        device: DeviceId::from_bytes(row.get(4)?),
        holder: holder(row.text(5)?)?,
        good,
        document_type: row.get(7)?,
        step: get_u64(row, 8)?,
        profile: profile(row.get(9)?)?,
        match_number: MatchNumber::new(row.get(10)?).ok_or_else(|| corrupt("a match number"))?,
        expires,
        state,
    })
}
