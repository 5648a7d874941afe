//! Closed and open loops.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signer_benches::{
    http::{Connection, Request},
    phone::Phone,
};
use signer_core::{
    codec,
    wire::{
        CreatedRequest, Evaluated, Exchange, Fetched, Operation, PendingRequests, Problem, REPLY_BYTES_MAX,
        RequestStatus, RequestView, RequestsQuery,
    },
};
use signer_server::ports::{Clock as _, SystemClock};

use crate::{
    bank::Bank,
    phones::device,
    table::{Report, Rows, Usage},
    target::Target,
};

/// How hard, how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) rate: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// Each worker calls again when it has its answer.
pub(crate) fn closed_loop(
    plan: &Plan,
    address: SocketAddr,
    name: &'static str,
    usage: impl Fn() -> Option<Usage>,
    call: impl Fn(&mut Connection) -> Result<(), String> + Sync,
) -> Report {
    let start = Instant::now();
    let (begin, end) = (start + plan.warm_up, start + plan.warm_up + plan.duration);
    let work = || {
        let (mut rows, mut line) = (Rows::default(), Connection::open(address));
        loop {
            let called = Instant::now();
            if called >= end {
                return rows;
            }
            let done = call(&mut line);
            if called >= begin {
                match done {
                    Ok(()) => rows.took(name, called.elapsed()),
                    Err(code) => rows.failed(name, &code),
                }
            }
        }
    };
    let (rows, usage) = thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.workers).map(|_| scope.spawn(work)).collect();
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let before = usage();
        let rows = sum(workers.into_iter().map(|worker| worker.join().unwrap()));
        (rows, before.zip(usage()))
    });
    Report::new(name, rows, plan.duration, usage, None)
}

fn sum(all: impl Iterator<Item = Rows>) -> Rows {
    let mut sum = Rows::default();
    all.for_each(|rows| sum.add(rows));
    sum
}

/// Connections of a worker, and what it measured.
struct Worker<'a> {
    line: Connection,
    target: &'a Target,
    rows: Rows,
    counts: bool,
}

impl<'a> Worker<'a> {
    fn new(target: &'a Target) -> Self {
        Self { line: Connection::open(target.address()), target, rows: Rows::default(), counts: true }
    }

    /// Sends and measures. `None`: it was counted as an error.
    fn send(&mut self, name: &'static str, request: &Request) -> Option<Vec<u8>> {
        let start = Instant::now();
        let answer = self.line.exchange(request);
        let time = start.elapsed();
        let code = match answer {
            Ok((200..300, body)) => {
                if self.counts {
                    self.rows.took(name, time);
                }
                return Some(body);
            }
            Ok((status, body)) => serde_json::from_slice::<Problem>(&body)
                .map_or_else(|_| format!("status {status}"), |problem| problem.code.code().to_owned()),
            Err(error) => {
                // The server closed it, or is gone: the next call finds out.
                if let Ok(line) = Connection::try_open(self.target.address()) {
                    self.line = line;
                }
                error.kind().to_string()
            }
        };
        if self.counts {
            self.rows.failed(name, &code);
        }
        None
    }

    fn exchange<E: Exchange>(&mut self, name: &'static str, phone: &Phone, body: &E) -> Option<E::Reply> {
        let message = phone.seal(SystemClock.now(), body);
        let reply = self.send(name, &device(E::OPERATION, &message))?;
        Some(codec::decode(&reply, REPLY_BYTES_MAX).unwrap())
    }

    fn asked(&mut self, bank: &Bank, phone: &Phone) -> Option<CreatedRequest> {
        let made = self.send("ask", &bank.ask(&phone.request()))?;
        Some(serde_json::from_slice(&made).unwrap())
    }

    /// Fetches a listed request and makes its approve.
    fn ready(&mut self, phone: &mut Phone, object: signer_core::approval::RequestObject) -> Option<Request> {
        let (sent, message) = phone.fetch(object, SystemClock.now());
        let reply = self.send("fetch", &device(Operation::Fetch, &message))?;
        let fetched: Fetched = codec::decode(&reply, REPLY_BYTES_MAX).unwrap();
        Some(device(Operation::Approve, &phone.approve(sent, fetched, SystemClock.now())))
    }

    fn approve(&mut self, phone: &mut Phone, approve: &Request) -> Option<()> {
        let reply = self.send("approve", approve)?;
        match codec::decode(&reply, REPLY_BYTES_MAX).unwrap() {
            Evaluated::Signed { token, .. } => {
                phone.take_token(token);
                Some(())
            }
            other => panic!("an approval ended as {other:?}"),
        }
    }

    /// From the question to the result.
    fn session(&mut self, bank: &Bank, phone: &mut Phone) -> Option<()> {
        let start = Instant::now();
        let made = self.asked(bank, phone)?;
        let listed: PendingRequests = self.exchange("list", phone, &RequestsQuery {})?;
        let object = listed.requests.into_iter().find(|object| object.request == made.id)?;
        let approve = self.ready(phone, object)?;
        self.approve(phone, &approve)?;
        let view = self.send("result", &bank.result(&made.id.to_string()))?;
        let view: RequestView = serde_json::from_slice(&view).unwrap();
        assert_eq!(view.status, RequestStatus::Signed);
        if self.counts {
            self.rows.took("session", start.elapsed());
        }
        Some(())
    }
}

