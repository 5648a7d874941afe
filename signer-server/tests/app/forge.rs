//! Codes written by hand from `spec/credential.md`, each layer of them wrong on demand. Nothing of the format is shared
//! with the program.

use minicbor::Encoder;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use sha2::{Digest as _, Sha256};

const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
pub(crate) const ES256: &[u8] = &[0xa1, 0x01, 0x26];

/// Base45 of RFC 9285.
pub(crate) fn base45(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(2) {
        let (mut number, digits) = match group {
            [high, low] => (usize::from(*high) * 256 + usize::from(*low), 3),
            rest => (usize::from(rest[0]), 2),
        };
        for _ in 0..digits {
            text.push(char::from(ALPHABET[number % 45]));
            number /= 45;
        }
    }
    text
}

pub(crate) fn unbase45(text: &str) -> Vec<u8> {
    let value = |c: &u8| ALPHABET.iter().position(|letter| letter == c).unwrap();
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(3) {
        let number = group.iter().rev().fold(0, |sum, c| sum * 45 + value(c));
        let number = u16::try_from(number).unwrap().to_be_bytes();
        bytes.extend(if group.len() == 3 { &number[..] } else { &number[1..] });
    }
    bytes
}

/// A COSE_Sign1 with any header, signed over what it says.
pub(crate) fn envelope(
    key: &SigningKey,
    aad: &[u8],
    protected: &[u8],
    header: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut signed = Encoder::new(Vec::new());
    signed.array(4).unwrap().str("Signature1").unwrap();
    signed.bytes(protected).unwrap().bytes(aad).unwrap().bytes(payload).unwrap();
    let signature: Signature = key.sign(&signed.into_writer());
    let mut out = Encoder::new(Vec::new());
    out.array(4).unwrap().bytes(protected).unwrap();
    out.writer_mut().extend(header);
    out.bytes(payload).unwrap().bytes(&signature.normalize_s().to_bytes()).unwrap();
    out.into_writer()
}

/// `{4: kid}`.
pub(crate) fn kid_header(kid: &[u8; 4]) -> Vec<u8> {
    [&[0xa1, 0x04, 0x44][..], kid].concat()
}

/// A whole code from both envelopes.
pub(crate) fn code(issuer: &[u8], device: &[u8]) -> String {
    format!("DQ1:{}", base45(&[&[0x82], issuer, device].concat()))
}

/// What the phone's signature is bound to.
pub(crate) fn show_aad(issuer: &[u8]) -> Vec<u8> {
    [&b"DQ1/show"[..], &Sha256::digest(issuer)].concat()
}

/// The other signature that ECDSA accepts for the same message.
pub(crate) fn high_s(signature: &[u8]) -> [u8; 64] {
    let signature = Signature::from_slice(signature).unwrap();
    let high = Signature::from_scalars(*signature.r(), -*signature.s()).unwrap();
    high.to_bytes().into()
}
