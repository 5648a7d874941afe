//! Registers over HTTP: the example register, and one that answers as a test says. Requirements: `spec/registers.md`.

#[path = "../../examples/register/api.rs"]
mod api;
#[path = "../../examples/register/events.rs"]
pub(crate) mod events;
#[path = "../../examples/register/fleet.rs"]
mod fleet;
#[path = "../../examples/register/people.rs"]
mod people;
#[path = "../../examples/register/portrait.rs"]
mod portrait;
#[path = "../../examples/register/records.rs"]
pub(crate) mod records;

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use signer_client::Showing;
use signer_core::{
    credential::{Colour, Document, DocumentRecord, DocumentType, Note, Reason},
    wire::{ProblemCode, Profile},
};
use signer_server::{
    config::RegisterConfig,
    ports::SystemRandom,
    registers::{HttpRegister, HttpSettings, Register, RegisterError},
    store::Holder,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use self::records::{Change, Records};
use crate::harness::{TestApp, code as problem_code};

const TOKEN: &str = "0123456789abcdef-token-of-a-test";

/// The example register in this process, on a port of its own that it keeps.
pub(crate) struct TestRegister {
    pub(crate) records: Records,
    pub(crate) address: SocketAddr,
    pub(crate) token_file: PathBuf,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: TempDir,
}

impl TestRegister {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(&folder.path().join("register.db")).unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, TOKEN).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut register = Self { records, address, token_file, running: None, _folder: folder };
        register.up();
        register
    }

    pub(crate) fn up(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let router = api::router(self.records.clone(), TOKEN);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                // Without waiting for idle connections: a register that goes down goes down.
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        self.running = Some((stop, thread));
    }

    pub(crate) fn down(&mut self) {
        let (stop, thread) = self.running.take().unwrap();
        let _gone_already = stop.send(());
        thread.join().unwrap();
    }

    pub(crate) fn app(&self) -> TestApp {
        app_with(self.address, &self.token_file)
    }
}

/// A server whose register is there.
pub(crate) fn app_with(register: SocketAddr, token_file: &Path) -> TestApp {
    TestApp::spawn_with(|config| {
        config.register_file = None;
        config.register = RegisterConfig {
            url: Some(format!("http://{register}")),
            token_file: Some(token_file.to_owned()),
            // A register that a test takes down stays down: no pause before that is told.
            retries: 0,
            ..RegisterConfig::default()
        };
    })
}

impl Drop for TestRegister {
    fn drop(&mut self) {
        if self.running.is_some() && !std::thread::panicking() {
            self.down();
        }
    }
}

/// A server that answers each request with the bytes a test says, and remembers what it was asked.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(crate) fn start(answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heads, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, heads, answer) = (stream.unwrap(), Arc::clone(&heads), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                        head.push(byte[0]);
                    }
                    let number = {
                        let mut heads = heads.lock().unwrap();
                        heads.push(String::from_utf8(head).unwrap());
                        heads.len() - 1
                    };
                    let bytes = answer(number);
                    if bytes.is_empty() {
                        // Accepted, and never answered: until the asker gives up.
                        let _ = stream.read(&mut byte);
                    }
                    let _ = stream.write_all(&bytes);
                });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn register(&self, folder: &Path, change: impl FnOnce(&mut HttpSettings)) -> HttpRegister {
        let token_file = folder.join("token");
        std::fs::write(&token_file, TOKEN).unwrap();
        let mut settings = HttpSettings {
            url: format!("http://{}/base", self.address),
            token_file,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            retries: 2,
            concurrency_max: 4,
        };
        change(&mut settings);
        HttpRegister::open(settings, Arc::new(SystemRandom)).unwrap()
    }
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(work)
}

/// Runs all at once.
async fn futures_all<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

fn ask(register: &HttpRegister, person: &str) -> Result<Option<DocumentRecord>, String> {
    let holder = Holder::new(person).unwrap();
    block(register.document(&holder, 1)).map_err(|RegisterError::NotReached(text)| text)
}