/// Whole sessions, each on the next phone that is free.
pub(crate) fn sessions(
    plan: &Plan,
    target: &Target,
    banks: &[Bank],
    phones: Vec<Phone>,
) -> (Report, Vec<Phone>) {
    let (pool, next, late) = (Mutex::new(phones), AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    let (begin, end) = (start + plan.warm_up, start + plan.warm_up + plan.duration);
    let work = |number: usize| {
        let mut worker = Worker::new(target);
        loop {
            let due = plan.rate.map_or_else(Instant::now, |rate| {
                start + Duration::from_secs_f64(count(next.fetch_add(1, Ordering::Relaxed)) / rate)
            });
            if due >= end {
                return worker.rows;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if due.elapsed() > Duration::from_millis(10) {
                late.fetch_add(1, Ordering::Relaxed);
            }
            // The one that rested longest. With fewer phones than workers some wait.
            let Some(mut phone) = take(&pool) else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            worker.counts = due >= begin;
            let done = worker.session(&banks[number % banks.len()], &mut phone);
            pool.lock().unwrap().push(phone);
            if done.is_none() {
                // An error is not answered by hammering.
                thread::sleep(Duration::from_millis(5));
            }
        }
    };
    let work = &work;
    let (rows, usage) = thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.workers).map(|number| scope.spawn(move || work(number))).collect();
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let before = target.usage();
        let rows = sum(workers.into_iter().map(|worker| worker.join().unwrap()));
        (rows, before.zip(target.usage()))
    });
    let late = plan.rate.map(|_| late.into_inner().try_into().unwrap_or(u64::MAX));
    (Report::new("session", rows, start.elapsed() - plan.warm_up, usage, late), pool.into_inner().unwrap())
}

fn take(pool: &Mutex<Vec<Phone>>) -> Option<Phone> {
    let mut pool = pool.lock().unwrap();
    if pool.is_empty() { None } else { Some(pool.remove(0)) }
}

/// Approvals alone, in rounds: what comes before is done while the clock stands.
pub(crate) fn approvals(
    plan: &Plan,
    target: &Target,
    banks: &[Bank],
    phones: Vec<Phone>,
) -> (Report, Vec<Phone>) {
    let mut parts = split(phones, plan.workers);
    let (mut rows, mut wall, mut usage) = (Rows::default(), Duration::ZERO, None::<(Usage, Usage)>);
    let mut warm = plan.warm_up.is_zero();
    while wall < plan.duration {
        let mut ready: Vec<Vec<Request>> = Vec::new();
        thread::scope(|scope| {
            let workers: Vec<_> =
                parts.iter_mut().map(|part| scope.spawn(|| prepare(target, banks, part))).collect();
            ready = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        });
        let before = target.usage();
        let start = Instant::now();
        let round = thread::scope(|scope| {
            let workers: Vec<_> = parts
                .iter_mut()
                .zip(&ready)
                .map(|(part, ready)| {
                    scope.spawn(move || {
                        let mut worker = Worker::new(target);
                        for (phone, approve) in part.iter_mut().zip(ready) {
                            let _counted = worker.approve(phone, approve);
                        }
                        worker.rows
                    })
                })
                .collect();
            sum(workers.into_iter().map(|worker| worker.join().unwrap()))
        });
        let time = start.elapsed();
        if warm {
            rows.add(round);
            wall += time;
            let spent = before.zip(target.usage());
            usage = match (usage, spent) {
                (Some(sum), Some(spent)) => Some(Usage::sum(sum, spent)),
                (None, spent) => spent,
                (sum, None) => sum,
            };
        }
        // The first round warms up.
        warm = true;
    }
    (Report::new("approve", rows, wall, usage, None), parts.into_iter().flatten().collect())
}

/// One approve of each phone: a second one, made before the first is answered, would be late.
fn prepare(target: &Target, banks: &[Bank], phones: &mut [Phone]) -> Vec<Request> {
    let mut worker = Worker::new(target);
    let one = |(number, phone): (usize, &mut Phone)| {
        let made = worker.asked(&banks[number % banks.len()], phone).unwrap();
        let listed: PendingRequests = worker.exchange("list", phone, &RequestsQuery {}).unwrap();
        let object = listed.requests.into_iter().find(|object| object.request == made.id).unwrap();
        worker.ready(phone, object).unwrap()
    };
    phones.iter_mut().enumerate().map(one).collect()
}

fn split(phones: Vec<Phone>, parts: usize) -> Vec<Vec<Phone>> {
    let mut split: Vec<Vec<Phone>> = (0..parts.min(phones.len())).map(|_| Vec::new()).collect();
    let count = split.len();
    phones.into_iter().enumerate().for_each(|(number, phone)| split[number % count].push(phone));
    split
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 sessions")]
const fn count(number: usize) -> f64 {
    number as f64
}
