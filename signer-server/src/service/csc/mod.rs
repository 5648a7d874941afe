//! The CSC API (Cloud Signature Consortium) on signing requests: credentials, their authorisation by the phone, and the
//! signatures it made. Nothing is signed for a call of this API: signatures exist since the holder's approval.

mod authorise;
mod credential;
mod names;
mod sign;

pub use self::{
    authorise::{Authorised, Authorising},
    credential::{CredentialCertificate, CredentialState, CscCredential},
    sign::Signing,
};
use super::{OauthError, OauthRefusal};
use crate::store::RelyingPartyRow;

/// Most hashes of one authorisation.
pub const MULTISIGN_MAX: usize = 20;

/// A client by its access token.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The relying party.
    pub party: RelyingPartyRow,
    /// Stored form of the token: activation data are good with the token they were asked with.
    pub token: [u8; 32],
}

fn wrong(parameter: &str) -> OauthError {
    OauthRefusal::request(format!("Invalid parameter {parameter}")).into()
}
