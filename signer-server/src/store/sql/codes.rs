//! Verification codes of requests.

use signer_core::{
    ids::RequestId,
    wire::{CODES_SHOWN, DrawnCodes, VerificationCode},
};

use super::{
    columns::corrupt,
    db::{Db, Row, execute_one},
};
use crate::store::{RequestCodes, StoreResult};

pub(super) fn add(db: &Db<'_>, request: RequestId, drawn: &DrawnCodes) -> StoreResult<()> {
    let joined: Vec<u8> = drawn.codes.iter().flat_map(|code| code.value().to_be_bytes()).collect();
    let right = place(drawn, drawn.right).ok_or_else(|| corrupt("a right code that is not drawn"))?;
    let sql = "INSERT INTO request_code (request, codes, right_place) VALUES (?1, ?2, ?3)";
    execute_one(db, sql, (request.as_bytes(), joined, right))
}

/// Writes the first choice down; false if the code is none of the request's.
pub(super) fn choose(
    db: &Db<'_>,
    request: RequestId,
    drawn: &DrawnCodes,
    code: VerificationCode,
) -> StoreResult<bool> {
    let Some(chosen) = place(drawn, code) else { return Ok(false) };
    let sql = "UPDATE request_code SET chosen_place = ?2 WHERE request = ?1 AND chosen_place IS NULL";
    execute_one(db, sql, (request.as_bytes(), chosen))?;
    Ok(true)
}

/// The codes of a request, by three columns from `first` on; none where it has no code.
pub(super) fn read(row: &Row<'_>, first: usize) -> StoreResult<Option<RequestCodes>> {
    let Some(joined) = row.get::<Option<[u8; 2 * CODES_SHOWN]>>(first)? else { return Ok(None) };
    let mut codes = Vec::with_capacity(CODES_SHOWN);
    for pair in joined.chunks_exact(2) {
        let number = pair.try_into().ok().map(u16::from_be_bytes);
        codes.push(number.and_then(VerificationCode::new).ok_or_else(damaged)?);
    }
    let codes: [VerificationCode; CODES_SHOWN] = codes.try_into().map_err(|_| damaged())?;
    let at = |place: u8| codes.get(usize::from(place)).copied().ok_or_else(damaged);
    let right = at(row.get(first + 1)?)?;
    let chosen = row.get::<Option<u8>>(first + 2)?.map(at).transpose()?;
    Ok(Some(RequestCodes { drawn: DrawnCodes { codes, right }, chosen }))
}

fn place(drawn: &DrawnCodes, code: VerificationCode) -> Option<u8> {
    (0_u8..).zip(drawn.codes).find(|(_, one)| *one == code).map(|(place, _)| place)
}

fn damaged() -> crate::store::StoreError {
    corrupt("the verification codes of a request")
}
