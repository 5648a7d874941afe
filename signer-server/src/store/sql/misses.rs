//! Short codes that resolved to nothing: the budget of guesses, and the alarm.

use signer_core::{ids::RelyingPartyId, time::UnixSeconds};

use super::{
    columns::{get_time, time},
    db::{Db, execute, first},
};
use crate::store::{MISS_SECONDS, MISSES_ALARM, MISSES_MAX, MISSES_MAX_IN_ALARM, Resolve, StoreResult};

/// How long a repetition of the same miss is not counted again, seconds.
const REPEAT_SECONDS: u64 = 60;

/// When the same verifier, request id and code was just counted.
pub(super) fn counted_before(db: &Db<'_>, asked: &Resolve) -> StoreResult<Option<UnixSeconds>> {
    let sql = "SELECT at FROM miss WHERE verifier = ?1 AND at >= ?2 AND request = ?3 AND code = ?4";
    let since = time(asked.now.minus(REPEAT_SECONDS));
    let params = (asked.verifier.as_bytes(), since, asked.request, asked.code.0);
    first(db, sql, params, |row| get_time(row, 0))
}

/// Until when a verifier may not try, if its misses are spent.
pub(super) fn spent(
    db: &Db<'_>,
    verifier: RelyingPartyId,
    now: UnixSeconds,
) -> StoreResult<Option<UnixSeconds>> {
    let most = if alarm(db, now)? { MISSES_MAX_IN_ALARM } else { MISSES_MAX };
    // The miss that must leave the window before there is room for another: the `most`-th newest.
    let sql = "SELECT at FROM miss WHERE verifier = ?1 AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3";
    let params = (verifier.as_bytes(), window(now), most.saturating_sub(1));
    Ok(first(db, sql, params, |row| get_time(row, 0))?.map(|at| at.plus(MISS_SECONDS)))
}

/// Counts a miss; whether it turned the alarm on.
pub(super) fn count(db: &Db<'_>, asked: &Resolve) -> StoreResult<bool> {
    let before = alarm(db, asked.now)?;
    // Of the same code and request id in the same second there is one: it was counted before.
    let sql = "INSERT INTO miss (verifier, at, request, code) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    execute(db, sql, (asked.verifier.as_bytes(), time(asked.now), asked.request, asked.code.0))?;
    Ok(!before && alarm(db, asked.now)?)
}

/// Whether the misses of everybody are too many.
pub(super) fn alarm(db: &Db<'_>, now: UnixSeconds) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM miss WHERE at > ?1 LIMIT 1 OFFSET ?2";
    Ok(first(db, sql, (window(now), MISSES_ALARM), |_| Ok(()))?.is_some())
}

/// Misses after this time count.
fn window(now: UnixSeconds) -> i64 {
    time(now.minus(MISS_SECONDS))
}
