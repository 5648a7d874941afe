//! JWS in compact form, ES256 (RFC 7515 §7.1, RFC 7518 §3.4), its content inside or detached (RFC 7515 appendix F).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use signer_core::{domain::sha256, time::UnixSeconds};

use super::{CertificateRef, Format, FormatError, SignerCertificates, Verified};

/// The protected header, its members in this order without spaces. There is no other form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    /// RFC 7515 §4.1.8
    #[serde(rename = "x5t#S256")]
    certificate_sha256: String,
    /// When it was signed, Unix seconds: the claim of RFC 7519 §4.1.6 as a header. Who does not know it ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
}

impl Header {
    fn new(certificate: &CertificateRef, signing_time: Option<UnixSeconds>) -> Self {
        Self {
            alg: "ES256".into(),
            certificate_sha256: BASE64_URL_SAFE_NO_PAD.encode(certificate.sha256),
            iat: signing_time.map(|time| time.0),
        }
    }

    fn encode(&self) -> String {
        // A struct of strings and a number has no way to fail.
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Option<Self> {
        let header: Self = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (header.encode() == text).then_some(header)
    }
}

/// Where the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsPayload {
    /// In the JWS.
    Attached,
    /// Beside it: the middle part is empty.
    Detached,
}

/// A JWS without its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedJws {
    certificate: CertificateRef,
    /// Header and, if attached, payload, each in base64url.
    head: String,
    digest: [u8; 32],
}

impl UnsignedJws {
    /// A JWS over `document`.
    #[must_use]
    pub fn prepare(
        document: &[u8],
        certificate: &CertificateRef,
        signing_time: Option<UnixSeconds>,
        payload: JwsPayload,
    ) -> Self {
        let header = Header::new(certificate, signing_time).encode();
        let signing_input = signing_input(&header, document);
        let digest = sha256(signing_input.as_bytes());
        let head = match payload {
            JwsPayload::Attached => signing_input,
            JwsPayload::Detached => format!("{header}."),
        };
        Self { certificate: certificate.clone(), head, digest }
    }

    /// What is signed: SHA-256 of the JWS Signing Input.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The JWS.
    ///
    /// # Errors
    /// [`FormatError::Certificate`] or [`FormatError::Signature`] if the arguments do not belong together.
    pub fn complete(
        self,
        signature: &[u8],
        certificates: &SignerCertificates,
    ) -> Result<String, FormatError> {
        let signature = certificates.check(&self.certificate, &self.digest, signature)?;
        Ok(format!("{}.{}", self.head, BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }
}

/// Verifies a JWS over `document`, which may also be inside.
///
/// # Errors
/// [`FormatError`]
pub fn verify_jws(
    file: &[u8],
    document: &[u8],
    certificates: &SignerCertificates,
) -> Result<Verified, FormatError> {
    let text = std::str::from_utf8(file).map_err(|_| FormatError::Malformed("not a JWS"))?;
    let mut parts = text.split('.');
    let (Some(encoded), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(FormatError::Malformed("not a compact JWS"));
    };
    let header = Header::decode(encoded).ok_or(FormatError::Malformed("the header of the JWS"))?;
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| FormatError::Malformed("the signature of the JWS"))?;
    let signing_time = header.iat.map(UnixSeconds);
    if header != (Header { iat: header.iat, ..Header::new(certificates.reference(), None) }) {
        return Err(FormatError::Certificate);
    }
    let signing_input = signing_input(encoded, document);
    let attached = signing_input.split_once('.').is_some_and(|(_, expected)| expected == payload);
    if !payload.is_empty() && !attached {
        return Err(FormatError::Document);
    }
    certificates.check_signature(&sha256(signing_input.as_bytes()), &signature)?;
    Ok(Verified { format: Format::Jws, certificates: certificates.clone(), signing_time })
}

/// RFC 7515 §5.1 step 8.
fn signing_input(header: &str, document: &[u8]) -> String {
    let mut input = format!("{header}.");
    BASE64_URL_SAFE_NO_PAD.encode_string(document, &mut input);
    input
}
