//! A history under a server that takes back what it said, and the shows a phone notes by itself.

use std::sync::Arc;

use signer_client::{ClientError, HistoryLine, Phone, SHOWS_MAX, Showing, StateError};
use signer_core::{
    codec::Label,
    credential::DocumentType,
    history::{Act, HistoryFault, SealedEntry},
    lost_code::LostCode,
    wire::{HistoryPage, Profile},
};

use crate::support::{CODE, Mishap::*, PIN, START, SUITE, World, pin};

/// A phone whose server has told it `entries` things and no more is known of them.
fn world(seed: u64, entries: u64) -> (Arc<World>, Phone) {
    let world = World::new(seed);
    let phone = world.enrolled();
    tell(&world, 0, entries);
    (world, phone)
}

fn tell(world: &World, from: u64, to: u64) {
    let document_type = |n: u64| u32::try_from(n).unwrap();
    for n in from..to {
        world.server().tell(START + n, Act::DocumentChanged { document_type: document_type(n) });
    }
}

/// Numbers of the entries listed.
fn numbers(phone: &mut Phone, most: usize) -> Vec<u64> {
    let history = phone.history(most).unwrap();
    assert_eq!(history.fault, None);
    let number = |line: &HistoryLine| match line {
        HistoryLine::Told { number, entry } => {
            let act = entry.as_ref().map(|entry| entry.act.clone());
            let document_type = u32::try_from(*number - 1).unwrap();
            assert_eq!(act, Some(Act::DocumentChanged { document_type }));
            Some(*number)
        }
        HistoryLine::Shown(_) => None,
    };
    history.lines.iter().filter_map(number).collect()
}

fn fault(phone: &mut Phone) -> HistoryFault {
    let history = phone.history(100).unwrap();
    assert!(history.lines.iter().all(|line| matches!(line, HistoryLine::Shown(_))), "nothing is believed");
    history.fault.unwrap()
}

#[test]
fn his_050_the_phone_reads_what_is_new_and_remembers_how_far_it_has_come() {
    let (world, mut phone) = world(50, 150);
    assert_eq!(numbers(&mut phone, 1000), (1..=150).collect::<Vec<_>>());
    assert_eq!(numbers(&mut phone, 10), (141..=150).collect::<Vec<_>>());
    tell(&world, 150, 155);
    drop(phone);
    let mut phone = world.phone();
    world.forget_sent();
    assert_eq!(numbers(&mut phone, 8), (148..=155).collect::<Vec<_>>());
    assert_eq!(world.bodies("/device/v1/history").len(), 1, "what is new and a little before is one page");
    assert!(numbers(&mut phone, 0).is_empty());
}

#[test]
fn his_051_a_server_that_forgets_rewrites_or_leaves_out_is_named() {
    type Spoil = fn(&mut HistoryPage);
    let swap: Spoil = |page| page.entries.swap(0, 1);
    let drop_one: Spoil = |page| page.entries.retain(|entry| entry.number != 3);
    let renumbered: Spoil = |page| {
        page.entries.retain(|entry| entry.number != 3);
        (1..).zip(&mut page.entries).for_each(|(number, entry)| entry.number = number);
    };
    let edited: Spoil = |page| {
        let entry = page.entries.last_mut().unwrap();
        let mut bytes = entry.sealed.as_bytes().to_vec();
        bytes[100] ^= 1;
        entry.sealed = SealedEntry::new(bytes).unwrap();
    };
    let none: Spoil = |page| page.entries.clear();
    let old_head: Spoil = |page| page.head.number = 3;
    let other_head: Spoil = |page| page.head.hash[0] ^= 1;
    let (gap, forked) = (|after| HistoryFault::Gap { after }, |number| HistoryFault::Forked { number });
    let (rewritten, shortened) =
        (HistoryFault::Rewritten { number: 10 }, HistoryFault::Shortened { known: 10, got: 3 });
    // To a phone that has seen nothing yet, and to one that has seen it all.
    for (spoil, unseen, seen) in [
        (swap, gap(0), gap(0)),
        (drop_one, gap(2), gap(2)),
        (renumbered, forked(10), forked(10)),
        (edited, forked(10), rewritten),
        (none, gap(0), gap(0)),
        (old_head, forked(3), shortened),
        (other_head, forked(10), rewritten),
    ] {
        for (knows, expected) in [(false, unseen), (true, seen)] {
            let (world, mut phone) = world(51, 10);
            if knows {
                numbers(&mut phone, 100);
            }
            let before = world.image();
            world.server().spoil = Some(spoil);
            assert_eq!(fault(&mut phone), expected, "{knows}");
            assert_eq!(world.image(), before, "what it has seen stays");
            world.server().spoil = None;
            assert_eq!(numbers(&mut phone, 100).len(), 10, "an honest page is taken again");
        }
    }
}

