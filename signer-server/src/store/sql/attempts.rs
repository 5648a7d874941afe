//! Reserve and settle, on the installation's row.
//!
//! The row holds at most one reservation: `lease_payload` with a fencing number and the counter as it was before. A
//! reservation holds while its run of the store goes on and its time is not over. After that it is dead but remembered:
//! the same payload may take it up again, and another payload replaces it, with the attempt counted for good.

use async_trait::async_trait;
use signer_core::{
    ids::{DeviceId, Epoch, RequestId},
    time::UnixSeconds,
    wire::Standing,
};

use super::{
    Engine, certificates,
    columns::{
        FROZEN, corrupt, get_counter, get_time, get_u64, int, join, split, standing, standing_column, time,
    },
    db::{Db, Row, execute_one, first, params},
    history, installations,
    requests::{OPEN, SIGNED},
};
use crate::store::{
    Attempts, Counter, CounterRefusal, KeyRow, Lease, OutcomeKind, PayloadHash, Reserve, Reserved,
    RevocationReason, Settle, Settled, StoreError, StoreResult, StoredOutcome, Verdict,
};

/// How long an outcome is kept, seconds.
const KEEP: i64 = 24 * 3600;

#[async_trait]
impl<E: Engine> Attempts for E {
    async fn reserve(&self, reserve: Reserve) -> StoreResult<Reserved> {
        self.write_of(reserve.device, reserve.now, move |db| take(db, &reserve)).await
    }

    async fn stored_outcome(
        &self,
        device: DeviceId,
        payload: PayloadHash,
        now: UnixSeconds,
    ) -> StoreResult<Option<StoredOutcome>> {
        self.read_row(move |db| stored(db, device, payload, now)).await
    }

    async fn settle(&self, settle: Settle) -> StoreResult<Settled> {
        self.write_of(settle.lease.device, settle.now, move |db| finish(db, &settle)).await
    }
}

/// What of an installation's row an attempt works on.
struct State {
    holder: String,
    standing: Standing,
    epoch: Epoch,
    counter: Counter,
    token: u64,
    token_pending: Option<u64>,
    token_issued: u64,
    token_changed_at: UnixSeconds,
    token_given_at: UnixSeconds,
    token_tries: u32,
    token_open: bool,
    restored: UnixSeconds,
    serial: u64,
    payload: Option<PayloadHash>,
    holds: bool,
    before: Counter,
}

/// Whether a reservation holds, by its columns `lease_run` and `lease_until`.
fn lease_holds(db: &Db<'_>, row: &Row<'_>, column: usize, now: UnixSeconds) -> StoreResult<bool> {
    Ok(now < get_time(row, column + 1)? && db.runs(row.get(column)?)?)
}

fn load(db: &Db<'_>, device: DeviceId, now: UnixSeconds) -> StoreResult<Option<State>> {
    let sql = concat!(
        "SELECT holder, ",
        standing_column!(),
        ", epoch, level, wrong, locked_until, stepped_down_at, token, token_pending,
        token_issued, token_changed_at, lease_serial, lease_payload, lease_run, lease_until,
        before_level, before_wrong, before_locked_until, before_stepped_down_at, token_open, token_given_at, token_tries,
        (SELECT restored FROM meta)
        FROM installation JOIN signing_key USING (device) WHERE device = ?1"
    );
    first(db, sql, [device.as_bytes()], |row| {
        Ok(State {
            holder: row.get(0)?,
            standing: standing(row.get(1)?)?,
            epoch: Epoch(row.get(2)?),
            counter: get_counter(row, 3)?,
            token: get_u64(row, 7)?,
            token_pending: row.get::<Option<i64>>(8)?.and_then(|number| u64::try_from(number).ok()),
            token_issued: get_u64(row, 9)?,
            token_changed_at: get_time(row, 10)?,
            serial: get_u64(row, 11)?,
            payload: row.get::<Option<_>>(12)?.map(PayloadHash),
            holds: lease_holds(db, row, 13, now)?,
            before: get_counter(row, 15)?,
            token_open: row.get(19)?,
            token_given_at: get_time(row, 20)?,
            token_tries: row.get(21)?,
            restored: get_time(row, 22)?,
        })
    })
}

