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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn raw(r: u8, s: u8) -> [u8; 64] {
        let mut raw = [0; 64];
        raw[31] = r;
        raw[63] = s;
        raw
    }

    #[test]
    fn pki_004_both_encodings_of_a_signature_are_strict() {
        assert_eq!(der_from_raw(&raw(1, 2)).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 2]);
        let mut high = [0x7f; 64];
        high[0] = 0x80;
        for raw in [raw(1, 2), raw(0x80, 0xff), [0x7f; 64], high] {
            assert_eq!(raw_from_der(&der_from_raw(&raw).unwrap()).unwrap(), raw);
        }
        // The group order and what is above it, zero, other lengths.
        for wrong in [raw(0, 1), raw(1, 0), [0xff; 64]] {
            assert_eq!(der_from_raw(&wrong), Err(CertificateError::Signature));
        }
        for length in [0, 63, 65, 72] {
            assert_eq!(der_from_raw(&vec![1; length]), Err(CertificateError::Signature));
        }
        for wrong in [
            &[0x30, 6, 2, 1, 0, 2, 1, 2][..],      // r = 0
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 2],       // an added zero
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 2],    // a longer length
            &[0x30, 6, 2, 1, 0x81, 2, 1, 2],       // a negative r
            &[0x30, 6, 2, 1, 1, 2, 1, 2, 0],       // something after it
            &[0x30, 9, 2, 1, 1, 2, 1, 2, 2, 1, 3], // a third number
            &[0x30, 3, 2, 1, 1],                   // one number
            &[0x31, 6, 2, 1, 1, 2, 1, 2],          // a set
            &[],
        ] {
            assert_eq!(raw_from_der(wrong), Err(CertificateError::Signature), "{wrong:02x?}");
        }
    }
}
