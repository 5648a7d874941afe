//! The server's half of split-key signatures, and the issuer and verifier of three-minute codes.

pub mod store;
