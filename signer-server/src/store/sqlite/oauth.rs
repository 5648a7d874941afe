//! OAuth clients and their access tokens.

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use signer_core::{ids::RelyingPartyId, time::UnixSeconds};

use super::{
    SqliteStore,
    columns::{corrupt, execute, execute_one, first, time},
    relying_parties,
};
use crate::store::{
    ClientProof, LIVING_TOKENS_MAX, OauthClients, RelyingPartyRow, StoreResult, TokenAct, TokenChange,
    TokenChanged, UsedAssertion,
};

#[async_trait]
impl OauthClients for SqliteStore {
    async fn put_oauth_client(
        &self,
        relying_party: RelyingPartyId,
        proof: ClientProof,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        self.write(now, move |db| put(db, relying_party, &proof, now)).await
    }

    async fn oauth_client(&self, relying_party: RelyingPartyId) -> StoreResult<Option<ClientProof>> {
        self.readers.read(move |db| client(db, relying_party)).await
    }

    async fn change_token(&self, change: TokenChange) -> StoreResult<TokenChanged> {
        self.write(change.now, move |db| change_token(db, &change)).await
    }

    async fn relying_party_by_access_token(
        &self,
        hash: [u8; 32],
        now: UnixSeconds,
    ) -> StoreResult<Option<RelyingPartyRow>> {
        self.readers.read(move |db| relying_parties::by_access_token(db, hash, now)).await
    }
}

fn put(db: &Connection, party: RelyingPartyId, proof: &ClientProof, now: UnixSeconds) -> StoreResult<bool> {
    let living = "SELECT 1 FROM relying_party WHERE id = ?1 AND revoked = 0";
    if first(db, living, [party.as_bytes()], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    let (key, secret) = match proof {
        ClientProof::Key(key) => (Some(key), None),
        ClientProof::Secret(secret) => (None, Some(secret)),
    };
    execute_one(
        db,
        "INSERT OR REPLACE INTO oauth_client (relying_party, key, secret, changed) VALUES (?1, ?2, ?3, ?4)",
        (party.as_bytes(), key, secret, time(now)),
    )?;
    forget_all_of(db, party)?;
    Ok(true)
}

/// Ends the tokens of a relying party.
pub(super) fn forget_all_of(db: &Connection, party: RelyingPartyId) -> StoreResult<()> {
    execute(db, "DELETE FROM access_token WHERE relying_party = ?1", [party.as_bytes()]).map(|_| ())
}

fn client(db: &Connection, party: RelyingPartyId) -> StoreResult<Option<ClientProof>> {
    let sql = "SELECT key, secret FROM oauth_client JOIN relying_party ON id = relying_party
        WHERE relying_party = ?1 AND revoked = 0";
    first(db, sql, [party.as_bytes()], proof)
}

fn proof(row: &Row<'_>) -> StoreResult<ClientProof> {
    match (row.get(0)?, row.get(1)?) {
        (Some(key), None) => Ok(ClientProof::Key(key)),
        (None, Some(secret)) => Ok(ClientProof::Secret(secret)),
        _ => Err(corrupt("the proof of a client")),
    }
}

fn change_token(db: &Connection, change: &TokenChange) -> StoreResult<TokenChanged> {
    if client(db, change.relying_party)?.as_ref() != Some(&change.proof) {
        return Ok(TokenChanged::ClientChanged);
    }
    let party = change.relying_party.as_bytes();
    if let TokenAct::Issue(_) = change.act {
        let living = "SELECT count(*) FROM access_token WHERE relying_party = ?1 AND expires > ?2";
        let living = first(db, living, (party, time(change.now)), |row| Ok(row.get::<_, u32>(0)?))?;
        if living >= Some(LIVING_TOKENS_MAX) {
            return Ok(TokenChanged::TooMany);
        }
    }
    if let Some(UsedAssertion { hash, expires }) = change.assertion
        && execute(
            db,
            "INSERT OR IGNORE INTO used_assertion (hash, expires) VALUES (?1, ?2)",
            (hash, time(expires)),
        )? == 0
    {
        return Ok(TokenChanged::AssertionUsed);
    }
    match change.act {
        TokenAct::Issue(expires) => execute_one(
            db,
            "INSERT INTO access_token (hash, relying_party, expires) VALUES (?1, ?2, ?3)",
            (change.token, party, time(expires)),
        )?,
        TokenAct::Revoke => {
            execute(
                db,
                "DELETE FROM access_token WHERE hash = ?1 AND relying_party = ?2",
                (change.token, party),
            )?;
        }
    }
    Ok(TokenChanged::Done)
}
