//! The bare signature.

use proptest::prelude::*;
use signer_client::formats::{Format, FormatError, verify_der, verify_raw};
use signer_core::{
    certificate::{der_from_raw, raw_from_der},
    domain::sha256,
};

use crate::support::{DOCUMENT, Pki};

#[test]
fn fmt_010_openssl_verifies_the_der_signature_over_the_document() {
    let pki = Pki::new();
    let file = pki.signed(Format::Der);
    assert!(pki.openssl_verifies(DOCUMENT, &file));
    assert!(!pki.openssl_verifies(&DOCUMENT[1..], &file));
    // The suite's own encoding of the same.
    let raw = pki.sign(&sha256(DOCUMENT));
    assert!(verify_raw(&raw, DOCUMENT, &pki.certificates).is_ok());
    assert_eq!(verify_raw(&raw, b"", &pki.certificates), Err(FormatError::Signature));
}

#[test]
fn fmt_011_a_signature_has_one_der_form() {
    let pki = Pki::new();
    let file = pki.signed(Format::Der);
    let (r, s) = file[2..].split_at(2 + usize::from(file[3]));
    let body = |parts: &[&[u8]]| {
        let body = parts.concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    };
    assert_eq!(body(&[r, s]), file);
    let padded_r = [&[0x02, r[1] + 1, 0x00], &r[2..]].concat();
    let long_r = [&[0x02, 0x81, r[1]], &r[2..]].concat();
    let long = [&[0x30, 0x81], &file[1..]].concat();
    let indefinite = [&[0x30, 0x80], r, s, &[0, 0]].concat();
    let zero = [0x02, 0x01, 0x00];
    for wrong in [
        body(&[&padded_r, s]),
        body(&[&long_r, s]),
        body(&[r, s, &zero]),
        body(&[&zero, s]),
        body(&[r, &zero]),
        body(&[r]),
        long,
        indefinite,
        Vec::new(),
    ] {
        let refusal = verify_der(&wrong, DOCUMENT, &pki.certificates);
        assert_eq!(refusal, Err(FormatError::Malformed("not a DER signature")), "{wrong:02x?}");
    }
}

proptest! {
    #[test]
    fn fmt_012_raw_and_der_are_two_forms_of_one_value(mut raw in prop::collection::vec(any::<u8>(), 64), short in 0..31_usize) {
        // Smaller than the group's order, and short numbers too.
        raw[0] &= 0x7F;
        raw[32] &= 0x7F;
        raw[..short].fill(0);
        prop_assume!(raw[..32] != [0; 32] && raw[32..] != [0; 32]);
        let der = der_from_raw(&raw).unwrap();
        prop_assert_eq!(&raw_from_der(&der).unwrap()[..], &raw[..]);
    }
}
