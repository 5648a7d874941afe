//! Tests by requirement: `crd_nnn_…` proves CRD-NNN of `spec/credential.md`.

use alloc::{string::String, vec, vec::Vec};

use p256::ecdsa::SigningKey;

use super::*;
use crate::{secret::SecretBytes, time::UnixSeconds};

mod format;
mod issue;
mod outcome;
mod time;
mod trust;
mod vectors;

/// 2026-11-20T10:15:00Z: the first second of a step.
pub(super) const NOW: UnixSeconds = UnixSeconds(1_795_169_700);
pub(super) const STATUS: StatusIndex = StatusIndex { list: 1, index: 777_777 };
pub(super) const STANDARD: StepRule = StepRule::STANDARD;

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub(super) fn issuer() -> SigningKey {
    key(0x11)
}

pub(super) fn day_key() -> SigningKey {
    key(0x22)
}

pub(super) fn secret() -> SecretBytes<32> {
    SecretBytes::new([0x33; 32])
}

pub(super) fn record() -> DocumentRecord {
    DocumentRecord {
        document_type: DocumentType::DrivingLicence,
        family: Name::new("Шевченко").unwrap(),
        given: Name::new("Тарас Григорович").unwrap(),
        birth: "1994-03-09".parse().unwrap(),
        number: Short::new("ВХА123456").unwrap(),
        expires: "2034-05-31".parse().unwrap(),
        rights: Short::new("A,B").unwrap(),
        portrait: Some(PortraitDigest::of(&[0x44; 16], b"portrait")),
    }
}

/// The longest names the format is sized for: 28 and 24 letters.
pub(super) fn longest_record() -> DocumentRecord {
    DocumentRecord {
        family: Name::new("Ж".repeat(28)).unwrap(),
        given: Name::new("Щ".repeat(24)).unwrap(),
        rights: Short::new("A,B,C,CE").unwrap(),
        ..record()
    }
}

pub(super) fn issuer_keys() -> IssuerKeys {
    IssuerKeys::new(vec![issuer_key(&issuer())])
}

pub(super) fn issuer_key(key: &SigningKey) -> IssuerKey {
    IssuerKey {
        key: *key.verifying_key(),
        document_types: vec![DocumentType::IdentityCard, DocumentType::DrivingLicence],
        not_before: UnixSeconds(1_790_000_000),
        not_after: UnixSeconds(1_800_000_000),
    }
}

pub(super) fn claims(document: Document) -> DayClaims {
    DayClaims::new(NOW, *day_key().verifying_key(), STATUS, document, false)
}

pub(super) fn credential() -> DayCredential {
    claims(record().full()).sign(&issuer()).unwrap()
}

pub(super) fn show_at(step: Step) -> Show {
    Show { step, turn: Turn::FIRST, digits: digits(&secret(), STATUS, step, Turn::FIRST), challenge: None }
}

pub(super) fn present(credential: &DayCredential) -> String {
    present_show(credential, &show_at(Step::at(NOW)))
}

pub(super) fn present_show(credential: &DayCredential, show: &Show) -> String {
    credential.present(show, NOW, STANDARD, &day_key()).unwrap().as_str().into()
}

pub(super) fn check(text: &str) -> Result<Verified, Refusal> {
    verify(text, &issuer_keys(), &VerifyOptions::at(NOW))
}

pub(super) fn check_at(text: &str, now: u64) -> Result<Verified, Refusal> {
    verify(text, &issuer_keys(), &VerifyOptions::at(UnixSeconds(now)))
}

/// The bytes behind a text.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    base45::decode(text.strip_prefix(PREFIX).unwrap()).unwrap()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}
