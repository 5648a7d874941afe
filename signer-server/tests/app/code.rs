//! The authorization code flow: a browser is played, and a phone.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signer_client::Approved;
use signer_core::wire::{CodeChosen, ProblemCode, VerificationCode};

use crate::{
    harness::{Dump, PIN, TestApp},
    oauth::{Client, refusal},
    support::{http::Answer, phone::TestPhone},
};

const BACK: &str = "https://bank.example/back?of=17";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-at-least";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// A server, a client with pages of its own, and a holder with a phone.
pub(crate) struct Town {
    pub(crate) app: TestApp,
    pub(crate) bank: Client,
    pub(crate) phone: TestPhone,
    credential: String,
}

/// A browser at the authorisation page.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    visit: String,
    cookie: String,
}

impl Town {
    pub(crate) fn new() -> Self {
        let app = TestApp::spawn();
        let bank = client(&app, "Bank");
        let phone = app.phone("olena");
        let list = json!({ "userID": "olena" });
        let list = csc(&app, &bank.token(&app), "v1", "credentials/list", &list).json::<Value>();
        let credential = list["credentialIDs"][0].as_str().unwrap().to_owned();
        Self { app, bank, phone, credential }
    }

    /// A good request, with these parameters beside or in place of its own.
    pub(crate) fn query(&self, more: &[(&str, &str)]) -> String {
        query(&self.bank, more)
    }

    pub(crate) fn asks_for(&self, digests: &[u8]) -> String {
        let (count, hashes) = (digests.len().to_string(), hash_list(digests));
        self.query(&[
            ("scope", "credential"),
            ("credentialID", &self.credential),
            ("numSignatures", &count),
            ("hashes", &hashes),
            ("description", "Loan agreement 17"),
        ])
    }

    pub(crate) fn begin(&self, query: &str) -> Browser {
        begin(&self.app, query)
    }

    /// From a request to the code, with an approval.
    fn code(&mut self, query: &str) -> String {
        let browser = self.begin(query);
        browser.start(&self.app);
        self.approve(&browser);
        code_in(&browser.leave(&self.app))
    }

    pub(crate) fn approve(&mut self, browser: &Browser) {
        approve(&self.app, &mut self.phone, browser);
    }

    pub(crate) fn exchange(&self, code: &str) -> Answer {
        exchange(&self.app, &self.bank, code, BACK, VERIFIER)
    }

    /// An access token of scope `credential` for these hashes.
    fn token(&mut self, digests: &[u8]) -> String {
        let query = self.asks_for(digests);
        let code = self.code(&query);
        access_token(&self.exchange(&code))
    }

    /// An access token of scope `service` that olena let the bank have.
    pub(crate) fn signed_in(&mut self) -> String {
        let query = self.query(&[("login_hint", "olena")]);
        let code = self.code(&query);
        access_token(&self.exchange(&code))
    }

    fn sign(&self, bearer: &str, sad: Option<&str>, digests: &[u8]) -> Answer {
        let hashes: Vec<_> = digests.iter().map(|digest| BASE64_STANDARD.encode([*digest; 32])).collect();
        let body = json!({
            "credentialID": self.credential, "SAD": sad, "hashes": hashes, "signAlgo": ECDSA_SHA256,
            "operationMode": "S", "validity_period": -1, "response_uri": null,
        });
        csc(&self.app, bearer, "v2", "signatures/signHash", &body)
    }
}

impl Browser {
    pub(crate) fn call(&self, app: &TestApp, method: &str, act: &str, body: &str) -> Answer {
        let cookie = ("cookie", self.cookie.as_str());
        let json = ("content-type", "application/json");
        app.http.send(
            method,
            &format!("/oauth2/visits/{}{act}", self.visit),
            &[cookie, json],
            body.as_bytes(),
        )
    }

