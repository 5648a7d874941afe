//! Relying parties that ask.

use signer_benches::http::{Connection, Request};
use signer_core::wire::{CreateRequest, CreatedRelyingParty};

use crate::target::Target;

/// A bank's token, as a header.
#[derive(Debug, Clone)]
pub(crate) struct Bank(String);

/// Registers so many.
pub(crate) fn register(target: &Target, count: usize) -> Vec<Bank> {
    let mut line = Connection::open(target.address());
    let one = |number: usize| {
        let body =
            serde_json::json!({ "name": format!("Bank {number}"), "may_ask": true, "may_verify": false });
        let made: CreatedRelyingParty =
            serde_json::from_slice(&line.send(&target.admin("/relying-parties", &body))).unwrap();
        Bank(format!("authorization: Bearer {}", made.token))
    };
    (0..count).map(one).collect()
}

impl Bank {
    pub(crate) fn ask(&self, request: &CreateRequest) -> Request {
        let body = serde_json::to_vec(request).unwrap();
        Request::post("/v1/requests", "application/json", &[&self.0], &body)
    }

    pub(crate) fn result(&self, id: &str) -> Request {
        Request::get(&format!("/v1/requests/{id}"), &[&self.0])
    }
}
