//! What a full house costs the others. By hand, on a quiet machine: `-- --ignored p99_of_others --nocapture`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;
use signer_client::RelyingParty;
use signer_core::wire::{CreatedRelyingParty, ProblemCode};

use crate::{
    harness::{TestApp, code, request},
    limits::Line,
    load::{POLLS, a_thousand_stalled, until},
    metrics::{Scrape, measured},
    support::phone::network,
};

/// Callers beside the measured ones: threads, and connections of each.
const FLOOD: (usize, usize) = (8, 125);
/// Turns of the queue that is full.
const TURNS: u32 = 16;

/// p99 in milliseconds of calls that write, `calls` of each caller, one at a time. Who is refused waits a second, as it is told,
/// and is not measured.
fn p99(app: &TestApp, party: &CreatedRelyingParty, callers: u32, calls: u32) -> f64 {
    let caller = || {
        let bank = RelyingParty::new(network(app.url()), party.token.clone());
        let person = app.unique("other");
        let mut times = Vec::new();
        for call in 0..calls {
            let (asked, key) = (request(&format!("{person}-{}", call / 4), 1), app.unique("timed"));
            loop {
                let begun = Instant::now();
                match bank.ask(&asked, &key) {
                    Ok(_) => break times.push(begun.elapsed().as_secs_f64() * 1000.0),
                    error => assert_eq!(code(error), ProblemCode::Overloaded),
                }
                thread::sleep(Duration::from_secs(1));
            }
        }
        times
    };
    let mut all: Vec<f64> = thread::scope(|scope| {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    all.sort_by(f64::total_cmp);
    all[all.len() * 99 / 100]
}

/// A thousand callers who write, each again a second after its answer.
struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<[u32; 2]>>,
}

impl Flood {
    fn start(app: &TestApp, party: &CreatedRelyingParty) -> Self {
        let (stop, (threads, lines)) = (Arc::new(AtomicBool::new(false)), FLOOD);
        let begin = |_| {
            let (stop, url, person) = (Arc::clone(&stop), app.url().to_owned(), app.unique("flood"));
            let head = format!(
                "POST /v1/requests HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n",
                party.token
            );
            thread::spawn(move || {
                let mut lines: Vec<Line> = (0..lines).map(|_| Line::open(&url)).collect();
                let (mut counts, mut calls) = ([0, 0], 0_u32);
                loop {
                    for some in lines.chunks_mut(5) {
                        if stop.load(Ordering::Relaxed) {
                            return counts;
                        }
                        for line in &mut *some {
                            calls += 1;
                            let body =
                                serde_json::to_vec(&request(&format!("{person}-{}", calls / 4), 1)).unwrap();
                            let head = format!("{head}content-length: {}\r\n\r\n", body.len());
                            line.write(&[head.as_bytes(), &body].concat());
                        }
                        for line in some {
                            let (status, ..) = line.read().unwrap();
                            assert!([201, 429, 503].contains(&status), "{status}");
                            counts[usize::from(status != 201)] += 1;
                        }
                        thread::sleep(Duration::from_millis(40));
                    }
                }
            })
        };
        let threads = (0..threads).map(begin).collect();
        Self { stop, threads }
    }

    /// How many calls were taken, and refused.
    fn end(self) -> [u32; 2] {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.threads.into_iter().map(|thread| thread.join().unwrap());
        all.fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]])
    }
}

fn tell(beside: &str, alone: f64, then: f64) {
    println!("p99 alone {alone:.1} ms, beside {beside} {then:.1} ms: {:.2}", then / alone);
}

#[test]
#[ignore = "measures: run it by hand, on a quiet machine"]
fn p99_of_others_beside_a_thousand_stalled_clients() {
    let app = measured(|_| {});
    let party = app.relying_party("Bank of Examples", true, false);
    let bank = RelyingParty::new(network(app.url()), party.token.clone());
    p99(&app, &party, 4, 250);
    for _ in 0..3 {
        let alone = p99(&app, &party, 4, 250);
        let lines = a_thousand_stalled(&app, &bank, &party.token);
        // Stalled, no longer arriving.
        thread::sleep(Duration::from_secs(2));
        let beside = p99(&app, &party, 4, 250);
        drop(lines);
        until(&app, POLLS, |taken| taken == 0.0);
        tell("1,000 stalled", alone, beside);
    }
}

#[test]
#[ignore = "measures: run it by hand, on a quiet machine"]
fn p99_of_others_beside_a_full_queue() {
    let app = measured(|config| config.concurrency_max = TURNS);
    let (party, other) = (app.relying_party("Bank", true, false), app.relying_party("Flood", true, false));
    let shed = || Scrape::of(&app).get("signer_shed_total{bound=\"turns\"}");
    p99(&app, &party, TURNS, 60);
    for _ in 0..3 {
        // As many as there are turns: full, and nobody is refused.
        let (before, alone) = (shed(), p99(&app, &party, TURNS, 100));
        assert_eq!(shed(), before);
        let flood = Flood::start(&app, &other);
        thread::sleep(Duration::from_secs(2));
        let beside = p99(&app, &party, TURNS, 100);
        let [taken, refused] = flood.end();
        assert!(refused > 0 && shed() - before >= f64::from(refused));
        tell(&format!("1,000 more ({taken} calls taken, {refused} refused)"), alone, beside);
    }
}

#[test]
#[ignore = "measures: run it by hand, on a quiet machine"]
fn p99_of_others_beside_a_party_over_its_limit() {
    let app = measured(|_| {});
    let (party, other) = (app.relying_party("Bank", true, false), app.relying_party("Flood", true, false));
    let limits = app.admin(
        "PUT",
        &format!("/relying-parties/{}/limits", other.id),
        Some(&json!({ "calls_per_second": 20 })),
    );
    assert!(limits.status < 300, "{limits:?}");
    p99(&app, &party, 4, 250);
    for _ in 0..3 {
        let alone = p99(&app, &party, 4, 250);
        let flood = Flood::start(&app, &other);
        thread::sleep(Duration::from_secs(2));
        let beside = p99(&app, &party, 4, 250);
        let [taken, refused] = flood.end();
        assert!(refused > 0);
        tell(
            &format!("1,000 of a party over its limit ({taken} calls taken, {refused} refused)"),
            alone,
            beside,
        );
    }
}