    pub(crate) fn start(&self, app: &TestApp) {
        let answer = self.call(app, "POST", "/start", "{}");
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    pub(crate) fn view(&self, app: &TestApp) -> Value {
        let answer = self.call(app, "GET", "", "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Where it is sent in the end.
    pub(crate) fn leave(&self, app: &TestApp) -> String {
        let answer = self.call(app, "GET", "/return", "");
        assert_eq!(
            (answer.status, answer.header("referrer-policy")),
            (303, Some("no-referrer")),
            "{answer:?}"
        );
        answer.header("location").unwrap().to_owned()
    }
}

/// The holder picks the code that the page shows, and approves.
pub(crate) fn approve(app: &TestApp, phone: &mut TestPhone, browser: &Browser) {
    let code: VerificationCode =
        serde_json::from_value(browser.view(app)["verification_code"].clone()).unwrap();
    let asked = phone.phone.requests().unwrap().pop().unwrap();
    assert_eq!(phone.phone.choose_code(asked.request, code).unwrap(), CodeChosen::Right {});
    assert!(matches!(phone.approve(asked.request, PIN).unwrap(), Approved::Signed(_)));
}

pub(crate) fn client(app: &TestApp, name: &str) -> Client {
    let client = Client::new(app, name);
    assert_eq!(client.register(app, &json!({ "redirect_uris": [BACK] })).status, 200);
    client
}

pub(crate) fn query(client: &Client, more: &[(&str, &str)]) -> String {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let id = client.id.to_string();
    let own = [
        ("response_type", "code"),
        ("client_id", &id),
        ("redirect_uri", BACK),
        ("state", "of the bank & its own"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut all: Vec<(&str, &str)> =
        own.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name)).collect();
    all.extend(more);
    form(&all)
}

fn form(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

fn hash_list(digests: &[u8]) -> String {
    let all: Vec<_> = digests.iter().map(|digest| BASE64_URL_SAFE_NO_PAD.encode([*digest; 32])).collect();
    all.join(",")
}

fn authorize(app: &TestApp, query: &str, cookie: &str) -> Answer {
    app.http.send("GET", &format!("/oauth2/authorize?{query}"), &[("cookie", cookie)], b"")
}

pub(crate) fn begin(app: &TestApp, query: &str) -> Browser {
    let answer = authorize(app, query, "other=1");
    let to = answer.header("location").unwrap_or_default();
    let visit = to.strip_prefix("/authorize/?visit=").unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Lax") && set.contains("; Path=/;"), "{set}");
    Browser { visit, cookie: format!("other=1; {}", set.split(';').next().unwrap()) }
}

/// A parameter in the query of an address.
pub(crate) fn parameter(uri: &str, name: &str) -> Option<String> {
    let (_, query) = uri.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, more) = rest.split_at(2);
                rest = more;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            }
            byte => *byte,
        });
    }
    Some(String::from_utf8(bytes).unwrap())
}

fn code_in(uri: &str) -> String {
    assert!(uri.starts_with(&format!("{BACK}&code=sac_")), "{uri}");
    parameter(uri, "code").unwrap()
}

fn exchange(app: &TestApp, client: &Client, code: &str, redirect_uri: &str, verifier: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    client.says(app, "token", &form(&fields))
}

fn access_token(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
    answer.json::<Value>()["access_token"].as_str().unwrap().to_owned()
}

fn csc(app: &TestApp, token: &str, version: &str, method: &str, body: &Value) -> Answer {
    app.http.json("POST", &format!("/csc/{version}/{method}"), token, Some(body))
}

fn wrong(answer: &Answer, text: &str) {
    assert_eq!(refusal(answer), (400, "invalid_request".into(), text.into()));
}

fn no_grant(answer: &Answer, text: &str) {
    let (status, error, told) = refusal(answer);
    assert_eq!((status, error.as_str()), (400, "invalid_grant"));
    assert!(told.contains(text), "{told}");
}

fn signatures(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.json::<Value>()["signatures"].clone()).unwrap()
}

/// The store without the row that counts transactions.
fn kept(app: &TestApp) -> Dump {
    let mut dump = app.dump();
    dump.remove("meta");
    dump
}

#[test]
fn oau_011_browsers_are_sent_to_registered_addresses_only() {
    let app = TestApp::spawn();
    let client = Client::new(&app, "Bank");
    let before = app.dump();
    for uri in ["http://bank.example/", "https://bank.example/#x", "bank:/back", ""] {
        let answer = client.register(&app, &json!({ "redirect_uris": [BACK, uri] }));
        assert_eq!(answer.code(), ProblemCode::InvalidValue, "{uri}");
    }
    let many: Vec<_> = (0..11).map(|n| format!("https://bank.example/{n}")).collect();
    assert_eq!(client.register(&app, &json!({ "redirect_uris": many })).code(), ProblemCode::InvalidValue);
    assert_eq!(client.register(&app, &json!({ "csc_auth": "explicit" })).code(), ProblemCode::Malformed);
    assert_eq!(app.dump(), before);
    let answer = client.register(&app, &json!({ "redirect_uris": [BACK], "csc_auth": "oauth2code" }));
    let body: Value = answer.json();
    assert_eq!((&body["redirect_uris"], &body["csc_auth"]), (&json!([BACK]), &"oauth2code".into()));
    begin(&app, &query(&client, &[]));
    // Each is compared as it stands.
    for other in
        ["https://bank.example/back", "https://bank.example/back?of=17&", "https://BANK.example/back?of=17"]
    {
        wrong(
            &authorize(&app, &query(&client, &[("redirect_uri", other)]), ""),
            "redirect_uri is none of the client's",
        );
    }
    // Another key leaves the addresses.
    assert_eq!(client.register(&app, &json!({})).json::<Value>()["redirect_uris"], json!([BACK]));
}

