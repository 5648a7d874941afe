//! The secret paths, one after the other. What a party sends is marked public when it is sent.

use std::hint::black_box;

use signer_core::{
    ids::{DeviceId, Epoch, KeyId},
    secret::SecretBytes,
    suite::{
        Commitments, DevicePart, DeviceShare, GroupPublicKey, KeyContext, KeygenMessage, ServerShare,
        SigningContext, Suite, SuiteId,
    },
    time::UnixSeconds,
};

use crate::{generator::Generator, mark};

const DIGEST: [u8; 32] = [0x5A; 32];
const SESSION: [u8; 32] = [8; 32];
/// Where the seeds begin in the server's share: behind x_S (32) and Q (65).
const SEEDS: usize = 32 + 65;

const CONTEXT: KeyContext = KeyContext {
    suite: SuiteId::Es256,
    key: KeyId::from_bytes([1; 16]),
    epoch: Epoch(0),
    device: DeviceId::from_bytes([2; 16]),
};

/// Both parties of one key, its secrets marked.
struct Key {
    device: DeviceShare,
    seed: SecretBytes<32>,
    server: ServerShare,
    nonce_key: SecretBytes<32>,
    public_key: GroupPublicKey,
}

pub fn all() {
    let suite = SuiteId::Es256.get();
    let key = keygen(suite);
    println!("key generation and oblivious transfer: done");
    sign(suite, &key);
    println!("signature: done");
    shares(suite, &key);
    println!("masking and refresh: done");
}

fn sent(message: KeygenMessage) -> KeygenMessage {
    mark::public(message.as_slice());
    message
}

fn secret<const N: usize>(byte: u8) -> SecretBytes<N> {
    let mut secret = SecretBytes::new([byte; N]);
    mark::secret(secret.expose_mut());
    secret
}

fn keygen(suite: &dyn Suite) -> Key {
    let rng = &mut Generator::new();
    let (device, hello) = suite.device_hello(&CONTEXT, rng.public(1)).unwrap();
    let (server, answer) = suite.server_hello(&CONTEXT, &sent(hello), rng.public(2)).unwrap();
    let (device, keys) = device.keys(&sent(answer), rng).unwrap();
    let (server, public_key, opening) = server.finish(&sent(keys)).unwrap();
    let (device, _) = device.open(&sent(opening)).unwrap();
    mark::public(&public_key.0);

    let seed = secret(3);
    let (seeding, asked) = suite.server_seeding(server, &SESSION, rng).unwrap();
    let seeds = suite.device_seeding(&CONTEXT, &seed, &SESSION, &sent(asked), rng).unwrap();
    let server = seeding.finish(&sent(seeds)).unwrap();
    // Q in the server's share is public like the key; x_S and the seeds stay secret.
    mark::public(server.0.get(32..SEEDS).unwrap());
    Key { device, seed, server, nonce_key: secret(4), public_key }
}

fn sign(suite: &dyn Suite, key: &Key) {
    let rng = &mut Generator::new();
    let context = SigningContext {
        key: CONTEXT,
        public_key: key.public_key,
        request_hash: [3; 32],
        fetched_at: UnixSeconds(1_700_000_000),
        index: 0,
        digest: &DIGEST,
    };
    let (nonce, device) = suite.device_commit(&secret(5), rng).unwrap();
    mark::public(device.as_slice());
    let server = suite.server_commit(&key.server, &key.nonce_key, &context, &device).unwrap();
    mark::public(server.as_slice());
    let commitments = Commitments { device: &device, server: &server };
    let part = DevicePart { share: &key.device, seed: &key.seed };
    let contribution = suite.contribute(part, nonce, &context, commitments).unwrap();
    mark::public(contribution.as_slice());
    suite.check_syntax(&device, &contribution).unwrap();
    let signature = suite.finish(&key.server, &key.nonce_key, &context, commitments, &contribution).unwrap();
    mark::public(signature.as_slice());
    assert!(suite.verify(&key.public_key, &DIGEST, &signature));
}

fn shares(suite: &dyn Suite, key: &Key) {
    let (mask, offset) = (secret(6), secret(7));
    let masked = suite.mask(&key.device, &mask);
    let unmasked = suite.unmask(&masked, &mask);
    black_box(suite.offset_device_share(&unmasked, &offset));
    black_box(suite.offset_server_share(&key.server, &offset).unwrap());
}

/// Takes a branch on a secret bit.
pub fn leaking_branch() {
    let share: SecretBytes<32> = secret(9);
    if black_box(share.expose()[0]) & 1 == 1 {
        println!("leaked");
    }
}

/// Reads a table at a secret place.
pub fn leaking_index() {
    let share: SecretBytes<32> = secret(9);
    let table = black_box([1_u8; 256]);
    black_box(table[usize::from(share.expose()[0])]);
}
