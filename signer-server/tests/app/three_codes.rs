//! A real phone with its three codes on the screen, and a till that reads them.

use std::{sync::mpsc, thread, time::Duration};

use signer_client::{Phone, Screen, ShowSession, Showing};
use signer_core::{
    credential::{DocumentType, Reason},
    wire::{Event, Profile},
};

use crate::{
    harness::TestApp,
    screen::{GREEN, Till, opened, outcome, red, stocked},
};

const CARD: DocumentType = DocumentType::IdentityCard;

fn screen(phone: &mut Phone, session: &mut ShowSession) -> (Screen, String, String) {
    let screen = phone.display(session).unwrap();
    let short = screen.short.clone().unwrap();
    assert_eq!(short.digits, screen.code.digits);
    (screen, short.digits.to_string(), short.bar.to_string())
}

#[test]
fn cli_118_a_phone_shows_three_codes_is_told_who_asks_and_shows_the_next_after_a_use() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena").phone, Till::new(&app, "Corner Shop"));
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let (first, number, bar) = screen(&mut phone, &mut session);

    // Another thread is told; the stream begins with every event once.
    let (sender, events) = mpsc::channel();
    let stream = phone.listen().unwrap();
    thread::spawn(move || stream.map_while(Result::ok).try_for_each(|event| sender.send(event)));
    let next = || events.recv_timeout(Duration::from_secs(20)).unwrap();
    let begun: Vec<_> = Event::ALL.iter().map(|_| next()).collect();
    assert!(Event::ALL.iter().all(|event| begun.contains(event)), "{begun:?}");

    // The till types the number and asks for the whole document. The holder sees who, and agrees.
    let check = opened(&till.ask(&number, "till-000001", Some("full")));
    let mut told = Vec::new();
    while !(told.contains(&Event::Checks) && told.contains(&Event::Used)) {
        told.push(next());
    }
    let waiting = phone.checks().unwrap();
    let [asked] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!((asked.verifier.as_str(), asked.profile), ("Corner Shop", Profile::Full));
    assert_eq!(asked.match_number, check.match_number);
    phone.answer_check(asked, true).unwrap();
    assert_eq!(outcome(&app, &till.look(check.check)), GREEN);
    assert!(phone.checks().unwrap().is_empty());

    // That code is used up in all its forms, and the next one is on the screen.
    for used in [&number, &bar] {
        assert_eq!(outcome(&app, &till.scan(used)), red(Reason::UnknownCode));
    }
    assert_eq!(outcome(&app, &till.scan(first.code.presentation.as_str())), red(Reason::Used));
    assert!(phone.poll(&mut session).unwrap());
    let (second, _, bar) = screen(&mut phone, &mut session);
    assert_eq!(second.code.turn.number(), 1);

    // The till scans the bar code; the holder says no.
    let check = opened(&till.scan(&bar));
    let asked = phone.checks().unwrap().remove(0);
    assert_eq!(asked.profile, Profile::Age);
    phone.answer_check(&asked, false).unwrap();
    assert_eq!(outcome(&app, &till.look(check.check)), red(Reason::Declined));

    // The QR of the next step, then the phone is put away: its short codes are gone at once.
    app.clock.advance(180);
    let (third, number, bar) = screen(&mut phone, &mut session);
    assert_eq!(third.code.step, second.code.step.next());
    phone.end_display(session).unwrap();
    for gone in [number, bar] {
        assert_eq!(outcome(&app, &till.scan(&gone)), red(Reason::UnknownCode));
    }
}
