//! Verification of ordinary ECDSA P-256 signatures over 32-byte digests: public data, in variable time.

#[cfg(not(feature = "aws-lc"))]
pub(crate) use self::verify_plain as verify;

use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};

/// By `p256`. `public_key` is SEC1, compressed or uncompressed; `signature` is r ‖ s with any s (FIPS 186-5 §6.4.2).
pub(crate) fn verify_plain(public_key: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let read = || {
        public_key.first().filter(|form| matches!(form, 2..=4))?;
        let key = VerifyingKey::from_sec1_bytes(public_key).ok()?;
        key.verify_prehash(digest, &Signature::from_slice(signature).ok()?).ok()
    };
    read().is_some()
}

/// By aws-lc-rs, about four times faster.
#[cfg(feature = "aws-lc")]
pub(crate) fn verify(public_key: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    use aws_lc_rs::{
        digest::{Digest, SHA256},
        signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
    };
    let read = || {
        public_key.first().filter(|form| matches!(form, 2..=4))?;
        let digest = Digest::import_less_safe(digest, &SHA256).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key).verify_digest(&digest, signature).ok()
    };
    read().is_some()
}
