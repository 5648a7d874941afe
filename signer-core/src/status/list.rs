//! One list: made by its issuer, read under the trust list.

use alloc::vec::Vec;
use core::fmt;

use p256::ecdsa::VerifyingKey;

use super::{
    STATUS_LIST_BYTES_MAX, STATUS_LIST_LIFE_SECONDS, STATUS_LIST_PERIOD_SECONDS,
    bits::{Status, Statuses},
    envelope::{PROTECTED, StatusClaims, StatusEnvelope},
};
use crate::{
    codec::{self, CodecError},
    credential::{
        UnsignedEnvelope,
        cose::{self, Sign1},
    },
    time::UnixSeconds,
    trust::{IssuerId, KeyUse, StatusUri, TrustList, TrustedKey},
};

/// Why a status list is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusListError {
    /// Not the one encoding of a list, or not exactly 2^20 entries when inflated.
    #[error("this is not a status list")]
    Malformed,
    /// No listed issuer has this list, or none of its keys for status lists is meant.
    #[error("the status list is not one of an issuer on the trust list")]
    UnknownIssuer,
    /// The signature is not the key's.
    #[error("the signature of the status list is wrong")]
    BadSignature,
    /// A list with a later date was seen.
    #[error("a newer state of the status list was seen")]
    Older,
    /// A list with the same date was seen, and says worse of a credential.
    #[error("a list with the same date was seen, and this one takes withdrawals of it back")]
    Conflict,
}

impl StatusListError {
    /// Stable code, as in the vectors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::BadSignature => "bad_signature",
            Self::Older => "older",
            Self::Conflict => "conflict",
        }
    }
}

impl From<CodecError> for StatusListError {
    fn from(_: CodecError) -> Self {
        Self::Malformed
    }
}

impl Statuses {
    /// The bytes for `key` to sign: list `number` at `uri`, dated with the quarter of an hour that holds `now`.
    #[must_use]
    pub fn prepare(
        &self,
        uri: &StatusUri,
        number: u32,
        now: UnixSeconds,
        key: &VerifyingKey,
    ) -> UnsignedEnvelope {
        let issued = now.minus(now.0 % STATUS_LIST_PERIOD_SECONDS);
        let payload = codec::encode(&StatusClaims { uri: uri.of_list(number), issued, zlib: self.deflate() });
        UnsignedEnvelope::under(key, PROTECTED, payload, StatusEnvelope::encode)
    }
}

/// A status list whose issuer was believed. Keeps only what is not valid. `Debug` counts it.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    issuer: IssuerId,
    number: u32,
    issued: UnixSeconds,
    key: VerifyingKey,
    revoked: Vec<u32>,
    suspended: Vec<u32>,
}

impl StatusList {
    /// Reads a list under the trust list: its address must be one of an issuer's, its signature by a key of that issuer
    /// for status lists, valid at its date.
    ///
    /// # Errors
    /// [`StatusListError`], the first of: form, issuer, signature, content.
    pub fn verify(bytes: &[u8], trust: &TrustList) -> Result<Self, StatusListError> {
        let StatusEnvelope(envelope) = codec::decode(bytes, STATUS_LIST_BYTES_MAX)?;
        let claims: StatusClaims = codec::decode(&envelope.payload, STATUS_LIST_BYTES_MAX)?;
        let (issuer, number) = address(&claims.uri, trust).ok_or(StatusListError::UnknownIssuer)?;
        let key = signer(&envelope, issuer, claims.issued, trust)?.key;
        // Only what an issuer has signed is inflated.
        let statuses = Statuses::inflate(&claims.zlib).ok_or(StatusListError::Malformed)?;
        let (mut revoked, mut suspended) = (Vec::new(), Vec::new());
        for (index, status) in statuses.withdrawn() {
            if status == Status::Suspended { suspended.push(index) } else { revoked.push(index) }
        }
        Ok(Self { issuer, number, issued: claims.issued, key, revoked, suspended })
    }

    /// Whose list.
    #[must_use]
    pub const fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// Its number at the issuer.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Its date: withdrawals are known to then. Raises a verifier's clock floor.
    #[must_use]
    pub const fn issued(&self) -> UnixSeconds {
        self.issued
    }

    /// Whether at `now` it is a day old.
    #[must_use]
    pub const fn is_old(&self, now: UnixSeconds) -> bool {
        now.0 >= self.issued.plus(STATUS_LIST_LIFE_SECONDS).0
    }

    /// What it says of the credential at `index`, or `None` beyond its end.
    #[must_use]
    pub fn status(&self, index: u32) -> Option<Status> {
        let has = |indexes: &[u32]| indexes.binary_search(&index).is_ok();
        match index {
            super::ENTRIES.. => None,
            _ if has(&self.revoked) => Some(Status::Revoked),
            _ if has(&self.suspended) => Some(Status::Suspended),
            _ => Some(Status::Valid),
        }
    }

    /// Whether it says nothing better than `other` of any credential: suspended is worse than valid, revoked than suspended.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let as_bad = |index: &u32, worst: Status| match self.status(*index) {
            Some(Status::Revoked) => true,
            status => status == Some(worst),
        };
        other.revoked.iter().all(|index| as_bad(index, Status::Revoked))
            && other.suspended.iter().all(|index| as_bad(index, Status::Suspended))
    }

    /// Whether the key that signed it is still one of its issuer's for status lists.
    pub(super) fn is_trusted(&self, trust: &TrustList) -> bool {
        let fits =
            |key: &TrustedKey| key.issuer == self.issuer && key.key == self.key && key.signs_at(self.issued);
        trust.keys_for(KeyUse::StatusLists).any(fits)
    }
}

impl fmt::Debug for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (revoked, suspended) = (self.revoked.len(), self.suspended.len());
        write!(f, "StatusList({:?}, {}, {revoked} revoked, {suspended} suspended)", self.issuer, self.number)
    }
}

/// Issuer and number of the list at `uri`.
fn address(uri: &str, trust: &TrustList) -> Option<(IssuerId, u32)> {
    let (base, digits) = uri.rsplit_once('/')?;
    let number: u32 = digits.parse().ok()?;
    let issuer = trust.issuers().iter().find(|issuer| issuer.status_uri.as_str() == base)?;
    (issuer.status_uri.of_list(number) == uri).then_some((issuer.id, number))
}

/// All of the issuer's keys under the hint are tried.
fn signer<'a>(
    envelope: &Sign1,
    issuer: IssuerId,
    issued: UnixSeconds,
    trust: &'a TrustList,
) -> Result<&'a TrustedKey, StatusListError> {
    let kid = envelope.kid.ok_or(StatusListError::Malformed)?;
    let signed = cose::sig_structure_under(PROTECTED, &[], &envelope.payload);
    let mut error = StatusListError::UnknownIssuer;
    for key in trust.matching(KeyUse::StatusLists, kid).filter(|key| key.issuer == issuer) {
        if !cose::verifies(&key.key, &signed, &envelope.signature) {
            error = StatusListError::BadSignature;
        } else if key.signs_at(issued) {
            return Ok(key);
        } else {
            return Err(StatusListError::UnknownIssuer);
        }
    }
    Err(error)
}
