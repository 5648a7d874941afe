//! `signer verify` online, against a server that answers what a test says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use signer_client::lists::point;
use signer_core::{
    credential::{Kid, Refusal, VerificationResult},
    ids::RelyingPartyId,
    wire::{ANSWER_TYPE, TOKEN_BYTES, VerifyCode, answered_code},
};

use crate::{
    cli::Shop,
    support::{key, now, root, signed},
};

/// The verifier's id, by its token.
const ID: [u8; 16] = [7; 16];

/// What is wrong with an answer.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    Nothing,
    /// Signed by another key under the hint of the right one.
    Signature,
    /// By a key that the list has for something else.
    Key,
    OtherCode,
    OtherRequest,
    OtherVerifier,
    Old,
    /// The signed answer is red, what stands beside it is green.
    Beside,
}

/// A green answer without claims would not be one of the server's; what counts here is what is believed.
fn answer(asked: &VerifyCode, flaw: Flaw) -> Value {
    let (text, salt, at) = (|bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes), [3; 16], now());
    let at = if flaw == Flaw::Old { at.minus(3_600) } else { at };
    let mut result = json!(VerificationResult::online(&Err(Refusal::Used), at));
    let other = |wrong: Flaw, right: &str| if flaw == wrong { format!("{right}x") } else { right.into() };
    let verifier = if flaw == Flaw::OtherVerifier { [8; 16] } else { ID };
    let payload = json!({
        "iat": at, "verifier": RelyingPartyId::from_bytes(verifier), "result": "red", "reason": "used", "offline": false,
        "request_id": other(Flaw::OtherRequest, &asked.request_id),
        "code_sha256": text(&answered_code(&salt, &other(Flaw::OtherCode, &asked.code))),
    });
    let named = key(if flaw == Flaw::Key { 3 } else { 6 });
    let signer: SigningKey = if flaw == Flaw::Signature { key(9) } else { named.clone() };
    let kid = Kid::of(named.verifying_key()).to_string();
    let header = json!({ "alg": "ES256", "typ": ANSWER_TYPE, "kid": kid });
    let input = format!("{}.{}", text(header.to_string().as_bytes()), text(payload.to_string().as_bytes()));
    let signature: Signature = signer.sign(input.as_bytes());
    let signature = text(&signature.normalize_s().to_bytes());
    if flaw == Flaw::Beside {
        (result["result"], result["reason"]) = ("green".into(), "valid".into());
    }
    result["answer"] = format!("{input}.{signature}").into();
    result["code_salt"] = text(&salt).into();
    result
}

/// Serves the trust list and one such answer; returns its origin.
fn server(flaw: Flaw) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), flaw);
        }
    });
    origin
}

fn serve(stream: TcpStream, flaw: Flaw) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first).unwrap();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (kind, body) = if first.starts_with("GET /v1/trust-list ") {
        ("application/cose", signed(5))
    } else {
        assert!(first.starts_with("POST /v1/verifications "), "{first}");
        ("application/json", answer(&serde_json::from_slice(&body).unwrap(), flaw).to_string().into_bytes())
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = reader.into_inner();
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
}

#[test]
fn dis_071_signer_verify_tells_nothing_that_the_server_has_not_signed() {
    let token = BASE64_URL_SAFE_NO_PAD.encode([&ID[..], &[1; TOKEN_BYTES - 16]].concat());
    let pinned = point(root().verifying_key());
    for flaw in [
        Flaw::Nothing,
        Flaw::Signature,
        Flaw::Key,
        Flaw::OtherCode,
        Flaw::OtherRequest,
        Flaw::OtherVerifier,
        Flaw::Old,
        Flaw::Beside,
    ] {
        let (shop, origin) = (Shop::new(), server(flaw));
        let verify = |more: &[&str]| {
            let online = ["verify", "--server", &origin, "--token", &token, "DQ1:A"];
            shop.run(&[&online[..], more].concat())
        };
        let (exit, value) = verify(&["--trust-root", &pinned]);
        if flaw == Flaw::Nothing {
            assert_eq!((exit, &value["reason"]), (1, &"used".into()), "{value}");
            // The root is kept; another one believes nothing of this server.
            assert_eq!(verify(&[]).1["reason"], "used");
            let stranger = point(key(9).verifying_key());
            assert_eq!(verify(&["--trust-root", &stranger]).0, 2);
        } else {
            assert_eq!(
                (exit, &value["error"], &value["result"]),
                (2, &"answer".into(), &Value::Null),
                "{value}"
            );
        }
    }
    // Without a root the first list is believed, and its root from then on.
    let (shop, origin) = (Shop::new(), server(Flaw::Nothing));
    let verify = || shop.run(&["verify", "--server", &origin, "--token", &token, "DQ1:A"]);
    assert_eq!((verify().1["reason"].clone(), verify().1["reason"].clone()), ("used".into(), "used".into()));
}
