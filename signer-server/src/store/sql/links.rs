//! Links of requests, and relying parties' own names for persons.

use signer_core::ids::{DeviceId, RelyingPartyId, RequestId};

use super::{
    columns::holder,
    db::{Db, Row, execute, execute_one, first},
};
use crate::store::{Holder, NewLink, RequestLink, StoreResult};

pub(super) fn add(db: &Db<'_>, request: RequestId, link: &NewLink) -> StoreResult<()> {
    let sql = "INSERT INTO request_link (request, token, wrapped_secret) VALUES (?1, ?2, ?3)";
    execute_one(db, sql, (request.as_bytes(), link.token, &link.wrapped_secret))
}

pub(super) fn opened(db: &Db<'_>, request: RequestId, device: DeviceId) -> StoreResult<()> {
    let sql = "UPDATE request_link SET opened_by = ?2 WHERE request = ?1 AND opened_by IS NULL";
    execute_one(db, sql, (request.as_bytes(), device.as_bytes()))
}

/// The link of a request, by three columns from `first` on; none where it has none.
pub(super) fn read(row: &Row<'_>, first: usize) -> StoreResult<Option<RequestLink>> {
    let Some(token) = row.get::<Option<[u8; 32]>>(first)? else { return Ok(None) };
    let opened_by = row.get::<Option<[u8; 16]>>(first + 2)?.map(DeviceId::from_bytes);
    Ok(Some(RequestLink { made: NewLink { token, wrapped_secret: row.get(first + 1)? }, opened_by }))
}

pub(super) fn holder_of(
    db: &Db<'_>,
    party: RelyingPartyId,
    person: &[u8; 16],
) -> StoreResult<Option<Holder>> {
    let sql = "SELECT holder FROM pairwise WHERE relying_party = ?1 AND person = ?2";
    first(db, sql, (party.as_bytes(), person), |row| holder(row.text(0)?))
}

pub(super) fn add_pairwise(
    db: &Db<'_>,
    party: RelyingPartyId,
    person: &[u8; 16],
    holder: &Holder,
) -> StoreResult<()> {
    let sql = "INSERT INTO pairwise (relying_party, person, holder) VALUES (?1, ?2, ?3)
        ON CONFLICT DO NOTHING";
    execute(db, sql, (party.as_bytes(), person, holder.as_str())).map(|_| ())
}
