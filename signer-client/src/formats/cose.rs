//! COSE_Sign1 with detached payload, ES256 (RFC 9052 §4.2, RFC 9053 §2.1), naming its certificate (RFC 9360 §2).

use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, TaggedCborSerializable as _,
    cbor::value::Value, iana,
};
use signer_core::domain::sha256;

use super::{CertificateRef, FILE_BYTES_MAX, Format, FormatError, SignerCertificates, Verified};

const X5CHAIN: i64 = iana::HeaderParameter::X5Chain as i64;
const X5T: i64 = iana::HeaderParameter::X5T as i64;
/// RFC 9054 §3.2
const SHA_256: i64 = iana::Algorithm::SHA_256 as i64;

/// A COSE_Sign1 without its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedCose {
    certificate: CertificateRef,
    digest: [u8; 32],
}

impl UnsignedCose {
    /// A COSE_Sign1 over `document`.
    #[must_use]
    pub fn prepare(document: &[u8], certificate: &CertificateRef) -> Self {
        let envelope = CoseSign1Builder::new().protected(protected(certificate)).build();
        Self { certificate: certificate.clone(), digest: digest(&envelope, document) }
    }

    /// What is signed: SHA-256 of the Sig_structure.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The COSE_Sign1, under its tag, certificates in the unprotected header.
    ///
    /// # Errors
    /// [`FormatError::Certificate`] or [`FormatError::Signature`] if the arguments do not belong together.
    pub fn complete(
        self,
        signature: &[u8],
        certificates: &SignerCertificates,
    ) -> Result<Vec<u8>, FormatError> {
        let signature = certificates.check(&self.certificate, &self.digest, signature)?;
        let envelope = CoseSign1Builder::new()
            .protected(protected(&self.certificate))
            .unprotected(unprotected(certificates))
            .signature(signature.to_bytes().to_vec())
            .build();
        envelope.to_tagged_vec().map_err(|_| FormatError::Malformed("not a COSE_Sign1"))
    }
}

/// Verifies a COSE_Sign1 over `document`, under the certificate it carries.
///
/// # Errors
/// [`FormatError`]
pub fn verify_cose(file: &[u8], document: &[u8]) -> Result<Verified, FormatError> {
    let malformed = FormatError::Malformed("not a COSE_Sign1 with detached payload");
    if file.len() > FILE_BYTES_MAX {
        return Err(malformed);
    }
    let envelope = CoseSign1::from_tagged_slice(file).map_err(|_| malformed)?;
    let same = envelope.clone().to_tagged_vec().is_ok_and(|bytes| bytes == file);
    if !same || envelope.payload.is_some() {
        return Err(malformed);
    }
    let certificates = embedded(&envelope.unprotected)?;
    let expected = protected(certificates.reference());
    if envelope.protected.header != expected {
        return Err(FormatError::Certificate);
    }
    // The bytes too: a header can be written in more than one way.
    if envelope.protected.original_data != expected.to_vec().ok() {
        return Err(FormatError::Malformed("the protected header of the COSE_Sign1"));
    }
    certificates.check_signature(&digest(&envelope, document), &envelope.signature)?;
    Ok(Verified { format: Format::Cose, certificates, signing_time: None })
}

/// `{1: -7, 34: [-16, SHA-256 of the certificate]}`
fn protected(certificate: &CertificateRef) -> Header {
    let thumbprint = Value::Array(vec![SHA_256.into(), Value::Bytes(certificate.sha256.to_vec())]);
    HeaderBuilder::new().algorithm(iana::Algorithm::ES256).value(X5T, thumbprint).build()
}

/// `{33: certificate}`, or a list of them.
fn unprotected(certificates: &SignerCertificates) -> Header {
    let mut chain: Vec<_> =
        certificates.embedded().into_iter().map(|der| Value::Bytes(der.to_vec())).collect();
    let value = if chain.len() == 1 { chain.remove(0) } else { Value::Array(chain) };
    HeaderBuilder::new().value(X5CHAIN, value).build()
}

fn embedded(header: &Header) -> Result<SignerCertificates, FormatError> {
    let malformed = FormatError::Malformed("the certificates of the COSE_Sign1");
    let [(_, value)] = header.rest.as_slice() else { return Err(malformed) };
    let ders: Option<Vec<_>> = match value {
        Value::Bytes(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_bytes).collect(),
        _ => None,
    };
    let certificates = SignerCertificates::new(&ders.ok_or(malformed)?)?;
    if *header == unprotected(&certificates) { Ok(certificates) } else { Err(malformed) }
}

/// SHA-256 of `["Signature1", protected, h'', document]`. The envelope's own payload is absent.
fn digest(envelope: &CoseSign1, document: &[u8]) -> [u8; 32] {
    sha256(&envelope.tbs_detached_data(document, b""))
}
