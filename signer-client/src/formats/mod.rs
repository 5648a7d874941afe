//! ES256 signatures in the containers others read: a bare DER signature, CMS, JWS, COSE, PDF. Pure functions, no IO.
//!
//! Each container is made in two calls, so that the key can be anywhere. `prepare` takes the document and what is known of the
//! signer's certificate, and gives the digest that is signed; `complete` takes the signature and the certificate, checks that
//! they belong together, and gives the file. Each has one strict verifier, which takes exactly what is written here.
//!
//! ```text
//! CertificateRef + document ─▶ Unsigned ─ digest ─▶ (the holder agrees) ─ signature, certificates ─▶ Unsigned::complete ─▶ file
//! file + document ─▶ verify ─▶ Verified ─▶ check_trust (authority, time, revocation)
//! ```
//!
//! Layouts and what each signature covers: `spec/formats.md`.

mod certificate;
mod cms;
mod cms_types;
mod cose;
mod jws;
mod pdf;
mod raw;
mod trust;

use signer_core::time::UnixSeconds;

pub use self::{
    certificate::{CertificateRef, SignerCertificates},
    cms::{UnsignedCms, verify_cms},
    cose::{UnsignedCose, verify_cose},
    jws::{JwsPayload, UnsignedJws, verify_jws},
    pdf::{CERTIFICATES_BYTES_MAX, PDF_BYTES_MAX, Pdf, PdfError, UnsignedPdf, verify_pdf},
    raw::{UnsignedRaw, verify_der, verify_raw},
    trust::{Trust, TrustError, Trusted, certificates_in},
};

/// Longest file of a container that does not hold the document, bytes.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// A container for one signature over one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// A bare `ECDSA-Sig-Value` (RFC 3279 §2.2.3), over the document itself.
    Der,
    /// CMS SignedData, detached (RFC 5652), with the attributes of CAdES baseline B.
    Cms,
    /// JWS in compact form with detached content (RFC 7515 appendix F).
    Jws,
    /// COSE_Sign1 with detached payload (RFC 9052).
    Cose,
    /// The PDF itself, with a signature of PAdES baseline B-B in it.
    Pdf,
}

