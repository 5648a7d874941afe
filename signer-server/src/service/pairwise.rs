//! Relying parties' own names for persons: what one of them is told is of no use to another, and says nothing of the
//! operator's reference.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use signer_core::{
    domain::{Domain, Macer},
    ids::RelyingPartyId,
};

use super::{Service, ServiceResult};
use crate::store::Holder;

/// What such a name begins with. No person is enrolled under a reference like it.
pub(super) const PREFIX: &str = "pid_";

impl Service {
    /// The name of a person at a relying party, written down before it is told.
    pub(super) async fn person_id(&self, party: RelyingPartyId, holder: &Holder) -> ServiceResult<String> {
        let tag = Macer::new(&self.keys.names, Domain::PairwisePerson)
            .field(party.as_bytes())
            .field(holder.as_str().as_bytes())
            .tag();
        let [person @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = tag;
        if self.store.holder_of_pairwise(party, person).await?.is_none() {
            self.store.add_pairwise(party, person, holder.clone(), self.now()).await?;
        }
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(person)))
    }

    /// Whom a relying party means. A name that is not its own stays as it is: a reference that nobody has.
    pub(super) async fn meant(&self, party: RelyingPartyId, named: Holder) -> ServiceResult<Holder> {
        let person = named.as_str().strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let Some(person) = person.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) else {
            return Ok(named);
        };
        Ok(self.store.holder_of_pairwise(party, person).await?.unwrap_or(named))
    }
}
