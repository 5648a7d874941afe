//! Every promised figure in one run of a few minutes: `cargo bench --bench ratios`.
//!
//! First one line a figure, for machines: `ratio NAME VALUE goal OP NUMBER`. Then a table for people, with the medians
//! behind the ratios. A missed goal says MISSED and does not fail the run: see `benches/README.md`. With a word as
//! argument (`es256`, `frost`, `codes`, `online`, `approvals`) only these figures.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends here")]

mod approvals;
mod codes;
mod es256;
mod figures;
mod online;

use signer_benches::{alternate::compare, parties::Parties, single::Schnorr};
use signer_core::suite::SuiteId;

use self::figures::{Goal, ROUNDS, Report, micros};

/// Name of a group of figures, and what measures it.
type Group = (&'static str, fn(&mut Report));

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, only to see that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let asked: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| *asked == name);
    let mut report = Report::default();
    let groups: [Group; 5] = [
        ("approvals", approvals::measure),
        ("frost", frost),
        ("es256", es256::measure),
        ("codes", codes::measure),
        ("online", online::measure),
    ];
    groups.into_iter().filter(|(name, _)| wanted(name)).for_each(|(_, measure)| measure(&mut report));
    report.print();
}

fn frost(report: &mut Report) {
    let parties = Parties::new(SuiteId::FrostSecp256k1Sha256);
    let mut single = Schnorr::new(&parties);
    let compared = compare(ROUNDS, || single.verify(), || parties.server());
    let part = |subject: &mut dyn FnMut()| compare(ROUNDS / 5, || single.verify(), subject).subject;
    let parts = format!(
        "{} (fetch {:.0}, check {:.0}, gate {:.0}, finish {:.0})",
        micros(compared, "verify", "server"),
        part(&mut || drop(parties.server_fetch())),
        part(&mut || assert!(parties.server_check())),
        part(&mut || assert!(parties.server_gate())),
        part(&mut || drop(parties.server_finish())),
    );
    report.add("frost_server_per_own_verify", compared.ratio, Goal::AtMost(4.0), parts);
    let compared = compare(ROUNDS, || single.sign(), || parties.device());
    let measured = micros(compared, "sign", "device");
    report.add("frost_device_per_own_sign", compared.ratio, Goal::AtMost(4.0), measured);
}
