//! What `ask` orders: for each file and format one digest, all in one request, and afterwards the files made of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_client::{
    ClientError,
    formats::{CertificateRef, Format, Pdf, SignerCertificates, Unsigned},
};
use signer_core::{
    certificate::to_pem,
    domain::sha256,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{DocumentDigest, ProblemCode, SignedResult, SigningCertificate},
};

use crate::{Ask, FormatArg, ask::write, input::bytes_of, output::Failure};

/// What the file of certificates gets after the document's name.
const CERTIFICATES: &str = "pem";

pub(crate) struct Order {
    /// What the request says is to be signed.
    pub(crate) documents: Vec<DocumentDigest>,
    /// Whether the result itself is wanted, and in which file if not printed.
    pub(crate) result: Option<Option<PathBuf>>,
    parts: Vec<Part>,
    /// Where certificates are written, for formats that hold none.
    certificate_files: BTreeSet<PathBuf>,
}

/// One file to be made from one signature.
struct Part {
    /// Its place in the request.
    index: usize,
    unsigned: Unsigned,
    target: PathBuf,
}

impl Order {
    /// Reads the files, and asks for the certificate if a format needs it.
    pub(crate) fn new(
        args: &Ask,
        now: UnixSeconds,
        certificate: impl FnOnce() -> Result<SigningCertificate, ClientError>,
    ) -> Result<Self, Failure> {
        let wanted: BTreeSet<_> = args.format.iter().copied().collect();
        let formats: Vec<Format> = wanted.iter().filter_map(|format| format.container()).collect();
        let has_result = wanted.contains(&FormatArg::Json);
        let result = has_result.then(|| match &args.out {
            Some(directory) if !formats.is_empty() => Some(directory.join("signature.json")),
            out => out.clone(),
        });
        let mut order =
            Self { documents: Vec::new(), result, parts: Vec::new(), certificate_files: BTreeSet::new() };
        if formats.is_empty() {
            for file in &args.files {
                order.add(name_of(file), &sha256(&bytes_of(file)?));
            }
            return Ok(order);
        }
        check_repeatable(args, &formats)?;
        prepare_targets(args, &formats, order.result.iter().flatten().next())?;
        let documents = read(&args.files, &formats)?;
        let certificate = reference(&certificate().map_err(no_certificate)?)?;
        let signing_time = args.signing_time.map_or(now, UnixSeconds);
        for (file, document) in args.files.iter().zip(documents) {
            let name = name_of(file);
            let result_at = has_result.then(|| order.add(name.clone(), &sha256(&document)));
            for &format in &formats {
                let unsigned = Unsigned::prepare(format, &document, &certificate, signing_time)?;
                // A DER signature is over the document itself, as the result's is: one digest serves both.
                let index = match result_at {
                    Some(index) if format == Format::Der => index,
                    _ => order.add(format.shown_name(&name), unsigned.digest()),
                };
                if needs_certificates(format) {
                    order.certificate_files.insert(target(args, file, CERTIFICATES));
                }
                order.parts.push(Part { index, unsigned, target: target(args, file, format.extension()) });
            }
        }
        Ok(order)
    }

    /// Puts a digest into the request; its place.
    fn add(&mut self, name: String, digest: &[u8; 32]) -> usize {
        self.documents.push(DocumentDigest { name, sha256: BASE64_STANDARD.encode(digest) });
        self.documents.len().saturating_sub(1)
    }

