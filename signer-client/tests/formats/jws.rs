//! JWS: read by hand, verified by openssl.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signer_client::formats::{Format, FormatError, JwsPayload, UnsignedJws, Verified, verify_jws};
use signer_core::{certificate::der_from_raw, domain::sha256, time::UnixSeconds};

use crate::support::{DOCUMENT, Pki, TIME};

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn fmt_030_openssl_verifies_the_jws_attached_and_detached() {
    let pki = Pki::new();
    let thumbprint = base64url(sha256(pki.certificates.signer()));
    for (payload, time) in
        [(JwsPayload::Attached, Some(TIME)), (JwsPayload::Detached, None), (JwsPayload::Detached, Some(TIME))]
    {
        let unsigned = UnsignedJws::prepare(DOCUMENT, pki.reference(), time, payload);
        let signature = pki.sign(unsigned.digest());
        let jws = unsigned.complete(&signature, &pki.certificates).unwrap();
        let parts: Vec<_> = jws.split('.').collect();
        assert_eq!(parts.len(), 3);
        let header = BASE64_URL_SAFE_NO_PAD.decode(parts[0]).unwrap();
        let iat = time.map(|time| format!(r#","iat":{}"#, time.0)).unwrap_or_default();
        assert_eq!(
            String::from_utf8(header).unwrap(),
            format!(r#"{{"alg":"ES256","x5t#S256":"{thumbprint}"{iat}}}"#)
        );
        let content = if payload == JwsPayload::Attached { base64url(DOCUMENT) } else { String::new() };
        assert_eq!(parts[1], content);
        let signing_input = format!("{}.{}", parts[0], base64url(DOCUMENT));
        let der = der_from_raw(&BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
        assert!(pki.openssl_verifies(signing_input.as_bytes(), &der));
        let verified = verify_jws(jws.as_bytes(), DOCUMENT, &pki.certificates).unwrap();
        let certificates = pki.certificates.clone();
        assert_eq!(verified, Verified { format: Format::Jws, certificates, signing_time: time });
    }
}

#[test]
fn fmt_031_a_jws_with_another_header_is_refused_even_if_it_is_signed() {
    let pki = Pki::new();
    let thumbprint = base64url(sha256(pki.certificates.signer()));
    let made = |header: &str| {
        let input = format!("{}.{}", base64url(header), base64url(DOCUMENT));
        let signature = base64url(pki.sign(&sha256(input.as_bytes())));
        let jws = format!("{}..{signature}", base64url(header));
        verify_jws(jws.as_bytes(), DOCUMENT, &pki.certificates)
    };
    let with = |name: &str, value: Value| {
        let mut header = json!({ "alg": "ES256", "x5t#S256": thumbprint });
        header[name] = value;
        made(&header.to_string())
    };
    assert!(made(&format!(r#"{{"alg":"ES256","x5t#S256":"{thumbprint}"}}"#)).is_ok());
    let malformed = Err(FormatError::Malformed("the header of the JWS"));
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("jwk", json!({})),
        ("x5c", json!([])),
        ("iat", json!("1795305600")),
        ("iat", json!(1.5)),
        ("iat", json!(-1)),
        ("iat", json!(null)),
        ("alg", json!(null)),
    ] {
        assert_eq!(with(name, value), malformed, "{name}");
    }
    for alg in ["none", "HS256", "ES384", "ES256K", "es256", ""] {
        assert_eq!(with("alg", json!(alg)), Err(FormatError::Certificate), "{alg}");
    }
    assert_eq!(with("x5t#S256", json!(base64url([0; 32]))), Err(FormatError::Certificate));
    for header in [
        format!(r#"{{"x5t#S256":"{thumbprint}","alg":"ES256"}}"#),
        format!(r#"{{"alg": "ES256","x5t#S256":"{thumbprint}"}}"#),
        format!(r#"{{"alg":"ES256","alg":"ES256","x5t#S256":"{thumbprint}"}}"#),
        r#"{"alg":"ES256"}"#.into(),
        "[]".into(),
    ] {
        assert_eq!(made(&header), malformed, "{header}");
    }
    // One of another time is another signature.
    let unsigned = UnsignedJws::prepare(DOCUMENT, pki.reference(), Some(TIME), JwsPayload::Detached);
    let signature = pki.sign(unsigned.digest());
    let later = UnsignedJws::prepare(DOCUMENT, pki.reference(), Some(UnixSeconds(1)), JwsPayload::Detached);
    assert_eq!(later.complete(&signature, &pki.certificates), Err(FormatError::Signature));
}
