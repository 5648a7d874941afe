//! ES256: what each party computes for one signature and for a key, beside ordinary verification.

use criterion::{Criterion, criterion_group, criterion_main};
use signer_benches::{enrolment::enrol, parties::Parties, single::Ecdsa};
use signer_core::suite::SuiteId;

fn es256(criterion: &mut Criterion) {
    let parties = Parties::new(SuiteId::Es256);
    let single = Ecdsa::new(&parties);
    let mut group = criterion.benchmark_group("es256");
    group.bench_function("baseline: aws-lc-rs, verify", |b| b.iter(|| single.verify_aws()));
    group.bench_function("baseline: p256, verify", |b| b.iter(|| single.verify_p256()));
    group.bench_function("suite verify, from bytes", |b| b.iter(|| parties.suite_verify()));
    group.bench_function("server: fetch", |b| b.iter(|| parties.server_fetch()));
    group.bench_function("server: check", |b| b.iter(|| parties.server_check()));
    group.bench_function("server: gate", |b| b.iter(|| parties.server_gate()));
    group.bench_function("server: finish", |b| b.iter(|| parties.server_finish()));
    group.bench_function("server: fetch, check, gate and finish", |b| b.iter(|| parties.server()));
    group.bench_function("device: commit and contribute", |b| b.iter(|| parties.device()));
    group.bench_function("device: verify", |b| b.iter(|| parties.device_accept()));
    group.sample_size(10);
    group.bench_function("enrolment, both sides", |b| b.iter(|| enrol(SuiteId::Es256, 1)));
    group.finish();
}

criterion_group!(benches, es256);
criterion_main!(benches);