    /// Makes the files, and writes them only when all are made.
    pub(crate) fn complete(&self, result: &SignedResult) -> Result<Vec<PathBuf>, Failure> {
        if self.parts.is_empty() {
            return Ok(Vec::new());
        }
        let certificates = SignerCertificates::of_result(result)?;
        let mut files = Vec::new();
        for part in &self.parts {
            let signature = result.signatures.get(part.index);
            let signature = signature.and_then(|entry| BASE64_STANDARD.decode(&entry.signature).ok());
            let file = part.unsigned.clone().complete(&signature.unwrap_or_default(), &certificates)?;
            files.push((part.target.clone(), file));
        }
        for path in &self.certificate_files {
            let ders =
                std::iter::once(certificates.signer()).chain(certificates.others().iter().map(Vec::as_slice));
            let pem: Result<String, _> = ders.map(|der| to_pem("CERTIFICATE", der)).collect();
            let pem = pem.map_err(|_| ClientError::ServerMisbehaved("a certificate is too long"))?;
            files.push((path.clone(), pem.into_bytes()));
        }
        for (path, bytes) in &files {
            write(path, bytes)?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}

/// The files, none of which will be found unfit once somebody was asked.
fn read(files: &[PathBuf], formats: &[Format]) -> Result<Vec<Vec<u8>>, Failure> {
    let read_one = |file: &PathBuf| -> Result<Vec<u8>, Failure> {
        let document = bytes_of(file)?;
        if formats.contains(&Format::Pdf) {
            Pdf::read(&document)
                .map_err(|fault| Failure::usage(format!("{}: {fault}", file.display()), fault.next_step()))?;
        }
        Ok(document)
    };
    files.iter().map(read_one).collect()
}

fn no_certificate(error: ClientError) -> Failure {
    match error {
        ClientError::Problem(problem) if problem.code == ProblemCode::NotFound => Failure::new(
            "no_certificate",
            "there is no such person here, or their key has no certificate",
            "Check --person; for a key without a certificate ask with --format json.",
        ),
        error => error.into(),
    }
}

fn reference(certificate: &SigningCertificate) -> Result<CertificateRef, Failure> {
    if certificate.suite != SuiteId::Es256.name() {
        return Err(Failure::new(
            "suite",
            format!(
                "the person's key is of the suite {}, and these formats are for es256",
                certificate.suite
            ),
            "Ask with --format json.",
        ));
    }
    Ok(CertificateRef::from_wire(certificate)?)
}

/// A request is repeated with the same digests, or it is another one.
fn check_repeatable(args: &Ask, formats: &[Format]) -> Result<(), Failure> {
    let has_time = formats.iter().any(|format| matches!(format, Format::Cms | Format::Jws | Format::Pdf));
    if args.idempotency_key.is_some() && has_time && args.signing_time.is_none() {
        return Err(Failure::usage(
            "the time of signing is a part of what is signed",
            "Give --signing-time too, and the same again when you repeat the request.",
        ));
    }
    if args.no_wait && args.idempotency_key.is_none() {
        return Err(Failure::usage(
            "without waiting the files can be written only when the request is repeated",
            "Give --idempotency-key too, and repeat the command without --no-wait.",
        ));
    }
    Ok(())
}

/// No file is written twice, and all have a directory, before anybody is asked.
fn prepare_targets(args: &Ask, formats: &[Format], result: Option<&PathBuf>) -> Result<(), Failure> {
    if let Some(directory) = &args.out {
        fs::create_dir_all(directory).map_err(|error| {
            Failure::usage(
                format!("--out {}: {error}", directory.display()),
                "With these formats it is a directory.",
            )
        })?;
    }
    let beside = formats.iter().any(|&format| needs_certificates(format)).then_some(CERTIFICATES);
    let mut targets: BTreeSet<_> = result.cloned().into_iter().collect();
    for file in &args.files {
        for extension in formats.iter().map(|format| format.extension()).chain(beside) {
            let target = target(args, file, extension);
            if !targets.insert(target.clone()) {
                return Err(clash(&target));
            }
        }
    }
    args.files.iter().find(|file| targets.contains(*file)).map_or(Ok(()), |file| Err(clash(file)))
}

fn clash(path: &Path) -> Failure {
    Failure::usage(
        format!("{} would be written twice, or over a document", path.display()),
        "Give files with names of their own.",
    )
}

/// Whether the format has no place for them.
const fn needs_certificates(format: Format) -> bool {
    matches!(format, Format::Der | Format::Jws)
}

fn target(args: &Ask, file: &Path, extension: &str) -> PathBuf {
    let directory = args.out.as_deref().or_else(|| file.parent()).unwrap_or_else(|| Path::new(""));
    let name = name_of(file);
    // A signed PDF is a PDF, and not something about one: `contract.signed.pdf`.
    let is_pdf = extension == Format::Pdf.extension();
    let stem = name.strip_suffix(".pdf").or_else(|| name.strip_suffix(".PDF")).filter(|_| is_pdf);
    directory.join(format!("{}.{extension}", stem.unwrap_or(&name)))
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
