//! An issuer, its lists, and phones that show codes.

use p256::ecdsa::{SigningKey, VerifyingKey};
use signer_client::{desk::SystemClock, ports::Clock as _};
use signer_core::{
    codec::Label,
    credential::{
        Age, Challenge, DayClaims, Document, DocumentType, Show, StatusIndex, StepRule, Turn, digits,
    },
    secret::SecretBytes,
    status::{Status, Statuses},
    time::UnixSeconds,
    trust::{Issuer, IssuerId, KeyUse, Life, StatusUri, TrustList, TrustedKey},
};

pub(crate) const URI: &str = "https://issuer.example/lists";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub(crate) fn root() -> SigningKey {
    key(1)
}

pub(crate) fn business_issuer() -> SigningKey {
    key(5)
}

pub(crate) fn now() -> UnixSeconds {
    SystemClock.wall()
}

fn entry(key_use: KeyUse, seed: u8, document_types: &[u32]) -> TrustedKey {
    TrustedKey {
        issuer: IssuerId(1),
        key_use,
        key: *key(seed).verifying_key(),
        document_types: document_types.to_vec(),
        not_before: UnixSeconds(0),
        not_after: UnixSeconds(1 << 50),
    }
}

/// Issuer 1 with a key for each use it needs here.
pub(crate) fn list(number: u64, roots: &[VerifyingKey]) -> TrustList {
    let issuer = Issuer {
        id: IssuerId(1),
        name: Label::new("Issuer".into()).unwrap(),
        status_uri: StatusUri::new(URI).unwrap(),
    };
    let keys = vec![
        entry(KeyUse::Credentials, 2, &[1]),
        entry(KeyUse::StatusLists, 3, &[]),
        entry(KeyUse::Businesses, 5, &[]),
        entry(KeyUse::Answers, 6, &[]),
    ];
    TrustList::new(number, now().minus(60), Life::Standard, vec![issuer], keys, roots.to_vec()).unwrap()
}

pub(crate) fn signed(number: u64) -> Vec<u8> {
    let list = list(number, &[*root().verifying_key()]);
    list.prepare(root().verifying_key()).unwrap().sign(&root()).unwrap()
}

/// A list of issuer 1, so many seconds old.
pub(crate) fn statuses(number: u32, revoked: &[u32], age: u64) -> Vec<u8> {
    let mut statuses = Statuses::default();
    assert!(revoked.iter().all(|index| statuses.set(*index, Status::Revoked)));
    let uri = StatusUri::new(URI).unwrap();
    statuses.prepare(&uri, number, now().minus(age), key(3).verifying_key()).sign(&key(3)).unwrap()
}

/// What a phone shows now, from list 1.
pub(crate) fn code(index: u32, turn: Turn, challenge: Option<Challenge>) -> String {
    let (now, day_key) = (now(), key(8));
    let age = Age { document_type: DocumentType::IdentityCard, over: 18, portrait: None };
    let status = StatusIndex { list: 1, index };
    let claims = DayClaims::new(now, *day_key.verifying_key(), status, Document::Age(age), false);
    let credential = claims.sign(&key(2)).unwrap();
    let step = StepRule::STANDARD.step_at(now);
    let digits = digits(&SecretBytes::new([9; 32]), status, step, turn);
    let show = Show { step, turn, digits, challenge };
    credential.present(&show, now, StepRule::STANDARD, &day_key).unwrap().to_string()
}