#[test]
fn oau_012_a_person_signs_in_with_the_phone() {
    let mut town = Town::new();
    let browser = town.begin(&town.query(&[("scope", "service")]));
    let view = browser.view(&town.app);
    assert_eq!(
        (&view["relying_party"], &view["scope"], &view["state"]),
        (&"Bank".into(), &"service".into(), &"new".into())
    );
    assert_eq!(view["asks_who"], true);
    // Nobody was named yet, and until then no phone is asked.
    assert_eq!(refusal(&browser.call(&town.app, "POST", "/start", "{}")).1, "invalid_request");
    assert!(town.phone.phone.requests().unwrap().is_empty());
    assert_eq!(browser.leave(&town.app), format!("/authorize/?visit={}", browser.visit));
    assert_eq!(browser.call(&town.app, "POST", "/start", r#"{"person":"olena"}"#).status, 204);
    assert_eq!(browser.view(&town.app)["state"], "waiting");
    let asked = town.phone.phone.requests().unwrap().pop().unwrap();
    assert_eq!(asked.relying_party.name.as_str(), "Bank");
    assert!(asked.text.as_str().contains("Let Bank see your signing certificate"));
    town.approve(&browser);
    assert_eq!(browser.view(&town.app)["state"], "decided");
    let to = browser.leave(&town.app);
    assert_eq!(parameter(&to, "state").as_deref(), Some("of the bank & its own"));
    assert_eq!(parameter(&to, "iss").as_deref(), Some(town.app.url()));
    let answer = town.exchange(&code_in(&to));
    let token = access_token(&answer);
    let answer: Value = answer.json();
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"], &answer["scope"]),
        (&"Bearer".into(), &900.into(), &"service".into())
    );
    assert!(token.starts_with("sat_") && answer.get("credentialID").is_none());
    let list: Value = csc(&town.app, &token, "v1", "credentials/list", &json!({})).json();
    assert_eq!(list["credentialIDs"], json!([town.credential]));
}

#[test]
fn oau_013_wrong_requests_stay_here_or_go_back_with_what_is_wrong() {
    let town = Town::new();
    let nobody = Client::of(&town.app, town.app.relying_party("Shop", false, true).id);
    assert_eq!(nobody.register(&town.app, &json!({ "redirect_uris": [BACK] })).status, 200);
    let before = kept(&town.app);
    // Not proven whose browser it is: nothing is sent anywhere.
    let zeros = "0".repeat(32);
    let other = "https://evil.example/back";
    for (query, error) in [
        (String::new(), "invalid_request"),
        (town.query(&[("client_id", "")]), "invalid_request"),
        (town.query(&[("client_id", "x")]), "invalid_request"),
        (town.query(&[("client_id", &zeros)]), "invalid_request"),
        (town.query(&[("redirect_uri", "")]), "invalid_request"),
        (town.query(&[("redirect_uri", other)]), "invalid_request"),
        (town.query(&[("redirect_uri", &format!("{BACK}/../x"))]), "invalid_request"),
        (format!("{}&redirect_uri=x", town.query(&[])), "invalid_request"),
        (town.query(&[("request_uri", "x")]), "invalid_request_uri"),
        (query(&nobody, &[]), "unauthorized_client"),
    ] {
        let answer = authorize(&town.app, &query, "");
        assert_eq!((refusal(&answer).1.as_str(), answer.header("location")), (error, None), "{query}");
        // A person gets a page, which takes nothing over from the query.
        let page = town.app.http.send(
            "GET",
            &format!("/oauth2/authorize?{query}"),
            &[("accept", "text/html,*/*")],
            b"",
        );
        assert_eq!((page.status, page.header("location")), (400, None));
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    }
    // Otherwise the client learns it, where it is registered.
    let long = "x".repeat(1_025);
    let hash = hash_list(&[1]);
    let many = hash_list(&(1..=21).collect::<Vec<_>>());
    let credential = |more: &[(&str, &str)]| {
        let all = [
            ("scope", "credential"),
            ("credentialID", town.credential.as_str()),
            ("numSignatures", "1"),
            ("hashes", hash.as_str()),
        ];
        let mut all: Vec<_> =
            all.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name)).collect();
        all.extend(more);
        town.query(&all)
    };
    let detail = |value: Value| {
        let mut detail = json!({
            "type": "credential", "credentialID": town.credential, "documentDigests": [{ "hash": hash, "label": "Loan.pdf" }],
        });
        detail.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        town.query(&[("authorization_details", &json!([detail]).to_string())])
    };
    for (query, error, text) in [
        (town.query(&[("response_type", "")]), "invalid_request", "response_type"),
        (town.query(&[("response_type", "token")]), "unsupported_response_type", "code"),
        (town.query(&[("response_mode", "fragment")]), "invalid_request", "response_mode"),
        (town.query(&[("code_challenge", "")]), "invalid_request", "code_challenge"),
        (town.query(&[("code_challenge", VERIFIER)]), "invalid_request", "code_challenge"),
        (town.query(&[("code_challenge_method", "")]), "invalid_request", "S256"),
        (town.query(&[("code_challenge_method", "plain")]), "invalid_request", "S256"),
        (town.query(&[("request", "x")]), "request_not_supported", "push"),
        (town.query(&[("scope", "openid")]), "invalid_scope", "scope"),
        (town.query(&[("scope", "service credential")]), "invalid_scope", "scope"),
        (town.query(&[("login_hint", "with space")]), "invalid_request", "login_hint"),
        (town.query(&[("scope", "credential")]), "invalid_request", "credentialID"),
        (credential(&[("credentialID", "x")]), "invalid_request", "credentialID"),
        (credential(&[("hashes", "")]), "invalid_request", "hashes"),
        (credential(&[("hashes", "%%")]), "invalid_request", "Base64"),
        (credential(&[("hashes", "AAAA")]), "invalid_request", "digest value length"),
        (credential(&[("hash", &hash)]), "invalid_request", "both"),
        (credential(&[("hashes", &many), ("numSignatures", "21")]), "invalid_request", "too high"),
        (credential(&[("numSignatures", "")]), "invalid_request", "numSignatures"),
        (credential(&[("numSignatures", "2")]), "invalid_request", "numSignatures"),
        (credential(&[("numSignatures", "x")]), "invalid_request", "numSignatures"),
        (credential(&[("hashAlgorithmOID", "1.3.14.3.2.26")]), "invalid_request", "hashAlgorithmOID"),
        (credential(&[("description", "a\u{202E}b")]), "invalid_request", "description"),
        (town.query(&[("authorization_details", "{}")]), "invalid_authorization_details", "array"),
        (town.query(&[("authorization_details", "[]")]), "invalid_authorization_details", "array"),
        (detail(json!({ "type": "payment" })), "invalid_authorization_details", "type"),
        (detail(json!({ "credentialID": null })), "invalid_authorization_details", "credentialID"),
        (detail(json!({ "documentDigests": [] })), "invalid_request", "Empty"),
        (detail(json!({ "documentDigests": [{ "hash": 5 }] })), "invalid_request", "Base64"),
        (
            detail(json!({ "documentDigests": [{ "hash": hash, "label": "a\nb" }] })),
            "invalid_authorization_details",
            "label",
        ),
        (
            detail(json!({ "documentDigests": [{ "hash": hash, "hashType": "SODR" }] })),
            "invalid_authorization_details",
            "DTBSR",
        ),
        (detail(json!({ "numSignatures": 2 })), "invalid_request", "numSignatures"),
        (format!("{}&hashes={hash}", detail(json!({}))), "invalid_request", "alone"),
        (format!("{}&scope=service", detail(json!({}))), "invalid_scope", "scope"),
    ] {
        let answer = authorize(&town.app, &query, "");
        let to = answer.header("location").unwrap_or_else(|| panic!("{query}: {answer:?}"));
        assert!(answer.status == 303 && to.starts_with(&format!("{BACK}&error=")), "{to}");
        assert_eq!(parameter(to, "error").as_deref(), Some(error), "{to}");
        assert!(parameter(to, "error_description").unwrap().contains(text), "{to}");
        assert_eq!(parameter(to, "state").as_deref(), Some("of the bank & its own"));
        assert_eq!(parameter(to, "iss").as_deref(), Some(town.app.url()));
    }
    for state in [long.as_str(), "a\nb"] {
        let answer = authorize(&town.app, &town.query(&[("state", state)]), "");
        let to = answer.header("location").unwrap();
        assert_eq!(
            (parameter(to, "error").as_deref(), parameter(to, "state")),
            (Some("invalid_request"), None)
        );
    }
    assert_eq!(kept(&town.app), before);
}

