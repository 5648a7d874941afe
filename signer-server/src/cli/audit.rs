//! The audit log: shown, exported and checked.

use std::{
    fs,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::json;
use signer_core::{
    audit::{AuditChain, AuditFault, Checkpoint, CheckpointError, CheckpointVerifier},
    ids::{AuditObject, DeviceId},
    wire::{AUDIT_PAGE_MAX, AuditKey, AuditLine, AuditPage, AuditProof},
};

use super::{AdminClient, print};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show the newest entries.
    #[command(
        after_help = "Example:\n  signer-server audit list --about 0f1e2d3c4b5a69788796a5b4c3d2e1f0    what was done about a request or an installation"
    )]
    List {
        /// Those about this id only: of a request, of an installation, or as the log names an installation.
        #[arg(long, value_name = "ID")]
        about: Option<AuditObject>,
        /// Those before this place only.
        #[arg(long, value_name = "PLACE")]
        before: Option<u64>,
        /// At most so many, newest first.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(AUDIT_PAGE_MAX)))]
        limit: u32,
    },
    /// Write the whole log to a file, with a checkpoint over it at the end: a JSON value a line.
    #[command(after_help = "Example:\n  signer-server audit export log.jsonl")]
    Export {
        /// The file.
        file: PathBuf,
    },
    /// Check an exported log, without any server: its chain, the checkpoint at its end, and those kept from before.
    #[command(
        after_help = "Example:\n  signer-server audit verify log.jsonl --log-key 'signer.example/audit+1a2b3c4d+AQ…' --checkpoint january.txt\n\nGive the key from where it was kept when the server was set up, not from the server."
    )]
    Verify {
        /// The file that `audit export` wrote.
        file: PathBuf,
        /// Key of the log, as `audit key` printed it.
        #[arg(long, value_name = "KEY")]
        log_key: String,
        /// Key of the log before a restore, for checkpoints kept from then. Repeat it for several.
        #[arg(long, value_name = "KEY")]
        former_key: Vec<String>,
        /// A checkpoint kept from before: the log must continue it. Repeat it for several.
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Print an entry with the proof that it is in the log, JSON.
    #[command(after_help = "Example:\n  signer-server audit prove 1207")]
    Prove {
        /// Place of the entry, as `audit list` shows it.
        index: u64,
    },
    /// Print the key that checkpoints are verified with. Give it to whoever watches over the log, and keep it elsewhere.
    Key,
    /// Forget how the log names a revoked installation. Its entries stay, and lead to nobody.
    Forget {
        /// Id of the installation.
        id: DeviceId,
    },
}

pub(super) fn run(config: &Config, json: bool, command: AuditCommand) -> Result<(), String> {
    match command {
        AuditCommand::List { about, before, limit } => {
            list(&AdminClient::new(config)?, json, about, before, limit)
        }
        AuditCommand::Export { file } => export(&AdminClient::new(config)?, json, &file),
        AuditCommand::Verify { file, log_key, former_key, checkpoint } => {
            let key = |text: &String| text.parse().map_err(|error: CheckpointError| error.to_string());
            let former = former_key.iter().map(key).collect::<Result<Vec<_>, String>>()?;
            verify(json, &file, &key(&log_key)?, &former, &checkpoint)
        }
        AuditCommand::Prove { index } => {
            let path = format!("/admin/v1/audit/proofs/{index}");
            let proof: AuditProof = AdminClient::new(config)?.send("GET", &path, None)?;
            print(false, &proof, &json!(proof).to_string());
            Ok(())
        }
        AuditCommand::Key => {
            let key: AuditKey = AdminClient::new(config)?.send("GET", "/admin/v1/audit/key", None)?;
            print(json, &key, &key.key);
            Ok(())
        }
        AuditCommand::Forget { id } => {
            let path = format!("/admin/v1/devices/{id}/audit-name");
            AdminClient::new(config)?.send::<serde_json::Value>("DELETE", &path, None)?;
            print(json, &json!({ "forgotten": id }), "Forgotten. Its entries stay, and lead to nobody.");
            Ok(())
        }
    }
}

fn list(
    admin: &AdminClient,
    json: bool,
    about: Option<AuditObject>,
    before: Option<u64>,
    limit: u32,
) -> Result<(), String> {
    let about = about.map_or(String::new(), |id| format!("&about={id}"));
    let before = before.map_or(String::new(), |place| format!("&before={place}"));
    let path = format!("/admin/v1/audit/found?limit={limit}{about}{before}");
    let lines: Vec<AuditLine> = admin.send("GET", &path, None)?;
    let text = lines.iter().map(line).collect::<Vec<_>>().join("\n");
    print(json, &lines, if lines.is_empty() { "None." } else { &text });
    Ok(())
}

/// Place, time (Unix seconds), act, and what there is more.
fn line(line: &AuditLine) -> String {
    let AuditLine { index, at, act, subject, relying_party, object, detail } = line;
    let mut text = format!("{index:>8}  {at}  {act}");
    let named = [
        ("installation", subject.map(|id| id.to_string())),
        ("relying party", relying_party.map(|id| id.to_string())),
        ("about", object.map(|id| id.to_string())),
    ];
    for (what, id) in named.into_iter().filter_map(|(what, id)| Some((what, id?))) {
        text.push_str(&format!("  {what} {id}"));
    }
    if let Some(detail) = detail {
        text.push_str(&format!("  ({detail})"));
    }
    text
}

