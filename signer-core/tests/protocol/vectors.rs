//! `spec/vectors/<suite>-signing.json`: one enrolment, one refresh, one signature before and after, with every value that
//! crosses the network or rests in a store.

use serde_json::{Value, json};
use signer_core::{approval::ApprovalRecord, codec, signing::approve_payload_hash};

use crate::common::*;

fn signature(pair: &Pair, seed: u64) -> Value {
    let (phone, object) = (Phone::new(1), request(2, 0));
    let mut rng = Stream::new(seed);
    let (state, fetch) = fetch(pair, &object, &mut rng);
    let fetched = answer(pair, &object, &fetch);
    let (approve, _) = approve_with(pair, &phone, state.shown(fetched.clone()).unwrap(), PIN);
    let Outcome::Signed(signatures) = outcome(pair, &phone, &object, &approve) else { panic!() };
    let payload = payload(&approve);
    let items: Vec<_> = payload
        .items
        .as_slice()
        .iter()
        .zip(object.documents.as_slice())
        .zip(&signatures)
        .map(|((item, document), signature)| {
            json!({
                "digest": hex(&document.digest),
                "device_commitment": hex(item.device.as_slice()),
                "server_commitment": hex(item.server.as_slice()),
                "contribution": hex(item.contribution.as_slice()),
                "signature": hex(signature.as_slice()),
            })
        })
        .collect();
    json!({
        "device_stream_seed": seed,
        "hedge": hex(&[0x4e; 32]),
        "now": NOW.0,
        "token": hex(payload.token.0.expose()),
        "request_object": hex(&object.encode()),
        "request_hash": hex(&object.hash()),
        "fetch": hex(&codec::encode(&fetch)),
        "fetched": hex(&codec::encode(&fetched)),
        "record": hex(payload.record.as_slice()),
        "record_to_sign": hex(&ApprovalRecord::to_sign(payload.record.as_slice()).0),
        "record_signature": hex(&approve.record_signature.0),
        "gate_mac": hex(&payload.mac),
        "payload": hex(approve.payload.as_slice()),
        "payload_hash": hex(&approve_payload_hash(&pair.context, &approve)),
        "items": items,
    })
}

fn ceremony(pair: &Pair, messages: &[(&'static str, Vec<u8>)]) -> Value {
    let messages: Vec<_> = messages.iter().map(|(name, bytes)| json!([name, hex(bytes)])).collect();
    let key = pair.server();
    json!({
        "messages": messages,
        "key": hex(pair.context.key.as_bytes()),
        "epoch": pair.context.epoch.0,
        "group_public_key": hex(&pair.public_key.0),
        "server_share": hex(&pair.server_share()),
        "nonce_key": hex(key.nonce_key.expose()),
        "gate_key": hex(&pair.gate_key),
        "masked_key": hex(&codec::encode(&pair.masked)),
        "first_signature": hex(pair.proof.as_slice()),
    })
}

#[test]
fn sig_060_vectors_of_the_suite_are_reproduced() {
    let mut messages = Vec::new();
    let mut note = |name: &'static str, bytes: Vec<u8>| {
        messages.push((name, bytes.clone()));
        bytes
    };
    let phone = Phone::new(1);
    let enrolled = enrol_with(&phone, &mut Stream::new(1), &mut note).unwrap();
    let enrolment = ceremony(&enrolled, &messages);
    messages.clear();
    let mut note = |name: &'static str, bytes: Vec<u8>| {
        messages.push((name, bytes.clone()));
        bytes
    };
    let refreshed =
        refresh_with(&enrolled, KEEP_PIN, &mut Stream::new(3), &mut Stream::new(4), &mut note).unwrap();
    let refreshment = ceremony(&refreshed, &messages);
    let vectors = json!({
        "about": [
            "All byte strings in hex; messages are canonical CBOR. Inside the suite's own byte strings: spec/protocol.md, spec/es256.md.",
            "Randomness: block i is SHA-256(\"signer test stream\" || seed || i), seed and i in 8 bytes, big endian. Bytes are taken from the blocks in order and none is left out; a scalar is drawn as the crates draw it.",
            "Device nonces are hedged with `hedge`. Enrolment: both parties draw from one stream (seed 1), in the order of the messages. Refresh: device from seed 3, server from seed 4.",
            "Device key: P-256 private key 01 repeated 32 times, RFC 6979. Stretching the PIN is left out: the hardware key's answer is SHA-256 of the PIN's digits.",
        ],
        "suite": SUITE.name(),
        "pin": PIN,
        "device_key": hex(&phone.public().0),
        "device": hex(phone.id().as_bytes()),
        "enrolment_stream_seed": 1,
        "enrolment": enrolment,
        "signature": signature(&enrolled, 2),
        "refresh_device_stream_seed": 3,
        "refresh_server_stream_seed": 4,
        "refresh": refreshment,
        "signature_after_refresh": signature(&refreshed, 5),
    });
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    golden(&format!("../spec/vectors/{}-signing.json", SUITE.name()), &text);
}
