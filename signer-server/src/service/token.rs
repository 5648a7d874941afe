//! Device tokens: `number || HMAC(token key, device, number)[..24]`.
//!
//! Derived, so that the store holds only the current number, a lost answer can be given again, and *every* token ever retired
//! is recognised for ever (`spec/decisions/device-token.md`). To anyone without the token key they are random.

use signer_core::{
    domain::{Domain, Macer},
    ids::DeviceId,
    secret::SecretBytes,
    wire::{Token, WireSecret},
};

/// The token with this number.
pub(super) fn make(key: &SecretBytes<32>, device: DeviceId, number: u64) -> Token {
    let tag = Macer::new(key, Domain::DeviceToken).field(device.as_bytes()).number(number).derive();
    let mut token = SecretBytes::new([0; 32]);
    let (head, tail) = token.expose_mut().split_at_mut(8);
    head.copy_from_slice(&number.to_be_bytes());
    tail.iter_mut().zip(tag.expose()).for_each(|(to, from)| *to = *from);
    WireSecret(token)
}

/// The number of a token this server made for this device.
pub(super) fn number(key: &SecretBytes<32>, device: DeviceId, token: &Token) -> Option<u64> {
    let (head, _) = token.0.expose().split_first_chunk()?;
    let number = u64::from_be_bytes(*head);
    make(key, device, number).0.ct_eq(&token.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_only_to_its_device_and_whole() {
        let key = SecretBytes::new([7; 32]);
        let (one, two) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        let token = make(&key, one, 5);
        assert_eq!(number(&key, one, &token), Some(5));
        assert_eq!(number(&key, two, &token), None);
        for byte in 0..32 {
            let mut changed = token.0.duplicate();
            changed.expose_mut()[byte] ^= 1;
            assert_eq!(number(&key, one, &WireSecret(changed)), None, "byte {byte}");
        }
    }
}
