//! One key of the FROST suite, split between two parties, beside one key of the same curve in one hand.

use frost_secp256k1::{SigningKey, VerifyingKey};
use rand::{CryptoRng, SeedableRng as _, rngs::StdRng};
use signer_core::{
    ids::{DeviceId, Epoch, KeyId},
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, Contribution, DevicePart, DeviceShare, GroupPublicKey, KeyContext,
        ServerShare, Signature, SigningContext, Suite, SuiteId,
    },
    time::UnixSeconds,
};

const DIGEST: [u8; 32] = [0x5A; 32];

/// Both parties after enrolment, in the middle of one signature.
#[derive(Debug)]
pub struct Parties {
    suite: &'static dyn Suite,
    device: DeviceShare,
    server: ServerShare,
    public_key: GroupPublicKey,
    nonce_key: SecretBytes<32>,
    rng: StdRng,
    device_commitment: Commitment,
    server_commitment: Commitment,
    contribution: Contribution,
    signature: Signature,
    single: SigningKey,
    parsed: (VerifyingKey, frost_secp256k1::Signature),
}

impl Parties {
    /// Generates a key and signs once.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn new() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let suite = SuiteId::FrostSecp256k1Sha256.get();
        let (hello_device, hello) = suite.device_hello(&key_context(), &mut rng).unwrap();
        let (hello_server, answer) = suite.server_hello(&key_context(), &hello, &mut rng).unwrap();
        let (opening_device, keys) = hello_device.keys(&answer, &mut rng).unwrap();
        let (server, public_key, opening) = hello_server.finish(&keys).unwrap();
        let (device, _) = opening_device.open(&opening).unwrap();
        let nonce_key = SecretBytes::random(&mut rng);
        let context = signing_context(public_key);
        let (nonce, device_commitment) = suite.device_commit(&hedge(), &mut rng).unwrap();
        let server_commitment =
            suite.server_commit(&server, &nonce_key, &context, &device_commitment).unwrap();
        let contribution = suite
            .contribute(
                DevicePart { share: &device, seed: &hedge() },
                nonce,
                &context,
                Commitments { device: &device_commitment, server: &server_commitment },
            )
            .unwrap();
        let commitments = Commitments { device: &device_commitment, server: &server_commitment };
        let signature = suite.finish(&server, &nonce_key, &context, commitments, &contribution).unwrap();
        let parsed = (
            VerifyingKey::deserialize(&public_key.0).unwrap(),
            frost_secp256k1::Signature::deserialize(signature.as_slice()).unwrap(),
        );
        let single = SigningKey::deserialize(&[7; 32]).unwrap();
        Self {
            suite,
            device,
            server,
            public_key,
            nonce_key,
            rng,
            device_commitment,
            server_commitment,
            contribution,
            signature,
            single,
            parsed,
        }
    }

    /// The server's part of the fetch: its commitment.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server_fetch(&self) -> Commitment {
        let context = signing_context(self.public_key);
        self.suite.server_commit(&self.server, &self.nonce_key, &context, &self.device_commitment).unwrap()
    }

    /// What the server does with an approve before it counts the attempt: the form, and its commitment once more.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server_check(&self) -> bool {
        self.suite.check_syntax(&self.device_commitment, &self.contribution).unwrap();
        self.server_fetch() == self.server_commitment
    }

    /// What the server does afterwards: its share, the sum, the check as an outsider.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server_finish(&self) -> Signature {
        let context = signing_context(self.public_key);
        let commitments = Commitments { device: &self.device_commitment, server: &self.server_commitment };
        self.suite.finish(&self.server, &self.nonce_key, &context, commitments, &self.contribution).unwrap()
    }

    /// All the server computes in the suite for one signature: fetch, check, finish.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server(&self) -> Signature {
        let _fetched = self.server_fetch();
        assert!(self.server_check());
        self.server_finish()
    }

    /// All the device computes in the suite for one signature: commit, contribute.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn device(&mut self) -> Contribution {
        let context = signing_context(self.public_key);
        let (nonce, commitment) = self.suite.device_commit(&hedge(), &mut self.rng).unwrap();
        self.suite
            .contribute(
                DevicePart { share: &self.device, seed: &hedge() },
                nonce,
                &context,
                Commitments { device: &commitment, server: &self.server_commitment },
            )
            .unwrap()
    }

    /// Baseline: the same curve and hash with the whole key in one hand.
    #[must_use]
    pub fn single_sign(&mut self) -> frost_secp256k1::Signature {
        self.single.sign(Bridge(&mut self.rng), &DIGEST)
    }

    /// Baseline: verifying with key and signature decoded beforehand, the least a verifier can do.
    ///
    /// # Panics
    /// If it fails.
    pub fn single_verify(&self) {
        self.parsed.0.verify(&DIGEST, &self.parsed.1).unwrap();
    }

    /// Verifying from bytes, as the suite offers it.
    #[must_use]
    pub fn suite_verify(&self) -> bool {
        self.suite.verify(&self.public_key, &DIGEST, &self.signature)
    }
}

impl Default for Parties {
    fn default() -> Self {
        Self::new()
    }
}

const fn hedge() -> SecretBytes<32> {
    SecretBytes::new([9; 32])
}

const fn key_context() -> KeyContext {
    KeyContext {
        suite: SuiteId::FrostSecp256k1Sha256,
        key: KeyId::from_bytes([1; 16]),
        epoch: Epoch(0),
        device: DeviceId::from_bytes([2; 16]),
    }
}

const fn signing_context(public_key: GroupPublicKey) -> SigningContext<'static> {
    SigningContext {
        key: key_context(),
        public_key,
        request_hash: [3; 32],
        fetched_at: UnixSeconds(1_700_000_000),
        index: 0,
        digest: &DIGEST,
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
