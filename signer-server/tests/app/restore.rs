//! Backups, and what a store that was brought back from one takes and refuses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use signer_client::{Approved, RelyingParty};
use signer_core::{
    audit::CheckpointVerifier,
    credential::Reason,
    ids::RequestId,
    pin::Pin,
    wire::{
        AuditKey, AuditLine, CreatedRequest, ProblemCode, Profile, RequestStatus, Standing, WebhookEvents,
    },
};
use signer_server::store::sqlite;

use crate::{
    backup::copy,
    harness::{PIN, TestApp, WRONG, code, request},
    screen::{self, GREEN, Till, outcome, red, stocked},
    support::phone::{Fault, TestPhone, network},
};

/// The program, as the operator runs it beside or in place of the server. What it printed, or why it failed.
pub(crate) fn program(app: &TestApp, arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signer-server"));
    command.env("SIGNER_SERVER__DATA_DIR", &app.config.data_dir);
    command.env("SIGNER_SERVER__WITNESS_DIR", app.config.witness_dir());
    command.env("SIGNER_SERVER__LISTEN", app.config.listen.to_string());
    if let Some(url) = &app.config.store.url {
        command.env("SIGNER_SERVER__STORE__URL", url);
    }
    let output = command.arg("--json").args(arguments).output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

pub(crate) fn back_up(app: &TestApp, name: &str) -> PathBuf {
    let file = app.folder().join(name);
    program(app, &["backup", file.to_str().unwrap()]).unwrap();
    file
}

#[test]
fn res_001_a_running_store_is_copied_whole_and_says_what_it_is() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                app.enrolment_code(&format!("person-{asked}"));
                asked += 1;
            }
            asked
        });
        for name in ["one.db", "two.db", "three.db"] {
            let file = back_up(&app, name);
            let checked = program(&app, &["backup", "check", file.to_str().unwrap()]).unwrap();
            let manifest: Value =
                serde_json::from_slice(&fs::read(app.folder().join(format!("{name}.json"))).unwrap())
                    .unwrap();
            assert_eq!(checked["manifest"], manifest);
            assert!(checked["transactions_since"].is_u64());
            assert_eq!(manifest["bytes"].as_u64().unwrap(), fs::metadata(&file).unwrap().len());
            assert!(manifest["audit_entries"].as_u64().unwrap() > 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0, "the server went on writing");
    });
    // The server noticed nothing.
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn res_002_a_backup_that_was_changed_cut_or_mixed_up_is_none() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let (one, id) = (back_up(&app, "one.db"), app.ask(&bank, "olena"));
    assert!(matches!(phone.approve(id, WRONG).unwrap(), Approved::WrongPin(_)));
    app.stop();
    // The same with no server running.
    let two = back_up(&app, "two.db");
    let check = |file: &PathBuf| program(&app, &["backup", "check", file.to_str().unwrap()]);
    assert!(check(&one).is_ok() && check(&two).is_ok());
    // It overwrites nothing.
    let again = program(&app, &["backup", one.to_str().unwrap()]).unwrap_err();
    assert!(again.contains("is there already"), "{again}");

    let (whole, manifest) = (fs::read(&one).unwrap(), app.folder().join("one.db.json"));
    let told = fs::read(&manifest).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for other in [&changed[..], &whole[..whole.len() - 4096], &fs::read(&two).unwrap()] {
        fs::write(&one, other).unwrap();
        let refused = check(&one).unwrap_err();
        assert!(refused.contains("SHA-256") && refused.contains("Do not restore it"), "{refused}");
    }
    // Nor does a manifest of it that somebody made up.
    fs::write(&one, &whole).unwrap();
    let made_up = String::from_utf8(told.clone()).unwrap().replace("\"transaction\": ", "\"transaction\": 9");
    fs::write(&manifest, made_up).unwrap();
    assert!(check(&one).unwrap_err().contains("not what its manifest says"));
    fs::remove_file(&manifest).unwrap();
    assert!(check(&one).unwrap_err().contains("one.db.json"));
    fs::write(&manifest, told).unwrap();
    assert!(check(&one).is_ok());
}

