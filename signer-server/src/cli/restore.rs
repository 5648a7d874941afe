//! Going on with an earlier state of the store.

use std::{
    fs,
    io::{BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use signer_core::{
    audit::{AuditAct, AuditEntry, tree::leaf_hash},
    time::UnixSeconds,
};

use super::{audit::Line, print};
use crate::{
    app::engine,
    config::Config,
    ports::{Clock as _, SystemClock},
    store::{AuditMark, Restore, RestoreReport, postgres, sqlite::Survey},
};

/// From what the store is restored.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  signer-server restore /backup/signer-2027-01-31.db --audit-log log.jsonl\n\nOnly while no server runs, and only a store that is behind its witness. Without an audit log up to the witness every key is\nsuspended until the operator has checked its holder's identity and resumes it. What ends in either case: spec/restore.md."
)]
pub(super) struct RestoreArgs {
    /// A backup to take the store's place. Without it the store in place is made usable.
    file: Option<PathBuf>,
    /// An export of the audit log (`audit export`) from after the backup: what it tells is applied.
    #[arg(long, value_name = "EXPORT")]
    audit_log: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(config: &Config, json: bool, args: &RestoreArgs) -> Result<(), String> {
    match engine::files(config) {
        Some(options) => {
            let survey = Survey::look(&options, args.file.as_deref()).map_err(|error| error.to_string())?;
            let known = known(&survey)?;
            let asked = ask(config, args, &known)?;
            finish(json, survey.restore(&asked).map_err(|error| error.to_string()))
        }
        None if args.file.is_some() => Err(
            "the store is in PostgreSQL: bring the database back by its own tools, then `restore` without a file".into(),
        ),
        None => {
            let options = engine::postgres(config).ok_or("there is no store.url")?;
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let survey = postgres::Survey::look(&options).await.map_err(|error| error.to_string())?;
                let known = Known {
                    had: survey.had,
                    at: survey.at,
                    holds: survey.holds,
                    epoch: survey.epoch,
                    witnessed: survey.witness,
                    witnessed_at: survey.witnessed_at.unwrap_or_default(),
                    exact: false,
                    unfinished: false,
                    kept: Vec::new(),
                };
                let asked = ask(config, args, &known)?;
                finish(json, survey.restore(asked).await.map_err(|error| error.to_string()))
            })
        }
    }
}

/// What is known before anything is done.
struct Known {
    had: AuditMark,
    at: UnixSeconds,
    /// Whether the state's log has the last entry that the witness saw.
    holds: bool,
    /// The epoch that the witness saw.
    epoch: u32,
    witnessed: Option<AuditMark>,
    /// The server's latest time that the witness saw.
    witnessed_at: UnixSeconds,
    exact: bool,
    unfinished: bool,
    /// Entries of the audit log that the witness keeps.
    kept: Vec<Vec<u8>>,
}

fn known(survey: &Survey) -> Result<Known, String> {
    Ok(Known {
        kept: survey.kept().map_err(|error| format!("the witness: {error}"))?,
        had: survey.had.audit,
        at: survey.had.latest,
        holds: survey.holds,
        epoch: survey.witness.map_or(0, |mark| mark.epoch),
        witnessed: survey.witness.map(|mark| mark.audit),
        witnessed_at: survey.witness.map(|mark| mark.latest).unwrap_or_default(),
        exact: true,
        unfinished: survey.unfinished,
    })
}

/// Reads the log, asks the operator, and says what is to be done.
fn ask(config: &Config, args: &RestoreArgs, known: &Known) -> Result<Restore, String> {
    let log = match (&args.audit_log, known.witnessed) {
        (None, None) => Log::default(),
        // The witness may have seen more than its last entry: acts that were not chained yet.
        (None, Some(_)) if !known.exact => Log::default(),
        (Some(_), None) => {
            return Err(
                "the witness is lost: nobody can tell whether this audit log is whole. Restore without it"
                    .into(),
            );
        }
        (file, Some(seen)) => {
            let mut following = Following::new(known, seen);
            file.as_deref().map_or(Ok(()), |file| read(file, &mut following))?;
            // What it keeps may begin later than the log so far ends: then it is of no use.
            let _gap = known.kept.iter().try_for_each(|entry| following.take(entry));
            following.end()
        }
    };
    if !args.yes {
        confirm(&told(known, &log))?;
    }
    // Only the witness, and its hash, vouch for a time: one that somebody made up would end every lock.
    let proven = known.witnessed.filter(|_| log.whole).map_or(0, |seen| seen.size);
    let last =
        log.acts.iter().filter(|entry| entry.index < proven).map(|entry| entry.at).max().unwrap_or_default();
    Ok(Restore {
        now: SystemClock.now().max(known.at).max(known.witnessed_at).max(last),
        had: known.had,
        epoch: known.epoch,
        witnessed: known.witnessed,
        whole: log.whole,
        exact: known.exact,
        acts: log.acts,
        policy: config.lock_policy.clone(),
    })
}

