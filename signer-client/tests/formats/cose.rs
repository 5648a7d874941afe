//! COSE_Sign1: read by another CBOR library, verified by openssl.

use minicbor::{Decoder, Encoder, data::Tag};
use signer_client::formats::{Format, FormatError, SignerCertificates, verify_cose};
use signer_core::{certificate::der_from_raw, domain::sha256};

use crate::support::{DOCUMENT, Pki, authority, der, issue};

/// `{1: -7, 34: [-16, hash]}`
fn protected(hash: &[u8]) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    out.map(2).unwrap().u8(1).unwrap().i8(-7).unwrap();
    out.u8(34).unwrap().array(2).unwrap().i8(-16).unwrap().bytes(hash).unwrap();
    out.into_writer()
}

fn sig_structure(protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    out.array(4).unwrap().str("Signature1").unwrap();
    out.bytes(protected).unwrap().bytes(aad).unwrap().bytes(payload).unwrap();
    out.into_writer()
}

#[test]
fn fmt_040_openssl_verifies_what_another_reader_of_cbor_takes_from_the_cose_sign1() {
    let pki = Pki::new();
    let file = pki.signed(Format::Cose);
    let mut read = Decoder::new(&file);
    assert_eq!(read.tag().unwrap(), Tag::new(18));
    assert_eq!(read.array().unwrap(), Some(4));
    let header = read.bytes().unwrap();
    assert_eq!(header, protected(&sha256(pki.certificates.signer())));
    assert_eq!(read.map().unwrap(), Some(1));
    assert_eq!(read.u8().unwrap(), 33);
    assert_eq!(read.bytes().unwrap(), pki.certificates.signer());
    read.null().unwrap();
    let signature = read.bytes().unwrap();
    assert_eq!((signature.len(), read.position()), (64, file.len()));
    let signed = sig_structure(header, b"", DOCUMENT);
    assert!(pki.openssl_verifies(&signed, &der_from_raw(signature).unwrap()));
}

#[test]
fn fmt_041_a_cose_sign1_of_another_form_is_refused_even_if_it_is_signed() {
    let pki = Pki::new();
    let certificate = pki.certificates.signer();
    let hash = sha256(certificate);
    // Every part as it should be, unless another is given.
    let made = |tag: u64, header: &[u8], aad: &[u8], unprotected: &[u8], payload: Option<&[u8]>| {
        let signature = pki.sign(&sha256(&sig_structure(header, aad, DOCUMENT)));
        let mut out = Encoder::new(Vec::new());
        out.tag(Tag::new(tag)).unwrap().array(4).unwrap().bytes(header).unwrap();
        out.writer_mut().extend_from_slice(unprotected);
        match payload {
            Some(payload) => out.bytes(payload).unwrap(),
            None => out.null().unwrap(),
        };
        out.bytes(&signature).unwrap();
        verify_cose(&out.into_writer(), DOCUMENT)
    };
    let chain = |label: u8, ders: &[&[u8]]| {
        let mut out = Encoder::new(Vec::new());
        out.map(1).unwrap().u8(label).unwrap();
        if ders.len() != 1 {
            out.array(ders.len() as u64).unwrap();
        }
        for der in ders {
            out.bytes(der).unwrap();
        }
        out.into_writer()
    };
    let (right, x5chain) = (protected(&hash), chain(33, &[certificate]));
    assert!(made(18, &right, b"", &x5chain, None).is_ok());
    assert_eq!(made(18, &right, b"aad", &x5chain, None), Err(FormatError::Signature));
    assert_eq!(made(18, &protected(&[0; 32]), b"", &x5chain, None), Err(FormatError::Certificate));
    assert!(made(17, &right, b"", &x5chain, None).is_err());
    assert!(made(18, &right, b"", &x5chain, Some(DOCUMENT)).is_err());
    for unprotected in
        [chain(32, &[certificate]), chain(33, &[]), chain(33, &[certificate, certificate, b""]), vec![0xA0]]
    {
        assert!(made(18, &right, b"", &unprotected, None).is_err());
    }
    // ES384; an algorithm alone; a critical header; the same map in longer bytes; a text label.
    let mut es384 = right.clone();
    es384.splice(2..3, [0x38, 0x22]);
    let critical = [&[0xA3], &right[1..], &[0x02, 0x81, 0x01]].concat();
    let longer = [&[0xB8, 0x02], &right[1..]].concat();
    let text = [&[0xA3], &right[1..], &[0x61, b'a', 0x01]].concat();
    for header in [&es384, &vec![0xA1, 0x01, 0x26], &critical, &longer, &text, &Vec::new()] {
        assert!(made(18, header, b"", &x5chain, None).is_err(), "{header:02x?}");
    }
}

#[test]
fn fmt_042_certificates_in_between_travel_along_and_the_authority_does_not() {
    let pki = Pki::new();
    authority(pki.folder(), "middle", "/C=UA/CN=Olena middle");
    let extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign";
    let middle = issue(pki.folder(), "ca", "middle", extensions, &[]);
    let holder = issue(pki.folder(), "middle", "holder", "keyUsage=critical,nonRepudiation", &[]);
    let root = der(&pki.path("ca.pem"));
    let certificates = SignerCertificates::new(&[holder.clone(), middle.clone(), root]).unwrap();
    for format in [Format::Cose, Format::Cms] {
        use signer_client::formats::{Unsigned, verify};
        let unsigned =
            Unsigned::prepare(format, DOCUMENT, certificates.reference(), crate::support::TIME).unwrap();
        let signature = pki.sign(unsigned.digest());
        let file = unsigned.complete(&signature, &certificates).unwrap();
        let verified = verify(&file, DOCUMENT, None).unwrap();
        assert_eq!(verified.certificates.signer(), holder);
        assert_eq!(verified.certificates.others(), std::slice::from_ref(&middle));
    }
}
