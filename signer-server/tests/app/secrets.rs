//! No secret and no personal value in a log, at any level, nor in the clear in the store.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::Write,
    path::Path,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::{Connection, OpenFlags};
use signer_client::{Approved, ClientError, RelyingParty, Showing, ports::Clock as PhoneClock};
use signer_core::{
    codec,
    credential::{Colour, DocumentType},
    ids::DeviceId,
    pin::Pin,
    wire::{
        Approve, ApprovePayload, CreateRequest, CreatedEnrolmentCode, CreatedRelyingParty, DocumentDigest,
        EnrolConfirm, EnrolKeyed, Envelope, Evaluated, IssuedCredentials, ProblemCode, Profile,
        RefreshConfirm, RefreshKeyed, RefreshKeys, RefreshStart, RefreshStarted,
    },
};
use tracing_subscriber::{filter::dynamic_filter_fn, prelude::*};

use crate::{
    harness::TestApp,
    support::{
        http::Client,
        phone::{MemoryStorage, SUITE, TestPhone, network},
        process::Process,
    },
    vault::Vault,
};

/// Twelve digits: six would turn up by chance in the fractions of a log's seconds.
const PIN: &str = "739105826417";
const WRONG: &str = "739105826418";
const NEW: &str = "918273640519";

/// What must not be seen, with a name for the report. `stored` may stand in the store, as the operator is told.
pub(crate) struct Secret {
    name: String,
    bytes: Vec<u8>,
    stored: bool,
}

/// Name, form, bytes.
type Needle<'a> = (&'a str, &'static str, Vec<u8>);

#[derive(Default)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref().to_vec();
        assert!(bytes.len() >= 8, "{name} is too short to look for");
        self.0.push(Secret { name: name.into(), bytes, stored: false });
    }

    fn add_stored(&mut self, name: &str, text: &str) {
        self.add(name, text);
        self.0.last_mut().unwrap().stored = true;
    }

    /// Names and forms of what `haystack` shows.
    pub(crate) fn found_in(&self, haystack: &[u8], in_store: bool) -> Vec<String> {
        let sought = self.0.iter().filter(|secret| !(in_store && secret.stored));
        // By their first eight bytes, so that one pass finds all.
        let mut needles: HashMap<[u8; 8], Vec<Needle<'_>>> = HashMap::new();
        for secret in sought {
            for (kind, form) in forms(&secret.bytes) {
                let head = *form.first_chunk().unwrap();
                needles.entry(head).or_default().push((&secret.name, kind, form));
            }
        }
        // And before that by the first two: most of a disk is none of it.
        let mut heads = vec![false; 1 << 16];
        let place = |head: &[u8]| usize::from(head[0]) << 8 | usize::from(head[1]);
        needles.keys().for_each(|head| heads[place(head)] = true);
        let mut found = BTreeSet::new();
        for (at, head) in haystack.windows(8).enumerate().filter(|(_, head)| heads[place(head)]) {
            for (name, kind, form) in needles.get(head).into_iter().flatten() {
                if haystack[at..].starts_with(form) {
                    found.insert(format!("{name} ({kind})"));
                }
            }
        }
        found.into_iter().collect()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The ways a value gets into a text: as it is, hexadecimal, decimal as `Debug` prints it, base64 wherever it begins, rows of
/// a hex dump.
fn forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    // A part is as bad as the whole, and survives being cut or wrapped.
    let part = &bytes[..bytes.len().min(24)];
    let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<_> = part.iter().map(u8::to_string).collect();
    let pretty = format!("\n    {},\n    {},\n    {},", list[0], list[1], list[2]);
    let mut forms = vec![
        ("raw", part.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("upper hex", hex.to_uppercase().into_bytes()),
        ("decimal", list.join(", ").into_bytes()),
        ("decimal, compact", list.join(",").into_bytes()),
    ];
    if part.len() >= 16 {
        forms.push(("decimal, pretty", pretty.into_bytes()));
    }
    if let Ok(text) = std::str::from_utf8(part) {
        let units: Vec<u16> = text.encode_utf16().collect();
        let bytes = |of: fn(u16) -> [u8; 2]| units.iter().flat_map(|unit| of(*unit)).collect();
        forms.push(("UTF-16, little endian", bytes(u16::to_le_bytes)));
        forms.push(("UTF-16, big endian", bytes(u16::to_be_bytes)));
        let escaped: String = text.chars().flat_map(char::escape_unicode).collect();
        forms.push(("escaped", escaped.into_bytes()));
    }
    for window in part.windows(8) {
        let row: Vec<_> = window.chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])).collect();
        forms.push(("hex dump", row.join(" ").into_bytes()));
    }
    for shift in 0..3 {
        // What stands before it moves it by zero, one or two bytes; the characters at the seams depend on neighbours.
        let padded = [&vec![0; shift][..], part].concat();
        let text = BASE64_STANDARD.encode(&padded[..padded.len() / 3 * 3]);
        let inner = &text[if shift == 0 { 0 } else { 4 }..];
        if inner.len() >= 8 {
            forms.push(("base64", inner.as_bytes().to_vec()));
            let url = inner.replace('+', "-").replace('/', "_");
            forms.push(("base64 for addresses", url.into_bytes()));
        }
    }
    forms
}

