//! How often a relying party may call, and a person be asked.

use std::process::Command;

use signer_core::{
    ids::RequestId,
    wire::{CreatedRequest, ProblemCode, RelyingPartyView},
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
fn lim_004_a_relying_party_can_have_limits_of_its_own_which_hold_at_once() {
    let app = TestApp::spawn_with(|config| {
        config.limits = LimitsConfig { calls_per_second: 1, ..LimitsConfig::default() };
    });
    let (large, small) = (app.relying_party("Large", true, false), app.relying_party("Small", true, false));
    let call = |token: &str| app.http.json("GET", "/v1/persons/olena/signing-certificate", token, None);
    let policy = |token: &str| call(token).header("ratelimit-policy").unwrap().to_owned();
    for token in [&large.token, &large.token, &small.token, &small.token] {
        assert_eq!(policy(token), "\"calls\";q=2;w=2");
    }
    assert_eq!(call(&large.token).code(), ProblemCode::TooMany);
    // As an operator does it, by the name.
    let limit = |arguments: &[&str]| {
        let config = &app.config;
        let mut program = Command::new(env!("CARGO_BIN_EXE_signer-server"));
        program.env("SIGNER_SERVER__DATA_DIR", &config.data_dir);
        program.env("SIGNER_SERVER__LISTEN", config.listen.to_string());
        let done = program.arg("relying-party").args(arguments).output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap())
    };
    let (done, text) = limit(&["limit", "Large", "--calls-per-second", "500", "--kept-bytes", "2147483648"]);
    assert!(done && text.contains("500 calls a second") && text.contains("2.0 GiB"), "{text}");
    let answer = call(&large.token);
    assert_eq!(answer.header("ratelimit"), Some("\"calls\";r=999;t=1"), "it begins anew");
    assert_eq!(policy(&large.token), "\"calls\";q=1000;w=2");
    assert_eq!(call(&small.token).code(), ProblemCode::TooMany, "another is not meant");
    let (_, list) = limit(&["list"]);
    let line = |name: &str| list.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("Large").ends_with("Large  at most 500 calls a second, at most 2.0 GiB kept"), "{list}");
    assert!(line("Small").ends_with("Small"), "{list}");
    // A lower one too; and then the configured ones again.
    let body = serde_json::json!({ "calls_per_second": 3 });
    assert_eq!(app.admin("PUT", &format!("/relying-parties/{}/limits", large.id), Some(&body)).status, 204);
    assert_eq!(policy(&large.token), "\"calls\";q=6;w=2");
    let (done, text) = limit(&["limit", &large.id.to_string()]);
    assert_eq!((done, text.as_str()), (true, "As configured.\n"));
    assert_eq!(policy(&large.token), "\"calls\";q=2;w=2");
    for wrong in [&["limit", "Nobody"][..], &["limit", "Large", "--calls-per-second", "0"]] {
        assert!(!limit(wrong).0, "{wrong:?}");
    }
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
    assert_eq!(app.http.send("POST", "/v1/requests", &headers, &body).body, first.body, "nor is it refused");
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

#[test]
fn lim_009_what_a_relying_party_keeps_is_bounded_and_told_to_the_operator() {
    let app = TestApp::spawn_with(|config| {
        config.limits = LimitsConfig { kept_bytes: 1 << 20, ..LimitsConfig::wide() };
    });
    let (bank, other) = (app.relying_party("Bank", true, false), app.relying_party("Other", true, false));
    let mut large = request("", 8);
    large.text = "x".repeat(2_000);
    let mut made = 0;
    let full = loop {
        large.person = format!("person-{made}");
        let answer =
            app.http.json("POST", "/v1/requests", &bank.token, Some(&serde_json::to_value(&large).unwrap()));
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 1_000);
    };
    // Each counts three times its object of over 2000 bytes, and some.
    assert!((100..150).contains(&made), "{made}");
    let problem = full.problem();
    assert_eq!(problem.code, ProblemCode::TooMany);
    let text = problem.detail.unwrap();
    assert!(text.contains("1048576 bytes") && text.contains("7 days") && text.contains("operator"), "{text}");
    assert_eq!(ask(&app, &other.token, "olena").status, 201, "another has its own");
    let kept = || {
        let all: Vec<RelyingPartyView> = app.admin("GET", "/relying-parties", None).json();
        all.into_iter().map(|view| (view.name, view.kept_bytes)).collect::<Vec<_>>()
    };
    let told = kept();
    assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("Bank", "Other"));
    assert!(told[0].1 >= 1 << 20 && (1_024..4_096).contains(&told[1].1), "{told:?}");
    // It was not counted as asked, and the operator can allow more.
    assert_eq!(kept(), told);
    let more = serde_json::json!({ "kept_bytes": 1 << 21 });
    assert_eq!(app.admin("PUT", &format!("/relying-parties/{}/limits", bank.id), Some(&more)).status, 204);
    assert_eq!(ask(&app, &bank.token, "olena").status, 201);
}