pub(crate) fn http(status: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn document() -> serde_json::Value {
    serde_json::json!({
        "document_type": "identity_card", "family": "Тестенко", "given": "Тест", "birth": "1990-01-02",
        "number": "0001", "expires": "2040-01-01", "rights": "",
    })
}

/// A document for whoever is asked about.
pub(crate) fn good() -> Vec<u8> {
    http("200 OK", "application/json", document().to_string().as_bytes())
}

#[test]
fn reg_001_claims_come_from_the_register_over_http() {
    let register = TestRegister::start();
    let app = register.app();
    let shop = app.shop();
    for (kind, name) in
        [(DocumentType::IdentityCard, "identity_card"), (DocumentType::DrivingLicence, "driving_licence")]
    {
        let mut phone = app.phone("olena");
        assert_eq!(phone.phone.top_up(kind).unwrap(), 16);
        let mut session = phone.phone.start_show(kind, Showing::to_whoever_scans(Profile::Full)).unwrap();
        let code = phone.phone.code(&mut session).unwrap();
        let result = shop.verify_code(code.presentation.as_str(), name).unwrap();
        assert_eq!(result.result, Colour::Green);
        let Some(Document::Full(full)) = result.claims else { panic!("{result:?}") };
        let record = register.records.document("olena", name).unwrap().unwrap();
        // The face goes into the credential as a digest.
        assert_eq!(full.portrait.is_some(), record.portrait.is_some());
        let of_record =
            (record.document_type, record.family, record.given, record.birth, record.number, record.rights);
        assert_eq!(
            (full.document_type, full.family, full.given, full.birth, full.number, full.rights),
            of_record
        );
    }
    // One person has one kind of document, and not the other.
    let mut phone = app.phone("taras");
    assert_eq!(problem_code(phone.phone.top_up(DocumentType::DrivingLicence)), ProblemCode::NoDocument);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
    let mut phone = app.phone("nobody-the-register-knows");
    assert_eq!(problem_code(phone.phone.top_up(DocumentType::IdentityCard)), ProblemCode::NoDocument);
}

#[test]
fn reg_001_the_example_register_has_thirty_people_and_some_portraits() {
    let register = TestRegister::start();
    let lines = register.records.list().unwrap();
    let people: BTreeSet<_> = lines.iter().map(|line| line.split("  ").next().unwrap()).collect();
    assert!(people.len() >= 30, "{}", people.len());
    assert!(lines.iter().filter(|line| line.contains("driving_licence")).count() >= 10);
    // Every record is one the server takes, and every name fits a code.
    let mut portraits = BTreeSet::new();
    for (person, family, ..) in people::PEOPLE {
        let record = register.records.document(person, "identity_card").unwrap().unwrap();
        assert_eq!(record.family.as_str(), family);
        if let Some(picture) = record.portrait {
            assert!(picture.as_bytes().len() < 4_000, "{person}");
            portraits.insert(picture.as_bytes().to_vec());
        }
    }
    assert!(portraits.len() >= 10, "{}", portraits.len());
    // What `spec/register.json` says of a person, the example says too.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/register.json");
    let file: std::collections::BTreeMap<String, Vec<serde_json::Value>> =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for (person, documents) in file {
        for document in documents {
            if let Some((organisation, reference)) = person.split_once('/') {
                let vehicle = register.records.vehicle(organisation, reference).unwrap().unwrap();
                assert_eq!(serde_json::to_value(vehicle).unwrap(), document);
                continue;
            }
            let record = register.records.document(&person, document["document_type"].as_str().unwrap());
            assert_eq!(record.unwrap().unwrap().number.as_str(), document["number"].as_str().unwrap());
        }
    }
}

#[test]
fn reg_002_a_register_that_is_down_is_asked_again_and_one_that_answers_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for broken in
        [http("503 Service Unavailable", "text/plain", b"later"), b"HT".to_vec(), http("500 X", "a/b", b"")]
    {
        let scripted = Scripted::start(move |number| if number < 2 { broken.clone() } else { good() });
        let register = scripted.register(folder.path(), |_| {});
        assert!(ask(&register, "olena").unwrap().is_some());
        assert_eq!(scripted.asked().len(), 3);
        for head in scripted.asked() {
            let head = head.to_lowercase();
            assert!(
                head.starts_with("get /base/v1/persons/olena/documents/identity_card http/1.1\r\n"),
                "{head}"
            );
            assert!(head.contains(&format!("\r\nauthorization: bearer {TOKEN}\r\n")), "{head}");
        }
    }
    let scripted = Scripted::start(|_| http("503 Service Unavailable", "text/plain", b"later"));
    let text = ask(&scripted.register(folder.path(), |settings| settings.retries = 1), "olena").unwrap_err();
    assert!(text.contains("503"), "{text}");
    assert_eq!(scripted.asked().len(), 2);
}

