//! The receiver of webhooks, against a delivery that a program of others signed (`webhook/vector.py`).

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signer_client::{WEBHOOK_AGE_MAX_SECONDS, WebhookError, WebhookEvent, verify_webhook};
use signer_core::{
    ids::RelyingPartyId,
    time::UnixSeconds,
    wire::{RequestStatus, WebhookKeys, webhook_signature_base},
};

/// A delivery and what is known of it.
#[derive(Clone)]
struct Delivery {
    url: String,
    relying_party: RelyingPartyId,
    headers: Vec<(String, String)>,
    body: String,
    keys: WebhookKeys,
    now: u64,
}

impl Delivery {
    fn vector() -> Self {
        let vector: Value = serde_json::from_str(include_str!("webhook/vector.json")).unwrap();
        let headers = vector["headers"].as_object().unwrap().iter();
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        Self {
            url: text("url"),
            relying_party: text("relying_party").parse().unwrap(),
            headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect(),
            body: text("body"),
            keys: serde_json::from_value(json!({ "keys": vector["keys"] })).unwrap(),
            now: vector["created"].as_u64().unwrap(),
        }
    }

    fn verify_as(&self, method: &str) -> Result<WebhookEvent, WebhookError> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (body, now) = (self.body.as_bytes(), UnixSeconds(self.now));
        verify_webhook(method, &self.url, self.relying_party, &headers, body, &self.keys, now)
    }

    fn verify(&self) -> Result<WebhookEvent, WebhookError> {
        self.verify_as("POST")
    }

    fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(found, _)| found.eq_ignore_ascii_case(name));
        &mut found.unwrap().1
    }

    /// With another body, under another key, signed as `params` say.
    fn signed(&self, body: &str, params: &str) -> Self {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let point = key.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": "own" });
        let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(body)));
        let media_type = "application/cloudevents+json";
        let base = webhook_signature_base(&self.url, &digest, media_type, params);
        let signature: Signature = key.sign(base.as_bytes());
        let signature = format!("signer=:{}:", BASE64_STANDARD.encode(signature.to_bytes()));
        let headers = [
            ("content-type", media_type.into()),
            ("content-digest", digest),
            ("signature-input", format!("signer={params}")),
            ("signature", signature),
        ];
        Self {
            headers: headers.map(|(name, value): (&str, String)| (name.into(), value)).into(),
            body: body.into(),
            keys: serde_json::from_value(json!({ "keys": [jwk] })).unwrap(),
            ..self.clone()
        }
    }

    fn params(&self) -> String {
        format!(
            "(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\");created={};keyid=\"own\";alg=\"ecdsa-p256-sha256\";tag=\"signer-webhook-v1\"",
            self.now
        )
    }
}

#[test]
fn hok_001_what_another_program_signed_by_the_standard_is_believed() {
    let mut delivery = Delivery::vector();
    let event = delivery.verify().unwrap();
    let id = "7c9e6679f4a94d1f8b3f0c2d1e5a6b70".parse().unwrap();
    let expected = WebhookEvent {
        id,
        source: "https://signer.example".into(),
        request: id,
        status: RequestStatus::Signed,
        time: UnixSeconds(1_795_348_800),
        sequence: 17,
    };
    assert_eq!(event, expected);
    // A proxy's own signature beside it, other headers, and a key more change nothing.
    let input =
        format!("proxy=(\"@authority\");created=1;tag=\"proxy\", {}", delivery.header("signature-input"));
    *delivery.header("signature-input") = input;
    let signatures = format!("proxy=:AAAA:, {}", delivery.header("signature"));
    *delivery.header("signature") = signatures;
    delivery.headers.push(("Forwarded".into(), "for=1.2.3.4".into()));
    let own = delivery.signed("", "").keys.keys;
    delivery.keys.keys.splice(0..0, own);
    assert_eq!(delivery.verify().unwrap(), expected);
}

#[test]
fn hok_002_another_body_url_method_key_or_time_is_refused() {
    let good = Delivery::vector();
    let refused = |change: &dyn Fn(&mut Delivery), why: WebhookError| {
        let mut delivery = good.clone();
        change(&mut delivery);
        assert_eq!(delivery.verify(), Err(why));
    };
    assert_eq!(good.verify_as("PUT"), Err(WebhookError::Method));
    for url in [
        "https://bank.example:8443/hooks/signer",
        "https://bank.example:8443/hooks/signer?tenant=8",
        "https://other.example:8443/hooks/signer?tenant=7",
        "",
    ] {
        refused(&|delivery| delivery.url = url.into(), WebhookError::Signature);
    }
    refused(&|delivery| delivery.body = delivery.body.replace("signed", "declined"), WebhookError::Digest);
    refused(&|delivery| delivery.body.push(' '), WebhookError::Digest);
    refused(
        &|delivery| {
            delivery.body = delivery.body.replace("signed", "declined");
            *delivery.header("content-digest") =
                format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(&delivery.body)));
        },
        WebhookError::Signature,
    );
    for seconds in [WEBHOOK_AGE_MAX_SECONDS, 0] {
        let mut delivery = good.clone();
        delivery.now += seconds;
        assert!(delivery.verify().is_ok());
    }
    refused(&|delivery| delivery.now += WEBHOOK_AGE_MAX_SECONDS + 1, WebhookError::Time);
    refused(&|delivery| delivery.now -= WEBHOOK_AGE_MAX_SECONDS + 1, WebhookError::Time);
    refused(&|delivery| delivery.keys.keys.clear(), WebhookError::UnknownKey);
    refused(&|delivery| delivery.keys.keys[0].kid = None, WebhookError::UnknownKey);
    refused(&|delivery| delivery.keys.keys[0].kty = "OKP".into(), WebhookError::Key);
    refused(&|delivery| delivery.keys.keys[0].y = delivery.keys.keys[0].x.clone(), WebhookError::Key);
    refused(
        &|delivery| {
            let other = good.signed("", "").keys.keys.remove(0);
            let key = &mut delivery.keys.keys[0];
            (key.x, key.y) = (other.x, other.y);
        },
        WebhookError::Signature,
    );
}

