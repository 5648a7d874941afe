//! Enrolment codes, installations and their keys.

use async_trait::async_trait;
use signer_core::{
    ceremony::EnrolmentProof,
    history::{HistoryKeyBytes, SealedEntry},
    ids::{CeremonyId, DeviceId, Epoch, KeyId},
    lost_code::HolderKeysDigest,
    suite::{GroupPublicKey, Signature},
    time::UnixSeconds,
    wire::Standing,
};

use super::{
    Engine, ceremonies, certificates,
    columns::{
        FROZEN, GOOD, REVOKED, corrupt, get_counter, get_u64, holder, standing, standing_column, suite, time,
    },
    db::{Db, execute, execute_one, first, params},
    history, requests,
};
use crate::store::{
    EnrolResult, EnrolmentCodeRow, Holder, Installation, Installations, KeyRow, NewInstallation,
    RevocationReason, StoreResult,
};

#[async_trait]
impl<E: Engine> Installations for E {
    async fn add_enrolment_code(&self, code: EnrolmentCodeRow, now: UnixSeconds) -> StoreResult<()> {
        let sql = "INSERT INTO enrolment_code (hash, holder, expires, created) VALUES (?1, ?2, ?3, ?4)";
        self.write(now, move |db| {
            execute_one(db, sql, (code.hash, code.holder.as_str(), time(code.expires), time(now)))
        })
        .await
    }

    async fn holder_of_code(&self, hash: [u8; 32], now: UnixSeconds) -> StoreResult<Option<Holder>> {
        self.read(move |db| usable_code(db, &hash, now)).await
    }

    async fn enrol(&self, new: NewInstallation, now: UnixSeconds) -> StoreResult<EnrolResult> {
        self.write(now, move |db| enrol(db, &new, now)).await
    }

    async fn void_enrolment_code(&self, hash: [u8; 32], now: UnixSeconds) -> StoreResult<()> {
        let sql = "UPDATE enrolment_code SET used = 1 WHERE hash = ?1";
        self.write(now, move |db| {
            execute(db, sql, [hash])?;
            ceremonies::end_under(db, &hash)
        })
        .await
    }

    async fn installation(&self, device: DeviceId) -> StoreResult<Option<Installation>> {
        self.read_row(move |db| load(db, device)).await
    }

    async fn enrolment_proof(&self, device: DeviceId) -> StoreResult<Option<EnrolmentProof>> {
        self.read(move |db| enrolment_proof(db, device)).await
    }

    async fn set_standing(
        &self,
        device: DeviceId,
        standing: Standing,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        self.write(now, move |db| set_standing(db, device, standing, now)).await
    }

    async fn revoke(
        &self,
        device: DeviceId,
        reason: RevocationReason,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        self.write(now, move |db| match standing_of(db, device)? {
            None => Ok(false),
            Some(Standing::Revoked) => Ok(true),
            Some(_) => {
                end(db, device, reason, now)?;
                history::append(db, device, told.as_ref(), now).map(|()| true)
            }
        })
        .await
    }

    async fn suspend(
        &self,
        device: DeviceId,
        suspended: bool,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        self.write(now, move |db| {
            let sql = "SELECT 1 FROM installation WHERE device = ?1 AND suspended <> ?2";
            let changes = first(db, sql, (device.as_bytes(), suspended), |_| Ok(()))?.is_some();
            let done = suspend(db, device, suspended, now)?;
            history::append(db, device, told.as_ref().filter(|_| done && changes), now).map(|()| done)
        })
        .await
    }

    async fn by_lost_code(&self, hash: [u8; 32]) -> StoreResult<Option<DeviceId>> {
        let sql = "SELECT device FROM installation WHERE lost_code = ?1";
        self.read(move |db| first(db, sql, [hash], |row| Ok(DeviceId::from_bytes(row.get(0)?)))).await
    }

    async fn living(&self, holder: Holder) -> StoreResult<Option<DeviceId>> {
        self.read(move |db| living(db, &holder)).await
    }
}

pub(super) fn usable_code(db: &Db<'_>, hash: &[u8; 32], now: UnixSeconds) -> StoreResult<Option<Holder>> {
    let sql = "SELECT holder FROM enrolment_code WHERE hash = ?1 AND used = 0 AND expires > ?2";
    first(db, sql, (hash, time(now)), |row| holder(&row.get::<String>(0)?))
}

