//! What holds for every container.

use std::sync::LazyLock;

use der::Encode as _;
use p256::ecdsa::Signature;
use proptest::prelude::*;
use signer_client::formats::{
    CertificateRef, Format, FormatError, JwsPayload, SignerCertificates, Unsigned, UnsignedJws, verify,
};
use signer_core::{domain::sha256, time::UnixSeconds};

use crate::support::{DOCUMENT, FORMATS, Pki, TIME, issue};

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

#[test]
fn fmt_001_no_more_of_the_certificate_is_needed_than_what_names_it() {
    use der::Decode as _;
    let pki = Pki::new();
    let certificate = x509_cert::Certificate::from_der(pki.certificates.signer()).unwrap();
    let tbs = certificate.tbs_certificate();
    let issuer = tbs.issuer().to_der().unwrap();
    let reference =
        CertificateRef::new(sha256(pki.certificates.signer()), &issuer, tbs.serial_number().as_bytes())
            .unwrap();
    for format in FORMATS {
        let unsigned = Unsigned::prepare(format, DOCUMENT, &reference, TIME).unwrap();
        let same = Unsigned::prepare(format, DOCUMENT, pki.reference(), TIME).unwrap();
        assert_eq!(unsigned, same);
        let signature = pki.sign(unsigned.digest());
        let file = unsigned.complete(&signature, &pki.certificates).unwrap();
        let verified = verify(&file, DOCUMENT, Some(&pki.certificates)).unwrap();
        assert_eq!((verified.format, verified.certificates.reference()), (format, &reference));
    }
    // Only strict names and serial numbers.
    let [mut long, empty] = [issuer.clone(), vec![0x30, 0x00]];
    long.push(0);
    for (issuer, serial) in [(&long, &[1; 8][..]), (&empty, &[1; 8]), (&issuer, &[0x7F; 21])] {
        assert!(CertificateRef::new([0; 32], issuer, serial).is_err());
    }
}

