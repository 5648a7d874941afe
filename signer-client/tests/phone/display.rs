//! The three codes on the screen, and what verifiers ask while they are there.

use signer_client::{ClientError, NoShortCodes, Screen, Showing};
use signer_core::{
    credential::{STEP_SECONDS, Turn},
    wire::{Event, ProblemCode, Profile},
};

use crate::{
    show::{CARD, stocked},
    support::{Mishap::*, World},
};

fn turn(number: u8) -> Turn {
    Turn::try_from(number).unwrap()
}

/// Turns and steps that went on display.
fn displays(world: &World) -> Vec<(u64, u8)> {
    world.server().counter.displays.iter().map(|display| (display.step.0, display.turn.number())).collect()
}

#[test]
fn cli_108_the_code_goes_on_display_once_a_step_and_after_a_use() {
    let (world, mut phone) = stocked(108);
    let mut session = phone.start_show(CARD, Showing::minimal()).unwrap();
    let first = phone.display(&mut session).unwrap();
    let short = first.short.clone().unwrap();
    assert_eq!((short.digits, short.bar.to_string()), (first.code.digits, "0000000000000001".into()));
    assert_eq!(phone.display(&mut session).unwrap(), first);
    let step = first.code.step.0;
    assert_eq!(displays(&world), [(step, 0)]);
    assert_eq!(world.server().counter.displays[0].profile, Profile::Minimal);

    world.server().burned = Some(0);
    assert!(phone.poll(&mut session).unwrap());
    let second = phone.display(&mut session).unwrap();
    assert_eq!((second.code.turn, displays(&world)), (turn(1), vec![(step, 0), (step, 1)]));
    assert_ne!(second.short.unwrap(), short);

    world.pass(STEP_SECONDS);
    let third = phone.display(&mut session).unwrap();
    assert_eq!(displays(&world), [(step, 0), (step, 1), (step + 1, 0)]);
    assert!(third.short.is_ok_and(|short| short.digits == third.code.digits));

    phone.end_display(session).unwrap();
    assert_eq!(world.server().counter.ended.len(), 1);
}

#[test]
fn cli_109_where_digits_are_taken_the_servers_turn_is_shown() {
    let (world, mut phone) = stocked(109);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let offline = phone.code(&mut session).unwrap();
    world.server().counter.taken = 2;
    let screen = phone.display(&mut session).unwrap();
    assert_eq!((offline.turn, screen.code.turn), (Turn::FIRST, turn(2)));
    assert_eq!(screen.short.unwrap().digits, screen.code.digits);
    assert_ne!(screen.code.presentation, offline.presentation);
    // Noted before it was shown: another session of the same step goes on after it.
    assert_eq!(phone.code(&mut session).unwrap().turn, turn(2));
}

#[test]
fn cli_110_digits_that_are_not_the_credentials_are_not_shown() {
    let (world, mut phone) = stocked(110);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    world.server().counter.lies_about_digits = true;
    let screen = phone.display(&mut session).unwrap();
    assert!(matches!(screen.short, Err(NoShortCodes::Refused(_))));
    assert_eq!(screen.code.turn, Turn::FIRST);
}

#[test]
fn cli_111_without_network_the_qr_goes_on_alone_and_says_so() {
    let (world, mut phone) = stocked(111);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    world.plan("", 0, usize::MAX, LoseRequest);
    world.forget_sent();
    let alone = |screen: &Screen| screen.short == Err(NoShortCodes::Unreachable);
    let first = phone.display(&mut session).unwrap();
    assert!(alone(&first));
    // It does not hang on the network at each look: one try in ten seconds, and one for each new code.
    for _ in 0..9 {
        world.pass(1);
        assert_eq!(phone.display(&mut session).unwrap(), first);
    }
    assert_eq!(world.bodies("/device/v1/display").len(), 1);
    world.pass(1);
    assert!(alone(&phone.display(&mut session).unwrap()));
    assert_eq!(world.bodies("/device/v1/display").len(), 2);
    // The network is back.
    world.heal();
    world.pass(10);
    let screen = phone.display(&mut session).unwrap();
    assert_eq!(screen.short.unwrap().digits, first.code.digits);
    // What was on display stays on the screen until its step ends.
    world.plan("", 0, usize::MAX, LoseRequest);
    assert!(phone.display(&mut session).unwrap().short.is_ok());
    world.pass(STEP_SECONDS);
    assert!(alone(&phone.display(&mut session).unwrap()));
    assert!(phone.end_display(session).is_ok(), "nothing is on display any more");
}

#[test]
fn cli_112_a_check_is_named_and_answered_once() {
    let (world, mut phone) = stocked(112);
    let now = world.clock().truth.as_secs();
    let asked = world.server().counter.ask("Corner Shop", Profile::Full, now);
    let late = world.server().counter.ask("Late Shop", Profile::Age, now - 1000);
    assert_eq!(
        phone.checks().unwrap(),
        std::slice::from_ref(&asked),
        "one that has ended is not shown: {late:?}"
    );
    assert_eq!((asked.verifier.as_str(), asked.match_number.to_string()), ("Corner Shop", "07".into()));
    // A lost answer is sent again.
    world.plan("/device/v1/answer-check", 0, 1, LoseAnswer);
    phone.answer_check(&asked, true).unwrap();
    let answers = world.server().counter.answers.clone();
    assert!(answers.iter().all(|answer| (answer.id, answer.allow) == (asked.id, true)), "{answers:?}");
    assert!(phone.checks().unwrap().is_empty());
}

#[test]
fn cli_105_the_phone_is_told_of_events_and_goes_on_without() {
    let (world, mut phone) = stocked(105);
    // A server without streams: its refusal is told, and asking goes on.
    let refused = phone.listen().unwrap_err();
    assert!(matches!(refused, ClientError::Problem(problem) if problem.code == ProblemCode::NoSuchPath));
    world.plan("/device/v1/listen", 0, 1, Portal);
    assert!(matches!(phone.listen(), Err(ClientError::ServerMisbehaved(_))));
    world.server().counter.stream = Some(b"event: used\ndata:\n\n: still here\n\nevent: checks\ndata:\n\n");
    let events = std::thread::spawn({
        let stream = phone.listen().unwrap();
        || stream.collect::<Result<Vec<_>, _>>().unwrap()
    });
    assert_eq!(events.join().unwrap(), [Event::Used, Event::Checks]);
    assert!(phone.checks().unwrap().is_empty());
}
