//! `spec/vectors/credential.json`: one code from fixed keys, with every value on the way.

use alloc::string::ToString;
use std::{env, fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::{
    codec,
    credential::cose::{self, ISSUER_AAD, Sign1},
    domain::{Domain, expand},
};

fn vector() -> Value {
    let (credential, show) = (credential(), show_at(Step::at(NOW)));
    let claims = codec::encode(credential.claims());
    let envelope: Sign1 = codec::decode(credential.as_bytes(), 400).unwrap();
    let fields = [1_u64, 777_777, 0].map(u64::to_be_bytes);
    let otp_key: SecretBytes<32> =
        expand(secret().expose(), Domain::CredentialOtp, &[&fields[0], &fields[1], &fields[2]]);
    let aad = cose::show_aad(&credential.hash());
    let payload = codec::encode(&show);
    let text = present(&credential);
    let token = bytes(&text);
    let device: Sign1 = codec::decode(&token[1 + credential.as_bytes().len()..], 400).unwrap();
    json!({
        "about": "One code from fixed keys; signatures are ECDSA P-256 with SHA-256 and RFC 6979 nonces, low-s. Bytes in hexadecimal.",
        "issuer": {
            "private_key": hex(&issuer().to_bytes()),
            "spki_der": hex(&hex::spki(issuer().verifying_key())),
            "kid": Kid::of(issuer().verifying_key()).to_string(),
        },
        "day_key": {
            "private_key": hex(&day_key().to_bytes()),
            "compressed": hex(day_key().verifying_key().to_sec1_point(true).as_bytes()),
        },
        "record": serde_json::to_value(record()).unwrap(),
        "portrait": { "salt": salt().to_string(), "portrait": hex(record().portrait.unwrap().as_bytes()) },
        "status": { "list": 1, "index": 777_777 },
        "now": NOW.0,
        "iat": credential.claims().issued().0,
        "exp": credential.claims().expires().0,
        "day_claims": hex(&claims),
        "issuer_to_sign": hex(&cose::sig_structure(ISSUER_AAD, &claims)),
        "issuer_signature": hex(&envelope.signature),
        "issuer_element": hex(credential.as_bytes()),
        "otp": {
            "secret": hex(secret().expose()),
            "key": hex(otp_key.expose()),
            "digits": show.digits.to_string(),
        },
        "step": show.step.0,
        "n": 0,
        "show": hex(&payload),
        "show_aad": hex(&aad),
        "show_to_sign": hex(&cose::sig_structure(&aad, &payload)),
        "show_signature": hex(&device.signature),
        "token": hex(&token),
        "text": text,
    })
}

#[test]
fn crd_009_vectors_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/credential.json");
    let made = vector();
    if env::var_os("UPDATE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let read: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(read, made, "a changed vector is a changed format");

    let options = VerifyOptions::at(UnixSeconds(read["now"].as_u64().unwrap()));
    let verified = verify(read["text"].as_str().unwrap(), &issuer_keys(), &options).unwrap();
    let expected: DocumentRecord = serde_json::from_value(read["record"].clone()).unwrap();
    assert_eq!(verified.document(), &expected.full(&salt()));
}
