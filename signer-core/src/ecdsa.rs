//! Verification of ordinary ECDSA P-256 signatures over 32-byte digests: public data, in variable time. Device keys and
//! `es256` go through it.

#[cfg(not(feature = "aws-lc"))]
pub(crate) use self::verify_plain as verify;

use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};

/// By `p256`. `public_key` is SEC1, compressed or uncompressed; `signature` is r ‖ s with any s (FIPS 186-5 §6.4.2).
pub(crate) fn verify_plain(public_key: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let read = || {
        let key = VerifyingKey::from_sec1_bytes(one_form(public_key)?).ok()?;
        key.verify_prehash(digest, &Signature::from_slice(signature).ok()?).ok()
    };
    read().is_some()
}

/// By aws-lc-rs, about four times faster; the same answers.
#[cfg(feature = "aws-lc")]
pub(crate) fn verify(public_key: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    use aws_lc_rs::{
        digest::{Digest, SHA256},
        signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
    };
    let read = || {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, one_form(public_key)?);
        key.verify_digest(&Digest::import_less_safe(digest, &SHA256).ok()?, signature).ok()
    };
    read().is_some()
}

/// The bytes, if they open like a compressed or uncompressed point: not the compact form (5), which `p256` takes, nor the
/// hybrid ones (6, 7).
fn one_form(public_key: &[u8]) -> Option<&[u8]> {
    Some(public_key).filter(|bytes| matches!(bytes, [2..=4, ..]))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};

    use super::{verify, verify_plain};

    const DIGEST: [u8; 32] = [0x5a; 32];
    /// The order of the group, SEC 2 §2.4.2.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];

    fn key() -> SigningKey {
        SigningKey::from_slice(&[0x11; 32]).expect("a scalar")
    }

    fn signed() -> Signature {
        key().sign_prehash(&DIGEST).expect("signs")
    }

    fn point(compressed: bool) -> Vec<u8> {
        key().verifying_key().to_sec1_point(compressed).as_bytes().to_vec()
    }

    /// What both implementations say, which must be the same.
    fn both(public_key: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let answers = [verify, verify_plain].map(|verify| verify(public_key, digest, signature));
        assert_eq!(answers[0], answers[1], "{public_key:02x?} {signature:02x?}");
        answers[0]
    }

    #[test]
    fn both_verifiers_take_either_s_and_both_forms_of_a_point() {
        let low = signed().normalize_s();
        let high = Signature::from_scalars(*low.r(), -*low.s()).expect("not zero");
        for signature in [low, high] {
            for compressed in [true, false] {
                assert!(both(&point(compressed), &DIGEST, &signature.to_bytes().into()));
                assert!(!both(&point(compressed), &[0x5b; 32], &signature.to_bytes().into()));
            }
        }
    }

    #[test]
    fn both_verifiers_refuse_every_flipped_bit_and_numbers_out_of_range() {
        let good: [u8; 64] = signed().to_bytes().into();
        for bit in 0..512 {
            let mut wrong = good;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!both(&point(false), &DIGEST, &wrong), "bit {bit}");
        }
        let one = { core::array::from_fn(|place| u8::from(place == 31)) };
        for number in [[0; 32], one, ORDER, [0xff; 32]] {
            for half in [0, 32] {
                let mut wrong = good;
                wrong[half..half + 32].copy_from_slice(&number);
                assert!(!both(&point(false), &DIGEST, &wrong), "{number:02x?} at {half}");
            }
            assert!(!both(&point(false), &DIGEST, [number; 2].as_flattened().try_into().expect("64")));
        }
    }

    #[test]
    fn both_verifiers_refuse_other_encodings_of_a_key() {
        let signature = signed().to_bytes().into();
        let (short, long) = (point(true), point(false));
        for form in (0..=u8::MAX).filter(|form| *form != long[0]) {
            let mut other = long.clone();
            other[0] = form;
            assert!(!both(&other, &DIGEST, &signature), "{form} uncompressed");
        }
        for form in (0..=u8::MAX).filter(|form| *form != short[0]) {
            let mut other = short.clone();
            other[0] = form;
            assert!(!both(&other, &DIGEST, &signature), "{form} compressed");
        }
        for whole in [&short, &long] {
            for length in 0..whole.len() {
                assert!(!both(&whole[..length], &DIGEST, &signature), "{length}");
            }
            assert!(!both(&[whole.as_slice(), &[0]].concat(), &DIGEST, &signature));
        }
        let mut off_the_curve = long;
        off_the_curve[64] ^= 1;
        assert!(!both(&off_the_curve, &DIGEST, &signature));
        let mut other_point = short;
        other_point[32] ^= 1;
        assert!(!both(&other_point, &DIGEST, &signature));
    }
}
