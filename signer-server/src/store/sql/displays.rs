//! Codes on display: put up, taken down, found, used up.

use async_trait::async_trait;
use signer_core::{ids::DeviceId, time::UnixSeconds, wire::Profile};

use super::{
    Engine, checks,
    columns::{GOOD, corrupt, get_time, int, standing_column, time},
    credentials,
    db::{Db, execute, execute_one, first, params},
    history, misses,
    questions::{self, Question},
};
use crate::store::{Burn, DisplayResult, DisplayTurn, Displays, NewDisplay, Resolve, Resolved, StoreResult};

#[async_trait]
impl<E: Engine> Displays for E {
    async fn display(&self, new: NewDisplay) -> StoreResult<DisplayResult> {
        self.write(new.now, move |db| put_up(db, &new)).await
    }

    async fn end_display(
        &self,
        device: DeviceId,
        list: u32,
        index: u32,
        now: UnixSeconds,
    ) -> StoreResult<()> {
        let sql = "DELETE FROM display WHERE device = ?1 AND list = ?2 AND idx = ?3";
        self.write(now, move |db| execute(db, sql, (device.as_bytes(), list, index)).map(|_| ())).await
    }

    async fn resolve(&self, resolve: Resolve) -> StoreResult<Resolved> {
        self.write(resolve.now, move |db| find(db, &resolve)).await
    }

    async fn miss_alarm(&self, now: UnixSeconds) -> StoreResult<bool> {
        self.read(move |db| misses::alarm(db, now)).await
    }
}

/// Number of a profile in a column.
pub(super) const fn profile_number(profile: Profile) -> u8 {
    match profile {
        Profile::Age => 0,
        Profile::Minimal => 1,
        Profile::Full => 2,
    }
}

/// A profile from a column.
pub(super) fn profile(number: u8) -> StoreResult<Profile> {
    let found = Profile::ALL.into_iter().find(|profile| profile_number(*profile) == number);
    found.ok_or_else(|| corrupt("a profile"))
}

fn put_up(db: &Db<'_>, new: &NewDisplay) -> StoreResult<DisplayResult> {
    let living = concat!(
        "SELECT ",
        standing_column!(),
        " FROM credential JOIN installation USING (device)
        WHERE list = ?1 AND idx = ?2 AND device = ?3 AND expires > ?4 AND state = 0"
    );
    let alive = time(new.now.minus(new.life.longer()));
    let place = (new.list, new.index, new.device.as_bytes(), alive);
    if first(db, living, place, |row| row.get(0))? != Some(GOOD) {
        return Ok(DisplayResult::NotFound);
    }
    let step = int(new.step)?;
    let before =
        "DELETE FROM display WHERE device = ?1 AND (list <> ?2 OR idx <> ?3 OR step >= ?4 OR until <= ?5)";
    execute(db, before, (new.device.as_bytes(), new.list, new.index, step, time(new.now)))?;
    let highest = credentials::highest(db, new.list, new.index)?;
    for (position, turn) in new.turns.iter().enumerate() {
        let used_up = highest.is_some_and(|highest| highest >= (step, turn.n));
        if !used_up && is_free(db, turn, new.now)? {
            insert(db, new, step, turn)?;
            return Ok(DisplayResult::Displayed(position));
        }
    }
    Ok(DisplayResult::NoTurn)
}

/// Whether no live display has a code of this turn. Those that have ended and were not swept yet make room.
fn is_free(db: &Db<'_>, turn: &DisplayTurn, now: UnixSeconds) -> StoreResult<bool> {
    let codes = (turn.digits.0, turn.bar.0, time(now));
    execute(db, "DELETE FROM display WHERE (digits = ?1 OR bar = ?2) AND until <= ?3", codes)?;
    let sql = "SELECT 1 FROM display WHERE digits = ?1 OR bar = ?2";
    Ok(first(db, sql, (turn.digits.0, turn.bar.0), |_| Ok(()))?.is_none())
}

