//! Certificates of two-party keys in the whole application, with `openssl` as the outsider.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_client::{Approved, EnrolledBy, verify_result};
use signer_core::{
    certificate::{BINDING, check_chain, der_from_raw, to_pem, verify_request},
    credential::{DocumentRecord, StepRule},
    domain::sha256,
    pin::Pin,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{CertificateQuery, CertificateRequestView, ProblemCode, SigningCertificate, Standing},
};
use signer_server::{
    ports::{Random as _, SystemRandom},
    registers::{Register, RegisterError},
    service::{Parts, Service, ServiceError, TrustRoot},
    store::{
        Holder, KekSource, Store,
        sqlite::{SqliteOptions, SqliteStore},
    },
    wrap::Wrapping,
};

use crate::{
    harness::{PIN, TestApp, WRONG, code, request},
    support::{clock::T0, phone::TestPhone},
};

const DAY: u64 = 86_400;

/// A phone with an `es256` key for `person`.
fn phone(app: &TestApp, person: &str) -> TestPhone {
    let mut phone = app.blank_phone();
    let code = app.enrolment_code(person);
    phone.phone.enrol(SuiteId::Es256, &code, &Pin::new(PIN).unwrap()).unwrap();
    phone
}

fn device(phone: &TestPhone) -> String {
    phone.device_key().device_id().to_string()
}

fn act(app: &TestApp, phone: &TestPhone, act: &str) -> u16 {
    app.admin("POST", &format!("/devices/{}/{act}", device(phone)), None).status
}

fn openssl(folder: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn good(folder: &Path, arguments: &str) -> String {
    let (good, text) = openssl(folder, arguments);
    assert!(good, "openssl {arguments}: {text}");
    text
}

/// Whether the phone's certificate holds against the list the server serves now.
fn holds(app: &TestApp, chain: &[Vec<u8>]) -> bool {
    let folder = app.folder();
    let crl = app.http.send("GET", "/ca/v1/crl.der", &[], b"");
    assert_eq!((crl.status, crl.header("content-type")), (200, Some("application/pkix-crl")));
    assert_eq!(crl.header("cache-control"), Some("public, max-age=300"));
    let ca = app.http.send("GET", "/ca/v1/ca.pem", &[], b"");
    fs::write(folder.join("ca.pem"), ca.body).unwrap();
    fs::write(folder.join("crl.pem"), to_pem("X509 CRL", &crl.body).unwrap()).unwrap();
    fs::write(folder.join("leaf.pem"), to_pem("CERTIFICATE", &chain[0]).unwrap()).unwrap();
    let now = app.clock.seconds() + 1;
    let (good, text) = openssl(
        folder,
        &format!("verify -x509_strict -attime {now} -crl_check -CRLfile crl.pem -CAfile ca.pem leaf.pem"),
    );
    assert!(good || text.contains("certificate revoked"), "{text}");
    good
}

#[test]
fn pki_030_enrolment_brings_a_certificate_that_outsiders_verify() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), phone(&app, "olena"));
    let certificate = phone.phone.certificate().unwrap();
    assert!(holds(&app, &certificate.chain));
    let chain_shown = format!("{:?}", certificate.chain);
    assert!(!format!("{certificate:?}").contains(&chain_shown), "debug output does not name the holder");
    let folder = app.folder();
    fs::write(folder.join("request.csr"), to_pem("CERTIFICATE REQUEST", &certificate.request).unwrap())
        .unwrap();
    assert!(good(folder, "req -in request.csr -verify -noout").contains("verify OK"));
    let path = format!("/devices/{}/certificate-request", device(&phone));
    let view: CertificateRequestView = app.admin("GET", &path, None).json();
    assert_eq!(BASE64_STANDARD.decode(view.request).unwrap(), certificate.request);
    let subject = good(folder, "x509 -in leaf.pem -noout -subject -nameopt utf8,sep_comma_plus_space");
    assert!(subject.contains("CN=Олена Григорівна Шевченко, serialNumber=olena"), "{subject}");

    // A signature, and the chain with it: the key in the certificate verifies it.
    let token = app.relying_party("Another bank", true, false).token;
    let told = app.http.json("GET", "/v1/persons/olena/signing-certificate", &token, None);
    let told: SigningCertificate = told.json();
    assert_eq!(told.certificate_sha256, BASE64_STANDARD.encode(sha256(&certificate.chain[0])));
    assert_eq!((told.suite.as_str(), told.not_after), ("es256", certificate.checked.not_after.0));
    assert_eq!(BASE64_STANDARD.decode(told.issuer).unwrap(), certificate.checked.issuer);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
    verify_result(&result).unwrap();
    let chain: Vec<Vec<u8>> =
        result.certificate_chain.unwrap().iter().map(|der| BASE64_STANDARD.decode(der).unwrap()).collect();
    assert_eq!(chain, certificate.chain);
    let raw = BASE64_STANDARD.decode(&result.signatures[0].signature).unwrap();
    fs::write(folder.join("signature.der"), der_from_raw(&raw).unwrap()).unwrap();
    // The harness's first document is the byte 0.
    assert_eq!(request("olena", 1).documents[0].sha256, result.signatures[0].sha256);
    fs::write(folder.join("document"), [0]).unwrap();
    fs::write(folder.join("key.pem"), good(folder, "x509 -in leaf.pem -noout -pubkey")).unwrap();
    good(folder, "dgst -sha256 -verify key.pem -signature signature.der document");
}

