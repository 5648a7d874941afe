//! A copied phone gives itself away; a lost answer or a late message does not look like one.

use signer_client::{Approved, Outcome};
use signer_core::{
    ids::RequestId,
    pin::Pin,
    wire::{Approve, Envelope, Evaluated, ProblemCode, Standing},
};

use crate::{
    harness::{PIN, TestApp, code},
    support::phone::{Fault, TestPhone},
};

fn sign(app: &TestApp, bank: &signer_client::RelyingParty, phone: &mut TestPhone) {
    let id = app.ask(bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn app_020_a_copy_that_signs_freezes_the_key_for_both() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    sign(&app, &bank, &mut phone);
    let mut copy = app.copy(&phone);
    app.clock.advance(60);
    sign(&app, &bank, &mut phone);
    app.clock.advance(60);
    sign(&app, &bank, &mut phone);
    app.clock.advance(60);
    let id = app.ask(&bank, "olena");
    // With the right PIN even: a thief who knows it is stopped.
    assert_eq!(code(copy.approve(id, PIN)), ProblemCode::Frozen);
    assert_eq!(phone.phone.status().unwrap().standing, Standing::Frozen);
    assert_eq!(code(phone.approve(id, PIN)), ProblemCode::Frozen);
    let change = phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap());
    assert_eq!(code(change), ProblemCode::Frozen);
    // Nobody can tell the two apart: the holder enrols anew, and the copy stays out.
    let mut phone = app.phone("olena");
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let change = copy.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap());
    assert_eq!(code(change), ProblemCode::Revoked);
}

#[test]
fn app_020_the_copy_may_go_first_the_holder_then_gives_the_alarm() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    sign(&app, &bank, &mut phone);
    let mut copy = app.copy(&phone);
    for _ in 0..2 {
        app.clock.advance(60);
        sign(&app, &bank, &mut copy);
    }
    app.clock.advance(60);
    let id = app.ask(&bank, "olena");
    assert_eq!(code(phone.approve(id, PIN)), ProblemCode::Frozen);
    assert_eq!(code(copy.approve(id, PIN)), ProblemCode::Frozen);
}

#[test]
fn app_020_a_copy_that_signs_once_and_throws_its_number_away_is_seen() {
    for change in [false, true] {
        let app = TestApp::spawn();
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        sign(&app, &bank, &mut phone);
        let mut copy = app.copy(&phone);
        // Both hold the number of that success. The copy presents it first, and never comes again.
        app.clock.advance(60);
        sign(&app, &bank, &mut copy);
        drop(copy);
        app.clock.advance(60);
        if change {
            let changed = phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap());
            assert_eq!(code(changed), ProblemCode::Frozen);
        } else {
            let id = app.ask(&bank, "olena");
            assert_eq!(code(phone.approve(id, PIN)), ProblemCode::Frozen);
        }
        assert_eq!(phone.phone.status().unwrap().standing, Standing::Frozen);
    }
}

/// What the copy does between the phone's fetch and its approval, and what the phone is told.
type Between = fn(&TestApp, &mut TestPhone, RequestId) -> ProblemCode;

#[test]
fn app_020_a_copy_that_signs_while_the_holder_reads_is_seen_at_the_next_approval() {
    let overtakes: Between = |_, _, _| ProblemCode::Overtaken;
    let declines: Between = |_, copy, id| {
        copy.phone.decline(id).unwrap();
        ProblemCode::RequestClosed
    };
    for between in [overtakes, declines] {
        let app = TestApp::spawn();
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        sign(&app, &bank, &mut phone);
        let mut copy = app.copy(&phone);
        // The refusal must not stand for a success of the phone's own.
        let id = app.ask(&bank, "olena");
        let listed = phone.listed(id);
        let shown = phone.phone.fetch(listed).unwrap();
        app.clock.advance(30);
        sign(&app, &bank, &mut copy);
        let told = between(&app, &mut copy, id);
        app.clock.advance(30);
        assert_eq!(code(phone.phone.approve(shown, &Pin::entered(PIN).unwrap())), told);
        assert_eq!(phone.phone.status().unwrap().standing, Standing::Good);
        let id = app.ask(&bank, "olena");
        assert_eq!(code(phone.approve(id, PIN)), ProblemCode::Frozen);
    }
}

#[test]
fn app_020_a_copy_that_signs_in_the_second_of_a_pin_proof_is_seen_at_the_next() {
    for proof in [false, true] {
        let app = TestApp::spawn();
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        sign(&app, &bank, &mut phone);
        let mut copy = app.copy(&phone);
        app.clock.advance(60);
        let change = |phone: &mut TestPhone| {
            phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap())
        };
        if proof {
            // Over the challenge that the phone gets too.
            copy.wire.fail("refresh-keys", Fault::LoseRequest);
            change(&mut copy).unwrap_err();
        } else {
            sign(&app, &bank, &mut copy);
        }
        // The clock stands still here; a phone proves anew in the next second.
        assert_eq!(code(change(&mut phone)), ProblemCode::Overtaken);
        app.clock.advance(1);
        assert_eq!(code(change(&mut phone)), ProblemCode::Frozen);
    }
}

