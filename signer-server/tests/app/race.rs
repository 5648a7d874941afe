//! Two approvals of one key at once, and one approval twice.

use std::{sync::Barrier, thread};

use signer_client::{Approved, RelyingParty};
use signer_core::wire::{Evaluated, ProblemCode, RequestStatus};

use crate::{
    harness::{PIN, TestApp, WRONG, counted, patient},
    support::http::Answer,
};

/// Sends all at the same moment; answers in the same order.
fn at_once(app: &TestApp, bodies: &[&[u8]]) -> Vec<Answer> {
    let barrier = Barrier::new(bodies.len());
    thread::scope(|scope| {
        let send = |body: &'_ [u8]| {
            let (body, barrier) = (body.to_vec(), &barrier);
            scope.spawn(move || {
                let client = crate::support::http::Client::new(app.url());
                // The connection stands before the race begins.
                assert_eq!(client.send("GET", "/health/live", &[], &[]).status, 200);
                barrier.wait();
                client.cbor("/device/v1/approve", &body)
            })
        };
        let threads: Vec<_> = bodies.iter().map(|body| send(body)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn evaluated(answer: &Answer) -> Option<Evaluated> {
    if answer.status == 200 {
        return Some(answer.cbor());
    }
    assert_eq!(answer.code(), ProblemCode::Busy);
    assert_eq!(answer.header("retry-after"), Some("1"));
    None
}

fn wait(bank: &RelyingParty, id: signer_core::ids::RequestId) -> RequestStatus {
    bank.wait(id, std::time::Duration::ZERO).unwrap().status
}

#[test]
fn app_001_of_two_racing_approvals_one_is_evaluated_and_the_other_busy() {
    let app = TestApp::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
    let bank = app.bank();
    let mut busy = 0;
    for round in 0..6 {
        // A fresh counter for every five rounds' worth of wrong PINs.
        let mut phone = app.phone("olena");
        let mut before = 0;
        for _ in 0..5 {
            let ids = [app.ask(&bank, "olena"), app.ask(&bank, "olena")];
            let bodies = ids.map(|id| phone.prepare(id, WRONG));
            let answers = at_once(&app, &[&bodies[0], &bodies[1]]);
            let wrong = answers.iter().filter_map(evaluated).inspect(|outcome| {
                assert!(matches!(outcome, Evaluated::WrongPin { .. }), "{outcome:?}");
            });
            let wrong = u8::try_from(wrong.count()).unwrap();
            let now = counted(&phone.phone.status().unwrap());
            assert_eq!(now - before, wrong, "round {round}: every evaluation is counted, nothing else is");
            assert!(wrong >= 1, "one of the two is evaluated");
            busy += 2 - wrong;
            // Open requests would crowd the list.
            ids.iter().for_each(|id| phone.phone.decline(*id).unwrap());
            if now > 7 {
                break;
            }
            before = now;
        }
    }
    assert!(busy >= 5, "the race never happened: only {busy} busy");
}

#[test]
fn app_001_two_approvals_of_one_request_give_one_signature() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for _ in 0..5 {
        let id = app.ask(&bank, "olena");
        let bodies = [phone.prepare(id, PIN), phone.prepare(id, PIN)];
        let answers = at_once(&app, &[&bodies[0], &bodies[1]]);
        let signed = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(signed, 1, "{answers:?}");
        let other = answers.iter().find(|answer| answer.status != 200).unwrap().code();
        assert!(matches!(other, ProblemCode::Busy | ProblemCode::RequestClosed), "{other:?}");
        assert_eq!(wait(&bank, id), RequestStatus::Signed);
        assert!(matches!(phone.phone.outcome(id).unwrap(), signer_client::Outcome::Signed { .. }));
    }
    // The token the phone missed is given with the next signature.
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn app_002_the_same_payload_gives_the_same_answer_and_one_evaluation() {
    let app = TestApp::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for (pin, evaluations) in [(WRONG, 1), (PIN, 1), (WRONG, 2)] {
        let id = app.ask(&bank, "olena");
        let body = phone.prepare(id, pin);
        let mut answers = at_once(&app, &[body.as_slice(); 6]);
        answers.extend((0..2).map(|_| app.device("approve", &body)));
        let (given, busy): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert!(busy.iter().all(|answer| answer.code() == ProblemCode::Busy));
        assert!(given.len() >= 3, "{answers:?}");
        assert!(given.iter().all(|answer| answer.body == given[0].body), "{given:?}");
        let status = phone.phone.status().unwrap();
        // The first success forgets the wrong PIN before it.
        let expected = if pin == PIN { 0 } else { evaluations - u8::from(evaluations == 2) };
        assert_eq!(counted(&status), expected);
    }
    // The same approval in another envelope is the same payload.
    let id = app.ask(&bank, "olena");
    let body = phone.prepare(id, PIN);
    let first = app.device("approve", &body);
    let envelope = signer_core::wire::Envelope::decode(&body).unwrap();
    app.clock.advance(10);
    let again = phone
        .seal_bytes::<signer_core::wire::Approve>(app.clock.seconds(), envelope.body.as_slice().to_vec());
    assert_ne!(again, body);
    assert_eq!(app.device("approve", &again).body, first.body);
}
