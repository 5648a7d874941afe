//! Document codes: issue, show, verify, beside bare P-256 of the same library.

use criterion::{Criterion, criterion_group, criterion_main};
use signer_benches::codes::Parties;

fn codes(criterion: &mut Criterion) {
    let parties = Parties::new();
    let mut group = criterion.benchmark_group("codes");
    group.bench_function("baseline: one P-256 sign", |b| b.iter(|| parties.p256_sign()));
    group.bench_function("new code, day key in memory", |b| b.iter(|| parties.present()));
    group.bench_function("new code, day key in a keystore", |b| b.iter(|| parties.present_from_keystore()));
    group.bench_function("day credential", |b| b.iter(|| parties.issue()));
    group.bench_function("baseline: two P-256 verifies", |b| b.iter(|| parties.verify_times(2)));
    group.bench_function("offline verify", |b| b.iter(|| parties.verify()));
    group.bench_function("verify, credential known", |b| b.iter(|| parties.verify_known()));
    group.finish();
}

criterion_group!(benches, codes);
criterion_main!(benches);
