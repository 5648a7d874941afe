//! Every wrong input on every route: a problem with its stable code, and nothing changed.
//!
//! The routes are those of the OpenAPI document, so that a new one without its refusals fails here.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use signer_client::{Approved, RelyingParty, ports::HardwareKey as _};
use signer_core::{
    approval::ApprovalRecord,
    codec::{self, Blob, Label, List, Text},
    credential::{DocumentType, Step, Turn},
    device_key::DeviceSignature,
    ids::{CeremonyId, CheckId, Epoch, KeyId, RelyingPartyId, RequestId},
    pin::Pin,
    secret::SecretBytes,
    suite::{Commitment, KeygenMessage, SuiteId},
    time::UnixSeconds,
    wire::{
        AnswerCheck, Approve, ApprovePayload, CertificateQuery, ChecksQuery, ChooseCode, CodeStateQuery,
        Decline, Display, ENVELOPE_BYTES_MAX, EndDisplay, EnrolConfirm, EnrolKeys, EnrolStart, EnrolmentCode,
        Envelope, Exchange, Fetch, HistoryQuery, IssueCredentials, IssuedCredentials, Listen, OpenLink,
        Operation, OutcomeQuery, ProblemCode, Profile, RefreshChallenge, RefreshConfirm, RefreshKeys,
        RefreshPayload, RefreshStart, RequestsQuery, StatusQuery, VerificationCode, WireSecret,
        WithdrawnQuery,
    },
};

use crate::{
    harness::{Dump, PIN, TestApp, WRONG},
    openapi::document,
    screen::{Till, opened, show, stocked},
    support::clock::T0,
    support::phone::{Fault, SUITE, TestPhone, network},
};

/// The order of P-256's group, SEC 2 §2.4.2, and of secp256k1's, §2.4.1.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Operations that need no token, because they tell nothing about anybody, or because a proof is in their body.
const PUBLIC: [&str; 18] = [
    "GET /.well-known/oauth-authorization-server",
    "GET /ca/v1/ca.der",
    "GET /ca/v1/ca.pem",
    "GET /ca/v1/crl.der",
    "GET /health/live",
    "GET /health/ready",
    "GET /status/v1/lists",
    "GET /status/v1/lists/{id}",
    "GET /v1/answer-key",
    "GET /v1/audit/checkpoint",
    "GET /v1/time",
    "GET /v1/trust-list",
    "GET /v1/webhook-keys",
    "POST /csc/{version}/info",
    "POST /oauth2/pushed_authorize",
    "POST /oauth2/revoke",
    "POST /oauth2/token",
    "POST /v1/report-lost",
];
/// Pages for browsers, beside the API.
const PAGES: [&str; 8] = [
    "/admin/",
    "/authorize/",
    "/docs/",
    "/link",
    "/openapi.json",
    "/verify/",
    "/verify/config.json",
    "/verify/files.json",
];

/// Open to whoever has a lost code; the answer tells nothing either.
const REPORT_LOST: &str = "/v1/report-lost";
/// A lost code that is nobody's.
const LOST_CODE: &str = "0123-4567-89AB-CDEF-GHJK-ANCY";

/// A path of the OpenAPI document, with the operations on it.
#[derive(Debug)]
struct Route {
    path: String,
    methods: Vec<&'static str>,
    /// What stands for the path's id, by its schema; none if it is text.
    id: Option<String>,
    /// The right that a relying party needs; none for the operator's routes and the public ones.
    right: Option<String>,
    operator: bool,
}

impl Route {
    fn is_public(&self) -> bool {
        self.right.is_none() && !self.operator
    }

    /// Whether its refusals have OAuth's shape.
    fn speaks_oauth(&self) -> bool {
        self.path.starts_with("/oauth2/") || self.path.starts_with("/csc/")
    }

    /// The path with an id in it that is well-formed and nobody's.
    fn example(&self) -> String {
        self.path.replace("{id}", &"0a".repeat(16)).replace("{version}", "v1")
    }
}

/// All routes but those of the device operations: what is routed is in the document.
fn routes() -> Vec<Route> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 30, "{paths:?}");
    let routes = paths.iter().map(|(path, item)| {
        let item = item.as_object().unwrap();
        let methods = METHODS.into_iter().filter(|method| item.contains_key(&method.to_lowercase()));
        let operation = item.values().next().unwrap();
        let security = operation["security"].as_array().map_or(&[][..], Vec::as_slice);
        for other in item.values() {
            assert_eq!(other["security"], operation["security"], "{path}: its operations need one right");
        }
        let right = security.iter().find_map(|one| {
            let right = one.get("relying_party").map_or("ask", |roles| roles[0].as_str().unwrap());
            (one.get("relying_party").is_some() || one.get("oauth2").is_some()).then(|| right.to_owned())
        });
        let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let id = parameters.iter().find(|one| one["name"] == "id");
        let id = id.and_then(|id| Some(id["schema"]["$ref"].as_str()?.rsplit('/').next()?.to_owned()));
        let operator = security.iter().any(|one| one.get("admin").is_some());
        Route { path: path.clone(), methods: methods.collect(), id, right, operator }
    });
    routes.collect()
}

fn named(route: &Route) -> impl Iterator<Item = String> {
    route.methods.iter().map(|method| format!("{method} {}", route.path))
}

#[test]
fn app_100_unknown_paths_and_wrong_methods_are_problems() {
    let app = TestApp::spawn();
    let before = app.dump();
    for path in ["/", "/nothing", "/v1", "/v1/", "/v2/requests", "/device/v1", "/device/v1/", "/admin/v1/x"] {
        for method in METHODS {
            assert_eq!(
                app.http.send(method, path, &[], b"").code(),
                ProblemCode::NoSuchPath,
                "{method} {path}"
            );
        }
    }
    for path in ["/device/v1/enrol_start", "/device/v1/Status", "/device/v1/status/", "/device/v2/status"] {
        assert_eq!(app.http.cbor(path, b"").code(), ProblemCode::NoSuchPath, "{path}");
    }
    let operations = Operation::ALL.iter().map(|operation| format!("/device/v1/{}", operation.path()));
    let operations = operations.map(|path| (path, vec!["POST"]));
    let pages = PAGES.into_iter().map(|path| (path.to_owned(), vec!["GET"]));
    let routes = routes();
    let described = routes.iter().map(|route| (route.example(), route.methods.clone()));
    for (path, methods) in described.chain(operations).chain(pages) {
        for method in METHODS.into_iter().filter(|method| !methods.contains(method)) {
            let answer = app.http.send(method, &path, &[], b"");
            assert_eq!(answer.code(), ProblemCode::MethodNotAllowed, "{method} {path}");
            let allowed = answer.header("allow").unwrap_or_default().to_owned();
            assert!(methods.iter().all(|method| allowed.contains(method)), "{path} allows {allowed:?}");
        }
    }
    assert_eq!(app.dump(), before);
}

#[test]
fn app_101_without_the_right_token_every_route_that_needs_one_refuses() {
    let app = TestApp::spawn();
    let bank = app.relying_party("Bank", true, false);
    let shop = app.relying_party("Shop", false, true);
    let gone = app.relying_party("Gone", true, true);
    assert_eq!(app.admin("DELETE", &format!("/relying-parties/{}", gone.id), None).status, 204);
    let admin = app.admin_token();
    let before = app.dump();
    let all = routes();
    for route in all.iter().filter(|route| !route.is_public() && !route.speaks_oauth()) {
        for method in &route.methods {
            let path = route.example();
            let send = |authorization: &str| {
                let json = ("content-type", "application/json");
                let answer = if authorization.is_empty() {
                    app.http.send(method, &path, &[json], b"{}")
                } else {
                    app.http.send(method, &path, &[("authorization", authorization), json], b"{}")
                };
                answer.code()
            };
            let changed = format!("{}x", &admin[..admin.len() - 1]);
            for wrong in [
                String::new(),
                "Bearer".into(),
                "Bearer ".into(),
                "Bearer x".into(),
                format!("Basic {}", bank.token),
                bank.token.clone(),
                format!("Bearer {}", gone.token),
                format!("Bearer {}x", bank.token),
                format!("Bearer {}", bank.token.to_uppercase()),
                format!("Bearer sat_{}", "x".repeat(43)),
                format!("Bearer {changed}"),
                // A relying party is no operator, an operator no relying party.
                format!("Bearer {}", if route.operator { &bank.token } else { &admin }),
            ] {
                assert_eq!(send(&wrong), ProblemCode::Unauthenticated, "{method} {path} with {wrong:?}");
            }
            if let Some(right) = &route.right {
                let other = if right == "ask" { &shop.token } else { &bank.token };
                assert_eq!(send(&format!("Bearer {other}")), ProblemCode::Forbidden, "{method} {path}");
            }
        }
    }
    assert_eq!(app.dump(), before);
    // Everything else is open on purpose, and answers without a token.
    let open: BTreeSet<_> = all.iter().filter(|route| route.is_public()).flat_map(named).collect();
    assert_eq!(open, PUBLIC.map(str::to_owned).into());
    let report = serde_json::to_vec(&serde_json::json!({ "code": LOST_CODE })).unwrap();
    let answer = app.http.send("POST", REPORT_LOST, &[("content-type", "application/json")], &report);
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(app.dump(), before);
    let gets = PUBLIC.into_iter().filter_map(|name| name.strip_prefix("GET "));
    for path in gets.chain(PAGES) {
        let query = if path == "/v1/time" { "?nonce=00112233445566778899aabbccddeeff" } else { "" };
        let path = path.replace("{id}", &(app.clock.seconds() / 86_400 * 64).to_string());
        assert_eq!(app.http.send("GET", &format!("{path}{query}"), &[], b"").status, 200, "{path}");
    }
}

