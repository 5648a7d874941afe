//! The counter: the program `signer` as root of trust and as shop, and the lists that a shop keeps.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod lists;
mod online;
mod support;
