//! The PIN: wrong ones count and lock, nobody else's messages count, a change is whole or not at all.

use signer_client::{Approved, ClientError, RelyingParty};
use signer_core::{
    codec,
    pin::Pin,
    wire::{Approve, Attempts, Envelope, Evaluated, ProblemCode, StatusQuery},
};

use crate::{
    harness::{PIN, TestApp, WRONG, counted, patient, problem},
    support::phone::{Fault, SUITE, TestPhone},
};

const NEW: &str = "582907";

fn wrong(app: &TestApp, bank: &RelyingParty, phone: &mut TestPhone) -> Attempts {
    let id = app.ask(bank, "olena");
    let outcome = phone.approve(id, WRONG).unwrap();
    let Approved::WrongPin(attempts) = outcome else { panic!("{outcome:?}") };
    phone.phone.decline(id).unwrap();
    attempts
}

#[test]
fn app_010_three_wrong_pins_lock_for_three_hours_then_a_day_then_for_good() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for lock in [3 * 3600, 24 * 3600] {
        for left in [2, 1] {
            let attempts = wrong(&app, &bank, &mut phone);
            assert_eq!(attempts, Attempts { left, locked_until: None, blocked: false });
        }
        let attempts = wrong(&app, &bank, &mut phone);
        let until = app.clock.seconds() + lock;
        assert_eq!((attempts.left, attempts.blocked), (0, false));
        assert_eq!(attempts.locked_until.map(|until| until.0), Some(until));
        for seconds in [0, lock - 1] {
            app.clock.set(until - lock + seconds);
            for pin in [PIN, WRONG] {
                let id = app.ask(&bank, "olena");
                let before = app.dump();
                let refusal = problem(phone.approve(id, pin));
                assert_eq!((refusal.code, refusal.time), (ProblemCode::Locked, Some(until)), "{pin}");
                assert_eq!(app.dump(), before, "a locked attempt counts nothing");
                phone.phone.decline(id).unwrap();
            }
        }
        app.clock.set(until);
    }
    for left in [2, 1] {
        assert_eq!(wrong(&app, &bank, &mut phone).left, left);
    }
    let attempts = wrong(&app, &bank, &mut phone);
    assert_eq!(attempts, Attempts { left: 0, locked_until: None, blocked: true });
    for later in [0, 400 * 86_400] {
        app.clock.advance(later);
        let id = app.ask(&bank, "olena");
        assert_eq!(problem(phone.approve(id, PIN)).code, ProblemCode::Blocked);
        let change = phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap());
        assert_eq!(problem(change).code, ProblemCode::Blocked);
    }
    assert!(phone.phone.status().unwrap().attempts.blocked);
}

#[test]
fn app_010_locks_survive_a_restart_and_a_clock_set_back() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let ids = [(); 4].map(|()| app.ask(&bank, "olena"));
    for id in &ids[..3] {
        assert!(matches!(phone.approve(*id, WRONG).unwrap(), Approved::WrongPin(_)));
    }
    let until = app.clock.seconds() + 3 * 3600;
    app.clock.advance(3600);
    assert_eq!(problem(phone.approve(ids[3], PIN)).time, Some(until));
    // Set far back, the server goes on from the latest time its store has seen.
    app.stop();
    app.clock.set(until - 20 * 3600);
    app.start().unwrap();
    assert_eq!(problem(phone.approve(ids[3], PIN)).time, Some(until));
    app.clock.set(until);
    assert!(matches!(phone.approve(ids[3], PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn app_011_messages_not_signed_by_the_device_key_change_nothing() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let other = app.phone("taras");
    let id = app.ask(&bank, "olena");
    let body = phone.prepare(id, WRONG);
    let before = app.dump();
    let envelope = Envelope::decode(&body).unwrap();
    let mut signature = envelope.clone();
    signature.signature.0[40] ^= 1;
    let mut device = envelope.clone();
    device.device = other.device_key().device_id();
    let mut unknown = envelope.clone();
    unknown.device = app.blank_phone().device_key().device_id();
    let mut time = envelope.clone();
    time.time.0 += 1;
    let mut payload = envelope.body.as_slice().to_vec();
    *payload.last_mut().unwrap() ^= 1;
    let mut changed = envelope.clone();
    changed.body = codec::Blob::new(payload).unwrap();
    for forged in [signature, device, unknown, time, changed] {
        let answer = app.device("approve", &codec::encode(&forged));
        assert_eq!(answer.code(), ProblemCode::NotTheDevice);
    }
    // Enveloped by another phone's key, it is about a request that is not there for that phone.
    let foreign = other.seal_bytes::<Approve>(app.clock.seconds(), envelope.body.as_slice().to_vec());
    assert_eq!(app.device("approve", &foreign).code(), ProblemCode::NotFound);
    assert_eq!(app.dump(), before);
    // The real one counts.
    assert!(
        matches!(app.device("approve", &body).cbor(), Evaluated::WrongPin { attempts } if attempts.left == 2)
    );
}

#[test]
fn app_012_after_a_change_the_old_pin_is_wrong_and_the_new_one_right() {
    let app = TestApp::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let key = phone.phone.enrolled().unwrap();
    let (old, new) = (Pin::entered(PIN).unwrap(), Pin::new(NEW).unwrap());
    let refused = phone.phone.change_pin(&Pin::entered(WRONG).unwrap(), &new);
    assert!(matches!(refused, Err(ClientError::WrongPin(attempts)) if attempts.left == 9), "{refused:?}");
    assert_eq!(counted(&phone.phone.status().unwrap()), 1);
    let before = app.copy(&phone);
    let changed = phone.phone.change_pin(&old, &new).unwrap();
    assert_eq!(changed.public_key, key.public_key);
    assert_eq!(changed.context.epoch.0, key.context.epoch.0 + 1);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::WrongPin(_)));
    assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)));
    // An old copy of the phone's state is of no use with the server's new share.
    let mut before = before;
    assert!(before.phone.status().is_err());
    let id = app.ask(&bank, "olena");
    assert!(before.approve(id, PIN).is_err());
    assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)));
}

