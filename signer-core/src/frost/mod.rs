//! FROST(secp256k1, SHA-256), RFC 9591, 2 of 2.
/// The suite.
#[derive(Debug)]
pub struct Frost;
