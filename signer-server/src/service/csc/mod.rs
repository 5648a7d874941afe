//! The CSC API (Cloud Signature Consortium) on signing requests: credentials, their authorisation by the phone, and the
//! signatures it made. Nothing is signed for a call of this API: signatures exist since the holder's approval.

mod authorise;
mod credential;
mod names;
mod sign;

use std::borrow::Cow;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use signer_core::{ids::DeviceId, wire::CscAuth};

pub(super) use self::authorise::{Asking, Decision, decision, denied};
pub use self::{
    authorise::{Authorised, Authorising},
    credential::{CredentialCertificate, CredentialState, CscCredential},
    sign::Signing,
};
use super::{OauthError, OauthRefusal};
use crate::store::RelyingPartyRow;

/// Most hashes of one authorisation.
pub const MULTISIGN_MAX: usize = 20;
/// Longest description.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 500;
/// SHA-256.
pub const SHA256: &str = "2.16.840.1.101.3.4.2.1";

/// A client by its access token.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The relying party.
    pub party: RelyingPartyRow,
    /// Stored form of the token: activation data are good with the token they were asked with.
    pub token: [u8; 32],
    /// The installation whose holder let the client have it: then it is good for that one's credential alone.
    pub device: Option<DeviceId>,
    /// Whether its scope is `credential`; otherwise `service`.
    pub credential: bool,
    /// How the client is told that credentials are authorised.
    pub csc_auth: CscAuth,
}

impl Bearer {
    /// Refuses a token that fetches signatures and does nothing else.
    fn of_service(&self) -> Result<(), OauthRefusal> {
        if self.credential {
            // RFC 6750 §3.1.
            return Err(OauthRefusal::new(403, "insufficient_scope", "This needs a token of scope service"));
        }
        Ok(())
    }
}

/// A hash in base64, base64url, or base64 with its `+`, `/` and `=` percent-encoded.
///
/// # Errors
/// If it is none, or not of SHA-256.
pub fn digest(text: &str) -> Result<[u8; 32], OauthRefusal> {
    let mut text = Cow::Borrowed(text);
    if text.contains('%') {
        let encoded = [("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%3D", "="), ("%3d", "=")];
        text = encoded.iter().fold(text.into_owned(), |text, (from, to)| text.replace(from, to)).into();
    }
    let bytes = STANDARD.decode(&*text).or_else(|_| URL_SAFE_NO_PAD.decode(&*text));
    let bytes = bytes.ok().filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| OauthRefusal::request("Invalid Base64 hash string parameter"))?;
    bytes.try_into().map_err(|_| OauthRefusal::request("Invalid digest value length"))
}

fn wrong(parameter: &str) -> OauthError {
    OauthRefusal::request(format!("Invalid parameter {parameter}")).into()
}
