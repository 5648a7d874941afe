//! How often a relying party may call, and a person be asked.

use signer_core::{
    ids::RequestId,
    wire::{CreatedRequest, ProblemCode},
};
use signer_server::config::LimitsConfig;

use crate::{
    harness::{TestApp, request},
    support::http::Answer,
};

fn ask(app: &TestApp, token: &str, person: &str) -> Answer {
    let body = serde_json::to_value(request(person, 1)).unwrap();
    app.http.json("POST", "/v1/requests", token, Some(&body))
}

/// Asks, and takes the request back, so that only the count per hour is left of it.
fn ask_and_cancel(app: &TestApp, token: &str, person: &str) -> u16 {
    let answer = ask(app, token, person);
    if answer.status == 201 {
        let id = answer.json::<CreatedRequest>().id;
        assert_eq!(app.http.json("DELETE", &format!("/v1/requests/{id}"), token, None).status, 204);
    }
    answer.status
}

fn wait(answer: &Answer) -> u64 {
    assert_eq!(answer.code(), ProblemCode::TooMany, "{answer:?}");
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn lim_003_every_answer_to_a_relying_party_tells_its_limit_and_one_over_it_is_refused() {
    let app = TestApp::spawn_with(|config| {
        config.limits = LimitsConfig { calls_per_second: 3, burst_seconds: 2, ..LimitsConfig::wide() };
    });
    let (bank, other) = (app.relying_party("Bank", true, false), app.relying_party("Other", true, false));
    let path = format!("/v1/requests/{}", RequestId::from_bytes([7; 16]));
    let look = |token: &str| app.http.json("GET", &path, token, None);
    for left in (0..6).rev() {
        let answer = look(&bank.token);
        assert_eq!(answer.code(), ProblemCode::NotFound);
        let reset = (6_u64 - left).div_ceil(3);
        assert_eq!(answer.header("ratelimit").unwrap(), format!("\"calls\";r={left};t={reset}"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"calls\";q=6;w=2"));
    }
    let over = look(&bank.token);
    assert_eq!(wait(&over), 1);
    assert_eq!(over.header("ratelimit"), Some("\"calls\";r=0;t=2"));
    assert_eq!(look(&other.token).code(), ProblemCode::NotFound, "another has its own");
    assert_eq!(look("x").header("ratelimit"), None, "who is nobody is told nothing");
    app.clock.advance(1);
    assert_eq!(look(&bank.token).header("ratelimit"), Some("\"calls\";r=2;t=2"));
}

#[test]
fn lim_004_a_relying_party_can_have_a_rate_of_its_own() {
    let mut app = TestApp::spawn();
    let (large, small) = (app.relying_party("Large", true, false), app.relying_party("Small", true, false));
    app.stop();
    app.config.limits = LimitsConfig { calls_per_second: 1, ..LimitsConfig::default() };
    app.config.limits.calls_per_second_of.insert(large.id.to_string(), 500);
    app.start().unwrap();
    let policy = |token: &str| {
        let answer = app.http.json("GET", "/v1/persons/olena/signing-certificate", token, None);
        answer.header("ratelimit-policy").unwrap().to_owned()
    };
    assert_eq!(policy(&large.token), "\"calls\";q=1000;w=2");
    assert_eq!(policy(&small.token), "\"calls\";q=2;w=2");
}

#[test]
fn lim_005_a_person_is_asked_so_often_in_an_hour_and_no_more_whether_there_is_one_or_not() {
    let app = TestApp::spawn_with(|config| {
        config.limits =
            LimitsConfig { requests_for_person: 4, requests_for_person_of_all: 6, ..LimitsConfig::default() };
    });
    let banks = ["One", "Two"].map(|name| app.relying_party(name, true, false).token);
    let _phone = app.phone("olena");
    let told = ["olena", "nobody"].map(|person| {
        let made: Vec<_> = (0..4).map(|_| ask_and_cancel(&app, &banks[0], person)).collect();
        let fifth = ask(&app, &banks[0], person);
        let of_other: Vec<_> = (0..2).map(|_| ask_and_cancel(&app, &banks[1], person)).collect();
        let third = ask(&app, &banks[1], person);
        assert_eq!((&made[..], &of_other[..]), (&[201; 4][..], &[201; 2][..]));
        (wait(&fifth), fifth.body, wait(&third), third.body)
    });
    assert_eq!(told[0], told[1], "the answer does not tell whether the person exists");
    assert_eq!(told[0].0, 900);
    assert_eq!(ask_and_cancel(&app, &banks[0], "taras"), 201, "another person is not meant");
    app.clock.advance(900);
    assert_eq!(ask_and_cancel(&app, &banks[0], "olena"), 201);
    assert_eq!(ask_and_cancel(&app, &banks[0], "olena"), 429);
}

#[test]
fn lim_006_a_request_that_was_not_made_does_not_count() {
    let app = TestApp::spawn_with(|config| {
        config.limits = LimitsConfig { requests_for_person: 2, ..LimitsConfig::default() };
    });
    let bank = app.relying_party("Bank", true, false).token;
    let body = serde_json::to_vec(&request("olena", 1)).unwrap();
    let bearer = format!("Bearer {bank}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "one"),
    ];
    let first = app.http.send("POST", "/v1/requests", &headers, &body);
    for _ in 0..5 {
        assert_eq!(app.http.send("POST", "/v1/requests", &headers, &body).body, first.body, "the same one");
    }
    let mut wrong = request("olena", 1);
    wrong.text = String::new();
    let wrong = serde_json::to_value(wrong).unwrap();
    for _ in 0..5 {
        assert_eq!(
            app.http.json("POST", "/v1/requests", &bank, Some(&wrong)).code(),
            ProblemCode::InvalidValue
        );
    }
    assert_eq!(ask(&app, &bank, "olena").status, 201);
    assert_eq!(ask(&app, &bank, "olena").code(), ProblemCode::TooMany);
}

#[test]
fn lim_007_who_was_refused_twice_in_ten_minutes_pauses_for_that_person() {
    let app = TestApp::spawn_with(|config| config.limits = LimitsConfig::default());
    let (bank, other) = (app.relying_party("Bank", true, false), app.relying_party("Other", true, false));
    let mut phone = app.phone("olena");
    let mut decline = |token: &str| {
        let id = ask(&app, token, "olena").json::<CreatedRequest>().id;
        phone.phone.decline(id).unwrap();
        // The answer was lost: the same refusal again is one.
        phone.phone.decline(id).unwrap();
    };
    decline(&bank.token);
    app.clock.advance(601);
    decline(&bank.token);
    app.clock.advance(599);
    decline(&bank.token);
    assert_eq!(wait(&ask(&app, &bank.token, "olena")), 600);
    assert_eq!(ask(&app, &other.token, "olena").status, 201, "another may ask");
    assert_eq!(ask(&app, &bank.token, "taras").status, 201, "for another person");
    app.clock.advance(600);
    assert_eq!(ask(&app, &bank.token, "olena").status, 201);
}

#[test]
fn lim_008_links_ask_nobody_and_are_not_counted_as_a_person() {
    let app = TestApp::spawn_with(|config| {
        config.limits = LimitsConfig { requests_for_person: 2, ..LimitsConfig::default() };
    });
    let bank = app.relying_party("Bank", true, false).token;
    let mut link = request("", 1);
    link.link = true;
    let link = serde_json::to_value(link).unwrap();
    for _ in 0..20 {
        assert_eq!(app.http.json("POST", "/v1/requests", &bank, Some(&link)).status, 201);
    }
}
