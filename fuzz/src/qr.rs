//! Codes under fixed issuer keys.

use std::sync::OnceLock;

use p256::ecdsa::SigningKey;
use signer_core::{
    credential::{
        DayClaims, Document, DocumentRecord, DocumentType, IssuerKey, IssuerKeys, Name, Portrait,
        PortraitSalt, Short, Show, StatusIndex, Step, StepRule, Turn, digits,
    },
    secret::SecretBytes,
    time::UnixSeconds,
    trust::IssuerId,
};

/// The verifier's clock: 2026-11-20T10:15:00Z.
pub const NOW: UnixSeconds = UnixSeconds(1_795_169_700);
const STATUS: StatusIndex = StatusIndex { list: 1, index: 777_777 };

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

/// The issuers trusted: two keys.
pub fn issuers() -> &'static IssuerKeys {
    static ISSUERS: OnceLock<IssuerKeys> = OnceLock::new();
    ISSUERS.get_or_init(|| {
        let issuer = |byte| IssuerKey {
            issuer: IssuerId(1),
            key: *key(byte).verifying_key(),
            document_types: DocumentType::ALL.to_vec(),
            not_before: UnixSeconds(1_790_000_000),
            not_after: UnixSeconds(1_800_000_000),
        };
        IssuerKeys::new(vec![issuer(0x11), issuer(0x12)])
    })
}

/// Every code that was signed: the only ones that may be accepted.
pub fn known() -> &'static [String] {
    static KNOWN: OnceLock<Vec<String>> = OnceLock::new();
    KNOWN.get_or_init(|| documents().into_iter().map(present).collect())
}

fn documents() -> [Document; 3] {
    let record = DocumentRecord {
        document_type: DocumentType::DrivingLicence,
        family: Name::new("Шевченко").unwrap(),
        given: Name::new("Тарас Григорович").unwrap(),
        birth: "1994-03-09".parse().unwrap(),
        number: Short::new("ВХА123456").unwrap(),
        expires: "2034-05-31".parse().unwrap(),
        rights: Short::new("A,B").unwrap(),
        portrait: Some(Portrait::new(b"\xFF\xD8\xFFportrait".to_vec()).unwrap()),
    };
    let salt = PortraitSalt([0x44; 16]);
    let today = "2026-11-20".parse().unwrap();
    [record.full(&salt), record.minimal(today).unwrap(), record.age(today, &[18], &salt).unwrap()]
}

fn present(document: Document) -> String {
    let day_key = key(0x22);
    let claims = DayClaims::new(NOW, *day_key.verifying_key(), STATUS, document, false);
    let credential = claims.sign(&key(0x11)).unwrap();
    let step = Step::at(NOW);
    let digits = digits(&SecretBytes::new([0x33; 32]), STATUS, step, Turn::FIRST);
    let show = Show { step, turn: Turn::FIRST, digits, challenge: None };
    credential.present(&show, NOW, StepRule::STANDARD, &day_key).unwrap().to_string()
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
