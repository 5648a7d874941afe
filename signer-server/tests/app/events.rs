//! Events of registers, and what they end. Requirements: `spec/registers.md`.

use std::sync::{Arc, Mutex};

use signer_client::{ClientError, Code, EventStream, RelyingParty, Showing, StateError, Stock};
use signer_core::{
    credential::{Colour, DocumentType, Reason},
    wire::{self, ChecksQuery, CreatedRelyingParty, EventOutcome, ProblemCode, Profile, ReportedEvent},
};

use crate::{
    harness::{TestApp, code as problem_code},
    register::{
        Scripted, TestRegister, app_with,
        events::{Event, Receiver},
        good,
        records::Change,
    },
    support::{
        http::{Answer, Client},
        phone::{Fault, TestPhone},
    },
};

const PATH: &str = "/register/v1/events";
const STRUCTURED: &str = "application/cloudevents+json";
const GREEN: (Colour, Reason) = (Colour::Green, Reason::Valid);
const REVOKED: (Colour, Reason) = (Colour::Red, Reason::Revoked);

pub(crate) fn reporter(app: &TestApp) -> String {
    reporter_of(app, &["identity_card", "driving_licence", "vehicle_registration"], true)
}

/// A register whose token is for these kinds, and for deaths.
fn reporter_of(app: &TestApp, kinds: &[&str], deceased: bool) -> String {
    let body = serde_json::json!({
        "name": "Register", "may_ask": false, "may_verify": false, "report": kinds, "report_deceased": deceased,
    });
    let answer = app.admin("POST", "/relying-parties", Some(&body));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json::<CreatedRelyingParty>().token
}

pub(crate) fn event(
    id: &str,
    kind: &str,
    subject: &str,
    sequence: u64,
    document: Option<&str>,
) -> serde_json::Value {
    let mut event = serde_json::json!({
        "specversion": "1.0", "id": id, "source": "urn:example:register", "subject": subject,
        "type": format!("signer.{kind}.v1"), "sequence": format!("{sequence:020}"),
    });
    if let Some(document) = document {
        event["data"] = serde_json::json!({ "document_type": document });
    }
    event
}

pub(crate) fn send(app: &TestApp, token: &str, event: &serde_json::Value) -> Answer {
    send_to(&app.http, token, event)
}

pub(crate) fn send_to(http: &Client, token: &str, event: &serde_json::Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", STRUCTURED)];
    http.send("POST", PATH, &headers, event.to_string().as_bytes())
}

fn outcome(answer: &Answer) -> EventOutcome {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json::<ReportedEvent>().outcome
}

fn stocked(app: &TestApp, person: &str) -> TestPhone {
    let mut phone = app.phone(person);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
    phone
}

/// A code of the next credential.
fn code(phone: &mut TestPhone) -> Code {
    code_of(phone, DocumentType::IdentityCard)
}

fn code_of(phone: &mut TestPhone, kind: DocumentType) -> Code {
    let mut session = phone.phone.start_show(kind, Showing::age()).unwrap();
    assert!(!session.is_linkable(), "the stock is used up");
    phone.phone.code(&mut session).unwrap()
}

/// A code of each kind of document: identity card, driving licence.
fn codes(phone: &mut TestPhone) -> [Code; 2] {
    let card = code(phone);
    assert_eq!(phone.phone.top_up(DocumentType::DrivingLicence).unwrap(), 16);
    [card, code_of(phone, DocumentType::DrivingLicence)]
}

fn verify(app: &TestApp, shop: &RelyingParty, code: &Code) -> (Colour, Reason) {
    let result = shop.verify_code(code.presentation.as_str(), &app.unique("scan-id")).unwrap();
    (result.result, result.reason)
}

