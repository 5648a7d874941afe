//! Document codes over HTTP, beside a server that only says hello.

use signer_benches::{
    alternate::median,
    http::Run,
    online::{Hello, World},
};
use signer_core::wire::Profile;

use super::figures::{Goal, Report};

/// A credential has sixteen codes in a step; the first is for warming up.
const ROUNDS: usize = 15;

pub(crate) fn measure(report: &mut Report) {
    let (hello, mut world) = (Hello::new(), World::new(Profile::Age));
    let _warm_up = (hello.greet(), {
        let first = world.prepare();
        world.verify(first)
    });
    let pairs: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let greeted = hello.greet();
            let codes = world.prepare();
            (cpu_micros(&greeted), cpu_micros(&world.verify(codes)))
        })
        .collect();
    let of = |value: fn(&(f64, f64)) -> f64| median(pairs.iter().map(value).collect());
    let measured =
        format!("server CPU {:.0} us a code, {:.1} us a hello", of(|pair| pair.1), of(|pair| pair.0));
    let ratio = of(|pair| pair.0 / pair.1);
    report.add("http_verify_per_hello", ratio, Goal::AtLeast(0.12), measured);
}

fn cpu_micros(run: &Run) -> f64 {
    run.server_cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(run.replies.len()).unwrap_or(u32::MAX))
}
