//! The sandbox as a developer has it: the program, its people, the endpoint that plays a phone.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use signer_client::{
    RelyingParty,
    http::{NetworkHttp, NetworkOptions},
};
use signer_core::wire::{CreateRequest, DocumentDigest, RequestStatus};

struct Sandbox {
    child: Child,
    told: Value,
    _folder: tempfile::TempDir,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The example, which `cargo test` builds unless it is told to build one test only.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("examples/sandbox");
    assert!(program.exists(), "first: cargo build -p signer-server --example sandbox");
    program
}

impl Sandbox {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.json");
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0", "--phones", "127.0.0.1:0", "--out"]).arg(&out);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut sandbox = Self { child, told: Value::Null, _folder: folder };
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let text = std::fs::read(&out).unwrap_or_default();
            if let Ok(told) = serde_json::from_slice(&text) {
                sandbox.told = told;
                return sandbox;
            }
            assert!(sandbox.child.try_wait().unwrap().is_none(), "the sandbox has ended");
            assert!(Instant::now() < end, "the sandbox is not there");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn text(&self, key: &str) -> &str {
        self.told.get(key).and_then(Value::as_str).unwrap()
    }

    fn client(&self) -> RelyingParty {
        let http = NetworkHttp::new(self.text("server"), &NetworkOptions::default()).unwrap();
        RelyingParty::new(Box::new(http), self.text("token"))
    }

    /// How a request to this person has ended, or is after `wait`.
    fn ends(&self, person: &str, wait: Duration) -> RequestStatus {
        self.with_code(person, false, wait)
    }

    fn with_code(&self, person: &str, verification_code: bool, wait: Duration) -> RequestStatus {
        let document = DocumentDigest { name: "a.pdf".into(), sha256: BASE64_STANDARD.encode([7; 32]) };
        let request = CreateRequest {
            person: person.into(),
            text: "Try".into(),
            documents: vec![document],
            verification_code,
            ..CreateRequest::default()
        };
        let client = self.client();
        let made = client.ask(&request, &format!("{person}-{verification_code}")).unwrap();
        client.wait(made.id, wait).unwrap().status
    }

    fn play(&self, person: &str, body: &str) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("{}/phones/{person}", self.text("phones"));
        let mut answer = agent.post(&url).content_type("application/json").send(body).unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap(),
        )
    }
}

#[test]
fn sbx_001_people_do_what_they_always_do_and_one_what_the_endpoint_says() {
    let sandbox = Sandbox::start();
    let long = Duration::from_secs(60);
    assert_eq!(sandbox.ends("sandbox-approves", long), RequestStatus::Signed);
    assert_eq!(sandbox.ends("sandbox-declines", long), RequestStatus::Declined);
    assert_eq!(sandbox.ends("sandbox-mistypes", long), RequestStatus::Signed);
    assert_eq!(sandbox.ends("sandbox-mistakes-code", long), RequestStatus::Signed);
    assert_eq!(sandbox.with_code("sandbox-approves", true, long), RequestStatus::Signed);
    assert_eq!(sandbox.with_code("sandbox-mistakes-code", true, long), RequestStatus::WrongCode);
    for quiet in ["sandbox-ignores", "sandbox-locked", "sandbox-obeys", "nobody"] {
        assert_eq!(sandbox.ends(quiet, Duration::from_secs(2)), RequestStatus::Open, "{quiet}");
    }
    assert_eq!(sandbox.play("sandbox-obeys", r#"{"act":"wrong_pin"}"#), (200, json!({ "requests": 1 })));
    assert_eq!(sandbox.ends("sandbox-obeys", Duration::ZERO), RequestStatus::Open);
    assert_eq!(sandbox.play("sandbox-obeys", r#"{"act":"approve"}"#), (200, json!({ "requests": 1 })));
    assert_eq!(sandbox.ends("sandbox-obeys", Duration::ZERO), RequestStatus::Signed);
    for (person, body, status) in [
        ("nobody", r#"{"act":"approve"}"#, 404),
        ("sandbox-approves", r#"{"act":"decline"}"#, 409),
        ("sandbox-obeys", r#"{"act":"dance"}"#, 400),
        ("sandbox-obeys", "{}", 400),
    ] {
        assert_eq!(sandbox.play(person, body).0, status, "{person} {body}");
    }
}
