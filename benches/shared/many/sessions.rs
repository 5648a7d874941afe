//! Signing sessions: a bank asks and waits, a phone lists, fetches and approves, the bank has the result.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signer_core::{
    codec,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{
        CreateRelyingParty, CreatedRequest, Evaluated, PendingRequests, REPLY_BYTES_MAX, RequestStatus,
        RequestView, RequestsQuery,
    },
};
use signer_server::ports::{Clock as _, SystemClock};

use super::Plan;
use crate::{
    http::{Connection, Request},
    phone::Phone,
    server::{Server, together},
};

/// Phones, each in one session at a time.
const PHONES: usize = 64;

pub(super) struct Sessions {
    address: SocketAddr,
    token: String,
    phones: Vec<Phone>,
}

/// What the sessions took, each kind sorted.
#[derive(Debug)]
pub(super) struct Times {
    late: Vec<Duration>,
    approve_to_result: Vec<Duration>,
    whole: Vec<Duration>,
    wall: Duration,
}

struct One {
    late: Duration,
    approve_to_result: Duration,
    whole: Duration,
}

impl Sessions {
    pub(super) fn prepare(server: &Server) -> Self {
        let (_, token) = server.register(CreateRelyingParty {
            name: "Bank of Examples".into(),
            may_ask: true,
            ..CreateRelyingParty::default()
        });
        let phones = server.runtime.block_on(together((0..PHONES).map(|number| {
            let service = Arc::clone(&server.service);
            async move { (number, Phone::enrol(&service, SuiteId::Es256, number).await) }
        })));
        Self { address: server.address, token, phones }
    }

    /// Begins a session at each tick, on the next phone that is free.
    pub(super) fn run(&mut self, plan: &Plan) -> Times {
        let total = plan.rate * plan.seconds;
        let (start, next) = (Instant::now(), AtomicUsize::new(0));
        let (address, token) = (self.address, self.token.as_str());
        let next = &next;
        let done: Vec<One> = thread::scope(|scope| {
            let workers: Vec<_> = self
                .phones
                .iter_mut()
                .map(|phone| {
                    scope.spawn(move || {
                        let mut desk = Desk::open(address, token);
                        let mut done = Vec::new();
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= total {
                                return done;
                            }
                            let due = start + Duration::from_secs_f64(ratio(number, plan.rate));
                            thread::sleep(due.saturating_duration_since(Instant::now()));
                            done.push(desk.session(phone, due));
                        }
                    })
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        Times::of(&done, start.elapsed())
    }
}

/// The connections of one bank clerk and one phone.
struct Desk {
    bank: Connection,
    waiting: Connection,
    phone: Connection,
    authorization: String,
}

impl Desk {
    fn open(address: SocketAddr, token: &str) -> Self {
        let authorization = format!("authorization: Bearer {token}");
        let open = || Connection::open(address);
        Self { bank: open(), waiting: open(), phone: open(), authorization }
    }

    fn session(&mut self, phone: &mut Phone, due: Instant) -> One {
        let begun = Instant::now();
        let Self { bank, waiting, phone: line, authorization } = self;
        let headers = [authorization.as_str()];
        let body = serde_json::to_vec(&phone.request()).unwrap();
        let made: CreatedRequest =
            parsed(&bank.send(&Request::post("/v1/requests", "application/json", &headers, &body)));
        let poll = Request::get(&format!("/v1/requests/{}?timeout_ms=60000", made.id), &headers);
        let (sent, seen) = thread::scope(|scope| {
            let result = scope.spawn(move || {
                let view: RequestView = parsed(&waiting.send(&poll));
                assert_eq!(view.status, RequestStatus::Signed);
                Instant::now()
            });
            let sent = approve(phone, line);
            (sent, result.join().unwrap())
        });
        One { late: begun - due, approve_to_result: seen - sent, whole: seen - begun }
    }
}

/// The phone's part; when the approve was sent.
fn approve(phone: &mut Phone, line: &mut Connection) -> Instant {
    let mut device = |operation: &str, body: &[u8]| {
        line.send(&Request::post(&format!("/device/v1/{operation}"), "application/cbor", &[], body))
    };
    let listed = device("requests", &phone.seal(now(), &RequestsQuery {}));
    let listed: PendingRequests = codec::decode(&listed, REPLY_BYTES_MAX).unwrap();
    let object = listed.requests.into_iter().next().unwrap();
    let (fetch, message) = phone.fetch(object, now());
    let fetched = codec::decode(&device("fetch", &message), REPLY_BYTES_MAX).unwrap();
    let message = phone.approve(fetch, fetched, now());
    let sent = Instant::now();
    let evaluated: Evaluated = codec::decode(&device("approve", &message), REPLY_BYTES_MAX).unwrap();
    assert!(matches!(evaluated, Evaluated::Signed { .. }), "{evaluated:?}");
    sent
}

fn now() -> UnixSeconds {
    SystemClock.now()
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 sessions")]
fn ratio(number: usize, rate: usize) -> f64 {
    number as f64 / rate as f64
}

/// p50 and p99 of sorted times, milliseconds.
struct Centiles<'a>(&'a [Duration]);

impl fmt::Display for Centiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent: usize| self.0[(self.0.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        write!(f, "{:.1}, {:.1}", at(50), at(99))
    }
}

impl Times {
    fn of(done: &[One], wall: Duration) -> Self {
        let sorted = |of: fn(&One) -> Duration| {
            let mut times: Vec<_> = done.iter().map(of).collect();
            times.sort();
            times
        };
        Self {
            late: sorted(|one| one.late),
            approve_to_result: sorted(|one| one.approve_to_result),
            whole: sorted(|one| one.whole),
            wall,
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.whole.len()
    }

    /// Finished per second.
    pub(super) fn rate(&self) -> f64 {
        ratio(self.count(), 1) / self.wall.as_secs_f64()
    }

    pub(super) fn late(&self) -> impl fmt::Display {
        Centiles(&self.late)
    }

    pub(super) fn approve_to_result(&self) -> impl fmt::Display {
        Centiles(&self.approve_to_result)
    }

    pub(super) fn whole(&self) -> impl fmt::Display {
        Centiles(&self.whole)
    }
}
