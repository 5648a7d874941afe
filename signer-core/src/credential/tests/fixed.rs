//! Fixed keys, a document, a place and a moment, and what is made of them. Benchmarks and fuzz targets include this file too, by
//! its path; no release build does.

use p256::ecdsa::SigningKey;
use signer_core::{
    credential::{
        DayClaims, Document, DocumentRecord, DocumentType, IssuerKey, Name, Portrait, PortraitSalt, Short,
        Show, StatusIndex, Step, Turn, digits, portrait_salt,
    },
    secret::SecretBytes,
    time::UnixSeconds,
    trust::IssuerId,
};

/// 2026-11-20T10:15:00Z: the first second of a step.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_795_169_700);
pub(crate) const STATUS: StatusIndex = StatusIndex { list: 1, index: 777_777 };
pub(crate) const ISSUER: IssuerId = IssuerId(1);

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub(crate) fn issuer() -> SigningKey {
    key(0x11)
}

pub(crate) fn day_key() -> SigningKey {
    key(0x22)
}

/// The secret of the digits.
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

/// `key` as one of the issuer's for credentials.
pub(crate) fn issuer_key(key: &SigningKey) -> IssuerKey {
    IssuerKey {
        issuer: ISSUER,
        key: *key.verifying_key(),
        document_types: DocumentType::ALL.to_vec(),
        not_before: UnixSeconds(1_790_000_000),
        not_after: UnixSeconds(1_800_000_000),
    }
}

pub(crate) fn claims(document: Document) -> DayClaims {
    DayClaims::new(NOW, *day_key().verifying_key(), STATUS, document, false)
}

pub(crate) fn show_at(step: Step) -> Show {
    Show { step, turn: Turn::FIRST, digits: digits(&secret(), STATUS, step, Turn::FIRST), challenge: None }
}