#[test]
fn hok_003_a_signature_of_another_form_is_refused_even_if_it_is_right() {
    let vector = Delivery::vector();
    let params = vector.params();
    assert!(vector.signed(&vector.body, &params).verify().is_ok());
    for (from, to) in [
        ("\"@method\" ", ""),
        (" \"@target-uri\"", ""),
        (" \"content-digest\"", ""),
        (" \"content-type\"", ""),
        ("\"@method\" \"@target-uri\"", "\"@target-uri\" \"@method\""),
        ("\"content-type\")", "\"content-type\" \"date\")"),
        ("\"@target-uri\"", "\"@target-uri\";req"),
        (";alg=\"ecdsa-p256-sha256\"", ""),
        ("ecdsa-p256-sha256", "hmac-sha256"),
        (";tag=\"signer-webhook-v1\"", ""),
        ("signer-webhook-v1", "signer-webhook-v2"),
        (";keyid=\"own\"", ""),
        ("keyid=\"own\"", "keyid=own"),
        ("keyid=\"own\"", "keyid=\"own\";expires=9999999999"),
        (";created=1795348805", ""),
        ("created=1795348805", "created=1795348805.0"),
        ("created=1795348805", "created=\"1795348805\""),
    ] {
        let changed = params.replacen(from, to, 1);
        assert_ne!(changed, params, "{from}");
        assert_eq!(vector.signed(&vector.body, &changed).verify(), Err(WebhookError::Form), "{changed}");
    }
    let mut twice = vector.signed(&vector.body, &params);
    let input = format!("{}, other={params}", twice.header("signature-input"));
    *twice.header("signature-input") = input;
    assert_eq!(twice.verify(), Err(WebhookError::Form));
    for name in ["content-type", "content-digest", "signature-input", "signature"] {
        let mut delivery = vector.clone();
        delivery.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        assert_eq!(delivery.verify(), Err(WebhookError::Header(name)));
        let mut delivery = vector.clone();
        let value = delivery.header(name).clone();
        delivery.headers.push((name.into(), value));
        assert_eq!(delivery.verify(), Err(WebhookError::Header(name)));
        let mut delivery = vector.clone();
        *delivery.header(name) = "(".into();
        assert!(delivery.verify().is_err());
    }
    let mut delivery = vector.clone();
    *delivery.header("content-type") = "application/json".into();
    assert_eq!(delivery.verify(), Err(WebhookError::ContentType));
    let mut delivery = vector;
    delivery.header("content-digest").push_str(", sha-512=:AAAA:");
    assert_eq!(delivery.verify(), Err(WebhookError::Digest));
}

#[test]
fn hok_004_an_event_of_another_type_or_form_is_told_apart_from_a_forged_one() {
    let vector = Delivery::vector();
    let params = vector.params();
    let verify = |body: &str| vector.signed(body, &params).verify();
    let other = vector.body.replace("request.ended.v1", "request.moved.v1");
    assert_eq!(verify(&other), Err(WebhookError::OtherEvent));
    // Attributes that come later are no fault.
    assert!(verify(&vector.body.replace("\"specversion\"", "\"later\":1,\"specversion\"")).is_ok());
    for body in [
        String::new(),
        "{}".into(),
        "[]".into(),
        vector.body.replace("\"1.0\"", "\"0.3\""),
        vector.body.replace("\"signed\"", "\"lost\""),
        vector.body.replace("T12:00:00Z", " 12:00"),
        vector.body.replace("00000000000000000017", "+17"),
        vector.body.replace("\"subject\"", "\"object\""),
    ] {
        assert_eq!(verify(&body), Err(WebhookError::Event), "{body}");
    }
}

#[test]
fn hok_005_an_event_of_another_relying_party_is_refused() {
    let mut delivery = Delivery::vector();
    delivery.relying_party = RelyingPartyId::from_bytes([1; 16]);
    assert_eq!(delivery.verify(), Err(WebhookError::OtherRelyingParty));
    let vector = Delivery::vector();
    let own = vector.relying_party.to_string();
    let others = vector.body.replace(&own, &"01".repeat(16));
    assert_eq!(vector.signed(&others, &vector.params()).verify(), Err(WebhookError::OtherRelyingParty));
    for body in [vector.body.replace(&own, &own.to_uppercase()), vector.body.replace("relyingparty", "party")]
    {
        assert_eq!(vector.signed(&body, &vector.params()).verify(), Err(WebhookError::Event), "{body}");
    }
}
