//! `signer ask --format`: one request to a server, several files from its answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use der::{Decode as _, Encode as _};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use signer_client::formats::{Format, verify};
use signer_core::{
    approval::{ApprovalRecord, Document, RelyingParty, RequestObject},
    ceremony::first_digest,
    codec::{Label, List, Text},
    device_key::DevicePublicKeyBytes,
    domain::sha256,
    ids::{CeremonyId, Epoch, KeyId, RelyingPartyId, RequestId},
    lost_code::HolderKeysDigest,
    suite::{GroupPublicKey, KeyContext, PROTOCOL_VERSION, SuiteId},
    time::UnixSeconds,
    wire::{Problem, ProblemCode},
};

use crate::{
    cli::signer,
    pdf::table,
    support::{DOCUMENT, FORMATS, Pki},
};

const REQUEST: RequestId = RequestId::from_bytes([5; 16]);
const KEY: KeyId = KeyId::from_bytes([3; 16]);
const EXPIRES: u64 = 4_000_000_000;

/// A server whose holder agrees at once, unless the person is `no`, who declines, `never`, who does not answer, or `late`, who
/// agrees just before the request is taken back.
struct Server {
    pki: Arc<Pki>,
    suite: &'static str,
    /// Every request: path and body.
    asked: Mutex<Vec<(String, Value)>>,
}

impl Server {
    /// The server and its origin.
    fn start(pki: &Arc<Pki>, suite: &'static str) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Self { pki: pki.clone(), suite, asked: Mutex::default() });
        let own = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                own.answer(&stream.unwrap());
            }
        });
        (server, origin)
    }

    fn answer(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        let (method, path) = head.split_once(' ').unwrap();
        let mut path = path.split(' ').next().unwrap().to_owned();
        if method == "DELETE" {
            path.insert_str(0, "DELETE ");
        }
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains("authorization: bearer token"), "{head}");
        let length =
            lower.split_once("content-length: ").map_or("0", |(_, rest)| rest.lines().next().unwrap());
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        self.asked.lock().unwrap().push((path.clone(), body));
        let reply = match path.split('?').next().unwrap() {
            "/v1/persons/p%2F17/signing-certificate" => self.signing_certificate(),
            "/v1/requests" => json!({ "id": REQUEST, "expires": EXPIRES }),
            path if path == format!("/v1/requests/{REQUEST}") => self.view(),
            path if path == format!("DELETE /v1/requests/{REQUEST}") => return self.cancel(stream),
            other => panic!("{other}"),
        };
        let reply = reply.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            reply.len()
        );
        stream.write_all(&[head.as_bytes(), reply.as_bytes()].concat()).unwrap();
    }

    fn view(&self) -> Value {
        let status = match self.request()["person"].as_str().unwrap() {
            "no" => "declined",
            "late" if self.was_cancelled() => "signed",
            "never" | "late" => "open",
            _ => "signed",
        };
        if status == "open" {
            thread::sleep(Duration::from_millis(50));
        }
        let result = (status == "signed").then(|| self.result());
        json!({ "id": REQUEST, "status": status, "expires": EXPIRES, "result": result })
    }

    fn was_cancelled(&self) -> bool {
        self.asked.lock().unwrap().iter().any(|(path, _)| path.starts_with("DELETE"))
    }

    fn cancel(&self, mut stream: &TcpStream) {
        let reply = if self.request()["person"] == "late" {
            let problem = Problem::new(ProblemCode::RequestClosed, None, None);
            let body = serde_json::to_string(&problem).unwrap();
            let head = "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\nconnection: close";
            format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        } else {
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".into()
        };
        stream.write_all(reply.as_bytes()).unwrap();
    }

    fn signing_certificate(&self) -> Value {
        let der = self.pki.certificates.signer();
        let certificate = x509_cert::Certificate::from_der(der).unwrap();
        let tbs = certificate.tbs_certificate();
        json!({
            "suite": self.suite,
            "certificate_sha256": BASE64_STANDARD.encode(sha256(der)),
            "issuer": BASE64_STANDARD.encode(tbs.issuer().to_der().unwrap()),
            "serial": BASE64_STANDARD.encode(tbs.serial_number().as_bytes()),
            "not_after": 1,
        })
    }

    /// The request, as it was sent.
    fn request(&self) -> Value {
        let asked = self.asked.lock().unwrap();
        asked.iter().rev().find(|(path, _)| path == "/v1/requests").unwrap().1.clone()
    }

    fn result(&self) -> Value {
        let request = self.request();
        let documents: Vec<_> = request["documents"].as_array().unwrap().iter().map(document).collect();
        let signatures: Vec<_> = documents
            .iter()
            .map(|document| {
                json!({
                    "name": document.name.as_str(),
                    "sha256": BASE64_STANDARD.encode(document.digest),
                    "signature": BASE64_STANDARD.encode(self.pki.sign(&document.digest)),
                })
            })
            .collect();
        let device = SigningKey::from_slice(&[9; 32]).unwrap();
        let device_key: [u8; 33] = compressed(&device);
        let public_key = compressed(&self.pki.key);
        let record = ApprovalRecord {
            request: RequestObject {
                version: PROTOCOL_VERSION,
                request: REQUEST,
                relying_party: RelyingParty {
                    id: RelyingPartyId::from_bytes([1; 16]),
                    name: Label::new("Bank".into()).unwrap(),
                },
                documents: List::new(documents).unwrap(),
                text: Text::new(request["text"].as_str().unwrap().into()).unwrap(),
                created: UnixSeconds(0),
                expires: UnixSeconds(EXPIRES),
                fields: None,
            },
            device: DevicePublicKeyBytes(device_key).device_id(),
            suite: SuiteId::Es256,
            key: KEY,
            public_key: GroupPublicKey(public_key),
            approved_at: now(),
        }
        .encode();
        let evidence: Signature = device.sign(&ApprovalRecord::to_sign(&record).0);
        let certificates = &self.pki.certificates;
        let chain: Vec<_> = std::iter::once(certificates.signer())
            .chain(certificates.others().iter().map(Vec::as_slice))
            .map(|der| BASE64_STANDARD.encode(der))
            .collect();
        json!({
            "suite": "es256",
            "public_key": BASE64_STANDARD.encode(public_key),
            "signatures": signatures,
            "approval": {
                "record": BASE64_STANDARD.encode(record),
                "signature": BASE64_STANDARD.encode(evidence.to_bytes()),
                "device_key": BASE64_STANDARD.encode(device_key),
                "enrolment": self.enrolment(DevicePublicKeyBytes(device_key)),
            },
            "certificate_chain": chain,
        })
    }

    /// What the signing key signed first.
    fn enrolment(&self, device_key: DevicePublicKeyBytes) -> Value {
        let context =
            KeyContext { suite: SuiteId::Es256, key: KEY, epoch: Epoch(0), device: device_key.device_id() };
        let (ceremony, holder_keys) = (CeremonyId::from_bytes([4; 16]), HolderKeysDigest([6; 32]));
        let public_key = GroupPublicKey(compressed(&self.pki.key));
        let digest = first_digest(&context, &public_key, &device_key, ceremony, Some(&holder_keys)).unwrap();
        json!({
            "ceremony": ceremony,
            "holder_keys": BASE64_STANDARD.encode(holder_keys.0),
            "signature": BASE64_STANDARD.encode(self.pki.sign(&digest)),
        })
    }
}

