//! Visits and pushed requests.

use async_trait::async_trait;
use signer_core::{
    ids::{RelyingPartyId, RequestId, VisitId},
    time::UnixSeconds,
};

use super::{
    Engine,
    columns::{get_time, time},
    csc,
    db::{Db, Row, execute, execute_one, first, params},
    requests::CANCELLED,
};
use crate::store::{AddResult, CodeRefusal, CodeUse, StoreResult, VISITS_MAX, VisitRow, Visits};

const COLUMNS: &str = "SELECT id, browser, relying_party, redirect_uri, state, challenge, asked, expires,
    request, cancelled FROM visit";

#[async_trait]
impl<E: Engine> Visits for E {
    async fn take_pushed(
        &self,
        hash: [u8; 32],
        relying_party: RelyingPartyId,
        now: UnixSeconds,
    ) -> StoreResult<Option<String>> {
        let sql = "DELETE FROM pushed_request WHERE hash = ?1 AND relying_party = ?2 AND expires > ?3
            RETURNING parameters";
        self.write(now, move |db| {
            first(db, sql, (hash, relying_party.as_bytes(), time(now)), |row| row.get(0))
        })
        .await
    }

    async fn add_visit(&self, visit: VisitRow, now: UnixSeconds) -> StoreResult<bool> {
        self.write(now, move |db| add(db, &visit, now)).await
    }

    async fn visit(&self, id: VisitId, now: UnixSeconds) -> StoreResult<Option<VisitRow>> {
        let sql = format!("{COLUMNS} WHERE id = ?1 AND expires > ?2");
        self.read(move |db| first(db, &sql, (id.as_bytes(), time(now)), read)).await
    }

    async fn visit_by_code(&self, code: [u8; 32]) -> StoreResult<Option<VisitRow>> {
        let sql = format!("{COLUMNS} WHERE code = ?1");
        self.read(move |db| first(db, &sql, [code], read)).await
    }

    async fn cancel_visit(&self, id: VisitId, now: UnixSeconds) -> StoreResult<Option<RequestId>> {
        self.write(now, move |db| cancel(db, id, now)).await
    }

    async fn give_code(
        &self,
        id: VisitId,
        code: [u8; 32],
        expires: UnixSeconds,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        let sql = "UPDATE visit SET code = ?2, code_expires = ?3
            WHERE id = ?1 AND expires > ?4 AND token IS NULL AND cancelled = 0";
        self.write(now, move |db| Ok(execute(db, sql, (id.as_bytes(), code, time(expires), time(now)))? == 1))
            .await
    }
}

fn add(db: &Db<'_>, visit: &VisitRow, now: UnixSeconds) -> StoreResult<bool> {
    let party = visit.relying_party.as_bytes();
    let living = "SELECT count(*) FROM visit WHERE relying_party = ?1 AND expires > ?2";
    if first(db, living, (party, time(now)), |row| row.get::<u32>(0))? >= Some(VISITS_MAX) {
        // Anybody can begin visits: those where nobody was asked yet must not keep others out.
        let oldest = "DELETE FROM visit WHERE id = (SELECT id FROM visit
            WHERE relying_party = ?1 AND expires > ?2 AND request IS NULL ORDER BY expires LIMIT 1)";
        if execute(db, oldest, (party, time(now)))? == 0 {
            return Ok(false);
        }
    }
    execute_one(
        db,
        "INSERT INTO visit (id, browser, relying_party, redirect_uri, state, challenge, asked, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            visit.id.as_bytes(),
            visit.browser,
            party,
            visit.redirect_uri,
            visit.state,
            visit.challenge,
            visit.asked,
            time(visit.expires)
        ],
    )?;
    Ok(true)
}

/// What a visit has instead of a request to come: the one it was started with, or nothing any more.
pub(super) fn started(
    db: &Db<'_>,
    id: VisitId,
    party: RelyingPartyId,
    now: UnixSeconds,
) -> StoreResult<Option<AddResult>> {
    let sql =
        "SELECT request FROM visit WHERE id = ?1 AND relying_party = ?2 AND cancelled = 0 AND expires > ?3";
    let found = first(db, sql, (id.as_bytes(), party.as_bytes(), time(now)), |row| {
        Ok(row.get::<Option<[u8; 16]>>(0)?.map(RequestId::from_bytes))
    })?;
    Ok(match found {
        None => Some(AddResult::VisitOver),
        Some(request) => request.map(AddResult::Same),
    })
}