/// Everything a phone and its relying parties do, once; what was secret in it is collected.
pub(crate) fn story(
    url: &str,
    admin: &str,
    keystore: &Path,
    clock: impl PhoneClock + Clone + 'static,
) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add("admin token", admin);
    for (name, pin) in [("PIN", PIN), ("wrong PIN", WRONG), ("new PIN", NEW)] {
        secrets.add(name, pin);
    }
    let client = Client::new(url);
    let admin_call = |path: &str, body: serde_json::Value| {
        let answer = client.json("POST", &format!("/admin/v1{path}"), admin, Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    };
    let code: CreatedEnrolmentCode =
        admin_call("/enrolment-codes", serde_json::json!({ "person": "olena" })).json();
    secrets.add("enrolment code", &code.code);
    secrets.add("enrolment code without dashes", code.code.replace('-', ""));
    let body = serde_json::json!({ "name": "Bank of the Whole Story", "may_ask": true, "may_verify": true });
    let party: CreatedRelyingParty = admin_call("/relying-parties", body).json();
    secrets.add("bearer token", &party.token);
    secrets.add_stored("name of a relying party", "Bank of the Whole Story");
    let bank = RelyingParty::new(network(url), party.token.as_str());

    let mut phone = TestPhone::open(url, keystore, MemoryStorage::default(), clock);
    phone.phone.enrol(SUITE, &code.code, &Pin::new(PIN).unwrap()).unwrap();
    let request = CreateRequest {
        person: "olena".into(),
        text: "Divorce petition of the third of May".into(),
        documents: vec![DocumentDigest {
            name: "my-secret-petition.pdf".into(),
            sha256: BASE64_STANDARD.encode([0xA7; 32]),
        }],
        ..CreateRequest::default()
    };
    secrets.add_stored("text of a request", &request.text);
    secrets.add_stored("name of a document", &request.documents[0].name);
    for pin in [WRONG, PIN] {
        let key = if pin == PIN { "second-ask" } else { "first-ask" };
        let id = bank.ask(&request, key).unwrap().id;
        match phone.approve(id, pin).unwrap() {
            Approved::Signed(signed) => {
                assert_eq!(pin, PIN);
                // Public, but nobody's business in a log.
                secrets.add_stored("signature", "no signature");
                secrets.0.last_mut().unwrap().bytes = signed.signatures[0].as_slice().to_vec();
            }
            Approved::WrongPin(_) => assert_eq!(pin, WRONG),
            Approved::KeyEnded => panic!("the key ended"),
        }
        bank.wait(id, std::time::Duration::from_millis(1)).unwrap();
    }
    let wrong = phone.phone.change_pin(&Pin::entered(WRONG).unwrap(), &Pin::new(NEW).unwrap());
    assert!(matches!(wrong, Err(ClientError::WrongPin(_))));
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap()).unwrap();

    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    for profile in Profile::ALL {
        let mut session =
            phone.phone.start_show(DocumentType::IdentityCard, Showing::to_whoever_scans(profile)).unwrap();
        let code = phone.phone.code(&mut session).unwrap();
        let text = code.presentation.as_str();
        secrets.add("text of a code", &text[4..]);
        secrets.add("end of a code", &text[text.len() - 40..]);
        secrets.add("digits", code.digits.to_string());
        secrets.add("digits without a space", code.digits.to_string().replace(' ', ""));
        for (id, colour) in [("scan-1", Colour::Green), ("scan-2", Colour::Red)] {
            let result = bank.verify_code(text, &format!("{id}-{}", profile.name())).unwrap();
            assert_eq!(result.result, colour);
        }
        assert!(phone.phone.poll(&mut session).unwrap());
    }
    for (name, value) in [
        ("family name", "Шевченко"),
        ("given name", "Олена Григорівна"),
        ("number of the document", "009123456"),
        ("date of birth", "1994-03-09"),
    ] {
        secrets.add(name, value);
    }
    // What goes wrong must not tell either.
    let bearer = "wrong-bearer-token-that-somebody-may-use-elsewhere";
    secrets.add("wrong bearer token", bearer);
    assert_eq!(client.json("GET", "/v1/requests/00", bearer, None).code(), ProblemCode::Unauthenticated);
    let answer = client.json("GET", "/admin/v1/relying-parties", bearer, None);
    assert_eq!(answer.code(), ProblemCode::Unauthenticated);
    let unknown = serde_json::json!({ "person": "olena", "petition": "body-with-an-unknown-field" });
    secrets.add("body", "body-with-an-unknown-field");
    let answer = client.json("POST", "/v1/requests", &party.token, Some(&unknown));
    assert_eq!(answer.code(), ProblemCode::Malformed);
    assert!(!contains(&answer.body, b"body-with"), "a refusal does not repeat what was sent");
    secrets.add("path", "secret-in-a-path-that-is-not-ours");
    secrets.add("query", "secret-in-a-query");
    for path in ["/secret-in-a-path-that-is-not-ours", "/v1/time?nonce=secret-in-a-query"] {
        assert!(client.send("GET", path, &[], &[]).status >= 400);
    }
    secrets.add("device link", "token-of-a-device-link");
    let link = "/link?v=1&t=17&s=token-of-a-device-link&a=x";
    assert_eq!(client.send("GET", link, &[], &[]).status, 200);
    let mut broken = phone.wire.last("approve").body;
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(client.cbor("/device/v1/approve", &broken).code(), ProblemCode::NotTheDevice);
    collect(&phone, &mut secrets);
    secrets.add("state of the phone", phone.storage.image().unwrap());
    let listed = client.json("GET", "/admin/v1/relying-parties", admin, None);
    assert_eq!(listed.status, 200);
    secrets
}

