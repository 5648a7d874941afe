//! The incremental update that gives a PDF one more signature field.

use std::{collections::BTreeSet, ops::Range};

use lopdf::{
    Dictionary, Document, IncrementalDocument, Object, ObjectId, StringFormat, decode_text_string, dictionary,
};
use signer_core::domain::sha256;

use super::{Pdf, PdfError, hex, signatures};

/// Stands for numbers that are known only when the file is written: ten digits are more than a file can have bytes.
const UNKNOWN: i64 = 9_999_999_999;
/// Object numbers above are not given by programs (ISO 32000-1 annex C.2).
const OBJECT_NUMBER_MAX: u32 = 8_388_607;
/// Print, locked (ISO 32000-1 §12.5.3).
const WIDGET_FLAGS: i64 = 4 | 128;
/// There are signatures; save by appending only (§12.7.2).
const SIGNATURE_FLAGS: i64 = 1 | 2;

/// The file with a field, and a signature dictionary with `room` bytes for the signature; where in the file that room is.
pub(super) fn append(pdf: Pdf, date: &str, room: usize) -> Result<(Vec<u8>, Range<usize>), PdfError> {
    // The file cannot hold its own hash: in the update these bytes stand nowhere else.
    let filler: Vec<u8> = sha256(&pdf.bytes).into_iter().cycle().take(room).collect();
    let written = pdf.bytes.len();
    let update = with_field(pdf, date, filler.clone()).map_err(|_| PdfError::Damaged)?;
    let mut file = save(update)?;
    let (byte_range, contents) = find(&file, written, &filler).ok_or(PdfError::Damaged)?;
    let after = file.len().saturating_sub(contents.end);
    let numbers = format!("[0 {} {} {after}", contents.start, contents.end);
    let width = byte_range.len().saturating_sub(1);
    overwrite(&mut file, byte_range, format!("{numbers:<width$}]").as_bytes())?;
    let zeros = format!("<{:0>1$}>", "", contents.len().saturating_sub(2));
    overwrite(&mut file, contents.clone(), zeros.as_bytes())?;
    Ok((file, contents))
}

fn save(mut update: IncrementalDocument) -> Result<Vec<u8>, PdfError> {
    let mut file = Vec::new();
    update.save_to(&mut file).map_err(|_| PdfError::Damaged)?;
    file.push(b'\n');
    Ok(file)
}

/// The array behind `/ByteRange`, and the string behind `/Contents`.
fn find(file: &[u8], from: usize, filler: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let string = [b"<", hex(filler).as_slice(), b">"].concat();
    let start = from.checked_add(file.get(from..)?.windows(string.len()).position(|part| part == string)?)?;
    let array = format!("[0 {UNKNOWN} {UNKNOWN} {UNKNOWN}]");
    let before = format!("/ByteRange{array}/Contents");
    let key = start.checked_sub(before.len())?;
    let array_start = key.checked_add("/ByteRange".len())?;
    let expected = file.get(key..start)? == before.as_bytes();
    expected.then_some((
        array_start..array_start.checked_add(array.len())?,
        start..start.checked_add(string.len())?,
    ))
}

fn overwrite(file: &mut [u8], at: Range<usize>, bytes: &[u8]) -> Result<(), PdfError> {
    let place = file.get_mut(at).filter(|place| place.len() == bytes.len()).ok_or(PdfError::Damaged)?;
    place.copy_from_slice(bytes);
    Ok(())
}

/// The objects of the update: those changed, a widget that is also its field, the signature dictionary.
fn with_field(pdf: Pdf, date: &str, filler: Vec<u8>) -> lopdf::Result<IncrementalDocument> {
    let Pdf { bytes, document } = pdf;
    let root = document.trailer.get(b"Root")?.as_reference()?;
    let page = document.page_iter().next().ok_or(lopdf::Error::PageNumberNotFound(1))?;
    let name = free_name(&document);
    let (trailer, max_id) = (trailer(&document), max_id(&document));
    let may_change_page = signatures(&document).next().is_none() || is_exact(annotations(&document, page)?);
    let mut update = IncrementalDocument::create_from(bytes, document);
    update.new_document.trailer = trailer;
    update.new_document.max_id = max_id;

    let form = form(&mut update, root)?;
    let field = update.new_document.try_new_object_id()?;
    if may_change_page {
        push(&mut update, page, b"Annots", field)?;
    }
    push(&mut update, form, b"Fields", field)?;
    let new = &mut update.new_document;
    let flags = new.get_dictionary(form)?.get(b"SigFlags").and_then(Object::as_i64).unwrap_or_default();
    new.get_dictionary_mut(form)?.set("SigFlags", flags | SIGNATURE_FLAGS);
    let signature = new.try_add_object(dictionary! {
        "Type" => "Sig",
        "Filter" => "Adobe.PPKLite",
        "SubFilter" => "ETSI.CAdES.detached",
        "M" => Object::string_literal(date),
        // These two last, so that they are found next to each other.
        "ByteRange" => vec![Object::Integer(0), UNKNOWN.into(), UNKNOWN.into(), UNKNOWN.into()],
        "Contents" => Object::String(filler, StringFormat::Hexadecimal),
    })?;
    new.set_object(
        field,
        dictionary! {
            "Type" => "Annot",
            "Subtype" => "Widget",
            "FT" => "Sig",
            "T" => Object::string_literal(name),
            "Rect" => vec![Object::Integer(0); 4],
            "F" => WIDGET_FLAGS,
            "P" => page,
            "V" => signature,
        },
    );
    Ok(update)
}

