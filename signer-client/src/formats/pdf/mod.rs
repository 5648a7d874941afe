//! A signature inside a PDF: PAdES baseline B-B (ETSI EN 319 142-1 §6.3).
//!
//! The PDF gets an incremental update (ISO 32000-1 §7.5.6): its own bytes stay as they are, so that earlier signatures hold.
//! The update is an invisible signature field and a signature dictionary with room for the CMS signature. Everything of the
//! file but that room is signed.
//!
//! ```text
//! Pdf::read(file) ─▶ prepare(certificate reference, time) ─▶ UnsignedPdf ─ digest ─▶ … ─▶ complete(signature, certificates)
//! ```

mod update;
mod verify;

use std::{fmt, ops::Range};

use der::DateTime;
use lopdf::{Dictionary, Document, LoadOptions, Object};
use sha2::{Digest as _, Sha256};
use signer_core::{
    certificate::{CERTIFICATE_BYTES_MAX, CHAIN_MAX},
    time::UnixSeconds,
};

pub use self::verify::verify_pdf;
use super::{CertificateRef, FormatError, SignerCertificates, UnsignedCms};

/// Longest PDF that is read, bytes.
pub const PDF_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Room that any certificates fit in which a result can have, bytes.
pub const CERTIFICATES_BYTES_MAX: usize = CHAIN_MAX * CERTIFICATE_BYTES_MAX;

/// Most bytes one compressed part of the file's structure may grow to.
const INFLATED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a PDF is not signed, or its signature not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// It does not begin with `%PDF-`.
    #[error("not a PDF")]
    NotPdf,
    /// Longer than [`PDF_BYTES_MAX`].
    #[error("the PDF is longer than 64 MiB")]
    TooLong,
    /// Its structure cannot be read as it is written. Readers that repair it would each see something of their own.
    #[error("the PDF is damaged")]
    Damaged,
    /// Its strings would have to be encrypted, with or without a password.
    #[error("the PDF is encrypted")]
    Encrypted,
    /// Its author signed that nothing may be added, signatures included (DocMDP with P = 1).
    #[error("the PDF is certified and takes no further signature")]
    Certified,
    /// A signature stands on a page.
    #[error("the PDF has no pages")]
    NoPages,
    /// The certificates are longer than it was said they would be.
    #[error("the certificates do not fit into the room left for them")]
    Room,
    /// There is no signature of this form over the whole file: none, or something was added after it.
    #[error("no signature of the form this program writes covers the whole PDF")]
    NotCovered,
}

impl PdfError {
    /// What to do now, in one sentence.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::NotPdf => "Give a PDF, or sign the file in another format.",
            Self::TooLong => "Sign it in another format.",
            Self::Damaged => "Write it anew with the program that made it, or repair it: qpdf IN OUT.",
            Self::Encrypted => {
                "Remove the encryption first (qpdf --decrypt IN OUT), or sign it in another format."
            }
            Self::Certified => "Ask its author for one that takes signatures, or sign it in another format.",
            Self::NoPages => "Sign it in another format.",
            Self::Room => "Prepare it again with more room.",
            Self::NotCovered => "Check it with a PDF reader, which reads all forms and what was added since.",
        }
    }
}

/// A PDF that can take a signature.
#[derive(Clone)]
pub struct Pdf {
    bytes: Vec<u8>,
    document: Document,
}

/// Without the content, which is the relying party's.
impl fmt::Debug for Pdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pdf({} bytes)", self.bytes.len())
    }
}

impl Pdf {
    /// Reads the structure of a PDF.
    ///
    /// # Errors
    /// [`PdfError`]: all but [`PdfError::Room`] and [`PdfError::NotCovered`].
    pub fn read(file: &[u8]) -> Result<Self, PdfError> {
        let document = load(file)?;
        if takes_no_signature(&document) {
            return Err(PdfError::Certified);
        }
        document.page_iter().next().ok_or(PdfError::NoPages)?;
        Ok(Self { bytes: file.to_vec(), document })
    }

    /// Adds everything but the signature, said to be made at `signing_time`. `certificates_bytes` is the room to leave for
    /// the certificates; with [`CERTIFICATES_BYTES_MAX`] all fit whose length is not known yet.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] if `signing_time` is beyond year 9999, [`PdfError::Damaged`], [`PdfError::TooLong`].
    pub fn prepare(
        self,
        certificate: &CertificateRef,
        signing_time: UnixSeconds,
        certificates_bytes: usize,
    ) -> Result<UnsignedPdf, FormatError> {
        let room = UnsignedCms::over(&[0; 32], certificate, None)?.bytes_max(certificates_bytes)?;
        if self.bytes.len().saturating_add(room) > PDF_BYTES_MAX {
            return Err(PdfError::TooLong.into());
        }
        let (file, contents) = update::append(self, &date(signing_time)?, room)?;
        let cms = UnsignedCms::over(&digest_around(&file, &contents)?, certificate, None)?;
        Ok(UnsignedPdf { cms, file, contents })
    }
}