#[test]
fn res_004_two_backups_to_one_file_are_one_backup_and_one_refusal() {
    let app = TestApp::spawn();
    let _phone = app.phone("olena");
    let (store, folder) = (app.database(), app.folder().join("backups"));
    let file = folder.join("one.db");
    let (mut meanwhile, mut begun) = (None, Vec::new());
    // The second begins and ends while the first copies.
    let first = sqlite::back_up(&store, &file, |_, _| {
        begun.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()));
        meanwhile.get_or_insert_with(|| sqlite::back_up(&store, &file, |_, _| {}));
    });
    assert_eq!(begun.first().unwrap(), "one.db.part-1");
    assert!(first.unwrap_err().to_string().contains("is there already"));
    assert_eq!(sqlite::check_backup(&file).unwrap(), meanwhile.unwrap().unwrap());
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["one.db", "one.db.json"]);
}

#[cfg(unix)]
#[test]
fn res_003_a_backup_is_one_file_of_its_owner_and_holds_no_key_encryption_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let app = TestApp::spawn();
    let _phone = app.phone("olena");
    let file = back_up(&app, "one.db");
    let bytes = fs::read(&file).unwrap();
    let kek = fs::read(app.config.data_dir.join("kek")).unwrap();
    assert!(bytes.windows(5).any(|window| window == b"olena"), "it can be searched");
    assert!(!bytes.windows(16).any(|window| window == &kek[..16]));
    for path in [file, app.folder().join("one.db.json")] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for ending in ["-wal", "-shm", "-journal", ".part-1"] {
        assert!(!app.folder().join(format!("one.db{ending}")).exists(), "{ending}");
    }
}

/// Stops the server and restores; the report, or why not.
fn restore(app: &mut TestApp, arguments: &[&str]) -> Result<Value, String> {
    app.stop();
    let mut all = vec!["restore", "--yes"];
    all.extend(arguments);
    program(app, &all)
}

pub(crate) fn export(app: &TestApp, name: &str) -> PathBuf {
    let file = app.folder().join(name);
    program(app, &["audit", "export", file.to_str().unwrap()]).unwrap();
    file
}

/// The disk with the store is gone; the witness is on another.
fn lose(app: &mut TestApp) {
    app.stop();
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let _none_left = fs::remove_file(app.config.data_dir.join(file));
    }
}

/// The witness keeps no entries, as one from before it did, or one that the log has long outgrown.
fn forget(app: &TestApp) {
    let witness = fs::OpenOptions::new().write(true).open(app.config.witness_dir().join("witness")).unwrap();
    witness.set_len(8192).unwrap();
}

/// From a backup, with the audit log up to now.
pub(crate) fn restore_whole(app: &mut TestApp, backup: &Path) -> Value {
    let log = export(app, &app.unique("log"));
    lose(app);
    let report = restore(app, &[backup.to_str().unwrap(), "--audit-log", log.to_str().unwrap()]).unwrap();
    assert_eq!(report["whole"], true);
    app.start().unwrap();
    report
}

pub(crate) fn act(app: &TestApp, phone: &TestPhone, act: &str) {
    let path = format!("/devices/{}/{act}", phone.device_key().device_id());
    assert_eq!(app.admin("POST", &path, None).status, 204);
}

pub(crate) fn standing(phone: &mut TestPhone) -> Standing {
    phone.phone.status().unwrap().standing
}

