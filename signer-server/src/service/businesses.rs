//! Credentials of businesses: whose requests phones answer, and for which profiles.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::VerifyingKey;
use signer_core::{
    codec::Label,
    credential::{BusinessClaims, BusinessId},
    wire::{CreateBusinessCredential, CreatedBusinessCredential, ProblemCode},
};

use super::{KeyPurpose, Refusal, Service, ServiceResult};
use crate::store::RelyingPartyRow;

/// Life of a credential that does not say, and the longest, days: a till whose key was copied cannot be withdrawn by itself.
const DAYS: (u64, u64) = (7, 30);

impl Service {
    /// Signs a credential for the key of a business, which it keeps. The business is a relying party that verifies: codes that
    /// answer its requests are answered online to its token alone.
    ///
    /// # Errors
    /// A refusal that names the value that is wrong.
    pub async fn create_business_credential(
        &self,
        asked: CreateBusinessCredential,
    ) -> ServiceResult<CreatedBusinessCredential> {
        let invalid = |text: &str| Refusal::because(ProblemCode::InvalidValue, text);
        let name = Label::<96>::new(asked.name).ok_or_else(|| {
            invalid("name is 1 to 96 bytes of NFC text on one line, without hidden characters")
        })?;
        let point = URL_SAFE_NO_PAD.decode(&asked.key).ok().filter(|point| point.len() == 33);
        let key = point.and_then(|point| VerifyingKey::from_sec1_bytes(&point).ok());
        let key = key.ok_or_else(|| invalid("key is a compressed point of P-256, 33 bytes in base64url"))?;
        let days = asked.days.unwrap_or(DAYS.0);
        if !(1..=DAYS.1).contains(&days) {
            return Err(invalid("days is from 1 to 30").into());
        }
        let parties = self.store.relying_parties().await?;
        let verifies =
            |row: &RelyingPartyRow| row.id == asked.relying_party && row.may_verify && !row.revoked;
        if !parties.iter().any(verifies) {
            return Err(invalid("relying_party is the id of a relying party that may verify").into());
        }
        let id = BusinessId(*asked.relying_party.as_bytes());
        let now = self.now();
        let claims = BusinessClaims::new(now, now.plus(days * 86_400), key, name, asked.profiles, id);
        let claims = claims.map_err(|_| invalid("profiles names at least one of age, minimal, full"))?;
        let issuer = self.keys.in_use(KeyPurpose::Business)?;
        let credential = issuer.sign_envelope(claims.prepare(issuer.verifying_key())).await?;
        tracing::info!(business = %id, days, "business credential signed");
        Ok(CreatedBusinessCredential {
            id,
            credential: URL_SAFE_NO_PAD.encode(credential),
            expires: claims.expires().0,
        })
    }
}
