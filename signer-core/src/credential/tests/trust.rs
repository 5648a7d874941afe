//! Whose signature counts.

use super::*;
use crate::credential::cose::{self, ISSUER_AAD, Sign1};

/// A credential and show under any claims bytes, kid and keys: what an attacker or a wrong issuer could make.
fn forge(payload: Vec<u8>, kid: Kid, issuer: &SigningKey) -> String {
    let signature = cose::sign(issuer, &cose::sig_structure(ISSUER_AAD, &payload));
    let element = crate::codec::encode(&Sign1 { kid: Some(kid), payload, signature });
    show_under(&element)
}

fn show_under(element: &[u8]) -> String {
    let payload = crate::codec::encode(&show_at(Step::at(NOW)));
    let signature = cose::sign(&day_key(), &cose::sig_structure(&cose::show_aad(&sha256(element)), &payload));
    show::text(&[&[0x82], element, &crate::codec::encode(&Sign1 { kid: None, payload, signature })].concat())
}

fn payload() -> Vec<u8> {
    crate::codec::encode(&claims(record().full(&salt())))
}

fn kid() -> Kid {
    Kid::of(issuer().verifying_key())
}

/// (r, n − s) of a signature at `at`: verifies as well, and is refused.
pub(super) fn high_s(text: &str, at: impl Fn(&[u8]) -> usize) -> String {
    let mut token = bytes(text);
    let at = at(&token);
    let twin = p256::ecdsa::Signature::from_slice(&token[at..at + 64]).unwrap();
    let twin = p256::ecdsa::Signature::from_scalars(twin.r(), -twin.s()).unwrap();
    token[at..at + 64].copy_from_slice(&twin.to_bytes());
    show::text(&token)
}

#[test]
fn crd_020_kid_is_the_head_of_the_hash_of_the_spki() {
    use p256::pkcs8::EncodePublicKey as _;
    let key = issuer();
    let der = key.verifying_key().to_public_key_der().unwrap();
    assert_eq!(hex::spki(key.verifying_key()), der.as_bytes());
    assert_eq!(Kid::of(key.verifying_key()).0, sha256(der.as_bytes())[..4]);
}

#[test]
fn crd_021_unknown_issuer_and_swapped_kid_are_refused() {
    let stranger = key(0x55);
    let text = forge(payload(), Kid::of(stranger.verifying_key()), &stranger);
    assert_eq!(check(&text), Err(Refusal::UnknownIssuer));
    assert_eq!(check(&forge(payload(), kid(), &stranger)), Err(Refusal::BadSignature));
    assert_eq!(
        check(&forge(payload(), Kid::of(stranger.verifying_key()), &issuer())),
        Err(Refusal::UnknownIssuer),
        "right key under a wrong hint"
    );
    assert_eq!(
        verify(&present(&credential()), &IssuerKeys::default(), &VerifyOptions::at(NOW)),
        Err(Refusal::UnknownIssuer)
    );
}

#[test]
fn crd_021_all_keys_under_a_hint_are_tried() {
    let twins = COLLIDING.map(|seed| SigningKey::from_slice(&seed_bytes(seed)).unwrap());
    let [one, two] = &twins;
    assert_eq!(Kid::of(one.verifying_key()), Kid::of(two.verifying_key()));
    assert_ne!(one.verifying_key(), two.verifying_key());
    let keys = IssuerKeys::new(vec![issuer_key(one), issuer_key(two)]);
    for signer in &twins {
        let text = present(&claims(record().full(&salt())).sign(signer).unwrap());
        assert!(verify(&text, &keys, &VerifyOptions::at(NOW)).is_ok());
    }
}

pub(super) fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&seed.to_be_bytes());
    bytes
}

/// The first two private keys, counted up from 1, whose hints are the same.
pub(super) const COLLIDING: [u64; 2] = [111_185, 112_152];

