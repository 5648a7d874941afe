//! Relying parties as OAuth clients, and their access tokens.

use async_trait::async_trait;
use signer_core::{ids::RelyingPartyId, time::UnixSeconds};

use super::{RelyingPartyRow, StoreResult};

/// How a client proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientProof {
    /// By signed assertions: its P-256 key, SEC1 compressed.
    Key([u8; 33]),
    /// By a secret, of which this is the hash. For sandboxes.
    Secret([u8; 32]),
}

/// An assertion that is used up by what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedAssertion {
    /// Hash of client and `jti`.
    pub hash: [u8; 32],
    /// When it could no longer be used anyway.
    pub expires: UnixSeconds,
}

/// What an authenticated client asks of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChange {
    /// The client.
    pub relying_party: RelyingPartyId,
    /// What it proved itself by: the change is refused if it is no longer that.
    pub proof: ClientProof,
    /// Its assertion, if it used one.
    pub assertion: Option<UsedAssertion>,
    /// Hash of the token.
    pub token: [u8; 32],
    /// What to do with the token.
    pub act: TokenAct,
    /// Server time.
    pub now: UnixSeconds,
}

/// What happens to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAct {
    /// It is given out, until then.
    Issue(UnixSeconds),
    /// It is revoked, if it is this client's.
    Revoke,
}

/// Answer to [`OauthClients::change_token`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenChanged {
    /// Done.
    Done,
    /// Nothing is: the assertion was used before.
    AssertionUsed,
    /// Nothing is: the client was revoked, or proves itself otherwise now.
    ClientChanged,
    /// Nothing is: the client has [`LIVING_TOKENS_MAX`].
    TooMany,
}

/// Most living access tokens of one client: one a minute for their whole life, and some.
pub const LIVING_TOKENS_MAX: u32 = 64;

/// OAuth clients and access tokens.
#[async_trait]
pub trait OauthClients: Send + Sync {
    /// Makes a relying party a client, or gives it another proof and ends its tokens. False if there is none, or it is
    /// revoked.
    async fn put_oauth_client(
        &self,
        relying_party: RelyingPartyId,
        proof: ClientProof,
        now: UnixSeconds,
    ) -> StoreResult<bool>;

    /// What a client proves itself by, unless it is revoked.
    async fn oauth_client(&self, relying_party: RelyingPartyId) -> StoreResult<Option<ClientProof>>;

    /// Issues or revokes a token, and uses up the assertion with it.
    async fn change_token(&self, change: TokenChange) -> StoreResult<TokenChanged>;

    /// The relying party an access token was given to, unless the token has ended or the relying party is revoked.
    async fn relying_party_by_access_token(
        &self,
        hash: [u8; 32],
        now: UnixSeconds,
    ) -> StoreResult<Option<RelyingPartyRow>>;
}
