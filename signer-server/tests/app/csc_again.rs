//! The CSC API: the same call again, and what the session API says of its requests.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use signer_client::Approved;
use signer_core::wire::ProblemCode;

use crate::{
    code,
    csc::{Town, authorize, call, sign, signatures},
    harness::PIN,
    limits::Line,
    support::http::Answer,
};

fn handle(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json::<Value>()["handle"].as_str().unwrap().to_owned()
}

#[test]
fn csc_020_the_same_call_again_finds_the_question_that_the_phone_has() {
    let mut town = Town::new();
    let first = town.asked(&[1, 2]);
    // Another order, what no version looks at, and the other name of the hashes.
    let mut body = authorize(&town.credential, &[2, 1]);
    body["PIN"] = "123456".into();
    body["clientData"] = "x".into();
    assert_eq!(handle(&town.call("v2", "credentials/authorize", &body)), first);
    assert_eq!(town.phone.phone.requests().unwrap().len(), 1);
    // What is another question: by another token, of other hashes, with another text, in the other version.
    let other = town.bank.token(&town.app);
    let of_other = call(&town.app, &other, "v2", "credentials/authorize", &body);
    let mut handles = vec![first.clone(), handle(&of_other), town.asked(&[1]), town.asked(&[1, 2, 2])];
    body["description"] = "Loan agreement 18".into();
    handles.push(handle(&town.call("v2", "credentials/authorize", &body)));
    body.as_object_mut().unwrap().remove("description");
    handles.push(handle(&town.call("v2", "credentials/authorize", &body)));
    handles.sort();
    handles.dedup();
    assert_eq!((handles.len(), town.phone.phone.requests().unwrap().len()), (6, 6));
    // The handle is good with the token it was given for, for each of the two.
    let check = json!({ "handle": first });
    assert_eq!(call(&town.app, &other, "v2", "credentials/authorizeCheck", &check).status, 400);
    // Signed, and the answer lost: the same call leads to the same approval, until its signatures are fetched.
    assert!(matches!(town.phone.approve(first.parse().unwrap(), PIN).unwrap(), Approved::Signed(_)));
    assert_eq!(town.asked(&[1, 2]), first);
    let sad = town.check(&first).json::<Value>()["SAD"].as_str().unwrap().to_owned();
    assert_eq!(town.asked(&[1, 2]), first);
    assert_eq!(signatures(&town.sign(&sad, &[1, 2])).len(), 2);
    let second = town.asked(&[1, 2]);
    assert_ne!(second, first);
    // Declined, the next is a question of its own.
    town.phone.phone.decline(second.parse().unwrap()).unwrap();
    assert_ne!(town.asked(&[1, 2]), second);
}

#[test]
fn csc_021_a_call_whose_caller_hangs_up_asks_once_and_is_found_by_the_next() {
    let Town { app, token, mut phone, credential, .. } = Town::new();
    let body = authorize(&credential, &[1]);
    let text = body.to_string();
    let head = format!(
        "POST /csc/v1/credentials/authorize HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    // Gone at once, and gone when the phone has the question.
    for _ in 0..6 {
        Line::open(app.url()).write(head.as_bytes());
    }
    let mut gone = Line::open(app.url());
    gone.write(head.as_bytes());
    while phone.phone.requests().unwrap().is_empty() {
        thread::sleep(Duration::from_millis(20));
    }
    drop(gone);
    // Two polls wait for one request at most: until the server sees who went away, the next is told to come again.
    let again = || loop {
        let answer = call(&app, &token, "v1", "credentials/authorize", &body);
        if answer.status != 429 {
            return answer;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let answer = thread::scope(|scope| {
        let waits = scope.spawn(again);
        let asked = phone.phone.requests().unwrap();
        assert_eq!(asked.len(), 1, "one question");
        assert!(matches!(phone.approve(asked[0].request, PIN).unwrap(), Approved::Signed(_)));
        waits.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    let count = app.read_only().query_row("SELECT count(*) FROM request", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 1);
    // What was signed is there for who asked last.
    let sad = answer.json::<Value>()["SAD"].as_str().unwrap().to_owned();
    let call = call(&app, &token, "v2", "signatures/signHash", &sign(&credential, &sad, &[1]));
    assert_eq!(signatures(&call).len(), 1);
}

#[test]
fn csc_022_the_session_api_says_nothing_of_what_was_asked_elsewhere() {
    let mut town = code::Town::new();
    let token = town.bank.token(&town.app);
    let list = json!({ "userID": "olena" });
    let list: Value = call(&town.app, &token, "v1", "credentials/list", &list).json();
    let credential = list["credentialIDs"][0].as_str().unwrap().to_owned();
    let by_call =
        handle(&call(&town.app, &token, "v2", "credentials/authorize", &authorize(&credential, &[1])));
    let by_call = by_call.parse().unwrap();
    let mut browsers =
        vec![town.begin(&town.asks_for(&[2])), town.begin(&town.query(&[("login_hint", "olena")]))];
    browsers.iter().for_each(|browser| browser.start(&town.app));
    let asked: Vec<_> = town.phone.phone.requests().unwrap().iter().map(|asked| asked.request).collect();
    assert_eq!(asked.len(), 3);
    let hidden = |town: &code::Town, after: &str| {
        for id in &asked {
            for method in ["GET", "DELETE"] {
                let answer = town.app.http.json(method, &format!("/v1/requests/{id}"), &token, None);
                assert_eq!(answer.code(), ProblemCode::NotFound, "{method} {after}");
            }
        }
    };
    hidden(&town, "while they are open");
    assert_eq!(town.phone.phone.requests().unwrap().len(), 3, "none was taken back");
    assert!(matches!(town.phone.approve(by_call, PIN).unwrap(), Approved::Signed(_)));
    for browser in &browsers {
        let code = serde_json::from_value(browser.view(&town.app)["verification_code"].clone()).unwrap();
        let theirs = town.phone.phone.waiting().unwrap().into_iter();
        let theirs =
            theirs.filter(|waiting| waiting.codes.as_ref().is_some_and(|codes| codes.codes.contains(&code)));
        let theirs: Vec<_> = theirs.map(|waiting| waiting.object.request).collect();
        // By chance both may show this code; then it is the older one's.
        town.phone.phone.choose_code(theirs[0], code).unwrap();
        assert!(matches!(town.phone.approve(theirs[0], PIN).unwrap(), Approved::Signed(_)));
    }
    hidden(&town, "when they are signed");
    // Nor when the visits are gone, of which a new registration leaves nothing.
    browsers.clear();
    assert_eq!(town.bank.register(&town.app, &json!({})).status, 200);
    let token = town.bank.token(&town.app);
    for id in &asked {
        let answer = town.app.http.json("GET", &format!("/v1/requests/{id}"), &token, None);
        assert_eq!(answer.code(), ProblemCode::NotFound);
    }
    // The operator sees that they were.
    let all: Vec<Value> = town.app.admin("GET", "/requests", None).json();
    assert_eq!(all.iter().filter(|summary| summary["status"] == "signed").count(), 3);
}