#[test]
fn his_052_what_the_phone_has_seen_outlives_a_restart_and_a_restore_of_the_server() {
    let (world, mut phone) = world(52, 6);
    let backup = world.server().history.clone();
    tell(&world, 6, 9);
    assert_eq!(numbers(&mut phone, 100).len(), 9);
    drop(phone);
    world.server().history = backup.clone();
    let mut phone = world.phone();
    let shortened = HistoryFault::Shortened { known: 9, got: 6 };
    assert_eq!(fault(&mut phone), shortened);
    assert_eq!(fault(&mut phone), shortened, "asking again does not make it good");
    // Grown again, with other entries: the same length, and longer.
    for length in [9, 12] {
        world.server().history = backup.clone();
        tell(&world, 7, 7 + length - 6);
        assert_eq!(fault(&mut phone), HistoryFault::Rewritten { number: 9 });
    }
    let error = ClientError::History(shortened);
    assert_eq!(error.code(), "history_changed");
    assert!(error.next_step().contains("backup"));
    assert_eq!(phone.accept_history().unwrap().number, 12);
    assert_eq!(phone.history(100).unwrap().fault, None);
}

#[test]
fn his_053_an_entry_that_cannot_be_read_hides_no_other() {
    let (world, mut phone) = world(53, 2);
    world.server().history.push(SealedEntry::new(vec![7; 304]).unwrap());
    tell(&world, 3, 4);
    let lines = phone.history(100).unwrap().lines;
    let readable: Vec<_> =
        lines.iter().map(|line| matches!(line, HistoryLine::Told { entry: Some(_), .. })).collect();
    assert_eq!(readable, [true, true, false, true]);
}

#[test]
fn his_054_the_phone_notes_its_shows_and_tells_nobody() {
    let (world, mut phone) = world(54, 0);
    phone.top_up(DocumentType::IdentityCard).unwrap();
    world.forget_sent();
    world.plan("", 0, usize::MAX, LoseRequest);
    for showing in [Showing::age(), Showing::to_whoever_scans(Profile::Full)] {
        world.pass(60);
        let mut session = phone.start_show(DocumentType::IdentityCard, showing).unwrap();
        phone.code(&mut session).unwrap();
        phone.code(&mut session).unwrap();
    }
    let shows = phone.shows().unwrap();
    let seen: Vec<_> =
        shows.iter().map(|show| (show.at.0, show.profile, show.reader.as_ref().map(Label::as_str))).collect();
    assert_eq!(seen, [(START + 60, Profile::Age, None), (START + 120, Profile::Full, None)]);
    world.heal();
    // Between what the server tells, by time.
    tell(&world, 90, 91);
    let lines = phone.history(100).unwrap().lines;
    let told: Vec<_> = lines.iter().map(|line| matches!(line, HistoryLine::Told { .. })).collect();
    assert_eq!(told, [false, true, false]);
    // At rest wrapped, and on no wire.
    let plain = signer_core::codec::encode(&shows);
    let holds = |bytes: &[u8]| bytes.windows(plain.len()).any(|window| window == plain);
    assert!(world.images().iter().all(|image| !holds(image)));
    assert!(world.bodies("").iter().all(|body| !holds(body)));
    drop(phone);
    assert_eq!(world.phone().shows().unwrap(), shows);
}

#[test]
fn his_055_two_hundred_shows_are_remembered() {
    let (world, mut phone) = world(55, 0);
    phone.top_up(DocumentType::IdentityCard).unwrap();
    let first = START + 60;
    for _ in 0..SHOWS_MAX + 20 {
        world.pass(60);
        phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    }
    let shows = phone.shows().unwrap();
    assert_eq!(shows.len(), SHOWS_MAX);
    assert_eq!(shows[0].at.0, first + 20 * 60);
    assert!(numbers(&mut phone, 50).is_empty());
    assert_eq!(phone.history(50).unwrap().lines.len(), 50);
}

#[test]
fn his_056_the_lost_code_is_made_by_the_keystore_and_kept_nowhere() {
    let world = World::new(56);
    let mut phone = world.phone();
    // Also when the answer to the end of the enrolment was lost.
    world.plan("/device/v1/enrol-confirm", 0, 1, LoseAnswer);
    phone.enrol(SUITE, CODE, &pin(PIN)).unwrap();
    let code = phone.lost_code().unwrap();
    assert_eq!(world.server().holder_keys.unwrap().lost_code, code.hash());
    let text = code.text();
    let plain = text.replace('-', "");
    assert_eq!(LostCode::parse(&plain).unwrap().hash(), code.hash());
    let holds = |bytes: &[u8]| {
        [text.as_bytes(), plain.as_bytes()]
            .iter()
            .any(|text| bytes.windows(text.len()).any(|window| window == *text))
    };
    assert!(world.images().iter().all(|image| !holds(image)));
    assert!(world.bodies("").iter().all(|body| !holds(body)));
    drop(phone);
    assert_eq!(world.phone().lost_code().unwrap().hash(), code.hash());
    // Another enrolment has another.
    let mut phone = world.phone();
    phone.forget().unwrap();
    assert_ne!(phone.lost_code().unwrap().hash(), code.hash());
    assert!(matches!(phone.history(10), Err(ClientError::State(StateError::NotEnrolled))));
}
