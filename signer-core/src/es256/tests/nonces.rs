//! The server's nonces: the same input gives the same, every other input another.

use alloc::collections::BTreeSet;

use p256::ProjectivePoint;

use super::{by_hand::random, *};

static OTHER_DIGEST: [u8; 32] = [0xa5; 32];

/// `context` with one field changed, for each field.
pub(super) fn others(context: &SigningContext<'static>) -> [SigningContext<'static>; 9] {
    let key = context.key;
    let keyed = |key| SigningContext { key, ..*context };
    [
        keyed(KeyContext { suite: SuiteId::FrostSecp256k1Sha256, ..key }),
        keyed(KeyContext { key: KeyId::from_bytes([0xee; 16]), ..key }),
        keyed(KeyContext { epoch: Epoch(1), ..key }),
        keyed(KeyContext { device: DeviceId::from_bytes([0xee; 16]), ..key }),
        SigningContext { request_hash: [0xee; 32], ..*context },
        SigningContext { fetched_at: context.fetched_at.plus(1), ..*context },
        SigningContext { index: 1, ..*context },
        SigningContext { digest: &OTHER_DIGEST, ..*context },
        SigningContext { public_key: GroupPublicKey(negated(&context.public_key.0)), ..*context },
    ]
}

fn negated(point: &[u8; 33]) -> [u8; 33] {
    flipped(point, 0, 1).try_into().unwrap()
}

/// T = z·G − c·R₂, the proof's nonce point.
fn proof_point(commitment: &Commitment) -> [u8; 65] {
    let bytes = commitment.as_slice();
    let r2 = points::from_uncompressed(&bytes[..65]).unwrap();
    let (c, z) = (&bytes[65..97], &bytes[97..129]);
    let (c, z) = (scalars::canonical(c).unwrap(), scalars::canonical(z).unwrap());
    points::uncompressed(&(ProjectivePoint::GENERATOR * z - r2 * c)).unwrap()
}

#[test]
fn e25_010_the_same_input_gives_the_same_nonce_and_any_other_another() {
    let mut world = World::new(40);
    let context = world.context();
    let (_, device, answer) = world.commit(&context);
    assert_eq!(world.answer(&context, &device), answer);
    let mut answers = Vec::from([answer]);
    answers.extend(others(&context).iter().map(|other| world.answer(other, &device)));
    let changed = |at, mask| Commitment::new(flipped(device.as_slice(), at, mask)).unwrap();
    answers.extend((0..32).map(|at| world.answer(&context, &changed(at, 1))));
    for at in 0..32 {
        world.nonce_key = Secret::new(flipped(&[7; 32], at, 0x80).try_into().unwrap());
        answers.push(world.answer(&context, &device));
    }
    // Two shares have no nonce in common, not even under one nonce key.
    world.nonce_key = Secret::new([7; 32]);
    world.server = World::new(43).server;
    answers.push(world.answer(&context, &device));
    // Neither nonce meets another input: R₂, nor the point of its proof.
    let mut seen = BTreeSet::new();
    for answer in &answers {
        assert!(seen.insert(answer.as_slice()[..65].to_vec()), "R₂ twice");
        assert!(seen.insert(proof_point(answer).to_vec()), "T twice");
    }
}

#[test]
fn e25_011_nonces_of_many_contexts_are_distinct() {
    let mut world = World::new(41);
    let mut seen = BTreeSet::new();
    for number in 0..500_u32 {
        let digest = scalars::bytes(&random(&mut world.rng));
        let base = world.context();
        let context = SigningContext {
            digest: &digest,
            index: number % 32,
            request_hash: scalars::bytes(&random(&mut world.rng)),
            fetched_at: base.fetched_at.plus(u64::from(number % 7)),
            ..base
        };
        let (nonce, device, answer) = world.commit(&context);
        for point in [&answer.as_slice()[..65], &proof_point(&answer), &nonce.bytes()[32..97]] {
            assert!(seen.insert(point.to_vec()));
        }
        assert!(seen.insert(device.as_slice().to_vec()));
    }
    assert_eq!(seen.len(), 2000);
}

#[test]
fn e25_012_device_nonces_are_fresh_and_hedged() {
    let draw = |hedge: u8, seed: u64| {
        let mut rng = StdRng::seed_from_u64(seed);
        Es256.device_commit(&Secret::new([hedge; 32]), &mut rng).unwrap().0.bytes().to_vec()
    };
    let base = draw(1, 1);
    assert_eq!(base, draw(1, 1));
    for other in [draw(1, 2), draw(2, 1)] {
        // k₁, R₁, salt, pad nonce: a repeating generator alone does not repeat one of them.
        for range in [0..32, 32..97, 97..129, 129..161] {
            assert_ne!(base[range.clone()], other[range]);
        }
    }
    assert!(Es256.device_commit(&Secret::new([0; 32]), &mut StdRng::seed_from_u64(1)).is_ok());
}

#[test]
fn e25_013_a_digest_that_is_0_modulo_the_order_is_not_signed() {
    let mut world = World::new(42);
    let context = world.context();
    let (_, device, _) = world.commit(&context);
    for (digest, signable) in [([0; 32], false), (ORDER, false), ([0xff; 32], true)] {
        assert_eq!(Es256.is_signable(&digest), signable);
        let context = SigningContext { digest: &digest, ..context };
        let answer = Es256.server_commit(&world.server, &world.nonce_key, &context, &device);
        assert_eq!(answer.is_ok(), signable);
        if signable {
            assert!(world.sign(&context).is_ok());
        } else {
            let (nonce, device, server) = world.commit(&world.context());
            let commitments = Commitments { device: &device, server: &server };
            assert_eq!(world.part(&context, nonce, commitments), Err(SuiteError::Peer));
        }
    }
}