#[test]
fn oap_004_every_operation_in_oauths_shape_that_needs_a_token_refuses_without_the_right_one() {
    let app = TestApp::spawn();
    let bank = app.relying_party("Bank", true, false);
    let before = app.dump();
    let mut walked = 0;
    for route in routes().iter().filter(|route| !route.is_public() && route.speaks_oauth()) {
        for version in ["v1", "v2"] {
            let path = route.path.replace("{version}", version);
            let error = |authorization: &str| {
                let json = ("content-type", "application/json");
                let answer = if authorization.is_empty() {
                    app.http.send("POST", &path, &[json], b"{}")
                } else {
                    app.http.send("POST", &path, &[("authorization", authorization), json], b"{}")
                };
                (answer.status, answer.json::<Value>()["error"].as_str().unwrap_or_default().to_owned())
            };
            // What the CSC API says where there is no bearer token at all, and where there is a wrong one.
            for none in ["", "Bearer", "Bearer ", "Basic eDp4"] {
                assert_eq!(error(none), (400, "invalid_request".into()), "{path} with {none:?}");
            }
            for wrong in ["x", &format!("sat_{}", "x".repeat(43)), &bank.token, &app.admin_token()] {
                assert_eq!(error(&format!("Bearer {wrong}")), (401, "invalid_token".into()), "{path}");
            }
            walked += 1;
        }
    }
    assert!(walked >= 10, "{walked}");
    assert_eq!(app.dump(), before);
}

#[test]
fn oap_005_another_partys_object_is_like_one_that_is_not_there() {
    let app = TestApp::spawn();
    let (bank, other) = (app.relying_party("Bank", true, false), app.relying_party("Other", true, true));
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let request = app.ask(&RelyingParty::new(network(app.url()), bank.token.clone()), "olena");
    let check = opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check;
    assert!(matches!(phone.approve(request, PIN).unwrap(), Approved::Signed(_)));
    // What the first look writes down is there before: the person's name at this bank, and a checkpoint.
    let asker = RelyingParty::new(network(app.url()), bank.token.clone());
    asker.wait(request, std::time::Duration::ZERO).unwrap();
    app.checkpoint();
    let before = app.dump();
    let mut walked = BTreeSet::new();
    for route in routes().iter().filter(|route| route.right.is_some()) {
        let Some(kind) = &route.id else { continue };
        let (id, owner) = match kind.as_str() {
            "RequestId" => (request.to_string(), &bank.token),
            "CheckId" => (check.to_string(), &till.token),
            other => panic!("{}: say here how another party's {other} is made", route.path),
        };
        for method in &route.methods {
            let path = route.path.replace("{id}", &id);
            let foreign = app.http.json(method, &path, &other.token, None);
            let nobodys = app.http.json(method, &route.example(), &other.token, None);
            assert_eq!(foreign.code(), ProblemCode::NotFound, "{method} {path}");
            assert_eq!(foreign.body, nobodys.body, "{method} {path}");
            // It is there, for whom it belongs to.
            if *method == "GET" {
                assert!(app.http.json(method, &path, owner, None).status < 300, "{path}");
            }
            walked.insert(kind.clone());
        }
    }
    assert_eq!(walked.len(), 2, "{walked:?}");
    assert_eq!(app.dump(), before);
}