#[test]
fn pki_031_a_suspension_refuses_signatures_and_is_taken_back() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), phone(&app, "olena"));
    let chain = phone.phone.certificate().unwrap().chain;
    let token = app.relying_party("Another bank", true, false).token;
    let told = || app.http.json("GET", "/v1/persons/olena/signing-certificate", &token, None).status;
    let id = app.ask(&bank, "olena");
    let prepared = phone.prepare(id, PIN);
    assert_eq!(act(&app, &phone, "suspend"), 204);
    assert_eq!(phone.phone.status().unwrap().standing, Standing::Suspended);
    assert!(!holds(&app, &chain));
    assert_eq!(told(), 404);
    let before = app.dump();
    assert_eq!(app.device("approve", &prepared).code(), ProblemCode::Suspended);
    let listed = phone.listed(id);
    assert_eq!(code(phone.phone.fetch(listed)), ProblemCode::Suspended);
    assert_eq!(code(phone.phone.certificate()), ProblemCode::Suspended);
    assert_eq!(app.dump(), before, "nothing is counted, no token is presented");
    assert_eq!(act(&app, &phone, "resume"), 204);
    assert!(holds(&app, &chain));
    assert_eq!(told(), 200);
    assert_eq!(app.device("approve", &prepared).status, 200, "the same bytes are evaluated now");
    assert!(bank.wait(id, Duration::ZERO).unwrap().result.is_some());
}

#[test]
fn pki_032_what_ends_a_key_is_in_the_list_with_its_reason() {
    let app = TestApp::spawn();
    let reason = || {
        let crl = app.http.send("GET", "/ca/v1/crl.der", &[], b"").body;
        fs::write(app.folder().join("crl.der"), crl).unwrap();
        good(app.folder(), "crl -inform DER -in crl.der -noout -text")
    };
    let mut first = phone(&app, "olena");
    let chain = first.phone.certificate().unwrap().chain;
    assert!(reason().contains("No Revoked Certificates."));
    let mut second = phone(&app, "olena");
    assert!(!holds(&app, &chain), "superseded by a new enrolment");
    assert!(reason().contains("Superseded"));
    assert!(holds(&app, &second.phone.certificate().unwrap().chain));
    assert_eq!(code(first.phone.certificate()), ProblemCode::Revoked);
    assert_eq!(act(&app, &second, "revoke?reason=privilege_withdrawn"), 204);
    assert!(reason().contains("Privilege Withdrawn"));
    assert_eq!(act(&app, &second, "suspend"), 404, "revoked is for good");
}

#[test]
fn pki_033_a_certificate_is_renewed_in_the_last_third_of_its_life() {
    let app = TestApp::spawn();
    let mut phone = phone(&app, "olena");
    let first = phone.phone.certificate().unwrap();
    app.clock.set(T0 + 243 * DAY);
    assert_eq!(phone.phone.certificate().unwrap().chain, first.chain);
    app.clock.set(T0 + 244 * DAY);
    let renewed = phone.phone.certificate().unwrap();
    assert_ne!(renewed.checked.serial, first.checked.serial);
    assert_eq!(renewed.checked.not_after, UnixSeconds(T0 + (244 + 365) * DAY));
    assert_eq!(renewed.request, first.request);
    assert!(first.checked.binding.is_some() && renewed.checked.binding == first.checked.binding);
    assert_eq!(phone.phone.certificate().unwrap().chain, renewed.chain, "once");
    assert!(holds(&app, &first.chain) && holds(&app, &renewed.chain), "the earlier one stays valid");
}