fn reference(sha256: [u8; 32], serial: u64) -> CertificateRef {
    use std::str::FromStr as _;
    let issuer = x509_cert::name::Name::from_str("CN=Authority,C=UA").unwrap().to_der().unwrap();
    CertificateRef::new(sha256, &issuer, &serial.to_be_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fmt_002_the_same_arguments_give_the_same_digest_and_others_another(
        mut document: Vec<u8>,
        hash: [u8; 32],
        serial in 1..u64::MAX / 2,
        time in 0..250_000_000_000_u64,
    ) {
        for format in FORMATS {
            let prepare = |document: &[u8], hash, time| {
                let unsigned =
                    Unsigned::prepare(format, document, &reference(hash, serial), UnixSeconds(time)).unwrap();
                *unsigned.digest()
            };
            let digest = prepare(&document, hash, time);
            prop_assert_eq!(digest, prepare(&document, hash, time));
            document.push(0);
            prop_assert_ne!(digest, prepare(&document, hash, time));
            document.pop();
            if format != Format::Der {
                let mut other = hash;
                other[0] ^= 1;
                prop_assert_ne!(digest, prepare(&document, other, time));
            }
            if matches!(format, Format::Cms | Format::Jws) {
                prop_assert_ne!(digest, prepare(&document, hash, time + 1));
            }
        }
        let digests = FORMATS.map(|format| {
            *Unsigned::prepare(format, &document, &reference(hash, serial), UnixSeconds(time)).unwrap().digest()
        });
        prop_assert_eq!(std::collections::BTreeSet::from(digests).len(), FORMATS.len());
    }

    #[test]
    fn fmt_006_no_bytes_cause_a_panic(
        mut bytes: Vec<u8>,
        start in 0..FORMATS.len(),
        at: prop::sample::Index,
        take in 1..40_usize,
    ) {
        prop_assert!(verify(&bytes, DOCUMENT, Some(&PKI.certificates)).is_err());
        // Near a right file: a part of it replaced.
        let mut file = PKI.signed(FORMATS[start]);
        let at = at.index(file.len());
        let right = file.clone();
        bytes.truncate(take);
        file.splice(at..(at + take).min(right.len()), bytes);
        prop_assert_eq!(verify(&file, DOCUMENT, Some(&PKI.certificates)).is_ok(), file == right);
    }
}

#[test]
fn fmt_003_what_does_not_belong_together_is_not_completed() {
    let pki = Pki::new();
    std::fs::copy(pki.path("holder.key"), pki.path("second.key")).unwrap();
    let second = issue(pki.folder(), "ca", "second", "keyUsage=critical,nonRepudiation", &[]);
    let renewed = SignerCertificates::new(&[second]).unwrap();
    assert_eq!(renewed.key(), pki.certificates.key());
    for format in FORMATS {
        let unsigned = Unsigned::prepare(format, DOCUMENT, pki.reference(), TIME).unwrap();
        let signature = pki.sign(unsigned.digest());
        let complete = |signature: &[u8], certificates| unsigned.clone().complete(signature, certificates);
        assert!(complete(&signature, &pki.certificates).is_ok());
        // The same key, another certificate.
        assert_eq!(complete(&signature, &renewed), Err(FormatError::Certificate));
        let high = -*Signature::from_slice(&signature).unwrap().s();
        let high_s = [&signature[..32], &high.to_bytes()].concat();
        let der = pki.signed(Format::Der);
        for wrong in
            [&pki.sign(&[1; 32]), &high_s, &der, &vec![0; 64], &signature[..63].to_vec(), &Vec::new()]
        {
            assert_eq!(complete(wrong, &pki.certificates), Err(FormatError::Signature), "{format:?}");
        }
    }
}

#[test]
fn fmt_004_every_changed_byte_every_truncation_and_every_addition_is_refused() {
    let pki = Pki::new();
    let attached = UnsignedJws::prepare(DOCUMENT, pki.reference(), None, JwsPayload::Attached);
    let signature = pki.sign(attached.digest());
    let attached = attached.complete(&signature, &pki.certificates).unwrap().into_bytes();
    let files = FORMATS.iter().map(|format| pki.signed(*format)).chain([attached]);
    for mut file in files {
        let refused = |file: &[u8]| verify(file, DOCUMENT, Some(&pki.certificates)).is_err();
        assert!(!refused(&file));
        for at in 0..file.len() {
            for change in [0x01, 0x20, 0x80] {
                file[at] ^= change;
                assert!(refused(&file), "byte {at} of {:?}", Format::detect(&file));
                file[at] ^= change;
            }
            assert!(refused(&file[..at]));
        }
        for added in [0x00, b'\n', b'.', b'='] {
            file.push(added);
            assert!(refused(&file));
            file.pop();
        }
    }
}

#[test]
fn fmt_005_another_document_and_another_certificate_are_refused() {
    let pki = Pki::new();
    std::fs::copy(pki.path("holder.key"), pki.path("second.key")).unwrap();
    let second = issue(pki.folder(), "ca", "second", "keyUsage=critical,nonRepudiation", &[]);
    let renewed = SignerCertificates::new(&[second]).unwrap();
    for format in FORMATS {
        let file = pki.signed(format);
        for document in [&DOCUMENT[1..], &[DOCUMENT, b"\n"].concat(), b""] {
            let refusal = verify(&file, document, Some(&pki.certificates)).unwrap_err();
            assert!(
                matches!(refusal, FormatError::Document | FormatError::Signature),
                "{format:?} {refusal}"
            );
        }
        let without = verify(&file, DOCUMENT, None).map(|verified| verified.format);
        if matches!(format, Format::Cms | Format::Cose) {
            assert_eq!(without, Ok(format));
        } else {
            assert_eq!(without, Err(FormatError::NoCertificate));
        }
        // A DER signature names no certificate: there only the key counts.
        let other = verify(&file, DOCUMENT, Some(&renewed)).map(|verified| verified.format);
        let expected = if format == Format::Der { Ok(format) } else { Err(FormatError::Certificate) };
        assert_eq!(other, expected, "{format:?}");
    }
}

#[test]
fn fmt_007_a_file_is_recognised_by_its_content() {
    let pki = Pki::new();
    for format in FORMATS {
        assert_eq!(Format::detect(&pki.signed(format)), Some(format));
    }
    let extensions: std::collections::BTreeSet<_> = FORMATS.iter().map(|format| format.extension()).collect();
    assert_eq!(extensions.len(), FORMATS.len());
    assert_eq!(Format::detect(b"%PDF-1.7"), Some(Format::Pdf));
    for other in [&b""[..], b"0", b"{\"suite\":1}", b"%PDF", &[0x30, 0x84], &[0x30, 0x02, 0x04, 0x00]] {
        assert_eq!(Format::detect(other), None);
    }
}