fn enrol(db: &Db<'_>, new: &NewInstallation, now: UnixSeconds) -> StoreResult<EnrolResult> {
    let Some(holder) = usable_code(db, &new.code, now)? else { return Ok(EnrolResult::CodeUnusable) };
    let (device, key) = (new.key.device.as_bytes(), &new.key);
    let keys = &new.holder_keys;
    let taken = "SELECT 1 WHERE EXISTS (SELECT 1 FROM installation WHERE device = ?1 OR device_key = ?2)
        OR EXISTS (SELECT 1 FROM installation WHERE lost_code = ?5)
        OR EXISTS (SELECT 1 FROM signing_key WHERE id = ?3 OR public_key = ?4)";
    let params = (device, new.device_key, key.id.as_bytes(), key.public_key.0, keys.lost_code);
    if first(db, taken, params, |_| Ok(()))?.is_some() {
        return Ok(EnrolResult::Exists);
    }
    execute_one(db, "UPDATE enrolment_code SET used = 1 WHERE hash = ?1 AND used = 0", [new.code])?;
    ceremonies::end_under(db, &new.code)?;
    if let Some(earlier) = living(db, &holder)? {
        revoke(db, earlier, RevocationReason::Superseded, now)?;
        history::append_now(db, earlier, &new.superseded, now)?;
    }
    execute_one(
        db,
        "INSERT INTO installation (device, holder, device_key, standing, enrolled, token_changed_at, history_key,
         lost_code) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)",
        (device, holder.as_str(), new.device_key, GOOD, time(now), keys.history.0, keys.lost_code),
    )?;
    execute_one(
        db,
        "INSERT INTO signing_key (device, id, suite, epoch, public_key, wrapped, proof, request)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            device,
            key.id.as_bytes(),
            key.suite.number(),
            key.epoch.0,
            key.public_key.0,
            key.wrapped,
            key.proof,
            new.request
        ],
    )?;
    let proof = &new.enrolment;
    execute_one(
        db,
        "INSERT INTO enrolment_proof (device, ceremony, holder_keys, signature) VALUES (?1, ?2, ?3, ?4)",
        (device, proof.ceremony.as_bytes(), proof.holder_keys.0, proof.signature.as_slice()),
    )?;
    if let Some(certificate) = &new.certificate {
        certificates::insert(db, certificate, now)?;
    }
    Ok(EnrolResult::Created)
}

/// The one installation of a holder that is not revoked.
pub(super) fn living(db: &Db<'_>, holder: &Holder) -> StoreResult<Option<DeviceId>> {
    let sql = format!("SELECT device FROM installation WHERE holder = ?1 AND standing <> {REVOKED}");
    first(db, &sql, [holder.as_str()], |row| Ok(DeviceId::from_bytes(row.get(0)?)))
}

fn load(db: &Db<'_>, device: DeviceId) -> StoreResult<Option<Installation>> {
    let sql = concat!(
        "SELECT holder, ",
        standing_column!(),
        ", suite, device_key, level, wrong, locked_until, stepped_down_at, token,
        id, epoch, public_key, wrapped, proof, history_key
        FROM installation JOIN signing_key USING (device) WHERE device = ?1"
    );
    first(db, sql, [device.as_bytes()], |row| {
        let key = KeyRow {
            id: KeyId::from_bytes(row.get(9)?),
            device,
            suite: suite(row.get(2)?)?,
            epoch: Epoch(row.get(10)?),
            public_key: GroupPublicKey(row.get(11)?),
            wrapped: row.get(12)?,
            proof: row.get(13)?,
        };
        Ok(Installation {
            device,
            holder: holder(&row.get::<String>(0)?)?,
            device_key: row.get(3)?,
            standing: standing(row.get(1)?)?,
            counter: get_counter(row, 4)?,
            token: get_u64(row, 8)?,
            history_key: row.get::<Option<_>>(14)?.map(HistoryKeyBytes),
            key,
        })
    })
}

fn enrolment_proof(db: &Db<'_>, device: DeviceId) -> StoreResult<Option<EnrolmentProof>> {
    let sql = "SELECT ceremony, holder_keys, signature FROM enrolment_proof WHERE device = ?1";
    first(db, sql, [device.as_bytes()], |row| {
        Ok(EnrolmentProof {
            ceremony: CeremonyId::from_bytes(row.get(0)?),
            holder_keys: HolderKeysDigest(row.get(1)?),
            signature: Signature::new(row.get(2)?).ok_or_else(|| corrupt("the first signature of a key"))?,
        })
    })
}