#[test]
fn oau_014_a_code_is_good_once_for_its_client_address_and_verifier() {
    let mut town = Town::new();
    let other = client(&town.app, "Other");
    let query = town.asks_for(&[1]);
    let code = town.code(&query);
    no_grant(&exchange(&town.app, &other, &code, BACK, VERIFIER), "another client's");
    no_grant(&town.exchange(&code.replace("sac_", "sac_A")), "not known");
    no_grant(&exchange(&town.app, &town.bank, &code, "https://bank.example/back", VERIFIER), "redirect_uri");
    no_grant(&exchange(&town.app, &town.bank, &code, BACK, &VERIFIER.to_uppercase()), "code_verifier");
    for verifier in ["", "short", &"x".repeat(129), &format!("{VERIFIER} ")] {
        let answer = exchange(&town.app, &town.bank, &code, BACK, verifier);
        assert_eq!(refusal(&answer).1, "invalid_request", "{verifier}");
    }
    // None of that used it up.
    let token = access_token(&town.exchange(&code));
    assert!(token.starts_with("sct_"));
    // A second time ends what it gave: as a bearer token and as activation data.
    no_grant(&town.exchange(&code), "used before");
    assert_eq!(refusal(&town.sign(&token, None, &[1])).1, "invalid_token");
    wrong(&town.sign(&town.bank.token(&town.app), Some(&token), &[1]), "Invalid parameter SAD");
    // A code lives 60 s. The browser that is still there gets another, which takes its place.
    let browser = town.begin(&town.asks_for(&[2]));
    browser.start(&town.app);
    town.approve(&browser);
    let first = code_in(&browser.leave(&town.app));
    town.app.clock.advance(59);
    let second = code_in(&browser.leave(&town.app));
    no_grant(&town.exchange(&first), "not known");
    town.app.clock.advance(60);
    no_grant(&town.exchange(&second), "over");
    let third = code_in(&browser.leave(&town.app));
    town.app.restart();
    access_token(&town.exchange(&third));
    assert_eq!(refusal(&browser.call(&town.app, "GET", "/return", "")).1, "invalid_request");
    // Of twenty at once one is exchanged, and the others end what it gave.
    let query = town.asks_for(&[3]);
    let code = town.code(&query);
    let (app, bank) = (&town.app, &town.bank);
    let given: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..20).map(|_| scope.spawn(|| exchange(app, bank, &code, BACK, VERIFIER))).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|answer| answer.status == 200).collect()
    });
    assert_eq!(given.len(), 1);
    assert_eq!(refusal(&town.sign(&access_token(&given[0]), None, &[3])).1, "invalid_token");
}