#[test]
fn crd_022_issuer_key_signs_only_its_document_types() {
    let keys = IssuerKeys::new(vec![IssuerKey {
        document_types: vec![DocumentType::IdentityCard],
        ..issuer_key(&issuer())
    }]);
    let text = present(&credential());
    assert_eq!(verify(&text, &keys, &VerifyOptions::at(NOW)), Err(Refusal::UnknownIssuer));
}

#[test]
fn crd_023_issuer_key_signs_only_while_valid() {
    let text = present(&credential());
    let check = |not_before: UnixSeconds, not_after: UnixSeconds| {
        let keys = IssuerKeys::new(vec![IssuerKey { not_before, not_after, ..issuer_key(&issuer()) }]);
        verify(&text, &keys, &VerifyOptions::at(NOW)).map(|_| ())
    };
    assert_eq!(check(NOW, NOW.plus(1)), Ok(()));
    assert_eq!(check(NOW.hour().plus(3600), NOW.plus(9999)), Err(Refusal::UnknownIssuer));
    assert_eq!(check(UnixSeconds(0), NOW.hour()), Err(Refusal::UnknownIssuer));
}

#[test]
fn crd_025_high_s_twin_of_either_signature_is_refused() {
    let text = present(&credential());
    let issuer_end = |_: &[u8]| credential().as_bytes().len() + 1 - 64;
    assert_eq!(check(&high_s(&text, issuer_end)), Err(Refusal::BadSignature));
    assert_eq!(check(&high_s(&text, |token| token.len() - 64)), Err(Refusal::BadSignature));
    assert_eq!(high_s(&high_s(&text, issuer_end), issuer_end), text, "the twin of the twin is the code");
}

#[test]
fn crd_026_show_is_bound_to_the_bytes_of_the_credential() {
    let other = claims(record().minimal("2026-11-20".parse().unwrap()).unwrap()).sign(&issuer()).unwrap();
    let (mine, token) = (credential(), bytes(&present(&credential())));
    let moved = [&[0x82], other.as_bytes(), &token[mine.as_bytes().len() + 1..]].concat();
    assert_eq!(check(&show::text(&moved)), Err(Refusal::BadSignature), "same day key, another credential");

    // The kid is in the bytes that the show signs, so changing the hint alone breaks the show as well.
    let mut hinted = mine.as_bytes().to_vec();
    let at = hinted.windows(4).position(|window| window == kid().0).unwrap();
    hinted[at] ^= 1;
    let show = &token[mine.as_bytes().len() + 1..];
    let show: Sign1 = crate::codec::decode(show, 400).unwrap();
    let signs = |element: &[u8]| {
        let signed = cose::sig_structure(&cose::show_aad(&sha256(element)), &show.payload);
        cose::verifies(day_key().verifying_key(), &signed, &show.signature)
    };
    assert!(signs(mine.as_bytes()) && !signs(&hinted));
    assert!(check(&show_under(mine.as_bytes())).is_ok());
}

#[test]
fn crd_130_a_known_credential_is_not_verified_again_and_its_key_must_still_be_trusted() {
    // An element whose issuer's signature is damaged: only who knows its hash takes it.
    let mut element = credential().as_bytes().to_vec();
    *element.last_mut().unwrap() ^= 1;
    let code = show_under(&element);
    let known = |hash: [u8; 32], keys: &IssuerKeys| {
        Received::read(&code).unwrap().verify_known(Some(&hash), keys, &VerifyOptions::at(NOW))
    };
    assert_eq!(check(&code), Err(Refusal::BadSignature));
    assert_eq!(known(sha256(&element), &issuer_keys()).unwrap().status(), STATUS);
    assert_eq!(
        known(credential().hash(), &issuer_keys()),
        Err(Refusal::BadSignature),
        "another credential's"
    );
    assert_eq!(
        known(sha256(&element), &IssuerKeys::default()),
        Err(Refusal::UnknownIssuer),
        "a key taken back"
    );
    let identity_cards =
        IssuerKey { document_types: vec![DocumentType::IdentityCard], ..issuer_key(&issuer()) };
    let keys = IssuerKeys::new(vec![identity_cards]);
    assert_eq!(known(sha256(&element), &keys), Err(Refusal::UnknownIssuer), "a type taken back");
    let twice = IssuerKeys::new(vec![issuer_key(&issuer()), issuer_key(&issuer())]);
    assert_eq!(known(sha256(&element), &twice), Err(Refusal::BadSignature), "two keys under one hint");
}

