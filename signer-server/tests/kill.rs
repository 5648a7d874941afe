//! SIGKILL at random moments, again and again, while phones sign, mistype, change their PINs and shops check codes.
//!
//! What was answered must hold: each worker remembers the answers it got and looks for them again. What was not answered is
//! sent again, byte for byte, and must complete. `SIGNER_KILLS` sets the number of kills (200; on PostgreSQL an eighth of it).

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(dead_code, reason = "the support module is shared with the other binary")]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_client::{
    ClientError, HistoryLine, Phone, ShowSession, Showing, desk::SystemClock, verify_result,
};
use signer_core::{
    credential::{Colour, DocumentType, Reason, VerificationResult},
    history::{Act, Entry},
    ids::{DeviceId, RequestId},
    pin::Pin,
    suite::SuiteId,
    wire::{
        CreatedEnrolmentCode, CreatedRelyingParty, CreatedRequest, Evaluated, Problem, ProblemCode,
        RequestStatus, RequestView, SignedResult, Verification,
    },
};

use tokio_postgres::config::TargetSessionAttrs;

#[cfg(unix)]
use support::cluster::Cluster;
use support::{
    http::{Answer, Client},
    phone::{Fault, MemoryStorage, TestPhone, network},
    postgres::block_on,
    process::Process,
};

const PIN: &str = "730194";
const WRONG: &str = "730149";
const OTHER: &str = "582907";

/// Ten tries a level and eleven levels, locked for no time: 110 wrong PINs, exactly counted, and after the first success
/// none is forgotten.
const SETTINGS: &str = r#"
log = "warn"
group_window_ms = 2
insecure = true
[lock_policy]
tries = 10
lock_seconds = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
step_down_seconds = 1000000000
"#;
/// Wrong PINs after which a worker takes a new phone.
const TRIES_MAX: u64 = 80;

/// What all workers share.
struct World {
    /// One of each node.
    urls: Vec<String>,
    admin: String,
    folder: PathBuf,
    logs: Vec<PathBuf>,
    kept: Kept,
    stop: AtomicBool,
    serial: AtomicU64,
    enrolments: AtomicU64,
    counts: Mutex<Counts>,
}

/// Where the nodes keep what is durable.
enum Kept {
    File(PathBuf),
    /// Where the database is, and the logs of its servers.
    Postgres(String, Vec<PathBuf>),
}

#[derive(Debug, Default)]
struct Counts {
    signed: u64,
    wrong: u64,
    verified: u64,
    enrolled: BTreeMap<&'static str, u64>,
    changed: u64,
    resent: u64,
    looked_again: u64,
}

impl World {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Acts of the kind of which there were fewest.
    fn done(&self) -> u64 {
        let counts = self.counts.lock().unwrap();
        counts.signed.min(counts.wrong * 2).min(counts.verified)
    }

    /// A client of one node, the nodes by turns.
    fn client(&self) -> Client {
        let next = usize::try_from(self.serial.fetch_add(1, Ordering::Relaxed)).unwrap();
        Client::new(&self.urls[next % self.urls.len()])
    }

