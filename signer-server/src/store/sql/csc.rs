//! Authorisations of the CSC API.

use async_trait::async_trait;
use signer_core::{
    ids::{DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
};

use super::{
    Engine,
    columns::{get_time, int, time},
    db::{Db, all, execute, execute_one, first},
    requests::{OPEN, SIGNED},
};
use crate::store::{
    AuthorisationRow, Authorisations, NewAuthorisation, NewRequest, SAD_REPEAT_SECONDS, SadUse, SadUsed,
    StoreError, StoreResult,
};

#[async_trait]
impl<E: Engine> Authorisations for E {
    async fn authorisation(&self, request: RequestId) -> StoreResult<Option<AuthorisationRow>> {
        let sql = "SELECT relying_party, token, device FROM csc_authorisation WHERE request = ?1";
        self.read(move |db| {
            first(db, sql, [request.as_bytes()], |row| {
                Ok(AuthorisationRow {
                    relying_party: RelyingPartyId::from_bytes(row.get(0)?),
                    token: row.get(1)?,
                    device: DeviceId::from_bytes(row.get(2)?),
                })
            })
        })
        .await
    }

    async fn give_sad(
        &self,
        request: RequestId,
        sad: [u8; 32],
        expires: UnixSeconds,
        now: UnixSeconds,
    ) -> StoreResult<Option<UnixSeconds>> {
        self.write(now, move |db| give(db, request, sad, expires, now)).await
    }

    async fn use_sad(&self, sad: SadUse) -> StoreResult<SadUsed> {
        self.write(sad.now, move |db| fetch(db, &sad)).await
    }
}

/// The request that this call asked before, if it is open, or signed with the key asked for and nothing of it was fetched.
pub(super) fn asked_before(db: &Db<'_>, call: &[u8; 32], now: UnixSeconds) -> StoreResult<Option<RequestId>> {
    let sql =
        "SELECT request.id FROM csc_authorisation JOIN request ON request.id = csc_authorisation.request
        WHERE asked_by = ?1 AND (state = ?3 AND expires > ?2
            OR state = ?4 AND signed_by = device AND (sad_expires IS NULL OR sad_expires > ?2) AND NOT EXISTS
            (SELECT 1 FROM csc_digest WHERE csc_digest.request = request.id AND fetched IS NOT NULL))
        ORDER BY created DESC LIMIT 1";
    first(db, sql, (call, time(now), OPEN, SIGNED), |row| Ok(RequestId::from_bytes(row.get(0)?)))
}

pub(super) fn add(db: &Db<'_>, request: &NewRequest, new: &NewAuthorisation) -> StoreResult<()> {
    let id = request.id.as_bytes();
    execute_one(
        db,
        "INSERT INTO csc_authorisation (request, relying_party, token, device, asked_by) VALUES (?1, ?2, ?3, ?4, ?5)",
        (id, request.relying_party.as_bytes(), new.token, new.device.as_bytes(), new.asked_by),
    )?;
    for (place, digest) in (0_u64..).zip(&new.digests) {
        let sql = "INSERT INTO csc_digest (request, place, digest) VALUES (?1, ?2, ?3)";
        execute_one(db, sql, (id, int(place)?, digest))?;
    }
    Ok(())
}

/// Makes an access token the activation data of an authorisation, in place of what it was asked with.
pub(super) fn bind(
    db: &Db<'_>,
    request: RequestId,
    token: &[u8; 32],
    expires: UnixSeconds,
) -> StoreResult<()> {
    let sql = "UPDATE csc_authorisation SET token = ?2, sad = ?2, sad_expires = ?3 WHERE request = ?1";
    execute_one(db, sql, (request.as_bytes(), token, time(expires)))
}

fn give(
    db: &Db<'_>,
    request: RequestId,
    sad: [u8; 32],
    expires: UnixSeconds,
    now: UnixSeconds,
) -> StoreResult<Option<UnixSeconds>> {
    let sql =
        "UPDATE csc_authorisation SET sad = ?2, sad_expires = coalesce(sad_expires, ?3) WHERE request = ?1
        AND (sad_expires IS NULL OR sad_expires > ?4)
        AND NOT EXISTS (SELECT 1 FROM csc_digest WHERE request = ?1 AND fetched IS NOT NULL)";
    if execute(db, sql, (request.as_bytes(), sad, time(expires), time(now)))? == 0 {
        return Ok(None);
    }
    let sql = "SELECT sad_expires FROM csc_authorisation WHERE request = ?1";
    first(db, sql, [request.as_bytes()], |row| get_time(row, 0))
}

/// One digest of an authorisation.
struct Place {
    place: u8,
    digest: [u8; 32],
    fetched: Option<([u8; 32], UnixSeconds)>,
    taken: bool,
}

fn fetch(db: &Db<'_>, call: &SadUse) -> StoreResult<SadUsed> {
    let sql = "SELECT request, sad_expires FROM csc_authorisation
        WHERE sad = ?1 AND token = ?2 AND relying_party = ?3 AND device = ?4";
    let params = (call.sad, call.token, call.relying_party.as_bytes(), call.device.as_bytes());
    let found = first(db, sql, params, |row| Ok((RequestId::from_bytes(row.get(0)?), get_time(row, 1)?)))?;
    let Some((request, expires)) = found else { return Ok(SadUsed::Unknown) };
    let mut places = places(db, request)?;
    // The same call again: what it fetched is told again for a while.
    let again = |place: &Place| {
        place.fetched.is_some_and(|(by, at)| by == call.call && call.now < at.plus(SAD_REPEAT_SECONDS))
    };
    if places.iter().any(again) {
        places.retain(again);
        return Ok(take(&mut places, &call.digests)
            .map_or(SadUsed::NotAuthorised, |found| SadUsed::Fetched(request, found)));
    }
    if expires <= call.now {
        return Ok(SadUsed::Expired);
    }
    places.retain(|place| place.fetched.is_none());
    if places.is_empty() {
        return Ok(SadUsed::Unknown);
    }
    let Some(found) = take(&mut places, &call.digests) else { return Ok(SadUsed::NotAuthorised) };
    for place in places.iter().filter(|place| place.taken) {
        let sql = "UPDATE csc_digest SET fetched_by = ?3, fetched = ?4 WHERE request = ?1 AND place = ?2";
        execute_one(db, sql, (request.as_bytes(), place.place, call.call, time(call.now)))?;
    }
    Ok(SadUsed::Fetched(request, found))
}

fn places(db: &Db<'_>, request: RequestId) -> StoreResult<Vec<Place>> {
    let sql = "SELECT place, digest, fetched_by, fetched FROM csc_digest WHERE request = ?1 ORDER BY place";
    all(db, sql, [request.as_bytes()], |row| {
        let by: Option<[u8; 32]> = row.get(2)?;
        let fetched = by.map(|by| Ok::<_, StoreError>((by, get_time(row, 3)?))).transpose()?;
        Ok(Place { place: row.get(0)?, digest: row.get(1)?, fetched, taken: false })
    })
}

/// A place of its own for each digest, or none.
fn take(places: &mut [Place], digests: &[[u8; 32]]) -> Option<Vec<usize>> {
    let find = |digest: &[u8; 32]| {
        let place = places.iter_mut().find(|place| !place.taken && place.digest == *digest)?;
        place.taken = true;
        Some(usize::from(place.place))
    };
    digests.iter().map(find).collect()
}