impl Format {
    /// What the file's name gets after the document's.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Der => "der",
            Self::Cms => "p7s",
            Self::Jws => "jws",
            Self::Cose => "cose",
            Self::Pdf => "signed.pdf",
        }
    }

    /// What the holder is shown for `document` in this container. A DER signature is over the document itself.
    #[must_use]
    pub fn shown_name(self, document: &str) -> String {
        match self {
            Self::Der => document.into(),
            Self::Cms => format!("{document} (CMS)"),
            Self::Jws => format!("{document} (JWS)"),
            Self::Cose => format!("{document} (COSE)"),
            Self::Pdf => format!("{document} (PAdES)"),
        }
    }

    /// The format of `file`, by its first bytes; `None` if it is none of these.
    #[must_use]
    pub fn detect(file: &[u8]) -> Option<Self> {
        match file {
            [0xD2, ..] => Some(Self::Cose),
            [b'%', b'P', b'D', b'F', b'-', ..] => Some(Self::Pdf),
            [b'e', b'y', b'J', ..] => Some(Self::Jws),
            // A SEQUENCE: of two INTEGERs, or of an OBJECT IDENTIFIER and content.
            [0x30, length, rest @ ..] => {
                let length_bytes = if *length < 0x80 { 0 } else { usize::from(length & 0x7F) };
                match rest.get(length_bytes) {
                    Some(0x02) => Some(Self::Der),
                    Some(0x06) => Some(Self::Cms),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Why a container is not made, or not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not the strict form of its standard that `spec/formats.md` describes.
    #[error("not of the form this program writes and reads: {0}")]
    Malformed(&'static str),
    /// It was made over another document.
    #[error("the signature is for another document")]
    Document,
    /// Not a low-s P-256 signature, or not by the certificate's key over what it must be over.
    #[error("the signature does not verify under the certificate")]
    Signature,
    /// The certificate is not the one that was named before signing.
    #[error("the certificate is not the one that the signature names")]
    Certificate,
    /// A format without certificates needs them from elsewhere.
    #[error("this format does not hold the signer's certificate")]
    NoCertificate,
    /// The PDF cannot take a signature, or is not one that was signed here.
    #[error(transparent)]
    Pdf(#[from] PdfError),
}

/// A container before its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsigned {
    /// [`Format::Der`]
    Der(UnsignedRaw),
    /// [`Format::Cms`]
    Cms(UnsignedCms),
    /// [`Format::Jws`]
    Jws(UnsignedJws),
    /// [`Format::Cose`]
    Cose(UnsignedCose),
    /// [`Format::Pdf`]
    Pdf(UnsignedPdf),
}

impl Unsigned {
    /// Everything of the container that is signed. The same arguments give the same digest.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if `signing_time` is beyond year 9999, [`FormatError::Pdf`].
    pub fn prepare(
        format: Format,
        document: &[u8],
        certificate: &CertificateRef,
        signing_time: UnixSeconds,
    ) -> Result<Self, FormatError> {
        Ok(match format {
            Format::Der => Self::Der(UnsignedRaw::prepare(document, certificate)),
            Format::Cms => Self::Cms(UnsignedCms::prepare(document, certificate, signing_time)?),
            Format::Jws => Self::Jws(UnsignedJws::prepare(
                document,
                certificate,
                Some(signing_time),
                JwsPayload::Detached,
            )),
            Format::Cose => Self::Cose(UnsignedCose::prepare(document, certificate)),
            Format::Pdf => {
                let pdf = Pdf::read(document)?;
                Self::Pdf(pdf.prepare(certificate, signing_time, CERTIFICATES_BYTES_MAX)?)
            }
        })
    }

    /// What ES256 signs: a SHA-256.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        match self {
            Self::Der(unsigned) => unsigned.digest(),
            Self::Cms(unsigned) => unsigned.digest(),
            Self::Jws(unsigned) => unsigned.digest(),
            Self::Cose(unsigned) => unsigned.digest(),
            Self::Pdf(unsigned) => unsigned.digest(),
        }
    }

    /// The file, with `signature` (raw `r || s`) and, where the format has a place for them, the certificates.
    ///
    /// # Errors
    /// [`FormatError::Certificate`] if they are not those of the reference it was prepared with, [`FormatError::Signature`] if
    /// the signature does not verify.
    pub fn complete(
        self,
        signature: &[u8],
        certificates: &SignerCertificates,
    ) -> Result<Vec<u8>, FormatError> {
        match self {
            Self::Der(unsigned) => unsigned.complete(signature, certificates),
            Self::Cms(unsigned) => unsigned.complete(signature, certificates),
            Self::Jws(unsigned) => unsigned.complete(signature, certificates).map(String::into_bytes),
            Self::Cose(unsigned) => unsigned.complete(signature, certificates),
            Self::Pdf(unsigned) => unsigned.complete(signature, certificates),
        }
    }
}

/// A signature that holds over a document, under a certificate. Who stands behind the certificate is for [`Trust`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its container.
    pub format: Format,
    /// The signer's certificate, and others that came with it.
    pub certificates: SignerCertificates,
    /// When it was made, by the word of who asked for it.
    pub signing_time: Option<UnixSeconds>,
}

/// Verifies `file` over `document`. CMS, COSE and PDF hold the signer's certificate; for DER and JWS it is `certificates`. A
/// signed PDF is its own document: `document` is not looked at.
///
/// # Errors
/// [`FormatError`]: the first thing found wrong.
pub fn verify(
    file: &[u8],
    document: &[u8],
    certificates: Option<&SignerCertificates>,
) -> Result<Verified, FormatError> {
    let format = Format::detect(file)
        .ok_or(FormatError::Malformed("neither CMS, JWS, COSE, a PDF nor a DER signature"))?;
    let outside = certificates.ok_or(FormatError::NoCertificate);
    let verified = match format {
        Format::Der => verify_der(file, document, outside?)?,
        Format::Jws => verify_jws(file, document, outside?)?,
        Format::Cms => verify_cms(file, document)?,
        Format::Cose => verify_cose(file, document)?,
        Format::Pdf => verify_pdf(file)?,
    };
    match certificates {
        Some(expected) if expected.reference() != verified.certificates.reference() => {
            Err(FormatError::Certificate)
        }
        _ => Ok(verified),
    }
}