fn now() -> UnixSeconds {
    use signer_client::ports::Clock as _;
    UnixSeconds(signer_client::desk::SystemClock.wall().0 + 60)
}

fn compressed(key: &SigningKey) -> [u8; 33] {
    key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap()
}

fn document(value: &Value) -> Document {
    let digest = BASE64_STANDARD.decode(value["sha256"].as_str().unwrap()).unwrap();
    Document {
        name: Label::new(value["name"].as_str().unwrap().into()).unwrap(),
        digest: digest.try_into().unwrap(),
    }
}

fn names(request: &Value) -> Vec<&str> {
    request["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["name"].as_str().unwrap())
        .collect()
}

#[test]
fn fmt_062_several_formats_are_one_request_whose_names_say_which() {
    let pki = Arc::new(Pki::new());
    let (server, origin) = Server::start(&pki, "es256");
    let ask = format!("ask --server {origin} --token token --person p/17 --text Loan");
    pki.write("second", b"another");
    let (exit, value) = signer(
        &pki,
        &format!("{ask} --format cms,json,der --format jws,cose,cms --out signed document second"),
    );
    assert_eq!(exit, 0, "{value}");
    let of = |name: &str| {
        [name.to_owned(), format!("{name} (CMS)"), format!("{name} (JWS)"), format!("{name} (COSE)")]
    };
    assert_eq!(names(&server.request()), [of("document"), of("second")].concat());
    let paths: Vec<_> = server.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths.iter().filter(|path| *path == "/v1/requests").count(), 1);
    for (name, bytes) in [("document", DOCUMENT), ("second", b"another")] {
        for format in FORMATS {
            let file = pki.read(&format!("signed/{name}.{}", format.extension()));
            assert_eq!(verify(&file, bytes, Some(&pki.certificates)).unwrap().format, format);
        }
    }
    // The commands that check need nothing but what was written.
    for file in [
        "signed/document.p7s",
        "--certificate signed/document.pem signed/document.jws",
        "signed/signature.json",
    ] {
        let arguments = format!("verify-signature --signing-ca ca.pem {file} document");
        let (exit, value) = signer(&pki, &arguments);
        assert_eq!((exit, &value["trusted"]), (0, &true.into()), "{arguments}: {value}");
        // The certificate here names no enrolment; containers have no approval in them.
        let enrolled = (file == "signed/signature.json").then_some("signature");
        assert_eq!(value.get("device_enrolled_by").and_then(Value::as_str), enrolled);
    }
}