#[test]
fn reg_010_a_withdrawn_document_is_refused_at_once_and_the_others_are_not() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, token) = (app.shop(), reporter(&app));
    let receiver = Receiver { server: app.url().to_owned(), token };
    let mut phone = stocked(&app, "olena");
    let [card, licence] = codes(&mut phone);
    register.records.apply("olena", "driving_licence", &Change::Withdrawn).unwrap();
    for row in register.records.unreported().unwrap() {
        let event = Event::of(&row);
        assert_eq!((event.kind, event.sequence.len()), ("signer.document.withdrawn.v1", 20));
        assert!(receiver.send(&event).unwrap().contains("applied"));
        register.records.reported(row.number).unwrap();
    }
    assert!(register.records.unreported().unwrap().is_empty());
    assert_eq!(verify(&app, &shop, &licence), REVOKED);
    assert_eq!(verify(&app, &shop, &card), GREEN);
    assert_eq!(phone.phone.top_up(DocumentType::DrivingLicence).unwrap(), 0);
}

#[test]
fn reg_010_an_event_ends_codes_also_while_the_register_is_down_or_says_nothing_of_it() {
    let mut register = TestRegister::start();
    let app = register.app();
    let (shop, token) = (app.shop(), reporter(&app));
    let mut phone = stocked(&app, "olena");
    let (first, second) = (code(&mut phone), code(&mut phone));
    let withdrawn = event("1", "document.withdrawn", "olena", 1, Some("identity_card"));
    assert_eq!(outcome(&send(&app, &token, &withdrawn)), EventOutcome::Applied);
    assert_eq!(verify(&app, &shop, &first), REVOKED);
    register.down();
    assert_eq!(verify(&app, &shop, &second), REVOKED);
}

/// Waits until the phone is told that something about its documents changed.
fn told_of_documents(events: &mut EventStream) {
    assert!(events.map(Result::unwrap).any(|told| told == wire::Event::Documents));
}

#[test]
fn app_280_the_phone_throws_away_what_an_event_ended_and_shows_the_new_document() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, token) = (app.shop(), reporter(&app));
    let mut phone = stocked(&app, "olena");
    assert_eq!(phone.phone.top_up(DocumentType::DrivingLicence).unwrap(), 16);
    let mut session =
        phone.phone.start_show(DocumentType::IdentityCard, Showing::to_whoever_scans(Profile::Full)).unwrap();
    let old = phone.phone.display(&mut session).unwrap();
    let mut events = phone.phone.listen().unwrap();
    // A stream begins with every event; nothing has happened.
    told_of_documents(&mut events);
    assert!(phone.phone.renew_withdrawn().unwrap().is_empty());
    assert!(!phone.phone.replace_withdrawn(&mut session).unwrap());

    let change = Change::Changed { family: Some("Шевченко-Коваль".into()), rights: None };
    register.records.apply("olena", "identity_card", &change).unwrap();
    let changed = event("1", "document.changed", "olena", 1, Some("identity_card"));
    assert_eq!(outcome(&send(&app, &token, &changed)), EventOutcome::Applied);
    told_of_documents(&mut events);
    assert_eq!(phone.phone.renew_withdrawn().unwrap(), [DocumentType::IdentityCard]);
    let full = Stock { age: 8, minimal: 4, full: 4 };
    for kind in [DocumentType::IdentityCard, DocumentType::DrivingLicence] {
        assert_eq!(phone.phone.stock(kind), full, "{kind:?}");
    }
    // The open show goes on, with what is agreed to, and says what the register says now.
    assert!(phone.phone.replace_withdrawn(&mut session).unwrap());
    let new = phone.phone.display(&mut session).unwrap();
    assert!(new.short.is_ok() && !session.is_linkable());
    assert_eq!(verify(&app, &shop, &old.code), REVOKED);
    let shown = shop.verify_code(new.code.presentation.as_str(), &app.unique("scan-id")).unwrap();
    assert_eq!((shown.result, shown.reason), GREEN);
    assert!(serde_json::to_string(&shown.claims).unwrap().contains("Шевченко-Коваль"));
    assert!(phone.phone.renew_withdrawn().unwrap().is_empty());

    register.records.apply("olena", "identity_card", &Change::Withdrawn).unwrap();
    let withdrawn = event("2", "document.withdrawn", "olena", 2, Some("identity_card"));
    assert_eq!(outcome(&send(&app, &token, &withdrawn)), EventOutcome::Applied);
    told_of_documents(&mut events);
    assert_eq!(phone.phone.renew_withdrawn().unwrap(), [DocumentType::IdentityCard]);
    assert_eq!(phone.phone.stock(DocumentType::IdentityCard), Stock { age: 0, minimal: 0, full: 0 });
    let over = phone.phone.replace_withdrawn(&mut session);
    assert!(matches!(over, Err(ClientError::State(StateError::NoCredential))));
    assert_eq!(verify(&app, &shop, &code_of(&mut phone, DocumentType::DrivingLicence)), GREEN);
}

