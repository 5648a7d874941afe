//! What the benchmarks share: measuring in turns, and the parties of each scenario.
//!
//! Every figure is a ratio of a subject to a baseline measured in the same run; see `benches/README.md`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends here")]

pub mod alternate;
pub mod approvals;
pub mod batch;
pub mod codes;
pub mod dkls;
pub mod enrolment;
#[path = "../../signer-core/src/credential/tests/fixed.rs"]
mod fixed;
pub mod history;
pub mod http;
pub mod many;
pub mod online;
pub mod parties;
pub mod phone;
pub mod qr;
mod server;
pub mod single;
