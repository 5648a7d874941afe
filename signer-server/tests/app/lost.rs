//! A phone reported lost by whoever has its lost code.

use std::{fs, process::Command};

use signer_client::{Approved, ClientError, report_lost};
use signer_core::{
    credential::{Colour, DocumentType, Reason},
    history::Act,
    lost_code::LostCode,
    secret::SecretBytes,
    wire::{ProblemCode, RequestStatus, Standing},
};

use crate::{
    harness::{PIN, TestApp, code},
    history::{fresh_code, told},
    support::phone::{TestPhone, network},
};

fn report(app: &TestApp, phone: &TestPhone) {
    let code = phone.phone.lost_code().unwrap();
    report_lost(&*network(app.url()), &code.text().to_lowercase()).unwrap();
}

#[test]
fn his_040_a_lost_phone_signs_no_more_and_its_codes_are_refused() {
    let app = TestApp::spawn();
    let (bank, shop, mut phone) = (app.bank(), app.shop(), app.phone("olena"));
    let open = app.ask(&bank, "olena");
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let shown = fresh_code(&mut phone);
    report(&app, &phone);
    let view = bank.wait(open, std::time::Duration::ZERO).unwrap();
    assert_eq!(view.status, RequestStatus::KeyEnded);
    assert_eq!(phone.phone.status().unwrap().standing, Standing::Revoked);
    assert_eq!(code(phone.phone.top_up(DocumentType::IdentityCard)), ProblemCode::Revoked);
    let answer = shop.verify_code(shown.presentation.as_str(), "scan-0001").unwrap();
    assert_eq!((answer.result, answer.reason, answer.claims), (Colour::Red, Reason::Revoked, None));
    let crl = app.http.send("GET", "/ca/v1/crl.der", &[], b"").body;
    fs::write(app.folder().join("crl.der"), crl).unwrap();
    let openssl = Command::new("openssl")
        .args(["crl", "-inform", "DER", "-in", "crl.der", "-noout", "-text"])
        .current_dir(app.folder())
        .output()
        .unwrap();
    let listed = String::from_utf8(openssl.stdout).unwrap();
    assert!(listed.contains("Key Compromise"), "{listed}");
    // The holder, or the finder, reads on that phone what happened.
    let acts = told(&mut phone);
    assert!(acts.contains(&Act::ReportedLost {}));
    assert!(matches!(acts.last(), Some(Act::Refused { .. })));
    // Again: the same answer, and nothing more.
    let before = app.dump();
    report(&app, &phone);
    assert_eq!(app.dump(), before);
}

#[test]
fn his_041_a_code_that_is_nobodys_gets_the_same_answer_and_changes_nothing() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let before = app.dump();
    let http = network(app.url());
    let nobodys = LostCode::derive(&SecretBytes::new([9; 32]));
    report_lost(&*http, &nobodys.text()).unwrap();
    let mut typed = phone.phone.lost_code().unwrap().text().to_string();
    let last = typed.pop().unwrap();
    typed.push(if last == '0' { '1' } else { '0' });
    assert!(matches!(report_lost(&*http, &typed), Err(ClientError::Usage(_))), "a slip of the pen");
    assert_eq!(app.dump(), before);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn his_042_a_frozen_or_suspended_phone_can_be_reported_and_an_earlier_one_harms_no_later_one() {
    let app = TestApp::spawn();
    let mut old = app.phone("olena");
    let device = old.device_key().device_id();
    assert_eq!(app.admin("POST", &format!("/devices/{device}/suspend"), None).status, 204);
    report(&app, &old);
    assert_eq!(old.phone.status().unwrap().standing, Standing::Revoked);
    assert_eq!(app.admin("POST", &format!("/devices/{device}/resume"), None).status, 404, "for good");

    let (bank, mut new) = (app.bank(), app.phone("olena"));
    let open = app.ask(&bank, "olena");
    report(&app, &old);
    assert!(matches!(new.approve(open, PIN).unwrap(), Approved::Signed(_)));

    let mut thief = app.copy(&new);
    for _ in 0..2 {
        app.clock.advance(60);
        let id = app.ask(&bank, "olena");
        assert!(matches!(new.approve(id, PIN).unwrap(), Approved::Signed(_)));
    }
    app.clock.advance(60);
    let id = app.ask(&bank, "olena");
    assert_eq!(code(thief.approve(id, PIN)), ProblemCode::Frozen);
    report(&app, &new);
    assert_eq!(new.phone.status().unwrap().standing, Standing::Revoked);
}

#[test]
fn his_043_the_lost_code_is_nowhere_at_rest() {
    let mut app = TestApp::spawn();
    let phone = app.phone("olena");
    let code = phone.phone.lost_code().unwrap().text();
    let plain = code.replace('-', "");
    app.stop();
    let contains =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let holds =
        |bytes: &[u8]| contains(bytes, &code) || contains(bytes, &plain) || contains(bytes, &plain[..20]);
    for file in fs::read_dir(&app.config.data_dir).unwrap() {
        let path = file.unwrap().path();
        assert!(!path.is_file() || !holds(&fs::read(&path).unwrap()), "{}", path.display());
    }
    assert!(!holds(&phone.storage.image().unwrap()));
    assert!(!holds(&fs::read(&phone.keystore).unwrap()));
    assert!(phone.wire.passed().iter().all(|passed| !holds(&passed.body)));
}
