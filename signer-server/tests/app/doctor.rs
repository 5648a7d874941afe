//! `signer-server doctor`, beside a running server and on broken deployments.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{postgres::Database, process::Process};

/// What it found: level and text by check, and whether it succeeded.
struct Seen {
    findings: Vec<serde_json::Value>,
    good: bool,
}

impl Seen {
    fn at(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signer-server"));
        let output = command.arg("--config").arg(config).args(["--json", "doctor"]).output().unwrap();
        let text: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        Self { findings: text["findings"].as_array().unwrap().clone(), good: output.status.success() }
    }

    /// Levels of a check, worst first.
    fn levels(&self, check: &str) -> Vec<&str> {
        let found = self.findings.iter().filter(|finding| finding["check"] == check);
        found.map(|finding| finding["level"].as_str().unwrap()).collect()
    }

    fn bad(&self) -> Vec<&str> {
        let bad = self.findings.iter().filter(|finding| finding["level"] == "bad");
        bad.map(|finding| finding["check"].as_str().unwrap()).collect()
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn doc_001_a_server_that_was_just_started_has_nothing_bad_and_each_warning_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), "");
    let seen = Seen::at(&process.config);
    // Of the machine that tests run on nothing is demanded.
    let bad: Vec<_> =
        seen.bad().into_iter().filter(|check| !["space", "disk", "files"].contains(check)).collect();
    assert!(bad.is_empty(), "{:?}", seen.findings);
    assert_eq!(seen.good, seen.bad().is_empty(), "{:?}", seen.findings);
    for check in ["folder", "schema", "store", "clock", "server"] {
        assert_eq!(seen.levels(check), ["good"], "{check}: {:?}", seen.findings);
    }
    for check in ["settings", "kek", "witness", "tls", "public"] {
        assert_eq!(seen.levels(check), ["warning"], "{check}: {:?}", seen.findings);
    }
    for finding in &seen.findings {
        assert_eq!(finding["fix"].is_string(), finding["level"] != "good", "{finding}");
    }
    // It leaves nothing behind; a server that runs may be writing files of its own.
    process.kill();
    let before = files(&process.data);
    assert_eq!(Seen::at(&process.config).levels("server"), ["warning"]);
    assert_eq!(files(&process.data), before);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn doc_002_what_is_broken_is_named_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "a-token-of-a-register").unwrap();
    let settings = format!("[register]\nurl = \"http://127.0.0.1:1\"\ntoken_file = {token:?}\n");
    let mut process = Process::start(folder.path(), &settings);
    process.kill();
    assert_eq!(Seen::at(&process.config).levels("server"), ["warning"]);
    mode(&process.data, 0o755);
    mode(&process.data.join("kek"), 0o644);
    let store = process.data.join("store.db");
    // What was written is in its log until then.
    let db = rusqlite::Connection::open(&store).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(db);
    let mut bytes = fs::read(&store).unwrap();
    // The second page, of 4096 bytes, begins a table.
    bytes[4096..4196].fill(0xff);
    fs::write(&store, bytes).unwrap();
    let seen = Seen::at(&process.config);
    assert!(!seen.good);
    for check in ["folder", "secrets", "store", "register"] {
        assert!(seen.bad().contains(&check), "{check}: {:?}", seen.findings);
    }
    // What is wrong with a secret is said without it.
    let kek = fs::read(process.data.join("kek")).unwrap();
    let text = serde_json::to_string(&seen.findings).unwrap();
    assert!(!text.contains(&kek.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
}

#[test]
fn doc_003_a_database_is_looked_at_as_the_store_would() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::create());
    let process = Process::start(folder.path(), &format!("[store]\nurl = {:?}\n", database.url()));
    let seen = Seen::at(&process.config);
    assert!(seen.good, "{:?}", seen.findings);
    assert_eq!(seen.levels("store"), ["good"]);
    assert_eq!(seen.levels("standby"), ["warning"]);
    let text = fs::read_to_string(&process.config).unwrap();
    fs::write(&process.config, text.replace("[store]", "[store]\nconnections_max = 100000")).unwrap();
    assert_eq!(Seen::at(&process.config).bad(), ["connections"]);
    // A server that would lose commits.
    let gone = fs::read_to_string(&process.config).unwrap().replace("postgres://", "postgres://nobody-");
    fs::write(&process.config, gone).unwrap();
    assert!(Seen::at(&process.config).bad().contains(&"store"));
}
