//! What keys of both suites do alike, each behaviour once for each suite.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
use sha2::{Digest as _, Sha256};
use signer_client::{Approved, ClientError, verify_result};
use signer_core::{
    pin::Pin,
    suite::SuiteId,
    wire::{Evaluated, ProblemCode, RequestStatus},
};

use crate::{
    harness::{PIN, TestApp, WRONG, counted},
    hostile::{assert_ended, cheated, wrong_scalar},
};

const NEW: &str = "582907";

macro_rules! with_both_suites {
    ($($test:ident,)*) => {
        mod es256 {
            $(#[test] fn $test() { super::$test(super::SuiteId::Es256); })*
        }
        mod frost {
            $(#[test] fn $test() { super::$test(super::SuiteId::FrostSecp256k1Sha256); })*
        }
    };
}

with_both_suites! {
    app_110_a_phone_enrols_and_signs_what_outsiders_verify,
    app_111_a_wrong_pin_is_told_and_counted,
    app_112_a_batch_is_signed_whole_under_one_pin,
    app_112_one_wrong_contribution_of_a_batch_ends_the_key,
    app_113_a_pin_change_keeps_the_public_key_and_makes_the_old_state_useless,
    app_114_cheating_ends_the_key,
    app_115_the_same_approve_gets_the_same_answer,
}

fn app_110_a_phone_enrols_and_signs_what_outsiders_verify(suite: SuiteId) {
    let app = TestApp::spawn_patient(suite);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let status = phone.phone.status().unwrap();
    assert_eq!((status.suite, status.epoch.0), (suite, 0));
    let id = app.ask(&bank, "olena");
    let Approved::Signed(signed) = phone.approve(id, PIN).unwrap() else { panic!("not signed") };
    let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
    assert_eq!(result.suite, suite.name());
    verify_result(&result).unwrap();
    let signature = BASE64_STANDARD.decode(&result.signatures[0].signature).unwrap();
    assert_eq!(signature, signed.signatures[0].as_slice());
    if suite == SuiteId::Es256 {
        // An ordinary signature, by means that know nothing of two parties.
        let key = BASE64_STANDARD.decode(&result.public_key).unwrap();
        let key = VerifyingKey::from_sec1_bytes(&key).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        key.verify_prehash(&Sha256::digest([0]), &signature).unwrap();
        assert_eq!(signature.normalize_s(), signature);
    }
}

fn app_111_a_wrong_pin_is_told_and_counted(suite: SuiteId) {
    let app = TestApp::spawn_patient(suite);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    for wrong in 1..=3 {
        let outcome = phone.approve(id, WRONG).unwrap();
        assert!(
            matches!(outcome, Approved::WrongPin(attempts) if attempts.left == 10 - wrong),
            "{outcome:?}"
        );
        assert_eq!(counted(&phone.phone.status().unwrap()), wrong);
    }
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    assert_eq!(counted(&phone.phone.status().unwrap()), 0);
}

fn app_112_a_batch_is_signed_whole_under_one_pin(suite: SuiteId) {
    let app = TestApp::spawn_patient(suite);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for documents in [2, 32] {
        let id = app.ask_many(&bank, "olena", documents);
        assert!(matches!(phone.approve(id, WRONG).unwrap(), Approved::WrongPin(_)));
        let Approved::Signed(signed) = phone.approve(id, PIN).unwrap() else { panic!("not signed") };
        assert_eq!(signed.signatures.len(), usize::from(documents));
        let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
        assert_eq!(
            verify_result(&result).unwrap().record.request.documents.as_slice().len(),
            usize::from(documents)
        );
    }
    assert_eq!(counted(&phone.phone.status().unwrap()), 1, "one attempt for a batch, once forgotten");
}

fn app_112_one_wrong_contribution_of_a_batch_ends_the_key(suite: SuiteId) {
    let app = TestApp::spawn_patient(suite);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let (id, open) = (app.ask_many(&bank, "olena", 5), app.ask(&bank, "olena"));
    let (own, honest) = (phone.prepare(id, PIN), phone.prepare(open, PIN));
    let wrong = cheated(&app, &phone, &own, |place, contribution| {
        if place == 3 {
            wrong_scalar(contribution);
        }
    });
    let answer: Evaluated = app.device("approve", &wrong).cbor();
    assert!(matches!(answer, Evaluated::KeyEnded {}), "{answer:?}");
    let view = bank.wait(id, Duration::ZERO).unwrap();
    assert_eq!((view.status, view.result), (RequestStatus::KeyEnded, None), "not one signature is released");
    assert_ended(&app, &bank, &mut phone, &honest);
}

fn app_113_a_pin_change_keeps_the_public_key_and_makes_the_old_state_useless(suite: SuiteId) {
    let app = TestApp::spawn_patient(suite);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let key = phone.phone.enrolled().unwrap();
    let mut before = app.copy(&phone);
    let old_share = app.vault().share(phone.device_key().device_id());
    let other = app.ask(&bank, "olena");
    let late = phone.prepare(other, PIN);
    for (epoch, [old, new]) in [(1, [PIN, NEW]), (2, [NEW, PIN]), (3, [PIN, NEW])] {
        let attempts = phone.phone.status().unwrap().attempts;
        let changed = phone.phone.change_pin(&Pin::entered(old).unwrap(), &Pin::new(new).unwrap()).unwrap();
        assert_eq!((changed.public_key, changed.context.epoch.0), (key.public_key, epoch));
        assert_eq!(phone.phone.status().unwrap().attempts, attempts, "both attempts were given back");
        let id = app.ask(&bank, "olena");
        assert!(matches!(phone.approve(id, old).unwrap(), Approved::WrongPin(_)));
        assert!(matches!(phone.approve(id, new).unwrap(), Approved::Signed(_)));
        verify_result(&bank.wait(id, Duration::ZERO).unwrap().result.unwrap()).unwrap();
        assert_eq!(app.device("approve", &late).code(), ProblemCode::Stale, "made with the old share");
    }
    let share = app.vault().share(phone.device_key().device_id());
    assert_ne!(share.share.0, old_share.share.0);
    // The state of before has the old share and the old epoch: it is noticed, and cannot sign.
    assert!(before.phone.status().is_err());
    let id = app.ask(&bank, "olena");
    assert!(before.approve(id, PIN).is_err());
    assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)));
}

