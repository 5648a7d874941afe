//! `signatures/signHash`: gives out the signatures that the holder's approval made, each once.

use signer_core::{
    certificate::der_from_raw,
    domain::{Domain, Hasher},
};

use super::{Bearer, authorise::usable, wrong};
use crate::{
    service::{
        OauthError, OauthRefusal, Service, ServiceError,
        oauth::{CREDENTIAL_PREFIX, access_token_hash},
    },
    store::{RequestState, SadUse, SadUsed},
};

/// A call for signatures.
#[derive(Clone)]
pub struct Signing {
    /// Name of the credential.
    pub credential: String,
    /// The activation data. A token of scope `credential` is such data, and then needs no others beside.
    pub sad: Option<String>,
    /// The hashes.
    pub digests: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signing(redacted)")
    }
}

impl Service {
    /// The signatures over hashes, in their order, each DER `Ecdsa-Sig-Value`.
    ///
    /// # Errors
    /// For activation data that are not this token's and this credential's, expired, or used up; for a hash that was not
    /// authorised, or whose signature was fetched by another call.
    pub async fn fetch_signatures(&self, bearer: &Bearer, call: Signing) -> Result<Vec<Vec<u8>>, OauthError> {
        let _announced = self.store.announce();
        let credential = self.credential(bearer, &call.credential).await?;
        usable(&credential)?;
        let now = self.now();
        let (sad, token) = self.activation(bearer, call.sad.as_deref()).await?;
        let mut set = call.digests.clone();
        set.sort_unstable();
        let set =
            set.iter().fold(Hasher::new(Domain::Payload).field(b"sign-hash"), |hash, one| hash.field(one));
        let used = SadUse {
            sad,
            token,
            relying_party: bearer.party.id,
            device: credential.device,
            digests: call.digests,
            call: set.finish(),
            now,
        };
        let refuse = |text: &str| Err(OauthRefusal::request(text).into());
        let (request, places) = match self.store.use_sad(used).await? {
            SadUsed::Fetched(request, places) => (request, places),
            SadUsed::Unknown => return refuse("Invalid parameter SAD"),
            SadUsed::Expired => return refuse("SAD expired"),
            SadUsed::NotAuthorised => return refuse("Hash is not authorized by the SAD"),
        };
        let row = self.store.request(request, now).await?;
        let Some(RequestState::Signed { signatures, .. }) = row.map(|row| row.state) else {
            return Err(ServiceError::Bug("activation data of a request that is not signed").into());
        };
        tracing::info!(%request, count = places.len(), "signatures fetched");
        let encoded = places.into_iter().map(|place| der_from_raw(signatures.get(place)?).ok());
        let encoded: Option<Vec<_>> = encoded.collect();
        encoded.ok_or_else(|| ServiceError::Bug("stored signatures").into())
    }
}

impl Service {
    /// Stored form of the activation data and of the token they go with.
    async fn activation(
        &self,
        bearer: &Bearer,
        sad: Option<&str>,
    ) -> Result<([u8; 32], [u8; 32]), OauthError> {
        match sad {
            None if bearer.credential => Ok((bearer.token, bearer.token)),
            None => Err(OauthRefusal::request("Missing (or invalid type) string parameter SAD").into()),
            // A token of scope credential that came by the authorisation page: another of the client's tokens brings it.
            Some(sad) if sad.starts_with(CREDENTIAL_PREFIX) => {
                let hash = access_token_hash(sad);
                let row = self.store.access_token(hash, self.now()).await?;
                let own = row.is_some_and(|row| row.credential && row.party.id == bearer.party.id);
                if own { Ok((hash, hash)) } else { Err(wrong("SAD")) }
            }
            Some(sad) => Ok((sad_hash(sad), bearer.token)),
        }
    }
}

/// Stored form of activation data.
pub(super) fn sad_hash(sad: &str) -> [u8; 32] {
    Hasher::new(Domain::TokenHash).field(b"sad").field(sad.as_bytes()).finish()
}
