//! OpenBao's transit engine, driven by the same client: one signature a call.

use signer_benches::http::Request;

use crate::{
    drive::{Plan, closed_loop},
    table::{Report, Usage},
    target::address,
};

/// Signs the same digest again and again.
pub(crate) fn measure(plan: &Plan, url: &str, token: &str, key: &str, pids: &[u32]) -> Report {
    let body = br#"{"input":"LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=","prehashed":true,"marshaling_algorithm":"jws"}"#;
    let header = format!("x-vault-token: {token}");
    let path = format!("/v1/transit/sign/{key}/sha2-256");
    let request = Request::post(&path, "application/json", &[&header], body);
    closed_loop(
        plan,
        address(url),
        "sign",
        || Usage::of(pids),
        |line| {
            let (status, reply) = line.exchange(&request).map_err(|error| error.to_string())?;
            let signed = status == 200 && reply.windows(9).any(|part| part == b"vault:v1:");
            if signed { Ok(()) } else { Err(format!("status {status}")) }
        },
    )
}
