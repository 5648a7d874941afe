//! Chapter 3: a bank asks, the holder signs, and what comes out is read by programs that never heard of two parties.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_client::{
    Approved, Phone, RelyingParty,
    formats::{CertificateRef, Format, JwsPayload, SignerCertificates, Trust, Unsigned, UnsignedJws, verify},
    signature_file, verify_result,
};
use signer_core::{
    certificate::to_pem,
    pin::Pin,
    wire::{CreateRequest, CreatedRelyingParty, DocumentDigest, RequestStatus, SignedResult},
};

use crate::{
    Options, Result,
    output::Output,
    server::Server,
    story::{PERSON, PIN, heading, hex, network},
};

const WRONG_PIN: &str = "730149";
/// One PIN signs them all: the document itself, and what CMS and JWS put around it.
const FORMATS: [(Format, &str); 3] =
    [(Format::Der, "signature.der"), (Format::Cms, "signature.p7s"), (Format::Jws, "signature.jws")];

/// Gives the token of the bank.
pub(crate) fn sign(
    server: &Server,
    phone: &mut Phone,
    options: &Options,
    document: &[u8],
    output: &Output,
) -> Result<String> {
    heading("3. A bank asks for a signature; the holder reads, types the PIN, and signs");
    let certificate = phone.certificate()?;
    let leaf = certificate.chain.first().ok_or("no certificate")?;
    let authority = certificate.chain.last().ok_or("no authority")?;
    output.file("certificate.pem", to_pem("CERTIFICATE", leaf)?.as_bytes())?;
    output.file("ca.pem", to_pem("CERTIFICATE", authority)?.as_bytes())?;
    output.file("request.csr", to_pem("CERTIFICATE REQUEST", &certificate.request)?.as_bytes())?;

    let bank: CreatedRelyingParty =
        server.operator(&["relying-party", "add", "Bank of Examples", "--ask"])?;
    let token = bank.token;
    let bank = RelyingParty::new(network(server)?, token.clone());
    let name = options.file.file_name().map_or_else(|| "document".into(), |name| name.to_string_lossy());
    let reference = CertificateRef::from_wire(&bank.signing_certificate(PERSON)?)?;
    println!(
        "Bank: the signer's certificate has SHA-256 {}. Whose it is, it is not told yet.",
        hex(reference.sha256())
    );
    let unsigned = FORMATS.map(|(format, _)| prepare(format, document, &reference, phone));
    let unsigned = unsigned.into_iter().collect::<Result<Vec<_>>>()?;
    let documents = FORMATS.iter().zip(&unsigned).map(|((format, _), unsigned)| DocumentDigest {
        name: format.shown_name(&name),
        sha256: STANDARD.encode(unsigned.digest()),
    });
    let request = CreateRequest {
        person: PERSON.into(),
        text: "Please sign this document.".into(),
        documents: documents.collect(),
        ..CreateRequest::default()
    };
    let created = bank.ask(&request, "demo-request")?;
    approve(phone)?;
    let view = bank.wait(created.id, Duration::from_secs(10))?;
    let result = match (view.status, view.result) {
        (RequestStatus::Signed, Some(result)) => result,
        (status, _) => return Err(format!("the bank got {status:?}").into()),
    };
    let verified = verify_result(&result)?;
    println!("Bank: verified as any outsider would, under {:?},", verified.public_key);
    println!("      with the holder's signed record of what the phone showed.");
    output.file("document", document)?;
    output.json("signature.json", &signature_file(&result))?;
    containers(unsigned, &result, document, authority, phone, output)?;
    Ok(token)
}

fn prepare(format: Format, document: &[u8], certificate: &CertificateRef, phone: &Phone) -> Result<Unsigned> {
    // With the document inside, the JWS is of use by itself.
    if format == Format::Jws {
        let jws = UnsignedJws::prepare(document, certificate, Some(phone.now()), JwsPayload::Attached);
        return Ok(Unsigned::Jws(jws));
    }
    Ok(Unsigned::prepare(format, document, certificate, phone.now())?)
}

/// The holder's part: read, one wrong PIN, the right one.
fn approve(phone: &mut Phone) -> Result<()> {
    let listed = phone.requests()?.pop().ok_or("no request reached the phone")?;
    println!("Phone: {} asks: \"{}\"", listed.relying_party.name.as_str(), listed.text.as_str());
    for document in listed.documents.as_slice() {
        println!("Phone: {} with SHA-256 {}", document.name.as_str(), hex(&document.digest));
    }
    let shown = phone.fetch(listed.clone())?;
    match phone.approve(shown, &Pin::new(WRONG_PIN)?)? {
        Approved::WrongPin(attempts) => {
            println!(
                "Phone: {WRONG_PIN} typed. The server refuses and counts: {} tries left.",
                attempts.left
            );
        }
        other => return Err(format!("a wrong PIN ended as {other:?}").into()),
    }
    let shown = phone.fetch(listed)?;
    match phone.approve(shown, &Pin::new(PIN)?)? {
        Approved::Signed(signed) => {
            println!("Phone: {PIN} typed. Signed, all at once: {}.", signed.suite.name());
            Ok(())
        }
        other => Err(format!("the right PIN ended as {other:?}").into()),
    }
}

/// Completes each container and reads it back, up to the authority.
fn containers(
    unsigned: Vec<Unsigned>,
    result: &SignedResult,
    document: &[u8],
    authority: &[u8],
    phone: &Phone,
    output: &Output,
) -> Result<()> {
    let certificates = SignerCertificates::of_result(result)?;
    let trust = Trust::new(to_pem("CERTIFICATE", authority)?.as_bytes())?;
    for (((_, file), unsigned), signed) in FORMATS.iter().zip(unsigned).zip(&result.signatures) {
        let bytes = unsigned.complete(&STANDARD.decode(&signed.signature)?, &certificates)?;
        let verified = verify(&bytes, document, Some(&certificates))?;
        let trusted = trust.check(&verified.certificates, phone.now())?;
        println!("Bank: {file}, {} bytes, signed by {}.", bytes.len(), trusted.subject);
        output.file(file, &bytes)?;
    }
    println!(
        "Try: openssl cms -verify -binary -content document -inform DER -in signature.p7s -CAfile ca.pem"
    );
    Ok(())
}
