//! The document register of the phones' holders: everybody has a driving licence. `spec/registers.md`.

use std::{net::SocketAddr, path::Path};

use axum::{
    Json, Router, extract,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use signer_benches::batch::licence;
use tokio::runtime::Runtime;

/// A register that answers while it lives.
pub(crate) struct Register {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Register {
    /// Answers at an address.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address));
        let listener = listener.unwrap_or_else(|error| panic!("--register {address}: {error}"));
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/v1/persons/{person}/documents/{type}", get(document));
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, _runtime: runtime }
    }

    /// The server's configuration for it. Whoever asks is answered: the token in the file may be any.
    pub(crate) fn settings(&self, token_file: &Path) -> String {
        format!("[register]\nurl = \"http://{}\"\ntoken_file = {token_file:?}\n", self.address)
    }
}

async fn document(extract::Path((_, kind)): extract::Path<(String, String)>) -> Response {
    if kind == "driving_licence" {
        return Json(licence(0)).into_response();
    }
    let problem = serde_json::json!({ "code": "no_document" }).to_string();
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/problem+json")], problem).into_response()
}