#[test]
fn app_281_withdrawn_credentials_are_thrown_away_while_the_register_is_down() {
    let mut register = TestRegister::start();
    let app = register.app();
    let token = reporter(&app);
    let mut phone = stocked(&app, "olena");
    let mut other = stocked(&app, "taras");
    let changed = event("1", "document.changed", "olena", 1, Some("identity_card"));
    assert_eq!(outcome(&send(&app, &token, &changed)), EventOutcome::Applied);
    register.down();
    // Without an answer nothing is thrown away.
    phone.wire.fail("withdrawn", Fault::LoseAnswer);
    assert!(phone.phone.renew_withdrawn().is_err());
    assert_eq!(phone.phone.stock(DocumentType::IdentityCard).age, 8);
    assert_eq!(phone.phone.renew_withdrawn().unwrap(), [DocumentType::IdentityCard]);
    assert_eq!(phone.phone.stock(DocumentType::IdentityCard).age, 0);
    let phone = app.reopen(phone);
    assert_eq!(phone.phone.stock(DocumentType::IdentityCard).age, 0, "also after a restart");
    assert!(phone.phone.needs_top_up(DocumentType::IdentityCard));
    // Nobody is told of another's.
    assert!(other.phone.renew_withdrawn().unwrap().is_empty());
    assert_eq!(other.phone.stock(DocumentType::IdentityCard).age, 8);
}

#[test]
fn reg_011_a_changed_document_ends_what_carries_the_old_claims() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, token) = (app.shop(), reporter(&app));
    let mut phone = stocked(&app, "olena");
    let mut session =
        phone.phone.start_show(DocumentType::IdentityCard, Showing::to_whoever_scans(Profile::Full)).unwrap();
    let old = phone.phone.code(&mut session).unwrap();
    let change = Change::Changed { family: Some("Шевченко-Коваль".into()), rights: None };
    register.records.apply("olena", "identity_card", &change).unwrap();
    let changed = event("1", "document.changed", "olena", 1, Some("identity_card"));
    assert_eq!(outcome(&send(&app, &token, &changed)), EventOutcome::Applied);
    assert_eq!(verify(&app, &shop, &old), REVOKED);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 1);
    let reply = phone.wire.last("credentials").reply.unwrap();
    assert!(reply.windows(29).any(|window| window == "Шевченко-Коваль".as_bytes()));
}

#[test]
fn reg_012_a_death_ends_all_documents_and_suspends_the_phone() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, token) = (app.shop(), reporter(&app));
    let mut phone = stocked(&app, "olena");
    let mut other = stocked(&app, "taras");
    let codes = codes(&mut phone);
    register.records.apply("olena", "", &Change::Deceased).unwrap();
    let event = Event::of(&register.records.unreported().unwrap()[0]);
    assert_eq!(event.kind, "signer.holder.deceased.v1");
    assert!(Receiver { server: app.url().to_owned(), token }.send(&event).unwrap().contains("applied"));
    for code in &codes {
        assert_eq!(verify(&app, &shop, code), REVOKED);
    }
    assert_eq!(problem_code(phone.phone.top_up(DocumentType::IdentityCard)), ProblemCode::Suspended);
    let others = code(&mut other);
    assert_eq!(verify(&app, &shop, &others), GREEN);
    // It was a mistake: the operator takes the suspension back, the codes of before stay ended.
    let device = phone.device_key().device_id();
    assert_eq!(app.admin("POST", &format!("/devices/{device}/resume"), None).status, 204);
    assert_eq!(verify(&app, &shop, &codes[0]), REVOKED);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 0, "the register has none");
}