/// The interactive form, as an object of the update of its own.
fn form(update: &mut IncrementalDocument, root: ObjectId) -> lopdf::Result<ObjectId> {
    let catalog = update.get_prev_documents().get_dictionary(root)?;
    let inline = match catalog.get(b"AcroForm") {
        Ok(Object::Reference(id)) if update.get_prev_documents().get_dictionary(*id).is_ok() => {
            let id = *id;
            update.opt_clone_object_to_new_document(id)?;
            return Ok(id);
        }
        Ok(Object::Dictionary(form)) => form.clone(),
        _ => Dictionary::new(),
    };
    update.opt_clone_object_to_new_document(root)?;
    let form = update.new_document.try_add_object(inline)?;
    update.new_document.get_dictionary_mut(root)?.set("AcroForm", form);
    Ok(form)
}

/// Adds a reference to the array that `owner` has under `key`, in place or as an object of its own.
fn push(
    update: &mut IncrementalDocument,
    owner: ObjectId,
    key: &'static [u8],
    item: ObjectId,
) -> lopdf::Result<()> {
    update.opt_clone_object_to_new_document(owner)?;
    let mut array = match update.new_document.get_dictionary(owner)?.get(key) {
        Ok(Object::Reference(id)) if update.get_prev_documents().has_object(*id) => {
            let id = *id;
            update.opt_clone_object_to_new_document(id)?;
            update.new_document.get_object_mut(id)?.as_array_mut()?.push(item.into());
            return Ok(());
        }
        // A reference to nothing is null, and null is no array.
        Ok(Object::Reference(_) | Object::Null) | Err(_) => Vec::new(),
        Ok(array) => array.as_array()?.clone(),
    };
    array.push(item.into());
    update.new_document.get_dictionary_mut(owner)?.set(key, array);
    Ok(())
}

/// What is written again to add an annotation: their array if it is an object of its own, else the page.
fn annotations(document: &Document, page: ObjectId) -> lopdf::Result<&Object> {
    let array = document.get_dictionary(page)?.get(b"Annots").and_then(Object::as_reference);
    array.and_then(|id| document.get_object(id)).or_else(|_| document.get_object(page))
}

/// Whether the object is the same when it is written again: `lopdf` keeps numbers with a fraction in 32 bits, good for six
/// digits. A reader that compares revisions would say that the author of an earlier signature signed another page.
fn is_exact(object: &Object) -> bool {
    match object {
        Object::Real(number) => {
            let text = number.to_string();
            let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit);
            digits.count() <= 6
        }
        Object::Array(items) => items.iter().all(is_exact),
        Object::Dictionary(entries) => entries.iter().all(|(_, value)| is_exact(value)),
        _ => true,
    }
}

/// What an update's trailer takes over, and nothing that describes the earlier cross-reference section.
fn trailer(document: &Document) -> Dictionary {
    let mut trailer = Dictionary::new();
    for key in [b"Root".as_slice(), b"Info", b"ID"] {
        if let Ok(value) = document.trailer.get(key) {
            trailer.set(key, value.clone());
        }
    }
    trailer.set("Prev", i64::try_from(document.xref_start).unwrap_or_default());
    trailer
}

/// The highest object number in use, by what was read and by what the trailer says.
fn max_id(document: &Document) -> u32 {
    let size = document.trailer.get(b"Size").and_then(Object::as_i64).unwrap_or_default();
    let said = u32::try_from(size.saturating_sub(1)).unwrap_or_default();
    if said <= OBJECT_NUMBER_MAX { document.max_id.max(said) } else { document.max_id }
}

/// `Signature1`, or with the first number that no field has.
fn free_name(document: &Document) -> String {
    let form = document.catalog().and_then(|catalog| document.get_dict_in_dict(catalog, b"AcroForm"));
    let fields = form.and_then(|form| form.get_deref(b"Fields", document)).and_then(Object::as_array);
    let name_of = |field: &Object| {
        let field = document.dereference(field).and_then(|(_, field)| field.as_dict()).ok()?;
        decode_text_string(field.get_deref(b"T", document).ok()?).ok()
    };
    let taken: BTreeSet<_> = fields.into_iter().flatten().filter_map(name_of).collect();
    let mut names = (1_usize..).map(|number| format!("Signature{number}"));
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}