/// One wrong call: route, path, body, what must come.
type Call = (&'static str, String, Option<Value>, ProblemCode);

fn json_calls(others: RequestId, signed: RequestId, bank: RelyingPartyId, shop: RelyingPartyId) -> Vec<Call> {
    use ProblemCode::{InvalidValue, Malformed, NotFound, RequestClosed};
    let digest = BASE64_STANDARD.encode([7; 32]);
    let good = serde_json::json!({
        "person": "olena", "text": "Text", "documents": [{ "name": "Name", "sha256": digest }], "expires_in": 300,
    });
    let mut calls: Vec<Call> = Vec::new();
    let mut with = |route: &'static str, good: &Value, changes: &[(&str, Value, ProblemCode)]| {
        let (_, path) = route.split_once(' ').unwrap();
        for (pointer, value, code) in changes {
            let mut body = good.clone();
            match body.pointer_mut(pointer) {
                Some(place) => *place = value.clone(),
                None => {
                    body.as_object_mut()
                        .unwrap()
                        .insert(pointer.trim_start_matches('/').into(), value.clone());
                }
            }
            calls.push((route, path.into(), Some(body), *code));
        }
        for field in good.as_object().unwrap().keys().filter(|field| *field != "expires_in") {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(field);
            // Without a person a request could be for a link: it says which of the two is missing.
            let code = if (route, field.as_str()) == ("POST /v1/requests", "person") {
                InvalidValue
            } else {
                Malformed
            };
            calls.push((route, path.into(), Some(body), code));
        }
    };
    let documents = |count: usize| -> Value {
        (0..count).map(|n| serde_json::json!({ "name": format!("{n}"), "sha256": digest })).collect()
    };
    let fields = |count: usize| -> Value {
        (0..count).map(|n| serde_json::json!({ "label": format!("{n}"), "value": "a" })).collect()
    };
    with(
        "POST /v1/requests",
        &good,
        &[
            ("/person", "".into(), InvalidValue),
            ("/person", "with space".into(), InvalidValue),
            ("/person", "x".repeat(65).into(), InvalidValue),
            ("/person", "Олена".into(), InvalidValue),
            ("/person", 5.into(), Malformed),
            ("/text", "".into(), InvalidValue),
            ("/text", "a\u{202E}b".into(), InvalidValue),
            ("/text", "e\u{301}".into(), InvalidValue),
            ("/text", "x".repeat(2001).into(), InvalidValue),
            ("/documents", documents(0), InvalidValue),
            ("/documents", documents(33), InvalidValue),
            ("/documents", serde_json::json!({}), Malformed),
            ("/documents/0/name", "".into(), InvalidValue),
            ("/documents/0/name", "a\u{0}b".into(), InvalidValue),
            ("/documents/0/name", "x".repeat(201).into(), InvalidValue),
            ("/documents/0/sha256", "".into(), InvalidValue),
            ("/documents/0/sha256", BASE64_STANDARD.encode([7; 31]).into(), InvalidValue),
            ("/documents/0/sha256", BASE64_STANDARD.encode([7; 33]).into(), InvalidValue),
            ("/documents/0/sha256", digest.trim_end_matches('=').into(), InvalidValue),
            ("/documents/0/sha256", "not base64".into(), InvalidValue),
            ("/documents/0/sha256", BASE64_STANDARD.encode([0; 32]).into(), InvalidValue),
            ("/documents/0/sha256", BASE64_STANDARD.encode(P256_ORDER).into(), InvalidValue),
            ("/documents/0", serde_json::json!({ "name": "a", "sha256": digest, "more": 1 }), Malformed),
            ("/expires_in", 29.into(), InvalidValue),
            ("/expires_in", 86_401.into(), InvalidValue),
            ("/expires_in", (-1).into(), Malformed),
            ("/expires_in", 1.5.into(), Malformed),
            ("/relying_party", "Another Bank".into(), Malformed),
            ("/link", true.into(), InvalidValue),
            ("/link", "yes".into(), Malformed),
            ("/link_token", "chosen".into(), Malformed),
            ("/fields", fields(17), InvalidValue),
            ("/fields", serde_json::json!({}), Malformed),
            ("/fields", serde_json::json!([{ "label": "", "value": "a" }]), InvalidValue),
            ("/fields", serde_json::json!([{ "label": "a", "value": "" }]), InvalidValue),
            ("/fields", serde_json::json!([{ "label": "a\nb", "value": "a" }]), InvalidValue),
            ("/fields", serde_json::json!([{ "label": "a", "value": "a\u{202E}b" }]), InvalidValue),
            ("/fields", serde_json::json!([{ "label": "x".repeat(81), "value": "a" }]), InvalidValue),
            ("/fields", serde_json::json!([{ "label": "a", "value": "x".repeat(201) }]), InvalidValue),
            ("/fields", serde_json::json!([{ "label": "a" }]), Malformed),
            ("/fields", serde_json::json!([{ "label": "a", "value": "b", "more": 1 }]), Malformed),
            ("/verification_code", "0417".into(), Malformed),
            ("/verification_code", 1.into(), Malformed),
        ],
    );
    let good = serde_json::json!({ "code": "DQ1:", "request_id": "request-1" });
    with(
        "POST /v1/verifications",
        &good,
        &[
            ("/request_id", "".into(), InvalidValue),
            ("/request_id", "short-1".into(), InvalidValue),
            ("/request_id", "x".repeat(65).into(), InvalidValue),
            ("/request_id", "with a space".into(), InvalidValue),
            ("/request_id", "кирилиця".into(), InvalidValue),
            ("/code", 12.into(), Malformed),
            ("/profile", "everything".into(), Malformed),
            ("/profile", 2.into(), Malformed),
            ("/request", "".into(), InvalidValue),
            ("/request", "DR1:".into(), InvalidValue),
            ("/request", "DQ1:".into(), InvalidValue),
            ("/request", "x".repeat(2000).into(), InvalidValue),
            ("/request", 12.into(), Malformed),
            ("/challenge", "0a".repeat(16).into(), Malformed),
            ("/now", 12.into(), Malformed),
        ],
    );
    with(
        "POST /v1/report-lost",
        &serde_json::json!({ "code": LOST_CODE }),
        &[
            ("/code", "".into(), InvalidValue),
            ("/code", LOST_CODE.replace("4567", "4576").into(), InvalidValue),
            ("/code", LOST_CODE.replace("-ANCY", "").into(), InvalidValue),
            ("/code", format!("{LOST_CODE}0").into(), InvalidValue),
            ("/code", LOST_CODE.replace('0', "ї").into(), InvalidValue),
            ("/code", "x".repeat(1000).into(), InvalidValue),
            ("/code", 12.into(), Malformed),
            ("/device", "0a".repeat(16).into(), Malformed),
        ],
    );
    let good = serde_json::json!({ "person": "olena", "expires_in": 3600 });
    with(
        "POST /admin/v1/enrolment-codes",
        &good,
        &[
            ("/person", "".into(), InvalidValue),
            ("/person", "a b".into(), InvalidValue),
            ("/person", "x".repeat(65).into(), InvalidValue),
            ("/person", "pid_AAAAAAAAAAAAAAAAAAAAAA".into(), InvalidValue),
            ("/expires_in", 59.into(), InvalidValue),
            ("/expires_in", 2_592_001.into(), InvalidValue),
            ("/code", "CHOSEN".into(), Malformed),
        ],
    );
    let good = serde_json::json!({ "name": "Bank", "may_ask": true, "may_verify": false });
    with(
        "POST /admin/v1/relying-parties",
        &good,
        &[
            ("/name", "".into(), InvalidValue),
            ("/name", "two\nlines".into(), InvalidValue),
            ("/name", "x".repeat(201).into(), InvalidValue),
            ("/name", "\u{202E}knaB".into(), InvalidValue),
            ("/may_ask", "yes".into(), Malformed),
            ("/token", "chosen".into(), Malformed),
            ("/generates_for", "".into(), InvalidValue),
            ("/generates_for", "a/b".into(), InvalidValue),
            ("/generates_for", "x".repeat(25).into(), InvalidValue),
            ("/generates_for", true.into(), Malformed),
        ],
    );
    let good = serde_json::json!({ "document_type": "vehicle_registration", "references": ["AA0001EX"] });
    let references = |count: usize| -> Value { (0..count).map(|n| format!("{n}")).collect() };
    with(
        "POST /v1/codes",
        &good,
        &[
            ("/document_type", "identity_card".into(), InvalidValue),
            ("/document_type", "bicycle".into(), Malformed),
            ("/document_type", 3.into(), Malformed),
            ("/references", references(0), InvalidValue),
            ("/references", references(1001), InvalidValue),
            ("/references", serde_json::json!(["a", "a"]), InvalidValue),
            ("/references", serde_json::json!([""]), InvalidValue),
            ("/references", serde_json::json!(["a b"]), InvalidValue),
            ("/references", serde_json::json!(["x".repeat(33)]), InvalidValue),
            ("/references", "a".into(), Malformed),
            ("/step", "previous".into(), Malformed),
            ("/step", 9_973_165.into(), Malformed),
            ("/organisation", "40000002".into(), Malformed),
        ],
    );
    // In binary mode all but the data is in headers, none of which are sent here.
    calls.push((
        "POST /register/v1/events",
        "/register/v1/events".into(),
        Some(serde_json::json!({})),
        Malformed,
    ));
    let point = {
        use base64::prelude::BASE64_URL_SAFE_NO_PAD;
        let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().to_sec1_point(true).as_bytes())
    };
    let good = serde_json::json!({
        "name": "Shop", "key": point, "profiles": ["age"], "relying_party": shop.to_string(),
    });
    let mut with_business = |changes: &[(&str, Value, ProblemCode)]| {
        for (pointer, value, code) in changes {
            let mut body = good.clone();
            body[pointer.trim_start_matches('/')] = value.clone();
            let route = "POST /admin/v1/business-credentials";
            calls.push((route, "/admin/v1/business-credentials".into(), Some(body), *code));
        }
    };
    with_business(&[
        ("/name", "".into(), InvalidValue),
        ("/name", "x".repeat(97).into(), InvalidValue),
        ("/name", "two\nlines".into(), InvalidValue),
        ("/key", "".into(), InvalidValue),
        ("/key", point.to_uppercase().into(), InvalidValue),
        ("/key", point[..43].into(), InvalidValue),
        ("/profiles", serde_json::json!([]), InvalidValue),
        ("/profiles", serde_json::json!(["everything"]), Malformed),
        ("/days", 0.into(), InvalidValue),
        ("/days", 31.into(), InvalidValue),
        ("/relying_party", "0A".repeat(16).into(), Malformed),
        ("/relying_party", "0a".repeat(16).into(), InvalidValue),
        ("/relying_party", bank.to_string().into(), InvalidValue),
        ("/id", "0a".repeat(16).into(), Malformed),
        ("/credential", "chosen".into(), Malformed),
    ]);
    for (route, path) in [
        ("PUT /v1/webhooks", "/v1/webhooks".to_owned()),
        ("PUT /admin/v1/relying-parties/{id}/webhooks", format!("/admin/v1/relying-parties/{bank}/webhooks")),
    ] {
        let five: Vec<_> = (0..5).map(|n| format!("https://bank.example/{n}")).collect();
        for (body, code) in [
            (serde_json::json!({ "urls": five }), InvalidValue),
            (serde_json::json!({ "urls": ["https://bank.example/", "https://bank.example/"] }), InvalidValue),
            (serde_json::json!({ "urls": ["http://bank.example/"] }), InvalidValue),
            (serde_json::json!({ "urls": ["https://127.0.0.1/"] }), InvalidValue),
            (serde_json::json!({ "urls": ["bank.example"] }), InvalidValue),
            (serde_json::json!({ "urls": "https://bank.example/" }), Malformed),
            (serde_json::json!({ "urls": [], "secret": "x" }), Malformed),
            (serde_json::json!({}), Malformed),
        ] {
            calls.push((route, path.clone(), Some(body), code));
        }
    }
    for (body, code) in [
        (serde_json::json!({ "calls_per_second": 0 }), InvalidValue),
        (serde_json::json!({ "calls_per_second": 1_000_001 }), InvalidValue),
        (serde_json::json!({ "calls_per_second": "9" }), Malformed),
        (serde_json::json!({ "calls_per_second": -1 }), Malformed),
        (serde_json::json!({ "kept_bytes": 1_048_575 }), InvalidValue),
        (serde_json::json!({ "kept_bytes": (1_u64 << 50) + 1 }), InvalidValue),
        (serde_json::json!({ "calls": 9 }), Malformed),
    ] {
        let path = format!("/admin/v1/relying-parties/{bank}/limits");
        calls.push(("PUT /admin/v1/relying-parties/{id}/limits", path, Some(body), code));
    }
    for query in ["after=-1", "after=x", "before=1", "after=1&after=2"] {
        calls.push(("GET /v1/webhook-events", format!("/v1/webhook-events?{query}"), None, Malformed));
    }
    for purpose in ["answer", "authority", "device-token", "Issuer", "issuer.2", "x"] {
        for act in ["next", "activate"] {
            let route = if act == "next" {
                "POST /admin/v1/keys/{id}/next"
            } else {
                "POST /admin/v1/keys/{id}/activate"
            };
            calls.push((route, format!("/admin/v1/keys/{purpose}/{act}"), None, NotFound));
        }
    }
    for number in ["0", "1", "9", "x", "-1", "4294967296"] {
        let path = format!("/admin/v1/keks/{number}/prepare");
        calls.push(("POST /admin/v1/keks/{id}/prepare", path, None, NotFound));
        calls.push((
            "POST /admin/v1/keks/{id}/retire",
            format!("/admin/v1/keks/{number}/retire"),
            None,
            NotFound,
        ));
    }
    for query in ["force=1", "force=yes", "why=x"] {
        let path = format!("/admin/v1/keys/issuer/activate?{query}");
        calls.push(("POST /admin/v1/keys/{id}/activate", path, None, Malformed));
    }
    for number in ["0", "x", "-1", "4294967296"] {
        calls.push(("GET /status/v1/lists/{id}", format!("/status/v1/lists/{number}"), None, NotFound));
    }
    let nobody = "0a".repeat(16);
    for id in [nobody.as_str(), "x", "", &"0A".repeat(16), &"0".repeat(31), "..%2f..%2fhealth", "%00", "%ff"]
    {
        if id.is_empty() {
            continue;
        }
        for (route, path) in [
            ("GET /v1/requests/{id}", format!("/v1/requests/{id}")),
            ("DELETE /v1/requests/{id}", format!("/v1/requests/{id}")),
            ("GET /v1/verifications/{id}", format!("/v1/verifications/{id}")),
            ("DELETE /admin/v1/relying-parties/{id}", format!("/admin/v1/relying-parties/{id}")),
            (
                "GET /admin/v1/relying-parties/{id}/webhooks",
                format!("/admin/v1/relying-parties/{id}/webhooks"),
            ),
            ("POST /v1/webhook-events/{id}/replay", format!("/v1/webhook-events/{id}/replay")),
            ("POST /admin/v1/devices/{id}/revoke", format!("/admin/v1/devices/{id}/revoke")),
            ("POST /admin/v1/devices/{id}/suspend", format!("/admin/v1/devices/{id}/suspend")),
            ("POST /admin/v1/devices/{id}/resume", format!("/admin/v1/devices/{id}/resume")),
            ("DELETE /admin/v1/devices/{id}/audit-name", format!("/admin/v1/devices/{id}/audit-name")),
            (
                "GET /admin/v1/devices/{id}/certificate-request",
                format!("/admin/v1/devices/{id}/certificate-request"),
            ),
            ("GET /v1/persons/{id}/signing-certificate", format!("/v1/persons/{id}/signing-certificate")),
        ] {
            calls.push((route, path, None, NotFound));
        }
    }
    calls.extend([
        ("GET /v1/requests/{id}", format!("/v1/requests/{others}"), None, NotFound),
        ("DELETE /v1/requests/{id}", format!("/v1/requests/{others}"), None, NotFound),
        ("DELETE /v1/requests/{id}", format!("/v1/requests/{signed}"), None, RequestClosed),
        ("GET /v1/requests/{id}", format!("/v1/requests/{signed}?timeout_ms=120001"), None, InvalidValue),
        ("GET /v1/requests/{id}", format!("/v1/requests/{signed}?timeout_ms=-1"), None, Malformed),
        (
            "GET /v1/requests/{id}",
            format!("/v1/requests/{signed}?timeout_ms=1&timeout_ms=2"),
            None,
            Malformed,
        ),
        ("GET /v1/requests/{id}", format!("/v1/requests/{signed}?wait=1"), None, Malformed),
        ("GET /v1/verifications/{id}", format!("/v1/verifications/{nobody}?wait=1"), None, Malformed),
        (
            "GET /v1/verifications/{id}",
            format!("/v1/verifications/{nobody}?timeout_ms=120001"),
            None,
            InvalidValue,
        ),
        (
            "POST /admin/v1/devices/{id}/revoke",
            format!("/admin/v1/devices/{nobody}/revoke?reason=hold"),
            None,
            InvalidValue,
        ),
        (
            "POST /admin/v1/devices/{id}/revoke",
            format!("/admin/v1/devices/{nobody}/revoke?why=x"),
            None,
            Malformed,
        ),
        (
            "PUT /admin/v1/devices/{id}/certificate",
            format!("/admin/v1/devices/{nobody}/certificate"),
            Some(serde_json::json!({ "chain": [] })),
            NotFound,
        ),
        (
            "PUT /admin/v1/devices/{id}/certificate",
            format!("/admin/v1/devices/{nobody}/certificate"),
            Some(serde_json::json!({ "chain": "x" })),
            Malformed,
        ),
        (
            "PUT /admin/v1/relying-parties/{id}/oauth-client",
            format!("/admin/v1/relying-parties/{nobody}/oauth-client"),
            Some(serde_json::json!({})),
            InvalidValue,
        ),
        (
            "PUT /admin/v1/relying-parties/{id}/oauth-client",
            format!("/admin/v1/relying-parties/{nobody}/oauth-client"),
            Some(serde_json::json!({ "key": { "kty": "EC", "crv": "P-256", "x": "", "y": "", "d": "" } })),
            Malformed,
        ),
        ("GET /admin/v1/requests", "/admin/v1/requests?limit=0".into(), None, InvalidValue),
        ("GET /admin/v1/requests", "/admin/v1/requests?limit=201".into(), None, InvalidValue),
        ("GET /admin/v1/requests", "/admin/v1/requests?limit=x".into(), None, Malformed),
        ("GET /admin/v1/requests", "/admin/v1/requests?relying_party=bank".into(), None, Malformed),
        ("GET /admin/v1/requests", "/admin/v1/requests?person=olena".into(), None, Malformed),
        ("GET /admin/v1/audit/entries", "/admin/v1/audit/entries?from=-1".into(), None, Malformed),
        ("GET /admin/v1/audit/entries", "/admin/v1/audit/entries?to=1".into(), None, Malformed),
        ("GET /admin/v1/audit/found", "/admin/v1/audit/found?limit=0".into(), None, InvalidValue),
        ("GET /admin/v1/audit/found", "/admin/v1/audit/found?limit=1001".into(), None, InvalidValue),
        ("GET /admin/v1/audit/found", "/admin/v1/audit/found?about=olena".into(), None, Malformed),
        ("GET /admin/v1/audit/proofs/{id}", "/admin/v1/audit/proofs/1000000".into(), None, NotFound),
        ("GET /v1/requests/{id}/audit", format!("/v1/requests/{others}/audit"), None, NotFound),
        ("GET /v1/requests/{id}/audit", "/v1/requests/x/audit".into(), None, NotFound),
        ("GET /v1/audit/consistency", "/v1/audit/consistency".into(), None, Malformed),
        ("GET /v1/audit/consistency", "/v1/audit/consistency?from=x".into(), None, Malformed),
        ("GET /v1/audit/consistency", "/v1/audit/consistency?from=1000000".into(), None, InvalidValue),
        ("GET /v1/time", "/v1/time".into(), None, Malformed),
        ("GET /v1/time", "/v1/time?nonce=".into(), None, InvalidValue),
        ("GET /v1/time", format!("/v1/time?nonce={}", "A".repeat(32)), None, InvalidValue),
        ("GET /v1/time", format!("/v1/time?nonce={}", "a".repeat(33)), None, InvalidValue),
        ("GET /v1/time", format!("/v1/time?nonce={}&now=1", "a".repeat(32)), None, Malformed),
    ]);
    calls
}

