//! Stalled clients, full bounds, and the end of a server.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use signer_client::{Approved, RelyingParty, desk::SystemClock};
use signer_core::{
    ids::RequestId,
    wire::{Problem, ProblemCode, RequestStatus},
};

use crate::{
    harness::{PIN, TestApp, code, request},
    limits::Line,
    metrics::{Scrape, measured},
    support::{
        http::Client,
        phone::{MemoryStorage, TestPhone, network},
        process::Process,
    },
};

/// Clients of each kind that go no further.
const STALLED: usize = 200;
pub(crate) const POLLS: &str = "signer_places_taken{kind=\"request_polls\"}";

fn stalled(url: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn poll(id: RequestId, token: &str) -> String {
    format!(
        "GET /v1/requests/{id}?timeout_ms=60000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
    )
}

/// Waits until a series has a value.
pub(crate) fn until(app: &TestApp, series: &str, is: impl Fn(f64) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is(Scrape::of(app).get(series)) {
        assert!(Instant::now() < end, "{series}: {}", Scrape::of(app).get(series));
        thread::sleep(Duration::from_millis(20));
    }
}

/// A thousand clients that go no further, each kind in its own way.
pub(crate) fn a_thousand_stalled(app: &TestApp, bank: &RelyingParty, token: &str) -> Vec<TcpStream> {
    // Two polls may wait for one request.
    let nobody = app.unique("nobody");
    let asked: Vec<_> = (0..STALLED / 2).map(|n| app.ask(bank, &format!("{nobody}-{}", n / 4))).collect();
    let mut lines: Vec<TcpStream> = Vec::new();
    for id in asked.iter().flat_map(|id| [id, id]) {
        lines.push(stalled(app.url(), poll(*id, token).as_bytes()));
    }
    until(app, POLLS, |taken| taken == 200.0);
    // More than the buffers of both ends hold.
    let large = "/vendor/zxing-wasm/3.1.4/reader/zxing_reader.wasm";
    let unread = format!("GET {large} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(6);
    for _ in 0..STALLED {
        lines.push(stalled(app.url(), b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-half: "));
        let head = "POST /device/v1/approve HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\n";
        lines.push(stalled(app.url(), format!("{head}content-length: 60000\r\n\r\nslow").as_bytes()));
        lines.push(stalled(app.url(), unread.as_bytes()));
        lines.push(stalled(app.url(), b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"));
    }
    lines
}

#[test]
fn ops_010_a_thousand_stalled_clients_keep_nobody_from_signing() {
    let app = measured(|_| {});
    let party = app.relying_party("Bank of Examples", true, false);
    let bank = RelyingParty::new(network(app.url()), party.token.clone());
    let lines = a_thousand_stalled(&app, &bank, &party.token);
    assert_eq!(lines.len(), 5 * STALLED);
    let mut phone = app.phone("olena");
    for _ in 0..3 {
        let id = app.ask(&bank, "olena");
        assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    }
    let found = Scrape::of(&app);
    assert_eq!(found.get(POLLS), 200.0);
    assert_eq!(found.get("signer_shed_total{bound=\"turns\"}"), 0.0, "who stalls takes no turn");
    assert!(found.get("signer_places_taken{kind=\"turns\"}") <= 1.0);
    drop(lines);
    until(&app, POLLS, |taken| taken == 0.0);
}

#[test]
fn ops_017_who_comes_to_a_full_queue_is_counted_and_comes_through_later() {
    const CALLERS: u32 = 48;
    let app = measured(|config| config.concurrency_max = 2);
    let party = app.relying_party("Bank of Examples", true, false);
    let call = |n: u32| {
        let bank = RelyingParty::new(network(app.url()), party.token.clone());
        let (asked, key) = (request(&format!("person-{n}"), 1), app.unique("full"));
        let mut refused = 0;
        loop {
            match bank.ask(&asked, &key) {
                Ok(_) => return refused,
                error => assert_eq!(code(error), ProblemCode::Overloaded),
            }
            refused += 1;
            thread::sleep(Duration::from_millis(20));
        }
    };
    let refused: u32 = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|n| scope.spawn(move || call(n))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert!(refused > 0, "the queue was not full");
    let found = Scrape::of(&app);
    assert_eq!(found.get("signer_shed_total{bound=\"turns\"}"), f64::from(refused));
    let requests: u32 =
        app.read_only().query_row("SELECT count(*) FROM request", [], |row| row.get(0)).unwrap();
    assert_eq!(requests, CALLERS, "each once");
}

#[test]
fn ops_011_a_connection_too_many_is_told_so_and_counted() {
    let app = measured(|config| config.connections_max = 3);
    let held: Vec<_> = (0..3).map(|_| stalled(app.url(), b"GET /health/live HTTP/1.1\r\n")).collect();
    until(&app, "signer_connections_open", |open| open == 3.0);
    let mut line = Line::open(app.url());
    line.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n");
    let (status, head, body) = line.read().unwrap();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, problem.code), (503, ProblemCode::Overloaded));
    assert!(head.contains("\r\nretry-after: 1\r\n") && head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(Scrape::of(&app).get("signer_connections_refused_total"), 1.0);
    drop(held);
    until(&app, "signer_connections_open", |open| open == 0.0);
    assert_eq!(app.http.send("GET", "/health/live", &[], &[]).status, 200);
}

#[test]
fn ops_012_bodies_take_what_has_come_of_them_and_no_more_than_there_is() {
    let app = measured(|config| config.body_bytes_max = 1 << 20);
    let post = |length: usize| {
        format!(
            "POST /device/v1/approve HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    // Announced and not sent: nothing is taken.
    let silent: Vec<_> = (0..100).map(|_| stalled(app.url(), post(60_000).as_bytes())).collect();
    let answer = app.device("approve", b"x");
    assert_eq!(answer.code(), ProblemCode::Malformed);
    // Sent but for the end: more than there is.
    let body = vec![0; 60_000];
    let mut held: Vec<_> = (0..24)
        .map(|_| {
            let mut line = Line::open(app.url());
            line.write(post(60_001).as_bytes());
            line.write(&body);
            line
        })
        .collect();
    until(&app, "signer_bodies_refused_total", |refused| refused >= 24.0 - 1_048_576.0 / 60_000.0);
    let mut refused = 0;
    for line in &mut held {
        // Those that were taken wait for their end until their time is up.
        let (status, head, body) = line.read().unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        match problem.code {
            ProblemCode::Overloaded => {
                refused += 1;
                assert!(status == 503 && head.contains("\r\nretry-after: 1\r\n"), "{head}");
            }
            code => assert_eq!(code, ProblemCode::Timeout),
        }
    }
    assert!(refused >= 7, "{refused}");
    assert_eq!(Scrape::of(&app).get("signer_bodies_refused_total"), f64::from(refused));
    assert_eq!(app.device("approve", b"x").code(), ProblemCode::Malformed);
    drop(silent);
}

#[test]
fn ops_016_a_body_in_pieces_takes_what_its_pieces_take() {
    let app = measured(|config| config.body_bytes_max = 1 << 20);
    let head = "POST /device/v1/approve HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut whole = Line::open(app.url());
    whole.write(head.as_bytes());
    whole.write(format!("4e20\r\n{}\r\n0\r\n\r\n", "a".repeat(20_000)).as_bytes());
    let problem: Problem = serde_json::from_slice(&whole.read().unwrap().2).unwrap();
    assert_eq!(problem.code, ProblemCode::Malformed);
    // As many bytes, each by itself.
    let mut pieces = Line::open(app.url());
    pieces.write(head.as_bytes());
    pieces.write("1\r\na\r\n".repeat(20_000).as_bytes());
    let (status, _, body) = pieces.read().unwrap();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, problem.code), (503, ProblemCode::Overloaded));
}

#[test]
fn ops_013_a_server_that_is_told_to_stop_says_so_first_and_sends_those_away_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), "[drain]\ndelay_seconds = 3");
    let (client, admin) = (Client::new(server.url()), server.admin_token());
    let body = serde_json::json!({ "name": "Bank", "may_ask": true, "may_verify": false });
    let party: signer_core::wire::CreatedRelyingParty =
        client.json("POST", "/admin/v1/relying-parties", &admin, Some(&body)).json();
    let body = serde_json::json!({ "person": "olena" });
    let code = client.json("POST", "/admin/v1/enrolment-codes", &admin, Some(&body));
    let code = code.json::<signer_core::wire::CreatedEnrolmentCode>().code;
    let keystore = folder.path().join("olena");
    let mut phone = TestPhone::open(&server.url(), &keystore, MemoryStorage::default(), SystemClock);
    let pin = signer_core::pin::Pin::new(PIN).unwrap();
    phone.phone.enrol(crate::support::phone::SUITE, &code, &pin).unwrap();
    let bank = RelyingParty::new(network(&server.url()), party.token.clone());
    let id = bank.ask(&request("olena", 1), "first").unwrap().id;
    let stream = phone.phone.listen().unwrap();
    let streamed = thread::spawn(move || stream.map_while(Result::ok).count());
    let mut waiting = Line::open(&server.url());
    waiting.write(poll(id, &party.token).as_bytes());
    assert_eq!(client.send("GET", "/health/ready", &[], &[]).status, 200);
    server.terminate();
    // It says so, and still works.
    let end = Instant::now() + Duration::from_secs(20);
    let told = loop {
        let answer = client.send("GET", "/health/ready", &[], &[]);
        if answer.status == 503 {
            break answer;
        }
        assert!(Instant::now() < end);
    };
    assert_eq!(
        told.json::<serde_json::Value>(),
        serde_json::json!({ "status": "not_ready", "reasons": ["draining"] })
    );
    let alive = client.send("GET", "/health/live", &[], &[]);
    assert_eq!((alive.status, alive.header("connection")), (200, Some("close")));
    assert!(matches!(phone.approve(id, PIN), Ok(Approved::Signed(_))));
    let other = bank.ask(&request("olena", 1), "second").unwrap().id;
    assert!(waiting.read().is_some(), "the request that ended was told");
    let mut waiting = Line::open(&server.url());
    waiting.write(poll(other, &party.token).as_bytes());
    // Long before its time: how it stands, and no more.
    let (status, head, body) = waiting.read().unwrap();
    let view: signer_core::wire::RequestView = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, view.status), (200, RequestStatus::Open));
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert!(server.wait().success());
    assert!(streamed.join().unwrap() > 0);
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn ops_014_health_says_why_and_live_when_only_a_restart_helps() {
    let app = measured(|config| config.audit.checkpoint_seconds = 1);
    let reasons = |path: &str| {
        let answer = app.http.send("GET", path, &[], &[]);
        let body: serde_json::Value = answer.json();
        (answer.status, body.get("reasons").cloned().unwrap_or_default())
    };
    assert_eq!(reasons("/health/ready").0, 200);
    app.enrolment_code("olena");
    app.clock.set(app.clock.seconds() - 61);
    assert_eq!(reasons("/health/ready"), (503, serde_json::json!(["clock"])));
    app.clock.set(app.clock.seconds() + 61);
    assert_eq!(reasons("/health/ready").0, 200);

    let db = rusqlite::Connection::open(app.database()).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    until(&app, "signer_audit_checkpoint_entries", |entries| entries > 0.0);
    db.execute("UPDATE audit_checkpoint SET note = 'other'", []).unwrap();
    app.enrolment_code("taras");
    until(&app, "signer_audit_checkpoint_failures_total", |failures| failures > 0.0);
    assert_eq!(reasons("/health/ready"), (503, serde_json::json!(["audit"])));
    assert_eq!(reasons("/health/live").0, 200);

    // Another hand writes to the file.
    db.execute("UPDATE meta SET seq = seq + 100", []).unwrap();
    let answer = app.admin("POST", "/enrolment-codes", Some(&serde_json::json!({ "person": "ivan" })));
    assert_eq!(answer.status, 500);
    assert_eq!(reasons("/health/live"), (503, serde_json::json!(["store_stopped"])));
    let (status, why) = reasons("/health/ready");
    assert_eq!((status, &why[0]), (503, &"store_stopped".into()));
    assert_eq!(Scrape::of(&app).get("signer_ready"), 0.0);
}
