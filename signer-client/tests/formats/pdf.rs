//! PDFs with a signature inside. What validators of others say of them: `.ci/pdf`.

use lopdf::{
    Dictionary, Document, EncryptionState, EncryptionVersion, Object, Permissions, SaveOptions, Stream,
    dictionary,
};
use proptest::prelude::*;
use signer_client::formats::{
    CERTIFICATES_BYTES_MAX, Format, FormatError, PDF_BYTES_MAX, Pdf, PdfError, SignerCertificates, Unsigned,
    UnsignedPdf, verify, verify_pdf,
};
use signer_core::time::UnixSeconds;

use crate::support::{Pki, TIME};

/// A document of one page, with more in its catalog.
fn document(more: &[(&str, Object)]) -> Document {
    let mut document = Document::with_version("1.7");
    let pages = document.new_object_id();
    let content = document.add_object(Stream::new(Dictionary::new(), b"0 0 m 100 100 l S".to_vec()));
    let page = document.add_object(dictionary! {
        "Type" => "Page",
        "Parent" => pages,
        "MediaBox" => vec![Object::Integer(0), 0.into(), 200.into(), 200.into()],
        "Contents" => content,
    });
    let tree = dictionary! { "Type" => "Pages", "Kids" => vec![Object::Reference(page)], "Count" => 1 };
    document.set_object(pages, tree);
    let mut catalog = dictionary! { "Type" => "Catalog", "Pages" => pages };
    for (key, value) in more {
        catalog.set(*key, value.clone());
    }
    let catalog = document.add_object(catalog);
    document.trailer.set("Root", catalog);
    document
}

/// With an xref table.
pub(crate) fn table() -> Vec<u8> {
    let mut file = Vec::new();
    let options = SaveOptions::builder().use_object_streams(false).use_xref_streams(false).build();
    let mut document = document(&[]);
    document.reference_table.cross_reference_type = lopdf::xref::XrefType::CrossReferenceTable;
    document.save_with_options(&mut file, options).unwrap();
    file
}

/// With an xref stream and object streams.
fn streams() -> Vec<u8> {
    let mut file = Vec::new();
    document(&[]).save_modern(&mut file).unwrap();
    file
}

fn prepared(pki: &Pki, file: &[u8]) -> UnsignedPdf {
    Pdf::read(file).unwrap().prepare(pki.reference(), TIME, CERTIFICATES_BYTES_MAX).unwrap()
}

fn signed(pki: &Pki, file: &[u8]) -> Vec<u8> {
    let unsigned = prepared(pki, file);
    let signature = pki.sign(unsigned.digest());
    unsigned.complete(&signature, &pki.certificates).unwrap()
}

fn position(file: &[u8], text: &str) -> usize {
    file.windows(text.len()).rposition(|part| part == text.as_bytes()).unwrap()
}