#[test]
fn app_102_wrong_json_values_objects_and_queries_are_precise_problems() {
    let app = TestApp::spawn();
    let (bank, shop) = (app.relying_party("Bank", true, false), app.relying_party("Shop", false, true));
    let (register, fleet) = (crate::events::reporter(&app), crate::fleets::token(&app, crate::fleets::TAXIS));
    let ask = |token: &str, key: &str| {
        let body = serde_json::to_vec(&crate::harness::request("olena", 1)).unwrap();
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json; charset=utf-8"),
            ("idempotency-key", key),
        ];
        app.http.send("POST", "/v1/requests", &headers, &body)
    };
    let other = app.relying_party("Other bank", true, false);
    let made = |answer: crate::support::http::Answer| answer.json::<signer_core::wire::CreatedRequest>().id;
    let (others, signed) = (made(ask(&other.token, "k")), made(ask(&bank.token, "k")));
    let mut phone = app.phone("olena");
    assert!(matches!(phone.approve(signed, PIN).unwrap(), Approved::Signed(_)));
    let calls = json_calls(others, signed, bank.id, shop.id);
    let admin = app.admin_token();
    let token_for = |path: &str| match path {
        path if path.starts_with("/admin/") => admin.as_str(),
        path if path.starts_with("/v1/verifications") => shop.token.as_str(),
        path if path.starts_with("/register/") => register.as_str(),
        path if path.starts_with("/v1/codes") => fleet.as_str(),
        _ => bank.token.as_str(),
    };
    app.checkpoint();
    let before = app.dump();
    let mut covered = BTreeSet::new();
    for (route, path, body, code) in calls {
        let (method, _) = route.split_once(' ').unwrap();
        let answer = app.http.json(method, &path, token_for(&path), body.as_ref());
        assert_eq!(
            answer.code(),
            code,
            "{method} {path} {body:?}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        if matches!(code, ProblemCode::InvalidValue | ProblemCode::Malformed) {
            assert!(
                answer.problem().detail.is_some_and(|detail| detail.len() > 10),
                "{method} {path} says why"
            );
        }
        covered.insert(route.to_owned());
    }
    for key in ["", &"x".repeat(129), "with space"] {
        assert_eq!(ask(&bank.token, key).code(), ProblemCode::InvalidValue, "idempotency key {key:?}");
    }
    // The form of a body, on every route that takes one.
    for route in routes() {
        if !route.methods.contains(&"POST") || route.path.contains("{id}") || route.speaks_oauth() {
            continue;
        }
        let path = route.example();
        let bearer = format!("Bearer {}", token_for(&path));
        let send = |media_type: &[(&str, &str)], body: &[u8]| {
            let headers = [&[("authorization", bearer.as_str())][..], media_type].concat();
            app.http.send("POST", &path, &headers, body).code()
        };
        for media_type in
            ["text/plain", "application/cbor", "application/jsonx", "application/x-www-form-urlencoded", ""]
        {
            let code = send(&[("content-type", media_type)], b"{}");
            assert_eq!(code, ProblemCode::UnsupportedMediaType, "{path} {media_type}");
        }
        assert_eq!(send(&[], b"{}"), ProblemCode::UnsupportedMediaType, "{path}");
        let json = [("content-type", "application/json")];
        let deep = [vec![b'['; 30_000], vec![b']'; 30_000]].concat();
        for body in [
            &b""[..],
            b"null",
            b"[]",
            b"{}",
            b"{",
            b"{}{}",
            b"\xff\xfe",
            b"{\"a\":1,\"a\":2}",
            b"{\"person\":\"a\",\"person\":\"b\"}",
            b"\"text\"",
            &deep,
        ] {
            assert_eq!(
                send(&json, body),
                ProblemCode::Malformed,
                "{path} {:?}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
        }
        assert_eq!(send(&json, &vec![b' '; 64 * 1024 + 1]), ProblemCode::TooLarge, "{path}");
    }
    assert_eq!(app.dump(), before);
    for route in routes() {
        for method in &route.methods {
            let name = format!("{method} {}", route.path);
            let nothing_to_refuse = route.is_public() && route.path != "/v1/time" || route.speaks_oauth();
            // Listing takes no argument: its token is all there is to it.
            let lists = [
                "GET /admin/v1/relying-parties",
                "GET /admin/v1/keys",
                "GET /admin/v1/audit/key",
                "GET /admin/v1/figures",
                "GET /admin/v1/keks",
                "GET /v1/webhooks",
                "DELETE /v1/webhooks",
            ];
            // What is not JSON is in `trust`.
            let elsewhere = ["PUT /admin/v1/trust-list"];
            let no_argument =
                nothing_to_refuse || lists.contains(&name.as_str()) || elsewhere.contains(&name.as_str());
            assert!(no_argument || covered.contains(&name), "{name} has no refusal of its own");
        }
    }
}