struct Down;

#[async_trait]
impl Register for Down {
    async fn document(&self, _: &Holder, _: u32) -> Result<Option<DocumentRecord>, RegisterError> {
        Err(RegisterError::NotReached("down".into()))
    }
}

/// A service on the stopped server's folder, whose register is down.
async fn without_its_register(app: &TestApp) -> (Arc<SqliteStore>, Service) {
    let config = &app.config;
    let options = SqliteOptions::new(app.database(), config.witness_dir().join("witness"));
    let store = SqliteStore::open(&options, &mut SystemRandom.rng()).unwrap();
    let random = Arc::new(SystemRandom);
    let wrapping = Wrapping::open(
        &*store,
        &config.data_dir,
        KekSource::File,
        None,
        random,
        UnixSeconds(app.clock.seconds()),
    )
    .await
    .unwrap();
    let parts = Parts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        wrapping,
        clock: Arc::new(app.clock.clone()),
        random: Arc::new(SystemRandom),
        register: Some(Arc::new(Down)),
        ca: config.ca.settings("http://127.0.0.1").unwrap(),
        issuer: config.issuer.settings("http://127.0.0.1").unwrap(),
        trust_root: TrustRoot::Own(Box::new(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap())),
        policy: config.lock_policy.clone(),
        rule: StepRule::STANDARD,
        admin_token: [0; 32],
        concurrency_max: 1,
        long_polls_max: 1,
        sandbox: false,
        webhooks_private: false,
        limits: config.limits.settings().unwrap(),
    };
    (store, Service::new(parts).await.unwrap())
}

#[test]
fn pki_033_a_valid_certificate_stays_in_use_while_the_register_is_down() {
    let mut app = TestApp::spawn();
    let mut phone = phone(&app, "olena");
    let first = phone.phone.certificate().unwrap();
    app.stop();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (store, service) = without_its_register(&app).await;
        let ask = async |at| {
            app.clock.set(at);
            service.certificate(&phone.seal(at, &CertificateQuery {})).await
        };
        let UnixSeconds(end) = first.checked.not_after;
        for at in [T0 + 244 * DAY, end] {
            let chain = ask(at).await.unwrap().chain;
            let chain: Vec<_> = chain.as_slice().iter().map(|der| der.as_slice().to_vec()).collect();
            assert_eq!(chain, first.chain);
        }
        let ended = ask(end + 1).await;
        assert!(
            matches!(&ended, Err(ServiceError::Refused(refusal)) if refusal.code == ProblemCode::RegisterNotReached),
            "{ended:?}"
        );
        store.close().await;
    });
}

#[test]
fn pki_034_a_change_of_the_pin_keeps_key_and_certificate() {
    let app = TestApp::spawn();
    let mut phone = phone(&app, "olena");
    let before = phone.phone.certificate().unwrap();
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(WRONG).unwrap()).unwrap();
    assert_eq!(phone.phone.certificate().unwrap(), before);
}

#[test]
fn pki_035_a_suite_without_certificates_has_none() {
    let app = TestApp::spawn();
    let mut phone = app.blank_phone();
    let enrolment = app.enrolment_code("olena");
    phone.phone.enrol(SuiteId::FrostSecp256k1Sha256, &enrolment, &Pin::new(PIN).unwrap()).unwrap();
    assert_eq!(code(phone.phone.certificate()), ProblemCode::NotFound);
    let token = app.relying_party("Bank", true, false).token;
    let told = app.http.json("GET", "/v1/persons/olena/signing-certificate", &token, None);
    assert_eq!(told.code(), ProblemCode::NotFound);
    let path = format!("/devices/{}/certificate-request", device(&phone));
    assert_eq!(app.admin("GET", &path, None).code(), ProblemCode::NotFound);
}

