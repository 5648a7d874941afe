//! Relying parties as OAuth clients, and their access tokens.

use async_trait::async_trait;
use signer_core::{
    ids::{DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::CscAuth,
};

use super::{RelyingPartyRow, StoreResult};

/// How a client proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientProof {
    /// By signed assertions: its P-256 key, SEC1 compressed.
    Key([u8; 33]),
    /// By a secret, of which this is the hash. For sandboxes.
    Secret([u8; 32]),
}

/// How far ahead the end of an assertion may lie when it is accepted, seconds.
pub const ASSERTION_SECONDS_MAX: u64 = 90;

/// An assertion that is used up by what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedAssertion {
    /// Hash of client and `jti`.
    pub hash: [u8; 32],
    /// When it could no longer be used anyway.
    pub expires: UnixSeconds,
}

/// A client as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClientRow {
    /// The relying party it is.
    pub party: RelyingPartyRow,
    /// What it proves itself by.
    pub proof: ClientProof,
    /// Where browsers may be sent back to.
    pub redirect_uris: Vec<String>,
    /// How it is told that credentials are authorised.
    pub csc_auth: CscAuth,
}

/// How a client is registered. What is left out stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterClient {
    /// What it proves itself by.
    pub proof: ClientProof,
    /// Where browsers may be sent back to: none has a line break.
    pub redirect_uris: Option<Vec<String>>,
    /// How it is told that credentials are authorised.
    pub csc_auth: Option<CscAuth>,
}

/// A living access token, with its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The client.
    pub party: RelyingPartyRow,
    /// The installation whose holder let the client have it; none for client credentials.
    pub device: Option<DeviceId>,
    /// Whether its scope is `credential`; otherwise `service`.
    pub credential: bool,
    /// How its client is told that credentials are authorised.
    pub csc_auth: CscAuth,
}

/// What an authenticated client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAct {
    /// The client.
    pub relying_party: RelyingPartyId,
    /// What it proved itself by: the act is refused if it is no longer that.
    pub proof: ClientProof,
    /// Its assertion, if it used one.
    pub assertion: Option<UsedAssertion>,
    /// What it asks for.
    pub act: Act,
    /// Server time.
    pub now: UnixSeconds,
}

/// An act of a client. Tokens, codes and names of pushed requests are their hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// This access token is given out, until then.
    Issue([u8; 32], UnixSeconds),
    /// This access token is revoked, if it is this client's.
    Revoke([u8; 32]),
    /// These parameters are kept under this name, until then, to be taken once.
    Push([u8; 32], String, UnixSeconds),
    /// This access token is given out for a code.
    Redeem([u8; 32], CodeUse),
}

/// A use of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeUse {
    /// Hash of the code.
    pub code: [u8; 32],
    /// The redirect URI that the client names again.
    pub redirect_uri: String,
    /// SHA-256 of its PKCE verifier.
    pub challenge: [u8; 32],
    /// End of the access token.
    pub expires: UnixSeconds,
    /// The installation that approved.
    pub device: DeviceId,
    /// The request whose signatures the token fetches, if its scope is `credential`.
    pub credential: Option<RequestId>,
}

/// Why a code is not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeRefusal {
    /// It is none, or another client's.
    Unknown,
    /// It was exchanged before; the access token it gave is ended.
    Used,
    /// Its time is over.
    Expired,
    /// The redirect URI is not the one of the visit.
    RedirectUri,
    /// The verifier is not that of the challenge.
    Verifier,
}

/// Answer to [`OauthClients::act`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Done.
    Done,
    /// Nothing is: the assertion was used before.
    AssertionUsed,
    /// Nothing is: the client was revoked, or proves itself otherwise now.
    ClientChanged,
    /// Nothing is: the client has [`LIVING_TOKENS_MAX`] access tokens that are no person's, or [`super::VISITS_MAX`] pushed requests.
    TooMany,
    /// No token is given out.
    CodeRefused(CodeRefusal),
}

/// Most living access tokens of one client that are no person's: one a minute for their whole life, and some.
pub const LIVING_TOKENS_MAX: u32 = 64;

/// OAuth clients and access tokens.
#[async_trait]
pub trait OauthClients: Send + Sync {
    /// Makes a relying party a client, or registers it anew and ends its tokens. Returns what it is now, `None` if there is
    /// no such relying party or it is revoked.
    async fn put_oauth_client(
        &self,
        relying_party: RelyingPartyId,
        client: RegisterClient,
        now: UnixSeconds,
    ) -> StoreResult<Option<OauthClientRow>>;

    /// A client, unless it is revoked.
    async fn oauth_client(&self, relying_party: RelyingPartyId) -> StoreResult<Option<OauthClientRow>>;

    /// Does what a client asks for, and uses up its assertion with it.
    async fn act(&self, act: ClientAct) -> StoreResult<Acted>;

    /// An access token, unless it has ended or its relying party is revoked.
    async fn access_token(&self, hash: [u8; 32], now: UnixSeconds) -> StoreResult<Option<AccessTokenRow>>;
}
