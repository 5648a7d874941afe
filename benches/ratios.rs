//! Every promised figure in one run of a few minutes: `cargo bench --bench ratios`.
//!
//! First one line a figure, for machines: `ratio NAME VALUE goal OP NUMBER`. Then a table for people, with the medians
//! behind the ratios. A missed goal says MISSED and does not fail the run: see `benches/README.md`.

use signer_benches::{
    alternate::{Compared, compare, median},
    approvals::{IN_FLIGHT, Measured, World},
    codes, frost, qr,
};

/// Rounds of each comparison of computations.
const ROUNDS: usize = 101;
/// Rounds of the comparison over HTTP, and approvals of each phone in one.
const HTTP_ROUNDS: usize = 7;
const HTTP_EACH: usize = 8;

#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

struct Figure {
    name: &'static str,
    value: f64,
    goal: Goal,
    measured: String,
}

fn main() {
    // `cargo test --benches` runs this too, only to see that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (approvals, information) = approvals();
    let figures: Vec<_> = computations().into_iter().chain(approvals).collect();
    for figure in &figures {
        println!("ratio {} {:.3} goal {}", figure.name, figure.value, figure.goal.text());
    }
    for line in &information {
        println!("{line}");
    }
    println!();
    for figure in &figures {
        let missed = if figure.goal.is_met(figure.value) { "" } else { "  MISSED" };
        let goal = figure.goal.text();
        println!("{:<41} {:>8.3}  {goal:<8} {}{missed}", figure.name, figure.value, figure.measured);
    }
}

fn computations() -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name, value, goal, measured| figures.push(Figure { name, value, goal, measured });

    let mut parties = frost::Parties::new();
    let compared = compare(ROUNDS, || parties.single_verify(), || parties.server());
    let part = |subject: &mut dyn FnMut()| compare(ROUNDS / 5, || parties.single_verify(), subject).subject;
    let parts = format!(
        "{} (fetch {:.0}, check {:.0}, finish {:.0})",
        micros(compared, "verify", "server"),
        part(&mut || {
            let _ = parties.server_fetch();
        }),
        part(&mut || {
            let _ = parties.server_check();
        }),
        part(&mut || {
            let _ = parties.server_finish();
        }),
    );
    add("frost_server_per_own_verify", compared.ratio, Goal::AtMost(4.0), parts);
    let mut signer = frost::Parties::new();
    let compared = compare(ROUNDS, || signer.single_sign(), || parties.device());
    add("frost_device_per_own_sign", compared.ratio, Goal::AtMost(4.0), micros(compared, "sign", "device"));

    let parties = codes::Parties::new();
    let compared = compare(ROUNDS, || parties.p256_sign(), || parties.present());
    let checked = compare(ROUNDS / 5, || parties.p256_sign(), || parties.present_from_keystore()).subject;
    let measured = format!(
        "{} ({checked:.0} with a keystore's signature, which is checked)",
        micros(compared, "sign", "code")
    );
    add("code_issue_per_p256_sign", compared.ratio, Goal::AtMost(1.1), measured);
    let compared = compare(ROUNDS, || parties.two_p256_verifies(), || parties.verify());
    let measured = micros(compared, "two verifies", "offline verify");
    add("offline_verify_per_two_p256_verifies", compared.ratio, Goal::AtMost(1.1), measured);

    let text = parties.text();
    let compared = compare(ROUNDS, || qr::their_svg(text), || qr::svg(text));
    add(
        "qr_svg_per_out_of_the_box",
        1.0 / compared.ratio,
        Goal::AtLeast(10.0),
        micros(compared, "theirs", "ours"),
    );
    let compared = compare(ROUNDS, || qr::their_matrix(text), || qr::matrix(text));
    add(
        "qr_matrix_per_out_of_the_box",
        1.0 / compared.ratio,
        Goal::AtLeast(10.0),
        micros(compared, "theirs", "ours"),
    );
    let compared = compare(ROUNDS, || qr::their_png(text), || qr::png(text));
    add(
        "qr_png_per_out_of_the_box",
        1.0 / compared.ratio,
        Goal::AtLeast(5.0),
        micros(compared, "theirs", "ours"),
    );
    figures
}

fn approvals() -> (Vec<Figure>, Vec<String>) {
    let mut world = World::new();
    let first = world.prepare(1);
    let _warm_up = world.over_http(first);
    let pairs: Vec<(Measured, Measured)> = (0..HTTP_ROUNDS)
        .map(|_| {
            let prepared = world.prepare(HTTP_EACH);
            let without = world.without_http(prepared);
            let prepared = world.prepare(HTTP_EACH);
            (without, world.over_http(prepared))
        })
        .collect();
    let of = |value: &dyn Fn(&(Measured, Measured)) -> f64| median(pairs.iter().map(value).collect());
    let cpu = |one: &Measured| one.server_cpu.as_secs_f64() * 1e6 / one.signatures;
    let rate = |one: &Measured| one.signatures / one.wall.as_secs_f64();

    let commits = of(&|pair| pair.1.commits / pair.1.signatures);
    let same_work = of(&|pair| cpu(&pair.0) / cpu(&pair.1));
    let (rate_without, rate_http) = (of(&|pair| rate(&pair.0)), of(&|pair| rate(&pair.1)));
    let figures = vec![
        Figure {
            name: "commits_per_signature_at_64",
            value: commits,
            goal: Goal::AtMost(0.125),
            measured: format!("{IN_FLIGHT} in flight, two writes a signature"),
        },
        Figure {
            name: "http_approve_per_same_work_without_http",
            value: same_work,
            goal: Goal::AtLeast(0.75),
            measured: format!(
                "server CPU {:.0} us over HTTP, {:.0} us without",
                of(&|pair| cpu(&pair.1)),
                of(&|pair| cpu(&pair.0))
            ),
        },
    ];
    let information = vec![
        format!("approvals_per_second_at_64 {rate_http:.0}"),
        format!("approvals_per_second_at_64_without_http {rate_without:.0}"),
    ];
    (figures, information)
}

fn micros(compared: Compared, baseline: &str, subject: &str) -> String {
    format!("{subject} {:.1} us, {baseline} {:.1} us", compared.subject, compared.baseline)
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
        }
    }

    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}
