//! The commands that watch the server's audit log.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use signer_client::{AuditError, verify_audit_consistency, verify_audit_proof};
use signer_core::{
    audit::{CheckpointError, CheckpointVerifier},
    ids::RequestId,
};

use crate::{
    Bank, Global,
    ask::write,
    input::text_of,
    output::{Failure, Output, moment},
    setup::relying_party,
};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that the log continues the checkpoint kept in a file, and keep the newest there; run it now and then
    #[command(
        after_help = "Example:\n  signer audit watch --log-key 'signer.example/audit+1a2b3c4d+AQ…' --server https://signer.example checkpoint.txt\n\nThe first run believes the log as it is. Exit code 1 if it was rewritten since: then keep both checkpoints, they prove it."
    )]
    Watch {
        /// The checkpoint kept
        file: PathBuf,
        #[command(flatten)]
        log: Log,
    },
    /// Check that a signed request is in the log
    #[command(
        after_help = "Example:\n  signer audit proof --log-key 'signer.example/audit+1a2b3c4d+AQ…' --server https://signer.example 0f1e…"
    )]
    Proof {
        /// The request
        request: RequestId,
        /// Write the proof to this file, JSON
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        log: Log,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Key of the log, as the operator publishes it: `signer-server audit key`
    #[arg(long, env = "SIGNER_LOG_KEY", value_name = "KEY")]
    log_key: String,
    #[command(flatten)]
    bank: Bank,
}

pub(crate) fn run(output: &Output, global: &Global, command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Watch { file, log } => watch(output, global, file, log),
        AuditCommand::Proof { request, out, log } => proof(output, global, *request, out.as_deref(), log),
    }
}

fn watch(output: &Output, global: &Global, file: &Path, log: &Log) -> Result<(), Failure> {
    let key = key(log)?;
    let bank = relying_party(global, &log.bank)?;
    let note = bank.audit_checkpoint()?;
    let newest = key.open(&note).map_err(AuditError::from)?;
    let before = if file.exists() { Some(text_of(file)?) } else { None };
    let known = before.map(|note| key.open(&note).map_err(|error| kept(file, error))).transpose()?;
    let (note, now) = match &known {
        None => (note, newest),
        Some(known) if newest.size < known.size => {
            let error = AuditError::NotContinued { known: known.size, size: newest.size };
            return Err(forked(file, &note, error));
        }
        Some(known) => {
            let consistency = bank.audit_consistency(known.size)?;
            let now = verify_audit_consistency(&consistency, &key, known);
            let now = now.map_err(|error| forked(file, &consistency.checkpoint, error))?;
            (consistency.checkpoint, now)
        }
    };
    write(file, note.as_bytes())?;
    let text = match &known {
        None => format!("The log has {} entries. First run: believed as it is, and kept.", now.size),
        Some(known) => format!("The log has {} entries, and continues the {} known.", now.size, known.size),
    };
    output.print(&json!({ "size": now.size, "known": known.map(|known| known.size) }), &text);
    Ok(())
}

fn proof(
    output: &Output,
    global: &Global,
    request: RequestId,
    out: Option<&Path>,
    log: &Log,
) -> Result<(), Failure> {
    let key = key(log)?;
    let bank = relying_party(global, &log.bank)?;
    let no_id = || Failure::usage("this token does not name its relying party", "Give its bearer token.");
    let id = bank.id().ok_or_else(no_id)?;
    let proof = bank.audit_proof(request)?;
    let entry = verify_audit_proof(&proof, &key, id, request)?;
    if let Some(path) = out {
        write(path, json!(proof).to_string().as_bytes())?;
    }
    let text = format!("Entry {} of the log says that it was signed, {}.", entry.index, moment(entry.at));
    output.print(&json!({ "index": entry.index, "at": entry.at, "proof": proof }), &text);
    Ok(())
}

fn key(log: &Log) -> Result<CheckpointVerifier, Failure> {
    let next_step = "Give the key as `signer-server audit key` prints it.";
    log.log_key.parse().map_err(|error: CheckpointError| Failure::usage(error.to_string(), next_step))
}

fn kept(file: &Path, error: CheckpointError) -> Failure {
    let sentence = format!("{}: {error}", file.display());
    Failure::usage(sentence, "Give the file that an earlier run wrote, and the key of the same log.")
}

/// Keeps what proves it beside what was known.
fn forked(file: &Path, note: &str, error: AuditError) -> Failure {
    let beside = file.with_added_extension("forked");
    let kept = match write(&beside, note.as_bytes()) {
        Ok(()) => format!(
            "The two are {} and {}. Tell whoever watches over the server.",
            file.display(),
            beside.display()
        ),
        Err(_) => "Tell whoever watches over the server.".into(),
    };
    Failure::new("log_rewritten", error.to_string(), kept)
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        Self::new(
            "audit",
            error.to_string(),
            "Do not rely on this proof; ask the operator which log this is.",
        )
    }
}
