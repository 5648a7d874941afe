//! `signer-server`: see `signer-server --help`.

use std::process::ExitCode;

use clap::Parser;
use signer_server::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