fn finish(json: bool, report: Result<RestoreReport, String>) -> Result<(), String> {
    let report = report?;
    print(json, &report, &reported(&report));
    Ok(())
}

/// What an export tells of the time after the state that comes back.
#[derive(Default)]
struct Log {
    acts: Vec<AuditEntry>,
    /// Whether it leads to the witness's last entry, and tells all.
    whole: bool,
}

/// The acts after the state that comes back, from wherever they are told. One chain: each holds the hash of the one before.
struct Following {
    next: AuditMark,
    seen: AuditMark,
    /// Whether it has led to the last entry that the witness saw.
    found: bool,
    /// Whether the witness saw every act: then nothing was answered after its last entry.
    exact: bool,
    acts: Vec<AuditEntry>,
}

impl Following {
    fn new(known: &Known, seen: AuditMark) -> Self {
        Self { next: known.had, seen, found: known.holds, exact: known.exact, acts: Vec::new() }
    }

    /// Takes the next entry in; one that is known already must be the same where that can be told.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let entry = AuditEntry::decode(bytes).map_err(|error| error.to_string())?;
        let Some(after) = entry.index.checked_add(1) else { return Err("no place in a log".into()) };
        if after <= self.next.size {
            let same = after < self.next.size || leaf_hash(bytes) == self.next.last;
            return if same { Ok(()) } else { Err("it is not the log of this store".into()) };
        }
        if self.exact && self.next.size >= self.seen.size {
            return Ok(());
        }
        if entry.index > self.next.size {
            return Err(format!("entry {} is missing", self.next.size));
        }
        if entry.previous != self.next.last {
            return Err(format!("entry {} does not follow the one before it", entry.index));
        }
        self.next = AuditMark { size: after, last: leaf_hash(bytes) };
        if self.next.size == self.seen.size && self.next != self.seen {
            return Err("it is not the log of the store that the witness saw".into());
        }
        self.found |= self.next == self.seen;
        self.acts.push(entry);
        Ok(())
    }

    fn end(self) -> Log {
        // What an earlier restore set, and all that it feared, left no entries.
        let restored = self.acts.iter().any(|entry| entry.act == AuditAct::Restored);
        Log { whole: self.found && !restored, acts: self.acts }
    }
}

/// Reads an export.
fn read(file: &Path, following: &mut Following) -> Result<(), String> {
    let opened = fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut size = 0;
    let had = following.next.size;
    for (number, line) in (1..).zip(BufReader::new(opened).lines()) {
        let at = |error: String| format!("{}, line {number}: {error}", file.display());
        let line = line.map_err(|error| at(error.to_string()))?;
        let Line::Entry(entry) = serde_json::from_str(&line).map_err(|error| at(error.to_string()))? else {
            continue;
        };
        let bytes = STANDARD.decode(entry).map_err(|error| at(error.to_string()))?;
        following.take(&bytes).map_err(at)?;
        size += 1;
    }
    if size < had {
        return Err(format!("{}: it ends before the store does: leave it out", file.display()));
    }
    Ok(())
}

fn told(known: &Known, log: &Log) -> String {
    let Known { had, at, witnessed, unfinished, .. } = known;
    let state =
        format!("The store was last written at {}, and has {} entries in its audit log.", at.0, had.size);
    if *unfinished {
        return format!("{state}\nA restore was cut short after its acts: it is finished.");
    }
    let lost = witnessed.map_or_else(
        || "Its witness is lost: nobody can tell what else there was.".to_owned(),
        |seen| {
            let entries = seen.size.saturating_sub(had.size);
            format!("Its witness has seen {} entries: {entries} are not in the store.", seen.size)
        },
    );
    let keys = if log.whole {
        format!("The audit log tells all of it: {} acts are applied.", log.acts.len())
    } else {
        format!(
            "{} acts are told, but not all, or nobody vouches for them; what ended is named for you to judge: EVERY KEY IS SUSPENDED \
             until you resume it, with one attempt left.",
            log.acts.len()
        )
    };
    format!(
        "{state}\n{lost}\n{keys}\nOpen requests, codes, checks, visits, access tokens and enrolment codes end."
    )
}

fn confirm(told: &str) -> Result<(), String> {
    eprintln!("{told}");
    if !std::io::stdin().is_terminal() {
        return Err("nothing was changed; --yes does it".into());
    }
    eprint!("Restore? (yes) ");
    let _shown_or_not = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| error.to_string())?;
    if answer.trim() == "yes" { Ok(()) } else { Err("nothing was changed".into()) }
}

fn reported(report: &RestoreReport) -> String {
    let RestoreReport { epoch, suspended, ended, wrong_pins, requests, enrolled_lost, .. } = report;
    let mut text = format!(
        "Restored: epoch {epoch}. The audit log goes on under another name: give its key out anew (`audit key`).\n\
         {suspended} installations suspended, {ended} ended, {wrong_pins} wrong PINs counted, {requests} open requests ended; \
         {enrolled_lost} enrolments are lost.\nStart the server."
    );
    for again in &report.again {
        text.push_str(&format!("\nDo again: {again}"));
    }
    text
}