fn app_114_cheating_ends_the_key(suite: SuiteId) {
    let app = TestApp::spawn_patient(suite);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let (id, open) = (app.ask(&bank, "olena"), app.ask(&bank, "olena"));
    let honest = phone.prepare(open, PIN);
    let own = phone.prepare(id, PIN);
    // Without the gate key a wrong contribution is a wrong PIN, and harmless.
    let envelope = signer_core::wire::Envelope::decode(&own).unwrap();
    let mut unmasked: signer_core::wire::Approve = envelope.peek().unwrap();
    let mut payload = unmasked.payload.as_slice().to_vec();
    let mac_at = payload.len() - 32;
    payload[mac_at] ^= 1;
    unmasked.payload = signer_core::codec::Blob::new(payload).unwrap();
    let answer: Evaluated = app.device("approve", &phone.seal(app.clock.seconds(), &unmasked)).cbor();
    assert!(matches!(answer, Evaluated::WrongPin { .. }), "{answer:?}");
    let wrong = cheated(&app, &phone, &own, |_, contribution| wrong_scalar(contribution));
    let answer: Evaluated = app.device("approve", &wrong).cbor();
    assert!(matches!(answer, Evaluated::KeyEnded {}), "{answer:?}");
    assert_ended(&app, &bank, &mut phone, &honest);
    // The holder enrols anew; the end of the old key does not touch the new one.
    let mut phone = app.phone("olena");
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

fn app_115_the_same_approve_gets_the_same_answer(suite: SuiteId) {
    let mut app = TestApp::spawn_patient(suite);
    let bank = app.bank();
    let mut phone = app.phone("olena");
    for pin in [WRONG, PIN] {
        let id = app.ask(&bank, "olena");
        let body = phone.prepare(id, pin);
        let first = app.device("approve", &body);
        assert_eq!(first.status, 200);
        let before = phone.phone.status().unwrap().attempts;
        app.restart();
        for _ in 0..3 {
            assert_eq!(app.device("approve", &body).body, first.body);
        }
        assert_eq!(phone.phone.status().unwrap().attempts, before);
        if pin == WRONG {
            phone.phone.decline(id).unwrap();
        }
    }
    let declined = phone.phone.change_pin(&Pin::entered(WRONG).unwrap(), &Pin::new(NEW).unwrap());
    assert!(matches!(declined, Err(ClientError::WrongPin(_))), "{declined:?}");
    let again = phone.wire.last("refresh-start");
    assert_eq!(Some(app.device("refresh-start", &again.body).body), again.reply);
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap()).unwrap();
    for operation in ["refresh-start", "refresh-keys", "refresh-confirm"] {
        let passed = phone.wire.last(operation);
        let code = app.device(operation, &passed.body).code();
        assert!(matches!(code, ProblemCode::Stale | ProblemCode::CeremonyUnknown), "{operation}: {code:?}");
    }
    assert_eq!(phone.phone.status().unwrap().epoch.0, 1);
}
