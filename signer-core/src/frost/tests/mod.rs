//! Both parties in one process, and what must not work between them.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

mod hostile;
mod nonces;
mod rfc9591;
mod shares;

use alloc::format;

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    ids::{DeviceId, Epoch, KeyId},
    secret::Secret,
    time::UnixSeconds,
};

pub(crate) const DIGEST: [u8; 32] = [0x5A; 32];

/// One key and all that a signature needs besides.
pub(crate) struct World {
    pub(crate) rng: StdRng,
    pub(crate) key: KeyContext,
    pub(crate) device: DeviceShare,
    pub(crate) server: ServerShare,
    pub(crate) public_key: GroupPublicKey,
    pub(crate) nonce_key: SecretBytes<32>,
}

pub(crate) fn key_context() -> KeyContext {
    KeyContext {
        suite: SuiteId::FrostSecp256k1Sha256,
        key: KeyId::from_bytes([1; 16]),
        epoch: Epoch(0),
        device: DeviceId::from_bytes([2; 16]),
    }
}

/// What a key generation gives: device's share, server's share, group public key.
type Keys = (DeviceShare, ServerShare, GroupPublicKey);

/// One key generation in which `meddle` may change each of the four messages, told by its number.
fn generate(
    rng: &mut StdRng,
    meddle: impl Fn(usize, KeygenMessage) -> KeygenMessage,
) -> Result<Keys, SuiteError> {
    let context = key_context();
    let (device, hello) = Frost.device_hello(&context, rng)?;
    let (server, answer) = Frost.server_hello(&context, &meddle(0, hello), rng)?;
    let (device, keys) = device.keys(&meddle(1, answer), rng)?;
    let (server, public_key, opening) = server.finish(&meddle(2, keys))?;
    let (device, same) = device.open(&meddle(3, opening))?;
    assert_eq!(public_key, same);
    Ok((device, server, public_key))
}

/// FROST takes no seed.
fn part(share: &DeviceShare) -> DevicePart<'_> {
    static SEED: SecretBytes<32> = Secret::new([0; 32]);
    DevicePart { share, seed: &SEED }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (device, server, public_key) = generate(&mut rng, |_, message| message).unwrap();
        Self { rng, key: key_context(), device, server, public_key, nonce_key: Secret::new([7; 32]) }
    }

    pub(crate) fn context(&self) -> SigningContext<'static> {
        SigningContext {
            key: self.key,
            public_key: self.public_key,
            request_hash: [3; 32],
            fetched_at: UnixSeconds(1_700_000_000),
            index: 0,
            digest: &DIGEST,
        }
    }

    pub(crate) fn contribute(&mut self) -> (Commitment, Contribution) {
        let context = self.context();
        let (nonce, device) = Frost.device_commit(&Secret::new([9; 32]), &mut self.rng).unwrap();
        let server = Frost.server_commit(&self.server, &self.nonce_key, &context, &device).unwrap();
        let commitments = Commitments { device: &device, server: &server };
        let contribution = Frost.contribute(part(&self.device), nonce, &context, commitments).unwrap();
        Frost.check_syntax(&device, &contribution).unwrap();
        (device, contribution)
    }

    fn finish(&self, device: &Commitment, contribution: &Contribution) -> Result<Signature, FinishError> {
        let commitments = Commitments { device, server: device };
        Frost.finish(&self.server, &self.nonce_key, &self.context(), commitments, contribution)
    }

    pub(crate) fn sign(&mut self) -> Result<Signature, FinishError> {
        let (device, contribution) = self.contribute();
        self.finish(&device, &contribution)
    }
}

#[test]
fn fro_001_two_shares_make_an_ordinary_signature() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        let signature = world.sign().unwrap();
        assert_eq!(signature.as_slice().len(), 65);
        assert!(Frost.verify(&world.public_key, &DIGEST, &signature));
        assert!(check::signature_is_valid(&world.public_key.0, &DIGEST, signature.as_slice()));
        assert!(!Frost.verify(&world.public_key, &[0; 32], &signature));
        assert!(!check::signature_is_valid(&world.public_key.0, &[0; 32], signature.as_slice()));
    }
}

#[test]
fn fro_013_debug_shows_no_secret() {
    let mut world = World::new(2);
    let context = key_context();
    let (round1, hello) = Frost.device_hello(&context, &mut world.rng).unwrap();
    let (server, answer) = Frost.server_hello(&context, &hello, &mut world.rng).unwrap();
    insta::assert_snapshot!(format!("{round1:?} {hello:?}"), @"DeviceRound1(redacted) Blob(138 bytes)");
    let (round2, keys) = round1.keys(&answer, &mut world.rng).unwrap();
    insta::assert_snapshot!(format!("{server:?} {answer:?}"), @"ServerRound2(redacted) Blob(174 bytes)");
    insta::assert_snapshot!(format!("{round2:?} {keys:?}"), @"DeviceRound2(redacted) Blob(35 bytes)");
    let (nonce, _) = Frost.device_commit(&Secret::new([9; 32]), &mut world.rng).unwrap();
    let (_, contribution) = world.contribute();
    insta::assert_snapshot!(format!("{nonce:?} {contribution:?}"), @"DeviceNonce(redacted) Blob(32 bytes)");
    let masked = Frost.mask(&world.device, &Secret::new([1; 64]));
    insta::assert_snapshot!(format!("{:?} {:?} {masked:?}", world.device, world.server),
        @"DeviceShare(Secret(redacted)) ServerShare(redacted) MaskedShare(redacted)");
}
