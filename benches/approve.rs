//! Approvals, 64 in flight, every one durable: over HTTP, beside the service called directly.

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use signer_benches::approvals::{IN_FLIGHT, Measured, World};
use signer_core::suite::SuiteId;

fn approve(criterion: &mut Criterion) {
    let mut world = World::new(SuiteId::Es256, 1);
    let mut group = criterion.benchmark_group("approve");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    let wall = |measured: &[Measured]| measured.iter().map(|one| one.wall).sum();
    group.bench_function("baseline: 64 without HTTP", |b| {
        b.iter_custom(|times| {
            let batches: Vec<_> = (0..times)
                .map(|_| {
                    let prepared = world.prepare();
                    world.without_http(prepared)
                })
                .collect();
            wall(&batches)
        });
    });
    group.bench_function("64 over HTTP", |b| {
        b.iter_custom(|times| {
            let batches: Vec<_> = (0..times)
                .map(|_| {
                    let prepared = world.prepare();
                    world.over_http(prepared)
                })
                .collect();
            wall(&batches)
        });
    });
    group.finish();
}

criterion_group!(benches, approve);
criterion_main!(benches);
