//! The suite by itself: a world of one key, honest and hostile parties.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

mod by_hand;
mod corrections;
mod damage;
mod hostile_device;
mod hostile_server;
mod implementations;
mod keygen;
mod known;
mod nonces;
mod seeds;
mod stream;
mod vectors;
mod wycheproof;

use alloc::vec::Vec;

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    ids::{DeviceId, Epoch, KeyId},
    time::UnixSeconds,
};

const DIGEST: [u8; 32] = [0x5a; 32];
const SESSION: [u8; 32] = [8; 32];

pub(crate) fn key_context() -> KeyContext {
    KeyContext {
        suite: SuiteId::Es256,
        key: KeyId::from_bytes([1; 16]),
        epoch: Epoch(0),
        device: DeviceId::from_bytes([2; 16]),
    }
}

/// The order of the group, big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The device's commitment, the server's, the device's contribution.
pub(crate) type Messages = (Commitment, Commitment, Contribution);

/// `bytes` with `new` at `at`.
fn with(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// `bytes` with the bits of `mask` flipped in the byte at `at`.
fn flipped(bytes: &[u8], at: usize, mask: u8) -> Vec<u8> {
    with(bytes, at, &[bytes[at] ^ mask])
}

/// Both parties of one key, and what a signature needs beside them.
pub(crate) struct World {
    pub(crate) rng: StdRng,
    pub(crate) key: KeyContext,
    pub(crate) device: DeviceShare,
    pub(crate) seed: SecretBytes<32>,
    pub(crate) server: ServerShare,
    pub(crate) public_key: GroupPublicKey,
    pub(crate) nonce_key: SecretBytes<32>,
}

/// Key generation with every message through `meddle`: the round's number and the message.
pub(crate) fn generate(
    rng: &mut StdRng,
    mut meddle: impl FnMut(u8, KeygenMessage) -> KeygenMessage,
) -> Result<(DeviceShare, SecretBytes<32>, ServerShare, GroupPublicKey), SuiteError> {
    let context = key_context();
    let (device, hello) = Es256.device_hello(&context, rng)?;
    let (server, answer) = Es256.server_hello(&context, &meddle(0, hello), rng)?;
    let (device, keys) = device.keys(&meddle(1, answer), rng)?;
    let (server, public_key, opening) = server.finish(&meddle(2, keys))?;
    let (device, device_key) = device.open(&meddle(3, opening))?;
    assert_eq!(device_key, public_key);
    let seed = SecretBytes::random(rng);
    let (seeding, asked) = Es256.server_seeding(server, &SESSION, rng)?;
    let seeds = Es256.device_seeding(&context, &seed, &SESSION, &meddle(4, asked), rng)?;
    Ok((device, seed, seeding.finish(&meddle(5, seeds))?, public_key))
}

impl World {
    pub(crate) fn new(number: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(number);
        let (device, seed, server, public_key) = generate(&mut rng, |_, message| message).unwrap();
        Self { rng, key: key_context(), device, seed, server, public_key, nonce_key: Secret::new([7; 32]) }
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

    /// The device's nonce and both commitments.
    pub(crate) fn commit(&mut self, context: &SigningContext<'_>) -> (DeviceNonce, Commitment, Commitment) {
        let (nonce, device) = Es256.device_commit(&Secret::new([9; 32]), &mut self.rng).unwrap();
        let server = self.answer(context, &device);
        (nonce, device, server)
    }

    /// The server's commitment.
    pub(crate) fn answer(&self, context: &SigningContext<'_>, device: &Commitment) -> Commitment {
        Es256.server_commit(&self.server, &self.nonce_key, context, device).unwrap()
    }

    /// The device's contribution to given commitments.
    pub(crate) fn part(
        &self,
        context: &SigningContext<'_>,
        nonce: DeviceNonce,
        commitments: Commitments<'_>,
    ) -> Result<Contribution, SuiteError> {
        let part = DevicePart { share: &self.device, seed: &self.seed };
        Es256.contribute(part, nonce, context, commitments)
    }

    pub(crate) fn contribute(&mut self, context: &SigningContext<'_>) -> Messages {
        let (nonce, device, server) = self.commit(context);
        let commitments = Commitments { device: &device, server: &server };
        let contribution = self.part(context, nonce, commitments).unwrap();
        Es256.check_syntax(&device, &contribution).unwrap();
        (device, server, contribution)
    }

    /// Bit `j` of the server's share, from the lowest.
    pub(crate) fn bit(&self, j: usize) -> bool {
        (self.server.0[31 - j / 8] >> (j % 8)) & 1 == 1
    }

    pub(crate) fn finish(
        &self,
        context: &SigningContext<'_>,
        (device, server, contribution): &Messages,
    ) -> Result<Signature, FinishError> {
        let commitments = Commitments { device, server };
        Es256.finish(&self.server, &self.nonce_key, context, commitments, contribution)
    }

    pub(crate) fn sign(&mut self, context: &SigningContext<'_>) -> Result<Signature, FinishError> {
        let messages = self.contribute(context);
        self.finish(context, &messages)
    }
}

#[test]
fn e25_001_two_shares_make_an_ordinary_signature() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let context = world.context();
        let signature = world.sign(&context).unwrap();
        assert_eq!(signature.as_slice().len(), 64);
        assert!(Es256.verify(&world.public_key, &DIGEST, &signature));
        assert!(!Es256.verify(&world.public_key, &[0; 32], &signature));
    }
}
