//! The holder's portrait: bytes from a register, and the salt that keeps its digests apart.

use alloc::{string::String, vec::Vec};
use core::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{day::StatusIndex, hex::PortraitSalt};
use crate::{
    domain::{Domain, expand},
    secret::SecretBytes,
};

/// Most bytes of a portrait.
const MAX: usize = 32 * 1024;

/// A portrait, JPEG or PNG by its first bytes, at most 32 KiB; in JSON base64. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Portrait(Vec<u8>);

/// Bytes that are not a portrait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a portrait is a JPEG or PNG file of at most 32 KiB, in base64")]
pub struct PortraitError;

impl Portrait {
    /// The portrait.
    ///
    /// # Errors
    /// [`PortraitError`] for other formats and over 32 KiB.
    pub fn new(bytes: Vec<u8>) -> Result<Self, PortraitError> {
        let known = bytes.starts_with(b"\xFF\xD8\xFF") || bytes.starts_with(b"\x89PNG\r\n\x1A\n");
        if known && bytes.len() <= MAX { Ok(Self(bytes)) } else { Err(PortraitError) }
    }

    /// The file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `image/jpeg` or `image/png`.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        if self.0.starts_with(b"\xFF") { "image/jpeg" } else { "image/png" }
    }
}

impl fmt::Debug for Portrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portrait({} bytes)", self.0.len())
    }
}

impl TryFrom<String> for Portrait {
    type Error = PortraitError;
    fn try_from(text: String) -> Result<Self, PortraitError> {
        Self::new(BASE64_STANDARD.decode(text).map_err(|_| PortraitError)?)
    }
}

impl From<Portrait> for String {
    fn from(portrait: Portrait) -> Self {
        BASE64_STANDARD.encode(portrait.0)
    }
}

/// Salt of the portrait digest in the credential at `status`, from the secret of the digits: phone and server know it, and
/// no two credentials share one, so that digests join nothing.
#[must_use]
pub fn portrait_salt(secret: &SecretBytes<32>, status: StatusIndex) -> PortraitSalt {
    let [list, index] = [status.list, status.index].map(|number| u64::from(number).to_be_bytes());
    let salt: SecretBytes<16> = expand(secret.expose(), Domain::PortraitSalt, &[&list, &index]);
    PortraitSalt(*salt.expose())
}
