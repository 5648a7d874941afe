//! FROST: what each party computes for one signature, beside one key in one hand.

use criterion::{Criterion, criterion_group, criterion_main};
use signer_benches::{parties::Parties, single::Schnorr};
use signer_core::suite::SuiteId;

fn frost(criterion: &mut Criterion) {
    let parties = Parties::new(SuiteId::FrostSecp256k1Sha256);
    let mut single = Schnorr::new(&parties);
    let mut group = criterion.benchmark_group("frost");
    group.bench_function("baseline: single key, sign", |b| b.iter(|| single.sign()));
    group.bench_function("baseline: single key, verify", |b| b.iter(|| single.verify()));
    group.bench_function("suite verify, from bytes", |b| b.iter(|| parties.suite_verify()));
    group.bench_function("server: fetch", |b| b.iter(|| parties.server_fetch()));
    group.bench_function("server: check", |b| b.iter(|| parties.server_check()));
    group.bench_function("server: gate", |b| b.iter(|| parties.server_gate()));
    group.bench_function("server: finish", |b| b.iter(|| parties.server_finish()));
    group.bench_function("server: fetch, check, gate and finish", |b| b.iter(|| parties.server()));
    group.bench_function("device: commit and contribute", |b| b.iter(|| parties.device()));
    group.finish();
}

criterion_group!(benches, frost);
criterion_main!(benches);