#[test]
fn app_020_a_pin_proof_with_a_retired_token_freezes_too() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    sign(&app, &bank, &mut phone);
    let mut copy = app.copy(&phone);
    for _ in 0..2 {
        app.clock.advance(60);
        sign(&app, &bank, &mut phone);
    }
    app.clock.advance(60);
    let change = copy.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap());
    assert_eq!(code(change), ProblemCode::Frozen);
    assert_eq!(phone.phone.status().unwrap().standing, Standing::Frozen);
}

#[test]
fn app_021_lost_answers_do_not_freeze() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for round in 0..3 {
        for operation in ["requests", "fetch", "approve"] {
            for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
                app.clock.advance(1);
                let id = app.ask(&bank, "olena");
                phone.wire.fail(operation, fault);
                if operation == "requests" {
                    assert!(phone.phone.requests().is_err());
                } else {
                    assert!(phone.approve(id, PIN).is_err());
                }
                if round == 1 {
                    phone = app.reopen(phone);
                }
                app.clock.advance(1);
                match phone.phone.resume().unwrap() {
                    Some((_, Outcome::Signed { verified, .. })) => assert!(verified),
                    _ => assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_))),
                }
                assert_eq!(phone.phone.status().unwrap().standing, Standing::Good, "{operation} {fault:?}");
            }
        }
    }
}

#[test]
fn app_022_late_duplicates_of_old_messages_do_not_freeze() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    sign(&app, &bank, &mut phone);
    let answered = phone.wire.last("approve");
    // One that stayed in the network, about a request that is signed by another message.
    let id = app.ask(&bank, "olena");
    let held = phone.prepare(id, PIN);
    // And one about a request that stays open.
    let open = app.ask(&bank, "olena");
    let late = phone.prepare(open, PIN);
    app.clock.advance(5);
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    for _ in 0..3 {
        app.clock.advance(5);
        sign(&app, &bank, &mut phone);
    }
    for _ in 0..2 {
        let again = app.device("approve", &answered.body);
        assert_eq!(Some(&again.body), answered.reply.as_ref());
        assert_eq!(app.device("approve", &held).code(), ProblemCode::RequestClosed);
        assert_eq!(app.device("approve", &late).code(), ProblemCode::Stale);
    }
    assert_eq!(phone.phone.status().unwrap().standing, Standing::Good);
    assert!(matches!(phone.approve(open, PIN).unwrap(), Approved::Signed(_)));
    // After the tolerance of the clock nobody can replay the envelope; the phone itself can still ask with a fresh one.
    app.clock.advance(400);
    assert_eq!(app.device("approve", &answered.body).code(), ProblemCode::Clock);
    let payload = Envelope::decode(&answered.body).unwrap().body.as_slice().to_vec();
    let again = app.device("approve", &phone.seal_bytes::<Approve>(app.clock.seconds(), payload.clone()));
    assert_eq!(Some(&again.body), answered.reply.as_ref());
    // When its outcome is forgotten, it is about a closed request, and still no sign of a copy.
    app.clock.advance(25 * 3600);
    let again = app.device("approve", &phone.seal_bytes::<Approve>(app.clock.seconds(), payload));
    assert!(matches!(again.code(), ProblemCode::RequestClosed | ProblemCode::Stale | ProblemCode::NotFound));
    assert_eq!(phone.phone.status().unwrap().standing, Standing::Good);
}

#[test]
fn app_022_a_stored_wrong_pin_is_told_again_without_counting() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    let body = phone.prepare(id, crate::harness::WRONG);
    for _ in 0..5 {
        let answer: Evaluated = app.device("approve", &body).cbor();
        assert!(matches!(answer, Evaluated::WrongPin { attempts } if attempts.left == 2));
    }
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);
    // The answer that told of a lock tells of it also when the lock is over.
    let mut last = Vec::new();
    for _ in 0..2 {
        last = phone.prepare(id, crate::harness::WRONG);
        assert_eq!(app.device("approve", &last).status, 200);
    }
    let locked = app.device("approve", &last);
    app.clock.advance(4 * 3600);
    let payload = Envelope::decode(&last).unwrap().body.as_slice().to_vec();
    let later = app.device("approve", &phone.seal_bytes::<Approve>(app.clock.seconds(), payload));
    assert_eq!(later.body, locked.body);
    assert_eq!(phone.phone.status().unwrap().attempts.left, 3);
}
