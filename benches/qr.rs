//! Drawing: our `draw` beside the crate `qrcode` out of the box, same text.

use criterion::{Criterion, criterion_group, criterion_main};
use signer_benches::{codes::Parties, qr};

fn draw(criterion: &mut Criterion) {
    let parties = Parties::new();
    let text = parties.text();
    let mut group = criterion.benchmark_group("qr");
    group.bench_function("baseline: matrix out of the box", |b| b.iter(|| qr::their_matrix(text)));
    group.bench_function("matrix", |b| b.iter(|| qr::matrix(text)));
    group.bench_function("baseline: SVG out of the box", |b| b.iter(|| qr::their_svg(text)));
    group.bench_function("SVG", |b| b.iter(|| qr::svg(text)));
    group.bench_function("baseline: PNG out of the box", |b| b.iter(|| qr::their_png(text)));
    group.bench_function("PNG", |b| b.iter(|| qr::png(text)));
    group.finish();
}

criterion_group!(benches, draw);
criterion_main!(benches);
