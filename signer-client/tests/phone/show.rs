//! Showing a document: stock, steps, turns, what is noted.

use std::{collections::HashSet, sync::Arc};

use signer_client::{ClientError, Phone, Showing, StateError};
use signer_core::{
    credential::{DocumentType, IssuerKey, IssuerKeys, STEP_SECONDS, StatusIndex, VerifyOptions, verify},
    time::UnixSeconds,
    wire::{ProblemCode, Profile, WITHDRAWN_MAX},
};

use crate::support::{Mishap::*, World};

pub(crate) const CARD: DocumentType = DocumentType::IdentityCard;

pub(crate) fn stocked(seed: u64) -> (Arc<World>, Phone) {
    let world = World::new(seed);
    let mut phone = world.enrolled();
    assert_eq!(phone.top_up(CARD).unwrap(), 16);
    (world, phone)
}

pub(crate) fn issuers(world: &World) -> IssuerKeys {
    IssuerKeys::new(vec![IssuerKey {
        issuer: signer_core::trust::IssuerId(1),
        key: *world.server().issuer.verifying_key(),
        document_types: vec![CARD],
        not_before: UnixSeconds(0),
        not_after: UnixSeconds(u64::MAX / 2),
    }])
}

fn options(world: &World) -> VerifyOptions {
    VerifyOptions::at(UnixSeconds(world.clock().truth.as_secs()))
}

#[test]
fn cli_040_a_code_verifies_and_changes_at_the_boundary_never_early() {
    let (world, mut phone) = stocked(40);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let first = phone.code(&mut session).unwrap();
    let verified = verify(first.presentation.as_str(), &issuers(&world), &options(&world)).unwrap();
    assert_eq!((verified.step(), verified.digits()), (first.step, first.digits));
    let now = world.clock().truth.as_secs();
    assert_eq!(first.until.0, (now / STEP_SECONDS + 1) * STEP_SECONDS);

    world.pass(first.until.0 - now - 1);
    assert_eq!(phone.code(&mut session).unwrap(), first);
    world.pass(1);
    let second = phone.code(&mut session).unwrap();
    assert_eq!(second.step, first.step.next());
    assert!(verify(second.presentation.as_str(), &issuers(&world), &options(&world)).is_ok());
}

#[test]
fn cli_041_after_a_use_the_next_turn_is_shown_at_once_up_to_fifteen() {
    let (world, mut phone) = stocked(41);
    let mut session = phone.start_show(CARD, Showing::minimal()).unwrap();
    let first = phone.code(&mut session).unwrap();
    assert!(!phone.poll(&mut session).unwrap());
    world.server().burned = Some(0);
    assert!(phone.poll(&mut session).unwrap());
    let second = phone.code(&mut session).unwrap();
    assert_eq!((second.step, second.turn.number()), (first.step, 1));
    assert_ne!(second.digits, first.digits);
    world.server().burned = Some(15);
    let end = phone.poll(&mut session);
    assert!(matches!(end, Err(ClientError::State(StateError::TurnsUsedUp))));
    // Offline the code stays as it is.
    world.plan("", 0, usize::MAX, LoseRequest);
    assert!(phone.poll(&mut session).is_err());
    assert_eq!(phone.code(&mut session).unwrap(), second);
}

#[test]
fn cli_042_each_show_uses_a_credential_of_its_own_until_none_is_left() {
    let (world, mut phone) = stocked(42);
    let mut seen = HashSet::new();
    for round in 0..10_u64 {
        let mut session = phone.start_show(CARD, Showing::age()).unwrap();
        let code = phone.code(&mut session).unwrap();
        let verified = verify(code.presentation.as_str(), &issuers(&world), &options(&world)).unwrap();
        assert_eq!(seen.insert(verified.status()), round < 8, "{round}");
        assert_eq!(session.is_linkable(), round >= 8);
        // Taken again in the same step, a credential goes on with its next turn.
        assert_eq!(code.turn.number(), u8::from(round >= 8));
        assert_eq!(phone.needs_top_up(CARD), round >= 5);
        world.clock().truth += std::time::Duration::from_secs(1);
    }
}

#[test]
fn cli_043_full_needs_the_holders_word() {
    let (_, mut phone) = stocked(43);
    for (showing, profile) in [
        (Showing::age(), Profile::Age),
        (Showing::minimal(), Profile::Minimal),
        (Showing::to_whoever_scans(Profile::Full), Profile::Full),
    ] {
        let before = phone.stock(CARD).of(profile);
        let session = phone.start_show(CARD, showing).unwrap();
        assert_eq!((session.profile(), session.document_type()), (profile, CARD));
        assert_eq!(phone.stock(CARD).of(profile), before - 1);
    }
}

