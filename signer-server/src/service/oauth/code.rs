//! Exchanging a code for an access token (RFC 6749 §4.1.3, RFC 7636 §4.6).

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Asked, ClientClaim, OauthError, OauthRefusal, TOKEN_PREFIX, TOKEN_SECONDS, access_token_hash,
    visit::{asked_of, code_hash},
};
use crate::{
    service::{Service, ServiceError, admin::new_token},
    store::{Act, CodeRefusal, CodeUse, RequestState},
};

/// Life of an access token of scope `credential`, seconds: that of activation data, which it is.
const CREDENTIAL_SECONDS: u64 = 300;
/// What it begins with.
pub(in crate::service) const CREDENTIAL_PREFIX: &str = "sct_";

/// What a client brings to exchange.
pub struct CodeClaim {
    /// The code.
    pub code: String,
    /// Where the browser brought it.
    pub redirect_uri: String,
    /// The PKCE verifier.
    pub verifier: String,
}

/// An access token for a code.
pub struct CodeToken {
    /// The token.
    pub token: String,
    /// `Bearer` or, to who asked as version 1 of the CSC API does, `SAD`.
    pub token_type: &'static str,
    /// Its life, seconds.
    pub expires_in: u64,
    /// `service` or `credential`.
    pub scope: &'static str,
    /// The credential it signs with.
    pub credential: Option<String>,
    /// What was granted, to who asked in this form (RFC 9396 §7).
    pub details: Option<Value>,
}

impl std::fmt::Debug for CodeClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeClaim(redacted)")
    }
}

impl std::fmt::Debug for CodeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeToken(redacted)")
    }
}

impl Service {
    /// An access token for a code.
    ///
    /// # Errors
    /// `invalid_client`; `invalid_grant`, saying what is wrong. A code that comes twice ends the token it gave.
    pub async fn exchange(&self, claim: ClientClaim, given: CodeClaim) -> Result<CodeToken, OauthError> {
        let now = self.now();
        let proven = self.prove(claim, now).await?;
        let code = code_hash(&given.code);
        let visit = self.store.visit_by_code(code).await?;
        let visit = visit.filter(|visit| visit.relying_party == proven.client);
        let visit = visit.ok_or_else(|| refused(CodeRefusal::Unknown))?;
        let asked = asked_of(&visit)?;
        let request = visit.request.ok_or(ServiceError::Bug("a code of a visit without a request"))?;
        let row = self.store.request(request, now).await?;
        let Some(RequestState::Signed { device, .. }) = row.map(|row| row.state) else {
            return Err(ServiceError::Bug("a code of a request that is not signed").into());
        };
        let (prefix, expires_in, token_type, credential) = match &asked {
            Asked::Service { .. } => (TOKEN_PREFIX, TOKEN_SECONDS, "Bearer", None),
            Asked::Credential(asked) => {
                let kind = if asked.sad { "SAD" } else { "Bearer" };
                (CREDENTIAL_PREFIX, CREDENTIAL_SECONDS, kind, Some(request))
            }
        };
        let token = format!("{prefix}{}", new_token(&mut *self.rng()));
        let challenge = challenge_of(&given.verifier)?;
        let expires = now.plus(expires_in);
        let redirect_uri = given.redirect_uri;
        let used = CodeUse { code, redirect_uri, challenge, expires, device, credential };
        let client = proven.client;
        self.act(proven, Act::Redeem(access_token_hash(&token), used), now).await?;
        tracing::info!(relying_party = %client, visit = %visit.id, scope = asked.scope(), "code exchanged");
        let scope = asked.scope();
        let (credential, details) = match asked {
            Asked::Service { .. } => (None, None),
            Asked::Credential(asked) => (Some(asked.id), asked.details),
        };
        Ok(CodeToken { token, token_type, expires_in, scope, credential, details })
    }
}

/// The challenge that a verifier answers; of one in a wrong form, one that none does.
fn challenge_of(verifier: &str) -> Result<[u8; 32], OauthRefusal> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved) {
        Ok(Sha256::digest(verifier).into())
    } else {
        Err(OauthRefusal::request("code_verifier is 43 to 128 unreserved characters"))
    }
}

pub(super) fn refused(why: CodeRefusal) -> OauthRefusal {
    let text = match why {
        CodeRefusal::Unknown => "the code is not known, or is another client's",
        CodeRefusal::Used => "the code was used before: the access token it gave is ended",
        CodeRefusal::Expired => "the code's time is over",
        CodeRefusal::RedirectUri => "redirect_uri is not the one the browser was sent back to",
        CodeRefusal::Verifier => "code_verifier does not answer the code_challenge",
    };
    OauthRefusal::new(400, "invalid_grant", text)
}
