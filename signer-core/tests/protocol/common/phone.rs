//! A phone: its device key in software, its PIN stretched for next to nothing.

use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use signer_core::{
    device_key::{DevicePublicKey, DevicePublicKeyBytes, DeviceSignature, ToSign},
    domain::sha256,
    ids::DeviceId,
    pin::{MaskedKey, PinCost, PinMask, Salt, UnlockedKey},
    secret::SecretBytes,
    suite::KeyContext,
};

#[derive(Clone)]
pub(crate) struct Phone {
    key: SigningKey,
}

impl Phone {
    pub(crate) fn new(number: u8) -> Self {
        Self { key: SigningKey::from_slice(&[number; 32]).unwrap() }
    }

    pub(crate) fn public(&self) -> DevicePublicKeyBytes {
        DevicePublicKeyBytes(self.key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap())
    }

    pub(crate) fn parsed(&self) -> DevicePublicKey {
        self.public().parse().unwrap()
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.public().device_id()
    }

    pub(crate) fn sign(&self, message: ToSign) -> DeviceSignature {
        let signature: Signature = self.key.sign(&message.0);
        DeviceSignature(signature.to_bytes().into())
    }
}

/// The mask of `pin`. Argon2id has a floor that tests cannot pay for every PIN, so the stretching is left out here.
pub(crate) fn mask(pin: &str, context: &KeyContext) -> PinMask {
    PinMask::derive(&SecretBytes::new(sha256(pin.as_bytes())), context)
}

pub(crate) fn unlock(masked: &MaskedKey, pin: &str) -> UnlockedKey {
    masked.unmask(mask(pin, masked.context()))
}

pub(crate) const SALT: Salt = Salt::from_bytes([9; 16]);
pub(crate) const COST: PinCost = PinCost::FLOOR;
