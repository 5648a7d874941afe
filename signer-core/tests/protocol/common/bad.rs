//! Bytes that are no commitment and no contribution (pitfalls 1 and 2); and what else differs between the suites.

use signer_core::suite::{Commitment, Contribution, SuiteId};

use super::{Pair, SUITE};

/// The generators in compressed form, x first: of secp256k1 and of P-256.
const G: [&str; 2] = [
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
];
/// y of the generator of P-256.
const G_Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
/// Group orders of secp256k1 and of P-256.
const ORDER: [&str; 2] = [
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
];

pub(crate) const ES256: bool = matches!(SUITE, SuiteId::Es256);

fn of_suite(pair: [&str; 2]) -> Vec<u8> {
    let [frost, es256] = pair;
    unhex(if ES256 { es256 } else { frost })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// A point in the form the suite's messages have it.
fn good_point() -> Vec<u8> {
    let x = of_suite(G);
    if ES256 { [&[4][..], &x, &unhex(G_Y)].concat() } else { [&[2][..], &x].concat() }
}

/// Points that are none: identity, off the curve, above the field, in another form, cut, too long.
fn bad_points() -> Vec<Vec<u8>> {
    let good = good_point();
    let x = of_suite(G);
    let mut off = good.clone();
    // secp256k1: x = 5 is on no point. P-256: another y is not on the curve.
    if ES256 {
        off[64] ^= 1;
    } else {
        off[1..].copy_from_slice(&[&[0; 31][..], &[5]].concat());
    }
    let first = |byte: u8| [&[byte], &good[1..]].concat();
    let high = [&good[..1], &[0xff; 32], &good[33..]].concat();
    let other_form = if ES256 { [&[3][..], &x].concat() } else { [&[4][..], &x, &[0; 32]].concat() };
    vec![
        vec![0; good.len()],
        vec![0],
        off,
        high,
        other_form,
        first(5),
        first(6),
        first(7),
        first(0),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        Vec::new(),
    ]
}

/// FROST: two points. `es256`: a hash, of which only the length can be wrong.
pub(crate) fn bad_device_commitments() -> Vec<Commitment> {
    if ES256 {
        return [0, 31, 33, 160]
            .into_iter()
            .map(|length| Commitment::new(vec![7; length]).unwrap())
            .collect();
    }
    bad_server_commitments()
}

/// FROST: two points. `es256`: a point and a proof.
pub(crate) fn bad_server_commitments() -> Vec<Commitment> {
    let good = good_point();
    let commitments = bad_points().into_iter().flat_map(|bad| {
        if ES256 {
            vec![[&bad[..], &[1; 64]].concat()]
        } else {
            vec![[&good[..], &bad].concat(), [&bad[..], &good].concat()]
        }
    });
    // A point with a proof that does not hold, or is none.
    let proofs = [vec![1; 64], vec![0; 64], vec![0xff; 64], vec![1; 63], vec![1; 65], Vec::new()];
    let unproven = proofs.into_iter().filter(|_| ES256).map(|proof| [&good[..], &proof].concat());
    commitments.chain(unproven).map(|bytes| Commitment::new(bytes).unwrap()).collect()
}

fn bad_scalars() -> Vec<Vec<u8>> {
    let order = of_suite(ORDER);
    let mut above = order.clone();
    above[31] += 1;
    vec![order, above, vec![0xff; 32]]
}

/// Contributions that are none. FROST: a scalar. `es256`: R₁, salt, pad nonce, v, 256 corrections.
pub(crate) fn bad_contributions() -> Vec<Contribution> {
    let lengths = [0, 31, 33, 8352, 8354, 9000].into_iter().map(|length| vec![1; length]);
    let with = |at: usize, bad: Vec<u8>| {
        let mut bytes = [&good_point()[..], &vec![0; 3 * 32 + 256 * 32]].concat();
        bytes[at..at + bad.len()].copy_from_slice(&bad);
        bytes
    };
    let malformed: Vec<Vec<u8>> = if ES256 {
        let points = bad_points().into_iter().filter(|point| point.len() == 65).map(|bad| with(0, bad));
        let places = [129, 161, 161 + 32 * 100, 161 + 32 * 255];
        let scalars = bad_scalars().into_iter().flat_map(|bad| places.map(|at| with(at, bad.clone())));
        points.chain(scalars).collect()
    } else {
        [vec![vec![0; 32]], bad_scalars()].concat()
    };
    lengths.chain(malformed).map(|bytes| Contribution::new(bytes).unwrap()).collect()
}

/// A well-formed contribution with another value in it that decides: z of FROST, v of `es256`.
pub(crate) fn other_contribution(contribution: &Contribution) -> Contribution {
    let mut bytes = contribution.as_slice().to_vec();
    bytes[if ES256 { 160 } else { 31 }] ^= 1;
    Contribution::new(bytes).unwrap()
}

/// The nonce points a server's commitment shows, as bytes.
pub(crate) fn nonce_points(server: &Commitment) -> Vec<Vec<u8>> {
    let bytes = server.as_slice();
    if ES256 { vec![bytes[..65].to_vec()] } else { bytes.chunks(33).map(<[u8]>::to_vec).collect() }
}

/// What of a signature is its nonce: R of FROST, r of `es256`.
pub(crate) fn nonce_of(signature: &[u8]) -> Vec<u8> {
    signature[..if ES256 { 32 } else { 33 }].to_vec()
}

/// The secrets of the server's share, by name.
pub(crate) fn secrets_of_share(pair: &Pair) -> Vec<(&'static str, Vec<u8>)> {
    let share = pair.server_share();
    if ES256 {
        // x_S (32), Q (65), 256 seeds (32).
        assert_eq!(
            (share.len(), &share[33..65]),
            (97 + 8192, &pair.public_key.0[1..]),
            "the layout is the one meant"
        );
        return vec![("share", share[..32].to_vec()), ("seeds", share[97..].to_vec())];
    }
    // CBOR [s_S (32), X_D (33), X_S (33), Q (33)], each after a head of two bytes.
    assert_eq!(share[108..], pair.public_key.0[1..], "the layout is the one meant");
    let field = |from: usize| share[from..from + 32].to_vec();
    vec![("share", field(3)), ("device verifying share", field(38)), ("server verifying share", field(73))]
}

/// Positions of a message to be tried: all of them, or, where a run takes long or a message is long, a spread.
pub(crate) fn positions(length: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(length.div_ceil(most).max(1))
}
