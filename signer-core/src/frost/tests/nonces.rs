//! Nonces: the server's are a function of everything, the device's of fresh randomness and a secret.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// What the server's nonce depends on, in a form proptest can change.
#[derive(Debug, Clone, PartialEq)]
struct Input {
    key: [u8; 16],
    epoch: u32,
    device: [u8; 16],
    request_hash: [u8; 32],
    fetched_at: u64,
    index: u32,
    digest: [u8; 32],
    commitment: u64,
    nonce_key: [u8; 32],
}

fn input() -> impl Strategy<Value = Input> {
    // Few values per field, so that many pairs differ in one field only.
    let few = || prop_oneof![Just(0u8), Just(1)];
    (few(), 0u32..2, few(), few(), 0u64..2, 0u32..2, few(), 0u64..2, few()).prop_map(
        |(key, epoch, device, request_hash, fetched_at, index, digest, commitment, nonce_key)| Input {
            key: [key; 16],
            epoch,
            device: [device; 16],
            request_hash: [request_hash; 32],
            fetched_at,
            index,
            digest: [digest; 32],
            commitment,
            nonce_key: [nonce_key; 32],
        },
    )
}

fn commit(world: &World, input: &Input) -> Commitment {
    let mut rng = StdRng::seed_from_u64(input.commitment);
    let (_, device) = Frost.device_commit(&Secret::new([9; 32]), &mut rng).unwrap();
    let context = SigningContext {
        key: KeyContext {
            suite: SuiteId::FrostSecp256k1Sha256,
            key: KeyId::from_bytes(input.key),
            epoch: Epoch(input.epoch),
            device: DeviceId::from_bytes(input.device),
        },
        public_key: world.public_key,
        request_hash: input.request_hash,
        fetched_at: UnixSeconds(input.fetched_at),
        index: input.index,
        digest: &input.digest,
    };
    Frost.server_commit(&world.server, &Secret::new(input.nonce_key), &context, &device).unwrap()
}

/// One key for all cases.
static WORLD: LazyLock<World> = LazyLock::new(|| World::new(12));

proptest! {
    #[test]
    fn fro_010_server_nonce_is_a_function_of_everything_before_it((a, b) in (input(), input())) {
        prop_assert_eq!(commit(&WORLD, &a) == commit(&WORLD, &b), a == b);
    }
}

/// Every single field alone changes the nonce; proptest above finds pairs by chance only.
#[test]
fn fro_010_each_field_alone_changes_the_server_nonce() {
    let world = World::new(13);
    let base = Input {
        key: [1; 16],
        epoch: 1,
        device: [1; 16],
        request_hash: [1; 32],
        fetched_at: 1,
        index: 1,
        digest: [1; 32],
        commitment: 1,
        nonce_key: [1; 32],
    };
    let first = commit(&world, &base);
    let same = base.clone();
    assert_eq!(first, commit(&world, &same));
    for other in [
        Input { key: [2; 16], ..base.clone() },
        Input { epoch: 2, ..base.clone() },
        Input { device: [2; 16], ..base.clone() },
        Input { request_hash: [2; 32], ..base.clone() },
        Input { fetched_at: 2, ..base.clone() },
        Input { index: 2, ..base.clone() },
        Input { digest: [2; 32], ..base.clone() },
        Input { commitment: 2, ..base.clone() },
        Input { nonce_key: [2; 32], ..base },
    ] {
        let second = commit(&world, &other);
        assert_ne!(first, second, "{other:?}");
        assert_ne!(first.as_slice()[..33], second.as_slice()[..33]);
        assert_ne!(first.as_slice()[33..], second.as_slice()[33..]);
    }
    // Another key: another share is mixed in, and another Q.
    assert_ne!(first, commit(&World::new(14), &same));
}

#[test]
fn fro_011_device_nonces_are_fresh_and_hedged() {
    let draw = |hedge: u8, seed: u64| {
        Frost.device_commit(&Secret::new([hedge; 32]), &mut StdRng::seed_from_u64(seed)).unwrap().1
    };
    assert_ne!(draw(1, 1), draw(1, 2));
    assert_ne!(draw(1, 1), draw(2, 1), "a repeating generator alone does not repeat a nonce");
    let one = draw(1, 1);
    assert_ne!(one.as_slice()[..33], one.as_slice()[33..]);
    // Secrets whose naive reduction would be zero are taken too.
    assert!(Frost.device_commit(&Secret::new([0; 32]), &mut StdRng::seed_from_u64(1)).is_ok());
    assert!(Frost.device_commit(&Secret::new([0xFF; 32]), &mut StdRng::seed_from_u64(1)).is_ok());
}
