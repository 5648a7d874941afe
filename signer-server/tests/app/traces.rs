//! Traces for a collector: spec/traces.md. A real collector's side of HTTP, on a port of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;

use crate::{
    harness::{PIN, TestApp},
    metrics::{Scrape, measured},
    secrets::{device_of, story, vaulted},
    webhooks::{Received, Receiver},
};

const PAGE: &str = include_str!("../../../spec/traces.md");
const PATH: &str = "/v1/traces";

/// A server that traces every call.
fn traced(collector: &str) -> TestApp {
    measured(|config| {
        config.traces.endpoint = Some(collector.into());
        config.traces.one_in = 1;
    })
}

/// What a collector got.
struct Exported {
    received: Vec<Received>,
    resource: Vec<KeyValue>,
    spans: Vec<Span>,
}

impl Exported {
    /// All of it, once the server has stopped.
    fn by(mut app: TestApp, collector: &Receiver) -> Self {
        app.stop();
        let received = collector.wait(PATH, 1);
        let (mut resource, mut spans) = (Vec::new(), Vec::new());
        for one in &received {
            let media_type = ("content-type".to_owned(), "application/x-protobuf".to_owned());
            assert!(one.headers.contains(&media_type), "{:?}", one.headers);
            let batch = ExportTraceServiceRequest::decode(one.body.as_slice()).unwrap();
            for part in batch.resource_spans {
                resource.extend(part.resource.unwrap().attributes);
                spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        Self { received, resource, spans }
    }

    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The spans of the one trace of a call, by their ids.
    fn trace_of(&self, call: &Span) -> Trace<'_> {
        let of = self.spans.iter().filter(|span| span.trace_id == call.trace_id);
        of.map(|span| (span.span_id.as_slice(), span)).collect()
    }
}

type Trace<'e> = BTreeMap<&'e [u8], &'e Span>;

/// Which name is in which.
fn edges<'e>(spans: &Trace<'e>) -> BTreeSet<(&'e str, &'e str)> {
    let inner = spans.values().filter(|span| !span.parent_span_id.is_empty());
    inner.map(|span| (spans[span.parent_span_id.as_slice()].name.as_str(), span.name.as_str())).collect()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[test]
fn otl_003_an_approve_is_one_trace() {
    let collector = Receiver::start();
    let app = traced(&collector.origin);
    let bank = app.bank();
    let mut phone = app.phone("olena");
    let id = app.ask(&bank, "olena");
    phone.approve(id, PIN).unwrap();
    let found = Exported::by(app, &collector);

    let [call] = found.named("POST /device/v1/approve")[..] else { panic!("{:?}", found.spans) };
    assert_eq!((call.kind, call.parent_span_id.len()), (SpanKind::Server.into(), 0));
    let spans = found.trace_of(call);
    let (root, act) = ("POST /device/v1/approve", "service approve");
    let wanted = [
        (root, act),
        (act, "store installation"),
        (act, "store stored_outcome"),
        (act, "store request"),
        (act, "keys unwrap"),
        (act, "computation check_approve"),
        (act, "store reserve"),
        (act, "computation approve"),
        (act, "store settle"),
    ];
    assert_eq!(edges(&spans), wanted.into_iter().collect());
    for span in spans.values() {
        assert_eq!(text(&span.attributes, "signer.outcome"), Some("ok"), "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        if let Some(around) = spans.get(span.parent_span_id.as_slice()) {
            let within = around.start_time_unix_nano..=around.end_time_unix_nano;
            assert!(within.contains(&span.start_time_unix_nano), "{span:?}");
            assert!(within.contains(&span.end_time_unix_nano), "{span:?}");
        }
    }
    let asked = found.named("POST /v1/requests")[0];
    let edges = edges(&found.trace_of(asked));
    assert!(edges.contains(&("POST /v1/requests", "service create_request")), "{edges:?}");
}

/// Keys and values of attributes, status and events of a span, checked against the page's list.
fn check_closed(span: &Span, seen: &mut BTreeSet<String>) {
    assert!(span.events.is_empty() && span.trace_state.is_empty(), "{span:?}");
    assert_eq!(span.status.as_ref().map_or("", |status| &status.message), "");
    let code =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let template =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/{}.+-*".contains(&byte));
    let (first, rest) = span.name.split_once(' ').unwrap();
    if span.kind == i32::from(SpanKind::Server) {
        assert!(["GET", "HEAD", "POST", "PUT", "DELETE", "other"].contains(&first), "{}", span.name);
        assert_eq!(text(&span.attributes, "http.route"), Some(rest));
    } else {
        assert_eq!(text(&span.attributes, "signer.part"), Some(first), "{}", span.name);
        let operation = rest.replace('-', "_");
        assert!(code(&operation), "{}", span.name);
    }
    for attribute in &span.attributes {
        seen.insert(attribute.key.clone());
        match (attribute.key.as_str(), text(&span.attributes, &attribute.key)) {
            ("http.response.status_code", None) => {}
            ("http.request.method", Some(method)) => assert_eq!(method, first),
            ("http.route", Some(route)) => assert!(template(route), "{route}"),
            (_, Some(value)) => assert!(code(value), "{value}"),
            (key, None) => panic!("{key}"),
        }
    }
}

#[test]
fn otl_004_nothing_personal_is_exported() {
    let collector = Receiver::start();
    let app = traced(&collector.origin);
    let keystore = app.folder().join("keystore");
    let mut secrets = story(app.url(), &app.admin_token(), &keystore, app.clock.clone());
    vaulted(&app.config.data_dir, device_of(&keystore), &mut secrets);
    secrets.add("id of the device", device_of(&keystore).to_string());
    let parties: serde_json::Value = app.admin("GET", "/relying-parties", None).json();
    secrets.add("id of the relying party", parties[0]["id"].as_str().unwrap());
    let found = Exported::by(app, &collector);

    let (mut seen, bytes) = (BTreeSet::new(), found.received.iter().flat_map(|one| one.body.clone()));
    let bytes: Vec<u8> = bytes.collect();
    assert_eq!(secrets.found_in(&bytes, false), Vec::<String>::new());
    assert!(!String::from_utf8_lossy(&bytes).contains("olena"));
    // The scan looks where something is: spans of every part but those of a fleet.
    assert!(found.spans.len() > 200, "{}", found.spans.len());
    found.spans.iter().for_each(|span| check_closed(span, &mut seen));
    seen.extend(found.resource.into_iter().map(|attribute| attribute.key));
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split("` | ").next());
    let listed: BTreeSet<String> = rows.filter(|key| key.contains('.')).map(str::to_owned).collect();
    assert_eq!(seen, listed);
    for call in [
        "POST /device/v1/approve",
        "POST /v1/verifications",
        "GET none",
        "service refresh-confirm",
        "keys wrap",
        "register document",
        "computation confirm_refresh",
    ] {
        let there = found.spans.iter().any(|span| span.name == call);
        let names: BTreeSet<&str> = found.spans.iter().map(|span| span.name.as_str()).collect();
        assert!(there, "no {call} in {names:#?}");
    }
}

