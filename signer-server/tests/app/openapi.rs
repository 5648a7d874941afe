//! The OpenAPI document: committed, served, and true of the code's limits.

use std::collections::BTreeSet;

use serde_json::Value;
use signer_core::wire::{CODES_MAX, REQUEST_SECONDS, SUMMARIES_MAX, WAIT_MS_MAX};

use crate::harness::TestApp;

/// The document as it is committed.
pub(crate) fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/openapi.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn oap_001_the_committed_document_is_the_one_that_the_routes_make() {
    let app = TestApp::spawn();
    let served = app.http.send("GET", "/openapi.json", &[], b"");
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    assert!(
        served.json::<Value>() == document(),
        "the API has changed: cargo run -p signer-server -- openapi > spec/openapi.json"
    );
}

#[test]
fn oap_003_every_operation_is_named_grouped_summed_up_and_answers() {
    let document = document();
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str()).collect();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{at}: another operation is named {name}: say operation_id");
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 8), "{at}: a doc comment");
            assert!(tags.contains(&operation["tags"][0].as_str()), "{at}: a tag of the list");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{at}: what it answers");
            assert!(answers.contains_key("500"), "{at}");
            assert!(
                answers
                    .values()
                    .all(|answer| answer["$ref"].is_string() || answer["description"].is_string())
            );
        }
    }
    assert!(names.len() > 40, "{names:?}");
    references(&document, &document);
}

fn references(document: &Value, value: &Value) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| references(document, value)),
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            members.values().for_each(|value| references(document, value));
        }
        _ => {}
    }
}

#[test]
fn oap_006_bounds_in_the_document_are_those_of_the_code() {
    let document = document();
    let schema = |place: &str| document.pointer(&format!("/components/schemas/{place}")).cloned().unwrap();
    let parameter = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        parameters.iter().find(|one| one["name"] == name).unwrap()["schema"].clone()
    };
    let seconds = schema("CreateRequest/properties/expires_in");
    assert_eq!(seconds["minimum"], *REQUEST_SECONDS.start());
    assert_eq!(seconds["maximum"], *REQUEST_SECONDS.end());
    assert_eq!(schema("MakeCodes/properties/references/maxItems"), CODES_MAX);
    assert_eq!(parameter("/v1/requests/{id}", "timeout_ms")["maximum"], WAIT_MS_MAX);
    assert_eq!(parameter("/v1/verifications/{id}", "timeout_ms")["maximum"], WAIT_MS_MAX);
    assert_eq!(parameter("/admin/v1/requests", "limit")["maximum"], SUMMARIES_MAX);
    let app = TestApp::spawn();
    let bank = app.relying_party("Bank", true, false);
    // The rest is proved by what is taken and what is not: the longest, and one more.
    let good = schema("CreateRequest/examples/0");
    let asked = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        app.http.json("POST", "/v1/requests", &bank.token, Some(&body)).status
    };
    let document = good["documents"][0].clone();
    let most = schema("CreateRequest/properties/documents/maxItems").as_u64().unwrap();
    let longest = schema("CreateRequest/properties/text/maxLength").as_u64().unwrap();
    let name = schema("DocumentDigest/properties/name/maxLength").as_u64().unwrap();
    let text = |length: u64| Value::from("x".repeat(usize::try_from(length).unwrap()));
    let documents = |count: u64| Value::from(vec![document.clone(); usize::try_from(count).unwrap()]);
    for (pointer, longest, longer) in [
        ("/documents", documents(most), documents(most + 1)),
        ("/text", text(longest), text(longest + 1)),
        ("/documents/0/name", text(name), text(name + 1)),
    ] {
        assert_eq!((asked(pointer, longest), asked(pointer, longer)), (201, 422), "{pointer}");
    }
}