#[test]
fn reg_013_the_same_event_again_does_nothing_and_gets_the_same_answer() {
    let mut app = TestApp::spawn();
    let (shop, token) = (app.shop(), reporter(&app));
    let mut phone = stocked(&app, "olena");
    let changed = event("1", "document.changed", "olena", 7, Some("identity_card"));
    let first = send(&app, &token, &changed);
    assert_eq!(outcome(&first), EventOutcome::Applied);
    // What is issued after the event is from after it.
    code(&mut phone);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 1);
    app.restart();
    for _ in 0..3 {
        let again = send(&app, &token, &changed);
        assert_eq!((again.status, &again.body), (first.status, &first.body));
    }
    let late = event("2", "document.changed", "olena", 6, Some("identity_card"));
    for _ in 0..2 {
        assert_eq!(outcome(&send(&app, &token, &late)), EventOutcome::Late);
    }
    // The earlier credentials are shown first; the last one is from after the event.
    let unused = phone.phone.stock(DocumentType::IdentityCard).age;
    let newest = (0..unused).map(|_| code(&mut phone)).last().unwrap();
    assert_eq!(verify(&app, &shop, &newest), GREEN);
    for (changed, what) in [
        (event("1", "document.withdrawn", "olena", 7, Some("identity_card")), "another type"),
        (event("1", "document.changed", "taras", 7, Some("identity_card")), "another person"),
        (event("1", "document.changed", "olena", 8, Some("identity_card")), "another sequence"),
        (event("1", "document.changed", "olena", 7, Some("driving_licence")), "another document"),
    ] {
        assert_eq!(send(&app, &token, &changed).code(), ProblemCode::IdempotencyMismatch, "{what}");
    }
}

#[test]
fn reg_013_of_the_same_event_many_times_at_once_one_is_taken() {
    let app = TestApp::spawn();
    let token = reporter(&app);
    let _phone = stocked(&app, "olena");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let changed = event("1", "document.changed", "olena", 7, Some("identity_card"));
                assert_eq!(outcome(&send(&app, &token, &changed)), EventOutcome::Applied);
            });
        }
    });
    let db = app.read_only();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM register_event"), 1);
    assert_eq!(count("SELECT sum(document_events) FROM installation"), 1);
}

#[test]
fn reg_014_events_about_one_document_are_ordered_and_others_do_not_wait() {
    let app = TestApp::spawn();
    let token = reporter(&app);
    let _phone = stocked(&app, "olena");
    let mut number = 0;
    let mut outcome_of = |token: &str, kind: &str, person: &str, sequence: u64, document: Option<&str>| {
        number += 1;
        outcome(&send(&app, token, &event(&format!("id-{number}"), kind, person, sequence, document)))
    };
    let card = Some("identity_card");
    assert_eq!(outcome_of(&token, "document.changed", "olena", 5, card), EventOutcome::Applied);
    for late in [5, 4, 0] {
        assert_eq!(outcome_of(&token, "document.changed", "olena", late, card), EventOutcome::Late);
    }
    assert_eq!(outcome_of(&token, "document.withdrawn", "olena", 6, card), EventOutcome::Applied);
    // Another document, another person, the death of a person, another register: each has an order of its own.
    assert_eq!(
        outcome_of(&token, "document.withdrawn", "olena", 3, Some("driving_licence")),
        EventOutcome::Applied
    );
    assert_eq!(outcome_of(&token, "document.withdrawn", "taras", 1, card), EventOutcome::Applied);
    assert_eq!(outcome_of(&token, "holder.deceased", "olena", 2, None), EventOutcome::Applied);
    assert_eq!(outcome_of(&reporter(&app), "document.changed", "olena", 1, card), EventOutcome::Applied);
}

