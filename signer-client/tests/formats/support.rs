//! An authority made with openssl, a holder with a P-256 key in one piece, and openssl as the verifier.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _},
};
use signer_client::formats::{CertificateRef, Format, SignerCertificates, Unsigned, certificates_in};
use signer_core::time::UnixSeconds;
use tempfile::TempDir;

pub(crate) const DOCUMENT: &[u8] = b"Agreement 4711\r\n\x00\xFF about nothing at all\n";
/// 2026-11-22
pub(crate) const TIME: UnixSeconds = UnixSeconds(1_795_305_600);
pub(crate) const FORMATS: [Format; 4] = [Format::Der, Format::Cms, Format::Jws, Format::Cose];

pub(crate) struct Pki {
    directory: TempDir,
    pub(crate) key: SigningKey,
    /// The holder's certificate and the authority's.
    pub(crate) certificates: SignerCertificates,
}

impl Pki {
    /// `ca.pem` and `holder.pem`, with their keys, in a directory.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        authority(directory.path(), "ca", "/C=UA/O=Test/CN=Authority");
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        fs::write(path("holder.key"), key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        fs::write(path("document"), DOCUMENT).unwrap();
        let public = key.verifying_key().to_public_key_der().unwrap();
        fs::write(path("public.der"), public.as_bytes()).unwrap();
        let holder =
            issue(directory.path(), "ca", "holder", "keyUsage=critical,nonRepudiation", &["-days", "10"]);
        let certificates = SignerCertificates::new(&[holder, der(&path("ca.pem"))]).unwrap();
        Self { directory, key, certificates }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn reference(&self) -> &CertificateRef {
        self.certificates.reference()
    }

    /// Raw `r || s`, low s, as the suite makes it.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Vec<u8> {
        let signature: Signature = self.key.sign_prehash(digest).unwrap();
        signature.normalize_s().to_bytes().to_vec()
    }

    pub(crate) fn signed(&self, format: Format) -> Vec<u8> {
        let unsigned = Unsigned::prepare(format, DOCUMENT, self.reference(), TIME).unwrap();
        let signature = self.sign(unsigned.digest());
        unsigned.complete(&signature, &self.certificates).unwrap()
    }

    /// Runs openssl in the directory.
    pub(crate) fn openssl(&self, arguments: &str) -> Output {
        openssl(self.folder(), arguments)
    }

    /// Whether openssl finds `signature` (DER) to be the holder's over `message`.
    pub(crate) fn openssl_verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.write("message", message);
        self.write("message.sig", signature);
        let output =
            self.openssl("dgst -sha256 -verify public.der -keyform DER -signature message.sig message");
        output.status.success() && output.stdout.starts_with(b"Verified OK")
    }
}

/// A key and a certificate that vouches for itself: `{name}.key`, `{name}.pem`.
pub(crate) fn authority(folder: &Path, name: &str, subject: &str) {
    let mut command = command(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.pem -days 30"
        ),
    );
    command.args(["-subj", subject, "-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
    assert!(command.status().unwrap().success());
}

/// A certificate for `{name}.key` by `issuer`, in `{name}.pem`; its DER.
pub(crate) fn issue(folder: &Path, issuer: &str, name: &str, extension: &str, more: &[&str]) -> Vec<u8> {
    fs::write(folder.join("extensions"), extension).unwrap();
    let mut request = command(folder, &format!("req -new -key {name}.key -out {name}.csr"));
    request.args(["-subj", &format!("/C=UA/CN=Olena {name}")]);
    assert!(request.status().unwrap().success());
    let mut sign = command(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -extfile extensions -out {name}.pem"
        ),
    );
    sign.args(more);
    let output = sign.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    der(&folder.join(format!("{name}.pem")))
}

pub(crate) fn der(pem: &Path) -> Vec<u8> {
    certificates_in(&fs::read(pem).unwrap()).unwrap().remove(0)
}

pub(crate) fn openssl(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split_whitespace()).stderr(std::process::Stdio::piped());
    command
}
