//! Who stands behind a signature: certificates and a revocation list made with openssl.

use std::fs;

use signer_client::{
    desk::SystemClock,
    formats::{SignerCertificates, Trust, TrustError},
    ports::Clock as _,
};
use signer_core::{certificate::CertificateError, time::UnixSeconds};

use crate::support::{Pki, authority, der, issue};

const SIGNER: &str = "keyUsage=critical,nonRepudiation";
const DAY: u64 = 86_400;

/// openssl has dates by the machine's clock.
fn now() -> UnixSeconds {
    UnixSeconds(SystemClock.wall().0 + 60)
}

fn certificates(ders: &[Vec<u8>]) -> SignerCertificates {
    SignerCertificates::new(ders).unwrap()
}

#[test]
fn fmt_050_a_certificate_is_believed_under_an_authority_of_the_verifier_only() {
    let pki = Pki::new();
    let trust = Trust::new(&pki.read("ca.pem")).unwrap();
    let trusted = trust.check(&pki.certificates, now()).unwrap();
    assert_eq!((trusted.subject.as_str(), trusted.revocation_checked), ("CN=Olena holder,C=UA", false));
    // The authority in the file is not what is believed.
    authority(pki.folder(), "other", "/C=UA/O=Other/CN=Authority");
    authority(pki.folder(), "namesake", "/C=UA/O=Test/CN=Authority");
    for other in ["other.pem", "namesake.pem", "holder.pem"] {
        let other = Trust::new(&pki.read(other)).unwrap();
        assert_eq!(other.check(&pki.certificates, now()), Err(TrustError::Unknown));
    }
    // Several authorities, one of them ours; DER as well.
    let several = [pki.read("namesake.pem"), pki.read("ca.pem")].concat();
    assert!(Trust::new(&several).unwrap().check(&pki.certificates, now()).is_ok());
    assert!(Trust::new(&der(&pki.path("ca.pem"))).unwrap().check(&pki.certificates, now()).is_ok());
    for wrong in [&b""[..], b"0", b"-----BEGIN CERTIFICATE-----\n", &pki.read("holder.key")] {
        assert_eq!(Trust::new(wrong).unwrap_err(), TrustError::Anchors);
    }
}

#[test]
fn fmt_051_times_uses_and_lengths_of_chains_are_kept() {
    let pki = Pki::new();
    let trust = Trust::new(&pki.read("ca.pem")).unwrap();
    let at = |now: u64| trust.check(&pki.certificates, UnixSeconds(now)).map(|_| ());
    assert_eq!(at(now().0), Ok(()));
    assert_eq!(at(now().0 - DAY), Err(CertificateError::Validity.into()));
    assert_eq!(at(now().0 + 11 * DAY), Err(CertificateError::Validity.into()));
    for (extension, expected) in [
        ("keyUsage=digitalSignature", Ok(())),
        ("keyUsage=critical,keyAgreement", Err(CertificateError::Usage.into())),
        ("basicConstraints=critical,CA:TRUE", Err(CertificateError::Usage.into())),
        ("nsComment=unknown", Ok(())),
        ("1.2.3.4=critical,DER:0500", Err(CertificateError::Usage.into())),
    ] {
        let certificate = issue(pki.folder(), "ca", "holder", extension, &[]);
        assert_eq!(trust.check(&certificates(&[certificate]), now()).map(|_| ()), expected, "{extension}");
    }
    // One that is no authority issues nothing.
    issue(pki.folder(), "ca", "holder", SIGNER, &[]);
    let holder = der(&pki.path("holder.pem"));
    authority(pki.folder(), "second", "/CN=unused");
    fs::copy(pki.path("holder.pem"), pki.path("copy.pem")).unwrap();
    assert!(pki.openssl("pkey -in holder.key -inform DER -out copy.key").status.success());
    let second = issue(pki.folder(), "copy", "second", SIGNER, &[]);
    let chain = certificates(&[second, holder]);
    assert_eq!(trust.check(&chain, now()), Err(CertificateError::Issuer.into()));
}