#[test]
fn oau_015_pushed_requests_are_taken_once_by_their_client() {
    let mut town = Town::new();
    let other = client(&town.app, "Other");
    let push = |form: &str| {
        let answer = town.bank.says(&town.app, "pushed_authorize", form);
        assert_eq!(answer.status, 201, "{answer:?}");
        let answer: Value = answer.json();
        assert_eq!(answer["expires_in"], 90);
        answer["request_uri"].as_str().unwrap().to_owned()
    };
    let by =
        |client: &Client, uri: &str| form(&[("client_id", &client.id.to_string()), ("request_uri", uri)]);
    let pushed = town.asks_for(&[1]);
    let uri = push(&pushed);
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"));
    // Another client's browser, and what stands beside: neither uses it up nor counts.
    assert_eq!(refusal(&authorize(&town.app, &by(&other, &uri), "")).1, "invalid_request_uri");
    let browser = town.begin(&format!("{}&scope=service&redirect_uri=x", by(&town.bank, &uri)));
    assert_eq!(browser.view(&town.app)["text"], "Loan agreement 17");
    assert_eq!(refusal(&authorize(&town.app, &by(&town.bank, &uri), "")).1, "invalid_request_uri");
    let late = push(&pushed);
    town.app.clock.advance(90);
    assert_eq!(refusal(&authorize(&town.app, &by(&town.bank, &late), "")).1, "invalid_request_uri");
    // What is wrong is told at once, to the client only.
    let before = kept(&town.app);
    let refused = |form: &str| refusal(&town.bank.says(&town.app, "pushed_authorize", form)).1;
    assert_eq!(refused(&town.query(&[("redirect_uri", "https://evil.example/")])), "invalid_request");
    assert_eq!(refused(&town.query(&[("request_uri", &uri)])), "invalid_request");
    assert_eq!(refused(&town.query(&[("scope", "openid")])), "invalid_scope");
    assert_eq!(refused(&town.query(&[("state", "a\nb")])), "invalid_request");
    assert_eq!(refused(&query(&other, &[])), "invalid_client");
    let unproven = app_push(&town.app, &pushed);
    assert_eq!(refusal(&unproven), (401, "invalid_client".into(), refusal(&unproven).2));
    assert_eq!(kept(&town.app), before);
    browser.start(&town.app);
    town.approve(&browser);
    access_token(&town.exchange(&code_in(&browser.leave(&town.app))));
}

fn app_push(app: &TestApp, form: &str) -> Answer {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    app.http.send("POST", "/oauth2/pushed_authorize", &[kind], form.as_bytes())
}

#[test]
fn oau_016_a_visit_is_its_browsers() {
    let mut town = Town::new();
    let browser = town.begin(&town.asks_for(&[1]));
    let thief = town.begin(&town.asks_for(&[2]));
    browser.start(&town.app);
    town.approve(&browser);
    let before = kept(&town.app);
    for cookie in ["", "signer-visit=", "signer-visit=x", &thief.cookie, &format!("{}A", browser.cookie)] {
        let other = Browser { cookie: cookie.to_owned(), ..browser.clone() };
        for (method, act, body) in
            [("GET", "", ""), ("POST", "/start", "{}"), ("POST", "/cancel", "{}"), ("GET", "/return", "")]
        {
            let answer = other.call(&town.app, method, act, body);
            assert_eq!((answer.status, answer.header("location")), (404, None), "{cookie} {act}: {answer:?}");
        }
    }
    assert_eq!(kept(&town.app), before);
    // One browser may have several: its cookie stays.
    let answer = authorize(&town.app, &town.asks_for(&[3]), &browser.cookie);
    let set = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(browser.cookie.ends_with(&set));
    code_in(&browser.leave(&town.app));
    // A form of another site cannot act in its name: JSON needs the browser's leave, and the cookie is not sent.
    let cookie = ("cookie", browser.cookie.as_str());
    let answer = town.app.http.send(
        "POST",
        &format!("/oauth2/visits/{}/cancel", browser.visit),
        &[cookie, ("content-type", "text/plain")],
        b"{}",
    );
    assert_eq!(answer.code(), ProblemCode::UnsupportedMediaType);
    for body in ["", "[]", r#"{"person":5}"#, r#"{"other":1}"#] {
        let answer = browser.call(&town.app, "POST", "/start", body);
        assert_eq!(answer.code(), ProblemCode::Malformed, "{body}");
    }
    assert_eq!(refusal(&browser.call(&town.app, "GET", "?timeout_ms=x", "")).1, "invalid_request");
    town.app.clock.advance(900);
    assert_eq!(browser.call(&town.app, "GET", "", "").status, 404);
}

#[test]
fn oau_016_over_tls_the_cookie_is_of_this_host_alone() {
    let app = TestApp::spawn_with(|config| config.ca.public_url = Some("https://signer.example".into()));
    let client = client(&app, "Bank");
    let answer = authorize(&app, &query(&client, &[]), "");
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-signer-visit=") && set.ends_with("; Secure"), "{set}");
    assert!(!set.contains("Domain"));
}

