//! Bytes that are no commitment and no scalar (pitfalls 1 and 2).

use signer_core::suite::Commitment;

/// A valid point: the generator.
const G: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// Group order of secp256k1.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// Points that are none: identity, off the curve, above the field, uncompressed, compact, hybrid, cut, too long.
fn bad_points() -> Vec<Vec<u8>> {
    let g = unhex(G);
    let mut off = vec![2];
    off.extend([0; 31]);
    // x = 5: x³ + 7 is not a square.
    off.push(5);
    let first = |byte: u8| [&[byte], &g[1..]].concat();
    vec![
        vec![0; 33],
        vec![0],
        off,
        [&[2][..], &[0xff; 32]].concat(),
        [&[4], &g[1..], &[0; 32]].concat(),
        first(5),
        first(6),
        first(0),
        g[..32].to_vec(),
        [&g[..], &[0]].concat(),
        Vec::new(),
    ]
}

pub(crate) fn bad_commitments() -> Vec<Commitment> {
    let g = unhex(G);
    bad_points()
        .into_iter()
        .flat_map(|bad| [[&g[..], &bad].concat(), [&bad[..], &g].concat()])
        .map(|bytes| Commitment::new(bytes).unwrap())
        .collect()
}

pub(crate) fn bad_scalars() -> Vec<Vec<u8>> {
    let order = unhex(ORDER);
    let mut above = order.clone();
    above[31] += 1;
    vec![vec![0; 32], order, above, vec![0xff; 32], vec![1; 31], vec![1; 33], Vec::new(), vec![1; 9000]]
}