/// A display of a credential that the phone does not have.
const SHOWN: Display =
    Display { list: 1, index: 1, step: Step(T0 / 180), turn: Turn::FIRST, profile: Profile::Age };

/// Valid messages of every operation, ready and not sent.
struct Messages {
    app: TestApp,
    phone: TestPhone,
    other: TestPhone,
    /// Phones in the middle of their enrolment.
    newcomers: Vec<(Operation, Vec<u8>, TestPhone)>,
    request: RequestId,
    others_request: RequestId,
    others_credential: (u32, u32),
    approve: Vec<u8>,
    lost: Vec<(Operation, Vec<u8>)>,
}

impl Messages {
    fn new(suite: SuiteId) -> Self {
        let mut app = TestApp::spawn();
        app.suite = suite;
        let bank = app.bank();
        let (mut phone, mut other) = (app.phone("olena"), app.phone("taras"));
        let (request, others_request) = (app.ask(&bank, "olena"), app.ask(&bank, "taras"));
        let approve = phone.prepare(request, WRONG);
        other.phone.top_up(DocumentType::IdentityCard).unwrap();
        let reply = other.wire.last("credentials").reply.unwrap();
        let issued: IssuedCredentials = codec::decode(&reply, 1 << 20).unwrap();
        let credential = issued.credentials.as_slice()[0].as_slice();
        let status =
            signer_core::credential::DayCredential::from_bytes(credential).unwrap().claims().status();
        let mut lost = Vec::new();
        let mut lose = |phone: &mut TestPhone, operation: Operation, act: &dyn Fn(&mut TestPhone)| {
            phone.wire.fail(operation.path(), Fault::LoseRequest);
            act(phone);
            lost.push((operation, phone.wire.last(operation.path()).body));
        };
        let listed = phone.listed(request);
        lose(&mut phone, Operation::Fetch, &|phone| assert!(phone.phone.fetch(listed.clone()).is_err()));
        lose(&mut phone, Operation::Credentials, &|phone| {
            assert!(phone.phone.top_up(DocumentType::IdentityCard).is_err());
        });
        for operation in [
            Operation::RefreshChallenge,
            Operation::RefreshStart,
            Operation::RefreshKeys,
            Operation::RefreshConfirm,
        ] {
            lose(&mut phone, operation, &|phone| {
                phone.wire.fail("status", Fault::LoseRequest);
                let changed =
                    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new("582907").unwrap());
                assert!(changed.is_err());
                phone.wire.mend();
            });
        }
        let mut newcomers = Vec::new();
        for operation in [Operation::EnrolStart, Operation::EnrolKeys, Operation::EnrolConfirm] {
            let (mut newcomer, code) = (app.blank_phone(), app.enrolment_code("newcomer"));
            newcomer.wire.fail(operation.path(), Fault::LoseRequest);
            newcomer.wire.fail("status", Fault::LoseRequest);
            let pin = Pin::new(PIN).unwrap();
            assert!(newcomer.phone.enrol(suite, &code, &pin).is_err());
            let body = newcomer.wire.last(operation.path()).body;
            newcomers.push((operation, body, newcomer));
        }
        Self {
            app,
            phone,
            other,
            newcomers,
            request,
            others_request,
            others_credential: (status.list, status.index),
            approve,
            lost,
        }
    }

    fn now(&self) -> u64 {
        self.app.clock.seconds()
    }

    fn seal<E: Exchange>(&self, body: &E) -> Vec<u8> {
        self.phone.seal(self.now(), body)
    }

    /// A valid message, and the phone that makes it.
    fn valid(&self, operation: Operation) -> (Vec<u8>, &TestPhone) {
        let lost = self.lost.iter().find(|(found, _)| *found == operation);
        let newcomer = self.newcomers.iter().find(|(found, ..)| *found == operation);
        let bytes = match operation {
            Operation::Status => self.seal(&StatusQuery {}),
            Operation::Requests => self.seal(&RequestsQuery {}),
            Operation::Outcome => self.seal(&OutcomeQuery { request: self.request }),
            Operation::Decline => self.seal(&Decline { request: self.request }),
            Operation::ChooseCode => self.seal(&ChooseCode { request: self.request, code: some_code() }),
            Operation::OpenLink => self.seal(&NO_LINK),
            Operation::CodeState => self.seal(&CodeStateQuery { list: 1, index: 1, step: 1 }),
            Operation::Certificate => self.seal(&CertificateQuery {}),
            Operation::Withdrawn => self.seal(&WithdrawnQuery {}),
            Operation::History => self.seal(&HistoryQuery { after: 0, limit: 64 }),
            Operation::Display => self.seal(&SHOWN),
            Operation::EndDisplay => self.seal(&EndDisplay { list: 1, index: 1 }),
            Operation::Checks => self.seal(&ChecksQuery {}),
            Operation::AnswerCheck => {
                self.seal(&AnswerCheck { id: CheckId::from_bytes([5; 16]), allow: true, shown: [0; 32] })
            }
            Operation::Listen => self.seal(&Listen {}),
            Operation::Approve => self.approve.clone(),
            Operation::EnrolStart | Operation::EnrolKeys | Operation::EnrolConfirm => {
                let (_, body, phone) = newcomer.unwrap();
                return (body.clone(), phone);
            }
            Operation::Fetch
            | Operation::Credentials
            | Operation::RefreshChallenge
            | Operation::RefreshStart
            | Operation::RefreshKeys
            | Operation::RefreshConfirm => lost.unwrap().1.clone(),
        };
        (bytes, &self.phone)
    }

    fn code(&self, operation: Operation, bytes: &[u8]) -> ProblemCode {
        self.app.device(operation.path(), bytes).code()
    }

    /// Signs any body for an operation, whatever is in it.
    fn reseal(&self, operation: Operation, phone: &TestPhone, time: u64, body: Vec<u8>) -> Vec<u8> {
        macro_rules! seal {
            ($($name:ident: $body:ty,)*) => {
                match operation { $(Operation::$name => phone.seal_bytes::<$body>(time, body),)* }
            };
        }
        seal! {
            EnrolStart: EnrolStart, EnrolKeys: EnrolKeys, EnrolConfirm: EnrolConfirm, Status: StatusQuery,
            Requests: RequestsQuery, Fetch: Fetch, Approve: Approve, Outcome: OutcomeQuery, Decline: Decline,
            RefreshChallenge: RefreshChallenge, RefreshStart: RefreshStart, RefreshKeys: RefreshKeys,
            RefreshConfirm: RefreshConfirm, Credentials: IssueCredentials, CodeState: CodeStateQuery,
            Certificate: CertificateQuery, Display: Display, EndDisplay: EndDisplay, Checks: ChecksQuery,
            AnswerCheck: AnswerCheck, Listen: Listen, History: HistoryQuery,
            Withdrawn: WithdrawnQuery, ChooseCode: ChooseCode, OpenLink: OpenLink,
        }
    }
}

