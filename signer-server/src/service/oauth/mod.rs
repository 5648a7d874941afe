//! Relying parties as OAuth 2 clients: proof by `private_key_jwt` (RFC 7523) or, in a sandbox, by a secret; access tokens for
//! themselves (RFC 6749 §4.4), and for a person at the authorisation page (§4.1, RFC 7636, RFC 9126); revocation (RFC 7009).

mod asked;
mod assertion;
mod back;
mod begin;
mod code;
mod error;
mod redirect;
mod visit;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::VerifyingKey;
use signer_core::{
    domain::{Domain, Hasher},
    ids::RelyingPartyId,
    time::UnixSeconds,
    wire::{OauthClient, ProblemCode, PublicJwk, PutOauthClient},
};
use subtle::ConstantTimeEq as _;

pub(super) use self::code::CREDENTIAL_PREFIX;
use self::{asked::Asked, assertion::Assertion};
pub use self::{
    asked::{DETAIL_TYPES, Fields},
    begin::{Begun, NoVisit, Pushed},
    code::{CodeClaim, CodeToken},
    error::{OauthError, OauthRefusal},
    visit::{VisitState, VisitView},
};
use super::{Bearer, Refusal, Service, ServiceError, ServiceResult, admin::new_token};
use crate::store::{Act, Acted, ClientAct, ClientProof, RegisterClient, RelyingPartyRow, UsedAssertion};

/// Life of an access token, seconds.
const TOKEN_SECONDS: u64 = 900;
/// What access tokens begin with, and how long they are: bearer tokens that do not end are shorter.
const TOKEN_PREFIX: &str = "sat_";
const TOKEN_BYTES: usize = 4 + 43;
/// An unknown client and a wrong proof look alike.
const NOT_THE_CLIENT: &str = "the client is not known, or this is not its key or its secret";

/// How a caller claims to be a client.
pub enum ClientClaim {
    /// By an assertion; with the `client_id` beside it, if there was one.
    Assertion(String, Option<String>),
    /// By `client_id` and secret.
    Secret(String, String),
}

impl std::fmt::Debug for ClientClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientClaim(redacted)")
    }
}

/// A fresh access token.
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// Its life, seconds.
    pub expires_in: u64,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// A client that proved itself, and what it used up.
struct Proven {
    client: RelyingPartyId,
    proof: ClientProof,
    assertion: Option<UsedAssertion>,
}

impl Service {
    /// Makes a relying party a client, or registers it anew, which ends its access tokens.
    ///
    /// # Errors
    /// `not_found`; `invalid_value` for a key that is none, or without one outside a sandbox; for a redirect URI.
    pub async fn put_oauth_client(
        &self,
        client_id: RelyingPartyId,
        asked: PutOauthClient,
    ) -> ServiceResult<OauthClient> {
        let invalid = |text: &str| Refusal::because(ProblemCode::InvalidValue, text);
        let uris = asked.redirect_uris.as_deref().unwrap_or_default();
        if uris.len() > redirect::REDIRECT_URIS_MAX {
            return Err(invalid("redirect_uris has at most 10 entries").into());
        }
        uris.iter().try_for_each(|uri| redirect::check(uri).map_err(invalid))?;
        let (proof, client_secret) = match asked.key {
            Some(key) => {
                let text = "key is a public JWK of a point on P-256 for ES256: kty, crv, x, y";
                (ClientProof::Key(point(&key).ok_or_else(|| invalid(text))?), None)
            }
            None if self.sandbox => {
                let secret = new_token(&mut *self.rng());
                (ClientProof::Secret(secret_hash(client_id, &secret)), Some(secret))
            }
            None => return Err(invalid("a secret is for sandboxes only (sandbox = true): give a key").into()),
        };
        let client = RegisterClient { proof, redirect_uris: asked.redirect_uris, csc_auth: asked.csc_auth };
        let client = self.store.put_oauth_client(client_id, client, self.now()).await?;
        let client = client.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        tracing::info!(relying_party = %client_id, "OAuth client set by the operator");
        let (redirect_uris, csc_auth) = (client.redirect_uris, client.csc_auth);
        Ok(OauthClient { client_id, client_secret, redirect_uris, csc_auth })
    }

    /// The server as clients name it (RFC 8414 §2): the issuer.
    #[must_use]
    pub fn oauth_issuer(&self) -> &str {
        &self.ca.terms.public_url
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.issuer.name.as_str()
    }

    /// Its country, ISO 3166.
    #[must_use]
    pub fn country(&self) -> &str {
        self.ca.country.as_str()
    }

    /// Whether clients may have a secret.
    #[must_use]
    pub const fn is_sandbox(&self) -> bool {
        self.sandbox
    }

    /// An access token for a client.
    ///
    /// # Errors
    /// `invalid_client`, saying what is wrong with its proof; too many living tokens.
    pub async fn access_token(&self, claim: ClientClaim) -> Result<AccessToken, OauthError> {
        let now = self.now();
        let proven = self.prove(claim, now).await?;
        let token = format!("{TOKEN_PREFIX}{}", new_token(&mut *self.rng()));
        let client = proven.client;
        let act = Act::Issue(access_token_hash(&token), now.plus(TOKEN_SECONDS));
        self.act(proven, act, now).await?;
        tracing::info!(relying_party = %client, "access token issued");
        Ok(AccessToken { token, expires_in: TOKEN_SECONDS })
    }

    /// Revokes a client's own access token. One that is not, or is unknown, is no error (RFC 7009 §2.2).
    ///
    /// # Errors
    /// `invalid_client`.
    pub async fn revoke_access_token(&self, claim: ClientClaim, token: &str) -> Result<(), OauthError> {
        let now = self.now();
        let proven = self.prove(claim, now).await?;
        self.act(proven, Act::Revoke(access_token_hash(token)), now).await
    }