#[test]
fn oau_017_the_phone_is_asked_once_and_not_by_an_address_alone() {
    let mut town = Town::new();
    let browser = town.begin(&town.asks_for(&[1, 2]));
    assert!(town.phone.phone.requests().unwrap().is_empty());
    std::thread::scope(|scope| {
        let app = &town.app;
        for _ in 0..4 {
            scope.spawn(|| browser.start(app));
        }
    });
    browser.start(&town.app);
    let asked = town.phone.phone.requests().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].text.as_str(), asked[0].documents.as_slice().len()), ("Loan agreement 17", 2));
    // Ended in the browser, it is gone from the phone.
    assert_eq!(browser.call(&town.app, "POST", "/cancel", "{}").status, 204);
    assert!(town.phone.phone.requests().unwrap().is_empty());
    let to = browser.leave(&town.app);
    assert_eq!(parameter(&to, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&to, "reason").as_deref(), Some("CANCELLED"));
    assert_eq!(refusal(&browser.call(&town.app, "POST", "/start", "{}")).1, "invalid_request");
    // A visit that is nearly over asks nobody: the phone's time would not fit.
    let late = town.begin(&town.asks_for(&[3]));
    town.app.clock.advance(601);
    assert_eq!(refusal(&late.call(&town.app, "POST", "/start", "{}")).1, "invalid_request");
    assert!(town.phone.phone.requests().unwrap().is_empty());
}

#[test]
fn oau_018_what_the_phone_did_not_approve_goes_back_with_its_reason() {
    let mut town = Town::new();
    let denied = |browser: &Browser, app: &TestApp, reason: &str| {
        let to = browser.leave(app);
        assert!(to.starts_with(&format!("{BACK}&error=access_denied&")), "{to}");
        assert_eq!(parameter(&to, "reason").as_deref(), Some(reason));
        assert!(parameter(&to, "state").is_some() && parameter(&to, "iss").is_some());
        assert_eq!(parameter(&to, "code"), None);
    };
    let started = |town: &Town, digest: u8| {
        let browser = town.begin(&town.asks_for(&[digest]));
        browser.start(&town.app);
        browser
    };
    let browser = started(&town, 1);
    let asked = town.phone.phone.requests().unwrap().pop().unwrap();
    town.phone.phone.decline(asked.request).unwrap();
    denied(&browser, &town.app, "USER_REFUSED");
    // A code that another browser shows, or none of them: without the right one nothing is approved.
    let browser = started(&town, 5);
    let waiting = town.phone.phone.waiting().unwrap().pop().unwrap();
    let asked = waiting.object.request;
    town.phone.approve(asked, PIN).unwrap_err();
    let right: VerificationCode =
        serde_json::from_value(browser.view(&town.app)["verification_code"].clone()).unwrap();
    let other = waiting.codes.unwrap().codes.into_iter().find(|code| *code != right).unwrap();
    assert_eq!(town.phone.phone.choose_code(asked, other).unwrap(), CodeChosen::Wrong {});
    denied(&browser, &town.app, "WRONG_VC");
    assert_eq!(browser.view(&town.app)["verification_code"], Value::Null);
    let browser = started(&town, 2);
    town.app.clock.advance(300);
    denied(&browser, &town.app, "TIMEOUT");
    // Another phone of the holder: that is another key.
    let browser = started(&town, 3);
    let mut other = town.app.phone("olena");
    approve(&town.app, &mut other, &browser);
    denied(&browser, &town.app, "KEY_ENDED");
    let answer = authorize(&town.app, &town.asks_for(&[4]), "");
    assert!(answer.header("location").unwrap().contains("credentialID+is+disabled"), "{answer:?}");
}

#[test]
fn oau_022_labels_are_shown_and_what_was_granted_is_told() {
    let mut town = Town::new();
    for kind in ["credential", "https://cloudsignatureconsortium.org/2025/credential"] {
        let digests = json!([
            { "hash": BASE64_STANDARD.encode([1; 32]), "label": "Loan.pdf", "hashType": "DTBSR" },
            { "hash": BASE64_URL_SAFE_NO_PAD.encode([2; 32]) },
        ]);
        let details = json!([{
            "type": kind, "credentialID": town.credential, "documentDigests": digests, "numSignatures": 2,
            "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1", "locations": ["https://elsewhere.example"], "other": 1,
        }]);
        let query = town.query(&[("authorization_details", &details.to_string()), ("account_token", "x")]);
        let browser = town.begin(&query);
        let view = browser.view(&town.app);
        assert_eq!(
            (&view["scope"], &view["documents"]),
            (&"credential".into(), &json!(["Loan.pdf", "2 of 2"]))
        );
        browser.start(&town.app);
        let asked = town.phone.phone.requests().unwrap().pop().unwrap();
        let names: Vec<_> =
            asked.documents.as_slice().iter().map(|document| document.name.as_str()).collect();
        assert_eq!(names, ["Loan.pdf", "2 of 2"]);
        town.approve(&browser);
        let answer = town.exchange(&code_in(&browser.leave(&town.app)));
        let token = access_token(&answer);
        let answer: Value = answer.json();
        assert_eq!(
            (&answer["token_type"], &answer["credentialID"]),
            (&"Bearer".into(), &town.credential.clone().into())
        );
        // Nothing that was not granted is said to be.
        let granted = json!([{
            "type": kind, "credentialID": town.credential, "numSignatures": 2, "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
            "documentDigests": [
                { "hash": BASE64_STANDARD.encode([1; 32]), "label": "Loan.pdf" },
                { "hash": BASE64_STANDARD.encode([2; 32]), "label": "2 of 2" },
            ],
        }]);
        assert_eq!(answer["authorization_details"], granted);
        assert_eq!(signatures(&town.sign(&token, None, &[1, 2])).len(), 2);
    }
}

