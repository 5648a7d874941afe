//! `private_key_jwt`: a client proves itself by a JWT it has signed (RFC 7523 §3), ES256 only (RFC 7518 §3.4).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde::Deserialize;
use signer_core::{
    domain::{Domain, Hasher},
    ids::RelyingPartyId,
    time::UnixSeconds,
};

use crate::store::{ASSERTION_SECONDS_MAX, UsedAssertion};

/// Longest assertion, bytes.
const ASSERTION_BYTES_MAX: usize = 4096;
/// How much the client's clock may be off, seconds.
const CLOCK_SECONDS: u64 = 30;

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    jti: String,
    iat: Option<u64>,
    nbf: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    /// RFC 7519 allows several; an assertion for others too could be used by them.
    List([String; 1]),
}

/// An assertion that was read, and not believed yet.
pub(super) struct Assertion {
    signed: String,
    signature: Signature,
    claims: Claims,
    /// Who it says it is from.
    pub(super) client: RelyingPartyId,
}

impl Assertion {
    /// Reads an assertion.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > ASSERTION_BYTES_MAX {
            return Err("the assertion is longer than 4096 bytes");
        }
        let form = "the assertion is not a JWT in compact form";
        let (signed, signature) = text.rsplit_once('.').ok_or(form)?;
        let (header, claims) = signed.split_once('.').ok_or(form)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| form);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| form)?;
        let typ = header.typ.as_deref().unwrap_or("JWT");
        if header.alg != "ES256"
            || header.crit.is_some()
            || !["JWT", "client-authentication+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ))
        {
            return Err("the assertion is signed with ES256, and has no critical header");
        }
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| {
            "the assertion has iss, sub, one aud, exp as a whole number and jti, each once and of its type"
        })?;
        let signature = Signature::from_slice(&decode(signature)?).map_err(|_| form)?;
        if claims.iss != claims.sub {
            return Err("the assertion's iss and sub are both the client_id");
        }
        let client = claims.sub.parse().map_err(|_| "the assertion's iss and sub are both the client_id")?;
        Ok(Self { signed: signed.to_owned(), signature, claims, client })
    }

    /// Checks it against the client's key, for one of these audiences.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(
        self,
        key: &VerifyingKey,
        audiences: &[String],
        now: UnixSeconds,
    ) -> Result<UsedAssertion, &'static str> {
        let Self { signed, signature, claims, client } = self;
        key.verify(signed.as_bytes(), &signature).map_err(|_| super::NOT_THE_CLIENT)?;
        let (Audience::One(audience) | Audience::List([audience])) = &claims.aud;
        if !audiences.contains(audience) {
            return Err("the assertion's aud is neither the issuer nor an endpoint that takes it");
        }
        if claims.exp <= now.0 {
            return Err("the assertion's time is over");
        }
        if claims.exp > now.plus(ASSERTION_SECONDS_MAX).0 {
            return Err("the assertion's exp is at most 60 seconds ahead");
        }
        let from = now.plus(CLOCK_SECONDS).0;
        if claims.iat.is_some_and(|at| at > from) || claims.nbf.is_some_and(|at| at > from) {
            return Err("the assertion's iat or nbf is in the future");
        }
        if !(1..=128).contains(&claims.jti.len()) {
            return Err("the assertion's jti has 1 to 128 bytes");
        }
        let hash = Hasher::new(Domain::TokenHash)
            .field(b"jti")
            .field(client.as_bytes())
            .field(claims.jti.as_bytes())
            .finish();
        Ok(UsedAssertion { hash, expires: UnixSeconds(claims.exp) })
    }
}
