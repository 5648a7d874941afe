//! RFC 9591 appendix E.5: participants 1 and 3 of 3. Both implementations must give its numbers.

use alloc::{string::String, vec::Vec};

use frost_secp256k1::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use k256::{ProjectivePoint, Scalar};
use rand_core_frost::{CryptoRng, Error, RngCore};
use serde_json::Value;

use super::*;

fn bytes(value: &Value) -> Vec<u8> {
    let hex: String = value.as_str().unwrap().into();
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Gives the bytes it was made of, and panics when they are used up.
struct Replay(Vec<u8>);

impl RngCore for Replay {
    fn next_u32(&mut self) -> u32 {
        panic!("not used by commit")
    }
    fn next_u64(&mut self) -> u64 {
        panic!("not used by commit")
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.copy_from_slice(&self.0.drain(..dest.len()).collect::<Vec<_>>());
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Replay {}

#[test]
fn fro_002_both_implementations_give_the_numbers_of_the_rfc() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/rfc9591-secp256k1.json")).unwrap();
    let inputs = &vectors["inputs"];
    let message = bytes(&inputs["message"]);
    let public_key: [u8; 33] = bytes(&inputs["verifying_key_key"]).try_into().unwrap();
    let verifying_key = VerifyingKey::deserialize(&public_key).unwrap();
    let share = |number: u64| -> Vec<u8> {
        let all = inputs["participant_shares"].as_array().unwrap();
        bytes(&all.iter().find(|one| one["identifier"] == number).unwrap()["participant_share"])
    };
    let round1 = vectors["round_one_outputs"]["outputs"].as_array().unwrap();
    let round2 = vectors["round_two_outputs"]["outputs"].as_array().unwrap();
    let expected = bytes(&vectors["final_output"]["sig"]);

    // Round one: the crate's nonces, and the commitments as check.rs reads them.
    let mut nonces = Vec::new();
    let mut signers = Vec::new();
    let mut commitments = BTreeMap::new();
    for one in round1 {
        let number = one["identifier"].as_u64().unwrap();
        let random =
            [bytes(&one["hiding_nonce_randomness"]), bytes(&one["binding_nonce_randomness"])].concat();
        let secret = SigningShare::deserialize(&share(number)).unwrap();
        let (own, public) = frost_secp256k1::round1::commit(&secret, &mut Replay(random));
        assert_eq!(own.hiding().serialize(), bytes(&one["hiding_nonce"]));
        assert_eq!(own.binding().serialize(), bytes(&one["binding_nonce"]));
        let encoded = encode_commitments(&public).unwrap();
        let expected =
            [bytes(&one["hiding_nonce_commitment"]), bytes(&one["binding_nonce_commitment"])].concat();
        assert_eq!(encoded.as_slice(), expected);
        let number = u16::try_from(number).unwrap();
        signers.push(check::Signer::new(number, encoded.as_slice()).unwrap());
        commitments.insert(participant(number).unwrap(), public);
        nonces.push(own);
    }
    let package = SigningPackage::new(commitments, &message);

    // Round two, by both.
    let group = check::group_commitment(&public_key, &signers, &message).unwrap();
    assert_eq!(points::point_bytes(&group), expected[..33]);
    let c = check::challenge(&group, &public_key, &message);
    let mut shares = BTreeMap::new();
    let mut verifying = BTreeMap::new();
    let mut sum = Scalar::ZERO;
    for (((one, two), own), signer) in round1.iter().zip(round2).zip(&nonces).zip(&signers) {
        let number = signer.number;
        assert_eq!(
            check::binding_factor_input(&public_key, &signers, &message, number),
            bytes(&one["binding_factor_input"])
        );
        let rho = check::binding_factor(&public_key, &signers, &message, number);
        assert_eq!(rho.to_bytes().to_vec(), bytes(&one["binding_factor"]));

        let secret = points::scalar(&share(number.into())).unwrap();
        let scalar = |name: &str| points::scalar(&bytes(&one[name])).unwrap();
        let lambda = check::lagrange(&signers, number).unwrap();
        let z = scalar("hiding_nonce") + scalar("binding_nonce") * rho + lambda * secret * c;
        assert_eq!(z.to_bytes().to_vec(), bytes(&two["sig_share"]));
        sum += z;

        let image = ProjectivePoint::GENERATOR * secret;
        assert!(check::share_is_valid(&public_key, &signers, signer, &image, &message, &z));
        let wrong = z + Scalar::ONE;
        assert!(!check::share_is_valid(&public_key, &signers, signer, &image, &message, &wrong));

        let id = participant(number).unwrap();
        let image = VerifyingShare::deserialize(&points::point_bytes(&image)).unwrap();
        let secret = SigningShare::deserialize(&share(number.into())).unwrap();
        let key = KeyPackage::new(id, secret, image, verifying_key, 2);
        let signed = frost_secp256k1::round2::sign(&package, own, &key).unwrap();
        assert_eq!(signed.serialize(), bytes(&two["sig_share"]));
        shares.insert(id, signed);
        verifying.insert(id, image);
    }
    assert_eq!(sum.to_bytes().to_vec(), expected[33..]);
    assert!(check::signature_is_valid(&public_key, &message, &expected));
    let public = PublicKeyPackage::new(verifying, verifying_key, Some(2));
    let signature = frost_secp256k1::aggregate(&package, &shares, &public).unwrap();
    assert_eq!(signature.serialize().unwrap(), expected);
}
