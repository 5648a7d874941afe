//! The protocol through its public interface alone: both parties in one process, and what must not work between them.
//!
//! `cer_nnn_…`, `sig_nnn_…` and `wir_nnn_…` prove the requirement of that id; the list is `spec/notes-core.md`.
//! `UPDATE=1` rewrites the golden files and the vectors: a difference there is a change of the protocol.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at what it does not expect"
)]

mod common;

mod cer_hostile_device;
mod cer_hostile_server;
mod cer_whole;
mod sig_hostile_device;
mod sig_hostile_server;
mod sig_nonces;
mod sig_secrets;
mod sig_whole;
mod vectors;
mod wir_envelope;
mod wir_golden;
mod wir_messages;
mod wir_samples;
