//! The trust list on the phone: by it the phone knows which business asks.

use p256::ecdsa::VerifyingKey;
use signer_core::{
    trust::{Life, SignedTrustList},
    wire::ProblemCode,
};

use crate::{
    error::{ClientError, StateError},
    lists::{TRUST_LIST_MEDIA_TYPE, TRUST_LIST_PATH},
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

    /// Asks the server for a newer trust list: `true` if there was one. It must be signed by the root that the phone was given
    /// ([`crate::PhoneOptions::trust_root`], remembered from the first time) or one that the list believed names, and not be
    /// older. A phone without a root believes the first list by a root of its own, as it does the server's answer key at
    /// enrolment: the holder is to be shown it ([`SignedTrustList::root`]). After an error the list believed stays.
    ///
    /// # Errors
    /// [`ClientError::TrustList`] for a list that is not believed.
    pub fn refresh_trust_list(&mut self) -> Result<bool, ClientError> {
        let pinned = self.pinned_root()?;
        let bytes = match self.get_quickly(TRUST_LIST_PATH, TRUST_LIST_MEDIA_TYPE) {
            Ok(bytes) => bytes,
            Err(error) if error.is_problem(ProblemCode::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let believed = match (self.trust_list()?, pinned) {
            (Some(mut list), pinned) => list.update(&bytes, pinned.as_slice())?.then_some(list),
            (None, Some(root)) => Some(SignedTrustList::verify(&bytes, &[root])?),
            (None, None) => Some(SignedTrustList::first_use(&bytes)?),
        };
        let Some(list) = believed else { return Ok(false) };
        let emergency = list.list().life() == Life::Emergency;
        let kept = KeptTrust { root: compressed(list.root()), list: list.as_bytes().to_vec(), emergency };
        self.state_mut()?.trust = Some(kept);
        self.save()?;
        Ok(true)
    }

    /// The root this phone was given, now or earlier. It is remembered before any list is believed.
    fn pinned_root(&mut self) -> Result<Option<VerifyingKey>, ClientError> {
        let given = self.options.trust_root;
        let state = self.state_mut()?;
        if let (Some(root), None) = (given, &state.trust_root) {
            state.trust_root = Some(compressed(&root));
            self.save()?;
        }
        let Some(root) = &self.require_state()?.trust_root else { return Ok(None) };
        VerifyingKey::from_sec1_bytes(root).map(Some).map_err(|_| StateError::Damaged.into())
    }
}

fn compressed(key: &VerifyingKey) -> Vec<u8> {
    key.to_sec1_point(true).as_bytes().to_vec()
}
