//! [`TestApp`]: a server in this process, on a folder and a clock of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use signer_client::RelyingParty;
use signer_core::{
    ids::RequestId,
    pin::Pin,
    suite::SuiteId,
    wire::{
        CreateRequest, CreatedEnrolmentCode, CreatedRelyingParty, DeviceStatus, DocumentDigest, Problem,
        ProblemCode,
    },
};
use signer_server::{
    app::App,
    config::{AuditConfig, Config, LimitsConfig},
    ports::SystemRandom,
    service::Service,
    store::LockPolicy,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{
    support::{
        clock::{T0, TestClock},
        http::{Answer, Client},
        phone::{MemoryStorage, SUITE, TestPhone, network},
        postgres::Database,
    },
    vault::Vault,
};

pub(crate) const PIN: &str = "730194";
pub(crate) const WRONG: &str = "730149";

/// Tries without end, for tests that count and do not want to be locked out.
pub(crate) fn patient() -> LockPolicy {
    LockPolicy { tries: 10, lock_seconds: vec![0; 10], step_down_seconds: 1 << 40 }
}

/// Wrong PINs counted so far under [`patient`], by what the device is told: only good below ten.
pub(crate) fn counted(status: &DeviceStatus) -> u8 {
    10 - status.attempts.left
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// A running server. Stopped when dropped.
pub(crate) struct TestApp {
    pub(crate) http: Client,
    pub(crate) clock: TestClock,
    pub(crate) config: Config,
    /// The suite its phones enrol with.
    pub(crate) suite: SuiteId,
    running: Option<Running>,
    /// The database its store is in, if that is not a file.
    postgres: Option<Arc<Database>>,
    /// Weak, so that a stopped server lets go of its store.
    service: Weak<Service>,
    folder: Arc<TempDir>,
    made: AtomicUsize,
}

impl TestApp {
    pub(crate) fn spawn() -> Self {
        Self::spawn_with(|_| {})
    }

    pub(crate) fn spawn_with(change: impl FnOnce(&mut Config)) -> Self {
        // For a run by hand: every test on PostgreSQL. Those that look into the file fail.
        let everywhere = std::env::var("SIGNER_TEST_STORE").is_ok_and(|engine| engine == "postgres");
        Self::spawn_in(everywhere.then(|| Arc::new(Database::create())), TestClock::at(T0), change)
    }

    /// A server whose store is in PostgreSQL.
    pub(crate) fn spawn_on_postgres() -> Self {
        Self::spawn_in(Some(Arc::new(Database::create())), TestClock::at(T0), |_| {})
    }

    /// Another node on the same database and clock, with the same keys.
    pub(crate) fn beside(&self) -> Self {
        let keys = &self.config.data_dir;
        Self::spawn_in(self.postgres.clone(), self.clock.clone(), |config| {
            std::fs::create_dir(&config.data_dir).unwrap();
            for file in ["kek", "admin-token", "trust-root"] {
                std::fs::copy(keys.join(file), config.data_dir.join(file)).unwrap();
            }
            config.ca.public_url = Some(self.url().to_owned());
        })
    }

    fn spawn_in(postgres: Option<Arc<Database>>, clock: TestClock, change: impl FnOnce(&mut Config)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: folder.path().join("data"),
            witness_dir: Some(folder.path().join("witness")),
            register_file: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/register.json").into()),
            group_window_ms: 2,
            limits: LimitsConfig::wide(),
            // Only when asked for: nothing is written that no test caused.
            audit: AuditConfig { checkpoint_seconds: 86_400 },
            ..Config::default()
        };
        config.store.url = postgres.as_deref().map(Database::url);
        change(&mut config);
        let mut app = Self {
            http: Client::new(""),
            clock,
            config,
            suite: SUITE,
            running: None,
            service: Weak::new(),
            postgres,
            folder,
            made: AtomicUsize::new(0),
        };
        app.start().unwrap();
        app
    }

    /// A server whose wrong PINs do not lock, for phones of this suite.
    pub(crate) fn spawn_patient(suite: SuiteId) -> Self {
        let mut app = Self::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
        app.suite = suite;
        app
    }

    /// Starts the stopped server on its folder and address; the error is what an operator would read.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        assert!(self.running.is_none());
        let (config, clock) = (self.config.clone(), self.clock.clone());
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                match App::start_with(config, Arc::new(clock), Arc::new(SystemRandom)).await {
                    Ok(app) => {
                        let addresses = (app.address().unwrap(), app.metrics_address().unwrap());
                        tell.send(Ok((addresses, Arc::downgrade(&app.service())))).unwrap();
                        app.run(async {
                            let _stop_or_gone = stopped.await;
                        })
                        .await;
                    }
                    Err(error) => tell.send(Err(error.to_string())).unwrap(),
                }
            });
        });
        let ((address, metrics), service) = told.recv().unwrap()?;
        self.config.metrics.listen = metrics;
        self.service = service;
        self.config.listen = address;
        self.http = Client::new(format!("http://{address}"));
        self.running = Some(Running { stop, thread });
        Ok(())
    }

    /// Stops it; what was accepted is durable then.
    pub(crate) fn stop(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            let _gone_already = stop.send(());
            thread.join().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start().unwrap();
    }

    pub(crate) fn service(&self) -> Arc<Service> {
        self.service.upgrade().unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.http.base
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.config.data_dir.join("store.db")
    }

    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    // The operator.

    pub(crate) fn admin_token(&self) -> String {
        std::fs::read_to_string(self.config.data_dir.join("admin-token")).unwrap()
    }

    pub(crate) fn admin(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Answer {
        self.http.json(method, &format!("/admin/v1{path}"), &self.admin_token(), body)
    }

    pub(crate) fn enrolment_code(&self, person: &str) -> String {
        let answer = self.admin("POST", "/enrolment-codes", Some(&serde_json::json!({ "person": person })));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json::<CreatedEnrolmentCode>().code
    }

    pub(crate) fn relying_party(&self, name: &str, may_ask: bool, may_verify: bool) -> CreatedRelyingParty {
        let body = serde_json::json!({ "name": name, "may_ask": may_ask, "may_verify": may_verify });
        let answer = self.admin("POST", "/relying-parties", Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    pub(crate) fn bank(&self) -> RelyingParty {
        RelyingParty::new(network(self.url()), self.relying_party("Bank of Examples", true, false).token)
    }

    pub(crate) fn shop(&self) -> RelyingParty {
        RelyingParty::new(network(self.url()), self.relying_party("Corner Shop", false, true).token)
    }

    // Phones.

    /// A phone that is not enrolled, on the server's clock.
    pub(crate) fn blank_phone(&self) -> TestPhone {
        self.blank_phone_on(&self.clock)
    }

    /// A phone that is not enrolled and whose messages go to this node and to `other` by turns.
    pub(crate) fn blank_phone_between(&self, other: &Self) -> TestPhone {
        let keystore = self.folder().join(self.unique("keystore"));
        let servers = vec![*network(self.url()), *network(other.url())];
        TestPhone::open_over(servers, &keystore, MemoryStorage::default(), self.clock.clone())
    }

    pub(crate) fn blank_phone_on(&self, clock: &TestClock) -> TestPhone {
        let keystore = self.folder().join(self.unique("keystore"));
        TestPhone::open(self.url(), &keystore, MemoryStorage::default(), clock.clone())
    }

    /// A phone enrolled for `person` under [`PIN`].
    pub(crate) fn phone(&self, person: &str) -> TestPhone {
        self.phone_on(person, &self.clock)
    }

    pub(crate) fn phone_on(&self, person: &str, clock: &TestClock) -> TestPhone {
        let mut phone = self.blank_phone_on(clock);
        let code = self.enrolment_code(person);
        phone.phone.enrol(self.suite, &code, &Pin::new(PIN).unwrap()).unwrap();
        phone
    }

    /// The same storage and keystore in another hand, or after a restart of the app on the phone.
    pub(crate) fn copy(&self, phone: &TestPhone) -> TestPhone {
        let keystore = self.folder().join(self.unique("keystore"));
        std::fs::copy(&phone.keystore, &keystore).unwrap();
        let storage = MemoryStorage::of(phone.storage.image());
        TestPhone::open(self.url(), &keystore, storage, self.clock.clone())
    }

    /// The app on the phone is killed and opened again.
    pub(crate) fn reopen(&self, phone: TestPhone) -> TestPhone {
        let (keystore, storage) = (phone.keystore, phone.storage);
        drop(phone.phone);
        TestPhone::open(self.url(), &keystore, storage, self.clock.clone())
    }

    /// Posts bytes to a device operation as they are.
    pub(crate) fn device(&self, operation: &str, bytes: &[u8]) -> Answer {
        self.http.cbor(&format!("/device/v1/{operation}"), bytes)
    }

    /// What the server keeps wrapped.
    pub(crate) fn vault(&self) -> Vault {
        let kek = std::fs::read(self.config.data_dir.join("kek")).unwrap();
        Vault::open(&kek, self.read_only())
    }

    // Requests.

    pub(crate) fn ask(&self, bank: &RelyingParty, person: &str) -> RequestId {
        self.ask_many(bank, person, 1)
    }

    pub(crate) fn ask_many(&self, bank: &RelyingParty, person: &str, documents: u8) -> RequestId {
        let request = request(person, documents);
        bank.ask(&request, &self.unique("idempotency")).unwrap().id
    }

    // The store, seen from outside.

    pub(crate) fn read_only(&self) -> Connection {
        Connection::open_with_flags(self.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// Number of rows and a hash of every table, but for ceremonies under way: a message of one that fails ends it.
    pub(crate) fn dump(&self) -> Dump {
        let db = self.read_only();
        let mut names =
            db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'ceremony'").unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(names.len() >= 10, "{names:?}");
        names
            .into_iter()
            .map(|name| {
                let table = table(&db, &name);
                (name, table)
            })
            .collect()
    }
}

impl TestApp {
    /// [`TestApp::dump`] without the number of the transaction: for messages that end a ceremony, which is written.
    pub(crate) fn dump_of_acts(&self) -> Dump {
        let mut dump = self.dump();
        dump.remove("meta").unwrap();
        dump
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.running.take();
        } else {
            self.stop();
        }
    }
}

/// Tables by name.
pub(crate) type Dump = BTreeMap<String, (usize, [u8; 32])>;

fn table(db: &Connection, name: &str) -> (usize, [u8; 32]) {
    let mut hash = Sha256::new();
    let mut all = db.prepare(&format!("SELECT * FROM {name}")).unwrap();
    let columns = all.column_count();
    let mut rows = all.query([]).unwrap();
    let mut count = 0;
    while let Some(row) = rows.next().unwrap() {
        count += 1;
        for column in 0..columns {
            let value: rusqlite::types::Value = row.get(column).unwrap();
            hash.update(format!("{value:?};"));
        }
    }
    (count, hash.finalize().into())
}

pub(crate) fn request(person: &str, documents: u8) -> CreateRequest {
    let document = |n: u8| DocumentDigest {
        name: format!("document {n}"),
        sha256: BASE64_STANDARD.encode(Sha256::digest([n])),
    };
    CreateRequest {
        person: person.into(),
        text: "Please sign.".into(),
        documents: (0..documents).map(document).collect(),
        expires_in: Some(86_400),
        ..CreateRequest::default()
    }
}

/// The problem in a client's error.
pub(crate) fn problem<T: std::fmt::Debug>(result: Result<T, signer_client::ClientError>) -> Problem {
    match result {
        Err(signer_client::ClientError::Problem(problem)) => problem,
        other => panic!("expected a problem, got {other:?}"),
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, signer_client::ClientError>) -> ProblemCode {
    problem(result).code
}