/// A PDF with room for its signature.
#[derive(Clone, PartialEq, Eq)]
pub struct UnsignedPdf {
    cms: UnsignedCms,
    file: Vec<u8>,
    /// The room as it stands in the file: `<`, hexadecimal digits, `>`.
    contents: Range<usize>,
}

impl fmt::Debug for UnsignedPdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnsignedPdf({} bytes, room at {})", self.file.len(), self.contents.start)
    }
}

impl UnsignedPdf {
    /// What is signed: SHA-256 of the signed attributes, one of which is the SHA-256 of the file around the room.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        self.cms.digest()
    }

    /// The signed PDF.
    ///
    /// # Errors
    /// [`FormatError::Certificate`] or [`FormatError::Signature`] if the arguments do not belong together, [`PdfError::Room`].
    pub fn complete(
        self,
        signature: &[u8],
        certificates: &SignerCertificates,
    ) -> Result<Vec<u8>, FormatError> {
        let Self { cms, mut file, contents } = self;
        let digits = hex(&cms.complete(signature, certificates)?);
        let room = file.get_mut(contents.start.saturating_add(1)..contents.end.saturating_sub(1));
        let place = room.and_then(|room| room.get_mut(..digits.len())).ok_or(PdfError::Room)?;
        place.copy_from_slice(&digits);
        Ok(file)
    }
}

/// Reads a PDF that is whole, starts with its first byte, and is not encrypted.
fn load(file: &[u8]) -> Result<Document, PdfError> {
    if !file.starts_with(b"%PDF-") {
        return Err(PdfError::NotPdf);
    }
    if file.len() > PDF_BYTES_MAX {
        return Err(PdfError::TooLong);
    }
    let options = LoadOptions::with_max_decompressed_size(INFLATED_BYTES_MAX);
    let document = match Document::load_mem_with_options(file, options) {
        Ok(document) => document,
        Err(lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword) => return Err(PdfError::Encrypted),
        Err(_) => return Err(PdfError::Damaged),
    };
    if document.was_encrypted() || document.trailer.has(b"Encrypt") {
        return Err(PdfError::Encrypted);
    }
    if document.xref_recovery.is_some() || document.xref_start == 0 {
        return Err(PdfError::Damaged);
    }
    Ok(document)
}

/// Whether the author's certification forbids every change (ISO 32000-1 §12.8.2.2).
fn takes_no_signature(document: &Document) -> bool {
    let permissions = document.catalog().and_then(|catalog| document.get_dict_in_dict(catalog, b"Perms"));
    let certification = permissions.and_then(|perms| document.get_dict_in_dict(perms, b"DocMDP"));
    let references = certification.and_then(|signature| signature.get_deref(b"Reference", document));
    references.and_then(Object::as_array).is_ok_and(|references| {
        references.iter().any(|reference| {
            let reference = document.dereference(reference).and_then(|(_, object)| object.as_dict());
            let parameters =
                reference.and_then(|reference| document.get_dict_in_dict(reference, b"TransformParams"));
            let changes = parameters.and_then(|parameters| parameters.get_deref(b"P", document));
            changes.and_then(Object::as_i64).is_ok_and(|changes| changes == 1)
        })
    })
}

/// The signature dictionaries of the form's fields.
fn signatures(document: &Document) -> impl Iterator<Item = &Dictionary> {
    let form = document.catalog().and_then(|catalog| document.get_dict_in_dict(catalog, b"AcroForm"));
    let fields = form.and_then(|form| form.get_deref(b"Fields", document)).and_then(Object::as_array);
    fields.into_iter().flatten().filter_map(|field| {
        let field = document.dereference(field).and_then(|(_, field)| field.as_dict()).ok()?;
        document.get_dict_in_dict(field, b"V").ok()
    })
}

/// SHA-256 of the file without the signature's room.
fn digest_around(file: &[u8], contents: &Range<usize>) -> Result<[u8; 32], PdfError> {
    let before = file.get(..contents.start).ok_or(PdfError::Damaged)?;
    let after = file.get(contents.end..).ok_or(PdfError::Damaged)?;
    Ok(Sha256::new().chain_update(before).chain_update(after).finalize().into())
}

/// A date in UTC (ISO 32000-1 §7.9.4).
fn date(time: UnixSeconds) -> Result<String, FormatError> {
    let date = DateTime::from_unix_duration(std::time::Duration::from_secs(time.0))
        .map_err(|_| FormatError::Malformed("the time of signing is beyond year 9999"))?;
    let (year, month, day) = (date.year(), date.month(), date.day());
    let (hour, minutes, seconds) = (date.hour(), date.minutes(), date.seconds());
    Ok(format!("D:{year:04}{month:02}{day:02}{hour:02}{minutes:02}{seconds:02}Z"))
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
}
