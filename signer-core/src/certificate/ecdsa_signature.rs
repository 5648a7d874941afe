//! The two encodings of an ECDSA P-256 signature: raw `r || s` (RFC 7518 §3.4, RFC 9053 §2.1) and DER (RFC 3279 §2.2.3).

use alloc::vec::Vec;

use p256::ecdsa::{DerSignature, Signature};

use super::CertificateError;

/// Length of a raw signature, bytes.
pub const RAW_BYTES: usize = 64;
/// Longest DER signature, bytes.
pub const DER_BYTES_MAX: usize = 72;

/// `Ecdsa-Sig-Value` from raw `r || s`.
///
/// # Errors
/// [`CertificateError::Signature`] unless it is 64 bytes with both numbers from 1 to the group order less 1.
pub fn der_from_raw(raw: &[u8]) -> Result<Vec<u8>, CertificateError> {
    let signature = Signature::from_slice(raw).map_err(|_| CertificateError::Signature)?;
    Ok(signature.to_der().as_bytes().to_vec())
}

/// Raw `r || s` from `Ecdsa-Sig-Value`, in DER only: no longer lengths, no added zeros, nothing after it.
///
/// # Errors
/// [`CertificateError::Signature`].
pub fn raw_from_der(der: &[u8]) -> Result<[u8; RAW_BYTES], CertificateError> {
    let signature = DerSignature::from_bytes(der).and_then(Signature::try_from);
    let signature = signature.map_err(|_| CertificateError::Signature)?;
    // One value, one encoding.
    if signature.to_der().as_bytes() != der {
        return Err(CertificateError::Signature);
    }
    Ok(signature.to_bytes().into())
}
