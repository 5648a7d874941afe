//! Status lists: which credentials are withdrawn, for verifiers without network. IETF Token Status List in its COSE form;
//! rules: `spec/trust.md`.
//!
//! 1. [`Statuses`] is what an issuer writes, [`Statuses::prepare`] makes the bytes for its key to sign.
//! 2. [`StatusList::verify`] reads one under the trust list.
//! 3. [`StatusLists`] is what a verifier keeps, never one older than it had, and [`StatusLists::withdrawals`] what it says.

mod bits;
mod collection;
mod envelope;
mod list;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails the test")]
pub(crate) mod tests;

pub use bits::{Status, Statuses};
pub use collection::{StatusLists, Withdrawals};
pub use list::{StatusList, StatusListError};

/// Entries of every list.
pub const ENTRIES: u32 = 1 << 20;
/// A list is made anew every 15 minutes, and is dated with the quarter of the hour.
pub const STATUS_LIST_PERIOD_SECONDS: u64 = 900;
/// From this age on a list is old: its `exp`.
pub const STATUS_LIST_LIFE_SECONDS: u64 = 86_400;
/// Most bytes of a signed list: one that does not compress at all.
pub const STATUS_LIST_BYTES_MAX: usize = 288 * 1024;
/// Media type of a list.
pub const STATUS_LIST_MEDIA_TYPE: &str = "application/statuslist+cwt";