#[test]
fn app_103_every_device_operation_refuses_every_damaged_envelope() {
    let messages = Messages::new(SUITE);
    let app = &messages.app;
    let before: Dump = app.dump();
    for operation in Operation::ALL.iter().copied() {
        let (good, phone) = messages.valid(operation);
        let refused = |bytes: &[u8], codes: &[ProblemCode], case: &str| {
            let code = messages.code(operation, bytes);
            assert!(codes.contains(&code), "{operation:?}, {case}: {code:?}");
        };
        // The form of the HTTP request.
        let path = format!("/device/v1/{}", operation.path());
        for headers in [&[][..], &[("content-type", "application/json")], &[("content-type", "text/cbor")]] {
            let answer = app.http.send("POST", &path, headers, &good);
            assert_eq!(answer.code(), ProblemCode::UnsupportedMediaType, "{path} {headers:?}");
        }
        refused(&vec![0; ENVELOPE_BYTES_MAX + 1], &[ProblemCode::TooLarge], "one byte too long");
        // The form of the envelope.
        let malformed = [ProblemCode::Malformed];
        for bytes in
            [&b""[..], b"\x80", b"\xf6", b"\xff", b"{}", &[0x81; 10_000], &vec![0; ENVELOPE_BYTES_MAX]]
        {
            refused(bytes, &malformed, "not an envelope");
        }
        for length in (0..good.len()).step_by(good.len() / 24 + 1) {
            refused(&good[..length], &malformed, "cut short");
        }
        refused(&[&good[..], &[0]].concat(), &malformed, "a byte more");
        let envelope = Envelope::decode(&good).unwrap();
        let changed = |change: &dyn Fn(&mut Envelope)| {
            let mut changed = envelope.clone();
            change(&mut changed);
            codec::encode(&changed)
        };
        let version = changed(&|envelope| envelope.version = 2);
        refused(&version, &[ProblemCode::UnsupportedVersion], "another version");
        for other in Operation::ALL.iter().filter(|other| **other != operation) {
            // A phone that is not enrolled is nobody to the operations of those that are.
            let code = messages.code(*other, &good);
            let unknown = operation.path().starts_with("enrol") && code == ProblemCode::NotTheDevice;
            assert!(code == ProblemCode::Malformed || unknown, "{operation:?} sent to {other:?}: {code:?}");
        }
        // Not by the device: any change of what is signed, or of the signature.
        let not_the_device = [ProblemCode::NotTheDevice];
        refused(&changed(&|envelope| envelope.signature.0[7] ^= 1), &not_the_device, "signature");
        refused(
            &changed(&|envelope| envelope.signature = DeviceSignature([0; 64])),
            &not_the_device,
            "no signature",
        );
        refused(&changed(&|envelope| envelope.time.0 += 1), &not_the_device, "time");
        let other = messages.other.device_key().device_id();
        // A device that is not installed is known by its ceremony, and another one has none.
        let in_ceremony = matches!(operation, Operation::EnrolKeys | Operation::EnrolConfirm);
        let unknown = if in_ceremony { ProblemCode::CeremonyUnknown } else { ProblemCode::NotTheDevice };
        refused(&changed(&|envelope| envelope.device = other), &[unknown], "another's id");
        let foreign =
            messages.reseal(operation, &messages.other, messages.now(), envelope.body.as_slice().to_vec());
        let mut renamed = Envelope::decode(&foreign).unwrap();
        renamed.device = envelope.device;
        refused(&codec::encode(&renamed), &not_the_device, "another's signature");
        for place in (0..good.len()).step_by(good.len() / 48 + 1) {
            let mut flipped = good.clone();
            flipped[place] ^= 1;
            let codes = [
                ProblemCode::Malformed,
                ProblemCode::UnsupportedVersion,
                ProblemCode::NotTheDevice,
                ProblemCode::CeremonyUnknown,
            ];
            refused(&flipped, &codes, "a bit flipped");
        }
        // In time.
        for (time, ahead) in [(messages.now() - 301, false), (messages.now() + 301, true)] {
            let body = envelope.body.as_slice().to_vec();
            let answer = app.device(operation.path(), &messages.reseal(operation, phone, time, body));
            assert_eq!(answer.code(), ProblemCode::Clock, "{operation:?} ahead {ahead}");
            assert_eq!(answer.problem().time, Some(messages.now()), "{operation:?}");
        }
        // Signed, but not the body of this operation.
        let bodies = [vec![], vec![0x80, 0], vec![0xf6], vec![0x9f, 0xff], vec![0x81; 10_000], vec![0xff], {
            let mut longer = envelope.body.as_slice().to_vec();
            longer.push(0);
            longer
        }];
        for body in bodies {
            let bytes = messages.reseal(operation, phone, messages.now(), body);
            refused(&bytes, &malformed, "another body");
        }
    }
    assert_eq!(app.dump(), before);
}

/// A link that is nobody's.
const NO_LINK: OpenLink = OpenLink { elapsed: 0, token: [7; 32], mac: [8; 32] };

fn some_code() -> VerificationCode {
    VerificationCode::new(42).unwrap()
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text.into()).unwrap()
}

fn blob<const MAX: usize>(bytes: &[u8]) -> Blob<MAX> {
    Blob::new(bytes.to_vec()).unwrap()
}

#[test]
fn app_104_device_messages_about_what_is_not_theirs_or_not_there_change_nothing() {
    for suite in SuiteId::ALL {
        others_and_absent(suite);
    }
}

fn others_and_absent(suite: SuiteId) {
    use ProblemCode as Code;
    let messages = Messages::new(suite);
    let nobody = RequestId::from_bytes([9; 16]);
    let before = messages.app.dump_of_acts();
    let check = |operation: Operation, bytes: &[u8], code: Code, case: &str| {
        let answer = messages.app.device(operation.path(), bytes);
        assert_eq!(answer.code(), code, "{operation:?}: {case}");
    };
    for (request, case) in [(nobody, "nobody's"), (messages.others_request, "another's")] {
        check(Operation::Outcome, &messages.seal(&OutcomeQuery { request }), Code::NotFound, case);
        let answer =
            AnswerCheck { id: CheckId::from_bytes(*request.as_bytes()), allow: true, shown: [0; 32] };
        check(Operation::AnswerCheck, &messages.seal(&answer), Code::NotFound, case);
        check(Operation::Decline, &messages.seal(&Decline { request }), Code::NotFound, case);
        let choice = ChooseCode { request, code: some_code() };
        check(Operation::ChooseCode, &messages.seal(&choice), Code::NotFound, case);
    }
    let (list, index) = messages.others_credential;
    for (list, index, case) in [(list, index, "another's"), (1, 1, "nobody's")] {
        let query = CodeStateQuery { list, index, step: 1 };
        check(Operation::CodeState, &messages.seal(&query), Code::NotFound, case);
        let shown = Display { list, index, ..SHOWN };
        check(Operation::Display, &messages.seal(&shown), Code::NotFound, case);
        let early = Display { step: Step(SHOWN.step.0 + 1), ..shown };
        check(Operation::Display, &messages.seal(&early), Code::InvalidValue, case);
    }

    check(Operation::OpenLink, &messages.seal(&NO_LINK), Code::LinkUnknown, "nobody's link");

    for limit in [0, 65, u32::MAX] {
        let query = HistoryQuery { after: 0, limit };
        check(Operation::History, &messages.seal(&query), Code::InvalidValue, "a page of no such length");
    }

    // Fetch.
    let fetch: Fetch = Envelope::decode(&messages.valid(Operation::Fetch).0).unwrap().peek().unwrap();
    let one = &fetch.commitments.as_slice()[0];
    let list = |items: Vec<Commitment>| List::new(items).unwrap();
    let cases = [
        (Fetch { request: messages.others_request, ..fetch.clone() }, Code::NotFound, "another's request"),
        (Fetch { request: nobody, ..fetch.clone() }, Code::NotFound, "nobody's request"),
        (Fetch { key: KeyId::from_bytes([9; 16]), ..fetch.clone() }, Code::Stale, "another key"),
        (
            Fetch { commitments: list(vec![one.clone(), one.clone()]), ..fetch.clone() },
            Code::Malformed,
            "two for one",
        ),
    ];
    for (fetch, code, case) in cases {
        check(Operation::Fetch, &messages.seal(&fetch), code, case);
    }
    for bad in bad_commitments(suite, one.as_slice()) {
        let fetch = Fetch { commitments: list(vec![blob(&bad)]), ..fetch.clone() };
        check(Operation::Fetch, &messages.seal(&fetch), Code::Malformed, "a commitment that is none");
    }

    approve_cases(&messages, &check);
    refresh_cases(&messages, &check);
    credential_cases(&messages, &check);
    enrol_cases(&messages, &check);
    assert_eq!(messages.app.dump_of_acts(), before);

    // More fetches than a holder needs. Counted in memory only.
    let good = messages.seal(&fetch);
    let mut answers = (0..60).map(|_| messages.app.device("fetch", &good));
    let refused = answers.find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.code(), Code::TooMany);
    assert_eq!(messages.app.dump_of_acts(), before);
}

