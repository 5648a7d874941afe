//! SIGKILL at random moments, again and again, while phones sign, mistype, change their PINs and shops check codes.
//!
//! What was answered must hold: each worker remembers the answers it got and looks for them again. What was not answered is
//! sent again, byte for byte, and must complete. `SIGNER_KILLS` sets the number of kills (100).

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(dead_code, reason = "the support module is shared with the other binary")]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
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
    ids::RequestId,
    pin::Pin,
    suite::SuiteId,
    wire::{
        CreatedEnrolmentCode, CreatedRelyingParty, CreatedRequest, Evaluated, Problem, ProblemCode,
        RequestStatus, RequestView, SignedResult, Verification,
    },
};

use support::{
    http::{Answer, Client},
    phone::{Fault, MemoryStorage, TestPhone},
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
    url: String,
    admin: String,
    folder: PathBuf,
    database: PathBuf,
    stop: AtomicBool,
    serial: AtomicU64,
    enrolments: AtomicU64,
    counts: Mutex<Counts>,
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

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap());
    }

    fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends the same bytes until they are answered: the server may be dead, dying or busy with what died.
    fn insist(&self, client: &Client, send: impl Fn(&Client) -> Result<Answer, ureq::Error>) -> Answer {
        let mut first = true;
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            assert!(Instant::now() < end, "no answer in two minutes");
            if let Ok(answer) = send(client) {
                let again =
                    [ProblemCode::Busy, ProblemCode::Internal, ProblemCode::Overloaded, ProblemCode::Timeout];
                let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
                if !problem.is_some_and(|problem| again.contains(&problem.code)) {
                    return answer;
                }
            }
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
        let mut phone = TestPhone::open(&self.url, &keystore, MemoryStorage::default(), SystemClock);
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
            match act() {
                Ok(value) => return value,
                Err(ClientError::Transport(_) | ClientError::OutcomeUnknown(_)) => {}
                Err(ClientError::Problem(problem))
                    if matches!(
                        problem.code,
                        ProblemCode::CeremonyUnknown | ProblemCode::Busy | ProblemCode::Internal
                    ) => {}
                Err(error) => panic!("{what}: {error:?}"),
            }
            assert!(Instant::now() < end, "{what}: no answer in two minutes");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Wrong PINs of a device as they are in the file: at least what was answered, whether the server lives or not.
    fn counted(&self, phone: &Phone) -> u64 {
        let device = phone.enrolled().unwrap().device;
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        loop {
            let db = rusqlite::Connection::open_with_flags(&self.database, flags);
            let sql = "SELECT level * 10 + wrong FROM installation WHERE device = ?1";
            let counted =
                db.and_then(|db| db.query_row(sql, [device.as_bytes()], |row| row.get::<_, i64>(0)));
            match counted {
                Ok(counted) => return u64::try_from(counted).unwrap(),
                // Between death and recovery the file cannot be opened for reading only.
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
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
        let client = Client::new(&world.url);
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
                Err(ClientError::Transport(_)) => self.phone.wire.mend(),
                held => panic!("{held:?}"),
            }
        }
        (id, self.phone.wire.last("approve").body)
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
        for (id, result) in self.signed.iter().rev().take(4) {
            assert_eq!(self.view(*id).result.as_ref(), Some(result));
        }
        for (body, reply) in self.answered.iter().rev().take(4) {
            let again = self.world.insist(&self.client, |client| {
                client.try_send("POST", "/device/v1/approve", &[("content-type", "application/cbor")], body)
            });
            assert_eq!(&again.body, reply, "the same payload has the same answer");
        }
        self.world.count(|counts| counts.looked_again += 1);
    }
}

/// A phone that shows codes and a shop that checks them.
fn show_and_verify(world: &World, person: &str) {
    let client = Client::new(&world.url);
    let shop = world.relying_party(&client, false);
    let mut phone = world.enrol(&client, person);
    let mut session: Option<ShowSession> = None;
    let mut used: Vec<(String, Instant)> = Vec::new();
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
            used.push((text, Instant::now()));
            world.count(|counts| counts.verified += 1);
        }
        // Used codes stay used.
        for (text, _) in used.iter().rev().take(3) {
            let again = verify(text, &world.unique("verification"));
            let gone = [Reason::Used, Reason::Superseded, Reason::Clock];
            assert!(gone.contains(&again.reason), "{again:?}");
        }
        match phone.phone.poll(show) {
            Ok(true) => {}
            // All turns of this step are used up, or the server is dead.
            Ok(false) | Err(ClientError::State(_)) => session = None,
            Err(ClientError::Transport(_)) => {
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
        signer.phone = TestPhone::open(&world.url, &keystore, storage, SystemClock);
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
    std::env::var("SIGNER_KILLS").ok().map_or(100, |kills| kills.parse().unwrap())
}

#[test]
fn app_050_what_was_answered_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let register = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/register.json");
    let settings = format!("register_file = {register:?}\n{SETTINGS}");
    let mut server = Process::start(folder.path(), &settings);
    let world = World {
        url: server.url(),
        admin: server.admin_token(),
        folder: folder.path().to_owned(),
        database: server.data.join("store.db"),
        stop: AtomicBool::new(false),
        serial: AtomicU64::new(0),
        enrolments: AtomicU64::new(0),
        counts: Mutex::default(),
    };
    let (began, kills) = (Instant::now(), kills());
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
            longer = if world.done() * 3 > kill { longer.saturating_sub(1) } else { longer + 1 };
            server.kill();
            server.restart();
            if workers.iter().any(|worker| worker.is_finished()) {
                println!("a worker failed after {} kills", kill + 1);
                break;
            }
        }
        world.stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let counts = world.counts.into_inner().unwrap();
    println!("{kills} kills in {:.0} s: {counts:?}", began.elapsed().as_secs_f64());
    assert!(
        counts.signed > kills / 4 && counts.wrong > kills / 8 && counts.verified > kills / 4,
        "{counts:?}"
    );
    assert!(SuiteId::ALL.iter().all(|suite| counts.enrolled.contains_key(suite.name())), "{counts:?}");
    server.terminate();
    assert!(server.wait().success());
}
