//! The CSC API: wrong calls here, whole PDFs by a client of others in `.ci/csc`.

use std::{thread, time::Duration};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
use serde_json::{Value, json};
use signer_client::Approved;
use signer_core::certificate::raw_from_der;
use x509_cert::der::Decode as _;

use crate::{
    harness::{Dump, PIN, TestApp},
    oauth::{Client, refusal},
    support::{http::Answer, phone::TestPhone},
};

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
/// Methods that need a caller, with their versions.
const METHODS: [(&str, &str); 9] = [
    ("v1", "credentials/list"),
    ("v1", "credentials/info"),
    ("v1", "credentials/authorize"),
    ("v1", "signatures/signHash"),
    ("v2", "credentials/list"),
    ("v2", "credentials/info"),
    ("v2", "credentials/authorize"),
    ("v2", "credentials/authorizeCheck"),
    ("v2", "signatures/signHash"),
];

/// A server, a bank with an access token, and a holder with a phone.
pub(crate) struct Town {
    pub(crate) app: TestApp,
    pub(crate) bank: Client,
    pub(crate) token: String,
    pub(crate) phone: TestPhone,
    pub(crate) credential: String,
}

impl Town {
    pub(crate) fn new() -> Self {
        let app = TestApp::spawn();
        let bank = Client::new(&app, "Bank");
        let token = bank.token(&app);
        let phone = app.phone("olena");
        let credential = listed(&app, &token, "olena").remove(0);
        Self { app, bank, token, phone, credential }
    }

    pub(crate) fn call(&self, version: &str, method: &str, body: &Value) -> Answer {
        call(&self.app, &self.token, version, method, body)
    }

    /// Asks in version 2 and approves; the activation data.
    fn authorised(&mut self, digests: &[u8]) -> String {
        let handle = self.asked(digests);
        assert!(matches!(self.phone.approve(handle.parse().unwrap(), PIN).unwrap(), Approved::Signed(_)));
        let answer = self.check(&handle);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer: Value = answer.json();
        assert!(answer["expiresIn"].as_u64().unwrap() <= 300);
        answer["SAD"].as_str().unwrap().to_owned()
    }

    pub(crate) fn asked(&self, digests: &[u8]) -> String {
        let answer = self.call("v2", "credentials/authorize", &authorize(&self.credential, digests));
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json::<Value>()["handle"].as_str().unwrap().to_owned()
    }

    pub(crate) fn check(&self, handle: &str) -> Answer {
        self.call("v2", "credentials/authorizeCheck", &json!({ "handle": handle }))
    }

    pub(crate) fn sign(&self, sad: &str, digests: &[u8]) -> Answer {
        self.call("v2", "signatures/signHash", &sign(&self.credential, sad, digests))
    }

    /// The holder's key, from the certificate told.
    fn key(&self) -> VerifyingKey {
        let info: Value =
            self.call("v1", "credentials/info", &json!({ "credentialID": self.credential })).json();
        let der = BASE64_STANDARD.decode(info["cert"]["certificates"][0].as_str().unwrap()).unwrap();
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        let point = certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
        VerifyingKey::from_sec1_bytes(point).unwrap()
    }
}

pub(crate) fn call(app: &TestApp, token: &str, version: &str, method: &str, body: &Value) -> Answer {
    app.http.json("POST", &format!("/csc/{version}/{method}"), token, Some(body))
}

fn listed(app: &TestApp, token: &str, person: &str) -> Vec<String> {
    let answer: Value = call(app, token, "v1", "credentials/list", &json!({ "userID": person })).json();
    serde_json::from_value(answer["credentialIDs"].clone()).unwrap()
}

fn hashes(digests: &[u8]) -> Value {
    digests.iter().map(|digest| BASE64_STANDARD.encode([*digest; 32])).collect()
}