#[test]
fn reg_050_an_end_counts_however_late_and_a_wrong_sequence_silences_none() {
    let app = TestApp::spawn();
    let (shop, token) = (app.shop(), reporter(&app));
    let mut phone = stocked(&app, "olena");
    let card = Some("identity_card");
    let far = u64::MAX >> 1;
    for (id, kind, sequence) in [("1", "document.changed", far), ("2", "document.changed", 7)] {
        let expected = if sequence == far { EventOutcome::Applied } else { EventOutcome::Late };
        assert_eq!(outcome(&send(&app, &token, &event(id, kind, "olena", sequence, card))), expected);
    }
    // Issued after it: two of the stock are from before.
    for _ in 0..8 {
        code(&mut phone);
    }
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let (first, second) = (code(&mut phone), code(&mut phone));
    let changed = event("3", "document.changed", "olena", 8, card);
    assert_eq!(outcome(&send(&app, &token, &changed)), EventOutcome::Late);
    assert_eq!(verify(&app, &shop, &first), GREEN);
    let withdrawn = event("4", "document.withdrawn", "olena", 9, card);
    for _ in 0..2 {
        assert_eq!(outcome(&send(&app, &token, &withdrawn)), EventOutcome::Late);
    }
    assert_eq!(verify(&app, &shop, &second), REVOKED);
    let dead = |id, sequence| event(id, "holder.deceased", "taras", sequence, None);
    let mut other = stocked(&app, "taras");
    let code = code(&mut other);
    let device = other.device_key().device_id();
    assert_eq!(outcome(&send(&app, &token, &dead("5", far))), EventOutcome::Applied);
    assert_eq!(app.admin("POST", &format!("/devices/{device}/resume"), None).status, 204);
    other.phone.top_up(DocumentType::IdentityCard).unwrap();
    assert_eq!(outcome(&send(&app, &token, &dead("6", 1))), EventOutcome::Late);
    assert_eq!(verify(&app, &shop, &code), REVOKED);
    let answer = app.device("checks", &other.seal(app.clock.seconds(), &ChecksQuery {}));
    assert_eq!(answer.code(), ProblemCode::Suspended);
}

#[test]
fn reg_051_a_register_reports_what_its_token_is_for() {
    let app = TestApp::spawn();
    let (cards, deaths) = (reporter_of(&app, &["identity_card"], false), reporter_of(&app, &[], true));
    let nothing = serde_json::json!({ "name": "Register", "may_ask": false, "may_verify": false });
    let nobody: CreatedRelyingParty = app.admin("POST", "/relying-parties", Some(&nothing)).json();
    let _phone = stocked(&app, "olena");
    let before = app.dump();
    let of = |kind: &str, document| event("1", kind, "olena", 1, document);
    let licence = of("document.withdrawn", Some("driving_licence"));
    let card = of("document.withdrawn", Some("identity_card"));
    let dead = of("holder.deceased", None);
    for (token, event) in
        [(&cards, &licence), (&cards, &dead), (&deaths, &card), (&deaths, &licence), (&nobody.token, &card)]
    {
        assert_eq!(send(&app, token, event).code(), ProblemCode::Forbidden);
    }
    assert_eq!(app.dump(), before, "a refused event changes nothing");
    assert_eq!(outcome(&send(&app, &cards, &card)), EventOutcome::Applied);
    assert_eq!(outcome(&send(&app, &deaths, &dead)), EventOutcome::Applied);
}

