//! Copies of the store in a SQLite file.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::print;
use crate::{
    app::engine,
    config::Config,
    store::sqlite::{self, FileWitness, Manifest, SqliteOptions, Witness as _},
};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is copied, or checked.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  signer-server backup /backup/signer-2027-01-31.db\n  signer-server backup check /backup/signer-2027-01-31.db\n\nSecrets are in it only wrapped: without the key-encryption key (`kek`) it is worth nothing, so keep that elsewhere. Do not back\nup the witness. A store in PostgreSQL is backed up by PostgreSQL's tools: spec/operations.md."
)]
pub(super) struct BackupArgs {
    /// The new file. A manifest is written beside it, with `.json` behind its name.
    #[arg(required = true)]
    file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<BackupCommand>,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Check a backup against its manifest: every page, and every entry of its audit log. Needs no server.
    Check {
        /// The backup; its manifest stands beside it.
        file: PathBuf,
    },
}

pub(super) fn run(config: &Config, json: bool, args: &BackupArgs) -> Result<(), String> {
    match (&args.command, &args.file) {
        (Some(BackupCommand::Check { file }), _) => check(config, json, file),
        (None, Some(file)) => back_up(config, json, file),
        (None, None) => Err("name the file".into()),
    }
}

fn back_up(config: &Config, json: bool, file: &Path) -> Result<(), String> {
    let options = engine::files(config).ok_or(
        "the store is in PostgreSQL, and is backed up by its own tools (pg_basebackup, pg_dump): spec/operations.md",
    )?;
    let (mut told, shown) = (Instant::now(), std::io::stderr().is_terminal());
    let manifest = sqlite::back_up(&options.path, file, |done, all| {
        if shown && told.elapsed() >= TELL_EVERY {
            eprintln!("{done} of {all} pages");
            told = Instant::now();
        }
    });
    let manifest = manifest.map_err(|error| error.to_string())?;
    let text = format!(
        "{}\nThe key-encryption key is not in it, and the witness must not be: keep both elsewhere.",
        described(&manifest)
    );
    print(json, &manifest, &text);
    Ok(())
}

fn check(config: &Config, json: bool, file: &Path) -> Result<(), String> {
    let manifest = sqlite::check_backup(file).map_err(|error| error.to_string())?;
    let behind = engine::files(config).and_then(|options| behind(&options, &manifest));
    let since = behind.map_or(String::new(), |(transactions, entries)| {
        format!("\nThe store has made {transactions} transactions and {entries} audit entries since.")
    });
    let value = json!({ "manifest": manifest, "transactions_since": behind.map(|(count, _)| count) });
    print(json, &value, &format!("{}\nIt is whole.{since}", described(&manifest)));
    Ok(())
}

/// How far this server's witness has moved since, if it is the witness of that store.
fn behind(options: &SqliteOptions, manifest: &Manifest) -> Option<(u64, u64)> {
    let seen = FileWitness::new(&options.witness_path).read().ok()??;
    manifest.is_of(seen.store).then(|| {
        (
            seen.seq.saturating_sub(manifest.transaction),
            seen.audit.size.saturating_sub(manifest.audit_entries),
        )
    })
}

fn described(manifest: &Manifest) -> String {
    let Manifest { store, transaction, at, audit_entries, bytes, .. } = manifest;
    format!(
        "Store {store} at transaction {transaction} (time {at}), {audit_entries} entries in its audit log, {bytes} bytes."
    )
}
