//! Shops that check codes online at a whole server, beside a server that only says hello.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, routing::post};
use p256::{ecdsa::SigningKey, elliptic_curve::Generate as _};
use serde::{Deserialize, Serialize};
use signer_core::{
    codec::List,
    credential::{DayCredential, DocumentType, Show, Step, StepRule, Turn, digits},
    device_key::DevicePublicKeyBytes,
    secret::SecretBytes,
    suite::SuiteId,
    wire::{
        CreateRelyingParty, DayKeyRequest, IssueCredentials, Profile, VerifyCode, WireSecret, day_key_proof,
    },
};
use tokio::runtime::Runtime;

use crate::{
    http::{Request, Run, send},
    phone::{Phone, person, sign},
    server::{Server, together},
};

/// Shops, each with one connection, each checking its next code when it has its answer.
pub const SHOPS: usize = 64;
/// Credentials of each phone: a batch as phones fetch them.
const BATCH: usize = 16;

/// The server, and phones with credentials. There is a phone for each shop.
#[derive(Debug)]
pub struct World {
    server: Server,
    verifier: String,
    batches: Vec<Batch>,
    rounds: u64,
}

impl World {
    /// Starts the server, enrols the phones and issues each a batch of `profile`.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        let server = Server::start(Some(&register()));
        let (_, verifier) = server.register(CreateRelyingParty {
            name: "Shop of Examples".into(),
            may_verify: true,
            ..CreateRelyingParty::default()
        });
        let batches = server.runtime.block_on(together((0..SHOPS).map(|number| {
            let service = Arc::clone(&server.service);
            async move {
                let mut phone = Phone::enrol(&service, SuiteId::FrostSecp256k1Sha256, number).await;
                let (asked, keys) = ask(&mut phone, profile);
                let issued = service.issue(&phone.seal(service.now(), &asked)).await.unwrap();
                let credentials = issued.credentials.as_slice().iter();
                let credentials = credentials.map(|one| DayCredential::from_bytes(one.as_slice()).unwrap());
                let WireSecret(secret) = issued.otp_secret;
                (number, Batch { credentials: credentials.zip(keys).collect(), secret })
            }
        })));
        Self { server, verifier, batches, rounds: 0 }
    }

    /// Every credential shown once, as requests to check it: one list for each shop. A credential has sixteen codes in a step, so
    /// more rounds than that wait for the next one.
    ///
    /// # Panics
    /// If anything fails.
    pub fn prepare(&mut self) -> Vec<Vec<Request>> {
        let turn = Turn::try_from(u8::try_from(self.rounds % 16).unwrap()).unwrap();
        self.rounds += 1;
        let now = self.server.service.now();
        let step = StepRule::STANDARD.step_at(now);
        let authorization = format!("authorization: Bearer {}", self.verifier);
        let check = |text: &str, request_id: String| {
            let code = VerifyCode { code: text.into(), request_id, profile: None, request: None };
            let body = serde_json::to_vec(&code).unwrap();
            Request::post("/v1/verifications", "application/json", &[&authorization], &body)
        };
        let shops = self.batches.iter().enumerate().map(|(shop, batch)| {
            let codes = batch.credentials.iter().enumerate().map(|(place, (credential, key))| {
                let show = batch.show(credential, step, turn);
                let code = credential.present(&show, now, StepRule::STANDARD, key).unwrap();
                check(code.as_str(), format!("round-{}-{shop}-{place}", self.rounds))
            });
            codes.collect()
        });
        shops.collect()
    }

    /// Sends what was prepared.
    ///
    /// # Panics
    /// If a code is not green.
    #[must_use]
    pub fn verify(&self, prepared: Vec<Vec<Request>>) -> Run {
        let run = send(self.server.address, prepared);
        for reply in &run.replies {
            let text = String::from_utf8_lossy(reply);
            assert!(text.contains(r#""result":"green""#), "{text}");
        }
        run
    }
}

/// A server that reads a JSON body and answers one: what HTTP alone costs.
#[derive(Debug)]
pub struct Hello {
    _runtime: Runtime,
    address: SocketAddr,
}

#[derive(Debug, Serialize, Deserialize)]
struct Greeting {
    hello: String,
}

impl Hello {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/", post(async |Json(greeting): Json<Greeting>| Json(greeting)));
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { _runtime: runtime, address }
    }

    /// So many requests as the shops send in one round.
    #[must_use]
    pub fn greet(&self) -> Run {
        let request = Request::post("/", "application/json", &[], br#"{"hello":"world"}"#);
        send(self.address, vec![vec![request; BATCH]; SHOPS])
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self::new()
    }
}

/// Credentials with their day keys, and the secret of their digits.
#[derive(Debug)]
struct Batch {
    credentials: Vec<(DayCredential, SigningKey)>,
    secret: SecretBytes<32>,
}

impl Batch {
    fn show(&self, credential: &DayCredential, step: Step, turn: Turn) -> Show {
        let digits = digits(&self.secret, credential.claims().status(), step, turn);
        Show { step, turn, digits, challenge: None }
    }
}

fn ask(phone: &mut Phone, profile: Profile) -> (IssueCredentials, Vec<SigningKey>) {
    let keys: Vec<_> = (0..BATCH).map(|_| SigningKey::generate_from_rng(&mut phone.rng)).collect();
    let asked = keys.iter().map(|key| {
        let point = key.verifying_key().to_sec1_point(true);
        let day_key = DevicePublicKeyBytes(point.as_bytes().try_into().unwrap());
        let proof = sign(key, day_key_proof(phone.device, profile, &day_key));
        DayKeyRequest { profile, day_key, proof }
    });
    let asked = IssueCredentials {
        document_type: DocumentType::DrivingLicence.number().into(),
        keys: List::new(asked.collect()).unwrap(),
    };
    (asked, keys)
}

/// A register of the phones' holders.
fn register() -> String {
    let licence = |number| {
        let licence = serde_json::json!([{
            "document_type": "driving_licence",
            "family": "Шевченко",
            "given": "Олена Григорівна",
            "birth": "1994-03-09",
            "number": format!("BXT{number:06}"),
            "expires": "2046-08-01",
            "rights": "A,B",
        }]);
        (person(number), licence)
    };
    serde_json::Value::from((0..SHOPS).map(licence).collect::<serde_json::Map<_, _>>()).to_string()
}