#[test]
fn reg_002_a_register_that_says_nothing_is_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let scripted = Scripted::start(|_| Vec::new());
    let register = scripted.register(folder.path(), |settings| settings.timeout = Duration::from_millis(300));
    let text = ask(&register, "olena").unwrap_err();
    assert!(text.contains("in time"), "{text}");
    // One that is not there at all.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let register = scripted.register(folder.path(), |settings| settings.url = format!("http://{closed}"));
    assert!(ask(&register, "olena").is_err());
}

#[test]
fn reg_003_a_register_that_fails_again_and_again_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let scripted = Scripted::start(|_| http("500 X", "a/b", b""));
    let register = scripted.register(folder.path(), |settings| settings.retries = 0);
    for _ in 0..20 {
        ask(&register, "olena").unwrap_err();
    }
    assert_eq!(scripted.asked().len(), 5);
    // Waiting for a turn here is no failure there: of a crowd behind one hanging question only that one counts.
    let scripted = Scripted::start(|number| if number == 0 { Vec::new() } else { good() });
    let register = scripted.register(folder.path(), |settings| {
        (settings.retries, settings.concurrency_max) = (0, 1);
        settings.timeout = Duration::from_millis(500);
    });
    let holder = Holder::new("olena").unwrap();
    block(async {
        let crowd: Vec<_> = (0..12).map(|_| register.document(&holder, 1)).collect();
        for asked in futures_all(crowd).await {
            assert!(asked.is_err());
        }
        assert!(register.document(&holder, 1).await.unwrap().is_some());
    });
    // Nonsense is an answer: one person's record must not take the register away from everybody.
    let scripted = Scripted::start(|number| if number < 20 { http("200 OK", "a/b", b"") } else { good() });
    let register = scripted.register(folder.path(), |_| {});
    for _ in 0..20 {
        ask(&register, "olena").unwrap_err();
    }
    assert!(ask(&register, "olena").unwrap().is_some());
}