    /// A phone whose messages go to the nodes by turns.
    fn phone(&self, keystore: &Path, storage: MemoryStorage) -> TestPhone {
        let networks = self.urls.iter().map(|url| *network(url)).collect();
        TestPhone::open_over(networks, keystore, storage, SystemClock)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap());
    }

    /// The last lines of what the servers, and their database, wrote to their logs.
    fn tails(&self) -> String {
        let tail = |log: &PathBuf| {
            let text = std::fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            format!("\n{}:\n{}", log.display(), lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        self.logs.iter().map(tail).collect()
    }

    fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends the same bytes until they are answered: the server may be dead, dying or busy with what died.
    fn insist(&self, client: &Client, send: impl Fn(&Client) -> Result<Answer, ureq::Error>) -> Answer {
        let mut first = true;
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let last = match send(client) {
                Ok(answer) => {
                    let again = [
                        ProblemCode::Busy,
                        ProblemCode::Internal,
                        ProblemCode::Overloaded,
                        ProblemCode::Timeout,
                    ];
                    match serde_json::from_slice::<Problem>(&answer.body) {
                        Ok(problem) if again.contains(&problem.code) => {
                            format!("{} {}", answer.status, problem.code.code())
                        }
                        _ => return answer,
                    }
                }
                Err(error) => error.to_string(),
            };
            assert!(
                Instant::now() < end,
                "{}: no answer in two minutes; {last}{}",
                client.base,
                self.tails()
            );
            if std::mem::take(&mut first) {
                self.count(|counts| counts.resent += 1);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn json(
        &self,
        client: &Client,
        method: &str,
        path: &str,
        token: &str,
        body: Option<serde_json::Value>,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let bytes = body.map(|body| serde_json::to_vec(&body).unwrap()).unwrap_or_default();
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.insist(client, |client| client.try_send(method, path, &headers, &bytes))
    }

    fn relying_party(&self, client: &Client, may_ask: bool) -> String {
        let body = serde_json::json!({ "name": "Party", "may_ask": may_ask, "may_verify": !may_ask });
        self.json(client, "POST", "/admin/v1/relying-parties", &self.admin, Some(body))
            .json::<CreatedRelyingParty>()
            .token
    }

    /// A phone, enrolled whatever happens meanwhile; with the suites by turns.
    fn enrol(&self, client: &Client, person: &str) -> TestPhone {
        let keystore = self.folder.join(self.unique("keystore"));
        let mut phone = self.phone(&keystore, MemoryStorage::default());
        let body = serde_json::json!({ "person": person });
        let path = "/admin/v1/enrolment-codes";
        let code =
            self.json(client, "POST", path, &self.admin, Some(body)).json::<CreatedEnrolmentCode>().code;
        let pin = Pin::new(PIN).unwrap();
        let suite =
            SuiteId::ALL[usize::try_from(self.enrolments.fetch_add(1, Ordering::Relaxed) % 2).unwrap()];
        self.until_ok("enrol", || phone.phone.enrol(suite, &code, &pin));
        self.count(|counts| *counts.enrolled.entry(suite.name()).or_default() += 1);
        phone
    }

    /// Repeats what may fail because the server died; any other failure is the test's.
    fn until_ok<T>(&self, what: &str, mut act: impl FnMut() -> Result<T, ClientError>) -> T {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let last = match act() {
                Ok(value) => return value,
                Err(error @ (ClientError::Transport(_) | ClientError::OutcomeUnknown(_))) => error,
                Err(ClientError::Problem(problem))
                    if matches!(
                        problem.code,
                        ProblemCode::CeremonyUnknown
                            | ProblemCode::Busy
                            | ProblemCode::Internal
                            | ProblemCode::Overloaded
                    ) =>
                {
                    ClientError::Problem(problem)
                }
                Err(error) => panic!("{what}: {error:?}"),
            };
            assert!(Instant::now() < end, "{what}: no answer in two minutes; {last:?}{}", self.tails());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Wrong PINs of a device as they are in the file: at least what was answered, whether the server lives or not.
    fn counted(&self, phone: &Phone) -> u64 {
        let device = phone.enrolled().unwrap().device;
        loop {
            match self.kept.counted(device) {
                Some(counted) => return u64::try_from(counted).unwrap(),
                // Between death and recovery the file cannot be opened for reading only, and the database is away.
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Kept {
    fn logs(&self) -> Vec<PathBuf> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Postgres(_, logs) => logs.clone(),
        }
    }

    fn counted(&self, device: DeviceId) -> Option<i64> {
        match self {
            Self::File(path) => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                let db = rusqlite::Connection::open_with_flags(path, flags).ok()?;
                let sql = "SELECT level * 10 + wrong FROM installation WHERE device = ?1";
                db.query_row(sql, [device.as_bytes()], |row| row.get(0)).ok()
            }
            Self::Postgres(url, _) => {
                let sql = "SELECT (level * 10 + wrong)::bigint FROM installation WHERE device = $1";
                block_on(async {
                    let mut config: tokio_postgres::Config = url.parse().ok()?;
                    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
                    let (client, connection) = config.connect(tokio_postgres::NoTls).await.ok()?;
                    let connection = tokio::spawn(connection);
                    let row = client.query_one(sql, &[&device.as_bytes().as_slice()]).await;
                    connection.abort();
                    row.ok()?.try_get(0).ok()
                })
            }
        }
    }
}

/// A phone that signs, with the right PIN and with wrong ones, and its bank.
struct Signer<'a> {
    world: &'a World,
    client: Client,
    bank: String,
    person: String,
    phone: TestPhone,
    /// Wrong PINs answered: exactly so many must be counted.
    wrong: u64,
    signed: Vec<(RequestId, SignedResult)>,
    answered: Vec<(Vec<u8>, Vec<u8>)>,
    /// Answers this phone got, in order: whether each was a signature. Its history must tell exactly these.
    acts: Vec<bool>,
}

impl<'a> Signer<'a> {
    fn new(world: &'a World, person: String) -> Self {
        let client = world.client();
        let bank = world.relying_party(&client, true);
        let phone = world.enrol(&client, &person);
        let mut signer = Self {
            world,
            client,
            bank,
            person,
            phone,
            wrong: 0,
            signed: Vec::new(),
            answered: Vec::new(),
            acts: Vec::new(),
        };
        signer.begin();
        signer
    }

    /// The first success forgets the wrong PINs before it, once: after that, all are remembered.
    fn begin(&mut self) {
        self.attempt(WRONG);
        self.attempt(PIN);
        self.wrong = 0;
        assert_eq!(self.world.counted(&self.phone.phone), 0);
    }

    fn work(&mut self) {
        let mut n = self.world.serial.load(Ordering::Relaxed);
        while !self.world.stopped() {
            n += 1;
            self.attempt(if n.is_multiple_of(3) { WRONG } else { PIN });
            assert_eq!(self.world.counted(&self.phone.phone), self.wrong, "wrong PINs answered and counted");
            if n.is_multiple_of(4) {
                self.look_again();
            }
            if self.wrong >= TRIES_MAX {
                self.look_again();
                self.phone = self.world.enrol(&self.client, &self.person);
                (self.wrong, self.answered, self.acts) = (0, Vec::new(), Vec::new());
                self.begin();
            }
        }
        self.look_again();
    }

    fn attempt(&mut self, pin: &str) {
        let (id, body) = self.prepare(pin);
        let reply = self.world.insist(&self.client, |client| {
            client.try_send("POST", "/device/v1/approve", &[("content-type", "application/cbor")], &body)
        });
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        match reply.cbor::<Evaluated>() {
            Evaluated::Signed { signatures, .. } if pin == PIN => {
                // The bank has it, the same, now and ever after.
                let view = self.view(id);
                assert_eq!(view.status, RequestStatus::Signed);
                let result = view.result.unwrap();
                let decoded = BASE64_STANDARD.decode(&result.signatures[0].signature).unwrap();
                assert_eq!(decoded, signatures.as_slice()[0].as_slice());
                verify_result(&result).unwrap();
                self.signed.push((id, result));
                self.world.count(|counts| counts.signed += 1);
            }
            Evaluated::WrongPin { .. } if pin == WRONG => {
                self.wrong += 1;
                let path = format!("/v1/requests/{id}");
                let cancelled = self.world.json(&self.client, "DELETE", &path, &self.bank, None);
                assert_eq!(cancelled.status, 204);
                self.world.count(|counts| counts.wrong += 1);
            }
            other => panic!("{pin} gave {other:?}"),
        }
        self.acts.push(pin == PIN);
        // The phone learns what became of it, as after a lost answer.
        self.world.until_ok("resume", || self.phone.phone.resume());
        self.answered.push((body, reply.body));
    }

    /// A request, fetched and approved up to the moment of sending.
    fn prepare(&mut self, pin: &str) -> (RequestId, Vec<u8>) {
        let body = serde_json::json!({
            "person": self.person,
            "text": "Please sign.",
            "documents": [{ "name": "document", "sha256": BASE64_STANDARD.encode([7; 32]) }],
        });
        let key = self.world.unique("request");
        let bearer = format!("Bearer {}", self.bank);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key.as_str()),
        ];
        let bytes = serde_json::to_vec(&body).unwrap();
        let made = self
            .world
            .insist(&self.client, |client| client.try_send("POST", "/v1/requests", &headers, &bytes));
        let id = made.json::<CreatedRequest>().id;
        let listed = self.world.until_ok("requests", || self.phone.phone.requests());
        assert_eq!(listed.len(), 1, "the idempotency key made one request");
        let listed = listed.into_iter().find(|listed| listed.request == id).unwrap();
        loop {
            let shown = self.world.until_ok("fetch", || self.phone.phone.fetch(listed.clone()));
            self.phone.wire.fail("approve", Fault::LoseRequest);
            match self.phone.phone.approve(shown, &Pin::entered(pin).unwrap()) {
                Err(ClientError::OutcomeUnknown(_)) => break,
                // An undecided key makes the phone ask for its status first.
                Err(error) if away(&error) => self.phone.wire.mend(),
                held => panic!("{held:?}"),
            }
        }
        let body = self.phone.wire.last("approve").body;
        self.phone.wire.forget();
        (id, body)
    }

    fn view(&self, id: RequestId) -> RequestView {
        self.world.json(&self.client, "GET", &format!("/v1/requests/{id}"), &self.bank, None).json()
    }

    /// What was answered, asked for again.
    fn look_again(&mut self) {
        let history = self.world.until_ok("history", || self.phone.phone.history(64));
        assert_eq!(history.fault, None);
        let told = history.lines.iter().map(|line| match line {
            HistoryLine::Told { entry: Some(Entry { act, .. }), .. } => matches!(act, Act::Signed { .. }),
            other => panic!("{other:?}"),
        });
        let acts = &self.acts[self.acts.len().saturating_sub(64)..];
        assert_eq!(told.collect::<Vec<_>>(), acts, "what was answered is told, and nothing else");
        self.signed.drain(..self.signed.len().saturating_sub(4));
        self.answered.drain(..self.answered.len().saturating_sub(4));
        for (id, result) in self.signed.iter().rev() {
            assert_eq!(self.view(*id).result.as_ref(), Some(result));
        }
        for (body, reply) in self.answered.iter().rev() {
            let again = self.world.insist(&self.client, |client| {
                client.try_send("POST", "/device/v1/approve", &[("content-type", "application/cbor")], body)
            });
            assert_eq!(&again.body, reply, "the same payload has the same answer");
        }
        self.world.count(|counts| counts.looked_again += 1);
    }
}

/// Whether a server, or its database, is dead or dying.
fn away(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(_) => true,
        ClientError::Problem(problem) => {
            matches!(problem.code, ProblemCode::Overloaded | ProblemCode::Internal)
        }
        _ => false,
    }
}

/// A phone that shows codes and a shop that checks them.
fn show_and_verify(world: &World, person: &str) {
    let client = world.client();
    let shop = world.relying_party(&client, false);
    let mut phone = world.enrol(&client, person);
    let mut session: Option<ShowSession> = None;
    let mut used: Vec<String> = Vec::new();
    let verify = |text: &str, id: &str| -> VerificationResult {
        let body = serde_json::json!({ "code": text, "request_id": id });
        let answer = world.json(&client, "POST", "/v1/verifications", &shop, Some(body));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json::<Verification>().result
    };
    while !world.stopped() {
        let Some(show) = &mut session else {
            // Fresh credentials for every show: the old ones may have used up their turns of this step.
            if phone.phone.stock(DocumentType::IdentityCard).age == 0 {
                world.until_ok("top_up", || phone.phone.top_up(DocumentType::IdentityCard));
            }
            session = Some(phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap());
            continue;
        };
        let Ok(code) = phone.phone.code(show) else {
            session = None;
            continue;
        };
        let (text, id) = (code.presentation.as_str().to_owned(), world.unique("verification"));
        let began = Instant::now();
        let result = verify(&text, &id);
        // Sent until answered, the answer is the first use, unless its minute or the code's time ran out meanwhile.
        let slow = began.elapsed() > Duration::from_secs(55) || result.reason == Reason::Clock;
        assert!(result.result == Colour::Green || slow, "{result:?}");
        if result.result == Colour::Green {
            used.push(text);
            world.count(|counts| counts.verified += 1);
        }
        // Used codes stay used.
        used.drain(..used.len().saturating_sub(3));
        for text in &used {
            let again = verify(text, &world.unique("verification"));
            let gone = [Reason::Used, Reason::Superseded, Reason::Clock];
            assert!(gone.contains(&again.reason), "{again:?}");
        }
        phone.wire.forget();
        match phone.phone.poll(show) {
            Ok(true) => {}
            // All turns of this step are used up, or the server is dead.
            Ok(false) | Err(ClientError::State(_)) => session = None,
            Err(error) if away(&error) => {
                let polled = world.until_ok("poll", || match phone.phone.poll(show) {
                    Err(ClientError::State(_)) => Ok(false),
                    other => other,
                });
                if !polled {
                    session = None;
                }
            }
            Err(error) => panic!("poll: {error:?}"),
        }
    }
}

/// A phone whose holder changes the PIN all the time: one pair of shares always works.
fn change_pin(world: &World, person: &str) {
    let mut signer = Signer::new(world, person.to_owned());
    let pins = [PIN, OTHER];
    let pin_of =
        |phone: &Phone| pins[usize::try_from(phone.enrolled().unwrap().context.epoch.0 % 2).unwrap()];
    while !world.stopped() {
        let old = pin_of(&signer.phone.phone);
        let new = if old == PIN { OTHER } else { PIN };
        match signer.phone.phone.change_pin(&Pin::entered(old).unwrap(), &Pin::new(new).unwrap()) {
            Ok(_) => world.count(|counts| counts.changed += 1),
            Err(ClientError::Transport(_) | ClientError::Problem(_)) => {}
            Err(error) => panic!("change: {error:?}"),
        }
        // The app is killed too.
        let TestPhone { phone, storage, keystore, .. } = signer.phone;
        drop(phone);
        signer.phone = world.phone(&keystore, storage);
        world.until_ok("status", || signer.phone.phone.status());
        let (id, body) = signer.prepare(pin_of(&signer.phone.phone));
        let reply = world.insist(&signer.client, |client| {
            client.try_send("POST", "/device/v1/approve", &[("content-type", "application/cbor")], &body)
        });
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        assert!(matches!(reply.cbor(), Evaluated::Signed { .. }), "the living share signs");
        assert_eq!(signer.view(id).status, RequestStatus::Signed);
        world.until_ok("resume", || signer.phone.phone.resume());
        // A proof that died in evaluation stays counted.
        if world.counted(&signer.phone.phone) > TRIES_MAX {
            signer.phone = world.enrol(&signer.client, &signer.person);
        }
    }
}

fn kills() -> u64 {
    std::env::var("SIGNER_KILLS").ok().map_or(200, |kills| kills.parse().unwrap())
}

#[test]
fn app_050_what_was_answered_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let register = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/register.json");
    let settings = format!("register_file = {register:?}\n{SETTINGS}");
    let server = Process::start(folder.path(), &settings);
    let kept = Kept::File(server.data.join("store.db"));
    survive(folder.path(), vec![server], kept, None, kills());
}

