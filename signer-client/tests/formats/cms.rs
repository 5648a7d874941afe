//! CMS: verified by openssl, taken apart by hand.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::{DerSignature, signature::hazmat::PrehashVerifier as _};
use signer_client::formats::{Format, FormatError, UnsignedCms, verify_cms};
use signer_core::{domain::sha256, time::UnixSeconds};

use crate::support::{DOCUMENT, Pki, TIME};

/// The values one level below: tag, whole encoding, content.
fn children(mut der: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (length, head) = match der[1] {
            0x81 => (usize::from(der[2]), 3),
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            short => (usize::from(short), 2),
        };
        let (whole, rest) = der.split_at(head + length);
        found.push((whole[0], whole, &whole[head..]));
        der = rest;
    }
    found
}

/// The content of the only SignerInfo.
fn signer_info(file: &[u8]) -> &[u8] {
    let content_info = children(children(file)[0].2);
    let signed_data = children(children(content_info[1].2)[0].2);
    children(signed_data.last().unwrap().2)[0].2
}

#[test]
fn fmt_020_openssl_verifies_the_cms_signature_also_as_cades() {
    let pki = Pki::new();
    pki.write("document.p7s", pki.signed(Format::Cms));
    let command = "cms -verify -binary -inform DER -in document.p7s -content document -out seen -purpose any";
    for options in ["-CAfile ca.pem", "-CAfile ca.pem -cades"] {
        let output = pki.openssl(&format!("{command} {options}"));
        assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(pki.read("seen"), DOCUMENT);
    }
    assert!(!pki.openssl(&format!("{command} -CAfile holder.pem")).status.success());
    pki.write("document", &DOCUMENT[1..]);
    assert!(!pki.openssl(&format!("{command} -CAfile ca.pem")).status.success());
}

#[test]
fn fmt_021_four_attributes_in_the_order_of_der_are_signed_as_a_set() {
    let pki = Pki::new();
    let file = pki.signed(Format::Cms);
    let signer = children(signer_info(&file));
    let tags: Vec<_> = signer.iter().map(|(tag, ..)| *tag).collect();
    // version, issuerAndSerialNumber, digestAlgorithm, [0] signedAttrs, signatureAlgorithm, signature
    assert_eq!(tags, [0x02, 0x30, 0x30, 0xA0, 0x30, 0x04]);
    let attributes: Vec<_> = children(signer[3].2).into_iter().map(|(_, whole, _)| whole).collect();
    assert!(attributes.is_sorted());
    let oids: Vec<_> = attributes.iter().map(|whole| children(children(whole)[0].2)[0].2).collect();
    const PKCS_9: [u8; 8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09];
    let oid = |rest: &[u8]| [&PKCS_9, rest].concat();
    // contentType, signingTime, messageDigest, signing-certificate-v2: by length, then content.
    assert_eq!(oids, [oid(&[3]), oid(&[5]), oid(&[4]), oid(&[16, 2, 47])]);
    let value = |index: usize| children(children(children(attributes[index])[0].2)[1].2)[0].2;
    assert_eq!(value(1), b"261122000000Z");
    assert_eq!(value(2), sha256(DOCUMENT));
    let certificate_id =
        [&[0x30, 0x24, 0x30, 0x22, 0x04, 0x20], &sha256(pki.certificates.signer())[..]].concat();
    assert_eq!(value(3), certificate_id);
    // RFC 5652 §5.4: the tag is that of a SET OF, not [0].
    let mut signed = signer[3].1.to_vec();
    signed[0] = 0x31;
    let signature = DerSignature::from_bytes(signer[5].2).unwrap();
    pki.certificates.key().verify_prehash(&sha256(&signed), &signature).unwrap();
    assert!(pki.openssl_verifies(&signed, signer[5].2));
}

#[test]
fn fmt_022_the_signing_time_is_utctime_until_2049_and_generalizedtime_after() {
    let pki = Pki::new();
    for (time, text) in [
        (TIME.0, &b"\x17\x0D261122000000Z"[..]),
        (0, b"\x17\x0D700101000000Z"),
        (2_524_607_999, b"\x17\x0D491231235959Z"),
        (2_524_608_000, b"\x18\x0F20500101000000Z"),
        (253_402_300_799, b"\x18\x0F99991231235959Z"),
    ] {
        let unsigned = UnsignedCms::prepare(DOCUMENT, pki.reference(), UnixSeconds(time)).unwrap();
        let signature = pki.sign(unsigned.digest());
        let file = unsigned.complete(&signature, &pki.certificates).unwrap();
        assert!(file.windows(text.len()).any(|window| window == text), "{time}");
        assert_eq!(verify_cms(&file, DOCUMENT).unwrap().signing_time, Some(UnixSeconds(time)));
    }
    for beyond in [253_402_300_800, u64::MAX] {
        assert!(UnsignedCms::prepare(DOCUMENT, pki.reference(), UnixSeconds(beyond)).is_err());
    }
}

#[test]
fn fmt_023_a_cms_signature_of_another_shape_is_refused() {
    let pki = Pki::new();
    let sign = "cms -sign -binary -in document -signer holder.pem -inkey holder.key -keyform DER -outform DER -out other.p7s";
    for shape in
        ["", "-nodetach", "-cades", "-cades -nosmimecap", "-noattr", "-nocerts", "-keyid", "-md sha384"]
    {
        let output = pki.openssl(&format!("{sign} {shape}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let refusal = verify_cms(&pki.read("other.p7s"), DOCUMENT).unwrap_err();
        assert!(
            matches!(refusal, FormatError::Malformed(_) | FormatError::Certificate),
            "{shape}: {refusal}"
        );
    }
    // In PEM it is another file.
    let pem = BASE64_STANDARD.encode(pki.signed(Format::Cms));
    assert!(verify_cms(pem.as_bytes(), DOCUMENT).is_err());
}