#[test]
fn reg_004_an_answer_is_exactly_what_was_agreed_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let json = |value: &serde_json::Value| http("200 OK", "application/json", value.to_string().as_bytes());
    let with = |key: &str, value: serde_json::Value| {
        let mut document = document();
        document[key] = value;
        json(&document)
    };
    let text = document().to_string();
    let no_document = |status: &str, media_type: &str, body: &str| http(status, media_type, body.as_bytes());
    let elsewhere = Scripted::start(|_| good());
    let redirect = |status: &str| {
        let to = elsewhere.address;
        format!(
            "HTTP/1.1 {status}\r\nlocation: http://{to}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        .into_bytes()
    };
    let padded = format!("{}{text}", " ".repeat(64 * 1024 + 1 - text.len()));
    let endless = [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"[..],
        &vec![b' '; 1 << 20],
    ]
    .concat();
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("another type", with("document_type", "driving_licence".into())),
        ("an unknown type", with("document_type", "passport".into())),
        ("an unknown field", with("tax_number", "123".into())),
        ("a date that is none", with("birth", "1990-02-30".into())),
        ("a hidden character", with("family", "Те\u{202E}стенко".into())),
        ("not NFC", with("family", "и\u{306}".into())),
        ("a name that is too long", with("family", "Я".repeat(49).into())),
        ("a number", with("number", 1.into())),
        ("nothing", json(&serde_json::Value::Null)),
        ("a list", json(&serde_json::json!([document()]))),
        ("two documents", http("200 OK", "application/json", format!("{text}{text}").as_bytes())),
        ("half a document", http("200 OK", "application/json", &text.as_bytes()[..40])),
        ("an empty body", http("200 OK", "application/json", b"")),
        (
            "no content type",
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes(),
        ),
        ("text", http("200 OK", "text/html", text.as_bytes())),
        ("a type that only begins so", http("200 OK", "application/json-seq", text.as_bytes())),
        ("too long", http("200 OK", "application/json", padded.as_bytes())),
        ("without end", endless),
        ("another success", http("203 OK", "application/json", text.as_bytes())),
        ("no content", b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n".to_vec()),
        ("not allowed", http("401 X", "application/json", text.as_bytes())),
        ("too many", http("429 X", "application/json", text.as_bytes())),
        ("a redirect", redirect("302 Found")),
        ("a lasting redirect", redirect("308 X")),
        ("a gateway's 404", no_document("404 X", "text/html", "Not found")),
        (
            "a 404 about something else",
            no_document("404 X", "application/problem+json", r#"{"code":"no_such_path"}"#),
        ),
        ("a 404 in plain JSON", no_document("404 X", "application/json", r#"{"code":"no_document"}"#)),
        (
            "no document, said with success",
            no_document("200 OK", "application/problem+json", r#"{"code":"no_document"}"#),
        ),
    ];
    for (name, answer) in wrong {
        let scripted = Scripted::start(move |_| answer.clone());
        let register = scripted.register(folder.path(), |_| {});
        let text = ask(&register, "olena").expect_err(name);
        assert!(
            !text.contains("Тест") && !text.contains("olena") && !text.contains("passport"),
            "{name}: {text}"
        );
        assert_eq!(scripted.asked().len(), 1, "{name} is not asked for twice");
    }
    assert_eq!(elsewhere.asked(), Vec::<String>::new(), "no redirect is followed");
    let scripted = Scripted::start(move |number| match number {
        0 => no_document("404 X", "application/problem+json", r#"{"code":"no_document","status":404}"#),
        _ => good(),
    });
    let register = scripted.register(folder.path(), |_| {});
    assert!(ask(&register, "olena").unwrap().is_none());
    assert!(ask(&register, "olena").unwrap().is_some());
}

#[test]
fn reg_005_no_reference_leads_anywhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let scripted = Scripted::start(|_| good());
    let register = scripted.register(folder.path(), |_| {});
    let odd =
        ["../../../admin", "x?y=z", "x#y", "//other.example/x", "a%2fb", "user@other.example:80", "a\\b"];
    for person in odd {
        ask(&register, person).unwrap();
    }
    for dots in [".", ".."] {
        assert!(ask(&register, dots).unwrap().is_none());
    }
    let asked = scripted.asked();
    assert_eq!(asked.len(), odd.len());
    for head in asked {
        let path = head.split(' ').nth(1).unwrap();
        let segments: Vec<_> = path.split('/').collect();
        assert_eq!(segments.len(), 7, "{path}");
        assert_eq!((segments[1], segments[2], segments[3]), ("base", "v1", "persons"));
        assert!(
            !path.contains(['?', '#'])
                && segments.iter().all(|segment| !segment.starts_with("..") || segment.contains('%'))
        );
    }
}

#[test]
fn reg_007_while_the_register_is_down_codes_are_amber_and_nothing_is_issued() {
    let mut register = TestRegister::start();
    let app = register.app();
    let (shop, mut phone) = (app.shop(), app.phone("olena"));
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let mut verify = |id: &str| {
        let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
        let code = phone.phone.code(&mut session).unwrap();
        shop.verify_code(code.presentation.as_str(), id).unwrap()
    };
    assert_eq!(verify("scan-0001").result, Colour::Green);
    register.down();
    let amber = verify("scan-0002");
    assert_eq!((amber.result, amber.reason), (Colour::Amber, Reason::RegisterNotReached));
    assert!(amber.claims.is_some() && amber.notes.contains(&Note::WithdrawalsNotChecked));
    register.up();
    assert_eq!(verify("scan-0003").result, Colour::Green);
    register.down();
    assert_eq!(problem_code(phone.phone.top_up(DocumentType::IdentityCard)), ProblemCode::RegisterNotReached);
    register.up();
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 3);
}

#[test]
fn reg_007_a_document_that_left_the_register_is_refused_without_any_event() {
    let register = TestRegister::start();
    let app = register.app();
    let (shop, mut phone) = (app.shop(), app.phone("olena"));
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    let code = phone.phone.code(&mut session).unwrap();
    register.records.apply("olena", "identity_card", &Change::Withdrawn).unwrap();
    let result = shop.verify_code(code.presentation.as_str(), "scan-0001").unwrap();
    assert_eq!((result.result, result.reason), (Colour::Red, Reason::Revoked));
}
