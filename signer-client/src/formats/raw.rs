//! A signature over the document itself, alone: raw `r || s` as the suite makes it, DER as a file.

use signer_core::{
    certificate::{der_from_raw, raw_from_der},
    domain::sha256,
};

use super::{CertificateRef, Format, FormatError, SignerCertificates, Verified};

/// A document to be signed as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedRaw {
    certificate: CertificateRef,
    digest: [u8; 32],
}

impl UnsignedRaw {
    /// SHA-256 of `document`.
    #[must_use]
    pub fn prepare(document: &[u8], certificate: &CertificateRef) -> Self {
        Self { certificate: certificate.clone(), digest: sha256(document) }
    }

    /// What is signed.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The signature in DER.
    ///
    /// # Errors
    /// [`FormatError::Certificate`] or [`FormatError::Signature`] if the arguments do not belong together.
    pub fn complete(
        self,
        signature: &[u8],
        certificates: &SignerCertificates,
    ) -> Result<Vec<u8>, FormatError> {
        certificates.check(&self.certificate, &self.digest, signature)?;
        der_from_raw(signature).map_err(|_| FormatError::Signature)
    }
}

/// Verifies a DER signature over `document`.
///
/// # Errors
/// [`FormatError`]
pub fn verify_der(
    file: &[u8],
    document: &[u8],
    certificates: &SignerCertificates,
) -> Result<Verified, FormatError> {
    let raw = raw_from_der(file).map_err(|_| FormatError::Malformed("not a DER signature"))?;
    verify_raw(&raw, document, certificates)
}

/// Verifies a raw signature `r || s` over `document`.
///
/// # Errors
/// [`FormatError::Signature`]
pub fn verify_raw(
    signature: &[u8],
    document: &[u8],
    certificates: &SignerCertificates,
) -> Result<Verified, FormatError> {
    certificates.check_signature(&sha256(document), signature)?;
    Ok(Verified { format: Format::Der, certificates: certificates.clone(), signing_time: None })
}