fn take(db: &Db<'_>, reserve: &Reserve) -> StoreResult<Reserved> {
    if let Some(stored) = stored(db, reserve.device, reserve.payload, reserve.now)? {
        return Ok(Reserved::Stored(stored));
    }
    // An installation that is not there cannot sign: to its caller it is one that has ended.
    let Some(state) = load(db, reserve.device, reserve.now)? else { return Ok(Reserved::Revoked) };
    if let Some(request) = reserve.request
        && !is_open(db, request, &state.holder, reserve.now)?
    {
        return Ok(Reserved::RequestClosed);
    }
    match state.standing {
        Standing::Good => {}
        Standing::Frozen => return Ok(Reserved::Frozen),
        Standing::Revoked => return Ok(Reserved::Revoked),
        Standing::Suspended => return Ok(Reserved::Suspended),
    }
    // What became of a message of before the restore is forgotten, and the phone may have been given a number for it.
    if state.epoch != reserve.epoch || reserve.based_on <= state.restored {
        return Ok(Reserved::Stale);
    }
    if let Some(refusal) = present(db, &state, reserve)? {
        return Ok(refusal);
    }
    if state.payload.is_some() && state.holds {
        return Ok(Reserved::Busy);
    }
    if state.payload == Some(reserve.payload) {
        return lease(db, reserve, &state, (state.before, state.counter));
    }
    match state.counter.count(&reserve.policy, reserve.now) {
        Ok(counted) => lease(db, reserve, &state, (state.counter, counted)),
        Err(CounterRefusal::Locked(until)) => Ok(Reserved::Locked(until)),
        Err(CounterRefusal::Blocked) => Ok(Reserved::Blocked),
    }
}

/// Presents the device token. What this changes stays, whatever `reserve` answers in the end.
///
/// Every success gives out a number of its own, which is then the pending one. Two phones that sign with copies of one state
/// therefore never hold the same number: the one whose number was overtaken gives itself away.
fn present(db: &Db<'_>, state: &State, reserve: &Reserve) -> StoreResult<Option<Reserved>> {
    let device = reserve.device.as_bytes();
    let Some(token) = reserve.token else { return Ok(None) };
    if state.token_open && (state.token..=state.token_issued).contains(&token) {
        // The first since a restore: which number the phone had got to is not known.
        let sql = "UPDATE installation SET token = ?2, token_open = 0, token_tries = 0, token_changed_at = ?3 WHERE device = ?1";
        execute_one(db, sql, (device, int(token)?, time(reserve.now)))?;
        return Ok(None);
    }
    if token == state.token {
        // A phone says more with each try, until it is given a number.
        if reserve.unheard >= state.token_tries {
            return Ok(None);
        }
        // It made this before the newest success, and what comes late must not overtake the number it was given then.
        // Or that success was another's.
        let late = reserve.based_on <= state.token_given_at;
        return if late { Ok(Some(Reserved::Overtaken)) } else { freeze(db, reserve).map(Some) };
    }
    if Some(token) == state.token_pending {
        let sql =
            "UPDATE installation SET token = ?2, token_pending = NULL, token_tries = 0, token_changed_at = ?3
            WHERE device = ?1";
        execute_one(db, sql, (device, int(token)?, time(reserve.now)))?;
        return Ok(None);
    }
    if token > state.token_issued {
        return Ok(Some(Reserved::UnknownToken));
    }
    if reserve.based_on <= state.token_changed_at {
        return Ok(Some(Reserved::Stale));
    }
    freeze(db, reserve).map(Some)
}

/// There is a copy, and nobody can tell it from the phone.
fn freeze(db: &Db<'_>, reserve: &Reserve) -> StoreResult<Reserved> {
    // Certificates and their list are everybody's.
    db.alone()?;
    let sql = "UPDATE installation SET standing = ?2 WHERE device = ?1";
    execute_one(db, sql, (reserve.device.as_bytes(), FROZEN))?;
    certificates::follow(db, reserve.device, reserve.now)?;
    history::append_now(db, reserve.device, &reserve.frozen, reserve.now)?;
    Ok(Reserved::Frozen)
}

/// Gives out the next token number: it replaces a pending one that was never presented.
fn give_token(db: &Db<'_>, lease: &Lease, state: &State, now: UnixSeconds) -> StoreResult<u64> {
    let number = state.token_issued.saturating_add(1);
    let sql = "UPDATE installation SET token_pending = ?2, token_issued = ?2, token_changed_at = ?3, token_given_at = ?4,
        token_tries = ?5 WHERE device = ?1";
    // Overtaking a pending number is a change; giving out the first one after a presentation is not.
    let changed_at = if state.token_pending.is_some() { now } else { state.token_changed_at };
    let tries = lease.unheard.saturating_add(1);
    execute_one(db, sql, (lease.device.as_bytes(), int(number)?, time(changed_at), time(now), tries))?;
    Ok(number)
}