pub(crate) fn sign(app: &TestApp, bank: &RelyingParty, phone: &mut TestPhone, person: &str) {
    let id = app.ask(bank, person);
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

pub(crate) fn guess(app: &TestApp, bank: &RelyingParty, phone: &mut TestPhone, person: &str) {
    let id = app.ask(bank, person);
    assert!(matches!(phone.approve(id, WRONG).unwrap(), Approved::WrongPin(_)));
}

/// Acts in the log, with details.
pub(crate) fn acts(app: &TestApp) -> Vec<String> {
    let lines: Vec<AuditLine> = app.admin("GET", "/audit/found?limit=1000", None).json();
    let text = |line: &AuditLine| format!("{} {}", line.act, line.detail.as_deref().unwrap_or_default());
    lines.iter().rev().map(text).collect()
}

#[test]
fn res_010_without_the_log_every_key_waits_for_its_holder_and_has_one_attempt() {
    let mut app = TestApp::spawn();
    let (bank, mut olena, mut andrii) = (app.bank(), app.phone("olena"), app.phone("andrii"));
    let file = back_up(&app, "backup.db");
    let file = file.to_str().unwrap();
    guess(&app, &bank, &mut olena, "olena");
    sign(&app, &bank, &mut andrii, "andrii");
    lose(&mut app);
    forget(&app);
    let asked = program(&app, &["restore", file]).unwrap_err();
    assert!(asked.contains("EVERY KEY IS SUSPENDED") && asked.contains("nothing was changed"), "{asked}");
    let report = restore(&mut app, &[file]).unwrap();
    assert_eq!(
        (&report["epoch"], &report["suspended"], &report["whole"]),
        (&1.into(), &2.into(), &false.into())
    );
    app.start().unwrap();
    for phone in [&mut olena, &mut andrii] {
        assert_eq!(standing(phone), Standing::Suspended);
        act(&app, phone, "resume");
        assert_eq!(phone.phone.status().unwrap().attempts.left, 1);
    }
    // A thief has one guess for each time that the operator is deceived; the holder has all again.
    guess(&app, &bank, &mut olena, "olena");
    assert!(olena.phone.status().unwrap().attempts.blocked);
    sign(&app, &bank, &mut andrii, "andrii");
    assert_eq!(andrii.phone.status().unwrap().attempts.left, 3);
}

#[test]
fn res_011_with_the_log_what_happened_since_holds_again() {
    let mut app = TestApp::spawn();
    let bank = app.bank();
    let mut phones = ["olena", "andrii", "oksana", "ivan"].map(|person| app.phone(person));
    act(&app, &phones[3], "suspend");
    let lost_party = app.relying_party("Revoked since", true, false);
    let file = back_up(&app, "backup.db");
    act(&app, &phones[3], "resume");
    let [olena, andrii, oksana, ivan] = &mut phones;
    for _ in 0..2 {
        guess(&app, &bank, olena, "olena");
    }
    // A right PIN between wrong ones forgets those before it.
    guess(&app, &bank, ivan, "ivan");
    sign(&app, &bank, ivan, "ivan");
    act(&app, andrii, "suspend");
    act(&app, oksana, "revoke?reason=key_compromise");
    let gone = app.admin("DELETE", &format!("/relying-parties/{}", lost_party.id), None);
    assert_eq!(gone.status, 204);
    let mut maria = app.phone("yevheniia");
    let added = app.relying_party("Added since", false, true);
    let report = restore_whole(&mut app, &file);
    assert_eq!(report["suspended"], 0);
    assert_eq!((&report["wrong_pins"], &report["ended"]), (&3.into(), &1.into()));
    assert_eq!(report["enrolled_lost"], 1);
    let again = report["again"].to_string();
    assert!(again.contains("add_party") && again.contains(&added.id.to_string()), "{again}");

    let [olena, andrii, oksana, ivan] = &mut phones;
    assert_eq!(olena.phone.status().unwrap().attempts.left, 1);
    assert_eq!(ivan.phone.status().unwrap().attempts.left, 3);
    assert_eq!(standing(andrii), Standing::Suspended);
    assert_eq!(standing(oksana), Standing::Revoked);
    sign(&app, &bank, ivan, "ivan");
    guess(&app, &bank, olena, "olena");
    assert_eq!(olena.phone.status().unwrap().attempts.left, 0);
    // Enrolled after the backup: nobody knows this phone, and its holder enrols anew.
    assert!(maria.phone.status().is_err());
    let _new = app.phone("yevheniia");
    let revoked = RelyingParty::new(network(app.url()), lost_party.token);
    assert_eq!(code(revoked.ask(&request("ivan", 1), "key")), ProblemCode::Unauthenticated);
}

#[test]
fn res_012_a_key_that_was_renewed_since_ends() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let file = back_up(&app, "backup.db");
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap()).unwrap();
    assert_eq!(restore_whole(&mut app, &file)["ended"], 1);
    // The phone does not take the share that came back for its own.
    assert!(phone.phone.status().is_err());
    let sql = "SELECT standing, length(wrapped) FROM installation JOIN signing_key USING (device)";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    assert_eq!(app.read_only().query_row(sql, [], row).unwrap(), (2, 0));
    let mut phone = app.phone("olena");
    sign(&app, &bank, &mut phone, "olena");
}

