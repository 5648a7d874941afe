//! `cargo demo`: the whole story on one machine, with a real server process, real HTTP on loopback, a store on disk and
//! a phone simulated by `signer-client`. See `cargo demo --help`.

mod bank;
mod output;
mod phone;
mod server;
mod shop;
mod story;
mod wallet;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Parser;
use signer_core::credential::StepRule;

/// From an empty folder to a split-key signature and a three-minute code.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", version)]
pub(crate) struct Options {
    /// File to be signed.
    #[arg(long, value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))]
    file: PathBuf,
    /// Do one round without waiting, then stop.
    #[arg(long)]
    once: bool,
    /// Leave the results of the first round in this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Length of a code's step, 6 to 180 seconds: shortens the wait in this demo only.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(6..=180))]
    step_seconds: u64,
    /// Port of the server; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Port of the holder's page, on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    wallet_port: u16,
}

impl Options {
    pub(crate) fn step_rule(&self) -> StepRule {
        let standard = self.step_seconds == StepRule::STANDARD.seconds();
        let rule = if standard { None } else { StepRule::for_demo(self.step_seconds) };
        rule.unwrap_or(StepRule::STANDARD)
    }
}

/// What goes wrong in a demo is told and ends it.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    // The server process is this program again, as `signer-server` would be.
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == server::ARGUMENT) {
        let cli = arguments.into_iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, argument)| argument);
        return signer_server::cli::run(signer_server::cli::Cli::parse_from(cli));
    }
    match story::tell(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C, remembered.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
