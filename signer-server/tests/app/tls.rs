//! TLS in the server process, with `openssl` as the outsider.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use signer_client::{
    RelyingParty,
    desk::SystemClock,
    http::{NetworkHttp, NetworkOptions},
};
use signer_core::{
    pin::Pin,
    suite::SuiteId,
    wire::{CreatedEnrolmentCode, CreatedRelyingParty, ProblemCode},
};

use crate::{
    harness::{PIN, request},
    support::{
        http::{Answer, Client},
        phone::{MemoryStorage, TestPhone},
        process::Process,
    },
};

/// Time for the server to do what it was told.
const PATIENCE: Duration = Duration::from_secs(30);

fn openssl(folder: &Path, arguments: &str) -> Output {
    Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap()
}

fn made(folder: &Path, arguments: &str) {
    let output = openssl(folder, arguments);
    assert!(output.status.success(), "{output:?}");
}

/// An authority in `folder`, whose certificates for 127.0.0.1 are called as they are told.
fn authority(folder: &Path) {
    let name = "-subj /CN=Authority -addext basicConstraints=critical,CA:TRUE";
    made(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout root.key -out root.pem {name}"
        ),
    );
}

/// A certificate by that authority: `NAME.pem` with `NAME.key`.
fn certificate(folder: &Path, name: &str) {
    made(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout {name}.key -out {name}.pem \
             -CA root.pem -CAkey root.key -subj /CN={name} -addext subjectAltName=IP:127.0.0.1 \
             -addext basicConstraints=critical,CA:FALSE"
        ),
    );
}

/// A server that speaks TLS.
struct Secure {
    process: Process,
    operator: SocketAddr,
    folder: PathBuf,
}