pub(crate) fn authorize(credential: &str, digests: &[u8]) -> Value {
    json!({
        "credentialID": credential, "numSignatures": digests.len(), "hashes": hashes(digests),
        "hashAlgorithmOID": SHA256, "description": "Loan agreement 17",
    })
}

pub(crate) fn sign(credential: &str, sad: &str, digests: &[u8]) -> Value {
    json!({ "credentialID": credential, "SAD": sad, "hashes": hashes(digests), "signAlgo": ECDSA_SHA256 })
}

/// The store without the row that counts transactions: to look activation data up is one.
fn kept(app: &TestApp) -> Dump {
    let mut dump = app.dump();
    dump.remove("meta");
    dump
}

/// Status 400 with this description.
fn wrong(answer: &Answer, text: &str) {
    assert_eq!(refusal(answer), (400, "invalid_request".into(), text.into()));
}

pub(crate) fn signatures(answer: &Answer) -> Vec<Vec<u8>> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let all: Vec<String> = serde_json::from_value(answer.json::<Value>()["signatures"].clone()).unwrap();
    all.iter().map(|text| BASE64_STANDARD.decode(text).unwrap()).collect()
}

/// Whether a signature is DER, strictly, and of this key.
fn verify(key: &VerifyingKey, der: &[u8], digest: u8) {
    let signature = Signature::from_slice(&raw_from_der(der).unwrap()).unwrap();
    key.verify_prehash(&[digest; 32], &signature).unwrap();
}

