//! Altered, foreign and malformed messages: refused, or found out; never a panic, never a signature.

use alloc::{vec, vec::Vec};

use super::*;
use crate::suite::{COMMITMENT_BYTES_MAX, CONTRIBUTION_BYTES_MAX};

/// The order of secp256k1 (SEC 2 v2 §2.4.1).
const ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xBA,
    0xAE, 0xDC, 0xE6, 0xAF, 0x48, 0xA0, 0x3B, 0xBF, 0xD2, 0x5E, 0x8C, 0xD0, 0x36, 0x41, 0x41,
];

fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).flat_map(|at| [1, 0x80, 0xFF].map(|flip| (at, flip))).map(|(at, flip)| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= flip;
        bytes
    })
}

fn bad_points() -> Vec<Vec<u8>> {
    let good = points::point_bytes(&k256::ProjectivePoint::GENERATOR);
    assert_eq!(good[0], 2);
    let with = |prefix: u8, x: [u8; 32]| [&[prefix], &x[..]].concat();
    let x: [u8; 32] = good[1..].try_into().unwrap();
    let mut past_field = [0xFF; 32];
    past_field[27] = 0xFE;
    vec![
        vec![0; 33],         // the identity, padded
        vec![0],             // the identity
        with(0, x),          //
        with(4, x),          // uncompressed, cut short
        with(5, x),          // compact: the same point in a second encoding
        with(6, x),          // hybrid
        with(2, [0; 32]),    // x = 0 is not on the curve
        with(2, [5; 32]),    // nor is this
        with(2, past_field), // x past the field's modulus
        good[..32].to_vec(), //
        [&good[..], &[0]].concat(),
        vec![],
    ]
}

fn bad_scalars() -> Vec<Vec<u8>> {
    let mut next = ORDER;
    next[31] += 1;
    vec![vec![0; 32], ORDER.to_vec(), next.to_vec(), vec![0xFF; 32], vec![1; 31], vec![1; 33], vec![]]
}

#[test]
fn fro_003_malformed_points_and_scalars_are_refused() {
    for bad in bad_points() {
        assert!(points::point(&bad).is_none(), "{bad:02x?}");
    }
    for bad in bad_scalars() {
        assert!(points::scalar(&bad).is_none(), "{bad:02x?}");
    }
    let mut last = ORDER;
    last[31] -= 1;
    assert!(points::scalar(&last).is_some());
}

#[test]
fn fro_003_a_second_encoding_of_a_signature_is_refused() {
    // The crate reads the compact form (5) of a point with even y. So that we hear if it stops.
    let mut world = World::new(3);
    let mut bytes = loop {
        let signature = world.sign().unwrap().as_slice().to_vec();
        if signature[0] == 2 {
            break signature;
        }
    };
    bytes[0] = 5;
    assert!(frost_secp256k1::Signature::deserialize(&bytes).is_ok());
    assert!(!Frost.verify(&world.public_key, &DIGEST, &Signature::new(bytes).unwrap()));
}

#[test]
fn fro_004_check_syntax_refuses_malformed_messages() {
    let mut world = World::new(4);
    let (device, contribution) = world.contribute();
    let refused = |device: &Commitment, contribution: &Contribution| {
        assert_eq!(Frost.check_syntax(device, contribution), Err(SuiteError::Peer));
        // What should have been stopped there still makes no signature.
        assert_eq!(world.finish(device, contribution), Err(FinishError::Cheating));
    };
    for bad in bad_scalars() {
        refused(&device, &Contribution::new(bad).unwrap());
    }
    refused(&device, &Contribution::new(vec![1; CONTRIBUTION_BYTES_MAX]).unwrap());
    let (hiding, binding) = device.as_slice().split_at(33);
    for bad in bad_points() {
        for commitment in [[&bad, binding].concat(), [hiding, &bad].concat()] {
            let commitment = Commitment::new(commitment).unwrap();
            refused(&commitment, &contribution);
            assert_eq!(
                Frost.server_commit(&world.server, &world.nonce_key, &world.context(), &commitment),
                Err(SuiteError::Peer)
            );
        }
    }
    refused(&Commitment::new(vec![2; COMMITMENT_BYTES_MAX]).unwrap(), &contribution);
}

#[test]
fn fro_005_every_altered_byte_of_key_generation_is_refused() {
    let lengths = [138, 174, 35, 0];
    for (number, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            for flip in [1, 0x80, 0xFF] {
                let result = generate(&mut StdRng::seed_from_u64(5), |n, message| {
                    let mut bytes = message.as_slice().to_vec();
                    if n == number {
                        assert_eq!(bytes.len(), length);
                        bytes[at] ^= flip;
                    }
                    KeygenMessage::new(bytes).unwrap()
                });
                assert!(matches!(result, Err(SuiteError::Peer)), "message {number} byte {at}");
            }
        }
        for change in [0, 1] {
            let result = generate(&mut StdRng::seed_from_u64(5), |n, message| {
                let mut bytes = message.as_slice().to_vec();
                match (n == number, change) {
                    (true, 0) => bytes.push(0),
                    (true, _) => drop(bytes.pop()),
                    _ => {}
                }
                KeygenMessage::new(bytes).unwrap()
            });
            // The opening is empty already, so taking a byte away changes nothing.
            assert_eq!(result.is_ok(), number == 3 && change == 1, "message {number}");
        }
    }
}

