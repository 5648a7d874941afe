//! Shops that check codes online at a whole server, beside a server that only says hello.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, routing::post};
use serde::{Deserialize, Serialize};
use signer_core::{
    suite::SuiteId,
    wire::{BATCH_MAX, CreateRelyingParty, Profile, VerifyCode},
};
use tokio::runtime::Runtime;

use crate::{
    batch::{self, Batch, TURNS, licence},
    http::{Request, Run, send},
    phone::{Phone, person},
    server::{Server, together},
};

/// Shops, each with one connection, each checking its next code when it has its answer.
pub const SHOPS: usize = 64;

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
                let (asked, question) = batch::ask(&mut phone, profile);
                let issued = service.issue(&phone.seal(service.now(), &question)).await.unwrap();
                (number, asked.issued(issued))
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
        let turn = u8::try_from(self.rounds % u64::from(TURNS)).unwrap();
        self.rounds += 1;
        let now = self.server.service.now();
        let check = |code: &str, request_id: String| {
            verification(
                &self.verifier,
                &VerifyCode { code: code.into(), request_id, profile: None, request: None },
            )
        };
        let shops = self.batches.iter().enumerate().map(|(shop, batch)| {
            let codes = (0..BATCH_MAX).map(|place| {
                let code = batch.code(place, turn, now).unwrap();
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

/// A verifier's question, under its token.
///
/// # Panics
/// If it is no JSON.
#[must_use]
pub fn verification(token: &str, question: &VerifyCode) -> Request {
    let authorization = format!("authorization: Bearer {token}");
    let body = serde_json::to_vec(question).unwrap();
    Request::post("/v1/verifications", "application/json", &[&authorization], &body)
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
        send(self.address, vec![vec![request; BATCH_MAX]; SHOPS])
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self::new()
    }
}

/// A register of the phones' holders.
fn register() -> String {
    let licence = |number| (person(number), vec![licence(number)].into());
    serde_json::Value::from((0..SHOPS).map(licence).collect::<serde_json::Map<_, _>>()).to_string()
}
