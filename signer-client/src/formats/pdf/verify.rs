//! The strict reader of what [`super::Pdf`] writes: the newest signature, which covers the whole file.

use std::ops::Range;

use der::{AnyRef, DateTime, Decode as _};
use lopdf::{Dictionary, Document, Object};
use signer_core::time::UnixSeconds;

use super::{FormatError, PdfError, digest_around, hex, load, signatures};
use crate::formats::{Format, Verified, cms::verify_over};

/// Verifies the signature of a PDF that covers all of it, under the certificate it carries. Earlier signatures are a part of
/// what it covers, and are not verified.
///
/// # Errors
/// [`PdfError::NotCovered`] if there is none, or something was added after it; [`FormatError`].
pub fn verify_pdf(file: &[u8]) -> Result<Verified, FormatError> {
    let document = load(file)?;
    let (signature, contents) = signatures(&document)
        .find_map(|signature| Some((signature, covers(&document, signature, file)?)))
        .ok_or(PdfError::NotCovered)?;
    if signature.get(b"SubFilter").and_then(Object::as_name).ok() != Some(b"ETSI.CAdES.detached") {
        return Err(PdfError::NotCovered.into());
    }
    let signing_time = signature.get(b"M").and_then(Object::as_str).ok().and_then(read_date);
    let signing_time = signing_time.ok_or(FormatError::Malformed("the time of signing of the PDF"))?;
    let cms = unpad(file, &contents).ok_or(FormatError::Malformed("the signature in the PDF"))?;
    let certificates = verify_over(&cms, &digest_around(file, &contents)?)?;
    Ok(Verified { format: Format::Pdf, certificates, signing_time: Some(signing_time) })
}

/// Where the room of the signature is, if all else of the file is signed.
fn covers(document: &Document, signature: &Dictionary, file: &[u8]) -> Option<Range<usize>> {
    let numbers = signature.get_deref(b"ByteRange", document).and_then(Object::as_array).ok()?;
    let numbers: Option<Vec<_>> =
        numbers.iter().map(|number| usize::try_from(number.as_i64().ok()?).ok()).collect();
    let [0, start, end, after] = *numbers?.as_slice() else { return None };
    let whole = end.checked_add(after)? == file.len() && start < end;
    whole.then_some(start..end)
}

/// The CMS signature in `<digits 00…00>`, of which there is one form.
fn unpad(file: &[u8], contents: &Range<usize>) -> Option<Vec<u8>> {
    let digits = file.get(contents.clone())?.strip_prefix(b"<")?.strip_suffix(b">")?;
    let pairs = digits.as_chunks::<2>().0.iter();
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let bytes = bytes.filter(|bytes| hex(bytes) == digits)?;
    let (_, padding) = AnyRef::from_der_partial(&bytes).ok()?;
    let length = bytes.len().checked_sub(padding.len())?;
    padding.iter().all(|byte| *byte == 0).then(|| bytes.get(..length).map(<[u8]>::to_vec))?
}

/// `D:YYYYMMDDHHmmSSZ`.
fn read_date(text: &[u8]) -> Option<UnixSeconds> {
    let digits = std::str::from_utf8(text).ok()?.strip_prefix("D:")?.strip_suffix('Z')?;
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| digits.get(from..from.checked_add(2)?)?.parse().ok();
    let year = digits.get(..4)?.parse().ok()?;
    let date = DateTime::new(year, part(4)?, part(6)?, part(8)?, part(10)?, part(12)?).ok()?;
    Some(UnixSeconds(date.unix_duration().as_secs()))
}
