//! Whether a signer's certificate was issued under an authority the verifier trusts, is in its time, and is not revoked.

use der::{Decode as _, Encode as _};
use p256::{
    ecdsa::{Signature, VerifyingKey, signature::Verifier as _},
    pkcs8::DecodePublicKey as _,
};
use signer_core::{
    certificate::{
        CHAIN_MAX, CertificateError, CheckedCertificate, certificates_from_pem, check_chain, raw_from_der,
    },
    suite::GroupPublicKey,
    time::UnixSeconds,
};
use x509_cert::{
    Certificate,
    crl::CertificateList,
    ext::{Extensions, pkix::KeyUsage},
};

use super::{
    SignerCertificates,
    certificate::{is_self_issued, read},
    cms_types::ECDSA_WITH_SHA_256,
};

/// Longest revocation list that is read, bytes.
const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Whom a verifier believes, and what it knows of revocations.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    anchors: Vec<Vec<u8>>,
    crl: Option<CertificateList>,
}

/// Why a signer's certificate is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A file of certificates is not PEM or DER.
    #[error("the certificates of the authority cannot be read")]
    Anchors,
    /// No authority of the verifier issued it, directly or through the certificates at hand.
    #[error("the certificate was not issued under an authority that is trusted here")]
    Unknown,
    /// A certificate on the way breaks a rule.
    #[error(transparent)]
    Chain(#[from] CertificateError),
    /// The revocation list is malformed, not by the certificate's issuer, demands something unknown, or is not of now.
    #[error("the revocation list is not a current one of the certificate's issuer")]
    Crl,
    /// The issuer took the certificate back, for good or for now.
    #[error("the certificate is on the issuer's revocation list")]
    Revoked,
}

/// A signer's certificate that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The signer's certificate.
    pub certificate: CheckedCertificate,
    /// Its subject, in the text form of RFC 4514. Escape control characters before showing it.
    pub subject: String,
    /// Whether a revocation list was looked at.
    pub revocation_checked: bool,
}

impl Trust {
    /// Believes the authorities in `file`, certificates in PEM or one in DER.
    ///
    /// # Errors
    /// [`TrustError::Anchors`]
    pub fn new(file: &[u8]) -> Result<Self, TrustError> {
        let anchors = certificates_in(file).ok_or(TrustError::Anchors)?;
        if anchors.iter().any(|anchor| read(anchor).is_err()) {
            return Err(TrustError::Anchors);
        }
        Ok(Self { anchors, crl: None })
    }

    /// Looks at this revocation list (PEM or DER) too. It must be by the issuer of the signer's certificate.
    ///
    /// # Errors
    /// [`TrustError::Crl`] if it cannot be read.
    pub fn with_crl(self, file: &[u8]) -> Result<Self, TrustError> {
        let der = match file {
            [0x30, ..] => file.to_vec(),
            _ => match der::pem::decode_vec(file) {
                Ok(("X509 CRL", der)) => der,
                _ => return Err(TrustError::Crl),
            },
        };
        let crl = CertificateList::from_der(&der).ok().filter(|_| der.len() <= CRL_BYTES_MAX);
        let crl = crl.filter(|crl| crl.to_der().as_ref() == Ok(&der)).ok_or(TrustError::Crl)?;
        Ok(Self { crl: Some(crl), ..self })
    }