/// The secrets inside the messages that passed.
fn collect(phone: &TestPhone, secrets: &mut Secrets) {
    fn of<E: signer_core::wire::Exchange>(body: &[u8]) -> E {
        Envelope::decode(body).unwrap().peek().unwrap()
    }
    let mut seen = 0;
    for passed in phone.wire.passed() {
        let Some(operation) = passed.path.strip_prefix("/device/v1/") else { continue };
        let reply = passed.reply.as_deref().unwrap();
        let mut note = |what: &str, bytes: &[u8]| {
            seen += 1;
            secrets.add(&format!("{what} of {operation}"), bytes);
        };
        match operation {
            "enrol-keys" => {
                let keyed: EnrolKeyed = codec::decode(reply, 1 << 20).unwrap();
                note("device token", keyed.token.0.expose());
            }
            "enrol-confirm" => {
                let EnrolConfirm(confirmation) = of(&passed.body);
                note("gate key", confirmation.gate_key.0.expose());
                note("seeds", confirmation.seeds.as_slice());
                note("contribution", confirmation.contribution.as_slice());
                note("sum in the contribution", &confirmation.contribution.as_slice()[129..]);
            }
            "approve" => {
                let approve: Approve = of(&passed.body);
                let payload: ApprovePayload = codec::decode(approve.payload.as_slice(), 1 << 20).unwrap();
                note("gate MAC", &payload.mac);
                note("device token", payload.token.0.expose());
                let contribution = payload.items.as_slice()[0].contribution.as_slice();
                note("contribution", contribution);
                note("sum in the contribution", &contribution[129..]);
                if let Ok(Evaluated::Signed { token, .. }) = codec::decode(reply, 1 << 20) {
                    note("next device token", token.0.expose());
                }
            }
            "refresh-start" => {
                let start: RefreshStart = of(&passed.body);
                note("payload", &start.payload.as_slice()[40..]);
                if let Ok(RefreshStarted::Started { token, .. }) = codec::decode(reply, 1 << 20) {
                    note("next device token", token.0.expose());
                }
            }
            "refresh-keys" => {
                note("offset of the device", of::<RefreshKeys>(&passed.body).part.0.expose());
                let keyed: RefreshKeyed = codec::decode(reply, 1 << 20).unwrap();
                note("offset of the server", keyed.part.0.expose());
            }
            "refresh-confirm" => {
                let RefreshConfirm(confirmation) = of(&passed.body);
                note("gate key", confirmation.gate_key.0.expose());
                note("seeds", confirmation.seeds.as_slice());
                note("contribution", confirmation.contribution.as_slice());
                note("sum in the contribution", &confirmation.contribution.as_slice()[129..]);
            }
            "credentials" => {
                let issued: IssuedCredentials = codec::decode(reply, 1 << 20).unwrap();
                note("secret of the digits", issued.otp_secret.0.expose());
                for credential in issued.credentials.as_slice() {
                    note("credential", &credential.as_slice()[20..]);
                }
            }
            _ => {}
        }
    }
    assert!(seen >= 28, "only {seen} secrets in the messages");
}

