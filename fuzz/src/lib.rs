//! What the fuzz targets share: fixed keys, made once per process, and the driver of the integration tests.

/// The suite of fuzzed sessions. Those of `es256` take seconds each under the sanitizer.
pub(crate) const SUITE: signer_core::suite::SuiteId = signer_core::suite::SuiteId::FrostSecp256k1Sha256;

pub mod qr;
pub mod session;
pub mod trust;
pub mod wire;
pub mod wrapped;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../signer-core/src/credential/tests/fixed.rs"]
mod fixed;

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../../signer-core/tests/protocol/common/mod.rs"]
mod common;