#[test]
fn res_013_what_was_open_ends_and_nothing_is_done_or_used_twice() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), stocked(&app, "olena"));
    let till = Till::new(&app, "Corner Shop");
    let (open, signed) = (app.ask(&bank, "olena"), app.ask(&bank, "olena"));
    let unused = app.enrolment_code("andrii");
    let mut halfway = app.blank_phone();
    let begun = app.enrolment_code("ivan");
    halfway.wire.fail("enrol-keys", Fault::LoseAnswer);
    assert!(halfway.phone.enrol(app.suite, &begun, &Pin::new(PIN).unwrap()).is_err());
    let ceremonies = |app: &TestApp| -> u32 {
        app.read_only().query_row("SELECT count(*) FROM ceremony", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(ceremonies(&app), 1);
    let shown = screen::code(&mut phone, Profile::Age);
    let file = back_up(&app, "backup.db");
    assert!(matches!(phone.approve(signed, PIN).unwrap(), Approved::Signed(_)));
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), GREEN);
    let Till { token, id, .. } = till;
    let report = restore_whole(&mut app, &file);
    assert_eq!(report["requests"], 2);
    assert_eq!(ceremonies(&app), 0);
    for id in [open, signed] {
        assert_eq!(bank.wait(id, Duration::ZERO).unwrap().status, RequestStatus::Expired);
    }
    assert!(phone.phone.requests().unwrap().is_empty());
    let till = Till::of(&app, &token, &id);
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), red(Reason::Used));
    let enrolled = app.blank_phone().phone.enrol(app.suite, &unused, &Pin::new(PIN).unwrap());
    assert!(enrolled.is_err());
    // Two steps later all is as ever.
    app.clock.advance(2 * 180);
    let shown = screen::code(&mut phone, Profile::Age);
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), GREEN);
    sign(&app, &bank, &mut phone, "olena");
}

#[test]
fn res_014_a_phone_ahead_of_the_store_is_no_clone_and_a_clone_is_still_found_out() {
    for copy_first in [false, true] {
        let mut app = TestApp::spawn();
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        sign(&app, &bank, &mut phone, "olena");
        let file = back_up(&app, "backup.db");
        app.clock.advance(60);
        sign(&app, &bank, &mut phone, "olena");
        let mut copy = app.copy(&phone);
        for _ in 0..2 {
            app.clock.advance(60);
            sign(&app, &bank, &mut phone, "olena");
        }
        restore_whole(&mut app, &file);
        app.clock.advance(60);
        let (first, second) = if copy_first { (&mut copy, &mut phone) } else { (&mut phone, &mut copy) };
        sign(&app, &bank, first, "olena");
        app.clock.advance(60);
        sign(&app, &bank, first, "olena");
        app.clock.advance(60);
        let id = app.ask(&bank, "olena");
        assert_eq!(code(second.approve(id, PIN)), ProblemCode::Frozen);
        assert_eq!(standing(first), Standing::Frozen);
    }
}

#[test]
fn res_032_a_message_of_before_a_restore_is_late_and_its_phone_no_clone() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    sign(&app, &bank, &mut phone, "olena");
    let file = back_up(&app, "backup.db");
    app.clock.advance(60);
    phone.wire.fail("refresh-keys", Fault::LoseRequest);
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap()).unwrap_err();
    let right = phone.wire.last("refresh-start");
    app.clock.advance(5);
    phone.phone.change_pin(&Pin::entered(WRONG).unwrap(), &Pin::new("582907").unwrap()).unwrap_err();
    let wrong = phone.wire.last("refresh-start");
    restore_whole(&mut app, &file);
    app.clock.advance(5);
    let attempts = phone.phone.status().unwrap().attempts;
    for late in [&right, &wrong] {
        assert_eq!(app.device("refresh-start", &late.body).code(), ProblemCode::Stale);
    }
    assert_eq!(phone.phone.status().unwrap().attempts, attempts);
    app.clock.advance(60);
    sign(&app, &bank, &mut phone, "olena");
    assert_eq!(standing(&mut phone), Standing::Good);
}

