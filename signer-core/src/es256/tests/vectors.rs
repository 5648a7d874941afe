//! `spec/vectors/es256.json`: one key generation and one signature with every value on the way. `UPDATE=1` rewrites it: a
//! difference there is a change of the protocol.

use alloc::string::String;
use std::{fs, path::Path};

use hash2curve::GroupDigest;
use p256::{NistP256, ProjectivePoint, Scalar};
use serde_json::{Value, json};

use super::{
    by_hand::ByHand,
    keygen::{DEVICE, SERVER, commitment, run_of, statement},
    stream::Stream,
    *,
};
use crate::domain::{Domain, Hasher, sha256};

const DEVICE_STREAM: u64 = 1;
const SERVER_STREAM: u64 = 2;
const SIGNING_STREAM: u64 = 3;
const HEDGE: [u8; 32] = [0x4e; 32];
const NONCE_KEY: [u8; 32] = [7; 32];
/// Transfers and correlations whose values are written out.
const SHOWN: [usize; 3] = [0, 1, 255];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

fn number(scalar: &Scalar) -> String {
    hex(&scalars::bytes(scalar))
}

fn compressed(point: &ProjectivePoint) -> points::Compressed {
    points::compressed(&point.to_affine()).unwrap()
}

fn public(x: &Scalar) -> points::Compressed {
    compressed(&(ProjectivePoint::GENERATOR * x))
}

/// Both parties after key generation, before the seeds.
struct Keys {
    device: Stream,
    server: Stream,
    device_share: DeviceShare,
    server_share: ServerShare,
    public_key: GroupPublicKey,
}

fn generation() -> (Keys, Value) {
    let context = key_context();
    let (mut device_rng, mut server_rng) = (Stream::new(DEVICE_STREAM), Stream::new(SERVER_STREAM));
    let (mut device_ahead, mut server_ahead) = (device_rng.clone(), server_rng.clone());
    let (device, hello) = Es256.device_hello(&context, &mut device_rng).unwrap();
    let (server, answer) = Es256.server_hello(&context, &hello, &mut server_rng).unwrap();
    let (device, keys) = device.keys(&answer, &mut device_rng).unwrap();
    let (server_share, public_key, opening) = server.finish(&keys).unwrap();
    let (device_share, _) = device.open(&opening).unwrap();

    // The same by the formulas.
    let device_nonce: [u8; 32] = device_ahead.bytes();
    let (server_nonce, salt): ([u8; 32], [u8; 32]) = (server_ahead.bytes(), server_ahead.bytes());
    let run = run_of(&context, &device_nonce, &server_nonce);
    let share = |ahead: &mut Stream| ahead.scalar(Domain::Es256Share, &[&run]);
    let proof_nonce = |ahead: &mut Stream, x: &Scalar, statement: &[u8; 32]| {
        ahead.scalar(Domain::Es256ProofNonce, &[&scalars::bytes(x), statement])
    };
    let x_s = share(&mut server_ahead);
    let server_statement = statement(&run, SERVER, &[]);
    let t_s = proof_nonce(&mut server_ahead, &x_s, &server_statement);
    let server_proof = proof::prove(&x_s, &public(&x_s), &server_statement, &t_s).unwrap();
    let commitment = commitment(&run, &public(&x_s), &server_proof, &salt);
    let x_d = share(&mut device_ahead);
    let device_statement = statement(&run, DEVICE, &commitment);
    let t_d = proof_nonce(&mut device_ahead, &x_d, &device_statement);
    let device_proof = proof::prove(&x_d, &public(&x_d), &device_statement, &t_d).unwrap();
    assert_eq!(hello.as_slice(), device_nonce);
    assert_eq!(answer.as_slice(), [server_nonce, commitment].concat());
    assert_eq!(keys.as_slice(), [&public(&x_d)[..], &device_proof].concat());
    assert_eq!(opening.as_slice(), [&public(&x_s)[..], &server_proof, &salt].concat());
    assert_eq!(public_key.0, public(&(x_d + x_s)));

    let value = json!({
        "device_nonce": hex(&device_nonce),
        "server_nonce": hex(&server_nonce),
        "session": hex(&run),
        "server_share": number(&x_s),
        "server_public": hex(&public(&x_s)),
        "server_statement": hex(&server_statement),
        "server_proof_nonce": number(&t_s),
        "server_proof": hex(&server_proof),
        "salt": hex(&salt),
        "commitment": hex(&commitment),
        "device_share": number(&x_d),
        "device_public": hex(&public(&x_d)),
        "device_statement": hex(&device_statement),
        "device_proof_nonce": number(&t_d),
        "device_proof": hex(&device_proof),
        "group_public_key": hex(&public_key.0),
        "messages": [hex(hello.as_slice()), hex(answer.as_slice()), hex(keys.as_slice()), hex(opening.as_slice())],
    });
    (Keys { device: device_rng, server: server_rng, device_share, server_share, public_key }, value)
}

