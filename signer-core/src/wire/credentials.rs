//! Issue of day credentials.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::vec::Vec;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::WireSecret;
use crate::{
    codec::{Blob, List},
    credential::StatusIndex,
    device_key::{DevicePublicKeyBytes, DeviceSignature, ToSign},
    domain::{Domain, Hasher},
    ids::DeviceId,
    time::UnixSeconds,
};

/// Most credentials in one batch: 8 age, 4 minimal, 4 full.
pub const BATCH_MAX: usize = 16;
/// Longest issuer element of a credential, bytes.
pub const CREDENTIAL_BYTES_MAX: usize = 400;

/// Which claims a credential carries. Each says more than those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Only that the holder is at least so many years old. The default.
    #[n(0)]
    Age,
    /// Initials, day and month of birth, whether over 18.
    #[n(1)]
    Minimal,
    /// The whole document; shown only with the holder's explicit consent.
    #[n(2)]
    Full,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Age, Self::Minimal, Self::Full];

    /// Name used in text formats: `age`, `minimal`, `full`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Minimal => "minimal",
            Self::Full => "full",
        }
    }

    /// The profile with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// One fresh day key with the profile wanted for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DayKeyRequest {
    /// The profile.
    #[n(0)]
    pub profile: Profile,
    /// The day key, fresh.
    #[n(1)]
    pub day_key: DevicePublicKeyBytes,
    /// By the day key, over [`day_key_proof`].
    #[n(2)]
    pub proof: DeviceSignature,
}

/// What a day key signs to prove that the device holds it.
#[must_use]
pub fn day_key_proof(device: DeviceId, profile: Profile, day_key: &DevicePublicKeyBytes) -> ToSign {
    ToSign(
        Hasher::new(Domain::DayKeyProof)
            .field(device.as_bytes())
            .field(profile.name().as_bytes())
            .field(&day_key.0)
            .finish(),
    )
}

/// Asks for a batch. The envelope's signature is the device key's signature over the list of day keys.
#[derive(Debug, Encode, Decode)]
pub struct IssueCredentials {
    /// Document type; see `spec/credential.md`.
    #[n(0)]
    pub document_type: u32,
    /// The day keys.
    #[n(1)]
    pub keys: List<DayKeyRequest, BATCH_MAX>,
}

/// Reply to [`IssueCredentials`].
#[derive(Debug, Encode, Decode)]
pub struct IssuedCredentials {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// Secret of the digits, for the whole batch.
    #[n(1)]
    pub otp_secret: WireSecret,
    /// The issuer elements, in the order of the keys asked for.
    #[n(2)]
    pub credentials: List<Blob<CREDENTIAL_BYTES_MAX>, BATCH_MAX>,
}

/// Most places in one [`WithdrawnCredentials`]: a device has no more living credentials.
pub const WITHDRAWN_MAX: usize = 512;

/// Asks which of the device's credentials are withdrawn: after [`super::Event::Documents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct WithdrawnQuery {}

/// Reply to [`WithdrawnQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WithdrawnCredentials {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// Their places in status lists, newest credentials first; at most [`WITHDRAWN_MAX`].
    #[n(1)]
    pub places: Vec<StatusIndex>,
}

/// Asks about a code on display.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CodeStateQuery {
    /// Status list of the credential.
    #[n(0)]
    pub list: u32,
    /// Its index.
    #[n(1)]
    pub index: u32,
    /// Step on display.
    #[n(2)]
    pub step: u64,
}

/// Reply to [`CodeStateQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CodeState {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// Highest `n` used up online within the step; the phone shows a higher one.
    #[n(1)]
    pub burned: Option<u8>,
}
