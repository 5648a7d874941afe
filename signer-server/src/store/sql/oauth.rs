//! OAuth clients and their access tokens.

use async_trait::async_trait;
use signer_core::{
    ids::{DeviceId, RelyingPartyId},
    time::UnixSeconds,
    wire::CscAuth,
};

use super::{
    Engine,
    columns::{corrupt, time},
    db::{Db, Row, execute, execute_one, first},
    relying_parties, visits,
};
use crate::store::{
    ASSERTION_SECONDS_MAX, AccessTokenRow, Act, Acted, ClientAct, ClientProof, LIVING_TOKENS_MAX,
    OauthClientRow, OauthClients, RegisterClient, StoreResult, UsedAssertion,
};

#[async_trait]
impl<E: Engine> OauthClients for E {
    async fn put_oauth_client(
        &self,
        relying_party: RelyingPartyId,
        client: RegisterClient,
        now: UnixSeconds,
    ) -> StoreResult<Option<OauthClientRow>> {
        self.write(now, move |db| put(db, relying_party, &client, now)).await
    }

    async fn oauth_client(&self, relying_party: RelyingPartyId) -> StoreResult<Option<OauthClientRow>> {
        self.read(move |db| client(db, relying_party)).await
    }

    async fn act(&self, act: ClientAct) -> StoreResult<Acted> {
        self.write(act.now, move |db| do_act(db, &act)).await
    }

    async fn access_token(&self, hash: [u8; 32], now: UnixSeconds) -> StoreResult<Option<AccessTokenRow>> {
        self.read(move |db| token(db, hash, now)).await
    }
}

fn put(
    db: &Db<'_>,
    party: RelyingPartyId,
    new: &RegisterClient,
    now: UnixSeconds,
) -> StoreResult<Option<OauthClientRow>> {
    if relying_parties::by_id(db, party)?.is_none() {
        return Ok(None);
    }
    let (key, secret) = match &new.proof {
        ClientProof::Key(key) => (Some(key), None),
        ClientProof::Secret(secret) => (None, Some(secret)),
    };
    execute_one(
        db,
        "INSERT INTO oauth_client (relying_party, key, secret, changed, redirect_uris, oauth2code)
         VALUES (?1, ?2, ?3, ?4, coalesce(?5, ''), coalesce(?6, 0))
         ON CONFLICT (relying_party) DO UPDATE SET key = ?2, secret = ?3, changed = ?4,
         redirect_uris = coalesce(?5, oauth_client.redirect_uris), oauth2code = coalesce(?6, oauth_client.oauth2code)",
        (
            party.as_bytes(),
            key,
            secret,
            time(now),
            new.redirect_uris.as_ref().map(|uris| uris.join("\n")),
            new.csc_auth.map(|auth| auth == CscAuth::Oauth2code),
        ),
    )?;
    forget_all_of(db, party)?;
    client(db, party)
}

/// Ends the tokens of a relying party, and what could still become one.
pub(super) fn forget_all_of(db: &Db<'_>, party: RelyingPartyId) -> StoreResult<()> {
    for sql in [
        "DELETE FROM access_token WHERE relying_party = ?1",
        "DELETE FROM pushed_request WHERE relying_party = ?1",
        "DELETE FROM visit WHERE relying_party = ?1",
    ] {
        execute(db, sql, [party.as_bytes()])?;
    }
    Ok(())
}

fn client(db: &Db<'_>, party: RelyingPartyId) -> StoreResult<Option<OauthClientRow>> {
    let Some(row) = relying_parties::by_id(db, party)? else { return Ok(None) };
    let sql = "SELECT key, secret, redirect_uris, oauth2code FROM oauth_client WHERE relying_party = ?1";
    first(db, sql, [party.as_bytes()], |found| {
        Ok(OauthClientRow {
            party: row,
            proof: proof(found)?,
            redirect_uris: found.get::<String>(2)?.lines().map(str::to_owned).collect(),
            csc_auth: csc_auth(found.get(3)?),
        })
    })
}

fn proof(row: &Row<'_>) -> StoreResult<ClientProof> {
    match (row.get(0)?, row.get(1)?) {
        (Some(key), None) => Ok(ClientProof::Key(key)),
        (None, Some(secret)) => Ok(ClientProof::Secret(secret)),
        _ => Err(corrupt("the proof of a client")),
    }
}