#[test]
fn res_015_the_log_names_the_gap_and_goes_on_under_another_name() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let key = |app: &TestApp| -> CheckpointVerifier {
        app.admin("GET", "/audit/key", None).json::<AuditKey>().key.parse().unwrap()
    };
    let note = |app: &TestApp| {
        String::from_utf8(app.http.send("GET", "/v1/audit/checkpoint", &[], b"").body).unwrap()
    };
    let early = app.folder().join("early.txt");
    fs::write(&early, note(&app)).unwrap();
    let file = back_up(&app, "backup.db");
    let had: Value = serde_json::from_slice(&fs::read(app.folder().join("backup.db.json")).unwrap()).unwrap();
    let had = had["audit_entries"].as_u64().unwrap();
    sign(&app, &bank, &mut phone, "olena");
    app.checkpoint();
    let (before, kept) = (key(&app), note(&app));
    let seen = before.open(&kept).unwrap().size;
    lose(&mut app);
    restore(&mut app, &[file.to_str().unwrap()]).unwrap();
    app.start().unwrap();
    let after = key(&app);
    assert_eq!(after.origin(), format!("{}/1", before.origin()));
    let now = note(&app);
    // Who watches with the key kept from before does not take this log for that one.
    assert!(before.open(&now).is_err() && after.open(&now).is_ok());
    let place = usize::try_from(had).unwrap();
    assert_eq!(acts(&app)[place], format!("restored lost_{had}_to_{seen}"));
    // The log is whole for who has the new key.
    let log = export(&app, "after.jsonl");
    let late = app.folder().join("late.txt");
    fs::write(&late, &kept).unwrap();
    let verify = |kept: &Path| {
        let (now, before) = (after.to_string(), before.to_string());
        let (log, kept) = (log.to_str().unwrap(), kept.to_str().unwrap());
        program(
            &app,
            &["audit", "verify", log, "--log-key", &now, "--former-key", &before, "--checkpoint", kept],
        )
    };
    // A checkpoint from before the backup is continued; one from the time that is lost is not.
    verify(&early).unwrap();
    assert!(verify(&late).unwrap_err().contains("forked"));
    app.restart();
    assert_eq!(key(&app).to_string(), after.to_string());
}

