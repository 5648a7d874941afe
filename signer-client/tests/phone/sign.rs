//! Enrolment, approval, PIN change, and what gets lost on the way.

use crate::support::{Mishap::*, *};
use signer_client::{Approved, ClientError, Outcome, Phone, StateError, verify_result};
use signer_core::{
    codec,
    ids::Epoch,
    suite::SuiteId,
    wire::{APPROVE_PAYLOAD_BYTES_MAX, Approve, ApprovePayload, Envelope, ProblemCode},
};
use std::collections::BTreeSet;

const DIGESTS: [[u8; 32]; 2] = [[0x41; 32], [0x42; 32]];

fn ask(world: &World) -> signer_core::approval::RequestObject {
    let now = world.clock().truth.as_secs();
    world.server().ask(&DIGESTS, now)
}

fn approve(phone: &mut Phone, digits: &str) -> Result<Approved, ClientError> {
    let listed = phone.requests()?.pop().expect("a request waits");
    let shown = phone.fetch(listed)?;
    phone.approve(shown, &pin(digits))
}

/// Signs one request with `digits`, whatever happened before.
fn signs_with(world: &std::sync::Arc<World>, phone: &mut Phone, digits: &str) {
    let object = ask(world);
    match approve(phone, digits).unwrap() {
        Approved::Signed(signed) => {
            assert_eq!(signed.request, object.request);
            let result = world.server().result(object.request).unwrap();
            let verified = verify_result(&result).unwrap();
            assert_eq!((verified.public_key, verified.record.request), (signed.public_key, object));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn cli_001_enrol_sign_change_pin_sign() {
    SuiteId::ALL.into_iter().for_each(enrol_sign_change_pin_sign);
}

fn enrol_sign_change_pin_sign(suite: SuiteId) {
    let world = World::of(suite, 1);
    let mut phone = world.enrolled();
    let key = phone.enrolled().unwrap();
    assert_eq!(key.context.suite, suite);
    signs_with(&world, &mut phone, PIN);

    ask(&world);
    assert!(matches!(approve(&mut phone, WRONG_PIN), Ok(Approved::WrongPin(attempts)) if attempts.left == 2));
    assert!(matches!(approve(&mut phone, PIN), Ok(Approved::Signed(_))));

    let changed = phone.change_pin(&pin(PIN), &pin(OTHER_PIN)).unwrap();
    assert_eq!((changed.public_key, changed.context.epoch), (key.public_key, Epoch(1)));
    ask(&world);
    assert!(matches!(approve(&mut phone, PIN), Ok(Approved::WrongPin(_))));
    assert!(matches!(approve(&mut phone, OTHER_PIN), Ok(Approved::Signed(_))));

    drop(phone);
    let mut phone = world.phone();
    assert_eq!(phone.enrolled(), Some(changed));
    signs_with(&world, &mut phone, OTHER_PIN);
    assert_eq!(phone.status().unwrap().epoch, Epoch(1));
}

#[test]
fn cli_002_a_wrong_old_pin_changes_nothing() {
    let world = World::new(2);
    let mut phone = world.enrolled();
    let before = phone.enrolled();
    assert!(matches!(phone.change_pin(&pin(WRONG_PIN), &pin(OTHER_PIN)), Err(ClientError::WrongPin(_))));
    assert_eq!(phone.enrolled(), before);
    assert!(!phone.is_undecided());
    signs_with(&world, &mut phone, PIN);
}

#[test]
fn cli_003_an_enrolment_code_that_is_not_good_leaves_nothing() {
    let world = World::new(3);
    let mut phone = world.phone();
    let error = phone.enrol(SUITE, "BAD", &pin(PIN)).unwrap_err();
    assert!(matches!(error, ClientError::Problem(problem) if problem.code == ProblemCode::EnrolmentCode));
    assert!(world.images().is_empty());
    phone.enrol(SUITE, CODE, &pin(PIN)).unwrap();
    let again = phone.enrol(SUITE, CODE, &pin(PIN)).unwrap_err();
    assert!(matches!(again, ClientError::State(StateError::AlreadyEnrolled)));
}

#[test]
fn cli_004_every_single_loss_in_enrolment_and_signing_is_survived() {
    for path in [
        "/v1/answer-key",
        "/v1/time",
        "/device/v1/enrol-start",
        "/device/v1/enrol-keys",
        "/device/v1/enrol-confirm",
        "/device/v1/requests",
        "/device/v1/fetch",
        "/device/v1/approve",
    ] {
        for mishap in [LoseRequest, LoseAnswer, Gateway] {
            let world = World::new(4);
            world.plan(path, 0, 1, mishap);
            let mut phone = world.enrolled();
            signs_with(&world, &mut phone, PIN);
            assert_eq!(world.server().evaluated, 1, "{path} {mishap:?}");
        }
    }
}

#[test]
fn cli_005_every_single_loss_in_a_pin_change_is_survived() {
    SuiteId::ALL.into_iter().for_each(every_single_loss_in_a_pin_change);
}

fn every_single_loss_in_a_pin_change(suite: SuiteId) {
    for path in [
        "/device/v1/refresh-challenge",
        "/device/v1/refresh-start",
        "/device/v1/refresh-keys",
        "/device/v1/refresh-confirm",
    ] {
        for mishap in [LoseRequest, LoseAnswer, Gateway] {
            let world = World::of(suite, 5);
            let mut phone = world.enrolled();
            world.plan(path, 0, 1, mishap);
            let changed = phone.change_pin(&pin(PIN), &pin(OTHER_PIN)).unwrap();
            assert_eq!(changed.context.epoch, Epoch(1), "{path} {mishap:?}");
            signs_with(&world, &mut phone, OTHER_PIN);
        }
    }
}

/// The network goes away for good at one request, its answer lost or the request itself; the process dies and starts anew
/// from the stored image. Then the PIN that holds is the one the server says, and signing goes on.
#[test]
fn cli_006_a_crash_at_any_step_of_a_pin_change_leaves_one_pin_that_holds() {
    SuiteId::ALL.into_iter().for_each(a_crash_at_any_step_of_a_pin_change);
}

fn a_crash_at_any_step_of_a_pin_change(suite: SuiteId) {
    for after in 0..5 {
        for mishap in [LoseRequest, LoseAnswer] {
            let world = World::of(suite, 6);
            let mut phone = world.enrolled();
            let key = phone.enrolled().unwrap().public_key;
            // The request after `after` others meets the mishap, all later ones are lost.
            world.plan("", after, 1, mishap);
            world.plan("", 0, usize::MAX, LoseRequest);
            // Plans are looked at in order, so the second one must begin after the first one.
            world.plans.lock().unwrap()[1].after = after;
            let result = phone.change_pin(&pin(PIN), &pin(OTHER_PIN));
            drop(phone);
            world.heal();

            let mut phone = world.phone();
            let status = phone.status().unwrap();
            let enrolled = phone.enrolled().unwrap();
            assert_eq!((enrolled.public_key, enrolled.context.epoch), (key, status.epoch));
            assert!(result.is_ok() || status.epoch <= Epoch(1));
            let holds = if status.epoch == Epoch(1) { OTHER_PIN } else { PIN };
            signs_with(&world, &mut phone, holds);
            // And the change can be made again.
            let next = if holds == PIN { OTHER_PIN } else { PIN };
            phone.change_pin(&pin(holds), &pin(next)).unwrap();
            assert!(!phone.is_undecided());
            signs_with(&world, &mut phone, next);
        }
    }
}

#[test]
fn cli_007_a_crash_at_any_step_of_an_enrolment_can_be_taken_up() {
    for after in 0..6 {
        for mishap in [LoseRequest, LoseAnswer] {
            let world = World::new(7);
            let mut phone = world.phone();
            world.plan("", after, 1, mishap);
            world.plan("", after, usize::MAX, LoseRequest);
            let first = phone.enrol(SUITE, CODE, &pin(PIN));
            drop(phone);
            world.heal();
            let mut phone = world.phone();
            if first.is_err() {
                phone.enrol(SUITE, CODE, &pin(PIN)).unwrap();
            }
            assert!(!phone.is_undecided(), "{after} {mishap:?}");
            signs_with(&world, &mut phone, PIN);
        }
    }
}

#[test]
fn cli_008_a_full_disk_at_any_step_sends_nothing_that_is_not_stored() {
    for stores in 0..5 {
        let world = World::new(8);
        let mut phone = world.enrolled();
        world.forget_sent();
        *world.stores_left.lock().unwrap() = Some(stores);
        let changed = phone.change_pin(&pin(PIN), &pin(OTHER_PIN));
        // The proof is sent only if the try was stored as unheard, the confirmation only if the new key was stored.
        assert_eq!(world.bodies("/device/v1/refresh-start").is_empty(), stores < 1, "{stores}");
        assert_eq!(world.bodies("/device/v1/refresh-confirm").is_empty(), stores < 3, "{stores}");
        assert_eq!(changed.is_ok(), stores >= 4, "{stores}");
        drop(phone);
        world.heal();
        let mut phone = world.phone();
        let epoch = phone.status().unwrap().epoch;
        signs_with(&world, &mut phone, if epoch == Epoch(1) { OTHER_PIN } else { PIN });
    }
    let world = World::new(8);
    let mut phone = world.enrolled();
    ask(&world);
    world.forget_sent();
    *world.stores_left.lock().unwrap() = Some(0);
    assert!(matches!(approve(&mut phone, PIN), Err(ClientError::Storage(_))));
    assert!(world.bodies("/device/v1/approve").is_empty());
}

#[test]
fn cli_009_resending_an_approve_sends_the_same_bytes() {
    let world = World::new(9);
    let mut phone = world.enrolled();
    ask(&world);
    world.plan("/device/v1/approve", 0, 1, LoseAnswer);
    world.plan("/device/v1/approve", 0, 1, Gateway);
    world.server().busy = 1;
    assert!(matches!(approve(&mut phone, PIN), Ok(Approved::Signed(_))));
    let bodies = world.bodies("/device/v1/approve");
    assert!(bodies.len() >= 3 && bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(world.server().evaluated, 1);
    assert_eq!(phone.unfinished(), None);
}

#[test]
fn cli_010_a_lost_outcome_is_found_after_a_restart() {
    for (mishap, signed) in [(LoseAnswer, true), (LoseRequest, false)] {
        let world = World::new(10);
        let mut phone = world.enrolled();
        let object = ask(&world);
        world.plan("/device/v1/approve", 0, usize::MAX, mishap);
        assert!(
            matches!(approve(&mut phone, PIN), Err(ClientError::OutcomeUnknown(request)) if request == object.request)
        );
        drop(phone);
        world.heal();
        let mut phone = world.phone();
        assert_eq!(phone.unfinished(), Some(object.request));
        match phone.resume().unwrap().unwrap().1 {
            Outcome::Signed { verified, .. } => assert!(signed && verified),
            Outcome::Open(_) => assert!(!signed),
            other => panic!("{other:?}"),
        }
        assert_eq!(phone.resume().unwrap(), None);
        signs_with(&world, &mut phone, PIN);
    }
}

/// How many tries before it the newest approve says were not answered.
fn unheard(world: &World) -> u32 {
    let body = world.bodies("/device/v1/approve").pop().unwrap();
    let approve: Approve = Envelope::decode(&body).unwrap().peek().unwrap();
    codec::decode::<ApprovePayload>(approve.payload.as_slice(), APPROVE_PAYLOAD_BYTES_MAX).unwrap().unheard
}

#[test]
fn cli_019_a_try_says_how_many_before_it_were_not_answered() {
    let world = World::new(19);
    let mut phone = world.enrolled();
    signs_with(&world, &mut phone, PIN);
    for (before, mishap) in [LoseAnswer, LoseRequest, Gateway].into_iter().enumerate() {
        ask(&world);
        world.plan("/device/v1/approve", 0, usize::MAX, mishap);
        assert!(matches!(approve(&mut phone, PIN), Err(ClientError::OutcomeUnknown(_))));
        assert_eq!(unheard(&world), u32::try_from(before).unwrap());
        world.heal();
        drop(phone);
        phone = world.phone();
        phone.resume().unwrap();
    }
    assert!(matches!(approve(&mut phone, WRONG_PIN), Ok(Approved::WrongPin(_))));
    assert_eq!(unheard(&world), 3);
    // The wrong PIN was answered, and stays heard after a restart. A token settles the others.
    drop(phone);
    phone = world.phone();
    signs_with(&world, &mut phone, PIN);
    assert_eq!(unheard(&world), 3);
    signs_with(&world, &mut phone, PIN);
    assert_eq!(unheard(&world), 0);

    world.plan("/device/v1/refresh-start", 0, usize::MAX, LoseAnswer);
    phone.change_pin(&pin(PIN), &pin(OTHER_PIN)).unwrap_err();
    world.heal();
    let proofs = world.bodies("/device/v1/refresh-start").into_iter().collect::<BTreeSet<_>>().len();
    signs_with(&world, &mut phone, PIN);
    assert_eq!(unheard(&world), u32::try_from(proofs).unwrap());
}

#[test]
fn cli_140_no_approval_is_sent_while_the_outcome_of_another_is_unknown() {
    for (mishap, signed) in [(LoseAnswer, true), (LoseRequest, false)] {
        let world = World::new(140);
        let mut phone = world.enrolled();
        let first = ask(&world).request;
        world.plan("/device/v1/approve", 0, usize::MAX, mishap);
        assert!(
            matches!(approve(&mut phone, PIN), Err(ClientError::OutcomeUnknown(request)) if request == first)
        );
        world.heal();
        ask(&world);
        world.forget_sent();
        for restarted in [false, true] {
            if restarted {
                drop(phone);
                phone = world.phone();
            }
            let refused = approve(&mut phone, PIN).unwrap_err();
            assert!(matches!(refused, ClientError::State(StateError::Unfinished)), "{refused:?}");
            assert!(refused.next_step().contains("ask for the outcome"));
        }
        assert!(world.bodies("/device/v1/approve").is_empty());
        // What was sent first is not forgotten by it: its signatures are checked.
        let (request, outcome) = phone.resume().unwrap().unwrap();
        assert_eq!(request, first);
        assert_eq!(matches!(outcome, Outcome::Signed { verified: true, .. }), signed, "{outcome:?}");
        assert!(matches!(approve(&mut phone, PIN), Ok(Approved::Signed(_))));
    }
}

#[test]
fn cli_142_an_approval_of_a_request_that_the_server_has_not_any_more_stops_nothing() {
    let world = World::new(142);
    let mut phone = world.enrolled();
    let first = ask(&world).request;
    world.plan("/device/v1/approve", 0, usize::MAX, LoseAnswer);
    assert!(matches!(approve(&mut phone, PIN), Err(ClientError::OutcomeUnknown(_))));
    world.heal();
    // The server was put back to a backup from before the request, or the request ended long ago.
    world.server().requests.clear();
    assert_eq!(phone.resume().unwrap(), Some((first, Outcome::Unknown)));
    assert_eq!((phone.unfinished(), phone.resume().unwrap()), (None, None));
    ask(&world);
    assert!(matches!(approve(&mut phone, PIN), Ok(Approved::Signed(_))));
}

#[test]
fn cli_011_a_clock_that_is_off_is_set_by_signed_time_only() {
    let world = World::new(11);
    let mut phone = world.enrolled();
    drop(phone);
    // Much later the phone restarts, with its wall clock an hour behind.
    world.pass(5000);
    {
        let mut clock = world.clock();
        (clock.skew, clock.run) = (-3600, 2);
    }
    phone = world.phone();
    world.server().lies_about_time = true;
    assert!(matches!(phone.status(), Err(ClientError::ServerMisbehaved(_))));
    world.server().lies_about_time = false;
    ask(&world);
    world.forget_sent();
    assert!(matches!(approve(&mut phone, PIN), Ok(Approved::Signed(_))));
    assert_eq!(phone.now().0, world.clock().truth.as_secs());
    // One message met the clock, and was sent again with the same body under a new time.
    assert_eq!(world.bodies("/v1/time").len(), 1);
}

#[test]
fn cli_012_the_clock_is_never_believed_below_signed_time() {
    let world = World::new(12);
    drop(world.enrolled());
    let floor = world.clock().truth.as_secs();
    {
        let mut clock = world.clock();
        (clock.skew, clock.run) = (-1_000_000, 3);
    }
    assert!(world.phone().now().0 >= floor);
}

#[test]
fn cli_013_an_unproven_key_is_not_given_up_while_its_confirmation_may_arrive() {
    let world = World::new(13);
    let mut phone = world.enrolled();
    world.plan("/device/v1/refresh-confirm", 0, usize::MAX, LoseRequest);
    assert!(phone.change_pin(&pin(PIN), &pin(OTHER_PIN)).is_err());
    let late = world.bodies("/device/v1/refresh-confirm").pop().unwrap();
    assert!(phone.is_undecided());
    // Meanwhile the old PIN holds.
    signs_with(&world, &mut phone, PIN);
    assert!(phone.is_undecided());
    // The confirmation arrives after all: the new key lives, although the status said otherwise before.
    let now = signer_core::time::UnixSeconds(world.clock().truth.as_secs());
    assert_eq!(world.server().answer("/device/v1/refresh-confirm", &late, now).0, 200);
    world.heal();
    assert_eq!(phone.status().unwrap().epoch, Epoch(1));
    assert!(!phone.is_undecided());
    signs_with(&world, &mut phone, OTHER_PIN);

    // One that cannot arrive any more is given up.
    world.plan("/device/v1/refresh-confirm", 0, usize::MAX, LoseRequest);
    assert!(phone.change_pin(&pin(OTHER_PIN), &pin(PIN)).is_err());
    world.heal();
    world.pass(700);
    phone.status().unwrap();
    assert!(!phone.is_undecided());
}

#[test]
fn cli_014_an_old_copy_of_the_state_is_noticed() {
    let world = World::new(14);
    let mut phone = world.enrolled();
    let old = world.image();
    phone.change_pin(&pin(PIN), &pin(OTHER_PIN)).unwrap();
    drop(phone);
    world.set_image(old);
    assert!(matches!(world.phone().status(), Err(ClientError::State(StateError::OtherShares))));
}

#[test]
fn cli_015_declining_and_outcomes() {
    let world = World::new(15);
    let mut phone = world.enrolled();
    let object = ask(&world);
    assert!(matches!(phone.outcome(object.request), Ok(Outcome::Open(_))));
    phone.decline(object.request).unwrap();
    assert_eq!(phone.outcome(object.request).unwrap(), Outcome::Declined);
    assert!(phone.requests().unwrap().is_empty());
}

#[test]
fn cli_016_a_result_is_checked_as_an_outsider_would() {
    let world = World::new(16);
    let mut phone = world.enrolled();
    let object = ask(&world);
    approve(&mut phone, PIN).unwrap();
    let good = world.server().result(object.request).unwrap();
    assert!(verify_result(&good).is_ok());
    let mut bad = Vec::new();
    let mut change = |f: &dyn Fn(&mut signer_core::wire::SignedResult)| {
        let mut result = good.clone();
        f(&mut result);
        bad.push(result);
    };
    change(&|result| result.signatures.swap(0, 1));
    change(&|result| result.signatures.truncate(1));
    change(&|result| result.signatures.clear());
    change(&|result| result.signatures[0].name = "another.pdf".into());
    change(&|result| result.signatures[0].sha256 = result.signatures[1].sha256.clone());
    change(&|result| result.approval.signature = result.approval.signature.replace('A', "B"));
    change(&|result| result.approval.device_key = result.public_key.clone());
    change(&|result| result.suite = "es512".into());
    change(&|result| result.public_key = "AA==".into());
    for (place, result) in bad.iter().enumerate() {
        assert!(*result == good || verify_result(result).is_err(), "{place}");
    }
}

#[test]
fn cli_017_a_foreign_answer_to_an_approve_leaves_its_outcome_open() {
    for (first, signed) in [(Some(LoseAnswer), true), (None, false)] {
        let world = World::new(17);
        let mut phone = world.enrolled();
        let object = ask(&world);
        if let Some(first) = first {
            world.plan("/device/v1/approve", 0, 1, first);
        }
        world.plan("/device/v1/approve", 0, 1, Portal);
        let outcome = approve(&mut phone, PIN);
        assert!(matches!(outcome, Err(ClientError::OutcomeUnknown(request)) if request == object.request));
        assert_eq!(world.server().evaluated, usize::from(signed));
        drop(phone);
        world.heal();
        match world.phone().resume().unwrap() {
            Some((_, Outcome::Signed { verified, .. })) => assert!(signed && verified),
            Some((_, Outcome::Open(_))) => assert!(!signed),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn cli_018_a_used_up_pin_proof_is_made_anew_once() {
    let world = World::new(18);
    let mut phone = world.enrolled();
    world.forget_sent();
    world.plan("/device/v1/refresh-start", 0, 1, LoseAnswer);
    let changed = phone.change_pin(&pin(PIN), &pin(OTHER_PIN)).unwrap();
    assert_eq!(changed.context.epoch, Epoch(1));
    assert_eq!(world.bodies("/device/v1/refresh-challenge").len(), 2);
    signs_with(&world, &mut phone, OTHER_PIN);

    // Both times lost: given up, and the PIN that held goes on.
    world.forget_sent();
    // Each is sent and sent again; the third sending is the second proof's first.
    world.plan("/device/v1/refresh-start", 0, 1, LoseAnswer);
    world.plan("/device/v1/refresh-start", 1, 1, LoseAnswer);
    let given_up = phone.change_pin(&pin(OTHER_PIN), &pin(PIN)).unwrap_err();
    assert!(matches!(given_up, ClientError::Problem(problem) if problem.code == ProblemCode::Stale));
    assert_eq!(world.bodies("/device/v1/refresh-challenge").len(), 2);
    signs_with(&world, &mut phone, OTHER_PIN);
}
