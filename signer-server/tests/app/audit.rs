//! The audit log: what is in it, who can prove what by it, and what happens when somebody changes it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::Connection;
use signer_client::{Approved, AuditError, RelyingParty, verify_audit_consistency, verify_audit_proof};
use signer_core::{
    audit::{AuditAct, AuditEntry, CheckpointVerifier},
    credential::DocumentType,
    pin::Pin,
    wire::{AuditKey, AuditLine, AuditPage, AuditProof, ProblemCode},
};

use crate::{
    backup::copy,
    harness::{PIN, TestApp, WRONG, code},
    history::fresh_code,
    support::{phone::network, process::Process},
};

impl TestApp {
    fn log_key(&self) -> CheckpointVerifier {
        self.admin("GET", "/audit/key", None).json::<AuditKey>().key.parse().unwrap()
    }

    /// What the server does by itself every minute, and every second.
    fn expire(&self) {
        block_on(self.service().expire());
    }

    pub(crate) fn checkpoint(&self) {
        block_on(self.service().sign_checkpoint());
    }

    /// The newest entries, the oldest of them first.
    fn log(&self, query: &str) -> Vec<AuditLine> {
        let answer = self.admin("GET", &format!("/audit/found?limit=1000{query}"), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut lines: Vec<AuditLine> = answer.json();
        lines.reverse();
        lines
    }

    fn entries(&self) -> Vec<Vec<u8>> {
        let page: AuditPage = self.admin("GET", "/audit/entries", None).json();
        assert_eq!(page.size, u64::try_from(page.entries.len()).unwrap());
        page.entries.iter().map(|entry| BASE64_STANDARD.decode(entry).unwrap()).collect()
    }

    /// A connection of somebody who has the files.
    fn intruder(&self) -> Connection {
        let db = Connection::open(self.database()).unwrap();
        db.execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;").unwrap();
        db
    }
}

fn block_on<T, E: std::fmt::Debug>(work: impl Future<Output = Result<T, E>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work).unwrap();
}

fn acts(lines: &[AuditLine]) -> Vec<String> {
    let text = |line: &AuditLine| match &line.detail {
        Some(detail) => format!("{} {detail}", line.act),
        None => line.act.clone(),
    };
    lines.iter().map(text).collect()
}

#[test]
fn aud_020_every_act_is_in_the_log_in_its_order() {
    let app = TestApp::spawn();
    // A new day brings a new trust list, which is an act of the server by itself.
    let all = || acts(&app.log("")).into_iter().filter(|act| !act.starts_with("trust_list_put"));
    let since = |place: usize| all().skip(place).collect::<Vec<_>>();
    let size = || all().count();
    assert_eq!(acts(&app.log(""))[0], "started");
    let place = size();
    let (bank, shop) = (app.bank(), app.shop());
    let mut phone = app.phone("olena");
    assert_eq!(since(place), ["party_added", "party_added", "code_made", "enrolled", "certificate_issued"]);
    let place = size();
    let ids = [(); 4].map(|()| app.ask(&bank, "olena"));
    assert!(matches!(phone.approve(ids[0], WRONG).unwrap(), Approved::WrongPin(_)));
    assert!(matches!(phone.approve(ids[0], PIN).unwrap(), Approved::Signed(_)));
    phone.phone.decline(ids[1]).unwrap();
    bank.cancel(ids[2]).unwrap();
    app.clock.advance(86_401);
    app.expire();
    let made = ["request_made"; 4].map(str::to_owned).to_vec();
    let ended =
        ["pin_wrong", "signed", "request_ended declined", "request_ended cancelled", "request_ended expired"];
    assert_eq!(since(place), [made, ended.map(str::to_owned).to_vec()].concat());
    let place = size();
    phone.phone.change_pin(&Pin::new(PIN).unwrap(), &Pin::new("847362").unwrap()).unwrap();
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let shown = fresh_code(&mut phone);
    shop.verify_code(shown.presentation.as_str(), "scan-0001").unwrap();
    let found = since(place);
    assert_eq!(found[..2], ["pin_proven", "refreshed"]);
    assert!(found[2..found.len() - 1].iter().all(|act| act == "credentials_issued") && found.len() > 3);
    assert_eq!(found.last().unwrap(), "code_used");
    let place = size();
    let id = phone_id(&app);
    for act in ["suspend", "resume", "revoke?reason=key_compromise"] {
        assert_eq!(app.admin("POST", &format!("/devices/{id}/{act}"), None).status, 204, "{act}");
    }
    app.admin("POST", "/keys/webhook/next", None);
    assert_eq!(since(place), ["suspended", "resumed", "revoked key_compromise", "key_made webhook.2"]);
    // What is about one request, and what about one installation.
    let lines = app.log(&format!("&about={}", ids[0]));
    assert_eq!(acts(&lines), ["request_made", "signed"]);
    assert!(lines.iter().all(|line| line.relying_party == bank.id() && line.subject.is_some()));
    assert_eq!(acts(&app.log(&format!("&about={id}"))).last().unwrap(), "revoked key_compromise");
    // One after the other, without a gap.
    let all = app.log("");
    assert!((0..).zip(&all).all(|(index, line)| line.index == index));
}