impl Secure {
    fn start(folder: &Path) -> Self {
        authority(folder);
        certificate(folder, "first");
        for ending in ["pem", "key"] {
            fs::copy(folder.join(format!("first.{ending}")), folder.join(format!("server.{ending}")))
                .unwrap();
        }
        let operator = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = format!(
            "admin_listen = {:?}\nregister_file = {:?}\n[tls]\ncertificate_file = {:?}\nkey_file = {:?}\n",
            operator.to_string(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/register.json"),
            folder.join("server.pem"),
            folder.join("server.key"),
        );
        Self { process: Process::start(folder, &settings), operator, folder: folder.into() }
    }

    fn url(&self) -> String {
        format!("https://{}", self.process.address)
    }

    fn network(&self) -> NetworkHttp {
        let root_certificates = Some(fs::read(self.folder.join("root.pem")).unwrap());
        NetworkHttp::new(&self.url(), &NetworkOptions { root_certificates, insecure: false }).unwrap()
    }

    fn admin(&self, path: &str, body: &serde_json::Value) -> Answer {
        let operator = Client::new(format!("http://{}", self.operator));
        operator.json("POST", &format!("/admin/v1{path}"), &self.process.admin_token(), Some(body))
    }

    /// What `openssl s_client` sees, with these options.
    fn greeted(&self, options: &str) -> String {
        let arguments = format!("s_client -connect {} -CAfile root.pem {options}", self.process.address);
        let output = openssl(&self.folder, arguments.trim());
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }

    /// Waits for a line of the log.
    fn wait_for(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.process.log().contains(text) {
            assert!(Instant::now() < end, "{}", self.process.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn tls_001_a_phone_and_a_bank_work_over_tls_and_only_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let server = Secure::start(folder.path());
    let code: CreatedEnrolmentCode =
        server.admin("/enrolment-codes", &serde_json::json!({ "person": "olena" })).json();
    let bank = serde_json::json!({ "name": "Bank of Examples", "may_ask": true, "may_verify": false });
    let bank: CreatedRelyingParty = server.admin("/relying-parties", &bank).json();
    let mut phone = TestPhone::open_over(
        vec![server.network()],
        &folder.path().join("keystore"),
        MemoryStorage::default(),
        SystemClock,
    );
    phone.phone.enrol(SuiteId::FrostSecp256k1Sha256, &code.code, &Pin::new(PIN).unwrap()).unwrap();
    let bank = RelyingParty::new(Box::new(server.network()), bank.token);
    let id = bank.ask(&request("olena", 1), "first").unwrap().id;
    phone.approve(id, PIN).unwrap();
    // Who does not trust the authority sends nothing.
    let stranger = NetworkHttp::new(&server.url(), &NetworkOptions::default()).unwrap();
    assert!(
        RelyingParty::new(Box::new(stranger), String::new()).ask(&request("olena", 1), "second").is_err()
    );
    // Who speaks plain HTTP is not answered in it.
    let mut plain = TcpStream::connect(server.process.address).unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let _reset_or_closed = plain.read_to_end(&mut answer);
    assert!(!answer.windows(4).any(|bytes| bytes == b"HTTP"), "{answer:?}");
}

#[test]
fn tls_002_the_public_address_has_nothing_of_the_operators() {
    let folder = tempfile::tempdir().unwrap();
    let server = Secure::start(folder.path());
    let public = Client::with_root(server.url(), &fs::read(folder.path().join("root.pem")).unwrap());
    let operator = Client::new(format!("http://{}", server.operator));
    let token = server.process.admin_token();
    for path in ["/admin/", "/admin/app.js", "/admin/v1/relying-parties"] {
        assert_eq!(operator.json("GET", path, &token, None).status, 200, "{path}");
        assert_eq!(public.json("GET", path, &token, None).code(), ProblemCode::NoSuchPath, "{path}");
    }
    // Browsers come back by TLS alone (RFC 6797).
    let health = public.send("GET", "/health/live", &[], b"");
    assert_eq!(health.header("strict-transport-security"), Some("max-age=31536000"));
    // The commands find the operator's address in the same configuration.
    let mut command = Command::new(env!("CARGO_BIN_EXE_signer-server"));
    let output =
        command.arg("--config").arg(&server.process.config).args(["enrolment-code", "petro"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("--server {}", server.url())), "{text}");
}

#[test]
fn tls_003_new_files_hold_for_new_connections_and_broken_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Secure::start(folder.path());
    let shown = || server.greeted("-verify_return_error");
    assert!(shown().contains("subject=CN = first"), "{}", shown());
    // A connection that is open goes on.
    let root = fs::read(folder.path().join("root.pem")).unwrap();
    let open = Client::with_root(server.url(), &root);
    assert_eq!(open.send("GET", "/health/live", &[], b"").status, 200);
    // Halfway: certificate and key do not belong together.
    certificate(folder.path(), "second");
    fs::copy(folder.path().join("second.pem"), folder.path().join("server.pem")).unwrap();
    server.process.signal("HUP");
    server.wait_for("the TLS certificate in force stays");
    assert!(shown().contains("subject=CN = first"), "{}", shown());
    fs::copy(folder.path().join("second.key"), folder.path().join("server.key")).unwrap();
    server.process.signal("HUP");
    server.wait_for("new TLS certificate");
    assert!(shown().contains("subject=CN = second"), "{}", shown());
    assert_eq!(open.send("GET", "/health/live", &[], b"").status, 200);
}

#[test]
fn tls_004_versions_before_1_2_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Secure::start(folder.path());
    for (version, good) in [("tls1_3", true), ("tls1_2", true), ("tls1_1", false), ("tls1", false)] {
        // Level 0 lets openssl itself offer the old ones.
        let text = server.greeted(&format!("-{version} -cipher ALL:@SECLEVEL=0"));
        assert_eq!(text.contains("Verify return code: 0 (ok)") && text.contains("subject="), good, "{text}");
    }
}

#[test]
fn tls_005_who_starts_no_handshake_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let server = Secure::start(folder.path());
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(server.process.address).unwrap()).collect();
    let client = Client::with_root(server.url(), &fs::read(folder.path().join("root.pem")).unwrap());
    assert_eq!(client.send("GET", "/health/ready", &[], b"").status, 200);
    drop(silent);
}

#[test]
fn tls_006_a_key_that_is_not_the_certificates_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path());
    certificate(folder.path(), "one");
    certificate(folder.path(), "other");
    for (pem, key, why) in [
        ("one.pem", "other.key", "other.key"),
        ("none.pem", "one.key", "none.pem"),
        ("one.key", "one.key", "no certificate"),
    ] {
        let config = folder.path().join("config.toml");
        let [pem, key] = [pem, key].map(|name| folder.path().join(name));
        let text = format!(
            "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\ndata_dir = {:?}\n[tls]\ncertificate_file = {pem:?}\nkey_file = {key:?}\n",
            folder.path().join("data")
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_signer-server"));
        let output = command.arg("--config").arg(&config).arg("serve").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(why), "{text}");
    }
}
