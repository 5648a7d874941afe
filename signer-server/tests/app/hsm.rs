//! Keys in a token: SoftHSM2 behind the real server program, and what happens when it is taken away.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use signer_client::{Approved, RelyingParty, desk::SystemClock};
use signer_core::{
    certificate::check_chain,
    credential::DocumentType,
    ids::RequestId,
    pin::Pin,
    time::UnixSeconds,
    wire::{CreatedEnrolmentCode, CreatedRelyingParty, KekView, KeksView, ProblemCode},
};
use tempfile::TempDir;

use crate::{
    harness::{PIN, WRONG, code, request},
    support::{
        http::{Answer, Client},
        phone::{MemoryStorage, SUITE, TestPhone, network},
        process::Process,
        token::{SoftToken, TOKEN_PIN},
    },
};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose keys are in a token.
struct Guarded {
    folder: TempDir,
    token: SoftToken,
    server: Process,
    client: Client,
}

impl Guarded {
    fn start(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = SoftToken::create(folder.path());
        Self::on(folder, &token.settings(mode), token)
    }

    fn on(folder: TempDir, settings: &str, token: SoftToken) -> Self {
        let register = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/register.json");
        let settings =
            format!("register_file = {register:?}\nmetrics = {{ listen = \"127.0.0.1:0\" }}\n{settings}");
        let server = Process::start_in(folder.path(), &settings, token.environment());
        let client = Client::new(server.url());
        Self { folder, token, server, client }
    }

    fn restart(&mut self) {
        self.server.terminate();
        assert!(self.server.wait().success());
        self.server.restart();
    }

