//! The protocol under `es256`, through its public interface alone: both parties in one process, and what must not work
//! between them. The same tests run under FROST in `protocol_frost.rs`; what differs is in `protocol/common/bad.rs`.
//! The messages themselves (`wir_*`) are tested here only.
//!
//! `UPDATE=1` rewrites the golden files and the vectors: a difference there is a change of the protocol.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it does not expect"
)]

use signer_core::suite::SuiteId;

pub(crate) const SUITE: SuiteId = SuiteId::Es256;

#[path = "protocol/cer_hostile_device.rs"]
mod cer_hostile_device;
#[path = "protocol/cer_hostile_server.rs"]
mod cer_hostile_server;
#[path = "protocol/cer_whole.rs"]
mod cer_whole;
#[path = "protocol/common/mod.rs"]
mod common;
#[path = "protocol/sig_hostile_device.rs"]
mod sig_hostile_device;
#[path = "protocol/sig_hostile_server.rs"]
mod sig_hostile_server;
#[path = "protocol/sig_nonces.rs"]
mod sig_nonces;
#[path = "protocol/sig_secrets.rs"]
mod sig_secrets;
#[path = "protocol/sig_whole.rs"]
mod sig_whole;
#[path = "protocol/vectors.rs"]
mod vectors;
#[path = "protocol/wir_envelope.rs"]
mod wir_envelope;
#[path = "protocol/wir_golden.rs"]
mod wir_golden;
#[path = "protocol/wir_messages.rs"]
mod wir_messages;
#[path = "protocol/wir_samples.rs"]
mod wir_samples;
