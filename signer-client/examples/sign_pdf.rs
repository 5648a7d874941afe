//! Signs a PDF with a key in one piece, as a bank's own program would with the split key of a holder: prepare, have the digest
//! signed, complete. `sign_pdf KEY CERTIFICATES IN OUT`: the key in PKCS#8 DER, the certificates in PEM, the signer's first.

use std::{env, error::Error, fs};

use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::DecodePrivateKey as _,
};
use signer_client::{
    desk::SystemClock,
    formats::{CERTIFICATES_BYTES_MAX, Pdf, SignerCertificates, verify_pdf},
    ports::Clock as _,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [key, certificates, input, output] = arguments.as_slice() else {
        return Err("sign_pdf KEY CERTIFICATES IN OUT".into());
    };
    let certificates = SignerCertificates::of_file(&fs::read(certificates)?)?;
    let pdf = Pdf::read(&fs::read(input)?)?;
    let unsigned = pdf.prepare(certificates.reference(), SystemClock.wall(), CERTIFICATES_BYTES_MAX)?;

    // Here the digest goes to the server, and the holder's approval makes the signature.
    let key = SigningKey::from_pkcs8_der(&fs::read(key)?)?;
    let signature: Signature = key.sign_prehash(unsigned.digest())?;

    let signed = unsigned.complete(&signature.normalize_s().to_bytes(), &certificates)?;
    verify_pdf(&signed)?;
    fs::write(output, signed)?;
    Ok(())
}