#[test]
fn fro_006_own_package_sent_back_is_refused() {
    let mut rng = StdRng::seed_from_u64(6);
    let (device, hello) = Frost.device_hello(&key_context(), &mut rng).unwrap();
    // Reflected as a server hello: the same commitments and proof, with a share that fits them or not.
    let mut reflected = vec![0x82];
    reflected.extend_from_slice(hello.as_slice());
    reflected.extend_from_slice(&[0x81, 0x58, 0x20]);
    reflected.extend_from_slice(&[1; 32]);
    let answer = device.keys(&KeygenMessage::new(reflected).unwrap(), &mut rng);
    assert_eq!(answer.err(), Some(SuiteError::Peer));
    // A server's round 1 sent to the server as a device hello: its proof is for another number.
    let (_, answer) = Frost.server_hello(&key_context(), &hello, &mut rng).unwrap();
    let round1 = KeygenMessage::new(answer.as_slice()[1..139].to_vec()).unwrap();
    assert_eq!(Frost.server_hello(&key_context(), &round1, &mut rng).err(), Some(SuiteError::Peer));
}

#[test]
fn fro_007_every_altered_byte_of_signing_is_refused_or_cheating() {
    let mut world = World::new(7);
    let (device, contribution) = world.contribute();
    let judge = |device: Commitment, contribution: Contribution| {
        let syntax = Frost.check_syntax(&device, &contribution);
        let result = world.finish(&device, &contribution);
        assert!(matches!(syntax, Ok(()) | Err(SuiteError::Peer)));
        assert_eq!(result, Err(FinishError::Cheating));
    };
    for bytes in flipped(contribution.as_slice()) {
        judge(device.clone(), Contribution::new(bytes).unwrap());
    }
    for bytes in flipped(device.as_slice()) {
        judge(Commitment::new(bytes).unwrap(), contribution.clone());
    }
}

#[test]
fn fro_007_altered_server_commitment_or_context_makes_no_signature() {
    let world = World::new(8);
    let context = world.context();
    let (_, device) = Frost.device_commit(&Secret::new([9; 32]), &mut StdRng::seed_from_u64(1)).unwrap();
    let server = Frost.server_commit(&world.server, &world.nonce_key, &context, &device).unwrap();
    let nonce = || Frost.device_commit(&Secret::new([9; 32]), &mut StdRng::seed_from_u64(1)).unwrap().0;
    for bytes in flipped(server.as_slice()) {
        let altered = Commitment::new(bytes).unwrap();
        match Frost.contribute(
            part(&world.device),
            nonce(),
            &context,
            Commitments { device: &device, server: &altered },
        ) {
            Err(error) => assert_eq!(error, SuiteError::Peer),
            Ok(contribution) => {
                assert_eq!(world.finish(&device, &contribution), Err(FinishError::Cheating));
            }
        }
    }
    let other = SigningContext { digest: &[1; 32], ..context };
    let contribution = Frost
        .contribute(part(&world.device), nonce(), &other, Commitments { device: &device, server: &server })
        .unwrap();
    assert_eq!(world.finish(&device, &contribution), Err(FinishError::Cheating));
    // Our own commitment reflected as the server's.
    assert_eq!(
        Frost.contribute(
            part(&world.device),
            nonce(),
            &context,
            Commitments { device: &device, server: &device }
        ),
        Err(SuiteError::Peer)
    );
}

#[test]
fn fro_008_a_nonce_serves_its_own_commitment_only() {
    let mut world = World::new(9);
    let context = world.context();
    let (nonce, device) = Frost.device_commit(&Secret::new([9; 32]), &mut world.rng).unwrap();
    let (_, other) = Frost.device_commit(&Secret::new([9; 32]), &mut world.rng).unwrap();
    let server = Frost.server_commit(&world.server, &world.nonce_key, &context, &other).unwrap();
    assert_eq!(
        Frost.contribute(
            part(&world.device),
            nonce,
            &context,
            Commitments { device: &other, server: &server }
        ),
        Err(SuiteError::OwnMaterial)
    );
    assert_ne!(device, other);
}

#[test]
fn fro_009_damaged_server_material_is_a_fault_and_blames_nobody() {
    let mut world = World::new(10);
    let (device, contribution) = world.contribute();
    let mut cheat = contribution.as_slice().to_vec();
    cheat[31] ^= 1;
    let cheat = Contribution::new(cheat).unwrap();
    let good = world.server.0.to_vec();
    for bytes in flipped(&good) {
        world.server = ServerShare(bytes.into());
        match world.finish(&device, &contribution) {
            // A wrong verifying share of the device does not matter while signatures verify.
            Ok(signature) => assert!(Frost.verify(&world.public_key, &DIGEST, &signature)),
            Err(error) => assert_eq!(error, FinishError::ServerFault),
        }
        assert_eq!(world.finish(&device, &cheat), Err(FinishError::ServerFault));
    }
    world.server = ServerShare(good.into());
    let stranger = World::new(11).public_key;
    let context = SigningContext { public_key: stranger, ..world.context() };
    assert_eq!(
        Frost.finish(
            &world.server,
            &world.nonce_key,
            &context,
            Commitments { device: &device, server: &device },
            &contribution
        ),
        Err(FinishError::ServerFault)
    );
    assert!(world.finish(&device, &contribution).is_ok());
    assert_eq!(world.finish(&device, &cheat), Err(FinishError::Cheating));
}
