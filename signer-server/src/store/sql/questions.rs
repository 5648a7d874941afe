//! Which code a verifier's request id stands for, as long as an answer under it may be asked for.

use signer_core::{ids::RelyingPartyId, time::UnixSeconds};

use super::{
    columns::time,
    db::{Db, execute_one, first},
};
use crate::store::{CodeHash, QUESTION_SECONDS, StoreResult};

/// One question: who asks, by what hash of a request id, about which code.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) verifier: RelyingPartyId,
    pub(super) request: &'a [u8; 32],
    pub(super) code: CodeHash,
}

/// Whether the request id stands for another code now.
pub(super) fn is_taken(db: &Db<'_>, question: &Question<'_>, now: UnixSeconds) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM question WHERE verifier = ?1 AND request = ?2 AND code <> ?3 AND until > ?4";
    let params = (question.verifier.as_bytes(), question.request, question.code.0, time(now));
    Ok(first(db, sql, params, |_| Ok(()))?.is_some())
}

/// Remembers a question that was not taken.
pub(super) fn note(db: &Db<'_>, question: &Question<'_>, now: UnixSeconds) -> StoreResult<()> {
    let sql = "INSERT INTO question (verifier, request, code, until) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (verifier, request) DO UPDATE SET code = excluded.code, until = excluded.until";
    let until = time(now.plus(QUESTION_SECONDS));
    execute_one(db, sql, (question.verifier.as_bytes(), question.request, question.code.0, until))
}
