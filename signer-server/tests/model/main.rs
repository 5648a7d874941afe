//! Random runs of phones, a bank, an operator, a thief, a network and a server against a model: `spec/model.md`.
//!
//! Every run follows from its seed. Seeds that failed once are in `seeds.txt` and run first. `SIGNER_RUNS` sets the number of
//! runs (300), `SIGNER_SEED` the first seed; with `SIGNER_RUNS=1` one run is repeated.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod events;
mod laws;
mod server;
mod world;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use signer_core::wire::CreateRelyingParty;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{
    events::Event,
    server::{Clocks, Draws, Memory, START, Server},
    world::{Beginning, World},
};

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/seeds.txt");

/// Memory where there is any: what a run proves does not depend on the disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn runtime() -> Arc<Runtime> {
    Arc::new(Builder::new_current_thread().max_blocking_threads(2).enable_all().build().unwrap())
}

fn server(path: PathBuf, runtime: &Arc<Runtime>, seed: u64) -> Server {
    Server {
        runtime: Arc::clone(runtime),
        path,
        witness: Memory::default(),
        clocks: Arc::new(Clocks { truth: AtomicU64::new(START), ..Clocks::default() }),
        draws: Arc::new(Draws(AtomicU64::new(seed))),
        bank: String::new(),
        running: None,
    }
}

fn beginning() -> Beginning {
    let (folder, runtime) = (folder(), runtime());
    let path = folder.path().join("store.db");
    let mut server = server(path, &runtime, 0);
    server.start().unwrap();
    let bank = CreateRelyingParty { name: "Bank".into(), may_ask: true, ..CreateRelyingParty::default() };
    let made = server.call(async |running| running.service.create_relying_party(bank).await);
    server.bank = made.unwrap().unwrap().token;
    World::beginning(server)
}

/// One run; what was broken, if anything.
fn run(beginning: &Beginning, runtime: &Arc<Runtime>, seed: u64, events: &[Event]) -> Result<(), String> {
    let folder = folder();
    let path = folder.path().join("store.db");
    fs::write(&path, &beginning.database).unwrap();
    let mut server = server(path, runtime, seed);
    (server.witness, server.bank) = (Memory::of(beginning.mark), beginning.bank.clone());
    let whole = AssertUnwindSafe(|| {
        server.start().unwrap();
        let mut world = World::begin(server, beginning, seed);
        for event in events {
            world.apply(*event);
        }
        world.end();
    });
    panic::catch_unwind(whole).map_err(|why| {
        let text = why.downcast_ref::<String>().cloned();
        text.or_else(|| why.downcast_ref::<&str>().map(|&text| text.into())).unwrap_or_default()
    })
}

/// The fewest events that still fail, by leaving out what can be left out.
fn shrink(beginning: &Beginning, runtime: &Arc<Runtime>, seed: u64, mut events: Vec<Event>) -> Vec<Event> {
    let mut at = events.len();
    while let Some(next) = at.checked_sub(1) {
        at = next;
        let mut fewer = events.clone();
        fewer.remove(at);
        if run(beginning, runtime, seed, &fewer).is_err() {
            events = fewer;
            at = at.min(events.len());
        }
    }
    events
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn kept() -> Vec<u64> {
    let text = fs::read_to_string(SEEDS).unwrap();
    text.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok()).collect()
}

fn keep(seed: u64) {
    if !kept().contains(&seed) {
        writeln!(OpenOptions::new().append(true).open(SEEDS).unwrap(), "{seed}").unwrap();
    }
}

fn runs(seeds: &[u64]) {
    let beginning = beginning();
    // What is expected of a failing run is said at its end, once.
    panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = runtime();
                loop {
                    let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    if index > 0 && index.is_multiple_of(1000) {
                        println!("{index} of {} runs in {:.0} s", seeds.len(), began.elapsed().as_secs_f64());
                    }
                    let Some(seed) = seeds.get(index).copied() else { return };
                    if failed.lock().unwrap().len() >= 3 {
                        return;
                    }
                    let events = events::of(seed);
                    if run(&beginning, &runtime, seed, &events).is_err() {
                        let events = shrink(&beginning, &runtime, seed, events);
                        let why = run(&beginning, &runtime, seed, &events).unwrap_err();
                        failed.lock().unwrap().push((seed, why, events));
                    }
                }
            });
        }
    });
    let _ours = panic::take_hook();
    let failed = failed.into_inner().unwrap();
    for (seed, why, events) in &failed {
        keep(*seed);
        println!("seed {seed}: {why}");
        events.iter().for_each(|event| println!("    {event:?}"));
    }
    assert!(failed.is_empty(), "{} of {} runs failed; their seeds are kept", failed.len(), seeds.len());
}

#[test]
fn mod_001_whatever_happens_the_laws_hold() {
    let count = number("SIGNER_RUNS").unwrap_or(300);
    let first = number("SIGNER_SEED").unwrap_or(1);
    let seeds: Vec<u64> = kept().into_iter().chain(first..first + count).collect();
    runs(&seeds);
}
