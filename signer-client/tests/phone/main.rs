//! The phone against a server in memory. Requirements CLI-nnn are listed in `spec/protocol.md`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod display;
mod history;
mod request;
mod show;
mod sign;
mod state;
mod support;