/// H of the specification.
fn hash_to_point(place: [u8; 2], of: &[u8]) -> ProjectivePoint {
    let label = Domain::Es256OtPoint.label().as_bytes();
    NistP256::hash_from_bytes(&[&SESSION, &place, of], &[label]).unwrap()
}

/// Transfer `j`, all of it, from both parties' secrets; checked against the messages.
fn transfer(
    j: usize,
    [a, b]: [&Scalar; 2],
    choice: usize,
    asked: &[u8],
    answer: &[u8],
    seeds: &[[u8; 32]; 2],
) -> Value {
    let transfer = u8::try_from(j).unwrap();
    let question = &asked[66 * j..][..66];
    let answer = &answer[97 * j..][..97];
    let points = [&question[..33], &question[33..]];
    let own = public(b);
    assert_eq!(answer[..33], own);
    let chosen = hash_to_point([transfer, u8::try_from(choice).unwrap()], points[1 - choice]);
    let expected = ProjectivePoint::GENERATOR * a - chosen;
    assert_eq!(points[choice], compressed(&expected));
    let [zero, one] = [0_u8, 1].map(|message| {
        let this = usize::from(message);
        let hashed = hash_to_point([transfer, message], points[1 - this]);
        let shared = (points::from_compressed(points[this]).unwrap() + hashed) * b;
        let x = &compressed(&shared)[1..];
        let pad = Hasher::new(Domain::Es256OtPad)
            .field(&SESSION)
            .number(transfer.into())
            .number(message.into())
            .field(points[0])
            .field(points[1])
            .field(&own)
            .field(x)
            .finish();
        let encrypted = &answer[33 + 32 * this..][..32];
        let seed: Vec<u8> = encrypted.iter().zip(&pad).map(|(one, other)| one ^ other).collect();
        assert_eq!(seed, seeds[this]);
        json!({
            "point": hex(points[this]),
            "hashed": hex(&compressed(&hashed)),
            "x": hex(x),
            "pad": hex(&pad),
            "encrypted": hex(encrypted),
            "seed": hex(&seed),
        })
    });
    json!({
        "transfer": j,
        "choice": choice,
        "server_exponent": number(a),
        "device_exponent": number(b),
        "device_point": hex(&own),
        "messages": [zero, one],
    })
}

fn seeding(keys: Keys) -> (World, Value) {
    let Keys { mut device, mut server, device_share, server_share, public_key } = keys;
    let seed = Secret::new(device.bytes::<32>());
    let (mut device_ahead, mut server_ahead) = (device.clone(), server.clone());
    let (receiver, asked) = Es256.server_seeding(server_share, &SESSION, &mut server).unwrap();
    let answer = Es256.device_seeding(&key_context(), &seed, &SESSION, &asked, &mut device).unwrap();
    let server_share = receiver.finish(&answer).unwrap();
    let world = World {
        rng: StdRng::seed_from_u64(0),
        key: key_context(),
        device: device_share,
        seed,
        server: server_share,
        public_key,
        nonce_key: Secret::new(NONCE_KEY),
    };
    let pairs = pads::seeds(&world.seed, &world.key);
    let exponents: Vec<_> = pairs
        .iter()
        .map(|[zero, one]| {
            let a = server_ahead.scalar(Domain::Es256OtExponent, &[&world.server.0[..32], &SESSION]);
            (a, device_ahead.scalar(Domain::Es256OtExponent, &[zero, one, &SESSION]))
        })
        .collect();
    let transfers: Vec<_> = (0..BITS)
        .map(|j| {
            let (a, b) = &exponents[j];
            let choice = usize::from(world.bit(j));
            transfer(j, [a, b], choice, asked.as_slice(), answer.as_slice(), &pairs[j])
        })
        .collect();
    let value = json!({
        "session": hex(&SESSION),
        "master_seed": hex(world.seed.expose()),
        "question_sha256": hex(&sha256(asked.as_slice())),
        "answer_sha256": hex(&sha256(answer.as_slice())),
        "server_material_sha256": hex(&sha256(&world.server.0)),
        "transfers": SHOWN.map(|j| transfers[j].clone()),
    });
    (world, value)
}