fn lease(
    db: &Db<'_>,
    reserve: &Reserve,
    state: &State,
    (before, counted): (Counter, Counter),
) -> StoreResult<Reserved> {
    let serial = state.serial.saturating_add(1);
    execute_one(
        db,
        "UPDATE installation SET lease_serial = ?2, lease_payload = ?3, lease_run = ?4, lease_until = ?5,
         before_level = ?6, before_wrong = ?7, before_locked_until = ?8, before_stepped_down_at = ?9,
         level = ?10, wrong = ?11, locked_until = ?12, stepped_down_at = ?13 WHERE device = ?1",
        params![
            reserve.device.as_bytes(),
            int(serial)?,
            reserve.payload.0,
            db.run(),
            time(reserve.now.plus(reserve.lease_seconds)),
            before.level,
            before.wrong,
            time(before.locked_until),
            time(before.stepped_down_at),
            counted.level,
            counted.wrong,
            time(counted.locked_until),
            time(counted.stepped_down_at),
        ],
    )?;
    Ok(Reserved::Granted(Lease {
        device: reserve.device,
        payload: reserve.payload,
        serial,
        counter: counted,
        unheard: reserve.unheard,
    }))
}

fn finish(db: &Db<'_>, settle: &Settle) -> StoreResult<Settled> {
    let Lease { device, payload, serial, .. } = settle.lease;
    // Whether the lease still holds does not matter as long as nobody took it.
    if matches!(settle.verdict, Verdict::Cheating | Verdict::Refreshed { .. }) {
        // It ends or replaces keys, with certificates and credentials.
        db.alone()?;
    }
    let Some(state) = load(db, device, settle.now)? else { return Ok(Settled::LeaseLost) };
    if state.payload != Some(payload) || state.serial != serial {
        // Fencing keeps results back, never a finding: a cheat that was only slow would cost nothing.
        if settle.verdict == Verdict::Cheating && state.standing != Standing::Revoked {
            installations::end(db, device, RevocationReason::KeyCompromise, settle.now)?;
            history::append(db, device, settle.told.as_ref(), settle.now)?;
        }
        return Ok(Settled::LeaseLost);
    }
    match &settle.verdict {
        Verdict::ServerFault => {
            free(db, device, state.before)?;
            Ok(Settled::GivenBack)
        }
        Verdict::WrongPin => {
            free(db, device, state.counter)?;
            record(db, settle, &state, OutcomeKind::WrongPin, state.counter)
        }
        Verdict::Cheating => {
            free(db, device, state.counter)?;
            installations::end(db, device, RevocationReason::KeyCompromise, settle.now)?;
            record(db, settle, &state, OutcomeKind::Cheating, state.counter)
        }
        Verdict::Refreshed { key } => refresh(db, settle, &state, key),
        Verdict::PinProven | Verdict::Signed { .. } => succeed(db, settle, &state),
    }
}

/// The new shares signed. They become the living ones unless the installation was frozen meanwhile. The PIN proof before was
/// the success that steps the counter down and gives out a token; this one leaves both as they were.
fn refresh(db: &Db<'_>, settle: &Settle, state: &State, key: &KeyRow) -> StoreResult<Settled> {
    let device = settle.lease.device;
    if state.standing != Standing::Good {
        free(db, device, state.counter)?;
        return Ok(Settled::LeaseLost);
    }
    if key.device != device {
        return Err(StoreError::Engine("shares were settled under another device's reservation".to_owned()));
    }
    installations::promote(db, key)?;
    free(db, device, state.before)?;
    history::append(db, device, settle.told.as_ref(), settle.now)?;
    Ok(Settled::Refreshed)
}

