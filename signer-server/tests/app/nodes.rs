//! Two servers on one PostgreSQL, and nobody who makes sure that a phone's next message goes to the same one.

use std::{
    collections::BTreeSet,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use signer_client::{Approved, RelyingParty, Showing};
use signer_core::{
    codec::Blob,
    credential::{DocumentType, Reason},
    pin::Pin,
    suite::SuiteId,
    wire::{Confirmed, EnrolKeys, Envelope, Evaluated, Event, ProblemCode, Profile, RequestStatus},
};

use crate::{
    harness::{PIN, TestApp},
    online::Stream,
    screen::{GREEN, Till, code, outcome, red, stocked},
    support::{
        http::Answer,
        phone::{Fault, TestPhone},
    },
};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

const NEW: &str = "845210";

/// Sends each body to its node, all at the same moment.
fn at_once(operation: &str, shots: &[(&TestApp, &[u8])]) -> Vec<Answer> {
    let barrier = Barrier::new(shots.len());
    thread::scope(|scope| {
        let send = |(app, body): (&'_ TestApp, &'_ [u8])| {
            let (client, body, barrier) = (app.http.clone(), body.to_vec(), &barrier);
            let path = format!("/device/v1/{operation}");
            scope.spawn(move || {
                // The connection stands before the race begins.
                assert_eq!(client.send("GET", "/health/live", &[], &[]).status, 200);
                barrier.wait();
                client.cbor(&path, &body)
            })
        };
        let threads: Vec<_> = shots.iter().map(|shot| send(*shot)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn sto_163_each_message_of_a_ceremony_may_come_to_another_node() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let bank = one.bank();
    for suite in SuiteId::ALL {
        let mut phone = one.blank_phone_between(&two);
        let code = one.enrolment_code("olena");
        phone.phone.enrol(suite, &code, &Pin::new(PIN).unwrap()).unwrap();
        let id = one.ask(&bank, "olena");
        assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)), "{suite:?}");
        phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap()).unwrap();
        assert_eq!(phone.phone.status().unwrap().epoch.0, 1);
        let id = one.ask(&bank, "olena");
        assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)), "{suite:?}");
    }
}

#[test]
fn sto_164_of_racing_keys_messages_on_two_nodes_one_is_answered() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    for round in 0..6 {
        let mut phone = one.blank_phone();
        let code = one.enrolment_code("olena");
        phone.wire.fail("enrol-keys", Fault::LoseRequest);
        assert!(phone.phone.enrol(one.suite, &code, &Pin::new(PIN).unwrap()).is_err());
        let first = phone.wire.last("enrol-keys").body;
        let mut keys: EnrolKeys = Envelope::decode(&first).unwrap().peek().unwrap();
        let mut commitment = keys.commitment.as_slice().to_vec();
        commitment[3] ^= 1;
        keys.commitment = Blob::new(commitment).unwrap();
        let other = phone.seal(one.clock.seconds(), &keys);
        let second = if round % 2 == 0 { &other } else { &first };
        let answers = at_once("enrol-keys", &[(&one, &first), (&two, second)]);
        let answered = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(answered, 1, "round {round}: {answers:?}");
        for body in [&first, &other] {
            assert_eq!(two.device("enrol-keys", body).code(), ProblemCode::CeremonyUnknown);
        }
    }
}

#[test]
fn sto_164_of_racing_confirmations_on_two_nodes_one_is_evaluated() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let mut phone = one.phone("olena");
    let bank = one.bank();
    let (old, new) = (Pin::entered(PIN).unwrap(), Pin::new(NEW).unwrap());
    phone.wire.fail("refresh-confirm", Fault::LoseRequest);
    assert!(phone.phone.change_pin(&old, &new).is_err());
    let body = phone.wire.last("refresh-confirm").body;
    let answers = at_once("refresh-confirm", &[(&one, &body), (&two, &body), (&one, &body), (&two, &body)]);
    let (given, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(given.len(), 1, "{answers:?}");
    let _: Confirmed = given[0].cbor();
    for answer in refused {
        assert!(matches!(answer.code(), ProblemCode::Busy | ProblemCode::CeremonyUnknown), "{answer:?}");
    }
    assert_eq!(two.device("refresh-confirm", &body).code(), ProblemCode::CeremonyUnknown);
    assert_eq!(phone.phone.status().unwrap().epoch.0, 1);
    let id = one.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)));
}

#[test]
fn sto_165_a_phone_that_listens_on_one_node_is_told_what_happens_on_another() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let (bank, phone, other) = (one.bank(), one.phone("olena"), one.phone("taras"));
    let mut stream = Stream::open(&two, &phone);
    assert_eq!(stream.take(5), Event::ALL);
    one.ask(&bank, "taras");
    one.ask(&bank, "olena");
    assert_eq!(stream.take(1), [Event::Requests]);
    let device = other.device_key().device_id();
    assert_eq!(one.admin("POST", &format!("/devices/{device}/suspend"), None).status, 204);
    let device = phone.device_key().device_id();
    assert_eq!(one.admin("POST", &format!("/devices/{device}/suspend"), None).status, 204);
    assert_eq!(stream.take(2), [Event::Checks, Event::History], "each once, and of nobody else");
}

