//! A PDF signed by a split key in the whole application: the bank prepares it, the holder approves, the bank completes it.

use std::{fs, process::Command, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_client::{
    Approved,
    formats::{
        CERTIFICATES_BYTES_MAX, CertificateRef, Pdf, SignerCertificates, Trust, UnsignedPdf, verify_pdf,
    },
    verify_result,
};
use signer_core::{
    pin::Pin,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{CreateRequest, DocumentDigest, ProblemCode, RequestStatus},
};

use crate::harness::{PIN, TestApp, code};

/// One empty page, with an xref table counted here.
fn pdf() -> Vec<u8> {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
    ];
    let mut file = String::from("%PDF-1.7\n");
    let mut table = String::from("xref\n0 4\n0000000000 65535 f \n");
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = file.len();
    format!("{file}{table}trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").into_bytes()
}

#[test]
fn fmt_079_two_pdfs_are_signed_by_one_approval_of_a_split_key() {
    let app = TestApp::spawn();
    let bank = app.bank();
    let mut phone = app.blank_phone();
    phone.phone.enrol(SuiteId::Es256, &app.enrolment_code("olena"), &Pin::new(PIN).unwrap()).unwrap();
    let told = bank.signing_certificate("olena").unwrap();
    let certificate = CertificateRef::from_wire(&told).unwrap();
    let time = UnixSeconds(app.clock.seconds());
    let prepare = |file: &[u8]| -> UnsignedPdf {
        Pdf::read(file).unwrap().prepare(&certificate, time, CERTIFICATES_BYTES_MAX).unwrap()
    };
    let unsigned = [prepare(&pdf()), prepare(&[pdf(), b"% terms\n".to_vec()].concat())];
    let documents = ["loan.pdf (PAdES)", "terms.pdf (PAdES)"].into_iter().zip(&unsigned);
    let documents = documents.map(|(name, unsigned)| DocumentDigest {
        name: name.into(),
        sha256: BASE64_STANDARD.encode(unsigned.digest()),
    });
    let request = CreateRequest {
        person: "olena".into(),
        text: "Loan 17".into(),
        documents: documents.collect(),
        ..CreateRequest::default()
    };
    let id = bank.ask(&request, "loan-17").unwrap().id;
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
    verify_result(&result).unwrap();
    let certificates = SignerCertificates::of_result(&result).unwrap();
    let ca = app.http.send("GET", "/ca/v1/ca.pem", &[], b"").body;
    fs::write(app.folder().join("ca.pem"), &ca).unwrap();
    for (unsigned, entry) in unsigned.into_iter().zip(&result.signatures) {
        let signature = BASE64_STANDARD.decode(&entry.signature).unwrap();
        let signed = unsigned.complete(&signature, &certificates).unwrap();
        let verified = verify_pdf(&signed).unwrap();
        assert_eq!(verified.signing_time, Some(time));
        let trusted = Trust::new(&ca).unwrap().check(&verified.certificates, time).unwrap();
        assert!(trusted.subject.contains("Шевченко"), "{}", trusted.subject);
        // The outsider: the signature out of its room, over the rest.
        let text = String::from_utf8_lossy(&signed);
        let (start, end) = (text.rfind("/Contents<").unwrap() + 9, text.rfind('>').unwrap());
        let end = start + text[start..end].find('>').unwrap() + 1;
        let digits = text[start + 1..end - 1].as_bytes().chunks(2);
        let cms: Vec<u8> =
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        fs::write(app.folder().join("cms"), cms).unwrap();
        fs::write(app.folder().join("content"), [&signed[..start], &signed[end..]].concat()).unwrap();
        let at = (time.0 + 1).to_string();
        let output = Command::new("openssl")
            .args(
                "cms -verify -cades -binary -inform DER -in cms -content content -CAfile ca.pem -purpose any"
                    .split(' '),
            )
            .args(["-attime", &at, "-out", "out"])
            .current_dir(app.folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn fmt_080_a_request_taken_back_is_signed_by_nobody() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    let prepared = phone.prepare(id, PIN);
    bank.cancel(id).unwrap();
    assert_eq!(bank.wait(id, Duration::ZERO).unwrap().status, RequestStatus::Cancelled);
    assert_eq!(app.device("approve", &prepared).code(), ProblemCode::RequestClosed);
    bank.cancel(id).unwrap();
    let signed = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(signed, PIN).unwrap(), Approved::Signed(_)));
    assert_eq!(code(bank.cancel(signed)), ProblemCode::RequestClosed);
}