#[test]
fn fmt_052_certificates_in_between_lead_to_the_authority() {
    let pki = Pki::new();
    let trust = Trust::new(&pki.read("ca.pem")).unwrap();
    authority(pki.folder(), "middle", "/CN=unused");
    let extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign";
    let middle = issue(pki.folder(), "ca", "middle", extensions, &[]);
    let holder = issue(pki.folder(), "middle", "holder", SIGNER, &[]);
    assert!(trust.check(&certificates(&[holder.clone(), middle.clone()]), now()).is_ok());
    assert_eq!(trust.check(&certificates(std::slice::from_ref(&holder)), now()), Err(TrustError::Unknown));
    let mut changed = middle;
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(trust.check(&certificates(&[holder.clone(), changed]), now()), Err(TrustError::Unknown));
    // A verifier may believe the one in between alone.
    let direct = Trust::new(&pki.read("middle.pem")).unwrap();
    assert!(direct.check(&certificates(&[holder]), now()).is_ok());
}

const CA_CONFIG: &str = "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n\
    default_crl_days=2\ncrl_extensions=list\n[list]\n[critical]\n1.2.3.4=critical,DER:0500\n";

fn crl(pki: &Pki, issuer: &str, name: &str, more: &str) -> Vec<u8> {
    pki.write("ca.cnf", CA_CONFIG);
    if !pki.path("index.txt").exists() {
        pki.write("index.txt", "");
        pki.write("number", "01\n");
    }
    let output = pki.openssl(&format!(
        "ca -config ca.cnf -gencrl -cert {issuer}.pem -keyfile {issuer}.key -out {name} {more}"
    ));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    pki.read(name)
}

#[test]
fn fmt_053_a_revocation_list_must_be_the_issuers_and_of_now_and_must_not_name_the_certificate() {
    let pki = Pki::new();
    let check = |crl: &[u8], now: u64| {
        let trust = Trust::new(&pki.read("ca.pem")).unwrap().with_crl(crl)?;
        trust.check(&pki.certificates, UnixSeconds(now)).map(|trusted| trusted.revocation_checked)
    };
    let now = now().0;
    let empty = crl(&pki, "ca", "empty.crl", "");
    assert_eq!(check(&empty, now), Ok(true));
    assert!(pki.openssl("crl -in empty.crl -outform DER -out empty.der").status.success());
    assert_eq!(check(&pki.read("empty.der"), now), Ok(true));
    // Not yet, no more, somebody else's, with a demand nobody knows, no list at all.
    assert_eq!(check(&empty, now + 3 * DAY), Err(TrustError::Crl));
    authority(pki.folder(), "namesake", "/C=UA/O=Test/CN=Authority");
    authority(pki.folder(), "other", "/CN=Other");
    for issuer in ["namesake", "other"] {
        assert_eq!(check(&crl(&pki, issuer, "foreign.crl", ""), now), Err(TrustError::Crl));
    }
    assert_eq!(check(&crl(&pki, "ca", "critical.crl", "-crlexts critical"), now), Err(TrustError::Crl));
    let mut changed = pki.read("empty.der");
    let at = changed.len() / 3;
    changed[at] ^= 1;
    for wrong in [&changed, &pki.read("ca.pem"), &Vec::new()] {
        assert_eq!(check(wrong, now), Err(TrustError::Crl));
    }
    // Another certificate is revoked, then ours.
    pki.write("revoked.key", pki.read("ca.key"));
    issue(pki.folder(), "ca", "revoked", SIGNER, &[]);
    let revoke = "ca -config ca.cnf -cert ca.pem -keyfile ca.key -crl_reason";
    assert!(pki.openssl(&format!("{revoke} keyCompromise -revoke revoked.pem")).status.success());
    assert_eq!(check(&crl(&pki, "ca", "one.crl", ""), now), Ok(true));
    assert!(pki.openssl(&format!("{revoke} certificateHold -revoke holder.pem")).status.success());
    assert_eq!(check(&crl(&pki, "ca", "two.crl", ""), now), Err(TrustError::Revoked));
}
