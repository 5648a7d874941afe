//! Codes that the server makes for an organisation's vehicles. Requirements: `spec/fleets.md`.

use std::{
    collections::BTreeSet,
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;
use signer_client::RelyingParty;
use signer_core::{
    credential::{
        Colour, Document, DocumentType, Note, Reason, Step, StepRule, Verified, VerifyOptions, verify,
    },
    wire::{CodeStep, CreatedRelyingParty, Made, MadeCodes, ProblemCode},
};

use crate::{
    events::{reporter, send},
    harness::{TestApp, problem},
    register::{
        Scripted, TestRegister, app_with,
        events::{Event, Receiver},
        http,
        records::Change,
    },
    support::{http::Answer, phone::network},
};

/// 1,200 taxis of the example register, and 40 buses.
pub(crate) const TAXIS: &str = "40000001";
const BUSES: &str = "40000002";
const VEHICLE: DocumentType = DocumentType::VehicleRegistration;

pub(crate) fn token(app: &TestApp, organisation: &str) -> String {
    let body =
        json!({ "name": "Fleet", "may_ask": false, "may_verify": false, "generates_for": organisation });
    let answer = app.admin("POST", "/relying-parties", Some(&body));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json::<CreatedRelyingParty>().token
}

/// One call, as it is.
fn call(app: &TestApp, token: &str, references: &[&str], step: &str) -> Answer {
    let body = json!({ "document_type": "vehicle_registration", "references": references, "step": step });
    app.http.json("POST", "/v1/codes", token, Some(&body))
}

fn made(app: &TestApp, token: &str, references: &[&str]) -> Vec<Made> {
    let answer = call(app, token, references, "current");
    assert_eq!(answer.status, 200, "{answer:?}");
    let made: MadeCodes = answer.json();
    assert_eq!(made.codes.len(), references.len());
    assert!(made.codes.iter().zip(references).all(|(code, asked)| code.reference == *asked));
    made.codes.into_iter().map(|code| code.made).collect()
}

fn text(made: &Made) -> &str {
    match made {
        Made::Code { qr, .. } => qr,
        Made::Problem(problem) => panic!("{}", problem.code()),
    }
}

fn code(app: &TestApp, token: &str, reference: &str) -> String {
    text(&made(app, token, &[reference])[0]).to_owned()
}

/// Why there is no code.
fn why(app: &TestApp, token: &str, reference: &str) -> ProblemCode {
    match &made(app, token, &[reference])[0] {
        Made::Problem(problem) => *problem,
        Made::Code { .. } => panic!("there is a code"),
    }
}

fn check(app: &TestApp, code: &str, now: u64) -> Verified {
    let options = VerifyOptions::at(signer_core::time::UnixSeconds(now));
    verify(code, &app.service().keys().issuer_keys(), &options).unwrap()
}

fn online(app: &TestApp, shop: &RelyingParty, code: &str) -> (Colour, Reason) {
    let result = shop.verify_code(code, &app.unique("scan-id")).unwrap();
    if result.result == Colour::Green {
        assert_eq!(result.notes, [Note::MadeByServer]);
        assert_eq!(result.next_step, "Compare the plate with the vehicle.");
    }
    (result.result, result.reason)
}

const GREEN: (Colour, Reason) = (Colour::Green, Reason::Valid);
const REVOKED: (Colour, Reason) = (Colour::Red, Reason::Revoked);

/// Makes a change in the register, and reports it.
fn report(register: &TestRegister, app: &TestApp, reference: &str, change: &Change) {
    register.records.apply(&format!("{TAXIS}/{reference}"), "vehicle_registration", change).unwrap();
    let receiver = Receiver { server: app.url().to_owned(), token: reporter(app) };
    for row in register.records.unreported().unwrap() {
        assert!(receiver.send(&Event::of(&row)).unwrap().contains("applied"));
        register.records.reported(row.number).unwrap();
    }
}

#[test]
fn flt_010_codes_of_a_thousand_vehicles_verify_offline_and_online() {
    let mut register = TestRegister::start();
    let app = register.app();
    let (shop, fleet) = (app.shop(), RelyingParty::new(network(app.url()), token(&app, TAXIS)));
    let references: Vec<String> = (1..=1000).map(|number| format!("AA{number:04}EX")).collect();
    let codes = |step| fleet.codes(VEHICLE, &references, step, &|_| {}).unwrap();
    let now = codes(CodeStep::Current);
    let step = Step(app.clock.seconds() / 180);
    assert_eq!((now.step, now.valid_from, now.valid_until), (step, step.start(), step.end()));
    let mut places = BTreeSet::new();
    for (number, code) in now.codes.iter().enumerate() {
        let Made::Code { qr, digits } = &code.made else { panic!("{code:?}") };
        let verified = check(&app, qr, app.clock.seconds());
        let Document::Vehicle(vehicle) = verified.document() else { panic!("{verified:?}") };
        assert_eq!(vehicle.number.as_str(), format!("СХН{:06}", 100_001 + number));
        assert_eq!((verified.custody(), verified.digits().to_string()), (true, digits.clone()));
        assert_eq!((verified.issued().0 % 3600, verified.turn().number()), (0, 0));
        places.insert((verified.status().list, verified.status().index));
    }
    assert_eq!(places.len(), 1000, "a place of its own for each");
    for code in now.codes.iter().step_by(333) {
        assert_eq!(online(&app, &shop, text(&code.made)), GREEN);
        assert_eq!(online(&app, &shop, text(&code.made)), (Colour::Red, Reason::Used));
    }
    // The register is asked for credentials, not for codes.
    register.down();
    let next = codes(CodeStep::Next);
    assert_eq!(next.step, step.next());
    for (before, code) in now.codes.iter().zip(&next.codes).step_by(97) {
        let verified = check(&app, text(&code.made), step.end().0);
        assert_eq!(
            (verified.step(), verified.status()),
            (step.next(), check(&app, text(&before.made), app.clock.seconds()).status())
        );
    }
}

#[test]
fn flt_011_a_token_makes_codes_of_its_own_organisation_only() {
    let register = TestRegister::start();
    let app = register.app();
    let (taxis, buses) = (token(&app, TAXIS), token(&app, BUSES));
    assert!(code(&app, &taxis, "AA0001EX").starts_with("DQ1:"));
    assert!(code(&app, &buses, "KA0001EX").starts_with("DQ1:"));
    for foreign in ["AA0001EX", "40000001/AA0001EX", "../../40000001/vehicles/AA0001EX", "AA0001EX?x=1", ".."]
    {
        assert_eq!(why(&app, &buses, foreign), ProblemCode::NoDocument, "{foreign}");
    }
    // What another organisation holds in memory is not given out either.
    assert_eq!(why(&app, &taxis, "KA0001EX"), ProblemCode::NoDocument);
    // A register that looks at the reference alone.
    let careless = Scripted::start(|_| {
        let vehicle = json!({ "document_type": "vehicle_registration", "organisation": TAXIS, "plate": "АА0001ЕХ",
            "model": "Škoda", "number": "1", "expires": "2031-03-31" });
        http("200 OK", "application/json", vehicle.to_string().as_bytes())
    });
    let app = app_with(careless.address, &register.token_file);
    assert_eq!(why(&app, &token(&app, BUSES), "AA0001EX"), ProblemCode::RegisterNotReached);
    assert!(code(&app, &token(&app, TAXIS), "AA0001EX").starts_with("DQ1:"));
}

#[test]
fn flt_012_a_withdrawn_vehicle_gets_no_more_codes_and_a_changed_one_new_ones() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, fleet) = (app.shop(), token(&app, TAXIS));
    let codes = made(&app, &fleet, &["AA0001EX", "AA0002EX", "AA0003EX"]);
    let place = check(&app, text(&codes[0]), app.clock.seconds()).status();
    report(&register, &app, "AA0001EX", &Change::Withdrawn);
    assert_eq!(online(&app, &shop, text(&codes[0])), REVOKED);
    assert_eq!(why(&app, &fleet, "AA0001EX"), ProblemCode::NoDocument);
    let listed: u32 = app
        .read_only()
        .query_row(
            "SELECT state FROM credential WHERE list = ?1 AND idx = ?2",
            (place.list, place.index),
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(listed, 1, "for the next status list");
    assert_eq!(online(&app, &shop, text(&codes[1])), GREEN, "another vehicle");
    let change = Change::Changed { family: Some("Tavria".into()), rights: None };
    report(&register, &app, "AA0003EX", &change);
    assert_eq!(online(&app, &shop, text(&codes[2])), REVOKED);
    let renewed = check(&app, &code(&app, &fleet, "AA0003EX"), app.clock.seconds());
    let Document::Vehicle(vehicle) = renewed.document() else { panic!("{renewed:?}") };
    assert_eq!(vehicle.model.as_str(), "Tavria");
}

