//! One wrapped secret.

use std::sync::OnceLock;

use signer_core::{
    secret::SecretBytes,
    wrap::{Kek, Location, wrap},
};

use crate::common::Stream;

/// Its place.
pub const HERE: Location<'static> = Location { table: "key", row: b"row", column: "share", epoch: 1 };
/// The secret.
pub const SECRET: &[u8] = b"a share of a key";

/// The key it is wrapped under.
pub fn kek() -> &'static Kek {
    static KEK: OnceLock<Kek> = OnceLock::new();
    KEK.get_or_init(|| Kek::new(SecretBytes::new([7; 32])))
}

/// The true bytes.
pub fn truth() -> &'static [u8] {
    static TRUTH: OnceLock<Vec<u8>> = OnceLock::new();
    TRUTH.get_or_init(|| wrap(kek(), &HERE, SECRET, &mut Stream::new(1)).unwrap().as_bytes().to_vec())
}
