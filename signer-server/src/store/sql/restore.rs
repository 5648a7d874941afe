//! A store that was brought back from an earlier state: what it cannot know, it refuses. One transaction, spec/restore.md.

use std::collections::{BTreeMap, btree_map::Entry};

use signer_core::{
    audit::{
        AuditAct, AuditDetail, AuditEntry,
        tree::{TreeHash, leaf_hash},
    },
    ids::{AuditName, DeviceId, RelyingPartyId},
    time::UnixSeconds,
};

use super::{
    audit, certificates,
    columns::{FROZEN, REVOKED, get_counter, get_u64, int, time},
    db::{Db, Row, execute, execute_one, first, params},
    installations, relying_parties, requests,
};
use crate::store::{
    Again, AgainWhat, AuditMark, Counter, LockPolicy, Restore, RestoreReport, RevocationReason, StoreError,
    StoreResult,
};

/// Numbers that are left out wherever some may have been given out after the state that came back: tokens of phones,
/// revocation lists, events for webhooks.
const SKIPPED: i64 = 1 << 32;

/// The store's epoch: the highest of its restores.
pub(in crate::store) fn epoch(db: &Db<'_>) -> StoreResult<u32> {
    Ok(first(db, "SELECT coalesce(max(epoch), 0) FROM restored", [], |row| row.get(0))?.unwrap_or(0))
}

/// Makes the store of the transaction usable again.
pub(in crate::store) fn restore(db: &Db<'_>, asked: &Restore) -> StoreResult<RestoreReport> {
    let head = audit::head(db)?;
    if head != asked.had {
        return Err(StoreError::Engine(
            "the store went on while it was looked at: nothing was changed".to_owned(),
        ));
    }
    let had = head.size;
    let whole = asked.whole && leads_to_witness(db, asked)?;
    let mut report = RestoreReport {
        epoch: next_epoch(db, asked)?,
        had,
        witnessed: asked.witnessed.map(|mark| mark.size),
        whole,
        ..RestoreReport::default()
    };
    let skipped = SKIPPED.saturating_mul(i64::from(report.epoch.saturating_sub(epoch(db)?)));
    // First, so that nothing stands between the gap and the entry that names it.
    execute_one(
        db,
        "INSERT INTO restored (epoch, at, had, witnessed, witnessed_last, whole) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            report.epoch,
            time(asked.now),
            int(had)?,
            asked.witnessed.map(|mark| int(mark.size)).transpose()?,
            asked.witnessed.map(|mark| mark.last.0),
            whole,
        ),
    )?;
    let proven = asked.witnessed.filter(|_| whole).map_or(0, |seen| seen.size);
    keep_hashes(db, asked, report.epoch, proven)?;
    // The server goes on a second later: what it says then is told from what it said before.
    let sql = "UPDATE meta SET restored = ?1, latest_time = CASE WHEN latest_time <= ?1 THEN ?1 + 1 ELSE latest_time END";
    execute_one(db, sql, [time(asked.now)])?;
    // First: what ends tells webhooks so, by the next numbers.
    skip_numbers(db, skipped, asked.now)?;
    report.requests = end_what_was_open(db, asked.now)?;
    apply(db, asked, proven, &mut report)?;
    if !whole {
        report.suspended = suspend_all(db, &asked.policy, asked.now)?;
    } else if !asked.exact {
        // Wrong PINs of the last second: each level stands at its last attempt.
        let sql = "UPDATE installation SET wrong = ?1 WHERE standing <> ?2 AND wrong < ?1";
        execute(db, sql, (asked.policy.tries.saturating_sub(1), REVOKED))?;
    }
    Ok(report)
}

