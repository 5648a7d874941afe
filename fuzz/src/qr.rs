//! Codes under fixed issuer keys.

use std::sync::OnceLock;

use signer_core::{
    credential::{Document, IssuerKeys, PortraitSalt, Step, StepRule},
    time::UnixSeconds,
};

use crate::fixed::{self, claims, day_key, issuer, issuer_key, key, record, show_at};

/// The verifier's clock.
pub const NOW: UnixSeconds = fixed::NOW;

/// The issuers trusted: two keys.
pub fn issuers() -> &'static IssuerKeys {
    static ISSUERS: OnceLock<IssuerKeys> = OnceLock::new();
    ISSUERS.get_or_init(|| IssuerKeys::new(vec![issuer_key(&issuer()), issuer_key(&key(0x12))]))
}

/// Every code that was signed: the only ones that may be accepted.
pub fn known() -> &'static [String] {
    static KNOWN: OnceLock<Vec<String>> = OnceLock::new();
    KNOWN.get_or_init(|| documents().into_iter().map(present).collect())
}

fn documents() -> [Document; 3] {
    let record = record();
    let salt = PortraitSalt([0x44; 16]);
    let today = "2026-11-20".parse().unwrap();
    [record.full(&salt), record.minimal(today).unwrap(), record.age(today, &[18], &salt).unwrap()]
}

fn present(document: Document) -> String {
    let credential = claims(document).sign(&issuer()).unwrap();
    credential.present(&show_at(Step::at(NOW)), NOW, StepRule::STANDARD, &day_key()).unwrap().to_string()
}

/// Base45 (RFC 9285), so that the fuzzer's bytes reach the decoder behind the text form.
pub fn base45(bytes: &[u8]) -> String {
    base45_after("DQ1:", bytes)
}

/// The same after any prefix.
pub fn base45_after(prefix: &str, bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let mut text = String::from(prefix);
    for pair in bytes.chunks(2) {
        let (mut value, length) = match *pair {
            [a, b] => (u32::from(a) << 8 | u32::from(b), 3),
            [a] => (u32::from(a), 2),
            _ => continue,
        };
        for _ in 0..length {
            text.push(char::from(ALPHABET[usize::try_from(value % 45).unwrap()]));
            value /= 45;
        }
    }
    text
}

/// The bytes behind a code's text.
pub fn bytes_of(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let digit = |c: &u8| u32::try_from(ALPHABET.find(char::from(*c)).unwrap()).unwrap();
    text.as_bytes()[4..]
        .chunks(3)
        .flat_map(|chunk| {
            let value = chunk.iter().rev().fold(0, |value, c| value * 45 + digit(c));
            value.to_be_bytes()[if chunk.len() == 3 { 2 } else { 3 }..].to_vec()
        })
        .collect()
}
