//! The whole service, 64 approvals in flight.

use signer_benches::{
    alternate::median,
    approvals::{IN_FLIGHT, Measured, World},
};
use signer_core::suite::SuiteId;

use super::figures::{Goal, Report};

/// Rounds of the comparison over HTTP, and phones of each connection: so many approvals share the cost of a connection's begin and end.
const ROUNDS: usize = 7;
const EACH: usize = 16;

pub(crate) fn measure(report: &mut Report) {
    let es256 = Rounds::run(SuiteId::Es256);
    let commits = es256.of(|(_, http)| http.commits / http.signatures);
    let measured = format!("{IN_FLIGHT} in flight, two writes a signature");
    report.add("commits_per_signature_at_64", commits, Goal::AtMost(0.0625), measured);
    let same_work = es256.of(|(without, http)| cpu(without) / cpu(http));
    let (http, without) = (es256.of(|(_, http)| cpu(http)), es256.of(|(without, _)| cpu(without)));
    let measured = format!("server CPU {http:.0} us over HTTP, {without:.0} us without");
    report.add("http_approve_per_same_work_without_http", same_work, Goal::AtLeast(0.85), measured);
    es256.inform(report);
    Rounds::run(SuiteId::FrostSecp256k1Sha256).inform(report);
}

fn cpu(one: &Measured) -> f64 {
    one.server_cpu.as_secs_f64() * 1e6 / one.signatures
}

fn rate(one: &Measured) -> f64 {
    one.signatures / one.wall.as_secs_f64()
}

/// Each round once without HTTP and once over it.
struct Rounds {
    suite: SuiteId,
    pairs: Vec<(Measured, Measured)>,
}

impl Rounds {
    fn run(suite: SuiteId) -> Self {
        let mut world = World::new(suite, EACH);
        let first = world.prepare();
        let _warm_up = world.over_http(first);
        let pairs = (0..ROUNDS)
            .map(|_| {
                let prepared = world.prepare();
                let without = world.without_http(prepared);
                let prepared = world.prepare();
                (without, world.over_http(prepared))
            })
            .collect();
        Self { suite, pairs }
    }

    fn of(&self, value: impl Fn(&(Measured, Measured)) -> f64) -> f64 {
        median(self.pairs.iter().map(value).collect())
    }

    fn inform(&self, report: &mut Report) {
        let suite = self.suite.name();
        report.inform(format!("approvals_per_second_at_64 {suite} {:.0}", self.of(|(_, http)| rate(http))));
        let rate_without = self.of(|(without, _)| rate(without));
        report.inform(format!("approvals_per_second_at_64_without_http {suite} {rate_without:.0}"));
        report.inform(format!("approve_server_cpu_us {suite} {:.0}", self.of(|(_, http)| cpu(http))));
        let commits = self.of(|(_, http)| http.commits / http.signatures);
        report.inform(format!("commits_per_signature_at_64 {suite} {commits:.3}"));
    }
}