#[test]
fn cli_044_a_restart_offline_goes_on_with_signed_time_and_another_credential() {
    let (world, mut phone) = stocked(44);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let before = phone.code(&mut session).unwrap();
    drop((phone, session));
    // The holder sets the clock on the wall an hour ahead; the network is away.
    world.clock().skew = 3600;
    world.plan("", 0, usize::MAX, LoseRequest);
    let mut phone = world.phone();
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let after = phone.code(&mut session).unwrap();
    assert_eq!(after.step, before.step);
    assert!(!session.is_linkable());
    let verified = verify(after.presentation.as_str(), &issuers(&world), &options(&world)).unwrap();
    let earlier = verify(before.presentation.as_str(), &issuers(&world), &options(&world)).unwrap();
    assert_ne!(verified.status(), earlier.status());
}

#[test]
fn cli_141_a_server_that_withdraws_more_than_it_gives_out_is_not_believed() {
    let (world, mut phone) = stocked(141);
    let places: Vec<_> =
        world.server().issued.iter().map(|&(list, index)| StatusIndex { list, index }).collect();
    let others = (0..).map(|index| StatusIndex { list: u32::MAX, index });
    world.server().withdrawn = places.iter().copied().chain(others).take(WITHDRAWN_MAX + 1).collect();
    assert!(matches!(phone.renew_withdrawn(), Err(ClientError::ServerMisbehaved(_))));
    assert_eq!(phone.stock(CARD).age, 8);
    // Places that are not the phone's mean nothing to it.
    world.server().withdrawn.drain(..places.len());
    assert!(phone.renew_withdrawn().unwrap().is_empty());
    assert_eq!(phone.stock(CARD).age, 8);
    world.server().withdrawn = places;
    assert_eq!(phone.renew_withdrawn().unwrap(), [CARD]);
    assert_eq!((phone.stock(CARD).age, world.server().issued.len()), (8, 32));
}

#[test]
fn cli_045_a_top_up_fills_the_stock_and_throws_away_used_keys() {
    let (world, mut phone) = stocked(45);
    for _ in 0..6 {
        phone.start_show(CARD, Showing::age()).unwrap();
    }
    let handle_count = |world: &World| world.server().issued.len();
    assert_eq!(phone.stock(CARD).age, 2);
    assert_eq!(phone.top_up(CARD).unwrap(), 6);
    assert_eq!((phone.stock(CARD).age, phone.stock(CARD).minimal, handle_count(&world)), (8, 4, 22));
    assert_eq!(phone.top_up(CARD).unwrap(), 0);
    assert!(phone.top_up_delay() < signer_client::TOP_UP_WITHIN_SECONDS);
}

#[test]
fn cli_046_expired_credentials_are_not_shown() {
    let (world, mut phone) = stocked(46);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    world.pass(27 * 3600);
    assert!(matches!(phone.code(&mut session), Err(ClientError::State(StateError::CredentialExpired))));
    let none = phone.start_show(CARD, Showing::age());
    assert!(matches!(none, Err(ClientError::State(StateError::NoCredential))));
    assert_eq!(phone.stock(CARD).age, 0);
}

#[test]
fn cli_047_after_switching_on_no_code_before_signed_time() {
    let (world, mut phone) = stocked(47);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    // Switched off and on; the holder sets the clock on the wall an hour ahead; the network is away.
    {
        let mut clock = world.clock();
        (clock.skew, clock.run) = (3600, 2);
    }
    world.plan("", 0, usize::MAX, LoseRequest);
    let refused = phone.code(&mut session).unwrap_err();
    assert!(matches!(refused, ClientError::State(StateError::NoSignedTime)));
    drop(phone);
    let mut phone = world.phone();
    let refused = phone.start_show(CARD, Showing::age()).unwrap_err();
    assert!(matches!(refused, ClientError::State(StateError::NoSignedTime)));
    assert!(refused.next_step().starts_with("Connect once"));
    // Online once, then offline again, also in a new process.
    world.heal();
    phone.synchronise().unwrap();
    drop(phone);
    world.plan("", 0, usize::MAX, LoseRequest);
    world.pass(200);
    let mut phone = world.phone();
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let code = phone.code(&mut session).unwrap();
    assert_eq!(code.step.0, world.clock().truth.as_secs() / STEP_SECONDS);
}