#[test]
fn csc_002_info_needs_no_token_and_announces_what_there_is() {
    let app = TestApp::spawn();
    for (version, specs) in [("v1", "1.0.4.0"), ("v2", "2.0.0.2")] {
        for body in [&b"{}"[..], b"", b"{\"lang\":\"uk\"}"] {
            let path = format!("/csc/{version}/info");
            let answer = app.http.send("POST", &path, &[("content-type", "application/json")], body);
            assert_eq!(answer.status, 200, "{answer:?}");
            let info: Value = answer.json();
            assert_eq!(
                (&info["specs"], &info["authType"]),
                (&specs.into(), &json!(["oauth2client", "oauth2code"]))
            );
            assert_eq!(info["supportedHashTypes"], json!(["DTBSR"]));
            let announced: Vec<_> =
                info["methods"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for (of, method) in METHODS {
                assert_eq!(
                    announced.contains(&method),
                    of == version || METHODS.contains(&(version, method))
                );
            }
            assert!(!announced.iter().any(|method| method.contains("extend") || method.contains("Polling")));
        }
    }
    // The base of the token endpoint, and the issuer whose metadata name it.
    let info = |version| app.http.send("POST", &format!("/csc/{version}/info"), &[], b"{}").json::<Value>();
    assert_eq!(info("v1")["oauth2"], format!("{}/", app.url()));
    assert_eq!(info("v2")["oauth2Issuer"], app.url());
    for path in ["/csc/v3/info", "/csc/v0/info", "/csc/info", "/csc/v1/credentials/authorizeCheck"] {
        assert_eq!(app.http.send("POST", path, &[], b"{}").status, 404, "{path}");
    }
}

#[test]
fn csc_003_a_credential_is_told_with_its_certificates() {
    let town = Town::new();
    let info = |version, body: Value| town.call(version, "credentials/info", &body).json::<Value>();
    let one = info("v1", json!({ "credentialID": town.credential }));
    let key =
        json!({ "status": "enabled", "algo": [ECDSA_SHA256], "len": 256, "curve": "1.2.840.10045.3.1.7" });
    assert_eq!(one["key"], key);
    assert_eq!(
        (&one["SCAL"], &one["multisign"], &one["authMode"]),
        (&"2".into(), &20.into(), &"implicit".into())
    );
    assert_eq!(one["cert"]["certificates"].as_array().unwrap().len(), 1);
    assert!(one["cert"].get("subjectDN").is_none());
    let chain =
        info("v1", json!({ "credentialID": town.credential, "certificates": "chain", "certInfo": true }));
    let certificates = chain["cert"]["certificates"].as_array().unwrap();
    assert_eq!((certificates.len(), &certificates[0]), (2, &one["cert"]["certificates"][0]));
    let text = |name: &str| chain["cert"][name].as_str().unwrap().to_owned();
    assert_eq!(text("status"), "valid");
    assert!(text("subjectDN").contains("CN=") && text("issuerDN").contains("Signer CA"));
    assert!(text("serialNumber").bytes().all(|byte| byte.is_ascii_hexdigit()));
    for name in ["validFrom", "validTo"] {
        assert!(text(name).len() == 15 && text(name).ends_with('Z'), "{name}");
    }
    let none =
        info("v2", json!({ "credentialID": town.credential, "certificates": "none", "authInfo": true }));
    assert!(none["cert"].get("certificates").is_none());
    assert_eq!(
        (&none["auth"]["mode"], &none["auth"]["objects"][0]["type"]),
        (&"explicit".into(), &"PasswordOOB".into())
    );
    assert!(none.get("authMode").is_none() && one.get("auth").is_none());
    let list =
        json!({ "userID": "olena", "credentialInfo": true, "certificates": "chain", "onlyValid": true });
    let list: Value = town.call("v2", "credentials/list", &list).json();
    assert_eq!(list["credentialInfos"][0]["credentialID"], town.credential.as_str());
    assert_eq!(list["credentialInfos"][0]["cert"]["certificates"].as_array().unwrap().len(), 2);
}

#[test]
fn csc_004_authorize_of_version_1_waits_for_the_phone() {
    let Town { app, bank, token, mut phone, credential } = Town::new();
    let body = json!({
        "credentialID": credential, "numSignatures": 2, "hash": hashes(&[1, 2]), "description": "Loan agreement 17",
        "PIN": null, "clientData": "x",
    });
    let answer = thread::scope(|scope| {
        let waits = scope.spawn(|| call(&app, &token, "v1", "credentials/authorize", &body));
        let asked = loop {
            match phone.phone.requests().unwrap().pop() {
                Some(asked) => break asked,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        assert_eq!((asked.text.as_str(), asked.relying_party.name.as_str()), ("Loan agreement 17", "Bank"));
        assert_eq!(asked.documents.as_slice().len(), 2);
        assert!(!waits.is_finished());
        assert!(matches!(phone.approve(asked.request, PIN).unwrap(), Approved::Signed(_)));
        waits.join().unwrap()
    });
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let answer: Value = answer.json();
    let town = Town { app, bank, token, phone, credential };
    let body = json!({
        "credentialID": town.credential, "SAD": answer["SAD"], "hash": hashes(&[2, 1]), "hashAlgo": SHA256,
        "signAlgo": ECDSA_SHA256,
    });
    let (key, signed) = (town.key(), signatures(&town.call("v1", "signatures/signHash", &body)));
    // In the order of the call, DER, by the key of the certificate.
    for (der, digest) in signed.iter().zip([2, 1]) {
        verify(&key, der, digest);
    }
}

#[test]
fn csc_005_version_2_asks_again_for_the_decision() {
    let mut town = Town::new();
    let handle = town.asked(&[1]);
    // As long as the phone has not answered, at most ten seconds each time.
    let waits = town.check(&handle);
    assert_eq!((waits.status, waits.json::<Value>()["handle"].as_str()), (202, Some(handle.as_str())));
    assert!(matches!(town.phone.approve(handle.parse().unwrap(), PIN).unwrap(), Approved::Signed(_)));
    let sad = |answer: Answer| answer.json::<Value>()["SAD"].as_str().map(str::to_owned);
    let first = sad(town.check(&handle)).unwrap();
    // An answer that was lost: the next takes its place, for what is left of the time.
    town.app.clock.advance(100);
    let answer = town.check(&handle);
    assert_eq!(answer.json::<Value>()["expiresIn"], 200);
    let second = sad(answer).unwrap();
    assert_ne!(first, second);
    wrong(&town.sign(&first, &[1]), "Invalid parameter SAD");
    signatures(&town.sign(&second, &[1]));
    wrong(&town.check(&handle), "Invalid parameter handle");
}

#[test]
fn csc_006_what_is_not_approved_is_denied_with_its_reason() {
    let mut town = Town::new();
    let denied = |answer: &Answer, reason: &str| {
        let (status, error, text) = refusal(answer);
        assert_eq!((status, error.as_str()), (400, "access_denied"), "{text}");
        assert_eq!(answer.json::<Value>()["reason"], reason);
    };
    let handle = town.asked(&[1]);
    town.phone.phone.decline(handle.parse().unwrap()).unwrap();
    denied(&town.check(&handle), "USER_REFUSED");
    let handle = town.asked(&[2]);
    town.app.clock.advance(300);
    denied(&town.check(&handle), "TIMEOUT");
    // Another phone of the holder takes the open request over: that is another key, which was not asked for.
    let handle = town.asked(&[4]);
    let mut other = town.app.phone("olena");
    assert!(matches!(other.approve(handle.parse().unwrap(), PIN).unwrap(), Approved::Signed(_)));
    denied(&town.check(&handle), "KEY_ENDED");
}

#[test]
fn csc_007_activation_data_are_bound_and_each_signature_is_fetched_once() {
    let mut town = Town::new();
    let sad = town.authorised(&[1, 2, 3]);
    // Another client, another token of this one, another hash, another number of one hash.
    let stranger = Client::new(&town.app, "Stranger").token(&town.app);
    let theirs = listed(&town.app, &stranger, "olena").remove(0);
    for credential in [&theirs, &town.credential] {
        let answer = call(&town.app, &stranger, "v2", "signatures/signHash", &sign(credential, &sad, &[1]));
        let parameter = if *credential == theirs { "SAD" } else { "credentialID" };
        wrong(&answer, &format!("Invalid parameter {parameter}"));
    }
    let again = town.bank.token(&town.app);
    let answer = call(&town.app, &again, "v2", "signatures/signHash", &sign(&town.credential, &sad, &[1]));
    wrong(&answer, "Invalid parameter SAD");
    for digests in [&[4][..], &[1, 4], &[1, 1], &[1, 2, 3, 3]] {
        wrong(&town.sign(&sad, digests), "Hash is not authorized by the SAD");
    }
    for other in ["", "x", &sad.to_uppercase(), &sad[1..]] {
        wrong(&town.sign(other, &[1]), "Invalid parameter SAD");
    }
    // None of that used anything up. A part, then the rest.
    let first = signatures(&town.sign(&sad, &[1, 3]));
    wrong(&town.sign(&sad, &[1]), "Hash is not authorized by the SAD");
    wrong(&town.sign(&sad, &[1, 2]), "Hash is not authorized by the SAD");
    // The same call again, in another order too, gives the same signatures for a minute.
    town.app.clock.advance(59);
    assert_eq!(signatures(&town.sign(&sad, &[1, 3])), first);
    assert_eq!(signatures(&town.sign(&sad, &[3, 1])), [first[1].clone(), first[0].clone()]);
    town.app.clock.advance(1);
    wrong(&town.sign(&sad, &[1, 3]), "Hash is not authorized by the SAD");
    let second = signatures(&town.sign(&sad, &[2]));
    town.app.restart();
    assert_eq!(signatures(&town.sign(&sad, &[2])), second);
    town.app.clock.advance(60);
    wrong(&town.sign(&sad, &[2]), "Invalid parameter SAD");
    // Of twenty different calls at once for one hash, one gets it.
    let sad = town.authorised(&[7, 8]);
    let (app, token, credential) = (&town.app, &town.token, &town.credential);
    let calls = [sign(credential, &sad, &[7]), sign(credential, &sad, &[7, 8])];
    let answers = thread::scope(|scope| {
        let one = |n: usize| {
            let body = &calls[n % 2];
            scope.spawn(move || call(app, token, "v2", "signatures/signHash", body).status)
        };
        let all: Vec<_> = (0..20).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert_eq!(answers, 10, "all of one kind, which are one call");
}

#[test]
fn csc_008_activation_data_end() {
    let mut town = Town::new();
    let sad = town.authorised(&[1]);
    town.app.clock.advance(299);
    let kept = town.authorised(&[2]);
    town.app.clock.advance(1);
    wrong(&town.sign(&sad, &[1]), "SAD expired");
    signatures(&town.sign(&kept, &[2]));
    // With the token they were asked with.
    let sad = town.authorised(&[3]);
    town.app.clock.advance(600);
    let answer = town.sign(&sad, &[3]);
    assert_eq!(refusal(&answer).1, "invalid_token");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[test]
fn csc_009_a_list_names_one_persons_credential_by_a_name_of_the_caller() {
    let town = Town::new();
    let andrii = town.app.phone("andrii");
    let theirs = listed(&town.app, &town.token, "andrii");
    assert_eq!((theirs.len(), theirs[0] == town.credential), (1, false));
    for nobody in ["nobody", "", "with space", "Олена"] {
        assert!(listed(&town.app, &town.token, nobody).is_empty(), "{nobody}");
    }
    let list = |body: Value| town.call("v1", "credentials/list", &body);
    wrong(&list(json!({})), "Missing (or invalid type) string parameter userID");
    wrong(&list(json!({ "userID": 5 })), "Missing (or invalid type) string parameter userID");
    wrong(&list(json!({ "userID": "olena", "pageToken": "x" })), "Invalid parameter pageToken");
    // Another client has another name for the same key, and one's name is nothing to the other.
    let shop = Client::new(&town.app, "Shop").token(&town.app);
    let other = listed(&town.app, &shop, "olena").remove(0);
    assert_ne!(other, town.credential);
    let info = call(&town.app, &shop, "v1", "credentials/info", &json!({ "credentialID": town.credential }));
    wrong(&info, "Invalid parameter credentialID");
    drop(andrii);
}

#[test]
fn csc_010_wrong_parameters_have_the_texts_of_the_standard() {
    let town = Town::new();
    let before = kept(&town.app);
    let change = |good: &Value, name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let good = authorize(&town.credential, &[1]);
    let many: Vec<u8> = (1..=21).collect();
    let too_high = "Numbers of signatures is too high";
    for (name, value, text) in [
        ("credentialID", Value::Null, "Missing (or invalid type) string parameter credentialID"),
        ("credentialID", 5.into(), "Missing (or invalid type) string parameter credentialID"),
        ("credentialID", "x".into(), "Invalid parameter credentialID"),
        ("credentialID", "A".repeat(22).into(), "Invalid parameter credentialID"),
        ("numSignatures", Value::Null, "Missing (or invalid type) integer parameter numSignatures"),
        ("numSignatures", "1".into(), "Missing (or invalid type) integer parameter numSignatures"),
        ("numSignatures", (-1).into(), "Missing (or invalid type) integer parameter numSignatures"),
        ("numSignatures", 0.into(), "Invalid value for parameter numSignatures"),
        ("numSignatures", 2.into(), "Invalid value for parameter numSignatures"),
        ("numSignatures", 21.into(), too_high),
        ("hashes", Value::Null, "Missing (or invalid type) array parameter hashes"),
        ("hashes", "x".into(), "Missing (or invalid type) array parameter hashes"),
        ("hashes", json!([]), "Empty hash array"),
        ("hashes", hashes(&many), too_high),
        ("hashes", json!([5]), "Invalid Base64 hash string parameter"),
        ("hashes", json!(["%%%"]), "Invalid Base64 hash string parameter"),
        ("hashes", json!([BASE64_STANDARD.encode([1; 31])]), "Invalid digest value length"),
        ("hashAlgorithmOID", "2.16.840.1.101.3.4.2.2".into(), "Invalid parameter hashAlgorithmOID"),
        ("description", 5.into(), "Invalid parameter description"),
        ("description", "x".repeat(501).into(), "Invalid parameter description"),
        ("description", "a\u{202E}b".into(), "Invalid parameter description"),
    ] {
        wrong(&town.call("v2", "credentials/authorize", &change(&good, name, value)), text);
    }
    let good = sign(&town.credential, "sad", &[1]);
    for (name, value, text) in [
        ("SAD", Value::Null, "Missing (or invalid type) string parameter SAD"),
        ("SAD", "x".into(), "Invalid parameter SAD"),
        ("hashes", json!([]), "Empty hash array"),
        ("signAlgo", Value::Null, "Missing (or invalid type) string parameter signAlgo"),
        ("signAlgo", "1.2.840.10045.4.3.3".into(), "Invalid parameter signAlgo"),
        ("hashAlgo", "1.3.14.3.2.26".into(), "Invalid parameter hashAlgo"),
        ("operationMode", "A".into(), "Invalid parameter operationMode"),
    ] {
        wrong(&town.call("v2", "signatures/signHash", &change(&good, name, value)), text);
    }
    let info = json!({ "credentialID": town.credential, "certificates": "all" });
    wrong(&town.call("v1", "credentials/info", &info), "Invalid parameter certificates");
    for handle in ["", "x", &"0a".repeat(16)] {
        wrong(&town.check(handle), "Invalid parameter handle");
    }
    wrong(
        &town.call("v2", "credentials/authorizeCheck", &json!({})),
        "Missing (or invalid type) string parameter handle",
    );
    for body in [json!([]), json!("x"), json!(null)] {
        assert_eq!(refusal(&town.call("v1", "credentials/info", &body)).1, "invalid_request");
    }
    assert_eq!(kept(&town.app), before);
}

#[test]
fn csc_011_without_a_token_that_may_ask_every_method_refuses() {
    let town = Town::new();
    let shop = Client::of(&town.app, town.app.relying_party("Shop", false, true).id).token(&town.app);
    // A relying party that is no client would learn who is who before they agree.
    let no_client = town.app.relying_party("No client", true, false).token;
    let before = town.app.dump();
    for (version, method) in METHODS {
        let path = format!("/csc/{version}/{method}");
        let send = |authorization: &str| {
            let headers = [("authorization", authorization), ("content-type", "application/json")];
            let headers = if authorization.is_empty() { &headers[1..] } else { &headers[..] };
            refusal(&town.app.http.send("POST", &path, headers, b"{}"))
        };
        for malformed in ["", "Bearer", "Bearer ", "Basic eDp5", &town.token] {
            let (status, error, text) = send(malformed);
            assert_eq!((status, error.as_str()), (400, "invalid_request"), "{path} {malformed}");
            assert!(text == "Malformed authorization header" || version == "v1", "{text}");
        }
        let admin = town.app.admin_token();
        for unknown in
            ["x", &town.token.to_uppercase(), &format!("{}x", town.token), admin.as_str(), &no_client]
        {
            let (status, error, _) = send(&format!("Bearer {unknown}"));
            assert_eq!((status, error.as_str()), (401, "invalid_token"), "{path} {unknown}");
        }
        assert_eq!(send(&format!("Bearer {shop}")).1, "unauthorized_client", "{path}");
    }
    assert_eq!(town.app.dump(), before);
}

#[test]
fn csc_012_hashes_and_members_are_taken_as_clients_send_them() {
    let mut town = Town::new();
    let digest = [0xfb; 32];
    let plain = BASE64_STANDARD.encode(digest);
    assert!(plain.contains('+') && plain.ends_with('='));
    let percent = plain.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    for text in [plain, BASE64_URL_SAFE_NO_PAD.encode(digest), percent.clone(), percent.to_lowercase()] {
        let body = json!({
            "credentialID": town.credential, "numSignatures": 1, "hashes": [text], "authData": [{ "id": "phone" }],
            "unknown": { "x": 1 }, "clientData": null,
        });
        assert_eq!(town.call("v2", "credentials/authorize", &body).status, 202, "{text}");
    }
    for asked in town.phone.phone.requests().unwrap() {
        town.phone.phone.decline(asked.request).unwrap();
    }
    let sad = town.authorised(&[0xfb]);
    let body = json!({
        "credentialID": town.credential, "SAD": sad, "hashes": [percent], "hashAlgorithmOID": SHA256, "signAlgo": ECDSA_SHA256,
        "signAlgoParams": null, "operationMode": "S", "validity_period": -1, "response_uri": null,
    });
    assert_eq!(signatures(&town.call("v2", "signatures/signHash", &body)).len(), 1);
}

#[test]
fn csc_013_a_credential_that_cannot_sign_is_disabled() {
    let mut town = Town::new();
    let sad = town.authorised(&[1]);
    let device = town.phone.device_key().device_id().to_string();
    let act =
        |act: &str| assert_eq!(town.app.admin("POST", &format!("/devices/{device}/{act}"), None).status, 204);
    act("suspend");
    let disabled = "The credential identified by credentialID is disabled";
    wrong(&town.sign(&sad, &[1]), disabled);
    wrong(&town.call("v2", "credentials/authorize", &authorize(&town.credential, &[2])), disabled);
    let info =
        || town.call("v1", "credentials/info", &json!({ "credentialID": town.credential })).json::<Value>();
    assert_eq!(
        (&info()["key"]["status"], &info()["cert"]["status"]),
        (&"disabled".into(), &"suspended".into())
    );
    let valid = json!({ "userID": "olena", "onlyValid": true });
    assert_eq!(town.call("v2", "credentials/list", &valid).json::<Value>()["credentialIDs"], json!([]));
    act("resume");
    signatures(&town.sign(&sad, &[1]));
    act("revoke");
    wrong(&town.sign(&sad, &[1]), disabled);
    assert_eq!(info()["cert"]["status"], "revoked");
}

#[test]
fn csc_014_handles_are_good_with_the_token_they_were_given_for() {
    let mut town = Town::new();
    let handle = town.asked(&[1]);
    assert!(matches!(town.phone.approve(handle.parse().unwrap(), PIN).unwrap(), Approved::Signed(_)));
    let stranger = Client::new(&town.app, "Stranger").token(&town.app);
    let check = json!({ "handle": handle });
    wrong(
        &call(&town.app, &stranger, "v2", "credentials/authorizeCheck", &check),
        "Invalid parameter handle",
    );
    // A request of the session API is none of this one.
    let body = serde_json::to_value(crate::harness::request("olena", 1)).unwrap();
    let made: Value = town.app.http.json("POST", "/v1/requests", &town.token, Some(&body)).json();
    wrong(&town.check(made["id"].as_str().unwrap()), "Invalid parameter handle");
    assert_eq!(town.check(&handle).status, 200);
}

#[test]
fn csc_015_a_batch_is_one_approval() {
    let mut town = Town::new();
    let digests: Vec<u8> = (1..=20).collect();
    let sad = town.authorised(&digests);
    let signed = signatures(&town.sign(&sad, &digests));
    let key = town.key();
    for (der, digest) in signed.iter().zip(&digests) {
        verify(&key, der, *digest);
    }
    // Two of one hash in a batch are two signatures.
    let sad = town.authorised(&[1, 1]);
    assert_eq!(signatures(&town.sign(&sad, &[1, 1])).len(), 2);
}
