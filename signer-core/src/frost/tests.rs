use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use k256::{ProjectivePoint, Scalar};
use minicbor::{Decode, Encode};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    codec,
    ids::{DeviceId, Epoch, KeyId},
    secret::Secret,
    suite::{CONTRIBUTION_BYTES_MAX, DeviceOpening},
    time::UnixSeconds,
};

/// One key and all that a signature needs besides.
struct World {
    rng: StdRng,
    device: DeviceShare,
    server: ServerShare,
    public_key: GroupPublicKey,
    nonce_key: SecretBytes<32>,
}

const DIGEST: [u8; 32] = [0x5A; 32];

fn key_context() -> KeyContext {
    KeyContext {
        suite: SuiteId::FrostSecp256k1Sha256,
        key: KeyId::from_bytes([1; 16]),
        epoch: Epoch(0),
        device: DeviceId::from_bytes([2; 16]),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let context = key_context();
        let (device, hello) = Frost.device_hello(&context, &mut rng).unwrap();
        let (server, answer) = Frost.server_hello(&context, &hello, &mut rng).unwrap();
        let (device, keys) = device.keys(&answer, &mut rng).unwrap();
        let (server, public_key, opening) = server.finish(&keys).unwrap();
        let (device, same) = device.open(&opening).unwrap();
        assert_eq!(public_key, same);
        Self { rng, device, server, public_key, nonce_key: Secret::new([7; 32]) }
    }

    fn context(&self) -> SigningContext<'static> {
        SigningContext {
            key: key_context(),
            public_key: self.public_key,
            request_hash: [3; 32],
            fetched_at: UnixSeconds(1_700_000_000),
            index: 0,
            digest: &DIGEST,
        }
    }

    fn contribute(&mut self) -> (Commitment, Contribution) {
        let context = self.context();
        let (nonce, device) = Frost.device_commit(&Secret::new([9; 32]), &mut self.rng).unwrap();
        let server = Frost.server_commit(&self.server, &self.nonce_key, &context, &device).unwrap();
        let contribution =
            Frost.contribute(&self.device, nonce, &context, &device, &server, &mut self.rng).unwrap();
        Frost.check_syntax(&device, &contribution).unwrap();
        (device, contribution)
    }

    fn finish(&self, device: &Commitment, contribution: &Contribution) -> Result<Signature, FinishError> {
        Frost.finish(&self.server, &self.nonce_key, &self.context(), device, contribution)
    }
}

#[test]
fn fro_001_two_shares_make_an_ordinary_signature() {
    let mut world = World::new(1);
    let (device, contribution) = world.contribute();
    let signature = world.finish(&device, &contribution).unwrap();
    assert_eq!(signature.as_slice().len(), 65);
    assert!(Frost.verify(&world.public_key, &DIGEST, &signature));
    assert!(check::signature_is_valid(&world.public_key.0, &DIGEST, signature.as_slice()));
    assert!(!Frost.verify(&world.public_key, &[0; 32], &signature));
}