/// Commitments of wrong length; and, where they are points, the identity and one that is off the curve.
fn bad_commitments(suite: SuiteId, good: &[u8]) -> Vec<Vec<u8>> {
    let short = good[..good.len() - 1].to_vec();
    let mut bad = vec![Vec::new(), short, [good, &[0]].concat()];
    if suite == SuiteId::FrostSecp256k1Sha256 {
        let mut identity = good.to_vec();
        identity[..33].fill(0);
        let mut off_curve = good.to_vec();
        off_curve[1..33].fill(0xff);
        bad.extend([identity, off_curve, vec![0; 66], vec![0xff; 66]]);
    }
    bad
}

/// Contributions of wrong length, with numbers out of range, or with points that are none.
fn bad_contributions(suite: SuiteId, good: &[u8]) -> Vec<Vec<u8>> {
    let mut bad = vec![Vec::new(), good[..good.len() - 1].to_vec(), [good, &[0]].concat(), vec![7; 9000]];
    let mut with = |place: usize, bytes: &[u8]| {
        let mut other = good.to_vec();
        other[place..place + bytes.len()].copy_from_slice(bytes);
        bad.push(other);
    };
    match suite {
        SuiteId::FrostSecp256k1Sha256 => {
            for scalar in [[0; 32], SECP256K1_ORDER, [0xff; 32]] {
                with(0, &scalar);
            }
        }
        SuiteId::Es256 => {
            // R1 (65), salt (32), pad nonce (32), v (32), 256 corrections (32 each).
            for point in [&[0; 65][..], &[5], &[6], &[7], &[0xff; 65]] {
                with(0, point);
            }
            with(64, &[good[64] ^ 1]);
            for scalar in [P256_ORDER, [0xff; 32]] {
                for place in [129, 161, 161 + 128 * 32, 161 + 255 * 32] {
                    with(place, &scalar);
                }
            }
        }
    }
    bad
}

type Check<'a> = &'a dyn Fn(Operation, &[u8], ProblemCode, &str);

fn approve_cases(messages: &Messages, check: Check<'_>) {
    use ProblemCode as Code;
    let approve: Approve = Envelope::decode(&messages.approve).unwrap().peek().unwrap();
    let key = messages.phone.key();
    let payload = || -> ApprovePayload { codec::decode(approve.payload.as_slice(), 1 << 20).unwrap() };
    let send = |payload: &ApprovePayload, code, case: &str| {
        let record_signature = key.sign(ApprovalRecord::to_sign(payload.record.as_slice())).unwrap();
        let message = Approve { payload: blob(&codec::encode(payload)), record_signature };
        check(Operation::Approve, &messages.seal(&message), code, case);
    };
    let altered = |change: &dyn Fn(&mut ApprovePayload), code, case: &str| {
        let mut payload = payload();
        change(&mut payload);
        send(&payload, code, case);
    };
    let record = |change: &dyn Fn(&mut ApprovalRecord)| {
        let mut record = ApprovalRecord::decode(payload().record.as_slice()).unwrap();
        change(&mut record);
        move |payload: &mut ApprovePayload| payload.record = blob(&record.encode())
    };
    let fetched_at = payload().fetched_at;
    altered(&|payload| payload.key = KeyId::from_bytes([9; 16]), Code::RecordMismatch, "another key");
    altered(&|payload| payload.epoch = Epoch(1), Code::Stale, "another epoch");
    altered(&|payload| payload.fetched_at = fetched_at.plus(1), Code::Stale, "a fetch of the future");
    altered(&|payload| payload.fetched_at = fetched_at.minus(1), Code::Stale, "a fetch never answered");
    altered(&|payload| payload.fetched_at = fetched_at.minus(601), Code::Stale, "an old fetch");
    altered(
        &|payload| payload.token = WireSecret(SecretBytes::new([9; 32])),
        Code::UnknownToken,
        "no token of ours",
    );
    let others = messages.other.wire.last("enrol-keys").reply.unwrap();
    let others: signer_core::wire::EnrolKeyed = codec::decode(&others, 1 << 20).unwrap();
    altered(
        &|payload| payload.token = WireSecret(others.token.0.duplicate()),
        Code::UnknownToken,
        "another's token",
    );
    let item = |change: &dyn Fn(&mut signer_core::wire::ApproveItem), code, case: &str| {
        altered(
            &|payload| {
                let mut items = payload.items.as_slice().to_vec();
                change(&mut items[0]);
                payload.items = List::new(items).unwrap();
            },
            code,
            case,
        );
    };
    let good = payload().items.as_slice()[0].clone();
    for bad in bad_contributions(messages.app.suite, good.contribution.as_slice()) {
        item(&|item| item.contribution = blob(&bad), Code::Malformed, "a contribution that is none");
    }
    for bad in bad_commitments(messages.app.suite, good.device.as_slice()) {
        item(&|item| item.device = blob(&bad), Code::Malformed, "a commitment that is none");
    }
    let fetch: Fetch = Envelope::decode(&messages.valid(Operation::Fetch).0).unwrap().peek().unwrap();
    let other = fetch.commitments.as_slice()[0].clone();
    item(&|item| item.device = other.clone(), Code::Stale, "a commitment of another fetch");
    item(&|item| item.server = other.clone(), Code::Stale, "a commitment never given out");
    item(&|item| item.server = item.device.clone(), Code::Stale, "one's own commitment back");
    altered(
        &|payload| {
            let one = payload.items.as_slice()[0].clone();
            payload.items = List::new(vec![one.clone(), one]).unwrap();
        },
        Code::Malformed,
        "two items for one document",
    );
    // What was approved is not what was asked.
    altered(&record(&|record| record.request.text = text("Other")), Code::RecordMismatch, "another text");
    altered(
        &record(&|record| record.request.relying_party.name = Label::new("Other".into()).unwrap()),
        Code::RecordMismatch,
        "another bank",
    );
    altered(&record(&|record| record.request.expires.0 += 1), Code::RecordMismatch, "another end");
    altered(&record(&|record| record.key = KeyId::from_bytes([9; 16])), Code::RecordMismatch, "another key");
    let device = messages.other.device_key().device_id();
    altered(&record(&|record| record.device = device), Code::RecordMismatch, "another phone");
    altered(&record(&|record| record.approved_at.0 += 301), Code::RecordMismatch, "approved in the future");
    altered(
        &record(&|record| record.approved_at.0 -= 301),
        Code::RecordMismatch,
        "approved before it was fetched",
    );
    let (theirs, nobody) = (messages.others_request, RequestId::from_bytes([9; 16]));
    altered(&record(&|record| record.request.request = theirs), Code::NotFound, "another's request");
    altered(&record(&|record| record.request.request = nobody), Code::NotFound, "nobody's request");
    altered(&|payload| payload.record = blob(b"\x80"), Code::Malformed, "not a record");
    // The record is signed on its own.
    let mut unsigned = Approve { payload: approve.payload.clone(), ..approve };
    unsigned.record_signature.0[3] ^= 1;
    check(Operation::Approve, &messages.seal(&unsigned), Code::NotTheDevice, "record not signed");
    for payload in [&b""[..], b"\x80", &approve.payload.as_slice()[..40]] {
        let cut = Approve { payload: blob(payload), record_signature: approve.record_signature };
        check(Operation::Approve, &messages.seal(&cut), Code::Malformed, "not a payload");
    }
    // Another suite's number where ours stands, in the record.
    let bytes = payload().record.as_slice().to_vec();
    let suite_at = bytes.len() - 1 - 5 - 35 - 17;
    let ours = messages.app.suite.number();
    assert_eq!(bytes[suite_at], ours, "the suite stands before both keys and the time");
    for (suite, code) in
        [(0, Code::Malformed), (3 - ours, Code::RecordMismatch), (3, Code::Malformed), (23, Code::Malformed)]
    {
        let mut other = bytes.clone();
        other[suite_at] = suite;
        altered(&|payload| payload.record = blob(&other), code, "another suite");
    }
}

