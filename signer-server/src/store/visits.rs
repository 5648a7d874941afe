//! Browsers at the authorisation page: what a client had them bring, and what they are sent back with.

use async_trait::async_trait;
use signer_core::{
    ids::{RelyingPartyId, RequestId, VisitId},
    time::UnixSeconds,
};

use super::StoreResult;

/// How long a visit is kept after its end, seconds: longer than the access token it led to lives, so that a code that comes
/// twice ends that.
pub const VISIT_KEPT_SECONDS: u64 = 1_000;

/// Most living visits, and most pushed requests, of one client.
pub const VISITS_MAX: u32 = 4_096;

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitRow {
    /// Its id, which is in the page's address.
    pub id: VisitId,
    /// Hash of the browser's cookie.
    pub browser: [u8; 32],
    /// The client that sent the browser.
    pub relying_party: RelyingPartyId,
    /// Where the browser goes in the end.
    pub redirect_uri: String,
    /// The client's own, given back.
    pub state: Option<String>,
    /// SHA-256 of the PKCE verifier.
    pub challenge: [u8; 32],
    /// What is asked for, JSON.
    pub asked: String,
    /// Its end.
    pub expires: UnixSeconds,
    /// The signing request the phone has, once there is one.
    pub request: Option<RequestId>,
    /// Whether it was ended in the browser.
    pub cancelled: bool,
}

/// Visits and pushed requests. Pushing and exchanging a code prove the client: [`super::OauthClients::act`]. A visit gets its
/// request when that is added: [`super::Requests::add_request`].
#[async_trait]
pub trait Visits: Send + Sync {
    /// Takes the parameters that a client pushed. `None` if there are none, they were taken, or it was another client.
    async fn take_pushed(
        &self,
        hash: [u8; 32],
        relying_party: RelyingPartyId,
        now: UnixSeconds,
    ) -> StoreResult<Option<String>>;

    /// Adds a visit. False if its client has [`VISITS_MAX`].
    async fn add_visit(&self, visit: VisitRow, now: UnixSeconds) -> StoreResult<bool>;

    /// A living visit.
    async fn visit(&self, id: VisitId, now: UnixSeconds) -> StoreResult<Option<VisitRow>>;

    /// The visit with this code, given out last.
    async fn visit_by_code(&self, code: [u8; 32]) -> StoreResult<Option<VisitRow>>;

    /// Notes that the browser ended it, unless it is over or has a code, and takes its request back with it: the one that was
    /// open.
    async fn cancel_visit(&self, id: VisitId, now: UnixSeconds) -> StoreResult<Option<RequestId>>;

    /// Gives out a code in place of the one before, until `expires`. False if that was exchanged, or the visit is over.
    async fn give_code(
        &self,
        id: VisitId,
        code: [u8; 32],
        expires: UnixSeconds,
        now: UnixSeconds,
    ) -> StoreResult<bool>;
}
