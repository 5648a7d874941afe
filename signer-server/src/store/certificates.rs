//! Certificates of holders' keys, and the built-in authority's own.

use async_trait::async_trait;
use signer_core::{ids::DeviceId, time::UnixSeconds};

use super::StoreResult;

/// Why a certificate is on the revocation list (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// None given.
    Unspecified,
    /// A share was, or may have been, abused.
    KeyCompromise,
    /// The holder's name or ties changed.
    AffiliationChanged,
    /// The holder enrolled again.
    Superseded,
    /// The key is no longer needed.
    CessationOfOperation,
    /// Suspended: the only reason that can be taken back.
    Hold,
    /// The holder may no longer have it.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::Hold,
        Self::PrivilegeWithdrawn,
    ];

    /// Its `CRLReason` number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::Hold => 6,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The name an operator gives it by, if an operator may revoke for it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unspecified => Some("unspecified"),
            Self::KeyCompromise => Some("key_compromise"),
            Self::AffiliationChanged => Some("affiliation_changed"),
            Self::Superseded => Some("superseded"),
            Self::CessationOfOperation => Some("cessation_of_operation"),
            Self::PrivilegeWithdrawn => Some("privilege_withdrawn"),
            Self::Hold => None,
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == Some(name))
    }
}

/// A certificate with its chain. The chain names a person, so it rests wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// The installation whose key it is for.
    pub device: DeviceId,
    /// SHA-256 of the signer's own certificate, DER.
    pub sha256: [u8; 32],
    /// The wrapped chain.
    pub wrapped_chain: Vec<u8>,
    /// Serial number of the signer's own, big endian, 1 to 20 bytes.
    pub serial: Vec<u8>,
    /// From an authority elsewhere.
    pub imported: bool,
    /// First second of its validity.
    pub not_before: UnixSeconds,
    /// Last second of its validity.
    pub not_after: UnixSeconds,
}

/// An entry of the revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Serial number, big endian.
    pub serial: Vec<u8>,
    /// Why.
    pub reason: RevocationReason,
    /// Since when.
    pub at: UnixSeconds,
}

/// What the next revocation list is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlBasis {
    /// Its number: higher than any before.
    pub number: u64,
    /// [`Certificates::revocation_changes`] when it was read.
    pub changes: u64,
    /// Its entries, by serial number.
    pub entries: Vec<Revoked>,
}

/// Certificates. Their states follow their installation's standing, in the transaction that changes it.
#[async_trait]
pub trait Certificates: Send + Sync {
    /// Stores the authority's certificate unless there is one; returns the one that is stored.
    async fn authority(&self, offer: Vec<u8>, now: UnixSeconds) -> StoreResult<Vec<u8>>;

    /// Adds a certificate, which is then the one in use. False if it is there already, or its installation is not in good
    /// standing.
    async fn add_certificate(&self, certificate: CertificateRow, now: UnixSeconds) -> StoreResult<bool>;

    /// The certificate in use: the last one added.
    async fn certificate(&self, device: DeviceId) -> StoreResult<Option<CertificateRow>>;

    /// The certificate that was in use at a time; the first one, if that was later.
    async fn certificate_at(&self, device: DeviceId, at: UnixSeconds) -> StoreResult<Option<CertificateRow>>;

    /// The certification request of an installation's key, DER.
    async fn certificate_request(&self, device: DeviceId) -> StoreResult<Option<Vec<u8>>>;

    /// A number that changes with every change of what the revocation list says.
    async fn revocation_changes(&self) -> StoreResult<u64>;

    /// Takes the next number for a revocation list, with what goes into it. Entries stay also after their certificate's
    /// end: signatures are checked later.
    async fn next_crl(&self, now: UnixSeconds) -> StoreResult<CrlBasis>;
}