const fn csc_auth(oauth2code: bool) -> CscAuth {
    if oauth2code { CscAuth::Oauth2code } else { CscAuth::Implicit }
}

fn do_act(db: &Db<'_>, asked: &ClientAct) -> StoreResult<Acted> {
    let (party, now) = (asked.relying_party, asked.now);
    if client(db, party)?.is_none_or(|client| client.proof != asked.proof) {
        return Ok(Acted::ClientChanged);
    }
    if let Some(assertion) = asked.assertion
        && is_used(db, assertion)?
    {
        return Ok(Acted::AssertionUsed);
    }
    match &asked.act {
        Act::Issue(token, expires) => {
            if !issue(db, party, token, *expires, None, false, now)? {
                return Ok(Acted::TooMany);
            }
        }
        Act::Revoke(token) => {
            let sql = "DELETE FROM access_token WHERE hash = ?1 AND relying_party = ?2";
            execute(db, sql, (token, party.as_bytes()))?;
        }
        Act::Push(hash, parameters, expires) => {
            if !visits::push(db, party, (hash, parameters, *expires), now)? {
                return Ok(Acted::TooMany);
            }
        }
        Act::Redeem(token, code) => {
            if let Some(why) = visits::redeem(db, party, token, code, now)? {
                return Ok(Acted::CodeRefused(why));
            }
            let credential = code.credential.is_some();
            // Approvals of a person are few, each by a PIN: what they lead to is not counted.
            issue(db, party, token, code.expires, Some(code.device), credential, now)?;
        }
    }
    if let Some(used) = asked.assertion {
        let sql = "INSERT INTO used_assertion (hash, expires) VALUES (?1, ?2)";
        execute_one(db, sql, (used.hash, time(used.expires)))?;
    }
    Ok(Acted::Done)
}

/// Whether an assertion was used, or may have been before a restore, which forgets that.
fn is_used(db: &Db<'_>, assertion: UsedAssertion) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM used_assertion WHERE hash = ?1
        UNION ALL SELECT 1 FROM meta WHERE restored > 0 AND ?2 <= restored + ?3";
    let ahead = i64::try_from(ASSERTION_SECONDS_MAX).unwrap_or(i64::MAX);
    Ok(first(db, sql, (assertion.hash, time(assertion.expires), ahead), |_| Ok(()))?.is_some())
}

/// Gives an access token out. False if the client has enough that are no person's.
fn issue(
    db: &Db<'_>,
    party: RelyingPartyId,
    token: &[u8; 32],
    expires: UnixSeconds,
    device: Option<DeviceId>,
    credential: bool,
    now: UnixSeconds,
) -> StoreResult<bool> {
    if device.is_none() {
        let living =
            "SELECT count(*) FROM access_token WHERE relying_party = ?1 AND expires > ?2 AND device IS NULL";
        let living = first(db, living, (party.as_bytes(), time(now)), |row| row.get::<u32>(0))?;
        if living >= Some(LIVING_TOKENS_MAX) {
            return Ok(false);
        }
    }
    execute_one(
        db,
        "INSERT INTO access_token (hash, relying_party, expires, device, credential) VALUES (?1, ?2, ?3, ?4, ?5)",
        (token, party.as_bytes(), time(expires), device.map(|device| *device.as_bytes()), credential),
    )?;
    Ok(true)
}

fn token(db: &Db<'_>, hash: [u8; 32], now: UnixSeconds) -> StoreResult<Option<AccessTokenRow>> {
    let sql = "SELECT relying_party, device, credential, oauth2code
        FROM access_token JOIN oauth_client USING (relying_party) WHERE hash = ?1 AND expires > ?2";
    let found = first(db, sql, (hash, time(now)), |row| {
        let device = row.get::<Option<[u8; 16]>>(1)?.map(DeviceId::from_bytes);
        Ok((RelyingPartyId::from_bytes(row.get(0)?), device, row.get(2)?, csc_auth(row.get(3)?)))
    })?;
    let Some((party, device, credential, csc_auth)) = found else { return Ok(None) };
    let party = relying_parties::by_id(db, party)?;
    Ok(party.map(|party| AccessTokenRow { party, device, credential, csc_auth }))
}
