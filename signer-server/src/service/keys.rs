//! The server's own keys: issuer of credentials, signer of answers, certification authority,
//! secrets of device tokens and of online use (hashes of short codes, salts of disclosures). Each is made once and wrapped.

use p256::ecdsa::SigningKey;
use rand::Rng as _;
use signer_core::{
    credential::{DocumentType, IssuerKey, IssuerKeys},
    secret::SecretBytes,
    time::UnixSeconds,
    trust::IssuerId,
    wrap::{Kek, Location},
};

use super::{ServiceError, ServiceResult, unwrap_secret, wrap_secret};
use crate::{
    ports::Random,
    store::{ServerKeyRow, Store},
};

/// Life of an issuer key, seconds: about two years.
const ISSUER_KEY_SECONDS: u64 = 2 * 366 * 86_400;

/// This server among the issuers of a trust list.
pub(super) const ISSUER: IssuerId = IssuerId(1);

/// The server's own keys, in memory.
pub struct ServerKeys {
    pub(super) issuer: SigningKey,
    pub(super) answer: SigningKey,
    pub(super) authority: SigningKey,
    pub(super) device_token: SecretBytes<32>,
    pub(super) online: SecretBytes<32>,
    issuer_keys: IssuerKeys,
}

impl std::fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKeys(redacted)")
    }
}

impl ServerKeys {
    /// Loads the keys, or makes those that are missing.
    ///
    /// # Errors
    /// [`ServiceError`] if the store or the wrapping fails.
    pub async fn load_or_make(
        store: &dyn Store,
        kek: &Kek,
        random: &dyn Random,
        now: UnixSeconds,
    ) -> ServiceResult<Self> {
        let (issuer, made) = signing_key(store, kek, random, "issuer", now).await?;
        let (answer, _) = signing_key(store, kek, random, "answer", now).await?;
        let (authority, _) = signing_key(store, kek, random, "authority", now).await?;
        let (device_token, _) = secret(store, kek, random, "device-token", now, |_| Some(Vec::new())).await?;
        let (online, _) = secret(store, kek, random, "online", now, |_| Some(Vec::new())).await?;
        let issuer_keys = IssuerKeys::new(vec![IssuerKey {
            issuer: ISSUER,
            key: *issuer.verifying_key(),
            document_types: DocumentType::ALL.to_vec(),
            not_before: made.hour(),
            not_after: made.plus(ISSUER_KEY_SECONDS),
        }]);
        Ok(Self { issuer, answer, authority, device_token, online, issuer_keys })
    }

    /// Public keys of the issuer: all a shop needs offline.
    #[must_use]
    pub const fn issuer_keys(&self) -> &IssuerKeys {
        &self.issuer_keys
    }

    /// Public key that verifies time and answers, SEC1 compressed.
    #[must_use]
    pub fn answer_key(&self) -> Vec<u8> {
        compressed(&self.answer)
    }
}

fn compressed(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(true).as_bytes().to_vec()
}

async fn signing_key(
    store: &dyn Store,
    kek: &Kek,
    random: &dyn Random,
    purpose: &str,
    now: UnixSeconds,
) -> ServiceResult<(SigningKey, UnixSeconds)> {
    let parse = |secret: &[u8]| SigningKey::from_slice(secret).ok();
    let public = |secret: &[u8]| parse(secret).map(|key| compressed(&key));
    let (secret, made) = secret(store, kek, random, purpose, now, public).await?;
    parse(secret.expose()).map(|key| (key, made)).ok_or(ServiceError::Bug("stored signing key"))
}

/// A secret of 32 bytes for which `public` gives a public half (empty for symmetric keys), stored or drawn.
async fn secret(
    store: &dyn Store,
    kek: &Kek,
    random: &dyn Random,
    purpose: &str,
    now: UnixSeconds,
    public: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> ServiceResult<(SecretBytes<32>, UnixSeconds)> {
    let location = Location { table: "server_key", row: purpose.as_bytes(), column: "wrapped", epoch: 0 };
    let offer = {
        let mut rng = random.rng();
        let mut drawn = SecretBytes::new([0; 32]);
        // A P-256 scalar is out of range with probability 2^-32; draw again.
        let public_key = loop {
            rng.fill_bytes(drawn.expose_mut());
            if let Some(public_key) = public(drawn.expose()) {
                break public_key;
            }
        };
        let wrapped = wrap_secret(kek, &location, drawn.expose(), &mut *rng)?;
        ServerKeyRow { purpose: purpose.into(), public_key, wrapped, created: now }
    };
    let row = store.server_key(offer, now).await?;
    let bytes = unwrap_secret(kek, &location, &row.wrapped)?;
    let secret = SecretBytes::from_slice(&bytes).ok_or(ServiceError::Bug("stored server key"))?;
    if public(secret.expose()).as_ref() != Some(&row.public_key) {
        return Err(ServiceError::Bug("stored server key does not match its public half"));
    }
    Ok((secret, row.created))
}