fn signing(world: &World) -> Value {
    let context = world.context();
    let mut rng = Stream::new(SIGNING_STREAM);
    let (nonce, device) = Es256.device_commit(&Secret::new(HEDGE), &mut rng).unwrap();
    let server = world.answer(&context, &device);
    let hand = ByHand::new(world, &context, &nonce, (&device, &server));
    let commitments = Commitments { device: &device, server: &server };
    let contribution = world.part(&context, nonce, commitments).unwrap();
    assert_eq!(contribution, hand.honest());
    let signature = world.finish(&context, &(device.clone(), server.clone(), contribution.clone())).unwrap();

    let seed = context.nonce_seed(&world.nonce_key, &device);
    let k2 = scalars::derived(seed.expose(), Domain::Es256ServerNonce, &[&world.server.0[..32]]);
    let t = scalars::derived(seed.expose(), Domain::Es256ProofNonce, &[&hand.session]);
    let (r2, proof) = server.as_slice().split_at(65);
    let corrections = hand.corrections(|_| hand.a);
    let chosen = |j: usize| {
        let bit = world.bit(j);
        hand.pads[j][usize::from(bit)] + if bit { corrections[j] } else { Scalar::ZERO }
    };
    let beta = -(0..BITS).rev().fold(Scalar::ZERO, |sum, j| sum.double() + chosen(j));
    let x_s = scalars::canonical(&world.server.0[..32]).unwrap();
    assert_eq!(hand.alpha() + beta, hand.a * x_s);
    let k = *k2 + hand.e;
    let s = k.invert().unwrap() * (hand.v() + hand.r * beta);
    assert_eq!(signature.as_slice()[32..], scalars::bytes(&scalars::low_s(&s)));
    let correlations = SHOWN.map(|j| {
        json!({
            "j": j,
            "pads": hand.pads[j].each_ref().map(number),
            "correction": number(&corrections[j]),
        })
    });
    json!({
        "request_hash": hex(&context.request_hash),
        "fetched_at": context.fetched_at.0,
        "index": context.index,
        "digest": hex(context.digest),
        "hedge": hex(&HEDGE),
        "nonce_key": hex(&NONCE_KEY),
        "k1": number(&hand.k1),
        "r1": hex(&hand.r1),
        "salt": hex(&hand.salt),
        "pad_nonce": hex(&hand.pad_nonce),
        "device_commitment": hex(device.as_slice()),
        "nonce_seed": hex(seed.expose()),
        "k2": number(&k2),
        "r2": hex(r2),
        "session": hex(&hand.session),
        "proof_nonce": number(&t),
        "proof": hex(proof),
        "server_commitment": hex(server.as_slice()),
        "e": number(&hand.e),
        "r": number(&hand.r),
        "a": number(&hand.a),
        "tweak": hex(&hand.tweak),
        "correlations": correlations,
        "alpha": number(&hand.alpha()),
        "beta": number(&beta),
        "v": number(&hand.v()),
        "s_before_normalisation": number(&s),
        "contribution_sha256": hex(&sha256(contribution.as_slice())),
        "signature": hex(signature.as_slice()),
    })
}

fn golden(path: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, content).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    for (old, new) in before.lines().zip(content.lines()) {
        assert_eq!(old, new, "{}: a change of the protocol; UPDATE=1 if it is meant", path.display());
    }
    assert!(before == content, "{}: lines added or removed", path.display());
}

#[test]
fn e25_005_vectors_are_reproduced() {
    let context = key_context();
    let (keys, keygen) = generation();
    let (world, seeding) = seeding(keys);
    let vectors = json!({
        "about": [
            "Suite es256. All byte strings and scalars in hex, scalars of 32 bytes, big endian; points as they travel.",
            "Randomness: block i of a stream is SHA-256(\"signer test stream\" || seed || i), seed and i in 8 bytes, big endian. Bytes are taken from the blocks in order and none is left out. Each value below takes 32 bytes; scalars are S(32 bytes; ...) of the specification.",
            "Device's stream: its session nonce, x_D, the nonce of its proof; the master seed; 256 exponents b. Server's stream: its session nonce, salt, x_S, the nonce of its proof; 256 exponents a; 256 exponents of the points that are not chosen.",
            "Signing: the device's stream gives 32 bytes, which with `hedge` make k1, salt and pad nonce.",
        ],
        "suite": SuiteId::Es256.name(),
        "key": hex(context.key.as_bytes()),
        "epoch": context.epoch.0,
        "device": hex(context.device.as_bytes()),
        "device_stream_seed": DEVICE_STREAM,
        "server_stream_seed": SERVER_STREAM,
        "signing_stream_seed": SIGNING_STREAM,
        "key_generation": keygen,
        "oblivious_transfer": seeding,
        "signing": signing(&world),
    });
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    golden("../spec/vectors/es256.json", &text);
}