#[test]
fn sto_166_keys_and_trust_list_of_one_node_are_taken_up_by_another() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let list = |app: &TestApp| app.http.send("GET", "/v1/trust-list", &[], &[]).body;
    let keys = |app: &TestApp| app.admin("GET", "/keys", None).body;
    assert_eq!(list(&one), list(&two), "there is one from the start");
    let before = list(&one);
    for act in ["next", "activate?force=true"] {
        assert_eq!(one.admin("POST", &format!("/keys/issuer/{act}"), None).status, 204);
        let end = Instant::now() + PATIENCE;
        while list(&two) != list(&one) || keys(&two) != keys(&one) {
            assert!(Instant::now() < end, "{act}: the other node does not take it up");
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert_ne!(list(&two), before);
    // The other node signs with the key that is in use now.
    let mut phone = stocked(&two, "olena");
    let till = Till::new(&one, "Corner Shop");
    assert_eq!(outcome(&one, &till.scan(code(&mut phone, Profile::Age).presentation.as_str())), GREEN);
}

/// Codes of one show that are raced for.
const SCANS: u32 = 4;

/// Races on three nodes: by hand as many rounds as `SIGNER_RACES` says, of one race of approvals and four of scans.
#[test]
fn sto_167_of_races_on_three_nodes_each_has_one_winner() {
    let rounds = std::env::var("SIGNER_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(40_u32);
    let one = TestApp::spawn_on_postgres();
    let (two, three) = (one.beside(), one.beside());
    let nodes = [&one, &two, &three];
    let (bank, mut phone) = (one.bank(), stocked(&one, "olena"));
    let tills = nodes.map(|node| Till::new(node, "Till"));
    let (began, mut answered) = (Instant::now(), [0_u32; 3]);
    for round in 1..=rounds {
        for (all, some) in answered.iter_mut().zip(race_approvals(round, nodes, &bank, &mut phone)) {
            *all += some;
        }
        one.clock.advance(180);
        if round % 150 == 0 {
            // A phone may have only so many credentials.
            phone = stocked(&one, "olena");
        } else if phone.phone.stock(DocumentType::IdentityCard).age == 0 {
            phone.phone.top_up(DocumentType::IdentityCard).unwrap();
        }
        race_scans(round, nodes, &tills, &mut phone);
        phone.wire.forget();
        if round % 100 == 0 || round == rounds {
            let races = [round, round * SCANS];
            println!("{races:?} races in {:?}; answers by node {answered:?}", began.elapsed());
        }
    }
    assert!(rounds < 20 || answered.iter().all(|count| *count > 0), "one node never answered: {answered:?}");
}

/// Two approvals of one request, each on all three nodes: one is evaluated and signs, and it is told the same everywhere. Gives how
/// often each node told it.
fn race_approvals(round: u32, nodes: [&TestApp; 3], bank: &RelyingParty, phone: &mut TestPhone) -> [u32; 3] {
    let id = nodes[0].ask(bank, "olena");
    let bodies = [phone.prepare(id, PIN), phone.prepare(id, PIN)];
    let shots: Vec<(&TestApp, &[u8])> =
        nodes.iter().flat_map(|node| bodies.iter().map(|body| (*node, body.as_slice()))).collect();
    let answers = at_once("approve", &shots);
    let winners: BTreeSet<usize> =
        (0..answers.len()).filter(|n| answers[*n].status == 200).map(|n| n % 2).collect();
    assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
    let mut answered = [0; 3];
    for (n, answer) in answers.iter().enumerate() {
        if answer.status == 200 {
            answered[n / 2] += 1;
            assert!(matches!(answer.cbor(), Evaluated::Signed { .. }), "round {round}");
        } else {
            let code = answer.code();
            let lost =
                matches!(code, ProblemCode::Busy | ProblemCode::RequestClosed | ProblemCode::Overloaded);
            assert!(lost, "round {round}: {code:?}");
        }
    }
    assert_eq!(bank.wait(id, Duration::ZERO).unwrap().status, RequestStatus::Signed);
    // A success gives the attempt back: whatever was counted twice would show.
    assert_eq!(phone.phone.status().unwrap().attempts.left, 3, "round {round}");
    // The phone missed its token; an approval brings the next one.
    let id = nodes[0].ask(bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    answered
}

/// Codes of one show, each at three tills on three nodes at the same moment: one is green, for the others it is used.
fn race_scans(round: u32, nodes: [&TestApp; 3], tills: &[Till; 3], phone: &mut TestPhone) {
    let showing = Showing::to_whoever_scans(Profile::Age);
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, showing).unwrap();
    assert!(!session.is_linkable(), "the stock is used up");
    for _ in 0..SCANS {
        let shown = phone.phone.code(&mut session).unwrap();
        let barrier = Barrier::new(tills.len());
        let outcomes: Vec<_> = thread::scope(|scope| {
            let (barrier, text) = (&barrier, shown.presentation.as_str());
            let scan = |(node, till): (&'_ TestApp, &'_ Till)| {
                barrier.wait();
                outcome(node, &till.scan(text))
            };
            let scans: Vec<_> =
                nodes.into_iter().zip(tills).map(|both| scope.spawn(move || scan(both))).collect();
            scans.into_iter().map(|scan| scan.join().unwrap()).collect()
        });
        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome == GREEN).count(),
            1,
            "round {round}: {outcomes:?}"
        );
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == red(Reason::Used)).count(), 2);
        // The phone hears of it and shows the next.
        assert!(phone.phone.poll(&mut session).unwrap());
    }
}