/// Joins a visit with the request that was just added for it.
pub(super) fn start(db: &Db<'_>, id: VisitId, request: RequestId) -> StoreResult<()> {
    let sql = "UPDATE visit SET request = ?2 WHERE id = ?1";
    execute_one(db, sql, (id.as_bytes(), request.as_bytes()))
}

fn cancel(db: &Db<'_>, id: VisitId, now: UnixSeconds) -> StoreResult<Option<RequestId>> {
    let sql =
        "UPDATE visit SET cancelled = 1 WHERE id = ?1 AND expires > ?2 AND code IS NULL RETURNING request";
    let request = first(db, sql, (id.as_bytes(), time(now)), |row| row.get::<Option<[u8; 16]>>(0))?;
    let Some(request) = request.flatten() else { return Ok(None) };
    let sql = "UPDATE request SET state = ?2, ended = ?3 WHERE id = ?1 AND state = 0 AND expires > ?3";
    let open = execute(db, sql, (request, CANCELLED, time(now)))? == 1;
    Ok(open.then(|| RequestId::from_bytes(request)))
}

/// Takes parameters that a client pushed. False if it has [`VISITS_MAX`] that were not taken.
pub(super) fn push(
    db: &Db<'_>,
    party: RelyingPartyId,
    (hash, parameters, expires): (&[u8; 32], &str, UnixSeconds),
    now: UnixSeconds,
) -> StoreResult<bool> {
    let living = "SELECT count(*) FROM pushed_request WHERE relying_party = ?1 AND expires > ?2";
    let living = first(db, living, (party.as_bytes(), time(now)), |row| row.get::<u32>(0))?;
    if living >= Some(VISITS_MAX) {
        return Ok(false);
    }
    let sql = "INSERT INTO pushed_request (hash, relying_party, parameters, expires) VALUES (?1, ?2, ?3, ?4)";
    execute_one(db, sql, (hash, party.as_bytes(), parameters, time(expires)))?;
    Ok(true)
}

/// Exchanges a code for a token, or says why not. A code that comes twice ends the token it gave (RFC 6749 §4.1.2).
pub(super) fn redeem(
    db: &Db<'_>,
    party: RelyingPartyId,
    token: &[u8; 32],
    code: &CodeUse,
    now: UnixSeconds,
) -> StoreResult<Option<CodeRefusal>> {
    let sql = "SELECT id, redirect_uri, challenge, code_expires, token FROM visit
        WHERE code = ?1 AND relying_party = ?2";
    let found = first(db, sql, (code.code, party.as_bytes()), |row| {
        let bound = (row.get::<String>(1)?, row.get::<[u8; 32]>(2)?);
        Ok((VisitId::from_bytes(row.get(0)?), bound, get_time(row, 3)?, row.get::<Option<[u8; 32]>>(4)?))
    })?;
    let Some((id, (redirect_uri, challenge), expires, before)) = found else {
        return Ok(Some(CodeRefusal::Unknown));
    };
    if let Some(before) = before {
        let sql = "DELETE FROM access_token WHERE hash = ?1 AND relying_party = ?2";
        execute(db, sql, (before, party.as_bytes()))?;
        return Ok(Some(CodeRefusal::Used));
    }
    if expires <= now {
        return Ok(Some(CodeRefusal::Expired));
    }
    if redirect_uri != code.redirect_uri {
        return Ok(Some(CodeRefusal::RedirectUri));
    }
    if challenge != code.challenge {
        return Ok(Some(CodeRefusal::Verifier));
    }
    execute_one(db, "UPDATE visit SET token = ?2 WHERE id = ?1", (id.as_bytes(), token))?;
    if let Some(request) = code.credential {
        csc::bind(db, request, token, code.expires)?;
    }
    Ok(None)
}

fn read(row: &Row<'_>) -> StoreResult<VisitRow> {
    Ok(VisitRow {
        id: VisitId::from_bytes(row.get(0)?),
        browser: row.get(1)?,
        relying_party: RelyingPartyId::from_bytes(row.get(2)?),
        redirect_uri: row.get(3)?,
        state: row.get(4)?,
        challenge: row.get(5)?,
        asked: row.get(6)?,
        expires: get_time(row, 7)?,
        request: row.get::<Option<[u8; 16]>>(8)?.map(RequestId::from_bytes),
        cancelled: row.get(9)?,
    })
}
