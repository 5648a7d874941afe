//! Key generation with hostile messages: refused, or no signature ever comes of the key.

use alloc::{boxed::Box, vec};

use p256::{ProjectivePoint, Scalar};

use super::*;
use crate::{
    domain::{Domain, Hasher},
    suite::DeviceOpening,
};

pub(super) const DEVICE: u64 = 1;
pub(super) const SERVER: u64 = 2;

/// Name of a run of key generation, by the formula.
pub(super) fn run_of(context: &KeyContext, device: &[u8], server: &[u8]) -> [u8; 32] {
    Hasher::new(Domain::Es256Keygen)
        .number(1)
        .number(2)
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
        .field(device)
        .field(server)
        .finish()
}

pub(super) fn statement(run: &[u8; 32], role: u64, commitment: &[u8]) -> [u8; 32] {
    Hasher::new(Domain::Es256KeyProof).field(run).number(role).field(commitment).finish()
}

pub(super) fn commitment(run: &[u8; 32], public: &[u8], proof: &[u8], salt: &[u8]) -> [u8; 32] {
    Hasher::new(Domain::Es256KeyCommitment).field(run).field(public).field(proof).field(salt).finish()
}

fn public(x: &Scalar) -> Vec<u8> {
    points::compressed(&(ProjectivePoint::GENERATOR * x).to_affine()).unwrap().to_vec()
}

/// X and the proof of x on a statement.
fn proven(x: &Scalar, statement: &[u8; 32]) -> Vec<u8> {
    let point = public(x);
    let proof = proof::prove(x, &point, statement, &Scalar::from(11_u64)).unwrap();
    [&point[..], &proof].concat()
}

fn message(bytes: &[u8]) -> KeygenMessage {
    KeygenMessage::new(bytes.to_vec()).unwrap()
}

/// The hostile edit of one message.
type Edit<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// A world whose message number `round` is edited on its way.
fn world_with(number: u64, round: u8, edit: Edit<'_>) -> Result<World, SuiteError> {
    let mut rng = StdRng::seed_from_u64(number);
    let meddle = |now, sent: KeygenMessage| if now == round { message(&edit(sent.as_slice())) } else { sent };
    let (device, seed, server, public_key) = generate(&mut rng, meddle)?;
    Ok(World { rng, key: key_context(), device, seed, server, public_key, nonce_key: Secret::new([7; 32]) })
}

#[test]
fn e25_040_no_byte_of_the_hellos_keys_and_opening_may_differ() {
    for (round, length) in [(0, 32), (1, 64), (2, 97), (3, 129)] {
        for at in 0..length {
            for mask in [1, 0x80] {
                let result = world_with(70, round, &|sent| {
                    assert_eq!(sent.len(), length);
                    flipped(sent, at, mask)
                });
                assert_eq!(result.err(), Some(SuiteError::Peer), "message {round}, byte {at}");
            }
        }
    }
}

