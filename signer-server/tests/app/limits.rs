//! Slow, large and many: bounded, and others are served meanwhile. And the end of the process.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use signer_client::{RelyingParty, desk::SystemClock};
use signer_core::{
    ids::RequestId,
    pin::Pin,
    wire::{
        CreatedEnrolmentCode, CreatedRelyingParty, ENVELOPE_BYTES_MAX, Evaluated, Problem, ProblemCode,
        RequestStatus,
    },
};

use crate::{
    harness::{PIN, TestApp, WRONG, request},
    support::{
        http::Client,
        phone::{Fault, MemoryStorage, SUITE, TestPhone, network},
        process::Process,
    },
};

/// A connection written by hand.
pub(crate) struct Line(TcpStream);

impl Line {
    pub(crate) fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    /// Open, and known to the server, which may not have noticed yet that others are closed.
    fn greeted(url: &str) -> Self {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let mut line = Self::open(url);
            line.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n");
            let answer = line.read();
            if answer.as_ref().is_some_and(|(status, ..)| *status == 200) {
                return line;
            }
            assert!(Instant::now() < end, "{answer:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn post(&mut self, path: &str, media_type: &str, body: &[u8]) {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        self.write(head.as_bytes());
        self.write(body);
    }

    /// Status, head and body of one answer; `None` if the connection ends first.
    pub(crate) fn read(&mut self) -> Option<(u16, String, Vec<u8>)> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more(&mut bytes)?;
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        while bytes.len() < head_end + length {
            self.more(&mut bytes)?;
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some((status, head, bytes[head_end..].to_vec()))
    }

    fn more(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let mut buffer = [0; 4096];
        match self.0.read(&mut buffer) {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                bytes.extend(&buffer[..count]);
                Some(())
            }
        }
    }

    /// Waits for the server to end the connection.
    fn ends_within(mut self, time: Duration) -> Duration {
        let began = Instant::now();
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "the connection was not ended");
        began.elapsed()
    }
}

fn problem(answer: Option<(u16, String, Vec<u8>)>) -> (ProblemCode, String) {
    let (status, head, body) = answer.unwrap();
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, problem.status);
    (problem.code, head)
}

