//! The certificate of the phone's key, as far as the phone can judge it: that it is for this key, in time, and issued by the
//! authority that came with it. Whether that authority is to be trusted is for those to say who rely on signatures.

use std::fmt;

use signer_core::{
    certificate::{CheckedCertificate, check_chain, verify_request},
    wire::CertificateQuery,
};

use crate::{error::ClientError, phone::Phone};

/// A certificate that is for the phone's key.
#[derive(Clone, PartialEq, Eq)]
pub struct HolderCertificate {
    /// DER certificates, the holder's own first, an authority's last.
    pub chain: Vec<Vec<u8>>,
    /// The certification request both parties signed at enrolment, DER.
    pub request: Vec<u8>,
    /// What stands in the holder's own.
    pub checked: CheckedCertificate,
}

/// Without the chain, which names the holder.
impl fmt::Debug for HolderCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderCertificate").field("checked", &self.checked).finish_non_exhaustive()
    }
}

impl Phone {
    /// The certificate in use, renewed by the server if little of its life is left.
    ///
    /// # Errors
    /// The problem `not_found` for a suite without certificates; [`ClientError::ServerMisbehaved`] if it is not for this key
    /// or does not verify.
    pub fn certificate(&mut self) -> Result<HolderCertificate, ClientError> {
        let enrolled = self.require_key()?;
        let reply = self.exchange(&CertificateQuery {})?;
        let request = reply.request.as_slice().to_vec();
        if !verify_request(&request).is_ok_and(|request| request.public_key == enrolled.public_key) {
            return Err(ClientError::ServerMisbehaved("its certification request is not for this key"));
        }
        let chain: Vec<Vec<u8>> = reply.chain.as_slice().iter().map(|der| der.as_slice().to_vec()).collect();
        // A certificate that was just issued may begin a second later than the phone's clock, which is late by a round trip.
        let now = self.now().max(reply.time);
        let checked = check_chain(&chain, &enrolled.public_key, now).map_err(|_| {
            ClientError::ServerMisbehaved("its certificate is not for this key, or does not hold")
        })?;
        Ok(HolderCertificate { chain, request, checked })
    }
}
