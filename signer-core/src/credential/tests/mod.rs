//! Tests by requirement: `crd_nnn_…` proves CRD-NNN of `spec/credential.md`.

use alloc::{string::String, vec, vec::Vec};

use p256::ecdsa::SigningKey;

pub(crate) use self::fixed::*;
use super::*;
use crate::{domain::sha256, secret::SecretBytes, time::UnixSeconds, trust::Life};

mod fixed;
mod fleet;
mod format;
mod issue;
mod outcome;
mod request;
mod time;
mod trust;
mod vectors;
mod verification;

pub(crate) const STANDARD: StepRule = StepRule::STANDARD;

/// A vehicle of an organisation.
pub(crate) fn vehicle() -> Vehicle {
    Vehicle {
        plate: Short::new("КА1234ВВ").unwrap(),
        model: Model::new("Škoda Octavia Combi").unwrap(),
        number: Short::new("СХН654321").unwrap(),
        expires: "2031-03-31".parse().unwrap(),
    }
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

pub(crate) fn credential() -> DayCredential {
    claims(record().full(&salt())).sign(&issuer()).unwrap()
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