#[test]
fn cli_049_a_profile_that_does_not_fit_is_left_out() {
    let world = World::new(49);
    let mut phone = world.enrolled();
    world.server().unfit = Profile::ALL.to_vec();
    let none = phone.top_up(CARD).unwrap_err();
    assert!(matches!(none, ClientError::Problem(problem) if problem.code == ProblemCode::NoDocument));
    // A minor.
    world.server().unfit = vec![Profile::Age];
    assert_eq!(phone.top_up(CARD).unwrap(), 8);
    let stock = phone.stock(CARD);
    assert_eq!((stock.age, stock.minimal, stock.full), (0, 4, 4));
    assert_eq!(phone.top_up(CARD).unwrap(), 0);
    let refused = phone.start_show(CARD, Showing::age());
    assert!(matches!(refused, Err(ClientError::State(StateError::NoCredential))));
    assert!(phone.start_show(CARD, Showing::minimal()).is_ok());
}

#[test]
fn cli_050_a_lost_answer_to_a_top_up_is_made_up_for_by_fresh_day_keys() {
    for mishap in [LoseRequest, LoseAnswer, Gateway] {
        for after in 0..3 {
            let world = World::new(50);
            let mut phone = world.enrolled();
            world.plan("/device/v1/credentials", after, 1, mishap);
            assert_eq!(phone.top_up(CARD).unwrap(), 16, "{mishap:?}");
            let stock = phone.stock(CARD);
            assert_eq!((stock.age, stock.minimal, stock.full), (8, 4, 4));
            assert_eq!(world.server().issued.len() > 16, mishap == LoseAnswer);
            for profile in Profile::ALL {
                let mut session = phone.start_show(CARD, Showing::to_whoever_scans(profile)).unwrap();
                let code = phone.code(&mut session).unwrap();
                assert!(verify(code.presentation.as_str(), &issuers(&world), &options(&world)).is_ok());
            }
        }
    }
}

/// Two processes of one start of the machine read the same clock.
#[cfg(target_os = "linux")]
#[test]
fn cli_048_the_clock_of_the_machine_outlives_a_process() {
    use signer_client::{desk::SystemClock, ports::Clock as _};
    const CHILD: &str = "SIGNER_TEST_CLOCK_FILE";
    let reading = SystemClock.monotonic();
    if let Some(file) = std::env::var_os(CHILD) {
        std::fs::write(file, [&reading.run[..], &reading.elapsed.as_millis().to_be_bytes()].concat())
            .unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reading");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "show::cli_048_the_clock_of_the_machine_outlives_a_process"])
        .env(CHILD, &file)
        .output()
        .unwrap();
    assert!(child.status.success());
    let bytes = std::fs::read(file).unwrap();
    let (run, elapsed) = bytes.split_at(16);
    assert_eq!(run, reading.run);
    let elapsed = u128::from_be_bytes(elapsed.try_into().unwrap());
    assert!((reading.elapsed.as_millis()..reading.elapsed.as_millis() + 60_000).contains(&elapsed));
}

#[test]
fn cli_106_a_top_up_leaves_the_code_on_the_screen() {
    let (world, mut phone) = stocked(106);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let before = phone.code(&mut session).unwrap();
    assert_eq!(phone.top_up(CARD).unwrap(), 1);
    assert_eq!(phone.code(&mut session).unwrap(), before);
    world.pass(STEP_SECONDS);
    let next = phone.code(&mut session).unwrap();
    let place = |code: &signer_client::Code, world: &World| {
        verify(code.presentation.as_str(), &issuers(world), &options(world)).unwrap().status()
    };
    let shown = place(&next, &world);
    // Put away, it is thrown away by the next top-up, with its key.
    drop(session);
    phone.start_show(CARD, Showing::age()).unwrap();
    world.pass(2 * STEP_SECONDS);
    assert_eq!(phone.top_up(CARD).unwrap(), 1);
    let places: HashSet<_> = (0..9)
        .map(|_| {
            world.pass(1);
            let mut session = phone.start_show(CARD, Showing::age()).unwrap();
            place(&phone.code(&mut session).unwrap(), &world)
        })
        .collect();
    assert_eq!((places.len(), places.contains(&shown)), (8, false));
}

#[test]
fn cli_107_each_kind_of_document_has_its_own_stock() {
    let (_, mut phone) = stocked(107);
    let licence = DocumentType::DrivingLicence;
    assert_eq!((phone.stock(CARD).age, phone.stock(licence).age), (8, 0));
    assert!(phone.needs_top_up(licence) && !phone.needs_top_up(CARD));
    let none = phone.start_show(licence, Showing::age());
    assert!(matches!(none, Err(ClientError::State(StateError::NoCredential))));
}
