//! What the fuzz targets share: fixed keys, made once per process, and the driver of the integration tests.

pub mod qr;
pub mod session;
pub mod wire;
pub mod wrapped;

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../../signer-core/tests/protocol/common/mod.rs"]
mod common;