/// The PIN was right. Nothing is released if the installation was frozen or the request closed meanwhile.
fn succeed(db: &Db<'_>, settle: &Settle, state: &State) -> StoreResult<Settled> {
    let device = settle.lease.device;
    if state.standing != Standing::Good {
        free(db, device, state.counter)?;
        return Ok(Settled::LeaseLost);
    }
    let counter = state.before.succeed(&settle.policy, settle.now);
    let kind = match &settle.verdict {
        Verdict::Signed { signatures, record, record_signature } => {
            let request = settle.request.ok_or_else(signed_without_request)?;
            if !is_open(db, request, &state.holder, settle.now)? {
                free(db, device, state.before)?;
                return Ok(Settled::RequestClosed);
            }
            let sql = "UPDATE request SET state = ?2, ended = ?3, signatures = ?4, record = ?5, record_signature = ?6,
                signed_by = ?7 WHERE id = ?1 AND state = 0";
            let (ended, joined) = (time(settle.now), join(signatures)?);
            let params =
                (request.as_bytes(), SIGNED, ended, joined, record, record_signature, device.as_bytes());
            execute_one(db, sql, params)?;
            OutcomeKind::Signed(signatures.clone())
        }
        _ => OutcomeKind::PinProven,
    };
    free(db, device, counter)?;
    record(db, settle, state, kind, counter)
}

fn signed_without_request() -> StoreError {
    StoreError::Engine("a signature was settled without its request".to_owned())
}

/// Ends the reservation and sets the counter.
fn free(db: &Db<'_>, device: DeviceId, counter: Counter) -> StoreResult<()> {
    execute_one(
        db,
        "UPDATE installation SET lease_payload = NULL, lease_until = 0,
         level = ?2, wrong = ?3, locked_until = ?4, stepped_down_at = ?5 WHERE device = ?1",
        (
            device.as_bytes(),
            counter.level,
            counter.wrong,
            time(counter.locked_until),
            time(counter.stepped_down_at),
        ),
    )
}

fn record(
    db: &Db<'_>,
    settle: &Settle,
    state: &State,
    kind: OutcomeKind,
    counter: Counter,
) -> StoreResult<Settled> {
    let number = match kind {
        OutcomeKind::Signed(_) => 0,
        OutcomeKind::PinProven => 1,
        OutcomeKind::WrongPin => 2,
        OutcomeKind::Cheating => 3,
    };
    let request = settle.request.filter(|_| number == 0);
    let device = settle.lease.device;
    let next_token = match kind {
        OutcomeKind::Signed(_) | OutcomeKind::PinProven => give_token(db, &settle.lease, state, settle.now)?,
        OutcomeKind::WrongPin | OutcomeKind::Cheating => state.token,
    };
    // An outcome of this payload that is over 24 h old may still wait to be dropped.
    execute_one(
        db,
        "INSERT INTO outcome (device, payload, kind, request, level, wrong, locked_until, stepped_down_at, next_token, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (device, payload) DO UPDATE SET
         kind = ?3, request = ?4, level = ?5, wrong = ?6, locked_until = ?7, stepped_down_at = ?8, next_token = ?9, at = ?10",
        params![
            settle.lease.device.as_bytes(),
            settle.lease.payload.0,
            number,
            request.as_ref().map(RequestId::as_bytes),
            counter.level,
            counter.wrong,
            time(counter.locked_until),
            time(counter.stepped_down_at),
            int(next_token)?,
            time(settle.now),
        ],
    )?;
    history::append(db, device, settle.told.as_ref(), settle.now)?;
    Ok(Settled::Recorded(StoredOutcome { kind, counter, next_token, at: settle.now }))
}

fn stored(
    db: &Db<'_>,
    device: DeviceId,
    payload: PayloadHash,
    now: UnixSeconds,
) -> StoreResult<Option<StoredOutcome>> {
    let sql =
        "SELECT kind, signatures, level, wrong, outcome.locked_until, outcome.stepped_down_at, next_token, at
        FROM outcome LEFT JOIN request ON request.id = outcome.request
        WHERE device = ?1 AND payload = ?2 AND at > ?3";
    let params = (device.as_bytes(), payload.0, time(now) - KEEP);
    first(db, sql, params, |row| {
        let kind = match row.get(0)? {
            0 => OutcomeKind::Signed(split(row.bytes(1)?)?),
            1 => OutcomeKind::PinProven,
            2 => OutcomeKind::WrongPin,
            3 => OutcomeKind::Cheating,
            _ => return Err(corrupt("the kind of an outcome")),
        };
        let (counter, next_token, at) = (get_counter(row, 2)?, get_u64(row, 6)?, get_time(row, 7)?);
        Ok(StoredOutcome { kind, counter, next_token, at })
    })
}

fn is_open(db: &Db<'_>, request: RequestId, holder: &str, now: UnixSeconds) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM request WHERE id = ?1 AND holder = ?2 AND state = ?3 AND expires > ?4";
    Ok(first(db, sql, (request.as_bytes(), holder, OPEN, time(now)), |_| Ok(()))?.is_some())
}