#[test]
fn oau_020_a_sign_in_tells_nothing_of_who_there_is_and_grants_one_persons_credential() {
    let mut town = Town::new();
    // Nobody and somebody look alike; each person is asked by one browser of a client at a time.
    for person in ["olena", "nobody"] {
        let ask = |browser: &Browser| {
            browser.call(&town.app, "POST", "/start", &json!({ "person": person }).to_string())
        };
        let (first, second) = (town.begin(&town.query(&[])), town.begin(&town.query(&[])));
        assert_eq!(ask(&first).status, 204);
        assert_eq!(first.view(&town.app)["state"], "waiting");
        assert_eq!(refusal(&ask(&second)).0, 429);
        assert_eq!(ask(&first).status, 204, "the same one");
        town.app.clock.advance(120);
        assert_eq!(first.view(&town.app)["state"], "decided");
        assert_eq!(parameter(&first.leave(&town.app), "reason").as_deref(), Some("TIMEOUT"));
        assert_eq!(ask(&second).status, 204);
        second.call(&town.app, "POST", "/cancel", "{}");
    }
    let token = town.signed_in();
    // Not for the session API, and there it is no client of its own.
    let body = serde_json::to_value(crate::harness::request("olena", 1)).unwrap();
    assert_eq!(
        town.app.http.json("POST", "/v1/requests", &token, Some(&body)).code(),
        ProblemCode::Forbidden
    );
    // The client revokes it as its own.
    assert_eq!(town.bank.says(&town.app, "revoke", &form(&[("token", &token)])).status, 200);
    assert_eq!(refusal(&csc(&town.app, &token, "v1", "credentials/list", &json!({}))).1, "invalid_token");
}

#[test]
fn oau_021_codes_and_cookies_stand_hashed_and_end_with_the_registration() {
    let mut town = Town::new();
    let query = town.asks_for(&[1]);
    let browser = town.begin(&query);
    browser.start(&town.app);
    town.approve(&browser);
    let code = code_in(&browser.leave(&town.app));
    let (_, cookie) = browser.cookie.rsplit_once('=').unwrap();
    town.app.stop();
    let read = |ending: &str| {
        std::fs::read(format!("{}{ending}", town.app.database().display())).unwrap_or_default()
    };
    let bytes = [read(""), read("-wal")].concat();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(BACK), "the search finds what is there");
    assert!(!holds(&code) && !holds(&code[4..]) && !holds(cookie));
    town.app.start().unwrap();
    town.bank.register(&town.app, &json!({}));
    no_grant(&town.exchange(&code), "not known");
    assert_eq!(browser.call(&town.app, "GET", "", "").status, 404);
}

#[test]
fn csc_016_a_token_of_scope_credential_is_activation_data() {
    let mut town = Town::new();
    let hash = hash_list(&[1, 2]);
    let query = town.query(&[
        ("scope", "credential"),
        ("credentialID", &town.credential),
        ("numSignatures", "2"),
        ("hash", &hash),
        ("clientData", "x"),
    ]);
    let code = town.code(&query);
    let answer = town.exchange(&code);
    let sad = access_token(&answer);
    assert_eq!(answer.json::<Value>()["token_type"], "SAD");
    assert_eq!(answer.json::<Value>()["expires_in"], 300);
    let service = town.bank.token(&town.app);
    // Another client, another hash, another number of one.
    let other = client(&town.app, "Other").token(&town.app);
    let theirs: Value =
        csc(&town.app, &other, "v1", "credentials/list", &json!({ "userID": "olena" })).json();
    let body = json!({ "credentialID": theirs["credentialIDs"][0], "SAD": sad, "hash": [BASE64_STANDARD.encode([1; 32])], "signAlgo": ECDSA_SHA256 });
    wrong(&csc(&town.app, &other, "v1", "signatures/signHash", &body), "Invalid parameter SAD");
    for digests in [&[3][..], &[1, 1], &[1, 2, 3]] {
        wrong(&town.sign(&service, Some(&sad), digests), "Hash is not authorized by the SAD");
    }
    wrong(&town.sign(&service, None, &[1]), "Missing (or invalid type) string parameter SAD");
    wrong(&town.sign(&service, Some(&service), &[1]), "Invalid parameter SAD");
    // With any access token of the client, each hash once; the same call again for a minute.
    let first = signatures(&town.sign(&service, Some(&sad), &[1]));
    assert_eq!(signatures(&town.sign(&town.bank.token(&town.app), Some(&sad), &[1])), first);
    town.app.clock.advance(60);
    wrong(&town.sign(&service, Some(&sad), &[1]), "Hash is not authorized by the SAD");
    let signed_in = town.signed_in();
    signatures(&town.sign(&signed_in, Some(&sad), &[2]));
    town.app.clock.advance(60);
    wrong(&town.sign(&service, Some(&sad), &[2]), "Invalid parameter SAD");
    // Late, and revoked.
    let sad = town.token(&[4]);
    town.app.clock.advance(299);
    let kept = town.token(&[5]);
    town.app.clock.advance(1);
    let service = town.bank.token(&town.app);
    wrong(&town.sign(&service, Some(&sad), &[4]), "Invalid parameter SAD");
    assert_eq!(town.bank.says(&town.app, "revoke", &form(&[("token", &kept)])).status, 200);
    wrong(&town.sign(&service, Some(&kept), &[5]), "Invalid parameter SAD");
}