#[test]
fn app_080_a_slow_head_is_cut_and_others_are_served() {
    let app = TestApp::spawn();
    let slow: Vec<_> = (0..30)
        .map(|n| {
            let mut line = Line::open(app.url());
            // Nothing at all, half a line, or a head that never ends.
            line.write(&b"GET /health/live HTTP/1.1\r\nhost: x\r\n"[..n]);
            line
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(app.http.send("GET", "/health/ready", &[], &[]).status, 200);
    }
    for line in slow {
        let took = line.ends_within(Duration::from_secs(30));
        assert!(took < Duration::from_secs(20));
    }
}

#[test]
fn app_081_a_slow_body_gets_a_problem_in_time() {
    let app = TestApp::spawn_with(|config| config.request_timeout_seconds = 1);
    let mut line = Line::greeted(app.url());
    let began = Instant::now();
    line.write(b"POST /device/v1/approve HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: 400\r\n\r\nxx");
    let (code, head) = problem(line.read());
    assert_eq!(code, ProblemCode::Timeout);
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn app_082_large_heads_and_bodies_are_refused() {
    let app = TestApp::spawn();
    let refused = |head: &str| {
        let mut line = Line::open(app.url());
        // The server may answer and close before it has read everything.
        let _cut_short = line.0.write_all(head.as_bytes());
        line.read().map(|(status, ..)| status)
    };
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    assert_eq!(refused(&format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{many}\r\n")), Some(431));
    let long = "y".repeat(2 << 20);
    let status = refused(&format!("GET /health/live HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"));
    assert!(matches!(status, None | Some(431)), "{status:?}");
    let status = refused(&format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"));
    assert!(matches!(status, None | Some(414 | 431)), "{status:?}");

    for (path, media_type, max) in [
        ("/device/v1/approve", "application/cbor", ENVELOPE_BYTES_MAX),
        ("/device/v1/status", "application/cbor", ENVELOPE_BYTES_MAX),
    ] {
        let mut line = Line::open(app.url());
        let (path_and_type, length) =
            (format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}"), max + 1);
        line.write(format!("{path_and_type}\r\ncontent-length: {length}\r\n\r\n").as_bytes());
        let _cut_short = line.0.write_all(&vec![0; length]);
        assert_eq!(problem(line.read()).0, ProblemCode::TooLarge, "{path}");
        // And by what comes, where no length is announced.
        let mut line = Line::open(app.url());
        line.write(format!("{path_and_type}\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes());
        let chunk = [b"10000\r\n", &[0; 0x10000][..], b"\r\n"].concat();
        for _ in 0..=max / 0x10000 {
            if line.0.write_all(&chunk).is_err() {
                break;
            }
        }
        assert_eq!(problem(line.read()).0, ProblemCode::TooLarge, "{path}, chunked");
    }
    assert_eq!(app.http.send("GET", "/health/ready", &[], &[]).status, 200);
}

#[test]
fn app_083_more_than_it_takes_is_refused_at_once_and_comes_through_later() {
    let app = TestApp::spawn_with(|config| {
        config.concurrency_max = 1;
        config.long_polls_max = 1;
    });
    let bank = app.relying_party("Bank", true, false);
    let asker = RelyingParty::new(network(app.url()), bank.token.as_str());
    let id = asker.ask(&request("olena", 1), "first").unwrap().id;
    // A request whose body does not come takes no turn from others.
    let mut slow = Line::greeted(app.url());
    slow.write(b"POST /device/v1/status HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: 2\r\n\r\nx");
    thread::sleep(Duration::from_millis(300));
    let send = || app.http.send("POST", "/device/v1/status", &[("content-type", "application/cbor")], b"xx");
    assert_eq!(send().code(), ProblemCode::Malformed);
    // Work under way does.
    let turn = app.service().admit().unwrap();
    let refused = send();
    assert_eq!(refused.code(), ProblemCode::Overloaded);
    assert_eq!(refused.header("retry-after"), Some("1"));
    slow.write(b"x");
    assert_eq!(problem(slow.read()).0, ProblemCode::Overloaded);
    // Health and long polls have places of their own.
    assert_eq!(app.http.send("GET", "/health/ready", &[], &[]).status, 200);
    assert_eq!(asker.wait(id, Duration::ZERO).unwrap().status, RequestStatus::Open);
    drop(turn);
    assert_eq!(send().code(), ProblemCode::Malformed);

    thread::scope(|scope| {
        let poll = scope.spawn(|| {
            let asker = RelyingParty::new(network(app.url()), bank.token.as_str());
            asker.wait(id, Duration::from_secs(2)).unwrap().status
        });
        thread::sleep(Duration::from_millis(500));
        let path = format!("/v1/requests/{id}");
        let refused = app.http.json("GET", &path, &bank.token, None);
        assert_eq!(refused.code(), ProblemCode::Overloaded);
        assert_eq!(app.http.send("GET", "/v1/answer-key", &[], &[]).status, 200);
        assert_eq!(poll.join().unwrap(), RequestStatus::Open);
    });
}

#[test]
fn app_084_connections_are_bounded_and_do_not_keep_the_server_from_stopping() {
    let mut app = TestApp::spawn_with(|config| config.connections_max = 2);
    let bank = app.relying_party("Bank", true, false);
    // The client of the lines above keeps a connection; let it go.
    app.http = Client::new(app.url());
    let id = {
        let asker = RelyingParty::new(network(app.url()), bank.token.as_str());
        asker.ask(&request("olena", 1), "first").unwrap().id
    };
    let poll = |app: &TestApp| {
        let mut line = Line::greeted(app.url());
        let head = format!(
            "GET /v1/requests/{id}?timeout_ms=60000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            bank.token
        );
        line.write(head.as_bytes());
        line
    };
    let lines = [poll(&app), poll(&app)];
    let mut third = Line::open(app.url());
    third.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(problem(third.read()).0, ProblemCode::Overloaded);
    let began = Instant::now();
    app.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "stopping took {:?}", began.elapsed());
    drop(lines);
}

/// What a phone needs of a server process.
pub(crate) fn enrolled(
    server: &Process,
    folder: &std::path::Path,
    person: &str,
) -> (TestPhone, CreatedRelyingParty) {
    let (client, admin) = (Client::new(server.url()), server.admin_token());
    let body = serde_json::json!({ "person": person });
    let code = client.json("POST", "/admin/v1/enrolment-codes", &admin, Some(&body));
    let code = code.json::<CreatedEnrolmentCode>().code;
    let body = serde_json::json!({ "name": "Bank", "may_ask": true, "may_verify": false });
    let bank = client.json("POST", "/admin/v1/relying-parties", &admin, Some(&body)).json();
    let storage = MemoryStorage::default();
    let mut phone = TestPhone::open(&server.url(), &folder.join(person), storage, SystemClock);
    phone.phone.enrol(SUITE, &code, &Pin::new(PIN).unwrap()).unwrap();
    (phone, bank)
}

#[test]
fn app_087_of_one_code_two_enrolments_run_also_while_they_are_computed() {
    let app = TestApp::spawn();
    let code = app.enrolment_code("olena");
    // Each phone up to the message that is lost.
    let until = |operation| {
        let mut phone = app.blank_phone();
        phone.wire.fail(operation, Fault::LoseRequest);
        phone.phone.enrol(SUITE, &code, &Pin::new(PIN).unwrap()).unwrap_err();
        phone.wire.last(operation).body
    };
    let starts: Vec<_> = (0..3).map(|_| until("enrol-start")).collect();
    let running: Vec<_> = (0..2).map(|_| until("enrol-keys")).collect();
    let left = AtomicUsize::new(running.len());
    thread::scope(|scope| {
        for body in &starts {
            scope.spawn(|| {
                let client = Client::new(app.url());
                while left.load(Ordering::SeqCst) > 0 {
                    let answer = client.cbor("/device/v1/enrol-start", body);
                    assert_eq!(answer.code(), ProblemCode::TooMany);
                }
            });
        }
        for body in &running {
            scope.spawn(|| {
                let answer = Client::new(app.url()).cbor("/device/v1/enrol-keys", body);
                left.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(answer.status, 200);
            });
        }
    });
}

#[test]
fn app_085_an_accepted_approval_is_answered_before_the_process_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), "");
    let prepared: Vec<_> = (0..3)
        .map(|n| {
            let person = format!("person-{n}");
            let (mut phone, bank) = enrolled(&server, folder.path(), &person);
            let asker = RelyingParty::new(network(&server.url()), bank.token.as_str());
            // Thirty-two documents take a while.
            let id: RequestId = asker.ask(&request(&person, 32), "key").unwrap().id;
            (phone.prepare(id, PIN), Line::greeted(&server.url()), asker, id)
        })
        .collect();
    let mut answers = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = prepared
            .into_iter()
            .map(|(body, mut line, asker, id)| {
                scope.spawn(move || {
                    line.post("/device/v1/approve", "application/cbor", &body);
                    let answer = line.read();
                    (answer, asker, id)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(60));
        server.terminate();
        answers.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
    });
    assert!(server.wait().success());
    server.restart();
    for (answer, asker, id) in answers {
        let (status, _, body) = answer.unwrap();
        assert_eq!(status, 200);
        let evaluated: Evaluated = signer_core::codec::decode(&body, 1 << 20).unwrap();
        assert!(matches!(evaluated, Evaluated::Signed { .. }));
        assert_eq!(asker.wait(id, Duration::ZERO).unwrap().status, RequestStatus::Signed);
    }
}

#[test]
fn app_086_a_phone_that_hangs_up_gets_its_answer_when_it_calls_again() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for (pause, pin) in [(0, PIN), (5, WRONG), (20, PIN), (40, PIN), (80, PIN)] {
        let id = app.ask_many(&bank, "olena", 32);
        let body = phone.prepare(id, pin);
        let mut line = Line::greeted(app.url());
        line.post("/device/v1/approve", "application/cbor", &body);
        thread::sleep(Duration::from_millis(pause));
        drop(line);
        let began = Instant::now();
        let answer = loop {
            let answer = app.device("approve", &body);
            if answer.status == 200 || began.elapsed() > Duration::from_secs(5) {
                break answer;
            }
            assert_eq!(answer.code(), ProblemCode::Busy);
            thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(answer.status, 200, "hung up after {pause} ms, still busy after five seconds");
        if pin == WRONG {
            phone.phone.decline(id).unwrap();
        }
    }
}
