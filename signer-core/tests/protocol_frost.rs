//! The protocol under FROST, through its public interface alone: both parties in one process, and what must not work
//! between them. The same tests run under `es256` in `protocol_es256.rs`.
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

pub(crate) const SUITE: SuiteId = SuiteId::FrostSecp256k1Sha256;

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