#[test]
fn fmt_063_files_stand_beside_the_document_and_none_is_written_over() {
    let pki = Arc::new(Pki::new());
    let (server, origin) = Server::start(&pki, "es256");
    let ask = format!("ask --server {origin} --token token --person p/17 --text Loan");
    std::fs::create_dir(pki.path("folder")).unwrap();
    pki.write("folder/document", DOCUMENT);
    let (exit, value) = signer(&pki, &format!("{ask} --format cms folder/document"));
    assert_eq!((exit, &value["files"]), (0, &json!(["folder/document.p7s"])), "{value}");
    assert!(verify(&pki.read("folder/document.p7s"), DOCUMENT, None).is_ok());
    // Nobody is asked for what could not be written or not be repeated.
    let asked = server.asked.lock().unwrap().len();
    for arguments in [
        "--format cms --out signed document folder/document",
        "--format cms folder/document folder/document.p7s",
        "--format cms --out document document",
        "--format cms --idempotency-key 0123456789 document",
        "--format cose --no-wait document",
        "--format paper document",
    ] {
        assert_eq!(signer(&pki, &format!("{ask} {arguments}")).0, 2, "{arguments}");
    }
    assert_eq!(server.asked.lock().unwrap().len(), asked);
}

#[test]
fn fmt_064_a_request_is_repeated_with_its_time_of_signing() {
    let pki = Arc::new(Pki::new());
    let (server, origin) = Server::start(&pki, "es256");
    let ask = format!(
        "ask --server {origin} --token token --person p/17 --text Loan --format cms,jws --signing-time 1795305600 \
         --idempotency-key 0123456789 document"
    );
    let (exit, value) = signer(&pki, &format!("{ask} --no-wait"));
    assert_eq!((exit, &value["request"]), (0, &json!(REQUEST)), "{value}");
    assert!(!pki.path("document.p7s").exists());
    let first = server.request();
    assert_eq!(signer(&pki, &ask).0, 0);
    assert_eq!(server.request(), first);
    let file = pki.read("document.p7s");
    assert_eq!(verify(&file, DOCUMENT, None).unwrap().signing_time, Some(UnixSeconds(1_795_305_600)));
}

#[test]
fn fmt_065_keys_of_another_suite_and_another_certificate_leave_no_files() {
    let pki = Arc::new(Pki::new());
    let (server, origin) = Server::start(&pki, "frost-secp256k1-sha256");
    let ask = format!("ask --server {origin} --token token --person p/17 --text Loan --format cms document");
    let (exit, value) = signer(&pki, &ask);
    assert_eq!((exit, &value["error"]), (1, &"suite".into()));
    assert_eq!(server.asked.lock().unwrap().len(), 1);
    // The certificate was renewed between the question and the request.
    let (_, origin) = Server::start(&Arc::new(Pki::new()), "es256");
    let (_, honest) = Server::start(&pki, "es256");
    let mixed = Mixed::start(&honest, &origin);
    let ask =
        format!("ask --server {mixed} --token token --person p/17 --text Loan --format cms,jws document");
    let (exit, value) = signer(&pki, &ask);
    assert_eq!((exit, &value["error"]), (1, &"not_valid".into()), "{value}");
    for format in [Format::Cms, Format::Jws] {
        assert!(!pki.path(&format!("document.{}", format.extension())).exists());
    }
}

