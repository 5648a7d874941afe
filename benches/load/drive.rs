//! Closed and open loops.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use signer_benches::http::Connection;

use crate::table::{Report, Rows, Usage};

/// How hard, how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) rate: Option<f64>,
    pub(crate) verifiers: usize,
    pub(crate) verify_rate: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// When workers begin: at a rate, or as soon as they can.
pub(crate) struct Pace {
    start: Instant,
    begin: Instant,
    end: Instant,
    rate: Option<f64>,
    next: AtomicUsize,
    late: AtomicUsize,
}

impl Pace {
    pub(crate) fn new(plan: &Plan, start: Instant, rate: Option<f64>) -> Self {
        let begin = start + plan.warm_up;
        let (next, late) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { start, begin, end: begin + plan.duration, rate, next, late }
    }

    /// Waits until the next one is due, and says whether it is measured; `None` at the end.
    pub(crate) fn next(&self) -> Option<bool> {
        let due = self.rate.map_or_else(Instant::now, |rate| {
            self.start + Duration::from_secs_f64(count(self.next.fetch_add(1, Ordering::Relaxed)) / rate)
        });
        if due >= self.end {
            return None;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let counts = due >= self.begin;
        if counts && due.elapsed() > Duration::from_millis(10) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        Some(counts)
    }

    /// Measured and begun later than due; `None` where nothing is due.
    pub(crate) fn late(&self) -> Option<u64> {
        self.rate.map(|_| self.late.load(Ordering::Relaxed).try_into().unwrap_or(u64::MAX))
    }
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
    Report::new(&[name], rows, plan.duration, usage, None)
}

/// All of them.
pub(crate) fn sum(all: impl Iterator<Item = Rows>) -> Rows {
    let mut sum = Rows::default();
    all.for_each(|rows| sum.add(rows));
    sum
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 sessions")]
const fn count(number: usize) -> f64 {
    number as f64
}