#[test]
fn e25_041_messages_of_another_length_are_refused() {
    for round in 0..6 {
        for edit in [
            &|_: &[u8]| Vec::new() as Vec<u8>,
            &|sent: &[u8]| sent[..sent.len() - 1].to_vec(),
            &|sent: &[u8]| [sent, &[0]].concat(),
            &|sent: &[u8]| sent[..31].to_vec(),
        ] as [Edit<'_>; 4]
        {
            assert_eq!(world_with(71, round, edit).err(), Some(SuiteError::Peer), "message {round}");
        }
    }
}

/// Not on the curve, the identity's form, uncompressed, compact and hybrid forms, x out of range.
pub(super) fn bad_points(good: &[u8]) -> Vec<Vec<u8>> {
    let forms = [0, 1, 4, 5, 6, 7, 0x82, 0xff];
    let mut bad: Vec<Vec<u8>> = forms.iter().map(|form| with(good, 0, &[*form])).collect();
    bad.push(vec![0; 33]);
    bad.push(with(good, 1, &[0xff; 32]));
    // x = 4 has no y on the curve.
    bad.push(with(&with(good, 1, &[0; 32]), 32, &[4]));
    bad
}

#[test]
fn e25_042_points_of_key_generation_are_strict() {
    let good = public(&Scalar::from(9_u64));
    let bad = bad_points(&good);
    assert!(bad.iter().all(|bad| points::from_compressed(bad).is_none()));
    for round in [2, 3] {
        for point in &bad {
            let result = world_with(72, round, &|sent| with(sent, 0, point));
            assert_eq!(result.err(), Some(SuiteError::Peer));
        }
        // The negative, and a point whose logarithm is known, without its proof.
        for edit in [&|sent: &[u8]| flipped(sent, 0, 1), &|sent: &[u8]| with(sent, 0, &good)] as [Edit<'_>; 2]
        {
            assert_eq!(world_with(72, round, edit).err(), Some(SuiteError::Peer));
        }
    }
}

#[test]
fn e25_043_numbers_of_a_proof_are_in_range() {
    for (round, at) in [(2, 33), (2, 65), (3, 33), (3, 65)] {
        for value in [[0; 32], ORDER, flipped(&ORDER, 31, 1).try_into().unwrap(), [0xff; 32]] {
            let result = world_with(73, round, &|sent| with(sent, at, &value));
            assert_eq!(result.err(), Some(SuiteError::Peer));
        }
    }
}

#[test]
fn e25_048_a_proof_is_of_one_point_on_one_statement() {
    let (x, session) = (Scalar::from(3_u64), [1; 32]);
    let (point, bytes) = (ProjectivePoint::GENERATOR * x, public(&x));
    let proof = proof::prove(&x, &bytes, &session, &Scalar::from(5_u64)).unwrap();
    assert!(proof::holds(&point, &bytes, &session, &proof));
    assert!(!proof::holds(&point, &bytes, &session, &proof[..63]));
    assert!(!proof::holds(&point, &bytes, &session, &[&proof[..], &[0]].concat()));
    assert!(!proof::holds(&-point, &bytes, &session, &proof));
    assert!(!proof::holds(&point, &bytes, &[2; 32], &proof));
    for at in 0..64 {
        assert!(!proof::holds(&point, &bytes, &session, &flipped(&proof, at, 1)));
    }
    assert!(proof::prove(&x, &bytes, &session, &Scalar::ZERO).is_none());
}

/// The server after its hello, always the same for one number; and all that its run is made of.
fn server(number: u64) -> (Box<dyn ServerKeygen>, [u8; 32], Vec<u8>) {
    let hello = message(&[0x77; 32]);
    let mut rng = StdRng::seed_from_u64(number);
    let (server, answer) = Es256.server_hello(&key_context(), &hello, &mut rng).unwrap();
    let (nonce, commitment) = answer.as_slice().split_at(32);
    (server, run_of(&key_context(), hello.as_slice(), nonce), commitment.to_vec())
}

#[test]
fn e25_044_a_device_proves_its_own_share_in_its_own_role_and_run() {
    let x = Scalar::from(0x1234_5678_u64);
    let (honest, run, commitment) = server(74);
    let keys = message(&proven(&x, &statement(&run, DEVICE, &commitment)));
    let (share, public_key, opening) = honest.finish(&keys).unwrap();
    let x_s = scalars::canonical(&share.0[..32]).unwrap();
    assert_eq!(public_key.0, public(&(x + x_s))[..]);

    let other_run = run_of(&key_context(), &[0x78; 32], &[0; 32]);
    let hostile = [
        // The server's own message, sent back.
        opening.as_slice()[..97].to_vec(),
        // Another role, no commitment, another commitment, another run.
        proven(&x, &statement(&run, SERVER, &commitment)),
        proven(&x, &statement(&run, SERVER, &[])),
        proven(&x, &statement(&run, DEVICE, &[])),
        proven(&x, &statement(&run, DEVICE, &[0; 32])),
        proven(&x, &statement(&other_run, DEVICE, &commitment)),
        // A proof of another point.
        with(&proven(&x, &statement(&run, DEVICE, &commitment)), 0, &public(&(x + x))),
        // X_D = −X_S, proven rightly: the key would be the identity.
        proven(&-x_s, &statement(&run, DEVICE, &commitment)),
    ];
    for keys in hostile {
        let result = server(74).0.finish(&message(&keys));
        assert_eq!(result.err(), Some(SuiteError::Peer));
    }
}

/// The device after its keys message, against a server made by hand from the share and salt it commits to.
fn device(number: u64, x: &Scalar) -> (Box<dyn DeviceOpening>, [u8; 32], KeygenMessage, Vec<u8>) {
    let mut rng = StdRng::seed_from_u64(number);
    let (device, hello) = Es256.device_hello(&key_context(), &mut rng).unwrap();
    let (nonce, salt) = ([5; 32], [6; 32]);
    let run = run_of(&key_context(), hello.as_slice(), &nonce);
    let opening = proven(x, &statement(&run, SERVER, &[]));
    let commitment = commitment(&run, &opening[..33], &opening[33..], &salt);
    let (device, keys) = device.keys(&message(&[nonce, commitment].concat()), &mut rng).unwrap();
    (device, run, keys, [&opening[..], &salt].concat())
}

#[test]
fn e25_045_a_server_opens_what_it_committed_to() {
    let x = Scalar::from(0x8765_4321_u64);
    let (honest, run, _, opening) = device(75, &x);
    assert!(honest.open(&message(&opening)).is_ok());
    let salt = &opening[97..];
    let other = proven(&(x + x), &statement(&run, SERVER, &[]));
    let hostile = [
        // Another share with a right proof; another right proof of the same share; another salt.
        [&other[..], salt].concat(),
        {
            let point = public(&x);
            let proof =
                proof::prove(&x, &point, &statement(&run, SERVER, &[]), &Scalar::from(12_u64)).unwrap();
            [&point[..], &proof, salt].concat()
        },
        with(&opening, 97, &[7; 32]),
    ];
    for opening in hostile {
        let (device, ..) = device(75, &x);
        assert_eq!(device.open(&message(&opening)).err(), Some(SuiteError::Peer));
    }
}

/// The opening without its salt, from the run and the device's share.
type Make<'a> = &'a dyn Fn(&[u8; 32], &[u8]) -> Vec<u8>;

/// The commitment is right here; what it holds is not.
#[test]
fn e25_046_what_a_server_committed_to_must_be_a_proven_share() {
    let attempt = |number, make: Make<'_>| {
        let mut rng = StdRng::seed_from_u64(number);
        let (device, hello) = Es256.device_hello(&key_context(), &mut rng).unwrap();
        let run = run_of(&key_context(), hello.as_slice(), &[5; 32]);
        // The device's share comes of the same generator: known from a run before, as no server can know it.
        let mut ahead = StdRng::seed_from_u64(number);
        rand::Rng::fill_bytes(&mut ahead, &mut [0; 32]);
        let x_d = *scalars::hedged(&mut ahead, Domain::Es256Share, &[&run]);
        let opening = make(&run, &scalars::bytes(&x_d));
        let commitment = commitment(&run, &opening[..33], &opening[33..], &[6; 32]);
        let (device, keys) = device.keys(&message(&[[5; 32], commitment].concat()), &mut rng).unwrap();
        assert_eq!(keys.as_slice()[..33], public(&x_d));
        device.open(&message(&[&opening[..], &[6; 32]].concat())).err()
    };
    let x = Scalar::from(0xabcd_u64);
    assert_eq!(attempt(76, &|run, _| proven(&x, &statement(run, SERVER, &[]))), None);
    assert_eq!(attempt(76, &|run, _| proven(&x, &statement(run, DEVICE, &[]))), Some(SuiteError::Peer));
    assert_eq!(attempt(76, &|_, _| proven(&x, &[0; 32])), Some(SuiteError::Peer));
    let negative =
        |run: &[u8; 32], x_d: &[u8]| proven(&-scalars::canonical(x_d).unwrap(), &statement(run, SERVER, &[]));
    assert_eq!(attempt(76, &negative), Some(SuiteError::Peer), "the key would be the identity");
    for point in bad_points(&public(&x)) {
        let make = |run: &[u8; 32], _: &[u8]| with(&proven(&x, &statement(run, SERVER, &[])), 0, &point);
        assert_eq!(attempt(76, &make), Some(SuiteError::Peer));
    }
}

#[test]
fn e25_047_messages_of_another_run_are_refused() {
    let mut recorded: Vec<KeygenMessage> = Vec::new();
    let mut rng = StdRng::seed_from_u64(77);
    generate(&mut rng, |_, sent| {
        recorded.push(sent.clone());
        sent
    })
    .unwrap();
    for round in 0..4_u8 {
        let old = recorded[usize::from(round)].as_slice();
        let result = world_with(78, round, &|_| old.to_vec());
        assert_eq!(result.err(), Some(SuiteError::Peer), "message {round}");
    }
    // The same randomness under another key, epoch or installation: proofs and commitment name them.
    let context = key_context();
    for other in [
        KeyContext { key: KeyId::from_bytes([0xee; 16]), ..context },
        KeyContext { epoch: Epoch(1), ..context },
        KeyContext { device: DeviceId::from_bytes([0xee; 16]), ..context },
    ] {
        let mut rng = StdRng::seed_from_u64(79);
        let (device, hello) = Es256.device_hello(&context, &mut rng).unwrap();
        let (server, answer) = Es256.server_hello(&other, &hello, &mut rng).unwrap();
        let (_, keys) = device.keys(&answer, &mut rng).unwrap();
        assert_eq!(server.finish(&keys).err(), Some(SuiteError::Peer));
    }
}
