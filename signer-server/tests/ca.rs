//! The built-in certification authority against the `openssl` command line. The keys are ordinary P-256 ones: to everybody
//! outside, a key in two shares is one of them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs, path::PathBuf, process::Command};

use p256::ecdsa::{
    Signature, SigningKey,
    signature::{Signer as _, hazmat::PrehashSigner as _},
};
use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::{
    certificate::{
        CertificateError, Request, assemble_request, certificates_from_pem, check_chain, request_digest,
        request_info, to_pem, verify_request,
    },
    credential::DocumentRecord,
    suite::GroupPublicKey,
    time::UnixSeconds,
};
use signer_server::{
    ca::{Authority, AuthorityName, Country, Issued, Subject, Terms},
    store::{Holder, RevocationReason, Revoked},
};
use tempfile::TempDir;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const DAY: u64 = 86_400;
const BINDING: [u8; 32] = [7; 32];

fn key(n: u8) -> (SigningKey, GroupPublicKey) {
    let key = SigningKey::from_slice(&[n; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(true);
    (key, GroupPublicKey(point.as_bytes().try_into().unwrap()))
}

fn country() -> Country {
    Country::new("UA").unwrap()
}

fn authority_of(n: u8, name: &str) -> Authority {
    let (key, _) = key(n);
    let name = AuthorityName::new(country(), name).unwrap();
    let rng = &mut StdRng::seed_from_u64(1);
    let unsigned = Authority::self_signed(key.verifying_key(), &name, NOW, rng).unwrap();
    let signature = sign(&key, unsigned.bytes());
    let der = unsigned.complete(&signature).unwrap();
    let terms =
        Terms { public_url: "https://ca.example".into(), certificate_seconds: 365 * DAY, crl_seconds: DAY };
    Authority::new(*key.verifying_key(), der, terms).unwrap()
}

/// As the server does with the key of an authority, which is not where the authority is.
fn sign(key: &SigningKey, bytes: &[u8]) -> [u8; 64] {
    let signature: Signature = key.sign(bytes);
    signature.to_bytes().into()
}

/// Signs as the authority of [`authority`].
fn own_sign(bytes: &[u8]) -> [u8; 64] {
    sign(&key(0x11).0, bytes)
}

fn authority() -> Authority {
    authority_of(0x11, "Signer CA Тест")
}

fn olena() -> Subject {
    let file = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/register.json")).unwrap();
    let people: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let documents: Vec<DocumentRecord> = serde_json::from_value(people["olena"].clone()).unwrap();
    Subject::new(country(), Holder::new("olena").unwrap(), documents.first())
}

fn nameless(reference: &str) -> Subject {
    Subject::new(country(), Holder::new(reference).unwrap(), None)
}

fn request_of(n: u8) -> Request {
    Request { public_key: key(n).1, binding: BINDING }
}

fn issue(authority: &Authority, subject: &Subject, n: u8) -> Issued {
    let rng = &mut StdRng::seed_from_u64(n.into());
    let issue = authority.issue(&request_of(n), subject, NOW, rng).unwrap();
    let signature = own_sign(issue.to_sign());
    issue.complete(&signature).unwrap()
}

/// A folder for `openssl`.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn pem(&self, name: &str, label: &str, der: &[u8]) -> PathBuf {
        self.put(name, to_pem(label, der).unwrap())
    }

    /// Whether it exits with 0, and all it prints.
    fn openssl(&self, arguments: &str) -> (bool, String) {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn good(&self, arguments: &str) -> String {
        let (good, text) = self.openssl(arguments);
        assert!(good, "openssl {arguments}: {text}");
        text
    }

    fn bad(&self, arguments: &str) -> String {
        let (good, text) = self.openssl(arguments);
        assert!(!good, "openssl {arguments}: {text}");
        text
    }
}

/// The lines of `text` without indentation, in one string.
fn squeezed(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn request() -> Vec<u8> {
    let (signer, public_key) = key(0x22);
    let digest = request_digest(&public_key, &BINDING).unwrap();
    let signature: Signature = signer.sign_prehash(&digest).unwrap();
    assemble_request(&public_key, &BINDING, &signature.to_bytes()).unwrap()
}

#[test]
fn pki_001_a_request_is_the_same_for_both_parties_and_openssl_verifies_it() {
    let (_, public_key) = key(0x22);
    assert_eq!(request_info(&public_key, &BINDING), request_info(&public_key, &BINDING));
    assert_ne!(request_digest(&public_key, &BINDING), request_digest(&public_key, &[8; 32]));
    assert_ne!(request_digest(&public_key, &BINDING), request_digest(&key(0x23).1, &BINDING));
    let der = request();
    let read = verify_request(&der).unwrap();
    assert_eq!((read.public_key, read.binding), (public_key, BINDING));
    let desk = Desk::new();
    desk.pem("request.csr", "CERTIFICATE REQUEST", &der);
    let text = desk.good("req -in request.csr -verify -noout -text");
    assert!(text.contains("verify OK"), "{text}");
    assert!(squeezed(&text).contains("\nSubject:\n") || text.contains("Subject: \n"), "no subject: {text}");
    assert!(text.contains("1.3.6.1.4.1.32473.7400.1") && text.contains("ecdsa-with-SHA256"), "{text}");
}

#[test]
fn pki_002_a_changed_request_is_refused() {
    let der = request();
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(verify_request(&changed).is_err(), "byte {at}");
    }
    for cut in 0..der.len() {
        assert!(verify_request(&der[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(verify_request(&[&der[..], &[0]].concat()), Err(CertificateError::Malformed));
}

#[test]
fn pki_010_the_authority_has_the_profile_of_one() {
    let desk = Desk::new();
    desk.pem("ca.pem", "CERTIFICATE", authority().certificate());
    let text = squeezed(&desk.good("x509 -in ca.pem -noout -text -nameopt utf8,sep_comma_plus_space"));
    for expected in [
        "Version: 3 (0x2)",
        "X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:0",
        "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
        "Subject: C=UA, CN=Signer CA Тест",
        "Issuer: C=UA, CN=Signer CA Тест",
        "Signature Algorithm: ecdsa-with-SHA256",
        "ASN1 OID: prime256v1",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    desk.good(&format!("verify -x509_strict -attime {} -CAfile ca.pem ca.pem", NOW.0));
}

#[test]
fn pki_011_a_holders_certificate_has_its_profile_and_verifies() {
    let (desk, authority) = (Desk::new(), authority());
    desk.pem("ca.pem", "CERTIFICATE", authority.certificate());
    let issued = issue(&authority, &olena(), 0x22);
    desk.pem("leaf.pem", "CERTIFICATE", &issued.der);
    let text = squeezed(&desk.good("x509 -in leaf.pem -noout -text -nameopt utf8,sep_comma_plus_space"));
    for expected in [
        "Version: 3 (0x2)",
        "Issuer: C=UA, CN=Signer CA Тест",
        "Subject: C=UA, SN=Шевченко, GN=Олена Григорівна, CN=Олена Григорівна Шевченко, serialNumber=olena",
        "X509v3 Key Usage: critical\nDigital Signature, Non Repudiation",
        "X509v3 Certificate Policies:\nPolicy: 1.3.6.1.4.1.32473.7400.2",
        "URI:https://ca.example/ca/v1/crl.der",
        "CA Issuers - URI:https://ca.example/ca/v1/ca.der",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
        "1.3.6.1.4.1.32473.7400.1:\n",
        "Not Before: Jan 15 07:55:00 2027 GMT",
        "Not After : Jan 15 08:00:00 2028 GMT",
        "Signature Algorithm: ecdsa-with-SHA256",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("Basic Constraints"), "an end entity: {text}");
    let at = |time: UnixSeconds| format!("verify -x509_strict -attime {} -CAfile ca.pem leaf.pem", time.0);
    desk.good(&at(NOW));
    desk.good(&at(NOW.plus(365 * DAY - 1)));
    assert!(desk.bad(&at(NOW.plus(365 * DAY + 1))).contains("expired"));
    desk.good(&at(UnixSeconds(NOW.0 - 300)));
    assert!(desk.bad(&at(UnixSeconds(NOW.0 - 301))).contains("not yet valid"));
    let checked = check_chain(&[&issued.der[..], authority.certificate()], &key(0x22).1, NOW).unwrap();
    assert_eq!((checked.serial, checked.not_after), (issued.serial.clone(), issued.not_after));
    assert_eq!(checked.binding, Some(BINDING));
    assert_eq!(issued.serial.len(), 16, "128 bits, positive without a zero in front");
    assert!(issued.serial[0] < 0x80);
}

#[test]
fn pki_012_names_keep_to_their_bounds_and_alphabets() {
    let (desk, authority) = (Desk::new(), authority());
    desk.pem("ca.pem", "CERTIFICATE", authority.certificate());
    let subject = |subject: &Subject| {
        desk.pem("leaf.pem", "CERTIFICATE", &issue(&authority, subject, 0x22).der);
        desk.good(&format!("verify -x509_strict -attime {} -CAfile ca.pem leaf.pem", NOW.0));
        desk.good("x509 -in leaf.pem -noout -subject -nameopt utf8,sep_comma_plus_space").trim().to_owned()
    };
    assert_eq!(subject(&nameless("taras")), "subject=C=UA, CN=taras, serialNumber=taras");
    let odd = subject(&nameless("a_b@c"));
    assert!(odd.starts_with("subject=C=UA, CN=a_b@c, serialNumber=SHA256-"), "{odd}");
    let longest = "x".repeat(64);
    assert_eq!(subject(&nameless(&longest)), format!("subject=C=UA, CN={longest}, serialNumber={longest}"));
    let long: DocumentRecord = serde_json::from_value(serde_json::json!({
        "document_type": "identity_card", "family": "Є".repeat(48), "given": "Ї".repeat(48), "birth": "1990-01-01",
        "number": "1", "expires": "2040-01-01", "rights": "",
    }))
    .unwrap();
    let long = Subject::new(country(), Holder::new("long").unwrap(), Some(&long));
    let long = subject(&long);
    let whole =
        format!("SN={}, GN={}, CN={} {}, ", "Є".repeat(48), "Ї".repeat(48), "Ї".repeat(48), "Є".repeat(15));
    assert!(long.contains(&whole), "{long}");
    for wrong in ["", "two\nlines", "e\u{301}", "\u{202E}AC", &"x".repeat(65)] {
        assert!(AuthorityName::new(country(), wrong).is_none(), "{wrong:?}");
    }
    for wrong in ["", "ua", "U", "UKR", "У"] {
        assert!(Country::new(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn pki_013_a_certificate_does_not_outlive_its_authority() {
    let authority = authority();
    let late = NOW.plus(3_653 * DAY - 10);
    let rng = &mut StdRng::seed_from_u64(5);
    let issue = authority.issue(&request_of(0x22), &nameless("late"), late, rng).unwrap();
    let signature = own_sign(issue.to_sign());
    let issued = issue.complete(&signature).unwrap();
    assert_eq!(issued.not_after, NOW.plus(3_653 * DAY));
    assert!(authority.issue(&request_of(0x22), &nameless("late"), late.plus(10), rng).is_err());
}

#[test]
fn pki_014_a_chain_that_does_not_hold_is_refused() {
    use CertificateError::{Issuer, Malformed, PublicKey, Signature, Usage, Validity};
    let (authority, other, namesake) =
        (authority(), authority_of(0x12, "Other CA"), authority_of(0x13, "Signer CA Тест"));
    let issued = issue(&authority, &olena(), 0x22);
    let (leaf, ca) = (&issued.der[..], authority.certificate());
    let q = key(0x22).1;
    assert!(check_chain(&[leaf, ca], &q, NOW).is_ok());
    assert_eq!(check_chain(&[leaf, ca], &key(0x23).1, NOW), Err(PublicKey), "another key");
    assert_eq!(check_chain(&[leaf, other.certificate()], &q, NOW), Err(Issuer), "another authority");
    assert_eq!(check_chain(&[leaf, namesake.certificate()], &q, NOW), Err(Signature), "one of the same name");
    assert_eq!(check_chain(&[leaf, leaf], &q, NOW), Err(Issuer), "a holder issues nothing");
    assert_eq!(check_chain(&[leaf], &q, NOW), Err(Malformed), "no authority");
    assert_eq!(check_chain(&[ca, ca], &key(0x11).1, NOW), Err(Usage), "an authority signs no documents");
    assert_eq!(check_chain(&[leaf, ca, ca], &q, NOW), Err(Issuer), "its path length is 0");
    assert_eq!(check_chain(&[leaf, ca], &q, issued.not_after.plus(1)), Err(Validity));
    assert!(check_chain(&[leaf, ca], &q, UnixSeconds(NOW.0 - 300)).is_ok());
    assert_eq!(check_chain(&[leaf, ca], &q, UnixSeconds(NOW.0 - 301)), Err(Validity));
    for at in 0..leaf.len() {
        let mut changed = leaf.to_vec();
        changed[at] ^= 1;
        assert!(check_chain(&[&changed[..], ca], &q, NOW).is_err(), "byte {at}");
    }
    assert!(check_chain(&[&[leaf, &[0]].concat()[..], ca], &q, NOW).is_err(), "something added");
}

#[test]
fn pki_020_openssl_follows_the_revocation_list() {
    let (desk, authority) = (Desk::new(), authority());
    desk.pem("ca.pem", "CERTIFICATE", authority.certificate());
    let issued = issue(&authority, &olena(), 0x22);
    desk.pem("leaf.pem", "CERTIFICATE", &issued.der);
    let other = issue(&authority, &nameless("other"), 0x23);
    desk.pem("other.pem", "CERTIFICATE", &other.der);
    let list = |number: u64, entries: &[Revoked]| {
        let unsigned = authority.crl(number, entries, NOW).unwrap();
        let signature = own_sign(unsigned.bytes());
        let crl = unsigned.complete(&signature).unwrap();
        desk.pem("crl.pem", "X509 CRL", &crl);
        let text = desk.good("crl -in crl.pem -noout -text -CAfile ca.pem");
        assert!(text.contains("verify OK") && text.contains("Version 2 (0x1)"), "{text}");
        assert!(squeezed(&text).contains(&format!("X509v3 CRL Number:\n{number}")), "{text}");
        assert!(text.contains("X509v3 Authority Key Identifier"), "{text}");
        assert!(text.contains("Next Update: Jan 16 08:00:00 2027 GMT"), "{text}");
        text
    };
    let check = |name: &str| {
        desk.openssl(&format!(
            "verify -x509_strict -attime {} -crl_check -CRLfile crl.pem -CAfile ca.pem {name}",
            NOW.0
        ))
    };
    assert!(list(1, &[]).contains("No Revoked Certificates."));
    assert!(check("leaf.pem").0 && check("other.pem").0);
    let entry = |reason| Revoked { serial: issued.serial.clone(), reason, at: NOW };
    let on_hold = list(2, &[entry(RevocationReason::Hold)]);
    assert!(on_hold.contains("Certificate Hold"), "{on_hold}");
    let (good, text) = check("leaf.pem");
    assert!(!good && text.contains("revoked"), "{text}");
    assert!(check("other.pem").0);
    list(3, &[]);
    assert!(check("leaf.pem").0, "resumed");
    for (number, reason, said) in [
        (4, RevocationReason::KeyCompromise, "Key Compromise"),
        (5, RevocationReason::AffiliationChanged, "Affiliation Changed"),
        (6, RevocationReason::Superseded, "Superseded"),
        (7, RevocationReason::CessationOfOperation, "Cessation Of Operation"),
        (8, RevocationReason::PrivilegeWithdrawn, "Privilege Withdrawn"),
        (9, RevocationReason::Unspecified, "Serial Number"),
    ] {
        let text = list(number, &[entry(reason)]);
        assert!(text.contains(said), "{text}");
        assert_eq!(text.contains("CRL Reason Code"), reason != RevocationReason::Unspecified, "{text}");
        assert!(!check("leaf.pem").0);
    }
}

#[test]
fn pki_003_certificates_are_read_from_pem() {
    let ca = authority().certificate().to_vec();
    let pem = to_pem("CERTIFICATE", &ca).unwrap();
    assert_eq!(certificates_from_pem(&format!("{pem}\n{pem}")).unwrap(), vec![ca.clone(), ca]);
    let request = to_pem("CERTIFICATE REQUEST", &request()).unwrap();
    for wrong in ["", "text", &request, &format!("{pem}text"), &pem.repeat(6), &pem[..pem.len() / 2]] {
        assert_eq!(certificates_from_pem(wrong), Err(CertificateError::Malformed), "{wrong}");
    }
}