/// Exactly one of the two PINs signs.
fn one_pair_works(app: &TestApp, bank: &RelyingParty, phone: &mut TestPhone, case: &str) -> &'static str {
    let works = [PIN, NEW].map(|pin| {
        let id = app.ask(bank, "olena");
        match phone.approve(id, pin) {
            Ok(Approved::Signed(_)) => true,
            Ok(Approved::WrongPin(_)) => {
                phone.phone.decline(id).unwrap();
                false
            }
            other => panic!("{case}: {other:?}"),
        }
    });
    match works {
        [true, false] => PIN,
        [false, true] => NEW,
        _ => panic!("{case}: {works:?}"),
    }
}

#[test]
fn app_013_a_crash_in_the_middle_of_a_pin_change_leaves_one_working_pair() {
    let mut app = TestApp::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
    let bank = app.bank();
    let mut outcomes = Vec::new();
    for operation in ["refresh-challenge", "refresh-start", "refresh-keys", "refresh-confirm"] {
        for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
            for server_restarts in [false, true] {
                let case = format!("{operation} {fault:?} restart {server_restarts}");
                let mut phone = app.phone("olena");
                phone.wire.fail(operation, fault);
                if operation == "refresh-confirm" {
                    // The phone asks for the status at once; it dies before that.
                    phone.wire.fail("status", Fault::LoseRequest);
                }
                let lost = phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap());
                assert!(lost.is_err(), "{case}");
                if server_restarts {
                    app.restart();
                }
                let mut phone = app.reopen(phone);
                phone.phone.status().unwrap();
                let works = one_pair_works(&app, &bank, &mut phone, &case);
                let confirmed = operation == "refresh-confirm" && fault == Fault::LoseAnswer;
                assert_eq!(works == NEW, confirmed, "{case}: {works}");
                // And the change can be made after all.
                if !confirmed && !server_restarts {
                    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap()).unwrap();
                    assert_eq!(one_pair_works(&app, &bank, &mut phone, &case), NEW);
                }
                outcomes.push(case);
            }
        }
    }
    assert_eq!(outcomes.len(), 16);
}

#[test]
fn app_014_a_lost_enrolment_leaves_one_installation_or_none() {
    for operation in ["enrol-start", "enrol-keys", "enrol-confirm"] {
        for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
            let app = TestApp::spawn();
            let (bank, mut phone) = (app.bank(), app.blank_phone());
            let code = app.enrolment_code("olena");
            let pin = Pin::new(PIN).unwrap();
            phone.wire.fail(operation, fault);
            phone.wire.fail("status", Fault::LoseRequest);
            let lost = phone.phone.enrol(SUITE, &code, &pin);
            assert!(lost.is_err(), "{operation} {fault:?}");
            phone.wire.mend();
            let mut phone = app.reopen(phone);
            phone.phone.enrol(SUITE, &code, &pin).unwrap();
            let id = app.ask(&bank, "olena");
            assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
            assert_eq!(app.dump()["installation"].0, 1);
            // The code is used up.
            let mut second = app.blank_phone();
            let refused = second.phone.enrol(SUITE, &code, &pin);
            assert_eq!(problem(refused).code, ProblemCode::EnrolmentCode);
        }
    }
}

#[test]
fn app_015_a_status_carries_no_device_token() {
    // A status looks the same whatever the PIN: it is answered without one and carries no token.
    let app = TestApp::spawn();
    let phone = app.phone("olena");
    let answer = app.device("status", &phone.seal(app.clock.seconds(), &StatusQuery {}));
    let passed = phone.wire.passed();
    let token = passed.iter().filter(|passed| passed.path.ends_with("enrol-keys")).find_map(|passed| {
        let reply: signer_core::wire::EnrolKeyed = codec::decode(passed.reply.as_ref()?, 1 << 20).ok()?;
        Some(*reply.token.0.expose())
    });
    let token = token.unwrap();
    assert!(!answer.body.windows(8).any(|window| window == &token[8..16]));
}
