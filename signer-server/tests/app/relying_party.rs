//! What a relying party can rely on.

use std::{
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_client::{Approved, RelyingParty, ResultError, verify_result};
use signer_core::wire::{CreateRequest, ProblemCode, RequestStatus, RequestSummary, SignedResult};

use crate::{
    harness::{PIN, TestApp, WRONG, code, problem, request},
    support::phone::network,
};

#[test]
fn app_090_an_idempotency_key_gives_one_request() {
    let app = TestApp::spawn();
    let (registered, other) = (app.relying_party("Bank of Examples", true, false), app.bank());
    let bank = RelyingParty::new(network(app.url()), registered.token.clone());
    let body = request("olena", 1);
    let first = bank.ask(&body, "key-1").unwrap();
    app.clock.advance(10);
    assert_eq!(bank.ask(&body, "key-1").unwrap(), first);
    let changed = CreateRequest { text: "Please sign!".into(), ..body.clone() };
    assert_eq!(code(bank.ask(&changed, "key-1")), ProblemCode::IdempotencyMismatch);
    assert_ne!(bank.ask(&body, "key-2").unwrap().id, first.id);
    assert_ne!(other.ask(&body, "key-1").unwrap().id, first.id, "keys are each relying party's own");
    assert_eq!(app.dump()["request"].0, 3);
    // Twenty at once are one.
    let ids: Vec<_> = thread::scope(|scope| {
        let (url, token) = (app.url(), &registered.token);
        let body = &body;
        let ask = || {
            scope.spawn(move || {
                let bank = RelyingParty::new(network(url), token.as_str());
                // Who comes while the first is being made is told to send the same again.
                loop {
                    match bank.ask(body, "key-3") {
                        Ok(made) => break made.id,
                        other => assert_eq!(code(other), ProblemCode::IdempotencyInFlight),
                    }
                }
            })
        };
        let threads: Vec<_> = (0..20).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(app.dump()["request"].0, 4);
    // The same after the server was restarted.
    let mut app = app;
    app.restart();
    assert_eq!(bank.ask(&body, "key-1").unwrap(), first);
}

#[test]
fn app_091_a_long_poll_returns_when_the_request_ends() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.relying_party("Bank", true, false), app.phone("olena"));
    let rp = || RelyingParty::new(network(app.url()), bank.token.clone());
    let asker = rp();
    for end in ["signed", "declined", "cancelled", "expired"] {
        let mut body = request("olena", 1);
        body.expires_in = Some(60);
        let id = asker.ask(&body, &app.unique("poll")).unwrap().id;
        if end == "expired" {
            app.clock.advance(59);
        }
        thread::scope(|scope| {
            let poll = scope.spawn(|| {
                let view = rp().wait(id, Duration::from_secs(50)).unwrap();
                (view, Instant::now())
            });
            thread::sleep(Duration::from_millis(300));
            assert!(!poll.is_finished(), "{end}");
            match end {
                "signed" => {
                    assert!(matches!(phone.approve(id, WRONG).unwrap(), Approved::WrongPin(_)));
                    assert!(!poll.is_finished(), "a wrong PIN ends nothing");
                    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
                }
                "declined" => phone.phone.decline(id).unwrap(),
                "cancelled" => {
                    let path = format!("/v1/requests/{id}");
                    assert_eq!(app.http.json("DELETE", &path, &bank.token, None).status, 204);
                }
                _ => app.clock.advance(1),
            }
            let ended = Instant::now();
            let (view, told) = poll.join().unwrap();
            assert_eq!(serde_json::to_value(view.status).unwrap(), end);
            assert_eq!(view.result.is_some(), end == "signed");
            assert!(told.saturating_duration_since(ended) < Duration::from_secs(3), "{end}");
        });
        // What ended stays ended.
        if end != "signed" {
            assert!(phone.phone.requests().unwrap().is_empty(), "{end}");
            let closed = app.http.json("DELETE", &format!("/v1/requests/{id}"), &bank.token, None);
            let expected = if end == "cancelled" { 204 } else { 409 };
            assert_eq!(closed.status, expected, "{end}");
        }
    }
    // And one that does not end returns in time, still open.
    let id = asker.ask(&request("olena", 1), "open").unwrap().id;
    let began = Instant::now();
    assert_eq!(asker.wait(id, Duration::from_millis(400)).unwrap().status, RequestStatus::Open);
    assert!((300..3000).contains(&began.elapsed().as_millis()));
}

#[test]
fn app_092_a_request_to_nobody_looks_like_any_other() {
    let app = TestApp::spawn();
    let bank = app.relying_party("Bank", true, false);
    let _known = app.phone("olena");
    let views = ["olena", "nobody"].map(|person| {
        let body = serde_json::to_value(request(person, 1)).unwrap();
        let created = app.http.json("POST", "/v1/requests", &bank.token, Some(&body));
        let made: signer_core::wire::CreatedRequest = created.json();
        let path = format!("/v1/requests/{}", made.id);
        let open = app.http.json("GET", &path, &bank.token, None);
        (created.status, made, open, path)
    });
    let same = |mut a: crate::support::http::Answer, id: &str| {
        a.headers.retain(|(name, _)| !["date", "ratelimit", "x-request-id"].contains(&name.as_str()));
        let text = String::from_utf8(a.body.clone()).unwrap().replace(id, "ID");
        (a.status, a.headers, text)
    };
    let [known, unknown] = &views;
    assert_eq!(known.0, unknown.0);
    assert_eq!(known.1.expires, unknown.1.expires);
    assert_eq!(
        same(known.2.clone(), &known.1.id.to_string()),
        same(unknown.2.clone(), &unknown.1.id.to_string())
    );
    app.clock.advance(90_000);
    let [known, unknown] = views
        .map(|(_, made, _, path)| same(app.http.json("GET", &path, &bank.token, None), &made.id.to_string()));
    assert_eq!(known, unknown);
    assert!(known.2.contains("expired"));
}

fn signed(documents: u8) -> SignedResult {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let id = app.ask_many(&bank, "olena", documents);
    let listed = phone.listed(id);
    assert_eq!(listed.documents.as_slice().len(), usize::from(documents));
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let view = bank.wait(id, Duration::ZERO).unwrap();
    assert_eq!(view.status, RequestStatus::Signed);
    assert_eq!(bank.wait(id, Duration::ZERO).unwrap(), view, "the result stays the same");
    view.result.unwrap()
}

#[test]
fn app_093_a_batch_is_signed_whole_and_an_altered_result_is_found() {
    let result = signed(3);
    let verified = verify_result(&result).unwrap();
    assert_eq!(verified.record.request.documents.as_slice().len(), 3);
    assert_eq!(result.signatures.len(), 3);

    let alter = |change: &dyn Fn(&mut SignedResult)| {
        let mut altered = result.clone();
        change(&mut altered);
        verify_result(&altered).unwrap_err()
    };
    let flip = |text: &mut String, byte: usize| {
        let mut bytes = BASE64_STANDARD.decode(&text).unwrap();
        bytes[byte] ^= 1;
        *text = BASE64_STANDARD.encode(bytes);
    };
    for n in 0..3 {
        let name = format!("document {n}");
        for byte in [1, 40, 63] {
            let found = alter(&|result| flip(&mut result.signatures[n].signature, byte));
            assert_eq!(found, ResultError::Signature(name.clone()));
        }
        let found = alter(&|result| flip(&mut result.signatures[n].sha256, 31));
        assert_eq!(found, ResultError::Signature(name.clone()));
        let found = alter(&|result| result.signatures[n].name.push('!'));
        assert_eq!(found, ResultError::Record);
    }
    assert_eq!(alter(&|result| drop(result.signatures.pop())), ResultError::Record);
    assert_eq!(alter(&|result| result.signatures.clear()), ResultError::Count);
    assert_eq!(alter(&|result| result.signatures.swap(0, 1)), ResultError::Record);
    assert!(matches!(alter(&|result| flip(&mut result.public_key, 20)), ResultError::Signature(_)));
    assert_eq!(alter(&|result| flip(&mut result.approval.signature, 20)), ResultError::RecordSignature);
    assert!(matches!(
        alter(&|result| flip(&mut result.approval.record, 60)),
        ResultError::RecordSignature | ResultError::Form(_)
    ));
    assert_eq!(
        alter(&|result| result.approval = signed(2).approval),
        ResultError::Record,
        "the approval of other documents"
    );
    assert!(matches!(alter(&|result| result.suite = "es512".into()), ResultError::UnknownSuite(_)));
    let other = alter(&|result| result.suite = "frost-secp256k1-sha256".into());
    assert!(matches!(other, ResultError::Signature(_) | ResultError::Form(_)), "{other:?}");
}

#[test]
fn app_094_a_signature_is_there_once_and_no_other_party_sees_it() {
    let app = TestApp::spawn();
    let (bank, other, mut phone) = (app.bank(), app.bank(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    let Approved::Signed(on_phone) = phone.approve(id, PIN).unwrap() else { panic!() };
    let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
    let decoded = BASE64_STANDARD.decode(&result.signatures[0].signature).unwrap();
    assert_eq!(decoded, on_phone.signatures[0].as_slice());
    assert_eq!(code(other.wait(id, Duration::ZERO)), ProblemCode::NotFound);
    let closed = phone.wire.last("approve");
    assert_eq!(Some(app.device("approve", &closed.body).body), closed.reply);
    let refused = problem(phone.phone.decline(id).map(|()| id));
    assert_eq!(refused.code, ProblemCode::RequestClosed);
}

#[test]
fn app_290_the_operator_sees_how_requests_ended_and_nothing_of_what_was_in_them() {
    let app = TestApp::spawn();
    let (bank, shop) = (app.relying_party("Bank", true, false), app.relying_party("Shop", true, false));
    let mut phone = app.phone("olena");
    let ask = |token: &str, key: &str| {
        let asker = RelyingParty::new(network(app.url()), token);
        app.clock.advance(1);
        asker.ask(&request("olena", 2), key).unwrap().id
    };
    let signed = ask(&bank.token, "one");
    assert!(matches!(phone.approve(signed, PIN).unwrap(), Approved::Signed(_)));
    let (open, other) = (ask(&bank.token, "two"), ask(&shop.token, "three"));
    let list = |query: &str| {
        let answer = app.admin("GET", &format!("/requests{query}"), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("olena"));
        answer.json::<Vec<RequestSummary>>()
    };
    let all = list("");
    assert_eq!(all.iter().map(|one| one.id).collect::<Vec<_>>(), [other, open, signed]);
    assert_eq!(
        all.iter().map(|one| one.status).collect::<Vec<_>>(),
        [RequestStatus::Open, RequestStatus::Open, RequestStatus::Signed]
    );
    assert!(all.iter().all(|one| one.documents == 2 && one.created < one.expires));
    let banks = list(&format!("?relying_party={}&limit=1", bank.id));
    assert_eq!(banks.iter().map(|one| (one.id, one.relying_party)).collect::<Vec<_>>(), [(open, bank.id)]);
}
