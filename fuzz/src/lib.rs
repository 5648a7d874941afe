//! What the fuzz targets share: fixed keys, made once per process, and the driver of the integration tests.

/// The suite of fuzzed sessions: the one with the longest messages.
pub(crate) const SUITE: signer_core::suite::SuiteId = signer_core::suite::SuiteId::Es256;

pub mod qr;
pub mod session;
pub mod wire;
pub mod wrapped;

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../../signer-core/tests/protocol/common/mod.rs"]
mod common;
