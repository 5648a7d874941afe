//! The device key: P-256, in the phone's hardware keystore, signs every message of the device.
//!
//! Keystores sign *messages* with ECDSA/SHA-256, not prehashed digests; what they are given here is always a 32-byte
//! domain hash, so the same bytes serve a software key, Android Keystore and Secure Enclave.

use core::fmt;

use minicbor::{Decode, Encode};
use p256::ecdsa::VerifyingKey;

use crate::{
    domain::{Domain, Hasher, sha256},
    ecdsa,
    ids::DeviceId,
};

/// What a device key signs: 32 bytes, made by a [`Hasher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToSign(pub [u8; 32]);

/// ECDSA P-256 signature `r || s`, 64 bytes, as received; meaningless until verified.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct DeviceSignature(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 64]);

impl fmt::Debug for DeviceSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSignature(..)")
    }
}

/// SEC1 compressed point as it travels, 33 bytes, not yet checked.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct DevicePublicKeyBytes(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 33]);

impl fmt::Debug for DevicePublicKeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DevicePublicKeyBytes({})", self.device_id())
    }
}

impl DevicePublicKeyBytes {
    /// The id of the installation that holds this key.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        let hash = Hasher::new(Domain::DeviceId).field(&self.0).finish();
        let (id, _) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
        DeviceId::from_bytes(*id)
    }

    /// The key, if the bytes are a point of the curve other than the identity, in the one compressed form (2 or 3 first):
    /// p256 also takes the compact form (5), which would give a key two ids.
    #[must_use]
    pub fn parse(&self) -> Option<DevicePublicKey> {
        self.0.first().filter(|form| matches!(form, 2 | 3))?;
        let point = VerifyingKey::from_sec1_bytes(&self.0).ok()?.to_sec1_point(false);
        point.as_bytes().try_into().ok().map(DevicePublicKey)
    }
}

/// A device's public key, checked: a SEC1 uncompressed point, as verification reads it fastest.
#[derive(Clone)]
pub struct DevicePublicKey([u8; 65]);

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevicePublicKey(..)")
    }
}

impl DevicePublicKey {
    /// Whether this key signed `message`, with either s: keystores give both.
    #[must_use]
    pub fn verify(&self, message: ToSign, signature: &DeviceSignature) -> bool {
        ecdsa::verify(&self.0, &sha256(&message.0), &signature.0)
    }
}