/// Whether the store and the acts after it lead to the very entry that the witness saw last, with no restore between: what one
/// has set leaves no entries.
fn leads_to_witness(db: &Db<'_>, asked: &Restore) -> StoreResult<bool> {
    let Some(seen) = asked.witnessed else { return Ok(false) };
    let (mut end, mut found) = (asked.had, holds(db, seen)?);
    for entry in &asked.acts {
        if entry.index != end.size || entry.previous != end.last || entry.act == AuditAct::Restored {
            return Ok(false);
        }
        end = AuditMark { size: end.size.saturating_add(1), last: leaf_hash(&entry.encode()) };
        found |= end == seen;
    }
    Ok(found)
}

/// Whether the store's audit log has the last entry of this mark in its place. A log without entries is held by nobody.
pub(in crate::store) fn holds(db: &Db<'_>, seen: AuditMark) -> StoreResult<bool> {
    let Some(index) = seen.size.checked_sub(1) else { return Ok(false) };
    Ok(audit::head(db)?.size > index && audit::leaf(db, index)? == Some(seen.last))
}

/// One above every epoch that anybody has seen, so that no number and no name of the log is given out twice.
fn next_epoch(db: &Db<'_>, asked: &Restore) -> StoreResult<u32> {
    let since = asked.acts.iter().filter(|entry| entry.act == AuditAct::Restored).count();
    let known = epoch(db)?.saturating_add(u32::try_from(since).unwrap_or(u32::MAX));
    Ok(known.max(asked.epoch).saturating_add(1))
}

/// Keeps the hashes of the entries that were applied and are lost: another node's witness asks whether its own is one of them.
fn keep_hashes(db: &Db<'_>, asked: &Restore, epoch: u32, proven: u64) -> StoreResult<()> {
    let sql = "INSERT INTO restored_entry (epoch, idx, hash) VALUES (?1, ?2, ?3)";
    for entry in asked.acts.iter().filter(|entry| entry.index < proven) {
        execute_one(db, sql, (epoch, int(entry.index)?, leaf_hash(&entry.encode()).0))?;
    }
    Ok(())
}

/// Requests, codes, tokens, visits, authorisations, checks. Each may have been used after the state that came back.
fn end_what_was_open(db: &Db<'_>, now: UnixSeconds) -> StoreResult<u64> {
    let ended = requests::expire_all(db, now)?;
    for sql in [
        "UPDATE enrolment_code SET used = 1 WHERE used = 0",
        "DELETE FROM csc_authorisation",
        "DELETE FROM visit",
        "DELETE FROM pushed_request",
        "DELETE FROM access_token",
        // Its seed may have met another message of the phone since.
        "DELETE FROM ceremony",
        "DELETE FROM display",
        "DELETE FROM holder_check",
        "DELETE FROM question",
        // Its successor is signed under the log's next name.
        "DELETE FROM audit_checkpoint",
    ] {
        execute(db, sql, [])?;
    }
    Ok(ended)
}

fn skip_numbers(db: &Db<'_>, skipped: i64, now: UnixSeconds) -> StoreResult<()> {
    execute(db, "UPDATE authority SET crl_number = crl_number + ?1, changes = changes + 1", [skipped])?;
    // Whoever has no number in this state may have been given the first ones since.
    let sql = "INSERT INTO webhook_counter (relying_party, last) SELECT id, ?1 FROM relying_party WHERE true
        ON CONFLICT (relying_party) DO UPDATE SET last = webhook_counter.last + ?1";
    execute(db, sql, [skipped])?;
    let sql = "UPDATE installation SET token_open = 1, token_pending = NULL, token_issued = token_issued + ?1,
        token_changed_at = ?2, lease_payload = NULL, lease_until = 0, lease_serial = lease_serial + 1 WHERE standing <> ?3";
    execute(db, sql, (skipped, time(now), REVOKED)).map(|_| ())
}

/// An installation, as the acts after the state that came back leave it.
struct Person {
    device: DeviceId,
    counter: Counter,
    suspended: Option<bool>,
    frozen: bool,
    withdrawn: bool,
    ended: Option<RevocationReason>,
}