fn insert(db: &Db<'_>, new: &NewDisplay, step: i64, turn: &DisplayTurn) -> StoreResult<()> {
    execute_one(
        db,
        "INSERT INTO display (list, idx, step, n, device, profile, digits, bar, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            new.list,
            new.index,
            step,
            turn.n,
            new.device.as_bytes(),
            profile_number(new.profile),
            turn.digits.0,
            turn.bar.0,
            time(new.until)
        ],
    )
}

/// Kills the short codes of a credential up to a use of (step, n).
pub(super) fn kill(db: &Db<'_>, list: u32, index: u32, step: i64, n: u8) -> StoreResult<()> {
    let sql = "DELETE FROM display WHERE list = ?1 AND idx = ?2 AND (step < ?3 OR (step = ?3 AND n <= ?4))";
    execute(db, sql, (list, index, step, n)).map(|_| ())
}

/// A display that a short code belongs to.
struct Live {
    list: u32,
    index: u32,
    step: i64,
    n: u8,
    device: DeviceId,
    profile: Profile,
    credential_ends: UnixSeconds,
}

fn find(db: &Db<'_>, asked: &Resolve) -> StoreResult<Resolved> {
    if let Some(check) = checks::opened_before(db, asked)? {
        return Ok(Resolved::Asked { check: Box::new(check), fresh: false });
    }
    let question = Question { verifier: asked.verifier, request: &asked.request, code: asked.code };
    if questions::is_taken(db, &question, asked.now)? {
        return Ok(Resolved::OtherCode);
    }
    if let Some(at) = misses::counted_before(db, asked)? {
        return Ok(Resolved::Missed { at, alarm: false });
    }
    if asked.counted
        && let Some(until) = misses::spent(db, asked.verifier, asked.now)?
    {
        return Ok(Resolved::Spent(until));
    }
    let Some(live) = live(db, asked)? else {
        questions::note(db, &question, asked.now)?;
        let alarm = asked.counted && misses::count(db, asked)?;
        return Ok(Resolved::Missed { at: asked.now, alarm });
    };
    if checks::too_many(db, live.device, asked.verifier, asked.now)? {
        return Ok(Resolved::TooManyChecks);
    }
    let step = u64::try_from(live.step).map_err(|_| corrupt("the step of a display"))?;
    let burn = Burn {
        list: live.list,
        index: live.index,
        step,
        n: live.n,
        verifier: asked.verifier,
        request: asked.request,
        code: asked.code,
        answer: asked.answer.clone(),
        only_repeat: false,
        check: None,
        told: None,
        forget: live.credential_ends.plus(asked.forget_seconds),
        now: asked.now,
    };
    credentials::note(db, &burn, live.step)?;
    let profile = asked.check.profile.unwrap_or(live.profile);
    checks::open(db, &asked.check, &burn, true, live.device, profile)?;
    let check = checks::load(db, asked.check.id, asked.now)?.ok_or_else(|| corrupt("a check"))?;
    history::append_asked(db, &check, &asked.told, asked.now)?;
    Ok(Resolved::Asked { check: Box::new(check), fresh: true })
}

/// The live display with a code, of a device in good standing. Killed with every use, so none is used up.
fn live(db: &Db<'_>, asked: &Resolve) -> StoreResult<Option<Live>> {
    let sql = concat!(
        "SELECT display.list, display.idx, step, n, display.device, profile, expires
        FROM display JOIN installation USING (device)
        JOIN credential ON credential.list = display.list AND credential.idx = display.idx
        WHERE (digits = ?1 OR bar = ?1) AND until > ?2 AND expires > ?3 AND credential.state = 0 AND ",
        standing_column!(),
        " = 0"
    );
    let alive = time(asked.now.minus(asked.life.longer()));
    first(db, sql, (asked.code.0, time(asked.now), alive), |row| {
        Ok(Live {
            list: row.get(0)?,
            index: row.get(1)?,
            step: row.get(2)?,
            n: row.get(3)?,
            device: DeviceId::from_bytes(row.get(4)?),
            profile: profile(row.get(5)?)?,
            credential_ends: get_time(row, 6)?,
        })
    })
}
