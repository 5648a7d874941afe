//! The certification request (PKCS#10, RFC 2986). Both parties compute the same bytes from the same inputs, and sign their
//! hash together; none of it travels before it is signed.

use alloc::{vec, vec::Vec};

use x509_cert::{
    attr::Attribute,
    der::{
        Any, Decode as _, Encode as _,
        asn1::{BitString, OctetStringRef, SetOfVec},
    },
    name::Name,
    request::{CertReq, CertReqInfo, Version},
};

use super::{
    BINDING, CERTIFICATE_BYTES_MAX, CertificateError, algorithm, der_from_raw, public_key_info, verify,
    verifying_key,
};
use crate::{domain::sha256, suite::GroupPublicKey};

/// DER of the `CertificationRequestInfo` for `public_key`: version 0, an empty subject (the authority knows the holder, the
/// request says nothing personal), the key, and one attribute with `binding`.
///
/// # Errors
/// [`CertificateError::PublicKey`] if it is not a compressed point of P-256.
pub fn request_info(public_key: &GroupPublicKey, binding: &[u8; 32]) -> Result<Vec<u8>, CertificateError> {
    info(public_key, binding)?.to_der().map_err(|_| CertificateError::Malformed)
}

/// What is signed at enrolment: SHA-256 of [`request_info`].
///
/// # Errors
/// [`CertificateError::PublicKey`] if it is not a compressed point of P-256.
pub fn request_digest(public_key: &GroupPublicKey, binding: &[u8; 32]) -> Result<[u8; 32], CertificateError> {
    request_info(public_key, binding).map(|info| sha256(&info))
}

/// DER of the request: the info with its signature, raw `r || s`. Whether the signature is right is not looked at.
///
/// # Errors
/// [`CertificateError::PublicKey`] or [`CertificateError::Signature`] if one is malformed.
pub fn assemble_request(
    public_key: &GroupPublicKey,
    binding: &[u8; 32],
    signature: &[u8],
) -> Result<Vec<u8>, CertificateError> {
    let signature =
        BitString::from_bytes(&der_from_raw(signature)?).map_err(|_| CertificateError::Malformed)?;
    let request = CertReq { info: info(public_key, binding)?, algorithm: algorithm(), signature };
    request.to_der().map_err(|_| CertificateError::Malformed)
}

/// A request of ours whose signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The key it asks a certificate for.
    pub public_key: GroupPublicKey,
    /// What it was made for.
    pub binding: [u8; 32],
}

/// Reads a request of the form of [`assemble_request`] and verifies it.
///
/// # Errors
/// [`CertificateError`].
pub fn verify_request(der: &[u8]) -> Result<Request, CertificateError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::Malformed);
    }
    let request = CertReq::from_der(der).map_err(|_| CertificateError::Malformed)?;
    let key = verifying_key(&request.info.public_key)?;
    let point = key.to_sec1_point(true);
    let public_key = GroupPublicKey(point.as_bytes().try_into().map_err(|_| CertificateError::PublicKey)?);
    let binding = binding_of(&request).ok_or(CertificateError::Malformed)?;
    // The same again from what was read: nothing else is in it.
    let info = info(&public_key, &binding)?;
    if request.info != info || request.to_der().as_deref() != Ok(der) {
        return Err(CertificateError::Malformed);
    }
    let signed = info.to_der().map_err(|_| CertificateError::Malformed)?;
    verify(&key, &signed, &request.algorithm, &request.signature)?;
    Ok(Request { public_key, binding })
}

fn info(public_key: &GroupPublicKey, binding: &[u8; 32]) -> Result<CertReqInfo, CertificateError> {
    let malformed = |_| CertificateError::Malformed;
    let value = OctetStringRef::new(binding).and_then(|value| Any::encode_from(&value)).map_err(malformed)?;
    let values = SetOfVec::try_from(vec![value]).map_err(malformed)?;
    let attributes = SetOfVec::try_from(vec![Attribute { oid: BINDING, values }]).map_err(malformed)?;
    Ok(CertReqInfo {
        version: Version::V1,
        subject: Name::default(),
        public_key: public_key_info(public_key)?,
        attributes,
    })
}

fn binding_of(request: &CertReq) -> Option<[u8; 32]> {
    let attribute = request.info.attributes.iter().next()?;
    let value = attribute.values.iter().next()?;
    value.decode_as::<&OctetStringRef>().ok()?.as_bytes().try_into().ok()
}