/// The secrets the server keeps.
pub(crate) fn vaulted(data: &Path, device: DeviceId, secrets: &mut Secrets) {
    let kek = fs::read(data.join("kek")).unwrap();
    let db = Connection::open_with_flags(data.join("store.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    kept(&Vault::open(&kek, db), &kek, device, secrets);
}

/// The same, from an open vault.
pub(crate) fn kept(vault: &Vault, kek: &[u8], device: DeviceId, secrets: &mut Secrets) {
    secrets.add("key-encryption key", kek);
    for purpose in ["issuer", "answer", "device-token"] {
        secrets.add(&format!("server key {purpose}"), vault.server_key(purpose));
    }
    let key = vault.share(device);
    let (scalar, rest) = key.share.0.split_at(32);
    secrets.add("server share", scalar);
    for seed in rest[65..].chunks(32) {
        secrets.add("seed of the server", seed);
    }
    secrets.add("gate key", key.gate_key.expose().expose());
    secrets.add("nonce key", key.nonce_key.expose());
    secrets.add("whole key", &key.encode()[4..]);
}

pub(crate) fn device_of(keystore: &Path) -> DeviceId {
    use signer_client::{desk, ports::HardwareKey as _};
    let (key, made) = desk::SoftwareKey::open(keystore, desk::system_rng()).unwrap();
    assert!(!made);
    key.public_key().unwrap().device_id()
}

/// The database as a thief of the disk finds it, log and all.
fn stored_bytes(data: &Path) -> Vec<u8> {
    let files = ["store.db", "store.db-wal", "store.db-shm"];
    let read = files.map(|file| fs::read(data.join(file)).unwrap_or_default());
    assert!(!read[0].is_empty() && !read[1].is_empty());
    read.concat()
}

#[test]
fn app_060_the_scan_finds_what_is_there() {
    let mut secrets = Secrets::default();
    secrets.add("token", b"abcdefghijklmnopqrstuvwxyz012345");
    let bytes = *b"abcdefghijklmnopqrstuvwxyz012345";
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    for text in [
        String::from_utf8(bytes.to_vec()).unwrap(),
        format!("{bytes:?}"),
        format!("{bytes:#?}"),
        hex.to_lowercase(),
        hex,
        BASE64_STANDARD.encode(bytes),
        BASE64_STANDARD.encode([&b"x"[..], &bytes].concat()),
        BASE64_STANDARD.encode([&b"xy"[..], &bytes, &b"z"[..]].concat()),
        "6162 6364 6566 6768 696a 6b6c 6d6e 6f70  abcdefghijklmnop".to_owned(),
        "2061 6263 6465 6667 6869 6a6b 6c6d 6e6f  .abcdefghijklmno".to_owned(),
    ] {
        let log = format!("2027-01-15T08:00:00Z TRACE something: {text} and more");
        assert!(!secrets.found_in(log.as_bytes(), false).is_empty(), "{text}");
    }
    for wide in [u16::to_le_bytes, u16::to_be_bytes] {
        let text: Vec<u8> = bytes.iter().flat_map(|byte| wide(u16::from(*byte))).collect();
        assert!(!secrets.found_in(&text, false).is_empty());
    }
    assert!(secrets.found_in(b"abcdefghijklmnopqrstuvw", false).is_empty());
}

#[test]
fn app_060_no_secret_in_the_log_of_the_server_process_at_trace() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let register = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/register.json");
        let settings = format!("log = \"trace\"\nlog_format = {format:?}\nregister_file = {register:?}");
        let mut server = Process::start(folder.path(), &settings);
        let keystore = folder.path().join("keystore");
        let mut secrets =
            story(&server.url(), &server.admin_token(), &keystore, signer_client::desk::SystemClock);
        vaulted(&server.data, device_of(&keystore), &mut secrets);
        assert_eq!(secrets.found_in(&stored_bytes(&server.data), true), Vec::<String>::new());
        server.terminate();
        assert!(server.wait().success());
        let log = server.log();
        assert!(log.contains("DEBUG") && log.contains("evaluated") && log.len() > 20_000, "{}", log.len());
        assert_eq!(secrets.found_in(log.as_bytes(), false), Vec::<String>::new());
    }
}

