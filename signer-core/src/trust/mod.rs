//! Whom a verifier trusts: the numbered list of issuers and their keys, signed by an offline root. Format and rules:
//! `spec/trust.md`.
//!
//! 1. [`TrustList`] is the content, which an operator writes as JSON; [`TrustList::prepare`] makes the bytes for a root to sign.
//! 2. [`SignedTrustList::verify`] believes a first list, [`SignedTrustList::update`] a newer one, never an older.
//! 3. [`TrustList::issuer_keys`] is what [`verify`](crate::credential::verify) needs.

mod entry;
mod json;
mod list;
mod signed;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails the test")]
pub(crate) mod tests;

pub use entry::{Issuer, IssuerId, KeyUse, Life, StatusUri, TrustedKey};
pub use list::{TrustList, TrustListFault};
pub use signed::{SignedTrustList, TrustListError};

/// Most bytes of a signed trust list.
pub const TRUST_LIST_BYTES_MAX: usize = 256 * 1024;
/// From this age on a list is old: what it does not know any more can be an issuer's stolen key.
pub const TRUST_LIST_OLD_SECONDS: u64 = 7 * 86_400;
/// Most roots in a list.
pub const ROOTS_MAX: usize = 8;
