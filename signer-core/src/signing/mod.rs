//! Fetch and approve: who learns what, and in which order (design 2.1 to 2.3).
//!
//! ```text
//! device                                     server
//! FetchSent::start  ──── Fetch ────────────▶ answer_fetch            stores nothing
//! FetchSent::shown  ◀─── Fetched ───────────
//!   holder reads, types the PIN
//! Shown::approve    ──── Approve ──────────▶ CheckedApprove::new     form only, nothing secret touched
//!                                              … reserve, durable …
//!                                            CheckedApprove::evaluate
//!                                              … settle, durable …
//! Sent::accept      ◀─── Evaluated ─────────
//! ```

mod device;
mod server;

pub use self::{device::*, server::*};
use crate::{
    codec,
    domain::{Domain, Macer},
    pin::GateKey,
    secret::SecretBytes,
    suite::{Commitments, GroupPublicKey, KeyContext, PROTOCOL_VERSION, SigningContext},
    time::UnixSeconds,
    wire::ApprovePayload,
};

/// Gate MAC over a payload whose `mac` is zero, and over what the payload stands on.
fn approve_mac(
    gate_key: &GateKey,
    context: &KeyContext,
    public_key: &GroupPublicKey,
    request_hash: &[u8; 32],
    payload: &ApprovePayload,
) -> Macer {
    let body = zeroize::Zeroizing::new(codec::encode(payload));
    Macer::new(gate_key.expose(), Domain::GateApprove)
        .number(PROTOCOL_VERSION.into())
        .number(context.suite.number().into())
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
        .field(&public_key.0)
        .field(request_hash)
        .field(&body)
}

/// MAC under the nonce key over a fetch and its answer. With it comes back what the server gave out and did not store, so
/// that an approve need not make the commitments again to know them.
fn fetch_receipt(
    nonce_key: &SecretBytes<32>,
    context: &KeyContext,
    public_key: &GroupPublicKey,
    request_hash: &[u8; 32],
    fetched_at: UnixSeconds,
    commitments: &[Commitments<'_>],
) -> Macer {
    let mac = Macer::new(nonce_key, Domain::FetchReceipt)
        .number(PROTOCOL_VERSION.into())
        .number(context.suite.number().into())
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
        .field(&public_key.0)
        .field(request_hash)
        .number(fetched_at.0);
    commitments.iter().fold(mac, |mac, pair| mac.field(pair.device.as_slice()).field(pair.server.as_slice()))
}

/// The signing contexts of a request's digests, in order.
fn contexts<'a>(
    key: KeyContext,
    public_key: GroupPublicKey,
    request_hash: [u8; 32],
    fetched_at: UnixSeconds,
    documents: &'a [crate::approval::Document],
) -> impl Iterator<Item = SigningContext<'a>> {
    (0_u32..).zip(documents).map(move |(index, document)| SigningContext {
        key,
        public_key,
        request_hash,
        fetched_at,
        index,
        digest: &document.digest,
    })
}