/// Replaces the shares of a key by those of the next epoch, which ends the refresh. Key, suite and group public key stay; the old wrapped share is
/// overwritten, and zeroed where it stood.
pub(super) fn promote(db: &Db<'_>, key: &KeyRow) -> StoreResult<()> {
    let sql = "UPDATE signing_key SET epoch = ?1, wrapped = ?2, proof = ?3
        WHERE device = ?4 AND id = ?5 AND suite = ?6 AND public_key = ?7 AND epoch + 1 = ?1";
    let (device, id) = (key.device.as_bytes(), key.id.as_bytes());
    let params =
        params![key.epoch.0, key.wrapped, key.proof, device, id, key.suite.number(), key.public_key.0];
    execute_one(db, sql, params)?;
    ceremonies::end_of(db, key.device)
}

fn set_standing(db: &Db<'_>, device: DeviceId, standing: Standing, now: UnixSeconds) -> StoreResult<bool> {
    let sql = match (standing_of(db, device)?, standing) {
        (None, _) => return Ok(false),
        (Some(Standing::Revoked), _) => return Ok(standing == Standing::Revoked),
        (Some(_), Standing::Revoked) => {
            return end(db, device, RevocationReason::Unspecified, now).map(|()| true);
        }
        (Some(_), Standing::Suspended) => return suspend(db, device, true, now),
        (Some(_), Standing::Frozen) => "UPDATE installation SET standing = ?2 WHERE device = ?1",
        (Some(_), Standing::Good) => "UPDATE installation SET standing = ?2, suspended = 0 WHERE device = ?1",
    };
    let number = if standing == Standing::Frozen { FROZEN } else { GOOD };
    execute_one(db, sql, (device.as_bytes(), number))?;
    certificates::follow(db, device, now)?;
    Ok(true)
}

fn standing_of(db: &Db<'_>, device: DeviceId) -> StoreResult<Option<Standing>> {
    let sql = concat!("SELECT ", standing_column!(), " FROM installation WHERE device = ?1");
    first(db, sql, [device.as_bytes()], |row| standing(row.get(0)?))
}

pub(super) fn suspend(db: &Db<'_>, device: DeviceId, suspended: bool, now: UnixSeconds) -> StoreResult<bool> {
    let sql = "UPDATE installation SET suspended = ?2 WHERE device = ?1 AND standing <> ?3";
    if execute(db, sql, (device.as_bytes(), suspended, REVOKED))? == 0 {
        return Ok(false);
    }
    if suspended {
        let sql = "SELECT holder FROM installation WHERE device = ?1";
        let found = first(db, sql, [device.as_bytes()], |row| holder(&row.get::<String>(0)?))?;
        if let Some(found) = found {
            void_codes(db, &found)?;
        }
    }
    certificates::follow(db, device, now)?;
    Ok(true)
}

/// Uses up a person's enrolment codes: a suspension is not left by enrolling again with a code from before it.
pub(super) fn void_codes(db: &Db<'_>, holder: &Holder) -> StoreResult<()> {
    let sql = "UPDATE enrolment_code SET used = 1 WHERE holder = ?1 AND used = 0";
    execute(db, sql, [holder.as_str()]).map(|_| ())
}

/// Revokes a living installation; its holder's open requests end with the key.
pub(super) fn end(
    db: &Db<'_>,
    device: DeviceId,
    reason: RevocationReason,
    now: UnixSeconds,
) -> StoreResult<()> {
    let sql = "SELECT holder FROM installation WHERE device = ?1";
    if let Some(holder) = first(db, sql, [device.as_bytes()], |row| row.get::<String>(0))? {
        requests::end_all_of(db, &holder, now)?;
    }
    revoke(db, device, reason, now)
}

/// Revokes an installation and its certificates, erases its wrapped share, ends its refresh and takes away its reservation.
fn revoke(db: &Db<'_>, device: DeviceId, reason: RevocationReason, now: UnixSeconds) -> StoreResult<()> {
    certificates::revoke_all(db, device, reason, now)?;
    let sql = "UPDATE installation SET standing = ?2, lease_payload = NULL WHERE device = ?1";
    execute_one(db, sql, (device.as_bytes(), REVOKED))?;
    ceremonies::end_of(db, device)?;
    execute_one(db, "UPDATE signing_key SET wrapped = ?2 WHERE device = ?1", (device.as_bytes(), Vec::new()))
}