/// The range of the newest signature, by reading digits.
fn byte_range(file: &[u8]) -> [usize; 4] {
    let start = position(file, "/ByteRange[") + "/ByteRange[".len();
    let text = std::str::from_utf8(&file[start..start + 50]).unwrap();
    let numbers = text.split(']').next().unwrap().split_whitespace().map(|number| number.parse().unwrap());
    numbers.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn fmt_070_a_signature_is_appended_and_covers_all_but_its_room() {
    let pki = Pki::new();
    for file in [table(), streams()] {
        let signed = signed(&pki, &file);
        assert!(signed.starts_with(&file));
        let [zero, start, end, after] = byte_range(&signed);
        assert_eq!((zero, end + after), (0, signed.len()));
        assert!(start > file.len());
        assert_eq!((signed[start], signed[end - 1]), (b'<', b'>'));
        // openssl takes the signature out of the room, and finds it to be over the rest.
        let digits = std::str::from_utf8(&signed[start + 1..end - 1]).unwrap();
        let bytes: Vec<_> = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        pki.write("cms", &bytes);
        pki.write("content", [&signed[..start], &signed[end..]].concat());
        let check = "cms -verify -cades -binary -inform DER -in cms -content content -CAfile ca.pem -purpose any -out out";
        let output = pki.openssl(check);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // The time stands in the dictionary, and not among the attributes.
        assert!(position(&signed, "/M(D:20261122000000Z)") > file.len());
        let shown = pki.openssl("cms -cmsout -print -inform DER -in cms -out shown");
        assert!(shown.status.success());
        let shown = String::from_utf8(pki.read("shown")).unwrap();
        assert!(shown.contains("signingCertificateV2") && !shown.contains("signingTime"), "{shown}");
        let verified = verify_pdf(&signed).unwrap();
        assert_eq!(verified.certificates.reference(), pki.reference());
        assert_eq!((verified.format, verified.signing_time), (Format::Pdf, Some(TIME)));
    }
}

#[test]
fn fmt_071_every_changed_byte_and_every_addition_is_refused() {
    let pki = Pki::new();
    // Without the room that is left over, of which each digit would be tried.
    let length = pki.certificates.signer().len();
    for file in [table(), streams()] {
        let unsigned = Pdf::read(&file).unwrap().prepare(pki.reference(), TIME, length).unwrap();
        let signature = pki.sign(unsigned.digest());
        let mut signed = unsigned.complete(&signature, &pki.certificates).unwrap();
        assert!(verify_pdf(&signed).is_ok());
        for at in 0..signed.len() {
            for change in [0x01, 0x20] {
                signed[at] ^= change;
                assert!(verify_pdf(&signed).is_err(), "byte {at}");
                signed[at] ^= change;
            }
        }
        signed.push(b'\n');
        assert_eq!(verify_pdf(&signed), Err(PdfError::NotCovered.into()));
        assert_eq!(verify_pdf(&file), Err(PdfError::NotCovered.into()));
    }
}

#[test]
fn fmt_072_a_second_signature_leaves_the_first_as_it_is() {
    let pki = Pki::new();
    for file in [table(), streams()] {
        let once = signed(&pki, &file);
        let twice = signed(&pki, &once);
        assert!(twice.starts_with(&once));
        assert!(verify_pdf(&twice).is_ok());
        assert!(verify_pdf(&twice[..once.len()]).is_ok());
        let document = Document::load_mem(&twice).unwrap();
        let form = document.get_dict_in_dict(document.catalog().unwrap(), b"AcroForm").unwrap();
        let names: Vec<_> =
            form.get_deref(b"Fields", &document).unwrap().as_array().unwrap().iter().collect();
        let names: Vec<_> = names
            .into_iter()
            .map(|field| {
                let field = document.get_dictionary(field.as_reference().unwrap()).unwrap();
                String::from_utf8(field.get(b"T").unwrap().as_str().unwrap().to_vec()).unwrap()
            })
            .collect();
        assert_eq!(names, ["Signature1", "Signature2"]);
        assert_eq!(form.get(b"SigFlags").unwrap().as_i64().unwrap(), 3);
    }
}

#[test]
fn fmt_073_encrypted_damaged_and_certified_pdfs_are_refused_with_what_to_do() {
    let refusal = |file: &[u8]| Pdf::read(file).map(drop).unwrap_err();
    let mut long = table();
    long.resize(PDF_BYTES_MAX + 1, b'\n');
    assert_eq!(refusal(&long), PdfError::TooLong);
    let table = table();
    for file in [&b""[..], b"%PDF", b"Agreement", &[b" ".as_slice(), &table].concat()] {
        assert_eq!(refusal(file), PdfError::NotPdf);
    }
    for file in [&b"%PDF-1.7\n"[..], &table[..table.len() / 2]] {
        assert_eq!(refusal(file), PdfError::Damaged);
    }
    let at = position(&table, "startxref\n") + "startxref\n".len();
    let start: usize = std::str::from_utf8(&table[at..]).unwrap().lines().next().unwrap().parse().unwrap();
    let moved = [&table[..at], format!("{}\n%%EOF", start + 9).as_bytes()].concat();
    assert_eq!(refusal(&moved), PdfError::Damaged);
    let certification = dictionary! {
        "Reference" => vec![Object::Dictionary(dictionary! { "TransformParams" => dictionary! { "P" => 1 } })],
    };
    let permissions = Object::Dictionary(dictionary! { "DocMDP" => certification });
    let mut certified = Vec::new();
    document(&[("Perms", permissions)]).save_to(&mut certified).unwrap();
    assert_eq!(refusal(&certified), PdfError::Certified);
    for user in ["secret", ""] {
        let mut document = document(&[]);
        let id = || Object::String(vec![7; 16], lopdf::StringFormat::Hexadecimal);
        document.trailer.set("ID", vec![id(), id()]);
        let version = EncryptionVersion::V2 {
            document: &document,
            owner_password: "owner",
            user_password: user,
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        document.encrypt(&state).unwrap();
        let mut encrypted = Vec::new();
        document.save_to(&mut encrypted).unwrap();
        assert_eq!(refusal(&encrypted), PdfError::Encrypted);
        assert!(PdfError::Encrypted.next_step().contains("qpdf --decrypt"));
    }
}

#[test]
fn fmt_074_the_room_holds_any_certificates_or_those_it_was_made_for() {
    let pki = Pki::new();
    let file = table();
    // The longest that a result can hold: five certificates of 4096 bytes, none of which vouches for itself.
    let unsigned = prepared(&pki, &file);
    let signature = pki.sign(unsigned.digest());
    let whole = unsigned.complete(&signature, &pki.certificates).unwrap();
    let [_, start, end, _] = byte_range(&whole);
    assert!((end - start) / 2 > CERTIFICATES_BYTES_MAX);
    // Just enough, and not enough.
    let length = pki.certificates.signer().len();
    let complete = |bytes| {
        let unsigned = Pdf::read(&file).unwrap().prepare(pki.reference(), TIME, bytes).unwrap();
        let signature = pki.sign(unsigned.digest());
        unsigned.complete(&signature, &pki.certificates)
    };
    assert!(verify_pdf(&complete(length).unwrap()).is_ok());
    assert_eq!(complete(length - 100), Err(PdfError::Room.into()));
    // What does not belong together is not completed.
    let other = SignerCertificates::new(&[pki.certificates.others()[0].clone()]).unwrap();
    let unsigned = prepared(&pki, &file);
    let signature = pki.sign(unsigned.digest());
    assert_eq!(unsigned.clone().complete(&signature, &other), Err(FormatError::Certificate));
    assert_eq!(unsigned.complete(&pki.sign(&[1; 32]), &pki.certificates), Err(FormatError::Signature));
}

#[test]
fn fmt_075_a_pdf_cannot_hold_what_its_update_is_found_by() {
    let pki = Pki::new();
    // Everywhere the update copies from: catalog, page, trailer.
    let bait = "/ByteRange[0 9999999999 9999999999 9999999999]/Contents<00>";
    let literal = || Object::string_literal(bait);
    let mut file = document(&[("Lang", literal()), ("AcroForm", dictionary! { "DA" => literal() }.into())]);
    file.trailer.set("ID", vec![literal(), literal()]);
    let mut bytes = Vec::new();
    file.save_to(&mut bytes).unwrap();
    let signed = signed(&pki, &bytes);
    assert!(signed[bytes.len()..].windows(bait.len()).any(|part| part == bait.as_bytes()), "copied");
    assert!(verify_pdf(&signed).is_ok());
}

#[test]
fn fmt_076_the_same_arguments_give_the_same_digest_and_others_another() {
    let pki = Pki::new();
    let prepare = |file: &[u8], time| {
        let unsigned = Unsigned::prepare(Format::Pdf, file, pki.reference(), UnixSeconds(time)).unwrap();
        *unsigned.digest()
    };
    let digest = prepare(&table(), TIME.0);
    assert_eq!(digest, prepare(&table(), TIME.0));
    assert_ne!(digest, prepare(&table(), TIME.0 + 1));
    assert_ne!(digest, prepare(&streams(), TIME.0));
    assert!(Unsigned::prepare(Format::Pdf, &table(), pki.reference(), UnixSeconds(253_402_300_800)).is_err());
    let signed = signed(&pki, &table());
    assert_eq!(verify(&signed, b"", Some(&pki.certificates)).unwrap().format, Format::Pdf);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fmt_077_no_bytes_of_a_pdf_cause_a_panic(
        with_streams: bool,
        bytes: Vec<u8>,
        at: prop::sample::Index,
        length in 0..60_usize,
        cut: Option<prop::sample::Index>,
    ) {
        let mut file = if with_streams { streams() } else { table() };
        let at = at.index(file.len());
        file.splice(at..(at + length).min(file.len()), bytes);
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len() + 1));
        }
        if let Ok(pdf) = Pdf::read(&file) {
            let reference = crate::all::PKI.reference();
            if let Ok(unsigned) = pdf.prepare(reference, TIME, 1000) {
                let signature = crate::all::PKI.sign(unsigned.digest());
                let signed = unsigned.complete(&signature, &crate::all::PKI.certificates).unwrap();
                prop_assert!(signed.starts_with(&file));
            }
        }
        prop_assert!(verify_pdf(&file).is_err());
    }
}