#[test]
fn fmt_066_pdfs_are_signed_by_one_approval_and_written_beside_the_documents() {
    let pki = Arc::new(Pki::new());
    let (server, origin) = Server::start(&pki, "es256");
    let ask = format!("ask --server {origin} --token token --person p/17 --text Loan --format pdf");
    std::fs::create_dir(pki.path("folder")).unwrap();
    pki.write("loan.pdf", table());
    pki.write("folder/terms", table());
    let (exit, value) = signer(&pki, &format!("{ask} loan.pdf folder/terms"));
    let files = json!(["loan.signed.pdf", "folder/terms.signed.pdf"]);
    assert_eq!((exit, &value["files"]), (0, &files), "{value}");
    assert_eq!(names(&server.request()), ["loan.pdf (PAdES)", "terms (PAdES)"]);
    assert_eq!(pki.read("loan.pdf"), table());
    for arguments in ["loan.signed.pdf", "--certificate holder.pem folder/terms.signed.pdf"] {
        let (exit, value) = signer(&pki, &format!("verify-signature --signing-ca ca.pem {arguments}"));
        assert_eq!((exit, &value["trusted"], &value["format"]), (0, &true.into(), &"pdf".into()), "{value}");
    }
    let mut changed = pki.read("loan.signed.pdf");
    changed[100] ^= 1;
    pki.write("changed.pdf", changed);
    assert_eq!(signer(&pki, "verify-signature changed.pdf").0, 1);
    assert_eq!(signer(&pki, "verify-signature loan.pdf").1["error"], "pdf");
    assert_eq!(signer(&pki, "verify-signature loan.signed.pdf loan.pdf").0, 2);
    // Nobody is asked for what cannot be signed.
    let asked = server.asked.lock().unwrap().len();
    pki.write("damaged.pdf", &table()[..300]);
    for files in ["document", "loan.pdf document", "damaged.pdf", "--idempotency-key 0123456789 loan.pdf"] {
        let (exit, value) = signer(&pki, &format!("{ask} {files}"));
        assert_eq!((exit, &value["error"]), (2, &"usage".into()), "{files}: {value}");
    }
    assert_eq!(server.asked.lock().unwrap().len(), asked);
}

#[test]
fn fmt_067_what_is_not_signed_says_why_and_leaves_no_file() {
    let pki = Arc::new(Pki::new());
    let (_server, origin) = Server::start(&pki, "es256");
    let ask = format!("ask --server {origin} --token token --text Loan --person no --out result document");
    let (exit, value) = signer(&pki, &ask);
    assert_eq!((exit, &value["error"]), (1, &"declined".into()), "{value}");
    assert!(!pki.path("result").exists());
}

/// `signer ask` for this person, interrupted once it waits.
fn interrupted(pki: &Pki, server: &Server, origin: &str, person: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_signer"))
        .env_clear()
        .current_dir(pki.folder())
        .args(["ask", "--server", origin, "--token", "token", "--text", "Loan", "--person", person])
        .args(["--out", "result", "document"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let waits = || server.asked.lock().unwrap().iter().any(|(path, _)| path.contains("?timeout_ms="));
    while !waits() {
        assert_eq!(child.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(20));
    }
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    child
}

#[test]
fn fmt_068_ctrl_c_takes_the_request_back_unless_the_holder_was_faster() {
    let pki = Arc::new(Pki::new());
    let (server, origin) = Server::start(&pki, "es256");
    let output = interrupted(&pki, &server, &origin, "never").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(server.was_cancelled() && !pki.path("result").exists());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("taken back") && !said.contains('\r'),
        "no counting line without a terminal: {said}"
    );
    let (server, origin) = Server::start(&pki, "es256");
    let output = interrupted(&pki, &server, &origin, "late").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(pki.path("result").exists());
}

/// Answers about certificates from one server, all else from another.
struct Mixed;

impl Mixed {
    fn start(certificates: &str, all_else: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let hosts = [certificates, all_else].map(|origin| origin.strip_prefix("http://").unwrap().to_owned());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert_ne!(reader.read_line(&mut head).unwrap(), 0);
                }
                let lower = head.to_ascii_lowercase();
                let length = lower
                    .split_once("content-length: ")
                    .map_or("0", |(_, rest)| rest.lines().next().unwrap());
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let mut onward =
                    TcpStream::connect(&hosts[usize::from(!head.contains("signing-certificate"))]).unwrap();
                onward.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                let mut reply = Vec::new();
                onward.read_to_end(&mut reply).unwrap();
                stream.write_all(&reply).unwrap();
            }
        });
        origin
    }
}