/// Two nodes on one PostgreSQL: each kill is that of a node or, as often, of the database.
#[cfg(unix)]
#[test]
fn sto_168_what_was_answered_survives_the_death_of_nodes_and_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::create();
    let servers = two_nodes(folder.path(), &cluster.url());
    let kept = Kept::Postgres(cluster.url(), vec![cluster.log()]);
    let mut crash = || {
        cluster.stop();
        cluster.start();
    };
    survive(folder.path(), servers, kept, Some(&mut crash), kills() / 8);
}

/// Two nodes on a primary and its synchronous standby: by turns a node is killed, and the primary, whose standby takes its place.
/// `SIGNER_FAILOVERS` sets how often (2).
#[cfg(unix)]
#[test]
fn sto_205_what_was_answered_survives_the_death_of_the_primary_of_a_synchronous_pair() {
    let folder = tempfile::tempdir().unwrap();
    let mut primary = Cluster::create();
    primary.wait_for_standbys();
    let mut standby = primary.standby();
    primary.in_step();
    let url = primary.url_of_pair(&standby);
    let servers = two_nodes(folder.path(), &url);
    let kept = Kept::Postgres(url, vec![primary.log(), standby.log()]);
    let mut failovers = 0;
    let mut fail_over = || {
        primary.stop();
        standby.promote();
        primary.follow(&standby);
        standby.in_step();
        std::mem::swap(&mut primary, &mut standby);
        failovers += 1;
    };
    let wanted = std::env::var("SIGNER_FAILOVERS").ok().map_or(2, |wanted| wanted.parse().unwrap());
    survive(folder.path(), servers, kept, Some(&mut fail_over), wanted * 2);
    assert_eq!(failovers, wanted);
    let rows = primary.rows("SELECT timeline, synchronous FROM meta");
    let (timeline, synchronous): (i64, i16) = (rows[0].get(0), rows[0].get(1));
    assert_eq!((u64::try_from(timeline).unwrap(), synchronous), (1 + wanted, 1));
    println!("{failovers} fail-overs, the last to timeline {timeline}");
}