#[test]
fn res_016_what_is_no_restore_is_refused_and_changes_nothing() {
    let (mut app, other) = (TestApp::spawn(), TestApp::spawn());
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let (file, foreign) = (back_up(&app, "backup.db"), back_up(&other, "other.db"));
    let short = export(&app, "short.jsonl");
    guess(&app, &bank, &mut phone, "olena");
    app.checkpoint();
    let log = export(&app, "log.jsonl");
    let (file, short, log) = (file.to_str().unwrap(), short.to_str().unwrap(), log.to_str().unwrap());
    let refused = program(&app, &["restore", file, "--yes"]).unwrap_err();
    assert!(refused.contains("another process"), "{refused}");
    // The newest store is not given up for an old one.
    for arguments in [&[file][..], &[]] {
        let refused = restore(&mut app, arguments).unwrap_err();
        assert!(refused.contains("is not behind its witness"), "{refused}");
    }
    fs::rename(app.database(), app.folder().join("away")).unwrap();
    let refused = restore(&mut app, &[]).unwrap_err();
    assert!(refused.contains("name a backup"), "{refused}");
    let refused = restore(&mut app, &[foreign.to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("another store"), "{refused}");
    // A log that is another's, or was changed.
    let theirs = export(&other, "theirs.jsonl");
    let refused = restore(&mut app, &[file, "--audit-log", theirs.to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("not the log of") || refused.contains("ends before"), "{refused}");
    let text = fs::read_to_string(log).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.remove(lines.len() - 3);
    let changed = app.folder().join("changed.jsonl");
    fs::write(&changed, lines.join("\n")).unwrap();
    let refused = restore(&mut app, &[file, "--audit-log", changed.to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("missing") || refused.contains("does not follow"), "{refused}");
    assert!(!app.database().exists());
    forget(&app);
    // One that ends early is applied, and all that is not in it is feared.
    let report = restore(&mut app, &[file, "--audit-log", short]).unwrap();
    assert_eq!((&report["whole"], &report["suspended"]), (&false.into(), &1.into()));
    app.start().unwrap();
    assert_eq!(standing(&mut phone), Standing::Suspended);
}

#[test]
fn res_017_a_restore_cut_short_is_finished_and_an_old_state_stays_behind() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let file = back_up(&app, "backup.db");
    guess(&app, &bank, &mut phone, "olena");
    app.stop();
    let (data, lost) = (app.config.data_dir.clone(), app.folder().join("lost"));
    copy(&data, &lost);
    let witness = app.config.witness_dir().join("witness");
    lose(&mut app);
    forget(&app);
    let before = fs::read(&witness).unwrap();
    restore(&mut app, &[file.to_str().unwrap()]).unwrap();
    let after = fs::read(&witness).unwrap();
    // Killed after the database and before the witness.
    fs::write(&witness, &before).unwrap();
    assert!(app.start().is_err());
    assert_eq!(restore(&mut app, &[]).unwrap()["epoch"], 1);
    assert_eq!(fs::read(&witness).unwrap()[..8192], after[..8192]);
    app.start().unwrap();
    assert_eq!(standing(&mut phone), Standing::Suspended);
    app.stop();
    // The store that was given up comes back, or the backup once more: both are behind now.
    let restored = app.folder().join("restored");
    copy(&data, &restored);
    copy(&lost, &data);
    assert!(app.start().unwrap_err().contains("behind its witness"));
    copy(&restored, &data);
    lose(&mut app);
    fs::copy(&file, app.database()).unwrap();
    assert!(app.start().unwrap_err().contains("behind its witness"));
    copy(&restored, &data);
    app.start().unwrap();
}

#[test]
fn res_019_the_end_of_the_log_is_in_the_witness() {
    let mut app = TestApp::spawn();
    let (bank, mut olena, mut andrii) = (app.bank(), app.phone("olena"), app.phone("andrii"));
    let file = back_up(&app, "backup.db");
    let file = file.to_str().unwrap();
    guess(&app, &bank, &mut olena, "olena");
    let early = export(&app, "early.jsonl");
    let early = early.to_str().unwrap();
    guess(&app, &bank, &mut olena, "olena");
    act(&app, &andrii, "suspend");
    // With an export that ends early, and with none.
    app.stop();
    let together = app.folder().join("together");
    copy(&app.config.witness_dir(), &together);
    for log in [&["--audit-log", early][..], &[]] {
        lose(&mut app);
        copy(&together, &app.config.witness_dir());
        let report = restore(&mut app, &[&[file], log].concat()).unwrap();
        assert_eq!((&report["whole"], &report["suspended"]), (&true.into(), &0.into()));
        assert_eq!(report["wrong_pins"], 2);
    }
    app.start().unwrap();
    assert_eq!(olena.phone.status().unwrap().attempts.left, 1);
    assert_eq!(standing(&mut andrii), Standing::Suspended);
    sign(&app, &bank, &mut olena, "olena");
}

#[test]
fn res_018_with_the_witness_lost_everything_is_feared() {
    let mut app = TestApp::spawn();
    let mut phone = app.phone("olena");
    let log = export(&app, "log.jsonl");
    app.stop();
    fs::remove_file(app.config.witness_dir().join("witness")).unwrap();
    assert!(app.start().unwrap_err().contains("signer-server restore"));
    let refused = restore(&mut app, &["--audit-log", log.to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("the witness is lost"), "{refused}");
    let report = restore(&mut app, &[]).unwrap();
    assert_eq!((&report["suspended"], &report["witnessed"]), (&1.into(), &Value::Null));
    app.start().unwrap();
    assert_eq!(standing(&mut phone), Standing::Suspended);
    assert!(acts(&app).contains(&"restored witness_lost".to_owned()));
}

#[test]
fn res_026_a_state_of_another_branch_is_not_taken_for_the_whole_one() {
    let mut app = TestApp::spawn();
    let (bank, mut olena, mut andrii) = (app.bank(), app.phone("olena"), app.phone("andrii"));
    app.stop();
    let (data, witness) = (app.config.data_dir.clone(), app.config.witness_dir());
    let (data_before, witness_before) =
        (app.folder().join("data-before"), app.folder().join("witness-before"));
    copy(&data, &data_before);
    copy(&witness, &witness_before);
    app.start().unwrap();
    act(&app, &olena, "revoke?reason=key_compromise");
    app.stop();
    let seen = fs::read(witness.join("witness")).unwrap();
    // Elsewhere the same store went on otherwise, and further.
    copy(&data_before, &data);
    copy(&witness_before, &witness);
    app.start().unwrap();
    for _ in 0..4 {
        sign(&app, &bank, &mut andrii, "andrii");
    }
    let (fork, log) = (back_up(&app, "fork.db"), export(&app, "fork.jsonl"));
    for arguments in [&[][..], &["--audit-log", log.to_str().unwrap()]] {
        lose(&mut app);
        fs::write(witness.join("witness"), &seen).unwrap();
        let all = [&[fork.to_str().unwrap()], arguments].concat();
        let report = restore(&mut app, &all).unwrap();
        assert_eq!((&report["whole"], &report["suspended"]), (&false.into(), &2.into()), "{report}");
    }
    app.start().unwrap();
    assert_eq!(standing(&mut olena), Standing::Suspended);
}

#[test]
fn res_027_a_second_restore_from_one_backup_gives_nothing_out_twice() {
    let mut app = TestApp::spawn();
    let (bank, mut olena, mut andrii) = (app.bank(), app.phone("olena"), app.phone("andrii"));
    let file = back_up(&app, "backup.db");
    guess(&app, &bank, &mut olena, "olena");
    let issued = |app: &TestApp| -> i64 {
        let sql = "SELECT min(token_issued) FROM installation";
        app.read_only().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(restore_whole(&mut app, &file)["epoch"], 1);
    sign(&app, &bank, &mut andrii, "andrii");
    let first = issued(&app);
    assert!(first >= 1 << 32);
    let log = export(&app, "second.jsonl");
    lose(&mut app);
    let report = restore(&mut app, &[file.to_str().unwrap(), "--audit-log", log.to_str().unwrap()]).unwrap();
    // What the first restore set left no entries: the log is not whole, and the wrong PIN before it not forgotten.
    assert_eq!(
        (&report["epoch"], &report["whole"], &report["suspended"]),
        (&2.into(), &false.into(), &2.into())
    );
    app.start().unwrap();
    assert!(issued(&app) >= 2 << 32);
    let key = app.admin("GET", "/audit/key", None).json::<AuditKey>().key;
    assert!(key.parse::<CheckpointVerifier>().unwrap().origin().ends_with("/audit/2"), "{key}");
    assert_eq!(standing(&mut olena), Standing::Suspended);
}

#[test]
fn res_033_no_place_of_an_event_is_given_out_twice() {
    let mut app = TestApp::spawn_with(|config| config.webhooks.allow_private = true);
    let parties = ["Early", "Late"].map(|name| app.relying_party(name, true, false));
    let call = |app: &TestApp, token: &str, method: &str, path: &str, body: Option<Value>| {
        let answer = app.http.json(method, path, token, body.as_ref());
        assert!(answer.status < 300, "{answer:?}");
        answer
    };
    let ask = |app: &TestApp, token: &str| {
        let body = serde_json::to_value(request("nobody", 1)).unwrap();
        call(app, token, "POST", "/v1/requests", Some(body)).json::<CreatedRequest>().id
    };
    let end = |app: &TestApp, token: &str, id: RequestId| {
        call(app, token, "DELETE", &format!("/v1/requests/{id}"), None);
    };
    let after = |app: &TestApp, token: &str, place: u64| -> Vec<RequestId> {
        let path = format!("/v1/webhook-events?after={place}");
        let events = call(app, token, "GET", &path, None).json::<WebhookEvents>().events;
        events.into_iter().map(|one| one.event.id).collect()
    };
    for party in &parties {
        let urls = serde_json::json!({ "urls": ["http://127.0.0.1:9/ended"] });
        call(&app, &party.token, "PUT", "/v1/webhooks", Some(urls));
    }
    let [early, late] = &parties.map(|party| party.token);
    let first = ask(&app, early);
    end(&app, early, first);
    let open = ask(&app, early);
    let file = back_up(&app, "backup.db");
    // What both hear of and the backup does not know: of one its second event, of the other its first.
    end(&app, early, open);
    let lost = ask(&app, late);
    end(&app, late, lost);
    assert_eq!((after(&app, early, 1), after(&app, late, 0)), (vec![open], vec![lost]));
    restore_whole(&mut app, &file);
    assert_eq!(after(&app, early, 2), [open], "it ended in the restore, at a place of its own");
    let next = ask(&app, late);
    end(&app, late, next);
    assert_eq!(after(&app, late, 1), [next]);
}

#[test]
fn res_035_time_goes_on_after_the_latest_that_the_witness_saw() {
    let mut app = TestApp::spawn();
    let mut phone = app.phone("olena");
    let file = back_up(&app, "backup.db");
    app.clock.advance(3600);
    phone.wire.fail("refresh-keys", Fault::LoseRequest);
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap()).unwrap_err();
    let before = phone.wire.last("refresh-start");
    app.stop();
    // No entry tells of that hour.
    forget(&app);
    lose(&mut app);
    restore(&mut app, &[file.to_str().unwrap()]).unwrap();
    app.start().unwrap();
    let sql = "SELECT restored FROM meta";
    let restored: i64 = app.read_only().query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(u64::try_from(restored).unwrap() >= app.clock.seconds());
    act(&app, &phone, "resume");
    app.clock.advance(5);
    assert_eq!(app.device("refresh-start", &before.body).code(), ProblemCode::Stale);
}

#[test]
fn res_028_what_no_witness_confirms_ends_nothing_and_moves_no_clock() {
    let mut app = TestApp::spawn();
    let (mut olena, andrii, party) =
        (app.phone("olena"), app.phone("andrii"), app.relying_party("Forged", true, false));
    let file = back_up(&app, "backup.db");
    act(&app, &olena, "suspend");
    act(&app, &olena, "resume");
    app.stop();
    let seen = fs::read(app.config.witness_dir().join("witness")).unwrap();
    app.start().unwrap();
    app.clock.advance(1000 * 86_400);
    act(&app, &olena, "revoke?reason=key_compromise");
    assert_eq!(app.admin("DELETE", &format!("/relying-parties/{}", party.id), None).status, 204);
    let log = export(&app, "log.jsonl");
    act(&app, &andrii, "suspend");
    app.stop();
    let further = fs::read(app.config.witness_dir().join("witness")).unwrap();
    let latest = |app: &TestApp| -> i64 {
        app.read_only().query_row("SELECT latest_time FROM meta", [], |row| row.get(0)).unwrap()
    };
    let moved = latest(&app);
    // All of it is known, but the witness has not seen its end: nothing was answered after that.
    lose(&mut app);
    fs::write(app.config.witness_dir().join("witness"), &seen).unwrap();
    let arguments = [file.to_str().unwrap(), "--audit-log", log.to_str().unwrap()];
    let report = restore(&mut app, &arguments).unwrap();
    assert_eq!((&report["whole"], &report["ended"]), (&true.into(), &0.into()), "{report}");
    assert!(latest(&app) < moved);
    // A log that ends before the witness: it suspends, and says what people must judge.
    lose(&mut app);
    fs::write(app.config.witness_dir().join("witness"), &further).unwrap();
    forget(&app);
    let report = restore(&mut app, &arguments).unwrap();
    assert_eq!((&report["whole"], &report["ended"]), (&false.into(), &0.into()), "{report}");
    let again = report["again"].to_string();
    assert!(again.contains("end_key") && again.contains(&party.id.to_string()), "{again}");
    // Its own time is no made up one.
    assert!(latest(&app) > moved);
    app.start().unwrap();
    assert_eq!(standing(&mut olena), Standing::Suspended);
}