/// Applies what is known to have happened since. Entries from `proven` on are under no hash of the witness: somebody may have made
/// them up. They suspend, and are named for people to judge; they end, lock and forget nothing.
fn apply(db: &Db<'_>, asked: &Restore, proven: u64, report: &mut RestoreReport) -> StoreResult<()> {
    let mut people: BTreeMap<AuditName, Option<Person>> = BTreeMap::new();
    for entry in &asked.acts {
        if let Some(name) = entry.subject {
            let known = match people.entry(name) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(person(db, name)?),
            };
            match known.as_mut() {
                Some(person) if entry.index >= proven => person.fear(entry, name, report),
                Some(person) => person.take(entry, &asked.policy, report),
                None => report.enrolled_lost += u64::from(entry.act == AuditAct::Enrolled),
            }
        } else {
            other(db, entry, entry.index < proven, asked.now, report)?;
        }
    }
    people.into_values().flatten().try_for_each(|person| person.write(db, asked.now, report))
}

fn person(db: &Db<'_>, name: AuditName) -> StoreResult<Option<Person>> {
    let sql = "SELECT device, level, wrong, locked_until, stepped_down_at FROM installation
        WHERE audit_name = ?1 AND standing <> ?2";
    first(db, sql, (name.as_bytes(), REVOKED), |row: &Row<'_>| {
        Ok(Person {
            device: DeviceId::from_bytes(row.get(0)?),
            counter: get_counter(row, 1)?,
            suspended: None,
            frozen: false,
            withdrawn: false,
            ended: None,
        })
    })
}

impl Person {
    fn take(&mut self, entry: &AuditEntry, policy: &LockPolicy, report: &mut RestoreReport) {
        match entry.act {
            AuditAct::PinWrong => {
                report.wrong_pins += 1;
                self.counter = self.counter.count(policy, entry.at).unwrap_or(self.counter);
            }
            AuditAct::Signed | AuditAct::PinProven => {
                self.counter = self.counter.succeed(policy, entry.at);
            }
            AuditAct::Suspended => self.suspended = Some(true),
            AuditAct::Resumed => self.suspended = Some(false),
            AuditAct::Frozen => self.frozen = true,
            AuditAct::DocumentsWithdrawn => self.withdrawn = true,
            // The shares of the epoch that came back do not fit the phone's.
            AuditAct::Refreshed => self.ended = self.ended.or(Some(RevocationReason::Superseded)),
            AuditAct::Cheated => self.ended = Some(RevocationReason::KeyCompromise),
            AuditAct::Revoked => {
                let reason = entry.detail.as_ref().map(AuditDetail::as_str);
                let reason = reason.and_then(RevocationReason::from_name);
                self.ended = Some(reason.unwrap_or(RevocationReason::Unspecified));
            }
            _ => {}
        }
    }

    /// Takes an act in that may be made up.
    fn fear(&mut self, entry: &AuditEntry, name: AuditName, report: &mut RestoreReport) {
        match entry.act {
            AuditAct::Suspended | AuditAct::PinWrong => self.suspended = Some(true),
            AuditAct::Refreshed | AuditAct::Frozen | AuditAct::Cheated | AuditAct::Revoked => {
                self.suspended = Some(true);
                again(report, AgainWhat::EndKey, Some(name.to_string()));
            }
            AuditAct::DocumentsWithdrawn => again(report, AgainWhat::Register, None),
            _ => {}
        }
    }

    fn write(self, db: &Db<'_>, now: UnixSeconds, report: &mut RestoreReport) -> StoreResult<()> {
        let device = self.device.as_bytes();
        let Counter { level, wrong, locked_until, stepped_down_at } = self.counter;
        let sql = "UPDATE installation SET level = ?2, wrong = ?3, locked_until = ?4, stepped_down_at = ?5 WHERE device = ?1";
        execute_one(db, sql, (device, level, wrong, time(locked_until), time(stepped_down_at)))?;
        if self.withdrawn {
            execute(db, "UPDATE credential SET state = 1 WHERE device = ?1 AND state = 0", [device])?;
        }
        if self.frozen {
            execute_one(db, "UPDATE installation SET standing = ?2 WHERE device = ?1", (device, FROZEN))?;
            certificates::follow(db, self.device, now)?;
        }
        if let Some(suspended) = self.suspended {
            installations::suspend(db, self.device, suspended, now)?;
        }
        if let Some(reason) = self.ended {
            report.ended += 1;
            installations::end(db, self.device, reason, now)?;
        }
        Ok(())
    }
}

