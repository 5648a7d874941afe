//! The signer's certificate: what is known of it before the holder agrees, and the whole of it afterwards.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use der::{Decode as _, Encode as _};
use p256::{
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _},
    pkcs8::DecodePublicKey as _,
};
use signer_core::{
    certificate::{CERTIFICATE_BYTES_MAX, CHAIN_MAX},
    domain::sha256,
    wire::{SignedResult, SigningCertificate},
};
use x509_cert::{Certificate, name::Name, serial_number::SerialNumber};

use super::FormatError;

/// Names a certificate without its holder: a relying party may not learn who somebody is before they agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRef {
    /// SHA-256 of the certificate's DER.
    pub(super) sha256: [u8; 32],
    /// Who issued it.
    pub(super) issuer: Name,
    /// Its number with the issuer.
    pub(super) serial: SerialNumber,
}

impl CertificateRef {
    /// The certificate with this SHA-256, issued by `issuer` (DER of a `Name`) under `serial` (big endian).
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if the name is not DER or the serial number is not one of RFC 5280 §4.1.2.2.
    pub fn new(sha256: [u8; 32], issuer: &[u8], serial: &[u8]) -> Result<Self, FormatError> {
        let name = Name::from_der(issuer).ok().filter(|name| name.to_der().as_deref() == Ok(issuer));
        let issuer =
            name.filter(|name| !name.is_empty()).ok_or(FormatError::Malformed("the issuer's name"))?;
        let serial = SerialNumber::new(serial).map_err(|_| FormatError::Malformed("the serial number"))?;
        Ok(Self { sha256, issuer, serial })
    }

    /// The certificate that a server names.
    ///
    /// # Errors
    /// [`FormatError::Malformed`]
    pub fn from_wire(certificate: &SigningCertificate) -> Result<Self, FormatError> {
        let bytes = |text: &str| {
            BASE64_STANDARD.decode(text).map_err(|_| FormatError::Malformed("the certificate's reference"))
        };
        let sha256 = bytes(&certificate.certificate_sha256)?
            .try_into()
            .map_err(|_| FormatError::Malformed("the certificate's SHA-256"))?;
        Self::new(sha256, &bytes(&certificate.issuer)?, &bytes(&certificate.serial)?)
    }

    /// SHA-256 of the certificate's DER.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

/// The signer's certificate, for a P-256 key, with others that may lead from it to an authority. Nothing about them is
/// believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerCertificates {
    signer: Vec<u8>,
    others: Vec<Vec<u8>>,
    reference: CertificateRef,
    key: VerifyingKey,
}

impl SignerCertificates {
    /// DER certificates, the signer's first.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if there is none, there are too many, one is not strict DER, or the signer's key is not of
    /// P-256.
    pub fn new<T: AsRef<[u8]>>(certificates: &[T]) -> Result<Self, FormatError> {
        let (signer, others) = certificates
            .split_first()
            .filter(|_| certificates.len() <= CHAIN_MAX)
            .ok_or(FormatError::Malformed("no certificate, or too many"))?;
        let parsed = read(signer.as_ref())?;
        for other in others {
            read(other.as_ref())?;
        }
        let tbs = parsed.tbs_certificate();
        let key = tbs.subject_public_key_info().to_der().ok();
        let key = key.and_then(|der| VerifyingKey::from_public_key_der(&der).ok());
        Ok(Self {
            signer: signer.as_ref().to_vec(),
            others: others.iter().map(|other| other.as_ref().to_vec()).collect(),
            reference: CertificateRef {
                sha256: sha256(signer.as_ref()),
                issuer: tbs.issuer().clone(),
                serial: tbs.serial_number().clone(),
            },
            key: key.ok_or(FormatError::Malformed("the certificate's key is not of P-256"))?,
        })
    }

    /// The certificates of a result.
    ///
    /// # Errors
    /// [`FormatError::NoCertificate`] if there are none, [`FormatError::Malformed`].
    pub fn of_result(result: &SignedResult) -> Result<Self, FormatError> {
        let chain = result.certificate_chain.as_deref().ok_or(FormatError::NoCertificate)?;
        let ders: Result<Vec<_>, _> = chain.iter().map(|text| BASE64_STANDARD.decode(text)).collect();
        Self::new(&ders.map_err(|_| FormatError::Malformed("a certificate"))?)
    }

    /// The certificates of a file in PEM, the signer's first, or the one in DER.
    ///
    /// # Errors
    /// [`FormatError::Malformed`]
    pub fn of_file(file: &[u8]) -> Result<Self, FormatError> {
        Self::new(&super::certificates_in(file).ok_or(FormatError::Malformed("not a file of certificates"))?)
    }

    /// DER of the signer's certificate.
    #[must_use]
    pub fn signer(&self) -> &[u8] {
        &self.signer
    }

    /// DER of the other certificates.
    #[must_use]
    pub fn others(&self) -> &[Vec<u8>] {
        &self.others
    }

    /// What names the signer's certificate.
    #[must_use]
    pub const fn reference(&self) -> &CertificateRef {
        &self.reference
    }

    /// The signer's public key.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// What a container carries: all but authorities that vouch for themselves. Those must come from the verifier.
    pub(super) fn embedded(&self) -> Vec<&[u8]> {
        let issued = |der: &&Vec<u8>| read(der).is_ok_and(|other| !is_self_issued(&other));
        std::iter::once(self.signer()).chain(self.others.iter().filter(issued).map(Vec::as_slice)).collect()
    }

    /// Checks that this is the certificate of `reference`, and that its key made `signature` over `digest`.
    pub(super) fn check(
        &self,
        reference: &CertificateRef,
        digest: &[u8; 32],
        signature: &[u8],
    ) -> Result<Signature, FormatError> {
        if self.reference != *reference {
            return Err(FormatError::Certificate);
        }
        self.check_signature(digest, signature)
    }

    /// Checks that the signer's key made `signature`, raw `r || s` with low s, over `digest`.
    pub(super) fn check_signature(
        &self,
        digest: &[u8; 32],
        signature: &[u8],
    ) -> Result<Signature, FormatError> {
        let signature = Signature::from_slice(signature).map_err(|_| FormatError::Signature)?;
        // Of the two that verify, the suite makes the one with low s.
        if signature.normalize_s() != signature || self.key.verify_prehash(digest, &signature).is_err() {
            return Err(FormatError::Signature);
        }
        Ok(signature)
    }
}

/// Reads a certificate in its one encoding.
pub(super) fn read(der: &[u8]) -> Result<Certificate, FormatError> {
    let malformed = FormatError::Malformed("a certificate");
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(malformed);
    }
    let certificate = Certificate::from_der(der).map_err(|_| malformed)?;
    if certificate.to_der().as_deref() == Ok(der) { Ok(certificate) } else { Err(malformed) }
}

pub(super) fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject()
}