/// One line of an exported log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// An entry, base64 of its CBOR.
    Entry(String),
    /// The checkpoint over all entries before it: a signed note.
    Checkpoint(String),
}

fn export(admin: &AdminClient, json: bool, file: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    // First the checkpoint, for it must not reach past what is fetched; the log may grow meanwhile.
    let note = admin.text("GET", "/v1/audit/checkpoint", None)?;
    let covered = size_of(&note)?;
    let mut out = BufWriter::new(fs::File::create(file).map_err(failed)?);
    let mut write = |line: Line| {
        let text = serde_json::to_string(&line).map_err(|error| error.to_string())?;
        writeln!(out, "{text}").map_err(failed)
    };
    let mut fetched = 0;
    while fetched < covered {
        let page: AuditPage = admin.send("GET", &format!("/admin/v1/audit/entries?from={fetched}"), None)?;
        if page.entries.is_empty() {
            return Err(format!("the server has {} entries, its checkpoint says {covered}", page.size));
        }
        for entry in page.entries.into_iter().take(usize::try_from(covered - fetched).unwrap_or(usize::MAX)) {
            write(Line::Entry(entry))?;
            fetched += 1;
        }
        eprint!("\r{fetched} of {covered} entries");
    }
    eprintln!();
    write(Line::Checkpoint(note))?;
    out.flush().map_err(failed)?;
    let text = format!("{covered} entries and their checkpoint are in {}.", file.display());
    print(json, &json!({ "entries": covered, "file": file }), &text);
    Ok(())
}

/// What a checkpoint says of itself, before it is verified.
fn size_of(note: &str) -> Result<u64, String> {
    note.lines()
        .nth(1)
        .and_then(|line| line.parse().ok())
        .ok_or_else(|| "the server's checkpoint is none".into())
}

fn verify(
    json: bool,
    file: &Path,
    key: &CheckpointVerifier,
    former: &[CheckpointVerifier],
    kept: &[PathBuf],
) -> Result<(), String> {
    let read = |path: &PathBuf| Ok((path.clone(), read(path, key, former)?));
    let mut known = kept.iter().map(read).collect::<Result<Vec<_>, String>>()?;
    known.sort_by_key(|(_, checkpoint)| checkpoint.size);
    let opened = fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (mut chain, mut last) = (AuditChain::default(), None);
    compare(&chain, &known)?;
    for (number, line) in (1_u64..).zip(BufReader::new(opened).lines()) {
        let at = |error: String| format!("{}, line {number}: {error}", file.display());
        let line = line.map_err(|error| at(error.to_string()))?;
        if last.is_some() {
            return Err(at("there is more after the checkpoint".into()));
        }
        match serde_json::from_str(&line).map_err(|error| at(error.to_string()))? {
            Line::Entry(entry) => {
                let bytes = STANDARD.decode(entry).map_err(|error| at(error.to_string()))?;
                chain.follow(&bytes).map_err(|fault| at(fault.to_string()))?;
                compare(&chain, &known)?;
            }
            Line::Checkpoint(note) => last = Some(key.open(&note).map_err(|error| at(error.to_string()))?),
        }
    }
    let last = last.ok_or("there is no checkpoint at the end: the export was cut short, or the log was")?;
    let kept = known.len();
    known.push((file.to_owned(), last));
    if let Some((path, checkpoint)) = known.iter().rfind(|(_, checkpoint)| checkpoint.size > chain.size()) {
        let fault = AuditFault::Shortened { size: chain.size(), known: checkpoint.size };
        return Err(format!("{}: {fault}", path.display()));
    }
    compare(&chain, &known)?;
    let text = format!(
        "{} entries, an unbroken chain, under a checkpoint of {}. Checkpoints kept from before that it continues: {}.",
        chain.size(),
        key.origin(),
        kept
    );
    print(json, &json!({ "entries": chain.size(), "continued": kept }), &text);
    Ok(())
}

/// The checkpoints over just so many entries are of this log.
fn compare(chain: &AuditChain, known: &[(PathBuf, Checkpoint)]) -> Result<(), String> {
    let mut now = known.iter().filter(|(_, checkpoint)| checkpoint.size == chain.size());
    match now.find(|(_, checkpoint)| checkpoint.root != chain.root()) {
        Some((path, Checkpoint { size, .. })) => {
            Err(format!("{}: {}", path.display(), AuditFault::Forked { size: *size }))
        }
        None => Ok(()),
    }
}

/// A checkpoint kept from before, under the log's key, or one that it had before a restore.
fn read(path: &Path, key: &CheckpointVerifier, former: &[CheckpointVerifier]) -> Result<Checkpoint, String> {
    let note = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let opened = key.open(&note);
    let earlier = former.iter().find_map(|key| key.open(&note).ok());
    opened.or_else(|error| earlier.ok_or(error)).map_err(|error| format!("{}: {error}", path.display()))
}