#[test]
fn crd_130_the_rest_of_a_known_credentials_code_is_checked() {
    let known = |text: &str| {
        let hash = credential().hash();
        Received::read(text).unwrap().verify_known(Some(&hash), &issuer_keys(), &VerifyOptions::at(NOW))
    };
    assert!(known(&present(&credential())).is_ok());
    let other_step = present_show(&credential(), &show_at(Step(Step::at(NOW).0 + 1)));
    assert!(matches!(known(&other_step), Err(Refusal::Clock(_))));
    let mut token = bytes(&present(&credential()));
    *token.last_mut().unwrap() ^= 1;
    assert_eq!(known(&show::text(&token)), Err(Refusal::BadSignature), "the show's signature");
}

#[test]
fn crd_026_show_by_another_key_is_refused() {
    let unsigned = credential().prepare(&show_at(Step::at(NOW)), NOW, STANDARD).unwrap();
    let foreign = cose::sign(&key(0x66), unsigned.to_sign());
    assert_eq!(unsigned.complete(&foreign), Err(ShowError::Signature(SignatureError::Wrong)));
}

#[test]
fn crd_027_signatures_from_hardware_are_checked_and_made_low_s() {
    let high = |signature: [u8; 64]| -> [u8; 64] {
        let low = p256::ecdsa::Signature::from_slice(&signature).unwrap();
        p256::ecdsa::Signature::from_scalars(low.r(), -low.s()).unwrap().to_bytes().into()
    };
    let unsigned = claims(record().full(&salt())).prepare(issuer().verifying_key()).unwrap();
    let signature = cose::sign(&issuer(), unsigned.to_sign());
    assert_eq!(unsigned.complete(&high(signature)).unwrap(), credential());

    let prepare = || claims(record().full(&salt())).prepare(issuer().verifying_key()).unwrap();
    assert_eq!(prepare().complete(&[0; 64]), Err(DayError::Signature(SignatureError::Malformed)));
    let wrong = cose::sign(&key(9), prepare().to_sign());
    assert_eq!(prepare().complete(&wrong), Err(DayError::Signature(SignatureError::Wrong)));

    let show = credential().prepare(&show_at(Step::at(NOW)), NOW, STANDARD).unwrap();
    let signature = high(cose::sign(&day_key(), show.to_sign()));
    assert_eq!(show.complete(&signature).unwrap().as_str(), present(&credential()));
}

#[test]
fn crd_028_code_must_answer_the_request_and_no_other() {
    let asked = Challenge::of(b"request of shop A");
    let show = Show { challenge: Some(asked), ..show_at(Step::at(NOW)) };
    let (answer, plain) = (present_show(&credential(), &show), present(&credential()));
    let check = |text: &str, expected_challenge| {
        verify(text, &issuer_keys(), &VerifyOptions { expected_challenge, ..VerifyOptions::at(NOW) })
            .map(|_| ())
    };
    assert_eq!(check(&answer, Some(asked)), Ok(()));
    assert_eq!(check(&plain, None), Ok(()));
    assert_eq!(check(&answer, Some(Challenge::of(b"request of shop B"))), Err(Refusal::NotForThisRequest));
    assert_eq!(check(&plain, Some(asked)), Err(Refusal::NotForThisRequest));
    assert_eq!(check(&answer, None), Err(Refusal::NotForThisRequest));
}

#[test]
fn crd_029_a_persons_key_is_not_held_by_a_server() {
    let document = record().full(&salt());
    let claims = DayClaims::new(NOW, *day_key().verifying_key(), STATUS, document, true);
    let text = present(&claims.sign(&issuer()).unwrap());
    assert_eq!(check(&text), Err(Refusal::HeldByServer));
}