#[test]
fn csc_017_a_token_of_scope_credential_signs_alone_and_does_nothing_else() {
    let mut town = Town::new();
    let token = town.token(&[1, 2]);
    let first = signatures(&town.sign(&token, None, &[2, 1]));
    assert_eq!(signatures(&town.sign(&token, Some(&token), &[2, 1])), first);
    assert_eq!(refusal(&town.sign(&token, Some("x"), &[1])).1, "invalid_request");
    let info = csc(&town.app, &token, "v2", "credentials/info", &json!({ "credentialID": town.credential }));
    assert_eq!(info.status, 200);
    let authorize = json!({ "credentialID": town.credential, "numSignatures": 1, "hashes": [BASE64_STANDARD.encode([3; 32])] });
    for (method, body) in [
        ("credentials/list", json!({})),
        ("credentials/authorize", authorize),
        ("credentials/authorizeCheck", json!({ "handle": "0a".repeat(16) })),
    ] {
        let (status, error, _) = refusal(&csc(&town.app, &token, "v2", method, &body));
        assert_eq!((status, error.as_str()), (403, "insufficient_scope"), "{method}");
    }
    let body = serde_json::to_value(crate::harness::request("olena", 1)).unwrap();
    assert_eq!(
        town.app.http.json("POST", "/v1/requests", &token, Some(&body)).code(),
        ProblemCode::Unauthenticated
    );
    town.app.clock.advance(300);
    assert_eq!(refusal(&town.sign(&token, None, &[1, 2])).1, "invalid_token");
}

#[test]
fn csc_018_who_signed_in_is_listed_and_nobody_else() {
    let mut town = Town::new();
    let andrii = town.app.phone("andrii");
    let service = town.bank.token(&town.app);
    let list = |token: &str, body: Value| csc(&town.app, token, "v1", "credentials/list", &body);
    let theirs = list(&service, json!({ "userID": "andrii" })).json::<Value>()["credentialIDs"][0].clone();
    let token = {
        let query = query(&town.bank, &[("login_hint", "olena")]);
        let browser = begin(&town.app, &query);
        browser.start(&town.app);
        approve(&town.app, &mut town.phone, &browser);
        access_token(&exchange(&town.app, &town.bank, &code_in(&browser.leave(&town.app)), BACK, VERIFIER))
    };
    for userid in [Value::Null, json!(null)] {
        let listed: Value = list(&token, json!({ "userID": userid })).json();
        assert_eq!(listed["credentialIDs"], json!([town.credential]));
    }
    for person in ["olena", "andrii", "nobody"] {
        wrong(&list(&token, json!({ "userID": person })), "userID parameter MUST be null");
    }
    wrong(&list(&service, json!({})), "Missing (or invalid type) string parameter userID");
    // Nor is another's credential there under any method.
    let hashes = [BASE64_STANDARD.encode([1; 32])];
    for (method, body) in [
        ("credentials/info", json!({ "credentialID": theirs })),
        ("credentials/authorize", json!({ "credentialID": theirs, "numSignatures": 1, "hashes": hashes })),
        (
            "signatures/signHash",
            json!({ "credentialID": theirs, "SAD": "x", "hashes": hashes, "signAlgo": ECDSA_SHA256 }),
        ),
    ] {
        wrong(&csc(&town.app, &token, "v2", method, &body), "Invalid parameter credentialID");
    }
    drop(andrii);
}

#[test]
fn csc_019_a_client_is_told_the_way_it_knows() {
    let town = Town::new();
    let told = |version: &str| {
        let body = json!({ "credentialID": town.credential, "authInfo": true });
        csc(&town.app, &town.bank.token(&town.app), version, "credentials/info", &body).json::<Value>()
    };
    assert_eq!(told("v1")["authMode"], "implicit");
    assert_eq!(told("v2")["auth"]["mode"], "explicit");
    assert_eq!(town.bank.register(&town.app, &json!({ "csc_auth": "oauth2code" })).status, 200);
    assert_eq!(told("v1")["authMode"], "oauth2code");
    assert_eq!(told("v2")["auth"], json!({ "mode": "oauth2code" }));
}
