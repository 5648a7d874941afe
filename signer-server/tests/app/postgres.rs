//! Whole servers on PostgreSQL: one, and two beside each other.

use std::{sync::Barrier, thread, time::Duration};

use signer_client::{Approved, RelyingParty};
use signer_core::{
    credential::Reason,
    wire::{Profile, RequestStatus},
};

use crate::{
    harness::{PIN, TestApp},
    screen::{GREEN, Till, code, outcome, red, stocked},
    support::phone::network,
};

/// Long enough for a slow machine, and shorter than a poll may last.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn sto_150_a_server_on_postgresql_enrols_signs_and_takes_a_code_once() {
    let mut app = TestApp::spawn_on_postgres();
    let (bank, mut phone) = (app.bank(), stocked(&app, "olena"));
    let till = Till::new(&app, "Corner Shop");
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let shown = code(&mut phone, Profile::Age);
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), GREEN);
    let (token, id_of_till) = (till.token, till.id);
    app.restart();
    let till = Till::of(&app, &token, &id_of_till);
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), red(Reason::Used));
    assert_eq!(bank.wait(id, Duration::ZERO).unwrap().status, RequestStatus::Signed);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn sto_151_a_request_that_is_polled_on_one_node_is_approved_on_another() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let (token, mut phone) = (one.relying_party("Bank", true, false).token, one.phone("olena"));
    let bank = || RelyingParty::new(network(two.url()), token.clone());
    let id = two.ask(&bank(), "olena");
    thread::scope(|scope| {
        let poll = scope.spawn(|| bank().wait(id, PATIENCE).unwrap());
        assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
        assert_eq!(poll.join().unwrap().status, RequestStatus::Signed);
    });
}

#[test]
fn sto_152_of_scans_of_one_code_on_two_nodes_one_is_the_first() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let mut phone = stocked(&one, "olena");
    let tills = [(&one, Till::new(&one, "Corner Shop")), (&two, Till::new(&two, "Till Two"))];
    for _ in 0..4 {
        let shown = code(&mut phone, Profile::Age);
        let barrier = Barrier::new(tills.len());
        let outcomes: Vec<_> = thread::scope(|scope| {
            let (barrier, text) = (&barrier, shown.presentation.as_str());
            let scans = tills.iter().map(|(app, till)| {
                scope.spawn(move || {
                    barrier.wait();
                    outcome(app, &till.scan(text))
                })
            });
            let scans: Vec<_> = scans.collect();
            scans.into_iter().map(|scan| scan.join().unwrap()).collect()
        });
        let first = outcomes.iter().filter(|outcome| **outcome == GREEN).count();
        assert_eq!(first, 1, "{outcomes:?}");
        one.clock.advance(1);
    }
}
