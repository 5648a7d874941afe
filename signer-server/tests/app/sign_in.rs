//! Sign-ins at the authorisation page: one question at a time, and what refusals of them lead to.

use std::{sync::Barrier, thread};

use serde_json::{Value, json};
use signer_client::Approved;
use signer_core::wire::{CodeChosen, CreatedRequest, VerificationCode};
use signer_server::config::LimitsConfig;

use crate::{
    code::{Browser, Town, parameter},
    harness::{PIN, TestApp, request},
    oauth::refusal,
    support::http::Answer,
};

fn ask(app: &TestApp, browser: &Browser, person: &str) -> Answer {
    browser.call(app, "POST", "/start", &json!({ "person": person }).to_string())
}

fn seconds(answer: &Answer) -> u64 {
    assert_eq!(refusal(answer).1, "temporarily_unavailable", "{answer:?}");
    assert_eq!(answer.status, 429);
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// The bank's own name for a person who signs something for it.
fn pairwise(town: &mut Town) -> String {
    let token = town.bank.token(&town.app);
    let body = serde_json::to_value(request("olena", 1)).unwrap();
    let made: CreatedRequest = town.app.http.json("POST", "/v1/requests", &token, Some(&body)).json();
    assert!(matches!(town.phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
    let view: Value = town.app.http.json("GET", &format!("/v1/requests/{}", made.id), &token, None).json();
    view["result"]["person_id"].as_str().unwrap().to_owned()
}

#[test]
fn oau_023_of_many_sign_ins_at_once_under_any_name_one_is_asked() {
    let mut town = Town::new();
    let pairwise = pairwise(&mut town);
    assert!(pairwise.starts_with("pid_"));
    let browsers: Vec<_> = (0..8).map(|_| town.begin(&town.query(&[]))).collect();
    let (app, together) = (&town.app, &Barrier::new(browsers.len()));
    let answers: Vec<_> = thread::scope(|scope| {
        let names = ["olena", &pairwise].into_iter().cycle();
        let asks = browsers.iter().zip(names).map(|(browser, name)| {
            scope.spawn(move || {
                together.wait();
                ask(app, browser, name)
            })
        });
        asks.collect::<Vec<_>>().into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 204).map(seconds).collect();
    assert_eq!(refused, [120; 7], "how long the phone has");
    assert_eq!(town.phone.phone.requests().unwrap().len(), 1);
    // One after the other it is the same, whichever name was first.
    let asked = town.phone.phone.requests().unwrap().pop().unwrap().request;
    town.phone.phone.decline(asked).unwrap();
    assert_eq!(ask(app, &town.begin(&town.query(&[])), &pairwise).status, 204);
    let hinted = town.begin(&town.query(&[("login_hint", "olena")]));
    assert_eq!(hinted.call(app, "POST", "/start", "{}").status, 429);
    assert_eq!(town.phone.phone.requests().unwrap().len(), 1);
}

#[test]
fn oau_024_a_refusal_makes_room_at_once_and_two_pause_sign_ins_alone() {
    let mut town = Town::new();
    town.app.stop();
    town.app.config.limits = LimitsConfig::default();
    town.app.start().unwrap();
    let (stranger, own) = (town.begin(&town.query(&[])), town.begin(&town.query(&[])));
    assert_eq!(ask(&town.app, &stranger, "olena").status, 204);
    let refused = ask(&town.app, &own, "olena");
    assert_eq!(seconds(&refused), 120);
    assert!(refusal(&refused).2.contains("declined on the phone"), "what to do is said");
    // Declined on the phone, there is room at once for her own.
    let first = town.phone.phone.requests().unwrap().pop().unwrap().request;
    town.phone.phone.decline(first).unwrap();
    assert_eq!(ask(&town.app, &own, "olena").status, 204);
    town.approve(&own);
    assert!(parameter(&own.leave(&town.app), "code").is_some());
    // A wrong code is a refusal too, and the second within ten minutes.
    let stranger = town.begin(&town.query(&[]));
    assert_eq!(ask(&town.app, &stranger, "olena").status, 204);
    let waiting = town.phone.phone.waiting().unwrap().pop().unwrap();
    let right: VerificationCode =
        serde_json::from_value(stranger.view(&town.app)["verification_code"].clone()).unwrap();
    let other = waiting.codes.unwrap().codes.into_iter().find(|code| *code != right).unwrap();
    assert_eq!(town.phone.phone.choose_code(waiting.object.request, other).unwrap(), CodeChosen::Wrong {});
    assert_eq!(seconds(&ask(&town.app, &town.begin(&town.query(&[])), "olena")), 600);
    assert_eq!(ask(&town.app, &town.begin(&town.query(&[])), "taras").status, 204, "another person");
    // What the client itself asks is not held up by what strangers began at its page.
    let browser = town.begin(&town.asks_for(&[1]));
    browser.start(&town.app);
    let token = town.bank.token(&town.app);
    let body = serde_json::to_value(request("olena", 1)).unwrap();
    assert_eq!(town.app.http.json("POST", "/v1/requests", &token, Some(&body)).status, 201);
    town.app.clock.advance(600);
    assert_eq!(ask(&town.app, &town.begin(&town.query(&[])), "olena").status, 204);
}

#[test]
fn oau_025_sign_ins_do_not_use_up_how_often_relying_parties_may_ask() {
    let mut town = Town::new();
    town.app.stop();
    town.app.config.limits =
        LimitsConfig { requests_for_person: 3, requests_for_person_of_all: 3, ..LimitsConfig::default() };
    town.app.start().unwrap();
    for _ in 0..3 {
        let browser = town.begin(&town.query(&[]));
        assert_eq!(ask(&town.app, &browser, "olena").status, 204);
        assert_eq!(browser.call(&town.app, "POST", "/cancel", "{}").status, 204);
    }
    assert_eq!(ask(&town.app, &town.begin(&town.query(&[])), "olena").status, 429);
    town.begin(&town.asks_for(&[1])).start(&town.app);
    assert_eq!(town.phone.phone.requests().unwrap().len(), 1);
}

#[test]
fn oau_026_cancelling_as_the_phone_is_asked_leaves_no_question() {
    let mut town = Town::new();
    for n in 0..10 {
        let browser = town.begin(&town.asks_for(&[n]));
        let (app, together) = (&town.app, &Barrier::new(2));
        thread::scope(|scope| {
            let start = scope.spawn(|| {
                together.wait();
                browser.call(app, "POST", "/start", "{}").status
            });
            together.wait();
            assert_eq!(browser.call(app, "POST", "/cancel", "{}").status, 204);
            assert!([204, 400].contains(&start.join().unwrap()));
        });
        assert!(town.phone.phone.requests().unwrap().is_empty(), "round {n}");
        assert_eq!(parameter(&browser.leave(&town.app), "reason").as_deref(), Some("CANCELLED"));
    }
}
