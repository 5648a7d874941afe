//! What a certificate must be before a phone or a server believes it: for this key, for signing, in time, and issued by
//! the next one of its chain (RFC 5280 §6.1, for chains of ECDSA P-256 without name or policy constraints).

use alloc::vec::Vec;

use p256::ecdsa::VerifyingKey;
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _, asn1::OctetStringRef, oid::AssociatedOid as _},
    ext::pkix::{BasicConstraints, KeyUsage},
    time::Time,
};

use super::{
    BINDING, CERTIFICATE_BYTES_MAX, CHAIN_MAX, CertificateError, public_key_info, verify, verifying_key,
};
use crate::{suite::GroupPublicKey, time::UnixSeconds};

/// A certificate that is for a key and was issued by its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCertificate {
    /// Serial number, big endian, without leading zeros.
    pub serial: Vec<u8>,
    /// DER of the issuer's distinguished name.
    pub issuer: Vec<u8>,
    /// First second of its validity.
    pub not_before: UnixSeconds,
    /// Last second of its validity.
    pub not_after: UnixSeconds,
    /// The binding of the request it was issued for, if it names one.
    pub binding: Option<[u8; 32]>,
}

/// Checks a chain of DER certificates, the signer's own first, an authority last. The last one is believed: whether it is an
/// authority anyone should trust is not for this function to say.
///
/// # Errors
/// [`CertificateError`], naming the rule that is broken.
pub fn check_chain<T: AsRef<[u8]>>(
    chain: &[T],
    public_key: &GroupPublicKey,
    now: UnixSeconds,
) -> Result<CheckedCertificate, CertificateError> {
    if !(2..=CHAIN_MAX).contains(&chain.len()) {
        return Err(CertificateError::Malformed);
    }
    let chain = chain.iter().map(|der| read(der.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let (leaf, authorities) = chain.split_first().ok_or(CertificateError::Malformed)?;
    let tbs = leaf.tbs_certificate();
    if *tbs.subject_public_key_info() != public_key_info(public_key)? {
        return Err(CertificateError::PublicKey);
    }
    check_signer(leaf)?;
    for certificate in &chain {
        check_time(certificate, now)?;
        check_critical(certificate)?;
    }
    for (below, (subject, issuer)) in chain.iter().zip(authorities).enumerate() {
        check_issued(subject, issuer, below)?;
    }
    Ok(CheckedCertificate {
        serial: tbs.serial_number().as_bytes().to_vec(),
        issuer: tbs.issuer().to_der().map_err(|_| CertificateError::Malformed)?,
        not_before: seconds(tbs.validity().not_before),
        not_after: seconds(tbs.validity().not_after),
        binding: binding(leaf)?,
    })
}

/// Reads a certificate that has one encoding: what is verified below is then what was signed.
fn read(der: &[u8]) -> Result<Certificate, CertificateError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::Malformed);
    }
    let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
    let same = certificate.to_der().as_deref() == Ok(der);
    // RFC 5280 §4.1.1.2: the algorithm stands twice, and is one.
    let one_algorithm = certificate.signature_algorithm() == certificate.tbs_certificate().signature();
    if same && one_algorithm { Ok(certificate) } else { Err(CertificateError::Malformed) }
}

fn check_signer(certificate: &Certificate) -> Result<(), CertificateError> {
    let is_authority = constraints(certificate)?.is_some_and(|constraints| constraints.ca);
    let may_sign =
        usage(certificate)?.is_none_or(|usage| usage.digital_signature() || usage.non_repudiation());
    if is_authority || !may_sign { Err(CertificateError::Usage) } else { Ok(()) }
}

fn check_time(certificate: &Certificate, now: UnixSeconds) -> Result<(), CertificateError> {
    let validity = certificate.tbs_certificate().validity();
    let valid = (seconds(validity.not_before)..=seconds(validity.not_after)).contains(&now);
    if valid { Ok(()) } else { Err(CertificateError::Validity) }
}

fn check_critical(certificate: &Certificate) -> Result<(), CertificateError> {
    let known = [BasicConstraints::OID, KeyUsage::OID];
    let extensions = certificate.tbs_certificate().extensions();
    let unknown = |extensions: &Vec<x509_cert::ext::Extension>| {
        extensions.iter().any(|extension| extension.critical && !known.contains(&extension.extn_id))
    };
    if extensions.is_some_and(unknown) { Err(CertificateError::Usage) } else { Ok(()) }
}

/// Whether `issuer` issued `subject`, with `below` other authorities between it and the signer.
fn check_issued(subject: &Certificate, issuer: &Certificate, below: usize) -> Result<(), CertificateError> {
    let tbs = subject.tbs_certificate();
    let constraints = constraints(issuer)?.filter(|constraints| constraints.ca);
    let long_enough = constraints.is_some_and(|constraints| {
        constraints.path_len_constraint.is_none_or(|most| below <= usize::from(most))
    });
    let may_issue = usage(issuer)?.is_none_or(|usage| usage.key_cert_sign());
    if !long_enough || !may_issue || tbs.issuer() != issuer.tbs_certificate().subject() {
        return Err(CertificateError::Issuer);
    }
    let signed = tbs.to_der().map_err(|_| CertificateError::Malformed)?;
    verify(&key_of(issuer)?, &signed, subject.signature_algorithm(), subject.signature())
}

fn key_of(certificate: &Certificate) -> Result<VerifyingKey, CertificateError> {
    verifying_key(certificate.tbs_certificate().subject_public_key_info())
        .map_err(|_| CertificateError::Signature)
}

fn constraints(certificate: &Certificate) -> Result<Option<BasicConstraints>, CertificateError> {
    let found = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    found.map(|found| found.map(|(_, value)| value)).map_err(|_| CertificateError::Malformed)
}

fn usage(certificate: &Certificate) -> Result<Option<KeyUsage>, CertificateError> {
    let found = certificate.tbs_certificate().get_extension::<KeyUsage>();
    found.map(|found| found.map(|(_, value)| value)).map_err(|_| CertificateError::Malformed)
}

/// The extension with the binding, which stands once.
fn binding(certificate: &Certificate) -> Result<Option<[u8; 32]>, CertificateError> {
    let malformed = CertificateError::Malformed;
    let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let mut found = extensions.filter(|extension| extension.extn_id == BINDING);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(extension), None) => {
            let value = <&OctetStringRef>::from_der(extension.extn_value.as_bytes());
            let value = value.map_err(|_| malformed)?.as_bytes().try_into();
            value.map(Some).map_err(|_| malformed)
        }
        (Some(_), Some(_)) => Err(malformed),
    }
}

fn seconds(time: Time) -> UnixSeconds {
    UnixSeconds(time.to_unix_duration().as_secs())
}