/// An act that is about nobody's installation.
fn other(
    db: &Db<'_>,
    entry: &AuditEntry,
    proven: bool,
    now: UnixSeconds,
    report: &mut RestoreReport,
) -> StoreResult<()> {
    let party = entry.relying_party;
    let detail = entry.detail.as_ref().map(|detail| detail.as_str().to_owned());
    let named = party.map(|id: RelyingPartyId| id.to_string());
    let (what, which) = match entry.act {
        AuditAct::PartyRevoked if !proven => (AgainWhat::RevokeParty, named),
        AuditAct::PartyRevoked => {
            return party.map_or(Ok(()), |id| relying_parties::revoke(db, id, now).map(|_| ()));
        }
        AuditAct::PartyAdded => (AgainWhat::AddParty, named),
        AuditAct::PartyChanged => {
            // What it proved itself with before may have been given up because somebody else had it.
            if let (true, Some(id), Some("oauth_client")) = (proven, party, detail.as_deref()) {
                execute(db, "DELETE FROM oauth_client WHERE relying_party = ?1", [id.as_bytes()])?;
            }
            (AgainWhat::ChangeParty, named)
        }
        AuditAct::KeyMade | AuditAct::KeyActivated => (AgainWhat::ServerKey, detail),
        AuditAct::TrustListPut => (AgainWhat::TrustList, detail),
        AuditAct::Reported => (AgainWhat::Register, None),
        AuditAct::Forgotten => (AgainWhat::Forget, None),
        AuditAct::KekRotated | AuditAct::KekRetired => (AgainWhat::RotateKek, None),
        _ => return Ok(()),
    };
    again(report, what, which);
    Ok(())
}

fn again(report: &mut RestoreReport, what: AgainWhat, which: Option<String>) {
    let again = Again { what, which };
    if !report.again.contains(&again) {
        report.again.push(again);
    }
}

/// Nobody knows how many PINs were tried, or who was revoked: every key waits for its holder's identity to be checked, and then
/// has the last attempt before it is blocked.
fn suspend_all(db: &Db<'_>, policy: &LockPolicy, now: UnixSeconds) -> StoreResult<u64> {
    let last = u8::try_from(policy.lock_seconds.len()).unwrap_or(u8::MAX);
    let sql = "UPDATE installation SET level = ?1, wrong = ?2, locked_until = 0, stepped_down_at = 0
        WHERE standing <> ?3 AND level <= ?1";
    execute(db, sql, (last, policy.tries.saturating_sub(1), REVOKED))?;
    let sql = "UPDATE installation SET suspended = 1 WHERE standing <> ?1 AND suspended = 0";
    let suspended = execute(db, sql, [REVOKED])?;
    let sql =
        "UPDATE certificate SET state = 1, reason = ?1, changed = ?2 WHERE state = 0 AND not_after >= ?2";
    execute(db, sql, params![RevocationReason::Hold.number(), time(now)])?;
    Ok(u64::try_from(suspended).unwrap_or(u64::MAX))
}

/// The newest restore: what the witness had seen then.
pub(in crate::store) fn newest(db: &Db<'_>) -> StoreResult<Option<Option<AuditMark>>> {
    let sql = "SELECT witnessed, witnessed_last FROM restored ORDER BY epoch DESC LIMIT 1";
    first(db, sql, [], |row| {
        let Some(last) = row.get::<Option<[u8; 32]>>(1)? else { return Ok(None) };
        let size = get_u64(row, 0)?;
        Ok(Some(AuditMark { size, last: TreeHash(last) }))
    })
}
