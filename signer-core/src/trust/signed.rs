//! A trust list under a root's signature, and the rule that none older is ever believed.

use alloc::vec::Vec;

use p256::ecdsa::VerifyingKey;

use super::{TRUST_LIST_BYTES_MAX, list::TrustList};
use crate::{
    codec::{self, CodecError},
    credential::{
        Kid, UnsignedEnvelope,
        cose::{self, Sign1},
    },
};

/// `external_aad` of a root's signature.
const AAD: &[u8] = b"DQ1/trust-list";

/// Why a trust list is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustListError {
    /// Not the one encoding of a list that keeps its rules.
    #[error("this is not a trust list: {0}")]
    Malformed(#[from] CodecError),
    /// No root that is believed has signed it.
    #[error("the trust list names a root that is not believed here")]
    UnknownRoot,
    /// The signature is not the root's.
    #[error("the signature of the trust list is wrong")]
    BadSignature,
    /// A list with a higher number was seen.
    #[error("a newer trust list was seen: {seen}, not {got}")]
    Older {
        /// Number of the list believed.
        seen: u64,
        /// Number of this one.
        got: u64,
    },
    /// Another list with the same number was seen.
    #[error("another trust list with the same number was seen")]
    Conflict,
}

impl TrustListError {
    /// Stable code, as in the vectors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownRoot => "unknown_root",
            Self::BadSignature => "bad_signature",
            Self::Older { .. } => "older",
            Self::Conflict => "conflict",
        }
    }
}

impl TrustList {
    /// The bytes for `root` to sign, offline.
    ///
    /// # Errors
    /// [`CodecError::TooLong`] if nobody would read it.
    pub fn prepare(&self, root: &VerifyingKey) -> Result<UnsignedEnvelope, CodecError> {
        let payload = codec::encode(self);
        // Head, header and signature take under 128 bytes.
        let got = payload.len().saturating_add(128);
        if got > TRUST_LIST_BYTES_MAX {
            return Err(CodecError::TooLong { got, max: TRUST_LIST_BYTES_MAX });
        }
        Ok(UnsignedEnvelope::named(root, AAD, payload))
    }
}

/// A list whose root was believed. Only [`Self::verify`] and [`Self::update`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTrustList {
    bytes: Vec<u8>,
    root: VerifyingKey,
    list: TrustList,
}

impl SignedTrustList {
    /// Believes a first list, if one of `roots` signed it.
    ///
    /// # Errors
    /// [`TrustListError`], the first of: form of the envelope, root, signature, form of the list.
    pub fn verify(bytes: &[u8], roots: &[VerifyingKey]) -> Result<Self, TrustListError> {
        let envelope: Sign1 = codec::decode(bytes, TRUST_LIST_BYTES_MAX)?;
        let root = *signer(&envelope, roots)?;
        let list = codec::decode(&envelope.payload, TRUST_LIST_BYTES_MAX)?;
        Ok(Self { bytes: bytes.to_vec(), root, list })
    }

    /// Believes a first list by a root that it names itself: for who has no root and trusts where the list came from, as with
    /// a key that is pinned at first use.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn first_use(bytes: &[u8]) -> Result<Self, TrustListError> {
        let envelope: Sign1 = codec::decode(bytes, TRUST_LIST_BYTES_MAX)?;
        let list: TrustList = codec::decode(&envelope.payload, TRUST_LIST_BYTES_MAX)?;
        Self::verify(bytes, &list.roots)
    }

    /// Takes a newer list in this one's place: signed by a pinned root or one that this list names. `false` if it is the
    /// same. After an error this list stays.
    ///
    /// # Errors
    /// [`TrustListError`]; of a list with a lower number, or with this one's number and other bytes.
    pub fn update(&mut self, bytes: &[u8], pinned: &[VerifyingKey]) -> Result<bool, TrustListError> {
        let roots = [pinned, &self.list.roots].concat();
        let other = Self::verify(bytes, &roots)?;
        let (seen, got) = (self.list.number, other.list.number);
        if got < seen {
            return Err(TrustListError::Older { seen, got });
        }
        if got == seen {
            return if other.bytes == self.bytes { Ok(false) } else { Err(TrustListError::Conflict) };
        }
        *self = other;
        Ok(true)
    }

    /// The list.
    #[must_use]
    pub const fn list(&self) -> &TrustList {
        &self.list
    }

    /// The root that signed it: who keeps the list keeps this key, under which it is read again.
    #[must_use]
    pub const fn root(&self) -> &VerifyingKey {
        &self.root
    }

    /// The bytes, as they are served and kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// All roots under the hint are tried.
fn signer<'a>(envelope: &Sign1, roots: &'a [VerifyingKey]) -> Result<&'a VerifyingKey, TrustListError> {
    let kid = envelope.kid.ok_or(CodecError::Malformed)?;
    let signed = cose::sig_structure(AAD, &envelope.payload);
    let mut error = TrustListError::UnknownRoot;
    for root in roots.iter().filter(|root| Kid::of(root) == kid) {
        if cose::verifies(root, &signed, &envelope.signature) {
            return Ok(root);
        }
        error = TrustListError::BadSignature;
    }
    Err(error)
}