static RECORDING: AtomicBool = AtomicBool::new(false);

/// Everything any library of this process says while it is recorded.
fn recorder() -> Arc<Mutex<Vec<u8>>> {
    static BYTES: Mutex<Option<Arc<Mutex<Vec<u8>>>>> = Mutex::new(None);
    static INSTALL: Once = Once::new();
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    INSTALL.call_once(|| {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        *BYTES.lock().unwrap() = Some(Arc::clone(&bytes));
        let recorded = dynamic_filter_fn(|_, _| RECORDING.load(Ordering::Relaxed));
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&bytes)))
            .with_filter(recorded);
        // Also takes what libraries say through the `log` crate.
        tracing_subscriber::registry().with(layer).try_init().unwrap();
    });
    Arc::clone(BYTES.lock().unwrap().as_ref().unwrap())
}

#[test]
fn app_061_no_secret_in_what_any_library_of_server_and_phone_says() {
    let recorded = recorder();
    let app = TestApp::spawn();
    let keystore = app.folder().join("keystore");
    RECORDING.store(true, Ordering::Relaxed);
    tracing::trace!(target: "a-target-of-its-own", "recording");
    let mut secrets = story(app.url(), &app.admin_token(), &keystore, app.clock.clone());
    RECORDING.store(false, Ordering::Relaxed);
    vaulted(&app.config.data_dir, device_of(&keystore), &mut secrets);
    let said = recorded.lock().unwrap();
    let text = String::from_utf8_lossy(&said);
    for target in ["a-target-of-its-own", "signer_server::service", "ureq::run"] {
        assert!(text.contains(target), "nothing of {target} was recorded");
    }
    // The client may name the addresses it was told to call.
    secrets.0.retain(|secret| !matches!(secret.name.as_str(), "path" | "query"));
    assert_eq!(secrets.found_in(&said, false), Vec::<String>::new());
    assert_eq!(secrets.found_in(&stored_bytes(&app.config.data_dir), true), Vec::<String>::new());
}
