//! What an enrolment leaves for outsiders: that a signing key and a device key are of one phone.

use super::{first_digest, statement};
use crate::{
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, Epoch, KeyId},
    lost_code::HolderKeysDigest,
    suite::{GroupPublicKey, KeyContext, Signature, SuiteId},
};

/// The first signature of a key, which took both halves, with what is needed to recompute what it signs: a [`statement`] that
/// names the device key beside the signing key.
///
/// A signing key signs any digest its holder approves. So whoever had the holder approve a digest of their own making can have
/// such a signature for another device key. Where a certificate names the statement too, it cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentProof {
    /// The ceremony that made the key.
    pub ceremony: CeremonyId,
    /// What the phone left for its holder.
    pub holder_keys: HolderKeysDigest,
    /// The signature, over [`first_digest`].
    pub signature: Signature,
}

/// The two keys an [`EnrolmentProof`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolledKeys {
    /// The suite of the signing key.
    pub suite: SuiteId,
    /// Its id.
    pub key: KeyId,
    /// Its public half.
    pub public_key: GroupPublicKey,
    /// The device key.
    pub device_key: DevicePublicKeyBytes,
}

impl EnrolledKeys {
    fn context(&self) -> KeyContext {
        KeyContext { suite: self.suite, key: self.key, epoch: Epoch(0), device: self.device_key.device_id() }
    }
}

impl EnrolmentProof {
    /// The statement of an enrolment of these keys: the binding of their certification request.
    #[must_use]
    pub fn statement(&self, keys: &EnrolledKeys) -> [u8; 32] {
        let EnrolledKeys { public_key, device_key, .. } = keys;
        statement(&keys.context(), public_key, device_key, self.ceremony, Some(&self.holder_keys))
    }

    /// Whether the signing key said that it was enrolled with this device key.
    #[must_use]
    pub fn holds(&self, keys: &EnrolledKeys) -> bool {
        let EnrolledKeys { public_key, device_key, .. } = keys;
        let digest =
            first_digest(&keys.context(), public_key, device_key, self.ceremony, Some(&self.holder_keys));
        digest.is_ok_and(|digest| keys.suite.get().verify(public_key, &digest, &self.signature))
    }
}
