//! The OpenAPI 3.1 document, made from the routes: what is routed is described, and nothing else.
//!
//! A handler says with `utoipa::path` what it takes and what it answers, and under `x-problems` which refusals are its own (in
//! OAuth's shape: under `x-errors`). Refusals that follow from its parts (token, body, path, query) are added here.

mod refusals;
mod schemas;
mod security;

use std::sync::LazyLock;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

pub(super) use self::schemas::*;

/// What the operations are grouped by, in reading order.
const TAGS: [(&str, &str); 11] = [
    ("Signing requests", "A relying party asks a person to sign, and waits for the signatures."),
    ("Webhooks", "A relying party is told that its requests ended, in place of waiting."),
    ("CSC API", "The same in the Cloud Signature Consortium's shape, versions 1.0.4 and 2.0."),
    ("OAuth 2", "Access tokens for relying parties (RFC 6749, RFC 7009, RFC 8414)."),
    ("Verification", "A verifier checks a code online and uses it up."),
    ("Codes", "Codes made for an organisation's documents."),
    ("Registers", "Events of document registers."),
    ("Audit log", "Proofs that what the server did is in its log, and that the log is only continued."),
    ("Public", "What anybody may fetch: keys, lists, certificates, the time."),
    ("Operator", "Needs the admin token, which lies in the data folder."),
    ("Health", "For whoever watches over the server."),
];
const DESCRIPTION: &str = "\
Split-key signatures: a relying party asks, the holder decides on the phone, the result is an ordinary ECDSA signature. \
Refusals are problem documents (RFC 9457) with a stable `code`; those of OAuth and of the CSC API have OAuth's members too. \
The routes of phones (`/device/v1/…`) are not described here: their bodies are signed CBOR messages, which OpenAPI has no \
words for; see `spec/wire.md`.";

/// The document as it is served and committed.
pub(crate) static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document =
        document(super::api(std::time::Duration::ZERO, super::Audience::Operator, 0).into_openapi());
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
});

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/openapi.json", get(json_document))
}

async fn json_document() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, DOCUMENT.as_str()).into_response()
}

/// Completes what the routes say of themselves.
fn document(api: OpenApi) -> Value {
    let Ok(Value::Object(mut document)) = serde_json::to_value(api) else { return Value::Null };
    document.insert(
        "info".into(),
        json!({
            "title": "Signer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0" },
        }),
    );
    document.insert("servers".into(), json!([{ "url": "/" }]));
    let tags = TAGS.map(|(name, text)| json!({ "name": name, "description": text }));
    document.insert("tags".into(), tags.into());
    let mut responses = Map::new();
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        for (path, item) in paths.iter_mut() {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                refusals::complete(path, operation, &mut responses);
            }
        }
    }
    if let Some(Value::Object(components)) = document.get_mut("components") {
        components.insert("responses".into(), responses.into());
        components.insert("headers".into(), refusals::headers());
        components.insert("securitySchemes".into(), security::schemes());
        if let Some(Value::Object(schemas)) = components.get_mut("schemas") {
            refusals::add_schemas(schemas);
            open_where_joined(schemas);
        }
    }
    let mut document = Value::Object(document);
    plain_text(&mut document);
    document
}

/// A schema that is joined with others (`allOf`) cannot forbid their members: serde checks the whole, and the schema of a
/// part must not.
fn open_where_joined(schemas: &mut Map<String, Value>) {
    let joined: Vec<_> = schemas.values().filter_map(|schema| schema["allOf"].as_array()).flatten().collect();
    let names = joined.iter().filter_map(|part| part["$ref"].as_str()?.rsplit('/').next());
    let names: Vec<_> = names.map(str::to_owned).collect();
    for name in names {
        let Some(schema) = schemas.get_mut(&name) else { continue };
        let parts = schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
        parts.filter_map(Value::as_object_mut).for_each(|part| drop(part.remove("additionalProperties")));
        schema.as_object_mut().and_then(|schema| schema.remove("additionalProperties"));
    }
}

/// Comments of the code as text for readers elsewhere: links to types become their names, lines run on.
fn plain_text(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(plain_text),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(text) if matches!(name.as_str(), "description" | "summary") => {
                        *text = unlinked(text);
                    }
                    other => plain_text(other),
                }
            }
        }
        _ => {}
    }
}

fn unlinked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((name, tail)) = after.split_once("`]") else { break };
        out += before;
        out += "`";
        out += name;
        out += "`";
        rest = tail;
    }
    out += rest;
    out.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}