#[test]
fn otl_005_a_collector_that_is_away_hinders_nobody() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Receiver::start();
    silent.answer(PATH, 0);
    for (collector, is_silent) in [(format!("http://{free}"), false), (silent.origin.clone(), true)] {
        let mut app = traced(&collector);
        let bank = app.bank();
        let mut phone = app.phone("olena");
        if is_silent {
            // From here on a POST is under way that is not answered.
            silent.wait(PATH, 1);
        }
        let id = app.ask(&bank, "olena");
        phone.approve(id, PIN).unwrap();
        let lost = |app: &TestApp| Scrape::of(app).get("signer_trace_spans_total{outcome=\"not_taken\"}");
        let patience = Instant::now() + Duration::from_secs(60);
        while lost(&app) == 0.0 {
            assert!(Instant::now() < patience);
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(Scrape::of(&app).get("signer_trace_spans_total{outcome=\"exported\"}"), 0.0);
        let begun = Instant::now();
        app.stop();
        // One POST at most is waited for.
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn otl_008_callers_decide_nothing() {
    let collector = Receiver::start();
    let app = traced(&collector.origin);
    let token = app.relying_party("Bank of Examples", true, false).token;
    let bearer = format!("Bearer {token}");
    let from_bank = [("authorization", bearer.as_str()), ("traceparent", PARENT), ("tracestate", "a=olena")];
    app.http.send("GET", "/v1/requests/00", &from_bank, &[]);
    app.http.send("GET", "/v1/answer-key", &from_bank[1..], &[]);
    let found = Exported::by(app, &collector);
    let id = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(found.spans.iter().all(|span| id(&span.trace_id) != TRACE && span.trace_state.is_empty()));
    let [linked] = found.named("GET /v1/requests/{id}")[..] else { panic!("{:?}", found.spans) };
    assert!(linked.parent_span_id.is_empty());
    let [link] = &linked.links[..] else { panic!("{linked:?}") };
    assert_eq!((id(&link.trace_id).as_str(), id(&link.span_id).as_str()), (TRACE, "00f067aa0ba902b7"));
    assert!(link.trace_state.is_empty() && link.attributes.is_empty());
    let [alone] = found.named("GET /v1/answer-key")[..] else { panic!("{:?}", found.spans) };
    assert!(alone.links.is_empty() && alone.parent_span_id.is_empty());

    // Nearly no call is drawn: their flag does not help.
    let mut app = measured(|config| {
        config.traces.endpoint = Some(collector.origin.clone());
        config.traces.one_in = 1_000_000;
    });
    let before = collector.wait(PATH, 1).len();
    for _ in 0..10 {
        app.http.send("GET", "/v1/requests/00", &from_bank, &[]);
    }
    app.stop();
    assert_eq!(collector.wait(PATH, 1).len(), before);
}

#[test]
fn otl_007_what_ended_before_the_stop_is_exported() {
    let collector = Receiver::start();
    let app = traced(&collector.origin);
    for _ in 0..600 {
        app.http.send("GET", "/v1/answer-key", &[], &[]);
    }
    let found = Exported::by(app, &collector);
    assert_eq!(found.named("GET /v1/answer-key").len(), 600);
}
