//! Relying parties and their bearer tokens.

use async_trait::async_trait;
use signer_core::{ids::RelyingPartyId, time::UnixSeconds};

use super::{
    Engine, checks,
    columns::{corrupt, get_u64, int, time},
    db::{Db, Row, all, execute, execute_one, first, params},
    oauth, requests, webhooks,
};
use crate::store::{Organisation, OwnLimits, RelyingParties, RelyingPartyRow, StoreResult};

const COLUMNS: &str =
    "SELECT id, name, token_hash, may_ask, may_verify, report_kinds, may_report_deceased, generates_for,
    revoked, calls_per_second, kept_bytes_max FROM relying_party";

#[async_trait]
impl<E: Engine> RelyingParties for E {
    async fn add_relying_party(&self, row: RelyingPartyRow, now: UnixSeconds) -> StoreResult<()> {
        self.write(now, move |db| {
            execute_one(
                db,
                "INSERT INTO relying_party (id, name, token_hash, may_ask, may_verify, report_kinds, may_report_deceased,
                 generates_for, revoked, created, calls_per_second, kept_bytes_max)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    row.id.as_bytes(),
                    row.name,
                    row.token_hash,
                    row.may_ask,
                    row.may_verify,
                    row.report_kinds,
                    row.may_report_deceased,
                    row.generates_for.as_ref().map(Organisation::as_str),
                    row.revoked,
                    time(now),
                    row.limits.calls_per_second,
                    row.limits.kept_bytes.map(int).transpose()?
                ],
            )
        })
        .await
    }

    async fn relying_party_by_token(&self, hash: [u8; 32]) -> StoreResult<Option<RelyingPartyRow>> {
        let sql = format!("{COLUMNS} WHERE token_hash = ?1 AND revoked = 0");
        self.read_row(move |db| first(db, &sql, [hash], read)).await
    }

    async fn relying_parties(&self) -> StoreResult<Vec<RelyingPartyRow>> {
        let sql = format!("{COLUMNS} ORDER BY name, id");
        self.read(move |db| all(db, &sql, [], read)).await
    }

    async fn put_limits(&self, id: RelyingPartyId, limits: OwnLimits, now: UnixSeconds) -> StoreResult<bool> {
        let sql = "UPDATE relying_party SET calls_per_second = ?2, kept_bytes_max = ?3 WHERE id = ?1";
        self.write(now, move |db| {
            let kept_bytes = limits.kept_bytes.map(int).transpose()?;
            Ok(execute(db, sql, (id.as_bytes(), limits.calls_per_second, kept_bytes))? == 1)
        })
        .await
    }

    async fn kept_bytes(&self) -> StoreResult<Vec<(RelyingPartyId, u64)>> {
        let sql = "SELECT relying_party, bytes FROM kept";
        let read = |row: &Row<'_>| Ok((RelyingPartyId::from_bytes(row.get(0)?), get_u64(row, 1)?));
        self.read(move |db| all(db, sql, [], read)).await
    }

    async fn revoke_relying_party(&self, id: RelyingPartyId, now: UnixSeconds) -> StoreResult<bool> {
        self.write(now, move |db| revoke(db, id, now)).await
    }
}

/// Revokes one with all that is its; false if there is none.
pub(super) fn revoke(db: &Db<'_>, id: RelyingPartyId, now: UnixSeconds) -> StoreResult<bool> {
    // First: it is told nothing any more, not even of what ends with it.
    webhooks::forget_all_of(db, id)?;
    requests::cancel_all_of(db, id, now)?;
    checks::forget_all_of(db, id)?;
    oauth::forget_all_of(db, id)?;
    Ok(execute(db, "UPDATE relying_party SET revoked = 1 WHERE id = ?1", [id.as_bytes()])? == 1)
}

/// A relying party that is not revoked.
pub(super) fn by_id(db: &Db<'_>, id: RelyingPartyId) -> StoreResult<Option<RelyingPartyRow>> {
    first(db, &format!("{COLUMNS} WHERE id = ?1 AND revoked = 0"), [id.as_bytes()], read)
}

/// Whether the requests of a relying party take what they may, `default` unless its row says: then how much that is.
pub(super) fn is_full(db: &Db<'_>, id: RelyingPartyId, default: u64) -> StoreResult<Option<u64>> {
    let sql = "SELECT coalesce(kept_bytes_max, ?2) FROM kept JOIN relying_party ON id = relying_party
        WHERE relying_party = ?1 AND bytes >= coalesce(kept_bytes_max, ?2)";
    first(db, sql, (id.as_bytes(), int(default)?), |row| get_u64(row, 0))
}

fn read(row: &Row<'_>) -> StoreResult<RelyingPartyRow> {
    let organisation: Option<String> = row.get(7)?;
    let generates_for = organisation
        .map(|text| Organisation::new(&text).ok_or_else(|| corrupt("the name of an organisation")))
        .transpose()?;
    Ok(RelyingPartyRow {
        id: RelyingPartyId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        token_hash: row.get(2)?,
        may_ask: row.get(3)?,
        may_verify: row.get(4)?,
        report_kinds: row.get(5)?,
        may_report_deceased: row.get(6)?,
        generates_for,
        limits: OwnLimits {
            calls_per_second: row.get(9)?,
            kept_bytes: row.get::<Option<i64>>(10)?.and_then(|max| u64::try_from(max).ok()),
        },
        revoked: row.get(8)?,
    })
}
