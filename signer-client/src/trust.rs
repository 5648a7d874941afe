//! The trust list on the phone: by it the phone knows which business asks.

use p256::ecdsa::VerifyingKey;
use signer_core::{trust::SignedTrustList, wire::ProblemCode};

use crate::{
    error::{ClientError, StateError},
    phone::Phone,
    state::KeptTrust,
};

impl Phone {
    /// The newest trust list this phone believes; `None` if it has none yet.
    ///
    /// # Errors
    /// [`StateError::Damaged`]
    pub fn trust_list(&self) -> Result<Option<SignedTrustList>, ClientError> {
        let kept = self.state.as_ref().and_then(|state| state.trust.as_ref());
        let Some(kept) = kept else { return Ok(None) };
        let root = VerifyingKey::from_sec1_bytes(&kept.root).map_err(|_| StateError::Damaged)?;
        let list = SignedTrustList::verify(&kept.list, &[root]);
        list.map(Some).map_err(|_| StateError::Damaged.into())
    }

    /// Asks the server for a newer trust list: `true` if there was one. It must be signed by the root that the program was
    /// built with ([`crate::PhoneOptions::trust_root`]) or one that the list believed names, and not be older. Without either
    /// the first list is believed by a root of its own, as the server's answer key was at enrolment. After an error the list
    /// believed stays.
    ///
    /// # Errors
    /// [`ClientError::TrustList`] for a list that is not believed.
    pub fn refresh_trust_list(&mut self) -> Result<bool, ClientError> {
        self.require_state()?;
        let bytes = match self.get_quickly("/v1/trust-list", "application/cose") {
            Ok(bytes) => bytes,
            Err(error) if error.is_problem(ProblemCode::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let pinned: Vec<_> = self.options.trust_root.into_iter().collect();
        let believed = match self.trust_list()? {
            Some(mut list) => list.update(&bytes, &pinned)?.then_some(list),
            None if pinned.is_empty() => Some(SignedTrustList::first_use(&bytes)?),
            None => Some(SignedTrustList::verify(&bytes, &pinned)?),
        };
        let Some(list) = believed else { return Ok(false) };
        let root = list.root().to_sec1_point(true).as_bytes().to_vec();
        let kept = KeptTrust { root, list: list.as_bytes().to_vec() };
        self.state_mut()?.trust = Some(kept);
        self.save()?;
        Ok(true)
    }
}