fn refresh_cases(messages: &Messages, check: Check<'_>) {
    use ProblemCode as Code;
    let other_key = RefreshChallenge { key: KeyId::from_bytes([9; 16]) };
    check(Operation::RefreshChallenge, &messages.seal(&other_key), Code::Stale, "another key");
    let start: RefreshStart =
        Envelope::decode(&messages.valid(Operation::RefreshStart).0).unwrap().peek().unwrap();
    let altered = |change: &dyn Fn(&mut RefreshPayload), code, case: &str| {
        let mut payload: RefreshPayload = codec::decode(start.payload.as_slice(), 1 << 20).unwrap();
        change(&mut payload);
        let message = RefreshStart { payload: blob(&codec::encode(&payload)) };
        check(Operation::RefreshStart, &messages.seal(&message), code, case);
    };
    altered(&|payload| payload.key = KeyId::from_bytes([9; 16]), Code::Malformed, "another key");
    altered(&|payload| payload.epoch = Epoch(9), Code::Stale, "another epoch");
    altered(&|payload| payload.issued_at.0 += 1, Code::Stale, "a challenge of another time");
    altered(&|payload| payload.issued_at = UnixSeconds(0), Code::Stale, "an old challenge");
    altered(&|payload| payload.challenge[0] ^= 1, Code::Stale, "a challenge never given out");
    altered(
        &|payload| payload.token = WireSecret(SecretBytes::new([9; 32])),
        Code::UnknownToken,
        "no token of ours",
    );
    let empty = RefreshStart { payload: blob(b"") };
    check(Operation::RefreshStart, &messages.seal(&empty), Code::Malformed, "no payload");

    let nobodys = CeremonyId::from_bytes([9; 16]);
    let mut keys: RefreshKeys =
        Envelope::decode(&messages.valid(Operation::RefreshKeys).0).unwrap().peek().unwrap();
    let theirs = messages.other.seal(messages.now(), &keys);
    check(Operation::RefreshKeys, &theirs, Code::CeremonyUnknown, "another's ceremony");
    keys.ceremony = nobodys;
    check(Operation::RefreshKeys, &messages.seal(&keys), Code::CeremonyUnknown, "nobody's ceremony");
    let RefreshConfirm(mut confirm) =
        Envelope::decode(&messages.valid(Operation::RefreshConfirm).0).unwrap().peek().unwrap();
    confirm.ceremony = nobodys;
    let confirm = RefreshConfirm(confirm);
    check(Operation::RefreshConfirm, &messages.seal(&confirm), Code::CeremonyUnknown, "nobody's ceremony");
    let RefreshConfirm(mut confirm) =
        Envelope::decode(&messages.valid(Operation::RefreshConfirm).0).unwrap().peek().unwrap();
    confirm.mac[0] ^= 1;
    let confirm = RefreshConfirm(confirm);
    check(Operation::RefreshConfirm, &messages.seal(&confirm), Code::CeremonyFailed, "a wrong MAC");
    check(
        Operation::RefreshConfirm,
        &messages.valid(Operation::RefreshConfirm).0,
        Code::CeremonyUnknown,
        "the right one, after the ceremony has failed",
    );
}

fn credential_cases(messages: &Messages, check: Check<'_>) {
    use ProblemCode as Code;
    let good = || -> IssueCredentials {
        Envelope::decode(&messages.valid(Operation::Credentials).0).unwrap().peek().unwrap()
    };
    let altered = |change: &dyn Fn(&mut IssueCredentials), code, case: &str| {
        let mut asked = good();
        change(&mut asked);
        check(Operation::Credentials, &messages.seal(&asked), code, case);
    };
    for kind in [0, 3, 256, u32::MAX] {
        altered(&|asked| asked.document_type = kind, Code::InvalidValue, "unknown kind");
    }
    let keys = |change: &dyn Fn(&mut Vec<signer_core::wire::DayKeyRequest>), code, case: &str| {
        altered(
            &|asked| {
                let mut keys = asked.keys.as_slice().to_vec();
                change(&mut keys);
                asked.keys = List::new(keys).unwrap();
            },
            code,
            case,
        );
    };
    keys(&|keys| keys[3].proof.0[5] ^= 1, Code::InvalidValue, "no proof");
    keys(&|keys| keys[1] = keys[0], Code::InvalidValue, "one key twice");
    keys(&|keys| keys[0].profile = Profile::Full, Code::InvalidValue, "proof for another profile");
    let device_key = messages.phone.device_key();
    keys(&|keys| keys[0].day_key = device_key, Code::InvalidValue, "the device key as day key");
    // Another's list of keys: the proofs name its phone.
    let theirs = messages.other.seal(messages.now(), &good());
    check(Operation::Credentials, &theirs, Code::InvalidValue, "another's keys");
    // Taras has no driving licence.
    let passed = messages.other.wire.last("credentials").body;
    let mut asked: IssueCredentials = Envelope::decode(&passed).unwrap().peek().unwrap();
    asked.document_type = 2;
    check(
        Operation::Credentials,
        &messages.other.seal(messages.now(), &asked),
        Code::NoDocument,
        "no such document",
    );
}

fn enrol_cases(messages: &Messages, check: Check<'_>) {
    use ProblemCode as Code;
    let newcomer = messages.valid(Operation::EnrolStart).1;
    let good = || -> EnrolStart {
        Envelope::decode(&messages.valid(Operation::EnrolStart).0).unwrap().peek().unwrap()
    };
    let altered = |phone: &TestPhone, change: &dyn Fn(&mut EnrolStart), code, case: &str| {
        let mut start = good();
        change(&mut start);
        check(Operation::EnrolStart, &phone.seal(messages.now(), &start), code, case);
    };
    let typed = |code: &str| EnrolmentCode(text(code));
    altered(
        newcomer,
        &|start| start.code = typed("00000-00000-00000-00000"),
        Code::EnrolmentCode,
        "no such code",
    );
    let used = messages.phone.wire.last("enrol-start").body;
    let used: EnrolStart = Envelope::decode(&used).unwrap().peek().unwrap();
    altered(newcomer, &|start| start.code = used.code.clone(), Code::EnrolmentCode, "a used code");
    altered(
        newcomer,
        &|start| start.holder_keys.history.0 = [0; 32],
        Code::InvalidValue,
        "a history key of low order",
    );
    let hello = |bytes: &'static [u8]| {
        move |start: &mut EnrolStart| start.hello = KeygenMessage::new(bytes.to_vec()).unwrap()
    };
    altered(newcomer, &hello(b""), Code::CeremonyFailed, "an empty hello");
    altered(newcomer, &hello(&[0; 200]), Code::CeremonyFailed, "a hello that is none");
    let device_key = messages.phone.device_key();
    altered(
        &messages.phone,
        &|start| start.device_key = device_key,
        Code::AlreadyEnrolled,
        "an enrolled phone",
    );
    altered(&messages.phone, &|_| {}, Code::NotTheDevice, "another's device key");
    // Suites that there are not. The suite stands after the key id, which ends the array's third entry.
    let body = codec::encode(&good());
    let key = good().key;
    let key_at = body.windows(16).position(|window| window == key.as_bytes()).unwrap();
    let suite_at = key_at + 16;
    assert_eq!(body[suite_at], messages.app.suite.number());
    for suite in [0, 3, 23] {
        let mut other = body.clone();
        other[suite_at] = suite;
        let bytes = newcomer.seal_bytes::<EnrolStart>(messages.now(), other);
        check(Operation::EnrolStart, &bytes, Code::Malformed, "no such suite");
    }
    let other = SuiteId::ALL.into_iter().find(|suite| *suite != messages.app.suite).unwrap();
    altered(newcomer, &|start| start.suite = other, Code::CeremonyFailed, "the other suite's hello");
    let (keys, phone) = messages.valid(Operation::EnrolKeys);
    let altered = |phone: &TestPhone, change: &dyn Fn(&mut EnrolKeys), code, case: &str| {
        let mut keys: EnrolKeys = Envelope::decode(&keys).unwrap().peek().unwrap();
        change(&mut keys);
        check(Operation::EnrolKeys, &phone.seal(messages.now(), &keys), code, case);
    };
    altered(&messages.phone, &|_| {}, Code::CeremonyUnknown, "another's ceremony");
    let nobodys = CeremonyId::from_bytes([9; 16]);
    altered(phone, &|keys| keys.ceremony = nobodys, Code::CeremonyUnknown, "nobody's ceremony");
    let (confirm, confirming) = messages.valid(Operation::EnrolConfirm);
    let EnrolConfirm(mut wrong) = Envelope::decode(&confirm).unwrap().peek().unwrap();
    altered(phone, &|keys| keys.ceremony = wrong.ceremony, Code::CeremonyUnknown, "a third one's ceremony");
    altered(phone, &|keys| keys.keys = blob(b"\x80"), Code::CeremonyFailed, "keys that are none");
    altered(phone, &|_| {}, Code::CeremonyUnknown, "the right ones, after the ceremony has failed");
    wrong.mac[0] ^= 1;
    let wrong = confirming.seal(messages.now(), &EnrolConfirm(wrong));
    check(Operation::EnrolConfirm, &wrong, Code::CeremonyFailed, "a wrong MAC");
    check(
        Operation::EnrolConfirm,
        &confirm,
        Code::CeremonyUnknown,
        "the right one, after the ceremony has failed",
    );
}

#[test]
fn app_105_without_a_register_nothing_is_issued() {
    let app = TestApp::spawn_with(|config| config.register_file = None);
    let mut phone = app.phone("olena");
    let refused = crate::harness::code(phone.phone.top_up(DocumentType::IdentityCard));
    assert_eq!(refused, ProblemCode::RegisterNotReached);
}
