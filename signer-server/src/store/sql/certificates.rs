//! Certificates of holders' keys, and the built-in authority's own.

use async_trait::async_trait;
use signer_core::{ids::DeviceId, time::UnixSeconds};

use super::{
    Engine,
    columns::{GOOD, corrupt, get_time, get_u64, standing_column, time},
    db::{Db, Row, all, execute, execute_one, first, params},
};
use crate::store::{CertificateRow, Certificates, CrlBasis, RevocationReason, Revoked, StoreResult};

const COLUMNS: &str =
    "SELECT device, sha256, wrapped_chain, serial, imported, not_before, not_after FROM certificate";

#[async_trait]
impl<E: Engine> Certificates for E {
    async fn authority(&self, offer: Vec<u8>, now: UnixSeconds) -> StoreResult<Vec<u8>> {
        self.write(now, move |db| {
            let sql = "INSERT INTO authority (only_row, certificate) VALUES (1, ?1) ON CONFLICT (only_row) DO NOTHING";
            execute(db, sql, [&offer])?;
            let stored = first(db, "SELECT certificate FROM authority", [], |row| row.get(0))?;
            stored.ok_or_else(|| corrupt("the authority just stored"))
        })
        .await
    }

    async fn add_certificate(&self, certificate: CertificateRow, now: UnixSeconds) -> StoreResult<bool> {
        self.write(now, move |db| add(db, &certificate, now)).await
    }

    async fn certificate(&self, device: DeviceId) -> StoreResult<Option<CertificateRow>> {
        let sql = format!("{COLUMNS} WHERE device = ?1 ORDER BY number DESC LIMIT 1");
        self.read(move |db| first(db, &sql, [device.as_bytes()], read)).await
    }

    async fn certificate_at(&self, device: DeviceId, at: UnixSeconds) -> StoreResult<Option<CertificateRow>> {
        let then = format!("{COLUMNS} WHERE device = ?1 AND issued <= ?2 ORDER BY number DESC LIMIT 1");
        let earliest = format!("{COLUMNS} WHERE device = ?1 ORDER BY number LIMIT 1");
        self.read(move |db| match first(db, &then, (device.as_bytes(), time(at)), read)? {
            None => first(db, &earliest, [device.as_bytes()], read),
            found => Ok(found),
        })
        .await
    }

    async fn certificate_request(&self, device: DeviceId) -> StoreResult<Option<Vec<u8>>> {
        let sql = "SELECT request FROM signing_key WHERE device = ?1";
        self.read(move |db| Ok(first(db, sql, [device.as_bytes()], |row| row.get(0))?.flatten())).await
    }

    async fn revocation_changes(&self) -> StoreResult<u64> {
        self.read(changes).await
    }

    async fn next_crl(&self, now: UnixSeconds) -> StoreResult<CrlBasis> {
        self.write(now, |db| {
            execute_one(db, "UPDATE authority SET crl_number = crl_number + 1", [])?;
            let number = first(db, "SELECT crl_number FROM authority", [], |row| get_u64(row, 0))?;
            let number = number.ok_or_else(|| corrupt("the authority"))?;
            Ok(CrlBasis { number, changes: changes(db)?, entries: entries(db)? })
        })
        .await
    }
}

fn changes(db: &Db<'_>) -> StoreResult<u64> {
    Ok(first(db, "SELECT changes FROM authority", [], |row| get_u64(row, 0))?.unwrap_or(0))
}

fn entries(db: &Db<'_>) -> StoreResult<Vec<Revoked>> {
    let sql =
        "SELECT serial, reason, changed FROM certificate WHERE state <> 0 AND imported = 0 ORDER BY serial";
    all(db, sql, [], |row| {
        let number: u8 = row.get(1)?;
        let reason = RevocationReason::ALL.iter().find(|reason| reason.number() == number);
        let reason = *reason.ok_or_else(|| corrupt("the reason of a revocation"))?;
        Ok(Revoked { serial: row.get(0)?, reason, at: get_time(row, 2)? })
    })
}

fn add(db: &Db<'_>, certificate: &CertificateRow, now: UnixSeconds) -> StoreResult<bool> {
    let sql = concat!("SELECT ", standing_column!(), " FROM installation WHERE device = ?1");
    let standing = first(db, sql, [certificate.device.as_bytes()], |row| row.get::<i64>(0))?;
    let there = "SELECT 1 FROM certificate WHERE sha256 = ?1";
    if standing != Some(GOOD) || first(db, there, [certificate.sha256], |_| Ok(()))?.is_some() {
        return Ok(false);
    }
    insert(db, certificate, now).map(|()| true)
}

/// Adds a certificate of an installation in good standing.
pub(super) fn insert(db: &Db<'_>, certificate: &CertificateRow, now: UnixSeconds) -> StoreResult<()> {
    execute_one(
        db,
        "INSERT INTO certificate (sha256, device, serial, imported, wrapped_chain, not_before, not_after, issued)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            certificate.sha256,
            certificate.device.as_bytes(),
            certificate.serial,
            certificate.imported,
            certificate.wrapped_chain,
            time(certificate.not_before),
            time(certificate.not_after),
            time(now)
        ],
    )
}

/// Revokes what an installation has and has not ended; one that was suspended counts as revoked since then.
pub(super) fn revoke_all(
    db: &Db<'_>,
    device: DeviceId,
    reason: RevocationReason,
    now: UnixSeconds,
) -> StoreResult<()> {
    let sql = "UPDATE certificate SET state = 2, reason = ?2, changed = coalesce(changed, ?3)
        WHERE device = ?1 AND state <> 2 AND not_after >= ?3";
    execute(db, sql, (device.as_bytes(), reason.number(), time(now))).map(|_| ())
}

/// Suspends the certificates of an installation that is frozen or suspended, and lifts that of one that is not.
pub(super) fn follow(db: &Db<'_>, device: DeviceId, now: UnixSeconds) -> StoreResult<()> {
    let sql = concat!("SELECT ", standing_column!(), " FROM installation WHERE device = ?1");
    let good = first(db, sql, [device.as_bytes()], |row| Ok(row.get::<i64>(0)? == GOOD))?;
    if good == Some(true) {
        let sql =
            "UPDATE certificate SET state = 0, reason = NULL, changed = NULL WHERE device = ?1 AND state = 1";
        execute(db, sql, [device.as_bytes()])?;
    } else {
        let sql = "UPDATE certificate SET state = 1, reason = ?2, changed = ?3
            WHERE device = ?1 AND state = 0 AND not_after >= ?3";
        execute(db, sql, (device.as_bytes(), RevocationReason::Hold.number(), time(now)))?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> StoreResult<CertificateRow> {
    Ok(CertificateRow {
        device: DeviceId::from_bytes(row.get(0)?),
        sha256: row.get(1)?,
        wrapped_chain: row.get(2)?,
        serial: row.get(3)?,
        imported: row.get(4)?,
        not_before: get_time(row, 5)?,
        not_after: get_time(row, 6)?,
    })
}