#[test]
fn flt_013_events_name_a_vehicle_by_organisation_and_reference() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, fleet, reporter) = (app.shop(), token(&app, TAXIS), reporter(&app));
    let code = code(&app, &fleet, "AA0001EX");
    let event = |id: &str, subject: &str, kind: Option<&str>| {
        crate::events::event(id, "document.withdrawn", subject, 1, kind)
    };
    for subject in ["AA0001EX", "4000 0001/AA0001EX", "/AA0001EX", "40000001/"] {
        let answer = send(&app, &reporter, &event("1", subject, Some("vehicle_registration")));
        assert_eq!(answer.code(), ProblemCode::InvalidValue, "{subject}");
    }
    for (id, subject, kind) in [
        ("1", "40000002/AA0001EX", "vehicle_registration"),
        ("2", "40000001/AA0001EX", "identity_card"),
        ("3", "40000001/AA0002EX", "vehicle_registration"),
    ] {
        assert_eq!(send(&app, &reporter, &event(id, subject, Some(kind))).status, 200);
    }
    assert_eq!(online(&app, &shop, &code), GREEN);
    let code = self::code(&app, &fleet, "AA0001EX");
    let answer = send(&app, &reporter, &event("4", "40000001/AA0001EX", Some("vehicle_registration")));
    assert_eq!(answer.status, 200);
    assert_eq!(online(&app, &shop, &code), REVOKED);
}