fn phone_id(app: &TestApp) -> String {
    let sql = "SELECT lower(hex(device)) FROM installation ORDER BY enrolled DESC LIMIT 1";
    app.read_only().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn aud_021_a_bank_proves_that_its_request_is_in_the_log() {
    let app = TestApp::spawn();
    let (bank, other, mut phone) = (app.bank(), app.bank(), app.phone("olena"));
    let key = app.log_key();
    let known = key.open(&bank.audit_checkpoint().unwrap()).unwrap();
    let (id, open) = (app.ask(&bank, "olena"), app.ask(&bank, "olena"));
    assert_eq!(code(bank.audit_proof(id)), ProblemCode::NotFound);
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let (proof, party) = (bank.audit_proof(id).unwrap(), bank.id().unwrap());
    let entry = verify_audit_proof(&proof, &key, party, id).unwrap();
    assert_eq!((entry.act, entry.at.0), (AuditAct::Signed, app.clock.seconds()));
    for (asker, request) in [(&other, id), (&bank, open)] {
        assert_eq!(code(asker.audit_proof(request)), ProblemCode::NotFound);
    }
    // Nothing else is proved by it.
    assert_eq!(verify_audit_proof(&proof, &key, party, open), Err(AuditError::OtherEntry));
    assert_eq!(verify_audit_proof(&proof, &key, other.id().unwrap(), id), Err(AuditError::OtherEntry));
    let changed = AuditEntry { at: signer_core::time::UnixSeconds(entry.at.0 + 1), ..entry.clone() };
    let changed = AuditProof { entry: BASE64_STANDARD.encode(changed.encode()), ..proof.clone() };
    assert_eq!(verify_audit_proof(&changed, &key, party, id), Err(AuditError::NotIncluded));
    let older = AuditProof { checkpoint: bank.audit_checkpoint().unwrap(), ..bank.audit_proof(id).unwrap() };
    verify_audit_proof(&older, &key, party, id).unwrap();
    let foreign = TestApp::spawn().log_key();
    assert!(matches!(verify_audit_proof(&proof, &foreign, party, id), Err(AuditError::Checkpoint(_))));
    // The log continues what was known, and what is known now.
    let now = verify_audit_consistency(&bank.audit_consistency(known.size).unwrap(), &key, &known).unwrap();
    assert!(now.size > known.size && entry.index < now.size);
    assert_eq!(
        verify_audit_consistency(&bank.audit_consistency(now.size).unwrap(), &key, &now).unwrap().size,
        now.size
    );
    assert_eq!(code(bank.audit_consistency(now.size + 1_000_000)), ProblemCode::InvalidValue);
}

#[test]
fn aud_022_a_log_put_back_and_continued_otherwise_is_found_out_by_who_kept_a_checkpoint() {
    let mut app = TestApp::spawn();
    let registered = app.relying_party("Bank of Examples", true, false);
    let bank = |app: &TestApp| RelyingParty::new(network(app.url()), registered.token.clone());
    let key = app.log_key();
    app.stop();
    let folders = [app.config.data_dir.clone(), app.config.witness_dir.clone().unwrap()];
    for (number, folder) in folders.iter().enumerate() {
        copy(folder, &app.folder().join(number.to_string()));
    }
    app.start().unwrap();
    for _ in 0..3 {
        app.ask(&bank(&app), "olena");
    }
    app.checkpoint();
    let known = key.open(&bank(&app).audit_checkpoint().unwrap()).unwrap();
    app.stop();
    // Store and witness together: the server itself cannot know.
    for (number, folder) in folders.iter().enumerate() {
        copy(&app.folder().join(number.to_string()), folder);
    }
    app.start().unwrap();
    app.checkpoint();
    assert!(key.open(&bank(&app).audit_checkpoint().unwrap()).unwrap().size < known.size);
    for _ in 0..8 {
        app.ask(&bank(&app), "petro");
    }
    app.checkpoint();
    let consistency = bank(&app).audit_consistency(known.size).unwrap();
    let found = verify_audit_consistency(&consistency, &key, &known);
    assert!(matches!(found, Err(AuditError::NotContinued { .. })), "{found:?}");
}

#[test]
fn aud_023_a_log_changed_while_no_server_ran_is_found_at_the_start() {
    let mut app = TestApp::spawn();
    let bank = app.bank();
    for _ in 0..3 {
        app.ask(&bank, "olena");
    }
    app.checkpoint();
    app.ask(&bank, "olena");
    app.stop();
    let folders = [app.config.data_dir.clone(), app.config.witness_dir.clone().unwrap()];
    let folder = app.folder().to_owned();
    let kept = |number: usize| folder.join(format!("kept-{number}"));
    let keep = |from: &dyn Fn(usize) -> PathBuf, to: &dyn Fn(usize) -> PathBuf| {
        [0, 1].into_iter().for_each(|number| copy(&from(number), &to(number)));
    };
    let used = |number: usize| folders[number].clone();
    keep(&used, &kept);
    let tampered = [
        "DELETE FROM audit WHERE idx = (SELECT max(idx) FROM audit)",
        "DELETE FROM audit",
        "UPDATE audit SET entry = (SELECT entry FROM audit WHERE idx = 0) WHERE idx = (SELECT max(idx) FROM audit)",
        "INSERT INTO audit (idx, entry) SELECT max(idx) + 1, entry FROM audit",
        "UPDATE audit SET entry = (SELECT entry FROM audit WHERE idx = 0) WHERE idx = 1",
        "DROP TRIGGER audit_pin",
        "CREATE TRIGGER quiet AFTER INSERT ON audit_waiting BEGIN DELETE FROM audit_waiting; END",
    ];
    let triggers = "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE name IN ('audit_is_not_changed', 'audit_is_not_deleted')";
    let triggers: String = app.read_only().query_row(triggers, [], |row| row.get(0)).unwrap();
    for sql in tampered {
        let db = app.intruder();
        db.execute(sql, []).unwrap();
        db.execute_batch(&triggers).unwrap();
        drop(db);
        let refused = app.start().unwrap_err();
        assert!(refused.contains("was changed"), "{sql}: {refused}");
        keep(&kept, &used);
    }
    app.start().unwrap();
}

#[test]
fn aud_024_nobody_is_named_and_a_name_can_be_forgotten() {
    let app = TestApp::spawn();
    let (bank, shop, mut phone) = (app.bank(), app.shop(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let shown = fresh_code(&mut phone);
    shop.verify_code(shown.presentation.as_str(), "scan-0001").unwrap();
    let device = phone_id(&app);
    let secret: [(&str, Vec<u8>); 2] = [
        ("reference", b"olena".to_vec()),
        ("device", (0..16).map(|at| u8::from_str_radix(&device[at * 2..at * 2 + 2], 16).unwrap()).collect()),
    ];
    let log = app.entries().concat();
    for (what, bytes) in secret {
        assert!(!log.windows(bytes.len()).any(|part| part == bytes), "{what}");
    }
    // Who looked at whose documents is not in it.
    let used: Vec<_> = app.log("").into_iter().filter(|line| line.act == "code_used").collect();
    assert!(used.len() == 1 && used[0].subject.is_none() && used[0].relying_party == shop.id());
    // Forgotten: only after the end of the installation; the entries stay.
    let forget = || app.admin("DELETE", &format!("/devices/{device}/audit-name"), None).status;
    let about = || acts(&app.log(&format!("&about={device}")));
    assert_eq!(forget(), 404);
    assert!(about().contains(&"signed".to_owned()));
    app.admin("POST", &format!("/devices/{device}/revoke"), None);
    let before = app.entries();
    assert_eq!(forget(), 204);
    assert_eq!(about(), [""; 0]);
    let after = app.entries();
    assert_eq!(after[..before.len()], before);
    assert_eq!(acts(&app.log("")).last().unwrap(), "forgotten");
    assert_eq!(acts(&app.log(&format!("&about={id}"))), ["request_made", "signed"]);
}

/// The server's and the client's command lines.
struct Shell<'a> {
    process: &'a Process,
    folder: &'a Path,
}

impl Shell<'_> {
    fn run(&self, program: &str, args: &[&str], token: &str) -> Output {
        Command::new(program)
            .args(args)
            .current_dir(self.folder)
            .env("SIGNER_CONFIG", &self.process.config)
            .env("SIGNER_SERVER", self.process.url())
            .env("SIGNER_TOKEN", token)
            .output()
            .unwrap()
    }

    fn server(&self, args: &[&str]) -> Output {
        self.run(env!("CARGO_BIN_EXE_signer-server"), args, "")
    }

    fn text(&self, args: &[&str]) -> String {
        let output = self.server(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[test]
fn aud_025_an_exported_log_is_checked_without_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), "");
    let shell = Shell { process: &process, folder: folder.path() };
    let key = shell.text(&["audit", "key"]);
    shell.text(&["relying-party", "add", "Bank of Examples", "--ask"]);
    shell.text(&["audit", "export", "first.jsonl"]);
    for person in ["olena", "petro"] {
        shell.text(&["enrolment-code", person]);
    }
    // The next checkpoint is at most a second away.
    std::thread::sleep(Duration::from_millis(2500));
    shell.text(&["audit", "export", "log.jsonl"]);
    assert!(shell.text(&["audit", "list", "--limit", "2"]).contains("code_made"));
    process.terminate();
    process.wait();
    let shell = Shell { process: &process, folder: folder.path() };
    let log = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let first = fs::read_to_string(folder.path().join("first.jsonl")).unwrap();
    let note: serde_json::Value = serde_json::from_str(first.lines().last().unwrap()).unwrap();
    fs::write(folder.path().join("kept.txt"), note["checkpoint"].as_str().unwrap()).unwrap();
    let verify = |text: &str, key: &str| {
        fs::write(folder.path().join("given.jsonl"), text).unwrap();
        shell.server(&["audit", "verify", "given.jsonl", "--log-key", key, "--checkpoint", "kept.txt"])
    };
    let good = verify(&log, &key);
    assert!(good.status.success(), "{good:?}");
    assert!(String::from_utf8_lossy(&good.stdout).contains("unbroken chain"));
    let lines: Vec<&str> = log.lines().collect();
    let without = |place: usize| {
        let mut lines = lines.clone();
        lines.remove(place);
        lines.join("\n")
    };
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let changed = log.replacen("{\"entry\":\"", "{\"entry\":\"A", 1);
    let cases = [
        (without(0), "missing"),
        (without(lines.len() - 2), "last entries were dropped"),
        (without(lines.len() - 1), "cut short"),
        (swapped.join("\n"), "missing"),
        (changed, "line 1"),
        (format!("{log}{}\n", lines[0]), "after the checkpoint"),
        ([&lines[..1], &lines[lines.len() - 1..]].concat().join("\n"), "last entries were dropped"),
    ];
    for (text, reason) in cases {
        let output = verify(&text, &key);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(reason), "{reason}: {told}");
    }
    let other = TestApp::spawn().log_key().to_string();
    assert!(!verify(&log, &other).status.success());
}