#[test]
fn reg_015_both_modes_of_the_http_binding_say_the_same() {
    let app = TestApp::spawn();
    let token = reporter(&app);
    let bearer = format!("Bearer {token}");
    let body = br#"{"document_type":"identity_card"}"#;
    let binary = |changes: &[(&'static str, Option<&'static str>)], body: &[u8]| {
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json; charset=utf-8"),
            ("ce-specversion", "1.0"),
            ("ce-id", "binary%2D1"),
            ("ce-source", "urn:example:register"),
            ("ce-type", "signer.document.withdrawn.v1"),
            ("ce-subject", "\"olena\""),
            ("ce-sequence", "00000000000000000001"),
            ("ce-time", "2026-11-22T04:05:06.789Z"),
        ];
        for (name, value) in changes {
            headers.retain(|(found, _)| found != name);
            headers.extend(value.map(|value| (*name, value)));
        }
        app.http.send("POST", PATH, &headers, body)
    };
    assert_eq!(outcome(&binary(&[], body)), EventOutcome::Applied);
    let same = event("binary-1", "document.withdrawn", "olena", 1, Some("identity_card"));
    assert_eq!(outcome(&send(&app, &token, &same)), EventOutcome::Applied);
    let count = |sql: &str| app.read_only().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM register_event"), 1, "one event in two modes");
    let before = app.dump();
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-sequence"] {
        assert_eq!(binary(&[(name, None)], body).code(), ProblemCode::Malformed, "without {name}");
    }
    for (changes, body, code) in [
        (&[("ce-specversion", Some("0.3"))][..], &body[..], ProblemCode::InvalidValue),
        (&[("ce-id", Some(""))], body, ProblemCode::InvalidValue),
        (&[("ce-id", Some("a%20b"))], body, ProblemCode::InvalidValue),
        (&[("ce-id", Some("%C0%A0"))], body, ProblemCode::Malformed),
        (&[("ce-subject", Some("%D0%9E"))], body, ProblemCode::InvalidValue),
        (&[("ce-type", Some("signer.document.lost.v1"))], body, ProblemCode::InvalidValue),
        (&[("ce-type", Some("signer.holder.deceased.v1"))], body, ProblemCode::InvalidValue),
        (&[("ce-sequence", Some("1"))], body, ProblemCode::InvalidValue),
        (&[("ce-time", Some("yesterday"))], body, ProblemCode::InvalidValue),
        (&[("ce-sequencetype", Some("Text"))], body, ProblemCode::InvalidValue),
        (&[("ce-surprise", Some("1"))], body, ProblemCode::Malformed),
        (&[("ce-datacontenttype", Some("application/json"))], body, ProblemCode::Malformed),
        (&[], b"", ProblemCode::InvalidValue),
        (&[], b"{}", ProblemCode::Malformed),
        (&[], br#"{"document_type":"passport"}"#, ProblemCode::Malformed),
        (&[], br#"{"document_type":"identity_card","more":1}"#, ProblemCode::Malformed),
        (
            &[("content-type", Some("application/cloudevents-batch+json"))],
            body,
            ProblemCode::UnsupportedMediaType,
        ),
        (&[("content-type", Some("application/cloudevents+xml"))], body, ProblemCode::UnsupportedMediaType),
    ] {
        let answer = binary(changes, body);
        assert_eq!(answer.code(), code, "{changes:?} {answer:?}");
    }
    assert_eq!(app.dump(), before, "a refused event changes nothing");
}

#[test]
fn reg_016_a_batch_that_an_event_overtook_is_not_given_out() {
    // A register that reports a change while it still answers with the old claims.
    let server: Arc<Mutex<Option<(Client, String)>>> = Arc::default();
    let told = Arc::clone(&server);
    let register = Scripted::start(move |number| {
        if let Some((http, token)) = &*told.lock().unwrap() {
            let id = format!("id-{number}");
            let sequence = u64::try_from(number).unwrap();
            let changed = event(&id, "document.changed", "olena", sequence, Some("identity_card"));
            assert_eq!(outcome(&send_to(http, token, &changed)), EventOutcome::Applied);
        }
        good()
    });
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "a-token-of-a-register").unwrap();
    let app = app_with(register.address, &token_file);
    let mut phone = app.phone("olena");
    *server.lock().unwrap() = Some((app.http.clone(), reporter(&app)));
    assert_eq!(problem_code(phone.phone.top_up(DocumentType::IdentityCard)), ProblemCode::Stale);
    assert_eq!(phone.phone.stock(DocumentType::IdentityCard).age, 0);
    *server.lock().unwrap() = None;
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
}
