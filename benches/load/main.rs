//! Load for a running server over HTTP: phones that sign for banks and show codes to verifiers, in a closed or an open loop,
//! with times, errors, and what the server took. The same client drives OpenBao's transit engine. `load --help`; `benches/README.md`.

#![expect(clippy::unwrap_used, reason = "a measurement that fails ends here")]

mod approvals;
mod bank;
mod drive;
mod openbao;
mod phones;
mod register;
mod sessions;
mod table;
mod target;
mod verifier;
mod worker;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{CommandFactory as _, Parser, error::ErrorKind};
use signer_core::suite::SuiteId;

use crate::{drive::Plan, target::Target, verifier::Verifiers};

/// Drives a server over HTTP and prints what it did.
///
/// Without --url a server of its own is started on an empty folder, or on --data, where server and phones are kept for the next
/// run. A session is: a bank asks, a phone lists, fetches and approves, the bank takes the result. The phone's work on the PIN
/// (Argon2) is left out. A verifier checks the QR codes that phones show, each once, while sessions go on; phones fetch
/// credentials as they need them, and this program plays the document register.
#[derive(Debug, Parser)]
#[command(
    name = "load",
    // Scripts repeat an option to change it.
    args_override_self = true,
    after_help = "Examples:
  load                                             64 phones, 64 sessions in flight, 10 s
  load --phones 2000 --data /tmp/load              enrols 2000 phones and keeps them
  load --data /tmp/load --rate 200 --duration 60   200 sessions begun each second, whatever they take
  load --rate 100 --verifiers 8 --verify-rate 200  100 sessions and 200 checks of codes begun each second
  load --workers 0 --verifiers 64                  checks alone
  load --only-approve --server-cores 0             approvals alone, made ready before the clock starts
  load --url http://127.0.0.1:7400 --admin-token-file signer-data/admin-token --state phones
  load --openbao http://127.0.0.1:8200 --openbao-token ROOT --openbao-key bench"
)]
struct Arguments {
    /// Origin of a running server (plain HTTP, an address and a port). Needs --admin-token-file and --state. May be repeated
    /// for the nodes of one database: connections go to them by turns.
    #[arg(long, requires_all = ["admin_token_file", "state"])]
    url: Vec<String>,
    /// The admin token of the running server.
    #[arg(long)]
    admin_token_file: Option<PathBuf>,
    /// Process id of the running server, to measure its CPU time and memory. May be repeated: they are added up.
    #[arg(long)]
    pid: Vec<u32>,
    /// Program of the server to start; default: signer-server beside this program.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Folder of the server that is started; default: a temporary one.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A line of configuration (TOML) for the server that is started; may be repeated.
    #[arg(long = "set")]
    settings: Vec<String>,
    /// Cores of the server that is started, as taskset takes them.
    #[arg(long)]
    server_cores: Option<String>,
    /// File that keeps the phones; default: `phones` in --data. Whoever reads it can sign for them.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Phones, enrolled at the start as far as there are not enough.
    #[arg(long, default_value_t = 64)]
    phones: usize,
    /// Banks that ask, by turns.
    #[arg(long, default_value_t = 4)]
    banks: usize,
    /// Most sessions in flight. 0 only with --verifiers.
    #[arg(long, default_value_t = 64)]
    workers: usize,
    /// Verifiers that check codes, each one at a time.
    #[arg(long, default_value_t = 0, conflicts_with_all = ["only_approve", "openbao"])]
    verifiers: usize,
    /// Open loop: so many checks are begun each second, by all verifiers together. Default: each verifier begins when it has
    /// its answer.
    #[arg(long, requires = "verifiers")]
    verify_rate: Option<f64>,
    /// Where this program plays the document register for --verifiers; a running server is configured with it:
    /// register.url = "http://ADDRESS". Default for a server of its own: a free port.
    #[arg(long, requires = "verifiers")]
    register: Option<SocketAddr>,
    /// Open loop: so many sessions are begun each second. Default: each worker begins when it has ended one.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds before anything is measured.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Measures approvals alone: rounds of one for each phone are made ready while the clock stands.
    #[arg(long, conflicts_with = "rate")]
    only_approve: bool,
    /// Suite of new phones.
    #[arg(long, default_value = "es256", value_parser = ["es256", "frost-secp256k1-sha256"])]
    suite: String,
    /// Drives the transit engine of OpenBao at this origin instead: one signature a call.
    #[arg(long, requires_all = ["openbao_token", "openbao_key"])]
    openbao: Option<String>,
    /// Its token.
    #[arg(long)]
    openbao_token: Option<String>,
    /// Its key, an ecdsa-p256.
    #[arg(long)]
    openbao_key: Option<String>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if arguments.verifiers > 0 && !arguments.url.is_empty() && arguments.register.is_none() {
        let text = "--verifiers with --url needs --register, the address that the server has as register.url";
        Arguments::command().error(ErrorKind::MissingRequiredArgument, text).exit();
    }
    let plan = Plan {
        workers: arguments.workers.max(usize::from(arguments.verifiers == 0)),
        rate: arguments.rate,
        verifiers: arguments.verifiers,
        verify_rate: arguments.verify_rate,
        warm_up: Duration::from_secs_f64(arguments.warm_up),
        duration: Duration::from_secs_f64(arguments.duration),
    };
    let report = match &arguments.openbao {
        Some(url) => {
            let token = arguments.openbao_token.as_deref().unwrap_or_default();
            let key = arguments.openbao_key.as_deref().unwrap_or_default();
            openbao::measure(&plan, url, token, key, &arguments.pid)
        }
        None => signer(&arguments, &plan),
    };
    if arguments.json { println!("{}", report.json()) } else { print!("{report}") }
}

fn signer(arguments: &Arguments, plan: &Plan) -> table::Report {
    let target = Target::of(arguments);
    let suite = SuiteId::ALL.iter().find(|suite| suite.name() == arguments.suite).copied().unwrap();
    let phones = phones::load_or_enrol(&target, suite, arguments.phones.max(1));
    let banks = bank::register(&target, arguments.banks.max(1));
    let (report, phones) = if arguments.only_approve {
        approvals::approvals(plan, &target, &banks, phones)
    } else {
        let verifiers = Verifiers::register(&target, arguments.verifiers, &phones);
        sessions::sessions(plan, &target, &banks, phones, &verifiers)
    };
    phones::keep(&target, &phones);
    report
}