    async fn act(&self, proven: Proven, act: Act, now: UnixSeconds) -> Result<(), OauthError> {
        let Proven { client, proof, assertion } = proven;
        let act = ClientAct { relying_party: client, proof, assertion, act, now };
        let refusal = match self.store.act(act).await? {
            Acted::Done => return Ok(()),
            Acted::AssertionUsed => {
                OauthRefusal::client("the assertion was used before: its jti is good once")
            }
            Acted::ClientChanged => OauthRefusal::client(NOT_THE_CLIENT),
            Acted::CodeRefused(why) => code::refused(why),
            Acted::TooMany => OauthRefusal::new(
                429,
                "temporarily_unavailable",
                "too many of this client live: use each access token until it ends, each pushed request once",
            ),
        };
        Err(refusal.into())
    }

    async fn prove(&self, claim: ClientClaim, now: UnixSeconds) -> Result<Proven, OauthError> {
        match claim {
            ClientClaim::Assertion(text, beside) => {
                let assertion = Assertion::read(&text).map_err(OauthRefusal::client)?;
                let client = assertion.client;
                if beside.is_some_and(|id| id != client.to_string()) {
                    return Err(OauthRefusal::client("client_id is not the assertion's sub").into());
                }
                let row = self.store.oauth_client(client).await?;
                let Some(ClientProof::Key(key)) = row.map(|row| row.proof) else {
                    return Err(OauthRefusal::client(NOT_THE_CLIENT).into());
                };
                let parsed = VerifyingKey::from_sec1_bytes(&key)
                    .map_err(|_| ServiceError::Bug("stored key of a client"))?;
                let issuer = self.oauth_issuer();
                // RFC 9126 §2: a server takes each of these for any of its endpoints.
                let endpoint = |name: &str| format!("{issuer}/oauth2/{name}");
                let audiences = [issuer.to_owned(), endpoint("token"), endpoint("pushed_authorize")];
                let used = assertion.check(&parsed, &audiences, now).map_err(OauthRefusal::client)?;
                Ok(Proven { client, proof: ClientProof::Key(key), assertion: Some(used) })
            }
            ClientClaim::Secret(id, secret) => {
                let wrong = || OauthError::from(OauthRefusal::client(NOT_THE_CLIENT));
                let client: RelyingPartyId = id.parse().map_err(|_| wrong())?;
                let row = self.store.oauth_client(client).await?;
                let Some(ClientProof::Secret(hash)) = row.map(|row| row.proof) else {
                    return Err(wrong());
                };
                if !self.sandbox || !bool::from(secret_hash(client, &secret).ct_eq(&hash)) {
                    return Err(wrong());
                }
                Ok(Proven { client, proof: ClientProof::Secret(hash), assertion: None })
            }
        }
    }

    /// The relying party that may ask for signatures with this token: an access token, or one without an end.
    ///
    /// # Errors
    /// `unauthenticated`; `forbidden` if it may not ask.
    pub async fn asker(&self, token: &str) -> ServiceResult<RelyingPartyRow> {
        if token.len() == TOKEN_BYTES && token.starts_with(TOKEN_PREFIX) {
            let bearer = self.bearer(token).await?;
            // One that a person let the client have is good for that person's credential, and by the CSC API alone.
            return match bearer.device {
                None => Ok(bearer.party),
                Some(_) => Err(Refusal::new(ProblemCode::Forbidden).into()),
            };
        }
        may_ask(self.relying_party(token).await?)
    }

    /// The client that may ask for signatures with this access token.
    ///
    /// # Errors
    /// `unauthenticated`; `forbidden` if it may not ask.
    pub async fn bearer(&self, token: &str) -> ServiceResult<Bearer> {
        let hash = access_token_hash(token);
        let row = self.store.access_token(hash, self.now()).await?;
        let row = row.ok_or_else(|| Refusal::new(ProblemCode::Unauthenticated))?;
        Ok(Bearer {
            party: may_ask(row.party)?,
            token: hash,
            device: row.device,
            credential: row.credential,
            csc_auth: row.csc_auth,
        })
    }
}

fn may_ask(row: RelyingPartyRow) -> ServiceResult<RelyingPartyRow> {
    if row.may_ask { Ok(row) } else { Err(Refusal::new(ProblemCode::Forbidden).into()) }
}

/// Stored form of an access token.
pub(super) fn access_token_hash(token: &str) -> [u8; 32] {
    Hasher::new(Domain::TokenHash).field(b"access").field(token.as_bytes()).finish()
}

fn secret_hash(client: RelyingPartyId, secret: &str) -> [u8; 32] {
    let hash = Hasher::new(Domain::TokenHash).field(b"client-secret").field(client.as_bytes());
    hash.field(secret.as_bytes()).finish()
}

/// The point of a key, SEC1 compressed.
fn point(jwk: &PublicJwk) -> Option<[u8; 33]> {
    let is = |value: &Option<String>, wanted: &str| value.as_deref().is_none_or(|value| value == wanted);
    if jwk.kty != "EC" || jwk.crv != "P-256" || !is(&jwk.alg, "ES256") || !is(&jwk.key_use, "sig") {
        return None;
    }
    let coordinate = |text: &str| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    // SEC 1 §2.3.3, uncompressed: parsing checks that the point is on the curve.
    let point = [&[4][..], &coordinate(&jwk.x)?, &coordinate(&jwk.y)?].concat();
    let key = VerifyingKey::from_sec1_bytes(&point).ok()?;
    key.to_sec1_point(true).as_bytes().try_into().ok()
}
