//! Dropping what has run out, a bounded part at a time, so that other writes are not held up.

use signer_core::{
    time::UnixSeconds,
    trust::Life,
    wire::{CHECK_KEPT_SECONDS, CHECK_SECONDS, WEBHOOK_EVENT_SECONDS},
};

use super::{
    Engine,
    columns::time,
    db::{Db, execute},
};
use crate::store::{CEREMONY_SECONDS, CONFIRMATION_SECONDS, MISS_SECONDS, StoreResult, VISIT_KEPT_SECONDS};

/// Most rows of one kind in one transaction.
const PART: usize = 1_000;
const DAY: u64 = 24 * 3600;

const REQUESTS: &str = "UPDATE request SET state = 4, ended = expires WHERE id IN
    (SELECT id FROM request WHERE state = 0 AND expires <= ?1 LIMIT ?2)";
// After a time without a server outcomes may be left for the next part: their requests go after them.
const ENDED: &str = "DELETE FROM request WHERE id IN
    (SELECT id FROM request WHERE state <> 0 AND ended <= ?1
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.request = request.id) LIMIT ?2)";
const SIGN_INS: &str = "DELETE FROM request WHERE id IN
    (SELECT id FROM request WHERE purpose = 2 AND state <> 0 AND ended <= ?1
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.request = request.id) LIMIT ?2)";
const OUTCOMES: &str = "DELETE FROM outcome WHERE (device, payload) IN
    (SELECT device, payload FROM outcome WHERE at <= ?1 LIMIT ?2)";
const BURNS: &str = "DELETE FROM burn WHERE (list, idx, step, n) IN
    (SELECT list, idx, step, n FROM burn WHERE forget <= ?1 LIMIT ?2)";
const CREDENTIALS: &str = "DELETE FROM credential WHERE (list, idx) IN
    (SELECT list, idx FROM credential WHERE expires <= ?1 LIMIT ?2)";
const EVENTS: &str = "DELETE FROM register_event WHERE id IN
    (SELECT id FROM register_event WHERE at <= ?1 LIMIT ?2)";
const ORDERS: &str = "DELETE FROM register_order WHERE about IN
    (SELECT about FROM register_order WHERE at <= ?1 LIMIT ?2)";
const DISPLAYS: &str = "DELETE FROM display WHERE (list, idx, step) IN
    (SELECT list, idx, step FROM display WHERE until <= ?1 LIMIT ?2)";
const CHECKS: &str = "DELETE FROM holder_check WHERE id IN
    (SELECT id FROM holder_check WHERE expires <= ?1 LIMIT ?2)";
const MISSES: &str = "DELETE FROM miss WHERE (verifier, at, request, code) IN
    (SELECT verifier, at, request, code FROM miss WHERE at <= ?1 LIMIT ?2)";
const QUESTIONS: &str = "DELETE FROM question WHERE (verifier, request) IN
    (SELECT verifier, request FROM question WHERE until <= ?1 LIMIT ?2)";
const CODES: &str = "DELETE FROM enrolment_code WHERE hash IN
    (SELECT hash FROM enrolment_code WHERE expires <= ?1 LIMIT ?2)";
const USED_CODES: &str = "DELETE FROM enrolment_code WHERE hash IN
    (SELECT hash FROM enrolment_code WHERE used = 1 AND created <= ?1 LIMIT ?2)";
const CEREMONIES: &str = "DELETE FROM ceremony WHERE device IN
    (SELECT device FROM ceremony WHERE started <= ?1 LIMIT ?2)";

const TOKENS: &str = "DELETE FROM access_token WHERE hash IN
    (SELECT hash FROM access_token WHERE expires <= ?1 LIMIT ?2)";
const PUSHED: &str = "DELETE FROM pushed_request WHERE hash IN
    (SELECT hash FROM pushed_request WHERE expires <= ?1 LIMIT ?2)";
const VISITS: &str = "DELETE FROM visit WHERE id IN
    (SELECT id FROM visit WHERE expires <= ?1 LIMIT ?2)";
const ASSERTIONS: &str = "DELETE FROM used_assertion WHERE hash IN
    (SELECT hash FROM used_assertion WHERE expires <= ?1 LIMIT ?2)";

const WEBHOOK_EVENTS: &str = "DELETE FROM webhook_event WHERE id IN
    (SELECT id FROM webhook_event WHERE at <= ?1 LIMIT ?2)";

/// Drops everything that has run out at `now`, part by part; how many rows that were.
pub(in crate::store) async fn all<E: Engine>(engine: &E, now: UnixSeconds, life: Life) -> StoreResult<u64> {
    let mut touched = 0;
    loop {
        let (rows, more) = engine.write(now, move |db| some(db, now, life)).await?;
        touched += rows;
        if !more {
            return Ok(touched);
        }
    }
}

/// Rows touched, and whether there may be more.
fn some(db: &Db<'_>, now: UnixSeconds, life: Life) -> StoreResult<(u64, bool)> {
    // In an emergency a credential's place must say for longer whose it is; otherwise the mapping goes a day after its end.
    let longer = life.longer();
    let limit = i64::try_from(PART).unwrap_or(i64::MAX);
    let (mut touched, mut more) = (0, false);
    for (sql, before) in [
        (REQUESTS, now),
        (OUTCOMES, now.minus(DAY)),
        (ENDED, now.minus(7 * DAY)),
        (SIGN_INS, now.minus(DAY)),
        (WEBHOOK_EVENTS, now.minus(WEBHOOK_EVENT_SECONDS)),
        (BURNS, now),
        (CREDENTIALS, now.minus(DAY + longer)),
        (EVENTS, now.minus(30 * DAY)),
        (ORDERS, now.minus(30 * DAY)),
        (CODES, now),
        (USED_CODES, now),
        (CEREMONIES, now.minus(CEREMONY_SECONDS + CONFIRMATION_SECONDS + 1)),
        (TOKENS, now),
        (ASSERTIONS, now),
        (PUSHED, now),
        (VISITS, now.minus(VISIT_KEPT_SECONDS)),
        (DISPLAYS, now),
        (CHECKS, now.minus(CHECK_SECONDS + CHECK_KEPT_SECONDS)),
        (QUESTIONS, now),
        (MISSES, now.minus(MISS_SECONDS)),
    ] {
        let rows = execute(db, sql, (time(before), limit))?;
        touched += u64::try_from(rows).unwrap_or(u64::MAX);
        more |= rows == PART;
    }
    Ok((touched, more))
}
