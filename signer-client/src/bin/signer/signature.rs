//! The command that checks a signature over files, in any of its formats, without a server.

use serde_json::{Value, json};
use signer_client::{
    EnrolledBy,
    desk::SystemClock,
    formats::{Format, FormatError, SignerCertificates, Trust, Trusted, verify},
    ports::Clock as _,
    verify_result,
};
use signer_core::{domain::sha256, wire::SignedResult};

use crate::{
    VerifySignature,
    input::bytes_of,
    output::{Failure, Output, hex, moment, printable},
};

pub(crate) fn verify_signature(output: &Output, args: &VerifySignature) -> Result<(), Failure> {
    let file = bytes_of(&args.signature)?;
    match Format::detect(&file) {
        Some(format) => container(output, args, format, &file),
        None => result(output, args, &file),
    }
}

/// A CMS, JWS, COSE or DER signature over one file, or a signed PDF.
fn container(output: &Output, args: &VerifySignature, format: Format, file: &[u8]) -> Result<(), Failure> {
    let document = match (format, args.files.as_slice()) {
        (Format::Pdf, []) => &args.signature,
        (Format::Pdf, _) => {
            return Err(Failure::usage("a signed PDF holds what was signed", "Give the signed PDF alone."));
        }
        (_, [document]) => document,
        _ => {
            let next_step = "Give just the file that was signed.";
            return Err(Failure::usage("this signature is over one file", next_step));
        }
    };
    let certificates = match &args.certificate {
        Some(path) => Some(SignerCertificates::of_file(&bytes_of(path)?).map_err(|error| {
            Failure::usage(
                format!("{}: {error}", path.display()),
                "Give the signer's certificate in PEM or DER.",
            )
        })?),
        None => None,
    };
    let verified =
        verify(file, &bytes_of(document)?, certificates.as_ref()).map_err(|error| match error {
            FormatError::NoCertificate => Failure::usage(
                error.to_string(),
                "Give --certificate FILE, which `ask` wrote beside the signature.",
            ),
            error => error.into(),
        })?;
    let trusted = trust(args, &verified.certificates)?;
    let format = match verified.format {
        Format::Der => "DER",
        Format::Cms => "CMS",
        Format::Jws => "JWS",
        Format::Cose => "COSE",
        Format::Pdf => "PDF",
    };
    let mut value = json!({
        "valid": true,
        "format": format.to_lowercase(),
        "signing_time": verified.signing_time.map(|time| time.0),
    });
    let mut text = format!("Valid: the {format} signature holds over {}.", document.display());
    if let Some(time) = verified.signing_time {
        text.push_str(&format!("\nSigned      {}, by the word of who asked for it", moment(time)));
    }
    describe(args, &verified.certificates, trusted.as_ref(), &mut value, &mut text);
    output.print(&value, &text);
    Ok(())
}

/// The certificate's chain, if an authority was given.
fn trust(args: &VerifySignature, certificates: &SignerCertificates) -> Result<Option<Trusted>, Failure> {
    let Some(path) = &args.signing_ca else { return Ok(None) };
    let mut trust = Trust::new(&bytes_of(path)?)?;
    if let Some(crl) = &args.crl {
        trust = trust.with_crl(&bytes_of(crl)?)?;
    }
    Ok(Some(trust.check(certificates, SystemClock.wall())?))
}

