//! Baselines: the same curve and hash with the whole key in one hand, keys and signatures decoded beforehand.

use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey},
};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rand::{CryptoRng, SeedableRng as _, rngs::StdRng};

use crate::parties::{DIGEST, Parties};

/// One key of FROST's curve.
#[derive(Debug)]
pub struct Schnorr {
    key: frost_secp256k1::SigningKey,
    public_key: frost_secp256k1::VerifyingKey,
    signature: frost_secp256k1::Signature,
    rng: StdRng,
}

impl Schnorr {
    /// Verifies what `parties` signed, signs by a key of its own.
    ///
    /// # Panics
    /// If the signature is not of this suite.
    #[must_use]
    pub fn new(parties: &Parties) -> Self {
        let (public_key, signature) = parties.signed();
        Self {
            key: frost_secp256k1::SigningKey::deserialize(&[7; 32]).unwrap(),
            public_key: frost_secp256k1::VerifyingKey::deserialize(&public_key.0).unwrap(),
            signature: frost_secp256k1::Signature::deserialize(signature.as_slice()).unwrap(),
            rng: StdRng::seed_from_u64(1),
        }
    }

    /// Signs.
    #[must_use]
    pub fn sign(&mut self) -> frost_secp256k1::Signature {
        self.key.sign(Bridge(&mut self.rng), &DIGEST)
    }

    /// Verifies.
    ///
    /// # Panics
    /// If it fails.
    pub fn verify(&self) {
        self.public_key.verify(&DIGEST, &self.signature).unwrap();
    }
}

/// An ordinary ECDSA P-256 signature before two verifiers.
#[derive(Debug)]
pub struct Ecdsa {
    aws: ParsedPublicKey,
    key: Vec<u8>,
    digest: Digest,
    bytes: Vec<u8>,
    p256: (p256::ecdsa::VerifyingKey, p256::ecdsa::Signature),
}

impl Ecdsa {
    /// Verifies what `parties` signed.
    ///
    /// # Panics
    /// If the signature is not of this suite.
    #[must_use]
    pub fn new(parties: &Parties) -> Self {
        let (public_key, signature) = parties.signed();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public_key.0).unwrap();
        let uncompressed = key.to_sec1_point(false).as_bytes().to_vec();
        Self {
            aws: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &uncompressed).unwrap(),
            key: uncompressed,
            digest: Digest::import_less_safe(&DIGEST, &SHA256).unwrap(),
            bytes: signature.as_slice().to_vec(),
            p256: (key, p256::ecdsa::Signature::from_slice(signature.as_slice()).unwrap()),
        }
    }

    /// Verifies by aws-lc-rs.
    ///
    /// # Panics
    /// If it fails.
    pub fn verify_aws(&self) {
        self.aws.verify_digest_sig(&self.digest, &self.bytes).unwrap();
    }

    /// Verifies by aws-lc-rs, with the key in uncompressed form.
    ///
    /// # Panics
    /// If it fails.
    pub fn verify_aws_unparsed(&self) {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.key);
        key.verify_digest(&self.digest, &self.bytes).unwrap();
    }

    /// Verifies by `p256`.
    ///
    /// # Panics
    /// If it fails.
    pub fn verify_p256(&self) {
        self.p256.0.verify_prehash(&DIGEST, &self.p256.1).unwrap();
    }
}

/// The older interface of generators, which the crate of the baseline wants.
struct Bridge<'a>(&'a mut dyn CryptoRng);

impl frost_secp256k1::rand_core::RngCore for Bridge<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), frost_secp256k1::rand_core::Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}

impl frost_secp256k1::rand_core::CryptoRng for Bridge<'_> {}
