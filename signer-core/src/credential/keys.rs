//! The issuers a verifier trusts: which key signs which documents, and when.
//! They come from the trust list ([`crate::trust::TrustList::issuer_keys`]).

use alloc::vec::Vec;

use p256::ecdsa::VerifyingKey;

use super::{document::DocumentType, hex::Kid};
use crate::{time::UnixSeconds, trust::IssuerId};

/// One key of an issuer for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKey {
    /// Whose: places in status lists and what may be used once are the issuer's own.
    pub issuer: IssuerId,
    /// The public key.
    pub key: VerifyingKey,
    /// The kinds of document it may sign.
    pub document_types: Vec<DocumentType>,
    /// From when it signs.
    pub not_before: UnixSeconds,
    /// Until when it signs; what it signed lives on for its 26 hours.
    pub not_after: UnixSeconds,
}

impl IssuerKey {
    /// Whether it may have signed a credential for `kind` in the hour of `issued`.
    #[must_use]
    pub fn may_sign(&self, kind: DocumentType, issued: UnixSeconds) -> bool {
        self.document_types.contains(&kind) && self.not_before.hour() <= issued && issued < self.not_after
    }
}

/// The keys of every issuer a verifier trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IssuerKeys {
    keys: Vec<IssuerKey>,
}

impl IssuerKeys {
    /// These keys and no other.
    #[must_use]
    pub const fn new(keys: Vec<IssuerKey>) -> Self {
        Self { keys }
    }

    /// The keys.
    #[must_use]
    pub fn as_slice(&self) -> &[IssuerKey] {
        &self.keys
    }

    /// All keys that `kid` may mean.
    pub(super) fn matching(&self, kid: Kid) -> impl Iterator<Item = &IssuerKey> {
        self.keys.iter().filter(move |key| Kid::of(&key.key) == kid)
    }
}
