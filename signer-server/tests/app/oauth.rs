//! Relying parties as OAuth clients.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use signer_core::{
    ids::RelyingPartyId,
    wire::{OauthClient, ProblemCode},
};

use crate::{
    harness::{TestApp, request},
    restore::{back_up, restore_whole},
    support::http::Answer,
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A client with a key.
pub(crate) struct Client {
    pub(crate) id: RelyingPartyId,
    key: SigningKey,
}

impl Client {
    pub(crate) fn new(app: &TestApp, name: &str) -> Self {
        Self::of(app, app.relying_party(name, true, false).id)
    }

    pub(crate) fn of(app: &TestApp, id: RelyingPartyId) -> Self {
        let client = Self { id, key: key(1) };
        assert_eq!(put(app, client.id, &json!({ "key": jwk(&client.key) })).status, 200);
        client
    }

    /// Registers it anew, with these members beside its key.
    pub(crate) fn register(&self, app: &TestApp, more: &Value) -> Answer {
        let mut body = more.clone();
        body["key"] = jwk(&self.key);
        put(app, self.id, &body)
    }

    /// What it says at an endpoint, with its proof.
    pub(crate) fn says(&self, app: &TestApp, endpoint: &str, form: &str) -> Answer {
        post(app, endpoint, &format!("{form}&{}", by(&self.assertion(app, |_| {}))))
    }

    /// A good assertion for now, changed.
    fn assertion(&self, app: &TestApp, change: impl FnOnce(&mut Value)) -> String {
        let now = app.clock.seconds();
        let mut claims = json!({
            "iss": self.id, "sub": self.id, "aud": app.url(), "iat": now, "exp": now + 60, "jti": app.unique("jti"),
        });
        change(&mut claims);
        signed(&self.key, &json!({ "alg": "ES256", "typ": "JWT" }), &claims)
    }

    fn form(&self, app: &TestApp, change: impl FnOnce(&mut Value)) -> String {
        format!("grant_type=client_credentials&scope=service&{}", by(&self.assertion(app, change)))
    }

    pub(crate) fn token(&self, app: &TestApp) -> String {
        let answer = post(app, "token", &self.form(app, |_| {}));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let answer: Value = answer.json();
        assert_eq!(
            (&answer["token_type"], &answer["expires_in"], &answer["scope"]),
            (&"Bearer".into(), &900.into(), &"service".into())
        );
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn jwk(key: &SigningKey) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": "one", "alg": "ES256", "use": "sig" })
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature: Signature = key.sign(text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn by(assertion: &str) -> String {
    format!(
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    )
}

fn put(app: &TestApp, id: RelyingPartyId, body: &Value) -> Answer {
    app.admin("PUT", &format!("/relying-parties/{id}/oauth-client"), Some(body))
}

fn post(app: &TestApp, endpoint: &str, form: &str) -> Answer {
    app.http.send("POST", &format!("/oauth2/{endpoint}"), &[FORM], form.as_bytes())
}

/// Status, error and description of a refusal; the members of a problem say the same.
pub(crate) fn refusal(answer: &Answer) -> (u16, String, String) {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let body: Value = answer.json();
    assert_eq!((&body["status"], &body["detail"]), (&answer.status.into(), &body["error_description"]));
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (answer.status, text("error"), text("error_description"))
}

fn ask(app: &TestApp, token: &str) -> Answer {
    let body = serde_json::to_value(request("olena", 1)).unwrap();
    app.http.json("POST", "/v1/requests", token, Some(&body))
}

#[test]
fn oau_001_a_client_gets_an_access_token_that_asks_for_signatures() {
    let app = TestApp::spawn();
    let client = Client::new(&app, "Bank");
    let token = client.token(&app);
    assert!(token.starts_with("sat_") && token.len() == 47);
    assert_eq!(ask(&app, &token).status, 201);
    // For nothing else.
    assert_eq!(app.http.json("GET", "/admin/v1/keys", &token, None).code(), ProblemCode::Unauthenticated);
    let verify = app.http.json("POST", "/v1/verifications", &token, Some(&json!({})));
    assert_eq!(verify.code(), ProblemCode::Unauthenticated);
    // No longer than it says.
    app.clock.advance(899);
    assert_eq!(ask(&app, &token).status, 201);
    app.clock.advance(1);
    assert_eq!(ask(&app, &token).code(), ProblemCode::Unauthenticated);
    // The token endpoint is as good an audience as the issuer, alone in a list too.
    let endpoint = format!("{}/oauth2/token", app.url());
    for audience in [json!(endpoint), json!([endpoint]), json!([app.url()])] {
        let form = client.form(&app, |claims| claims["aud"] = audience.clone());
        assert_eq!(post(&app, "token", &form).status, 200, "{audience}");
    }
}

#[test]
fn oau_002_an_assertion_is_good_once() {
    let mut app = TestApp::spawn();
    let (client, other) = (Client::new(&app, "Bank"), Client::new(&app, "Other"));
    let form = client.form(&app, |claims| claims["jti"] = "the-one".into());
    assert_eq!(post(&app, "token", &form).status, 200);
    let used = |answer: &Answer| {
        let (status, error, text) = refusal(answer);
        assert_eq!((status, error.as_str()), (401, "invalid_client"));
        text.contains("used before")
    };
    assert!(used(&post(&app, "token", &form)));
    app.restart();
    assert!(used(&post(&app, "token", &form)));
    // The same jti in another assertion; for another act.
    assert!(used(&post(&app, "token", &client.form(&app, |claims| claims["jti"] = "the-one".into()))));
    assert!(used(&post(
        &app,
        "revoke",
        &format!("token=x&{}", by(&client.assertion(&app, |claims| claims["jti"] = "the-one".into())))
    )));
    // Ids are each client's own.
    assert_eq!(post(&app, "token", &other.form(&app, |claims| claims["jti"] = "the-one".into())).status, 200);
    // Of twenty at once one is taken.
    let form = client.form(&app, |_| {});
    let taken = std::thread::scope(|scope| {
        let all: Vec<_> = (0..20).map(|_| scope.spawn(|| post(&app, "token", &form).status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert_eq!(taken, 1);
}

#[test]
fn res_034_an_assertion_that_may_have_been_used_before_a_restore_is_used_up() {
    let mut app = TestApp::spawn();
    let client = Client::new(&app, "Bank");
    let file = back_up(&app, "backup.db");
    let form = client.form(&app, |_| {});
    assert_eq!(post(&app, "token", &form).status, 200);
    restore_whole(&mut app, &file);
    let (status, error, text) = refusal(&post(&app, "token", &form));
    assert_eq!((status, error.as_str()), (401, "invalid_client"));
    assert!(text.contains("used before"), "{text}");
    // One that could not have been sent before is not.
    app.clock.advance(31);
    client.token(&app);
}

#[test]
fn oau_003_wrong_assertions_are_refused_and_use_nothing_up() {
    let app = TestApp::spawn();
    let client = Client::new(&app, "Bank");
    let stranger = app.relying_party("No client", true, false).id;
    let now = app.clock.seconds();
    let before = app.dump();
    let refuse = |assertion: &str, text: &str| {
        let answer = post(&app, "token", &format!("grant_type=client_credentials&{}", by(assertion)));
        let (status, error, told) = refusal(&answer);
        assert_eq!((status, error.as_str()), (401, "invalid_client"), "{text}");
        assert!(told.contains(text), "{told} / {text}");
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"token endpoint\""));
    };
    let changes: [(&str, Value, &str); 17] = [
        ("aud", "https://elsewhere.example".into(), "aud"),
        ("aud", json!([app.url(), "https://elsewhere.example"]), "one aud"),
        ("aud", Value::Null, "aud"),
        ("exp", now.into(), "time is over"),
        ("exp", (now + 91).into(), "60 seconds"),
        ("exp", 1.5.into(), "exp"),
        ("exp", Value::Null, "exp"),
        ("iat", (now + 31).into(), "future"),
        ("nbf", (now + 31).into(), "future"),
        ("jti", "".into(), "jti"),
        ("jti", "x".repeat(129).into(), "jti"),
        ("jti", Value::Null, "jti"),
        ("iss", stranger.to_string().into(), "iss and sub"),
        ("sub", stranger.to_string().into(), "iss and sub"),
        ("sub", "".into(), "iss and sub"),
        ("iss", Value::Null, "iss"),
        ("jti", "x".repeat(4_000).into(), "4096"),
    ];
    for (name, value, text) in changes {
        refuse(&client.assertion(&app, |claims| claims[name] = value), text);
    }
    let claims =
        |id: RelyingPartyId| json!({ "iss": id, "sub": id, "aud": app.url(), "exp": now + 60, "jti": "j" });
    let header = json!({ "alg": "ES256" });
    refuse(&signed(&key(1), &header, &claims(stranger)), "not known");
    refuse(&signed(&key(1), &header, &claims(RelyingPartyId::from_bytes([9; 16]))), "not known");
    refuse(&signed(&key(2), &header, &claims(client.id)), "not its key");
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "ES256", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "typ": "at+jwt" }),
    ] {
        refuse(&signed(&key(1), &header, &claims(client.id)), "ES256");
    }
    let good = signed(&key(1), &header, &claims(client.id));
    for cut in [1, good.len() / 2, good.len() - 1] {
        refuse(&good[..cut], "assertion");
    }
    refuse(&format!("{good}A"), "");
    refuse(&format!("{good}."), "");
    // A parameter beside that says otherwise.
    let form = format!("grant_type=client_credentials&client_id={stranger}&{}", by(&good));
    assert!(refusal(&post(&app, "token", &form)).2.contains("client_id"));
    assert_eq!(app.dump(), before);
    let form = format!("grant_type=client_credentials&client_id={}&{}", client.id, by(&good));
    assert_eq!(post(&app, "token", &form).status, 200, "nothing of it was used up");
}

#[test]
fn oau_004_secrets_are_for_sandboxes() {
    let mut app = TestApp::spawn_with(|config| config.sandbox = true);
    let id = app.relying_party("Bank", true, false).id;
    let client: OauthClient = put(&app, id, &json!({})).json();
    let secret = client.client_secret.unwrap();
    assert_eq!(client.client_id, id);
    let body = |secret: &str| format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    assert_eq!(post(&app, "token", &body(&secret)).status, 200);
    let basic = |secret: &str| {
        let value = base64::prelude::BASE64_STANDARD.encode(format!("{id}:{secret}"));
        let headers = [FORM, ("authorization", &format!("Basic {value}"))];
        app.http.send("POST", "/oauth2/token", &headers, b"grant_type=client_credentials")
    };
    assert_eq!(basic(&secret).status, 200);
    for wrong in [secret.to_uppercase(), format!("{secret}A"), "x".into()] {
        assert_eq!(refusal(&post(&app, "token", &body(&wrong))).1, "invalid_client");
        assert_eq!(refusal(&basic(&wrong)).1, "invalid_client");
    }
    // An assertion does not prove a client that has a secret.
    let impostor = Client { id, key: key(1) };
    assert_eq!(refusal(&post(&app, "token", &impostor.form(&app, |_| {}))).1, "invalid_client");
    // Elsewhere none is made, and one that was made is good no more.
    app.stop();
    app.config.sandbox = false;
    app.start().unwrap();
    assert_eq!(refusal(&post(&app, "token", &body(&secret))).1, "invalid_client");
    assert_eq!(put(&app, id, &json!({})).code(), ProblemCode::InvalidValue);
}

#[test]
fn oau_005_a_client_revokes_its_own_tokens() {
    let app = TestApp::spawn();
    let (client, other) = (Client::new(&app, "Bank"), Client::new(&app, "Other"));
    let (first, second) = (client.token(&app), client.token(&app));
    let revoke = |client: &Client, token: &str| {
        post(
            &app,
            "revoke",
            &format!("token={token}&token_type_hint=access_token&{}", by(&client.assertion(&app, |_| {}))),
        )
        .status
    };
    // Somebody else's and an unknown one are no error, and nothing.
    assert_eq!((revoke(&other, &first), revoke(&client, "unknown")), (200, 200));
    assert_eq!(ask(&app, &first).status, 201);
    assert_eq!(revoke(&client, &first), 200);
    assert_eq!(ask(&app, &first).code(), ProblemCode::Unauthenticated);
    assert_eq!(ask(&app, &second).status, 201);
    assert_eq!(refusal(&post(&app, "revoke", &format!("token={second}"))).1, "invalid_client");
    assert_eq!(refusal(&post(&app, "revoke", &by(&client.assertion(&app, |_| {})))).1, "invalid_request");
}

#[test]
fn oau_006_another_key_and_revocation_end_the_tokens() {
    let app = TestApp::spawn();
    let mut client = Client::new(&app, "Bank");
    let token = client.token(&app);
    assert_eq!(put(&app, client.id, &json!({ "key": jwk(&key(2)) })).status, 200);
    assert_eq!(ask(&app, &token).code(), ProblemCode::Unauthenticated);
    assert_eq!(refusal(&post(&app, "token", &client.form(&app, |_| {}))).1, "invalid_client");
    client.key = key(2);
    let token = client.token(&app);
    assert_eq!(app.admin("DELETE", &format!("/relying-parties/{}", client.id), None).status, 204);
    assert_eq!(ask(&app, &token).code(), ProblemCode::Unauthenticated);
    assert_eq!(refusal(&post(&app, "token", &client.form(&app, |_| {}))).1, "invalid_client");
    assert_eq!(put(&app, client.id, &json!({ "key": jwk(&key(2)) })).code(), ProblemCode::NotFound);
}

#[test]
fn oau_007_wrong_forms_and_keys_are_refused() {
    let app = TestApp::spawn();
    let client = Client::new(&app, "Bank");
    let good = by(&client.assertion(&app, |_| {}));
    let before = app.dump();
    for (form, error) in [
        (String::new(), "invalid_request"),
        (good.clone(), "invalid_request"),
        (format!("grant_type=&{good}"), "invalid_request"),
        (format!("grant_type=password&{good}"), "unsupported_grant_type"),
        (format!("grant_type=refresh_token&{good}"), "unsupported_grant_type"),
        (format!("grant_type=authorization_code&{good}"), "invalid_request"),
        (format!("grant_type=authorization_code&code=x&redirect_uri=x&{good}"), "invalid_request"),
        (format!("grant_type=client_credentials&scope=credential&{good}"), "invalid_scope"),
        (format!("grant_type=client_credentials&grant_type=client_credentials&{good}"), "invalid_request"),
        (format!("grant_type=client_credentials&client_secret=x&{good}"), "invalid_request"),
        ("grant_type=client_credentials".into(), "invalid_client"),
        ("grant_type=client_credentials&client_secret=x".into(), "invalid_request"),
        ("grant_type=client_credentials&client_assertion=x".into(), "invalid_request"),
        (
            format!("grant_type=client_credentials&{}", good.replace("jwt-bearer", "saml2-bearer")),
            "invalid_request",
        ),
    ] {
        assert_eq!(refusal(&post(&app, "token", &form)).1, error, "{form}");
    }
    let json = app.http.send("POST", "/oauth2/token", &[("content-type", "application/json")], b"{}");
    assert_eq!(refusal(&json).1, "invalid_request");
    for header in ["Bearer x", "Basic", "Basic %", "Basic eA=="] {
        let headers = [FORM, ("authorization", header)];
        let answer = app.http.send("POST", "/oauth2/token", &headers, b"grant_type=client_credentials");
        assert_eq!(refusal(&answer).1, "invalid_client", "{header}");
    }
    let good = jwk(&key(1));
    for (name, value) in [
        ("kty", "OKP"),
        ("crv", "P-384"),
        ("alg", "ES384"),
        ("use", "enc"),
        ("x", ""),
        ("y", good["x"].as_str().unwrap()),
    ] {
        let mut key = good.clone();
        key[name] = value.into();
        assert_eq!(put(&app, client.id, &json!({ "key": key })).code(), ProblemCode::InvalidValue, "{name}");
    }
    let mut private = good;
    private["d"] = "AA".into();
    assert_eq!(put(&app, client.id, &json!({ "key": private })).code(), ProblemCode::Malformed);
    assert_eq!(app.dump(), before);
}

#[test]
fn oau_008_tokens_and_secrets_stand_hashed() {
    let mut app = TestApp::spawn_with(|config| config.sandbox = true);
    let id = app.relying_party("Bank", true, false).id;
    let client: OauthClient = put(&app, id, &json!({})).json();
    assert!(!format!("{client:?}").contains(client.client_secret.as_deref().unwrap()));
    let token = Client::new(&app, "Other").token(&app);
    app.stop();
    // The database with what has not been moved into it.
    let read =
        |ending: &str| std::fs::read(format!("{}{ending}", app.database().display())).unwrap_or_default();
    let bytes = [read(""), read("-wal")].concat();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("Other"), "the search finds what is there");
    assert!(!holds(&client.client_secret.unwrap()) && !holds(&token) && !holds(&token[4..]));
}

#[test]
fn oau_009_the_metadata_say_what_there_is() {
    for sandbox in [false, true] {
        let app = TestApp::spawn_with(|config| config.sandbox = sandbox);
        let metadata: Value =
            app.http.send("GET", "/.well-known/oauth-authorization-server", &[], b"").json();
        assert_eq!(metadata["issuer"], app.url());
        assert_eq!(metadata["token_endpoint"], format!("{}/oauth2/token", app.url()));
        assert_eq!(metadata["authorization_endpoint"], format!("{}/oauth2/authorize", app.url()));
        assert_eq!(metadata["grant_types_supported"], json!(["authorization_code", "client_credentials"]));
        let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert_eq!(methods.len(), if sandbox { 3 } else { 1 });
    }
}

#[test]
fn oau_010_one_client_has_a_bounded_number_of_living_tokens() {
    let app = TestApp::spawn();
    let (client, other) = (Client::new(&app, "Bank"), Client::new(&app, "Other"));
    for _ in 0..64 {
        client.token(&app);
    }
    let answer = post(&app, "token", &client.form(&app, |_| {}));
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert_eq!(refusal(&answer).1, "temporarily_unavailable");
    other.token(&app);
    app.clock.advance(900);
    client.token(&app);
}