/// Two nodes with the same keys on one database.
#[cfg(unix)]
fn two_nodes(folder: &Path, url: &str) -> Vec<Process> {
    let register = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/register.json");
    let settings = format!(
        "register_file = {register:?}\n{SETTINGS}\n[store]\nurl = {url:?}\n[ca]\npublic_url = \"http://ca.example\""
    );
    let (first, second) = (folder.join("one"), folder.join("two"));
    std::fs::create_dir_all(&first).unwrap();
    std::fs::create_dir_all(second.join("data")).unwrap();
    let one = Process::start(&first, &settings);
    // It listens before it has made everything.
    let client = Client::new(one.url());
    while !client.try_send("GET", "/health/ready", &[], &[]).is_ok_and(|answer| answer.status == 200) {
        std::thread::sleep(Duration::from_millis(20));
    }
    for file in ["kek", "admin-token", "trust-root"] {
        std::fs::copy(first.join("data").join(file), second.join("data").join(file)).unwrap();
    }
    let two = Process::start(&second, &settings);
    vec![one, two]
}

/// Kills servers, and what keeps their store, while phones and shops are at work.
fn survive(
    folder: &Path,
    mut servers: Vec<Process>,
    kept: Kept,
    mut crash: Option<&mut dyn FnMut()>,
    kills: u64,
) {
    let world = World {
        urls: servers.iter().map(Process::url).collect(),
        admin: servers[0].admin_token(),
        folder: folder.to_owned(),
        logs: servers.iter().map(|server| server.log.clone()).chain(kept.logs()).collect(),
        kept,
        stop: AtomicBool::new(false),
        serial: AtomicU64::new(0),
        enrolments: AtomicU64::new(0),
        counts: Mutex::default(),
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        let world = &world;
        let workers = [
            scope.spawn(|| Signer::new(world, "signer-1".into()).work()),
            scope.spawn(|| Signer::new(world, "signer-2".into()).work()),
            scope.spawn(|| Signer::new(world, "signer-3".into()).work()),
            scope.spawn(|| show_and_verify(world, "olena")),
            scope.spawn(|| show_and_verify(world, "taras")),
            scope.spawn(|| change_pin(world, "changer")),
        ];
        // A generator in one line: which moments are hit is chance anyway.
        let mut random = u64::from(std::process::id());
        // A machine on which too little is done between two kills gets longer.
        let mut longer = 0_u32;
        for kill in 0..kills {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pause = Duration::from_millis(100 + (random >> 33) % 500);
            std::thread::sleep(pause * (1 + longer.min(20)));
            servers.iter_mut().for_each(supervise);
            longer = if world.done() * 3 > kill { longer.saturating_sub(1) } else { longer + 1 };
            let turn = usize::try_from(kill).unwrap();
            match &mut crash {
                Some(crash) if turn.is_multiple_of(2) => crash(),
                _ => {
                    let victim = turn / 2 % servers.len();
                    servers[victim].kill();
                    servers[victim].restart();
                }
            }
            if workers.iter().any(|worker| worker.is_finished()) {
                println!("a worker failed after {} kills", kill + 1);
                break;
            }
            if (kill + 1).is_multiple_of(100) {
                println!("{} of {kills} kills in {:.0} s", kill + 1, began.elapsed().as_secs_f64());
            }
        }
        world.stop.store(true, Ordering::Relaxed);
        while !workers.iter().all(|worker| worker.is_finished()) {
            servers.iter_mut().for_each(supervise);
            std::thread::sleep(Duration::from_millis(50));
        }
        for worker in workers {
            worker.join().unwrap();
        }
    });
    verify_log(&servers[0], &world.folder);
    let counts = world.counts.into_inner().unwrap();
    println!("{kills} kills in {:.0} s: {counts:?}", began.elapsed().as_secs_f64());
    assert!(
        counts.signed > kills / 4 && counts.wrong > kills / 8 && counts.verified > kills / 4,
        "{counts:?}"
    );
    assert!(SuiteId::ALL.iter().all(|suite| counts.enrolled.contains_key(suite.name())), "{counts:?}");
    for mut server in servers {
        server.terminate();
        assert!(server.wait().success());
    }
}

/// Starts a node again that ended because its database died while it started, as whatever runs it does. It says why it ended;
/// one that was at work does not.
fn supervise(server: &mut Process) {
    let Some(status) = server.ended() else { return };
    let log = server.log();
    let said = log.lines().last().unwrap_or_default();
    assert!(status.code() == Some(1) && said.starts_with("signer-server: "), "{status}: {said}");
    println!("a node did not start: {said}");
    server.restart();
}

/// The audit log is whole: every entry after the one before, under a checkpoint.
fn verify_log(server: &Process, folder: &Path) {
    let file = folder.join("log.jsonl").display().to_string();
    let run = |arguments: &[&str]| {
        let mut signer = Command::new(env!("CARGO_BIN_EXE_signer-server"));
        let done = signer.arg("--config").arg(&server.config).args(arguments).output().unwrap();
        let (said, log) = (String::from_utf8_lossy(&done.stderr), server.log());
        assert!(done.status.success(), "{arguments:?}: {said}\n{}", &log[log.len().saturating_sub(2000)..]);
        String::from_utf8(done.stdout).unwrap()
    };
    let key = run(&["audit", "key"]);
    run(&["audit", "export", &file]);
    run(&["audit", "verify", &file, "--log-key", key.trim()]);
}