#[test]
fn flt_014_after_a_use_the_step_has_another_code_and_no_more_than_sixteen() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, fleet) = (app.shop(), token(&app, TAXIS));
    for turn in 0..16 {
        let text = code(&app, &fleet, "AA0001EX");
        assert_eq!(check(&app, &text, app.clock.seconds()).turn().number(), turn);
        assert_eq!(code(&app, &fleet, "AA0001EX"), text, "nothing was used: the same code");
        assert_eq!(online(&app, &shop, &text), GREEN);
    }
    assert_eq!(why(&app, &fleet, "AA0001EX"), ProblemCode::TooMany);
    app.clock.advance(180);
    let text = code(&app, &fleet, "AA0001EX");
    assert_eq!(check(&app, &text, app.clock.seconds()).turn().number(), 0);
    assert_eq!(online(&app, &shop, &text), GREEN);
}

#[test]
fn flt_015_without_the_register_nothing_new_is_made_and_nothing_is_invented() {
    let mut register = TestRegister::start();
    let app = register.app();
    let (shop, fleet) = (app.shop(), token(&app, TAXIS));
    let codes = made(&app, &fleet, &["AA0001EX", "ZZ0001EX"]);
    assert!(matches!(codes[1], Made::Problem(ProblemCode::NoDocument)));
    assert_eq!(places(&app), 1, "what is not there keeps no place");
    register.down();
    let codes = made(&app, &fleet, &["AA0002EX", "AA0001EX"]);
    assert!(matches!(codes[0], Made::Problem(ProblemCode::RegisterNotReached)));
    let result = shop.verify_code(text(&codes[1]), "scan-without-register").unwrap();
    assert_eq!((result.result, result.reason), (Colour::Amber, Reason::RegisterNotReached));
    assert!(result.claims.is_some() && result.notes.contains(&Note::MadeByServer));
    assert_eq!(places(&app), 1);
    register.up();
    assert!(matches!(made(&app, &fleet, &["AA0002EX"])[0], Made::Code { .. }));
    // Without a word of the register's, a vehicle that it has no more is refused when it is checked.
    let text = code(&app, &fleet, "AA0001EX");
    register.records.apply("40000001/AA0001EX", "vehicle_registration", &Change::Withdrawn).unwrap();
    assert_eq!(online(&app, &shop, &text), REVOKED);
    assert_eq!(why(&app, &fleet, "AA0001EX"), ProblemCode::NoDocument);
}

#[test]
fn flt_016_a_server_that_starts_anew_makes_new_credentials_and_those_before_live_on() {
    let mut register = TestRegister::start();
    let mut app = register.app();
    let fleet = token(&app, TAXIS);
    let before = code(&app, &fleet, "AA0001EX");
    app.restart();
    let after = code(&app, &fleet, "AA0001EX");
    let now = app.clock.seconds();
    assert_ne!(check(&app, &before, now).status(), check(&app, &after, now).status());
    let shop = app.shop();
    assert_eq!((online(&app, &shop, &before), online(&app, &shop, &after)), (GREEN, GREEN));
    // In the last two hours another one follows, if the register lets it.
    let place = |app: &TestApp| {
        let verified = check(app, &code(app, &fleet, "AA0001EX"), app.clock.seconds());
        (verified.status(), verified.expires().0 - app.clock.seconds())
    };
    let (first, _) = place(&app);
    app.clock.advance(23 * 3600);
    register.down();
    app.clock.advance(1800 + 3600);
    assert_eq!(place(&app).0, first);
    register.up();
    let (second, left) = place(&app);
    assert!(second != first && left > 25 * 3600, "{left}");
    assert_eq!(place(&app).0, second);
}