    /// The same folder with other settings of the token.
    fn configure(&mut self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.server.config).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&self.server.config, text.replace(from, to)).unwrap();
        self.restart();
    }

    fn admin(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Answer {
        self.client.json(method, &format!("/admin/v1{path}"), &self.server.admin_token(), body)
    }

    fn bank(&self) -> RelyingParty {
        let body = serde_json::json!({ "name": "Bank of Examples", "may_ask": true, "may_verify": false });
        let made: CreatedRelyingParty = self.admin("POST", "/relying-parties", Some(&body)).json();
        RelyingParty::new(network(&self.server.url()), made.token)
    }

    fn phone(&self, person: &str) -> TestPhone {
        let keystore = self.folder.path().join(format!("keystore-{person}"));
        let mut phone = TestPhone::open(&self.server.url(), &keystore, MemoryStorage::default(), SystemClock);
        let body = serde_json::json!({ "person": person });
        let code: CreatedEnrolmentCode = self.admin("POST", "/enrolment-codes", Some(&body)).json();
        phone.phone.enrol(SUITE, &code.code, &Pin::new(PIN).unwrap()).unwrap();
        phone
    }

    fn sign(&self, bank: &RelyingParty, phone: &mut TestPhone, person: &str) {
        let id = ask(bank, person);
        assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    }

    fn keks(&self) -> KeksView {
        self.admin("GET", "/keks", None).json()
    }

    /// Makes the next generation and waits until everything is under it.
    fn rotate(&self) -> Vec<(u32, String, String)> {
        let next = self.keks().generations.len() + 1;
        let answer = self.admin("POST", &format!("/keks/{next}/prepare"), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        let end = Instant::now() + PATIENCE;
        loop {
            let view = self.keks();
            let current =
                view.generations.iter().any(|kek| kek.generation as usize == next && kek.state == "current");
            if current && view.generations.iter().all(|kek| kek.left.is_empty()) {
                let told = |kek: KekView| (kek.generation, kek.source, kek.state);
                return view.generations.into_iter().map(told).collect();
            }
            assert!(Instant::now() < end, "{view:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn database(&self) -> Connection {
        let path = self.server.data.join("store.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    fn device(&self, bytes: &[u8]) -> Answer {
        self.client.cbor("/device/v1/approve", bytes)
    }

    /// Sends the same again until it is done.
    fn until_signed(&self, bytes: &[u8]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.device(bytes);
            if answer.status == 200 {
                return;
            }
            assert!(matches!(answer.code(), ProblemCode::HsmUnavailable | ProblemCode::Busy), "{answer:?}");
            assert!(Instant::now() < end, "{answer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn ask(bank: &RelyingParty, person: &str) -> RequestId {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let key = format!("hsm-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    bank.ask(&request(person, 1), &key).unwrap().id
}

fn wrong_pins(phone: &mut TestPhone) -> u8 {
    3 - phone.phone.status().unwrap().attempts.left
}

#[test]
fn hsm_010_a_key_that_the_token_wrapped_is_unwrapped_at_each_start() {
    let mut app = Guarded::start("kek");
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    app.sign(&bank, &mut phone, "olena");
    let log = app.server.log();
    assert!(!log.contains("MADE A KEY-ENCRYPTION KEY IN A FILE"), "{log}");
    assert!(!app.server.data.join("kek").exists(), "no key is in a file");
    app.restart();
    app.sign(&bank, &mut phone, "olena");
    let generations = app.rotate();
    let of = |generation, state: &str| (generation, "kek".into(), state.into());
    assert_eq!(generations, [of(1, "old"), of(2, "current")]);
    // Only for the unwrapping, and for keys of its own, is the token needed.
    app.token.fault("removed");
    app.sign(&bank, &mut phone, "olena");
    app.server.terminate();
    app.server.wait();
    let refused = app.server.refuses_to_start();
    assert!(refused.contains("no token has the label"), "{refused}");
    app.token.fault("");
    app.server.restart();
    app.sign(&bank, &mut phone, "olena");
    assert_eq!(app.admin("POST", "/keks/1/retire", None).status, 204);
    app.restart();
    app.sign(&bank, &mut phone, "olena");
}

#[test]
fn hsm_011_a_store_moves_into_a_token_and_every_secret_is_wrapped_there() {
    let folder = tempfile::tempdir().unwrap();
    let token = SoftToken::create(folder.path());
    let mut app = Guarded::on(folder, "", token);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    assert!(app.server.data.join("kek").exists());
    let settings = app.token.settings("every");
    app.configure("register_file", &format!("{}\nregister_file", inline(&settings)));
    app.sign(&bank, &mut phone, "olena");
    let told = |generation, source: &str, state: &str| (generation, source.into(), state.into());
    assert_eq!(app.rotate(), [told(1, "file", "old"), told(2, "every", "current")]);
    assert_eq!(app.admin("POST", "/keks/1/retire", None).status, 204);
    fs::remove_file(app.server.data.join("kek.retired")).unwrap();
    app.restart();
    app.sign(&bank, &mut phone, "olena");
    assert_eq!(app.rotate().last(), Some(&told(3, "every", "current")));
    app.sign(&bank, &mut phone, "olena");
    // And out again, if it must be.
    app.configure("mode = \"every\"", "mode = \"kek\"");
    assert_eq!(app.rotate().last(), Some(&told(4, "kek", "current")));
    app.sign(&bank, &mut phone, "olena");
}

/// Settings of a table as one line, to stand before other tables.
fn inline(settings: &str) -> String {
    let lines: Vec<_> = settings.lines().filter(|line| *line != "[hsm]").collect();
    format!("hsm = {{ {} }}", lines.join(", "))
}

#[test]
fn hsm_012_keys_of_issuer_and_authority_sign_in_the_token() {
    let app = Guarded::start("kek");
    let mut phone = app.phone("olena");
    // The phone checks all of it.
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
    let chain = phone.phone.certificate().unwrap();
    let authority: Vec<u8> = {
        let pem = app.client.send("GET", "/ca/v1/ca.pem", &[], &[]);
        signer_core::certificate::certificates_from_pem(std::str::from_utf8(&pem.body).unwrap())
            .unwrap()
            .remove(0)
    };
    let der: Vec<&[u8]> = chain.chain.iter().map(Vec::as_slice).collect();
    assert_eq!(der.last(), Some(&authority.as_slice()));
    let now = UnixSeconds(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    check_chain(&der, &phone.phone.enrolled().unwrap().public_key, now).unwrap();
    assert_eq!(app.client.send("GET", "/ca/v1/crl.der", &[], &[]).status, 200);
    // What the store keeps of them is a name, as long as that, and not a key.
    let sql = "SELECT purpose, length(wrapped) FROM server_key ORDER BY purpose";
    let db = app.database();
    let mut all = db.prepare(sql).unwrap();
    let lengths: Vec<(String, i64)> =
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let (name, key) = (33 + 1 + 16 + 33, 33 + 32);
    for (purpose, length) in lengths {
        let in_token = ["authority", "business", "issuer", "list"].contains(&purpose.as_str());
        assert_eq!(length, if in_token { name } else { key }, "{purpose}");
    }
    app.token.fault("removed");
    let refused = app.admin("POST", "/enrolment-codes", Some(&serde_json::json!({ "person": "taras" })));
    assert_eq!(refused.status, 201, "what needs no key goes on");
    assert_eq!(code(phone.phone.top_up(DocumentType::DrivingLicence)), ProblemCode::HsmUnavailable);
    app.token.fault("");
    let end = Instant::now() + PATIENCE;
    while phone.phone.top_up(DocumentType::IdentityCard).is_err() {
        assert!(Instant::now() < end, "{}", app.server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn hsm_013_while_the_token_is_away_nothing_is_half_done_and_it_mends_by_itself() {
    for fault in ["removed", "hang"] {
        let app = Guarded::start("every");
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        let right = phone.prepare(ask(&bank, "olena"), PIN);
        app.token.fault(fault);
        for _ in 0..3 {
            let answer = app.device(&right);
            assert_eq!((answer.status, answer.code()), (503, ProblemCode::HsmUnavailable), "{answer:?}");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        let listed = app.admin("GET", "/keks", None);
        assert_eq!(listed.status, 200, "what needs no key goes on");
        app.token.fault("");
        app.until_signed(&right);
        phone.phone.resume().unwrap();
        assert_eq!(wrong_pins(&mut phone), 0, "the right PIN was never counted");
        // Nor does a wrong one become a free guess.
        let wrong = phone.prepare(ask(&bank, "olena"), WRONG);
        app.token.fault(fault);
        assert_eq!(app.device(&wrong).code(), ProblemCode::HsmUnavailable);
        app.token.fault("");
        app.until_signed(&wrong);
        phone.phone.resume().unwrap();
        assert_eq!(wrong_pins(&mut phone), 1);
        let log = app.server.log();
        assert!(log.contains("THE TOKEN DOES NOT WORK") || fault == "hang", "{log}");
    }
}

#[test]
fn hsm_014_a_refused_pin_is_tried_once() {
    let mut app = Guarded::start("every");
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let prepared = phone.prepare(ask(&bank, "olena"), PIN);
    app.token.set_pin("not the pin");
    app.token.fault("removed");
    assert_eq!(app.device(&prepared).code(), ProblemCode::HsmUnavailable);
    app.token.fault("");
    let before = app.token.logins();
    let end = Instant::now() + PATIENCE;
    while app.token.logins() == before {
        assert_eq!(app.device(&prepared).code(), ProblemCode::HsmUnavailable);
        assert!(Instant::now() < end, "{}", app.server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    for _ in 0..30 {
        assert_eq!(app.device(&prepared).code(), ProblemCode::HsmUnavailable);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(app.token.logins(), before + 1, "a token locks after some wrong PINs");
    app.token.set_pin(TOKEN_PIN);
    app.until_signed(&prepared);
    // At the start it says what to do.
    app.server.terminate();
    app.server.wait();
    app.token.set_pin("not the pin");
    let refused = app.server.refuses_to_start();
    assert!(refused.contains("refused the PIN") && refused.contains("hsm.pin_file"), "{refused}");
    assert!(!refused.contains("not the pin"), "{refused}");
    let logins = app.token.logins();
    for _ in 0..3 {
        let refused = app.server.refuses_to_start();
        assert!(refused.contains("refused the PIN"), "{refused}");
    }
    assert_eq!(app.token.logins(), logins, "nor does a server that is started again and again");
    app.token.set_pin(TOKEN_PIN);
    app.server.restart();
}

#[test]
fn hsm_015_altered_bytes_are_no_failure_of_the_token() {
    let app = Guarded::start("every");
    let (bank, mut phone, mut other) = (app.bank(), app.phone("olena"), app.phone("taras"));
    let prepared = phone.prepare(ask(&bank, "olena"), PIN);
    {
        let db = Connection::open(app.server.data.join("store.db")).unwrap();
        let changed = db.execute(
            "UPDATE signing_key SET wrapped = CAST(substr(wrapped, 1, 100) || x'00' || substr(wrapped, 102) AS BLOB)
             WHERE rowid = (SELECT min(rowid) FROM signing_key)",
            [],
        );
        assert_eq!(changed.unwrap(), 1);
    }
    let answer = app.device(&prepared);
    assert_eq!((answer.status, answer.code()), (500, ProblemCode::Internal), "{answer:?}");
    app.sign(&bank, &mut other, "taras");
    assert_eq!(app.device(&prepared).code(), ProblemCode::Internal);
    assert!(!app.server.log().contains("THE TOKEN DOES NOT WORK"));
}

#[test]
fn hsm_016_a_key_that_is_missing_is_named() {
    let mut app = Guarded::start("every");
    app.token.copy("early");
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    app.sign(&bank, &mut phone, "olena");
    app.rotate();
    app.server.terminate();
    app.server.wait();
    app.token.copy("late");
    app.token.put_back("early");
    let refused = app.server.refuses_to_start();
    assert!(refused.contains("signer kek 2") && refused.contains("missing"), "{refused}");
    app.token.put_back("late");
    app.server.restart();
    app.sign(&bank, &mut phone, "olena");
}

#[test]
fn hsm_017_a_key_that_may_be_read_out_of_the_token_is_not_used() {
    for mode in ["kek", "every"] {
        let mut app = Guarded::start(mode);
        app.server.terminate();
        app.server.wait();
        app.token.fault("readable");
        let refused = app.server.refuses_to_start();
        assert!(refused.contains("it can be read out of the token"), "{refused}");
        app.token.fault("");
        app.server.restart();
    }
}

#[test]
fn hsm_018_doctor_asks_the_token() {
    let app = Guarded::start("kek");
    let doctor = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signer-server"));
        command
            .arg("--config")
            .arg(&app.server.config)
            .args(["--json", "doctor"])
            .envs(app.token.environment());
        let told: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let findings = told["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["check"] == "hsm").unwrap();
        (found["level"].as_str().unwrap().to_owned(), found["found"].as_str().unwrap().to_owned())
    };
    let (level, found) = doctor();
    assert_eq!(level, "good", "{found}");
    app.token.fault("removed");
    let (level, found) = doctor();
    assert!(level == "bad" && found.contains("no token has the label"), "{found}");
    app.token.fault("");
    app.token.set_pin("not the pin");
    let before = app.token.logins();
    for _ in 0..3 {
        let (level, found) = doctor();
        assert!(level == "bad" && found.contains("refused the PIN"), "{found}");
    }
    assert_eq!(app.token.logins(), before + 1);
}

#[test]
fn hsm_020_a_retired_key_of_a_token_does_not_come_back() {
    for mode in ["kek", "every"] {
        let mut app = Guarded::start(mode);
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        let before: Option<Vec<u8>> =
            app.database().query_row("SELECT token_wrapped FROM kek", [], |row| row.get(0)).unwrap();
        assert_eq!(before.is_some(), mode == "kek");
        app.rotate();
        assert_eq!(app.admin("POST", "/keks/1/retire", None).status, 204);
        app.server.terminate();
        app.server.wait();
        // Who writes the database has what it said before.
        let db = Connection::open(app.server.data.join("store.db")).unwrap();
        let brought_back =
            db.execute("UPDATE kek SET state = 2, token_wrapped = ?1 WHERE generation = 1", [&before]);
        assert_eq!(brought_back.unwrap(), 1);
        let refused = app.server.refuses_to_start();
        assert!(refused.contains("was retired") && refused.contains("kek.retired"), "{refused}");
        // After a restore an operator says that it is right.
        fs::remove_file(app.server.data.join("kek.retired")).unwrap();
        app.server.restart();
        app.sign(&bank, &mut phone, "olena");
    }
}