/// Whose certificate it is, what was checked of it, and what was not.
fn describe(
    args: &VerifySignature,
    certificates: &SignerCertificates,
    trusted: Option<&Trusted>,
    value: &mut Value,
    text: &mut String,
) {
    let sha256 = hex(certificates.reference().sha256());
    let mut not_checked = Vec::new();
    text.push_str(&format!("\nCertificate SHA-256 {sha256}"));
    value["certificate_sha256"] = sha256.into();
    value["trusted"] = trusted.is_some().into();
    match (trusted, &args.signing_ca) {
        (Some(trusted), Some(path)) => {
            let (subject, issued) = (printable(&trusted.subject), &trusted.certificate);
            text.push_str(&format!("\nHolder      {subject}"));
            text.push_str(&format!(
                "\nIssued      under an authority in {}, serial number {}, valid now and until {}",
                path.display(),
                hex(&issued.serial),
                moment(issued.not_after),
            ));
            value["subject"] = subject.into();
            value["serial"] = hex(&issued.serial).into();
            value["not_after"] = issued.not_after.0.into();
            if trusted.revocation_checked {
                text.push_str("\nRevocation  not on the list given");
            } else {
                not_checked.push("revocation (--crl)");
            }
        }
        _ => not_checked.extend([
            "who issued the certificate (--signing-ca)",
            "its validity",
            "revocation (--crl)",
        ]),
    }
    not_checked.push("that the signature existed at an earlier time (no timestamp)");
    text.push_str(&format!("\nNot checked: {}.", not_checked.join(", ")));
    value["not_checked"] = not_checked.into();
}

/// The result itself, as `ask` writes it.
fn result(output: &Output, args: &VerifySignature, file: &[u8]) -> Result<(), Failure> {
    let result: SignedResult = serde_json::from_slice(file).map_err(|error| {
        Failure::usage(format!("{}: {error}", args.signature.display()), "Give a file that `ask` wrote.")
    })?;
    let verified = verify_result(&result)?;
    if args.files.is_empty() {
        return Err(Failure::usage("the result is over files", "Give the files that were to be signed."));
    }
    for path in &args.files {
        let digest = sha256(&bytes_of(path)?);
        if !verified.record.request.documents.as_slice().iter().any(|document| document.digest == digest) {
            return Err(signer_client::ResultError::Digest(path.display().to_string()).into());
        }
    }
    let record = &verified.record;
    // The chain in the file is its maker's choice, until it is checked under an authority.
    let (enrolled_by, enrolled) = match (verified.enrolled, &args.signing_ca) {
        (EnrolledBy::Certificate, Some(_)) => {
            ("certificate", "by the key's first signature, named in its certificate")
        }
        (EnrolledBy::Certificate, None) => (
            "unchecked_certificate",
            "by the key's first signature, named in a certificate that was not checked (--signing-ca)",
        ),
        (EnrolledBy::Signature, _) => {
            ("signature", "by a signature of the key alone: no certificate here names it")
        }
    };
    let mut value = json!({
        "valid": true,
        "suite": verified.suite.name(),
        "public_key": hex(&verified.public_key.0),
        "relying_party": record.request.relying_party.name.as_str(),
        "text": record.request.text.as_str(),
        "fields": record
            .request
            .fields()
            .iter()
            .map(|field| json!({ "label": field.label.as_str(), "value": field.value.as_str() }))
            .collect::<Vec<_>>(),
        "approved_at": record.approved_at,
        "files": args.files.len(),
        "signatures": result.signatures.len(),
        "device_enrolled_by": enrolled_by,
    });
    let mut text = format!(
        "Valid: {} of {} signed documents given, each signature holds.\nSuite      {}\nPublic key {}\nApproved   {}, by device {}\n           enrolled with this key {enrolled}\nFor        {}: {}",
        args.files.len(),
        result.signatures.len(),
        verified.suite.name(),
        hex(&verified.public_key.0),
        moment(record.approved_at),
        record.device,
        record.request.relying_party.name.as_str(),
        record.request.text.as_str(),
    );
    for field in record.request.fields() {
        text.push_str(&format!("\n           {}: {}", field.label.as_str(), field.value.as_str()));
    }
    if result.certificate_chain.is_some() || args.signing_ca.is_some() {
        let certificates = SignerCertificates::of_result(&result)?;
        if certificates.key().to_sec1_point(true).as_bytes() != verified.public_key.0 {
            return Err(FormatError::Certificate.into());
        }
        let trusted = trust(args, &certificates)?;
        describe(args, &certificates, trusted.as_ref(), &mut value, &mut text);
    } else {
        text.push_str("\nWhose key this is, a certificate must say.");
    }
    output.print(&value, &text);
    Ok(())
}