    /// Checks the signer's certificate up to an authority, as of `now`.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn check(&self, signer: &SignerCertificates, now: UnixSeconds) -> Result<Trusted, TrustError> {
        let path = self.path(signer)?;
        let point = signer.key().to_sec1_point(true);
        let key = point.as_bytes().try_into().map_err(|_| CertificateError::PublicKey)?;
        let certificate = check_chain(&path, &GroupPublicKey(key), now)?;
        let [leaf, issuer, ..] = path.as_slice() else { return Err(TrustError::Unknown) };
        let (leaf, issuer) = (parsed(leaf)?, parsed(issuer)?);
        if let Some(crl) = &self.crl {
            check_crl(crl, &leaf, &issuer, now)?;
        }
        let subject = leaf.tbs_certificate().subject().to_string();
        Ok(Trusted { certificate, subject, revocation_checked: self.crl.is_some() })
    }

    /// The signer's certificate, those between, an authority of ours. By names only: signatures are checked afterwards.
    fn path(&self, signer: &SignerCertificates) -> Result<Vec<Vec<u8>>, TrustError> {
        let mut path = vec![signer.signer().to_vec()];
        while path.len() < CHAIN_MAX {
            let Some(last) = path.last() else { break };
            let last = parsed(last)?;
            let issued_it = |der: &&Vec<u8>| {
                read(der).is_ok_and(|other| {
                    other.tbs_certificate().subject() == last.tbs_certificate().issuer()
                        && is_signed_by(&last, &other)
                })
            };
            if let Some(anchor) = self.anchors.iter().find(issued_it) {
                path.push(anchor.clone());
                return Ok(path);
            }
            match signer.others().iter().find(issued_it) {
                Some(other) if !is_self_issued(&parsed(other)?) => path.push(other.clone()),
                _ => break,
            }
        }
        Err(TrustError::Unknown)
    }
}

/// The certificates of a file in PEM, or the one in DER.
#[must_use]
pub fn certificates_in(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    match file {
        [0x30, ..] => Some(vec![file.to_vec()]),
        _ => certificates_from_pem(std::str::from_utf8(file).ok()?).ok(),
    }
}

fn parsed(der: &[u8]) -> Result<Certificate, TrustError> {
    read(der).map_err(|_| TrustError::Chain(CertificateError::Malformed))
}

fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let signed = certificate.tbs_certificate().to_der();
    signed.is_ok_and(|signed| {
        verifies(issuer, &signed, certificate.signature_algorithm(), certificate.signature())
    })
}

fn verifies(
    issuer: &Certificate,
    signed: &[u8],
    algorithm: &x509_cert::AlgorithmIdentifier,
    signature: &der::asn1::BitString,
) -> bool {
    let key = issuer.tbs_certificate().subject_public_key_info().to_der().ok();
    let key = key.and_then(|der| VerifyingKey::from_public_key_der(&der).ok());
    let raw = signature.as_bytes().and_then(|der| raw_from_der(der).ok());
    let signature = raw.and_then(|raw| Signature::from_slice(&raw).ok());
    let (Some(key), Some(signature)) = (key, signature) else { return false };
    *algorithm == ECDSA_WITH_SHA_256 && key.verify(signed, &signature).is_ok()
}

/// RFC 5280 §6.3, for a complete list by the certificate's own issuer.
fn check_crl(
    crl: &CertificateList,
    certificate: &Certificate,
    issuer: &Certificate,
    now: UnixSeconds,
) -> Result<(), TrustError> {
    let list = &crl.tbs_cert_list;
    let authority = issuer.tbs_certificate();
    let usage = authority.get_extension::<KeyUsage>().map_err(|_| TrustError::Crl)?;
    let may_sign = usage.is_none_or(|(_, usage)| usage.crl_sign());
    let signed = list.to_der().map_err(|_| TrustError::Crl)?;
    let authentic = list.issuer == *authority.subject()
        && may_sign
        && list.signature == crl.signature_algorithm
        && verifies(issuer, &signed, &crl.signature_algorithm, &crl.signature);
    let (this_update, next_update) = (seconds(list.this_update), list.next_update.map(seconds));
    let current = this_update <= now && next_update.is_some_and(|next| now <= next);
    let revoked = list.revoked_certificates.as_deref().unwrap_or_default();
    let demands = has_critical(list.crl_extensions.as_ref())
        || revoked.iter().any(|entry| has_critical(entry.crl_entry_extensions.as_ref()));
    if !authentic || !current || demands {
        return Err(TrustError::Crl);
    }
    let serial = certificate.tbs_certificate().serial_number();
    if revoked.iter().any(|entry| entry.serial_number == *serial) {
        return Err(TrustError::Revoked);
    }
    Ok(())
}

fn has_critical(extensions: Option<&Extensions>) -> bool {
    extensions.is_some_and(|extensions| extensions.iter().any(|extension| extension.critical))
}

fn seconds(time: x509_cert::time::Time) -> UnixSeconds {
    UnixSeconds(time.to_unix_duration().as_secs())
}
