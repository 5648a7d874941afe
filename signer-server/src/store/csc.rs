//! Authorisations of the CSC API: what a relying party may fetch of a signed request.

use async_trait::async_trait;
use signer_core::{
    ids::{DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
};

use super::StoreResult;

/// How long the same call is answered again, seconds.
pub const SAD_REPEAT_SECONDS: u64 = 60;

/// What a new request authorises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuthorisation {
    /// Hash of the bearer token it is asked with.
    pub token: [u8; 32],
    /// The installation whose key is to sign.
    pub device: DeviceId,
    /// The digests, in the order of the request's documents.
    pub digests: Vec<[u8; 32]>,
    /// Hash of the call that asks, by which it is known again; none for a visit, which asks once anyway.
    pub asked_by: Option<[u8; 32]>,
}

/// What an authorisation is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorisationRow {
    /// Who asked.
    pub relying_party: RelyingPartyId,
    /// Hash of the bearer token it was asked with.
    pub token: [u8; 32],
    /// The installation whose key is to sign.
    pub device: DeviceId,
}

/// A use of activation data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SadUse {
    /// Hash of the activation data.
    pub sad: [u8; 32],
    /// Hash of the bearer token they are used with.
    pub token: [u8; 32],
    /// Who uses them.
    pub relying_party: RelyingPartyId,
    /// The installation whose signatures are wanted.
    pub device: DeviceId,
    /// The digests, in the order of the call.
    pub digests: Vec<[u8; 32]>,
    /// Hash of the set of digests: what makes a call the same.
    pub call: [u8; 32],
    /// Server time.
    pub now: UnixSeconds,
}

/// Answer to [`Authorisations::use_sad`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SadUsed {
    /// Fetched now, or by the same call within [`SAD_REPEAT_SECONDS`]: these documents of the request, in the order of the
    /// call.
    Fetched(RequestId, Vec<usize>),
    /// Unknown, another's, or used up.
    Unknown,
    /// Their time is over.
    Expired,
    /// A digest is not among those authorised, or its signature was fetched. Nothing was used up.
    NotAuthorised,
}

/// Authorisations. They are added with their request: [`super::Requests::add_request`].
#[async_trait]
pub trait Authorisations: Send + Sync {
    /// The authorisation of a request.
    async fn authorisation(&self, request: RequestId) -> StoreResult<Option<AuthorisationRow>>;

    /// Gives out activation data in place of those given before, until `expires` or the end of those. Returns the end, or
    /// `None` if it is over or a signature was fetched.
    async fn give_sad(
        &self,
        request: RequestId,
        sad: [u8; 32],
        expires: UnixSeconds,
        now: UnixSeconds,
    ) -> StoreResult<Option<UnixSeconds>>;

    /// Fetches signatures, each once: all digests of the call or none.
    async fn use_sad(&self, sad: SadUse) -> StoreResult<SadUsed>;
}