#[test]
fn pki_036_an_imported_certificate_is_for_exactly_this_key() {
    let (app, elsewhere) = (TestApp::spawn(), TestApp::spawn());
    let (bank, mut phone) = (app.bank(), phone(&app, "olena"));
    let mut other = self::phone(&app, "taras");
    let path = format!("/devices/{}/certificate", device(&phone));
    let import = |chain: &[Vec<u8>]| {
        let chain: Vec<String> = chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
        app.admin("PUT", &path, Some(&serde_json::json!({ "chain": chain })))
    };
    let own = phone.phone.certificate().unwrap().chain;
    assert_eq!(import(&own).code(), ProblemCode::InvalidValue, "here already");
    let others = other.phone.certificate().unwrap().chain;
    assert_eq!(import(&others).code(), ProblemCode::InvalidValue, "another key's");
    assert_eq!(import(&own[..1]).code(), ProblemCode::InvalidValue, "no authority");
    // openssl plays the other authority.
    let folder = elsewhere.folder();
    let request = phone.phone.certificate().unwrap().request;
    fs::write(folder.join("r.csr"), to_pem("CERTIFICATE REQUEST", &request).unwrap()).unwrap();
    fs::write(folder.join("ext"), "keyUsage=critical,digitalSignature\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key";
    good(
        folder,
        &format!("req -x509 {key} -subj /CN=Elsewhere -days 3650 -set_serial 1 -outform DER -out ca.der"),
    );
    good(folder, "x509 -inform DER -in ca.der -out ca.pem");
    let sign = "x509 -req -in r.csr -CA ca.pem -CAkey ca.key -set_serial 77 -days 1000 -extfile ext";
    good(folder, &format!("{sign} -subj /CN=Olena -outform DER -out leaf.der"));
    // The authority's certificate may begin later than what it issued: here it is made anew.
    std::thread::sleep(Duration::from_millis(1100));
    good(
        folder,
        "req -x509 -key ca.key -subj /CN=Elsewhere -days 3650 -set_serial 1 -outform DER -out ca.der",
    );
    let chain = ["leaf.der", "ca.der"].map(|file| fs::read(folder.join(file)).unwrap());
    // openssl's certificates begin by the real clock.
    let begins = not_before(&chain, &phone);
    app.clock.set(begins.max(T0));
    assert_eq!(import(&chain).status, 204);
    assert_eq!(import(&chain).code(), ProblemCode::InvalidValue, "twice");
    assert_eq!(phone.phone.certificate().unwrap().chain, chain);
    let token = app.relying_party("Another bank", true, false).token;
    let told = app.http.json("GET", "/v1/persons/olena/signing-certificate", &token, None);
    let told: SigningCertificate = told.json();
    assert_eq!(told.certificate_sha256, BASE64_STANDARD.encode(sha256(&chain[0])));
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
    assert_eq!(result.certificate_chain.as_ref().unwrap()[0], BASE64_STANDARD.encode(&chain[0]));
    assert_eq!(verify_result(&result).unwrap().enrolled, EnrolledBy::Signature);

    // One that names the request it was issued for says whose phone it is, too; one that names another is refused.
    app.clock.advance(DAY);
    let right = verify_request(&request).unwrap().binding;
    for (serial, binding) in [(78, &[7; 32][..]), (79, &[7; 3]), (80, &right)] {
        let hex: String = binding.iter().map(|byte| format!("{byte:02x}")).collect();
        let value = format!("{BINDING}=DER:04{:02x}{hex}", binding.len());
        fs::write(folder.join("ext"), format!("keyUsage=critical,digitalSignature\n{value}\n")).unwrap();
        let sign = sign.replace("77", &serial.to_string());
        good(folder, &format!("{sign} -subj /CN=Olena -outform DER -out leaf.der"));
        let chain = ["leaf.der", "ca.der"].map(|file| fs::read(folder.join(file)).unwrap());
        let answer = import(&chain);
        if binding == right {
            assert_eq!(answer.status, 204);
        } else {
            assert_eq!(answer.code(), ProblemCode::InvalidValue);
        }
    }
    app.clock.advance(1);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let result = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
    assert_eq!(verify_result(&result).unwrap().enrolled, EnrolledBy::Certificate);
}

/// The first second of a chain's validity, found by asking.
fn not_before(chain: &[Vec<u8>; 2], phone: &TestPhone) -> u64 {
    let q = phone.phone.enrolled().unwrap().public_key;
    let starts = (T0 - 400 * DAY..T0 + 4000 * DAY).step_by(usize::try_from(DAY).unwrap());
    let valid = starts.into_iter().find(|at| check_chain(chain, &q, UnixSeconds(*at)).is_ok());
    valid.unwrap()
}

#[test]
fn pki_037_a_person_the_register_does_not_know_is_named_by_the_reference() {
    let app = TestApp::spawn();
    let mut phone = phone(&app, "nobody_in_register");
    let chain = phone.phone.certificate().unwrap().chain;
    assert!(holds(&app, &chain));
    let subject = good(app.folder(), "x509 -in leaf.pem -noout -subject -nameopt utf8,sep_comma_plus_space");
    assert!(subject.contains("CN=nobody_in_register, serialNumber=SHA256-"), "{subject}");
}
