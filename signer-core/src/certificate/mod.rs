//! X.509 around a key that exists as two shares: the request both parties sign together, what a certificate must be, and
//! the two encodings of an ECDSA signature. Profiles and lifecycle: `spec/certificates.md`.
//!
//! Only for suites whose signatures are ordinary ECDSA P-256 ones.

mod chain;
mod ecdsa_signature;
mod request;

use alloc::{string::String, vec::Vec};

use p256::ecdsa::VerifyingKey;
use x509_cert::{
    AlgorithmIdentifier, SubjectPublicKeyInfo,
    der::{
        Encode,
        asn1::{BitString, ObjectIdentifier},
        pem::{LineEnding, encode_string},
    },
    spki::EncodePublicKey as _,
};

pub use self::{chain::*, ecdsa_signature::*, request::*};
use crate::suite::GroupPublicKey;

/// Arc of this project's own object identifiers. It lies under the enterprise number that RFC 5612 keeps for
/// documentation: a placeholder until a number is registered. An arc made from a UUID (2.25) was not taken because common
/// libraries refuse arcs of more than 32 bits.
pub const ARC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.7400");
/// Attribute of a certification request that binds it to its ceremony, and extension of a certificate that says which request
/// it was issued for: an OCTET STRING of 32 bytes.
pub const BINDING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.7400.1");
/// Certificate policy of the built-in authority: a placeholder that promises nothing.
pub const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.7400.2");
/// Longest certificate or request that is read, bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 4096;
/// Most certificates of a chain, the signer's own counted in.
pub const CHAIN_MAX: usize = 5;

/// ecdsa-with-SHA256 (RFC 5758 §3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Why a request, a certificate or a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not DER of the expected structure, too long, or with something added.
    #[error("not the strict DER that is expected")]
    Malformed,
    /// Not a P-256 key, or not the key it must be for.
    #[error("the public key is not the expected one")]
    PublicKey,
    /// A signature is not ecdsa-with-SHA256 on P-256, or does not verify.
    #[error("a signature does not verify (only ECDSA P-256 with SHA-256 is supported)")]
    Signature,
    /// A certificate of the chain did not issue the one before it, or may not issue any.
    #[error("a certificate was not issued by the next one of the chain")]
    Issuer,
    /// A certificate of the chain is not valid yet, or no more.
    #[error("a certificate is outside its time of validity")]
    Validity,
    /// A certificate cannot be used to sign documents, or demands something unknown.
    #[error("a certificate is not for signing documents, or has an unknown critical extension")]
    Usage,
}

/// `der` as PEM (RFC 7468), `label` without its dashes: `CERTIFICATE`, `CERTIFICATE REQUEST`, `X509 CRL`.
///
/// # Errors
/// [`CertificateError::Malformed`] if `label` is not one, or `der` too long.
pub fn to_pem(label: &str, der: &[u8]) -> Result<String, CertificateError> {
    encode_string(label, LineEnding::LF, der).map_err(|_| CertificateError::Malformed)
}

/// Every certificate of a PEM file, in its order.
///
/// # Errors
/// [`CertificateError::Malformed`] if there is none, too many, or something else.
pub fn certificates_from_pem(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end =
            rest.find(END).and_then(|at| at.checked_add(END.len())).ok_or(CertificateError::Malformed)?;
        let (one, after) = rest.split_at_checked(end).ok_or(CertificateError::Malformed)?;
        let (label, der) =
            x509_cert::der::pem::decode_vec(one.as_bytes()).map_err(|_| CertificateError::Malformed)?;
        if label != "CERTIFICATE" || found.len() >= CHAIN_MAX {
            return Err(CertificateError::Malformed);
        }
        found.push(der);
        rest = after.trim_start();
    }
    if found.is_empty() { Err(CertificateError::Malformed) } else { Ok(found) }
}

/// A group public key as X.509 writes it: uncompressed point, curve by name (RFC 5480).
///
/// # Errors
/// [`CertificateError::PublicKey`] if it is not a compressed point of P-256.
pub fn public_key_info(public_key: &GroupPublicKey) -> Result<SubjectPublicKeyInfo, CertificateError> {
    let compressed = public_key.0.first().is_some_and(|form| matches!(form, 2 | 3));
    let key = VerifyingKey::from_sec1_bytes(&public_key.0).ok().filter(|_| compressed);
    let document = key.and_then(|key| key.to_public_key_der().ok()).ok_or(CertificateError::PublicKey)?;
    document.decode_msg().map_err(|_| CertificateError::PublicKey)
}

/// The P-256 key in a public key info.
fn verifying_key(info: &SubjectPublicKeyInfo) -> Result<VerifyingKey, CertificateError> {
    let der = info.to_der().map_err(|_| CertificateError::Malformed)?;
    let key = p256::pkcs8::DecodePublicKey::from_public_key_der(&der);
    key.map_err(|_| CertificateError::PublicKey)
}

const fn algorithm() -> AlgorithmIdentifier {
    AlgorithmIdentifier { oid: ECDSA_WITH_SHA256, parameters: None }
}

/// Whether `signature` under `algorithm` is `key`'s over `signed`.
fn verify(
    key: &VerifyingKey,
    signed: &[u8],
    algorithm: &AlgorithmIdentifier,
    signature: &BitString,
) -> Result<(), CertificateError> {
    use p256::ecdsa::{Signature, signature::Verifier as _};
    if *algorithm != self::algorithm() {
        return Err(CertificateError::Signature);
    }
    let raw = raw_from_der(signature.as_bytes().ok_or(CertificateError::Signature)?)?;
    let signature = Signature::from_slice(&raw).map_err(|_| CertificateError::Signature)?;
    key.verify(signed, &signature).map_err(|_| CertificateError::Signature)
}