fn places(app: &TestApp) -> u32 {
    app.read_only().query_row("SELECT count(*) FROM credential", [], |row| row.get(0)).unwrap()
}

#[test]
fn flt_020_a_caller_that_hangs_up_leaves_no_place_taken() {
    let register = TestRegister::start();
    let app = register.app();
    let fleet = token(&app, TAXIS);
    let references: Vec<String> = (0..250).map(|number| format!("ZZ{number:04}EX")).collect();
    let body =
        json!({ "document_type": "vehicle_registration", "references": references, "step": "current" });
    let body = body.to_string();
    let request = format!(
        "POST /v1/codes HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {fleet}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut was_taken = false;
    while !was_taken && Instant::now() < deadline {
        let mut caller = TcpStream::connect(app.url().trim_start_matches("http://")).unwrap();
        caller.write_all(request.as_bytes()).unwrap();
        let sent = Instant::now();
        while !was_taken && sent.elapsed() < Duration::from_secs(2) {
            was_taken = places(&app) > 0;
        }
    }
    assert!(was_taken, "no call was seen at work");
    while places(&app) > 0 {
        assert!(Instant::now() < deadline, "{} places stay taken", places(&app));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn flt_021_what_the_register_has_no_more_when_it_is_renewed_is_withdrawn() {
    let mut register = TestRegister::start();
    let app = register.app();
    let fleet = token(&app, TAXIS);
    let before = code(&app, &fleet, "AA0001EX");
    app.clock.advance(24 * 3600 + 1800);
    // No event tells of it.
    register.records.apply("40000001/AA0001EX", "vehicle_registration", &Change::Withdrawn).unwrap();
    assert_eq!(why(&app, &fleet, "AA0001EX"), ProblemCode::NoDocument);
    register.down();
    assert_eq!(why(&app, &fleet, "AA0001EX"), ProblemCode::RegisterNotReached);
    let ended = "SELECT state FROM credential WHERE idx = ?1";
    let issued = app.clock.seconds() - 24 * 3600 - 1800;
    let index = check(&app, &before, issued).status().index;
    assert_eq!(app.read_only().query_row(ended, [index], |row| row.get::<_, u8>(0)).unwrap(), 1);
}

#[test]
fn flt_017_calls_out_of_bounds_are_refused_whole() {
    let app = TestApp::spawn();
    let fleet = token(&app, TAXIS);
    let twice = call(&app, &fleet, &["AA0001EX", "AA0002EX", "AA0001EX"], "current");
    assert_eq!(twice.code(), ProblemCode::InvalidValue);
    for kind in ["identity_card", "driving_licence"] {
        let body = json!({ "document_type": kind, "references": ["olena"] });
        let answer = app.http.json("POST", "/v1/codes", &fleet, Some(&body));
        assert_eq!(answer.code(), ProblemCode::InvalidValue, "{kind}");
    }
    let many: Vec<String> = (0..1001).map(|number| format!("AA{number:04}EX")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for references in [&[][..], &many] {
        assert_eq!(call(&app, &fleet, references, "current").code(), ProblemCode::InvalidValue);
    }
    assert_eq!(places(&app), 0);
    assert!(code(&app, &fleet, "AA0001EX").starts_with("DQ1:"), "the register in a file has it");
    // The right ends with the token.
    let gone = app.admin("GET", "/relying-parties", None).json::<serde_json::Value>();
    let id = gone[0]["id"].as_str().unwrap();
    assert_eq!(gone[0]["generates_for"], TAXIS);
    assert_eq!(app.admin("DELETE", &format!("/relying-parties/{id}"), None).status, 204);
    assert_eq!(call(&app, &fleet, &["AA0001EX"], "current").code(), ProblemCode::Unauthenticated);
}

#[test]
fn flt_018_a_phone_gets_no_credential_of_an_organisations_document() {
    let app = TestApp::spawn();
    let mut phone = app.phone("olena");
    let refused = problem(phone.phone.top_up(VEHICLE));
    assert_eq!(refused.code, ProblemCode::InvalidValue);
}

#[test]
fn flt_019_steps_of_another_length_are_made_by_the_same_rule() {
    let app = TestApp::spawn_with(|config| config.step_seconds = 12);
    let made: MadeCodes = call(&app, &token(&app, TAXIS), &["AA0001EX"], "next").json();
    let rule = StepRule::for_demo(12).unwrap();
    assert_eq!(made.step, rule.step_at(signer_core::time::UnixSeconds(app.clock.seconds())).next());
    assert_eq!((made.valid_from, made.valid_until), (rule.start(made.step), rule.end(made.step)));
}
