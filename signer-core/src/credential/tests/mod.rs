//! Tests by requirement: `crd_nnn_…` proves CRD-NNN of `spec/credential.md`.

use alloc::{string::String, vec, vec::Vec};

use p256::ecdsa::SigningKey;

use super::*;
use crate::{
    domain::sha256,
    secret::SecretBytes,
    time::UnixSeconds,
    trust::{IssuerId, Life},
};

mod format;
mod issue;
mod outcome;
mod request;
mod time;
mod trust;
mod vectors;
mod verification;

/// 2026-11-20T10:15:00Z: the first second of a step.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_795_169_700);
pub(crate) const STATUS: StatusIndex = StatusIndex { list: 1, index: 777_777 };
pub(crate) const ISSUER: IssuerId = IssuerId(1);
pub(crate) const STANDARD: StepRule = StepRule::STANDARD;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub(crate) fn issuer() -> SigningKey {
    key(0x11)
}

pub(crate) fn day_key() -> SigningKey {
    key(0x22)
}

pub(crate) fn secret() -> SecretBytes<32> {
    SecretBytes::new([0x33; 32])
}

pub(crate) fn record() -> DocumentRecord {
    DocumentRecord {
        document_type: DocumentType::DrivingLicence,
        family: Name::new("Шевченко").unwrap(),
        given: Name::new("Тарас Григорович").unwrap(),
        birth: "1994-03-09".parse().unwrap(),
        number: Short::new("ВХА123456").unwrap(),
        expires: "2034-05-31".parse().unwrap(),
        rights: Short::new("A,B").unwrap(),
        portrait: Some(Portrait::new(b"\xFF\xD8\xFFportrait".to_vec()).unwrap()),
    }
}

pub(crate) fn salt() -> PortraitSalt {
    portrait_salt(&secret(), STATUS)
}

/// The longest names the format is sized for: 28 and 24 letters.
pub(crate) fn longest_record() -> DocumentRecord {
    DocumentRecord {
        family: Name::new("Ж".repeat(28)).unwrap(),
        given: Name::new("Щ".repeat(24)).unwrap(),
        rights: Short::new("A,B,C,CE").unwrap(),
        ..record()
    }
}

pub(crate) fn issuer_keys() -> IssuerKeys {
    IssuerKeys::new(vec![issuer_key(&issuer())])
}

pub(crate) fn issuer_key(key: &SigningKey) -> IssuerKey {
    IssuerKey {
        issuer: ISSUER,
        key: *key.verifying_key(),
        document_types: vec![DocumentType::IdentityCard, DocumentType::DrivingLicence],
        not_before: UnixSeconds(1_790_000_000),
        not_after: UnixSeconds(1_800_000_000),
    }
}

pub(crate) fn claims(document: Document) -> DayClaims {
    DayClaims::new(NOW, *day_key().verifying_key(), STATUS, document, false)
}

pub(crate) fn credential() -> DayCredential {
    claims(record().full(&salt())).sign(&issuer()).unwrap()
}

pub(crate) fn show_at(step: Step) -> Show {
    Show { step, turn: Turn::FIRST, digits: digits(&secret(), STATUS, step, Turn::FIRST), challenge: None }
}

pub(crate) fn present(credential: &DayCredential) -> String {
    present_show(credential, &show_at(Step::at(NOW)))
}

pub(crate) fn present_show(credential: &DayCredential, show: &Show) -> String {
    credential.present(show, NOW, STANDARD, &day_key()).unwrap().as_str().into()
}

pub(crate) fn check(text: &str) -> Result<Verified, Refusal> {
    verify(text, &issuer_keys(), &VerifyOptions::at(NOW))
}

pub(crate) fn check_at(text: &str, now: u64) -> Result<Verified, Refusal> {
    verify(text, &issuer_keys(), &VerifyOptions::at(UnixSeconds(now)))
}

/// The bytes behind a text.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    base45::decode(text.strip_prefix(PREFIX).unwrap()).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}
