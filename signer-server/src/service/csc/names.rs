//! Names of credentials. Each relying party has its own for one key, so that two cannot compare them, and no table is needed:
//! an installation's id, one block, under AES-256 with the relying party's key.

use aes::{
    Aes256, Block,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use signer_core::{
    domain::{Domain, expand},
    ids::{DeviceId, RelyingPartyId},
    secret::SecretBytes,
};

/// Names as one relying party knows them.
pub(super) struct Names(Aes256);

impl Names {
    pub(super) fn of(secret: &SecretBytes<32>, party: RelyingPartyId) -> Self {
        let key = expand::<32>(secret.expose(), Domain::CscCredential, &[party.as_bytes()]);
        Self(Aes256::new(key.expose().into()))
    }

    /// The name of an installation's key.
    pub(super) fn name(&self, device: DeviceId) -> String {
        let mut block = Block::from(*device.as_bytes());
        self.0.encrypt_block(&mut block);
        URL_SAFE_NO_PAD.encode(block)
    }

    /// The installation with this name. Any 16 bytes name one; whether it exists is for the store to say.
    pub(super) fn device(&self, name: &str) -> Option<DeviceId> {
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(name).ok()?.try_into().ok()?;
        let mut block = Block::from(bytes);
        self.0.decrypt_block(&mut block);
        Some(DeviceId::from_bytes(block.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csc_001_each_relying_party_has_its_own_names() {
        let secret = SecretBytes::new([7; 32]);
        let names = |party| Names::of(&secret, RelyingPartyId::from_bytes([party; 16]));
        let device = DeviceId::from_bytes([3; 16]);
        let name = names(1).name(device);
        assert_eq!(name.len(), 22);
        assert_eq!(names(1).device(&name), Some(device));
        assert_ne!(names(2).name(device), name);
        assert_ne!(names(2).device(&name), Some(device));
        for wrong in ["", "AAAA", &name[1..], &format!("{name}A"), &name.replace(&name[..1], "=")] {
            assert_eq!(names(1).device(wrong), None, "{wrong}");
        }
    }
}
