//! Golden files: the bytes of every message, and every hash of the protocol, for fixed values.

use signer_core::{
    approval::ApprovalRecord,
    ceremony::{CheckedRefresh, statement},
    codec,
    history::HistoryHead,
    ids::{CeremonyId, DeviceId, Epoch, KeyId},
    lost_code::LostCode,
    secret::SecretBytes,
    signing::approve_payload_hash,
    suite::{GroupPublicKey, KeyContext},
    wire::{
        Approve, Decline, Envelope, IssueCredentials, Profile, RefreshStart, day_key_proof, time_to_sign,
    },
};

use crate::{common::*, wir_samples::*};

#[test]
fn wir_030_the_bytes_of_every_message_are_pinned() {
    let lines: String =
        samples().iter().map(|sample| format!("{} {}\n", sample.name, hex(&sample.bytes))).collect();
    golden("tests/golden/wire.txt", &lines);
}

#[test]
fn wir_031_every_hash_of_the_protocol_is_pinned() {
    let device_key = Phone::new(1).public();
    let context = KeyContext {
        suite: SUITE,
        key: KeyId::from_bytes([2; 16]),
        epoch: Epoch(0),
        device: DeviceId::from_bytes([3; 16]),
    };
    let (q, ceremony) = (GroupPublicKey([2; 33]), CeremonyId::from_bytes([4; 16]));
    let next = KeyContext { epoch: Epoch(1), ..context };
    let samples = samples();
    let bytes = |name: &str| &samples.iter().find(|sample| sample.name == name).unwrap().bytes;
    let approve: Approve = codec::decode(bytes("Approve"), 1 << 20).unwrap();
    let refresh: RefreshStart = codec::decode(bytes("RefreshStart"), 1 << 20).unwrap();
    let lost_code =
        LostCode::derive(&SecretBytes::new(std::array::from_fn(|place| u8::try_from(place).unwrap())));
    let hashes = [
        ("device_id", device_key.device_id().as_bytes().to_vec()),
        ("holder_keys", holder_keys().digest().0.to_vec()),
        (
            "enrolment_statement",
            statement(&context, &q, &device_key, ceremony, Some(&holder_keys().digest())).to_vec(),
        ),
        ("refresh_statement", statement(&next, &q, &device_key, ceremony, None).to_vec()),
        ("request_object_hash", object().hash().to_vec()),
        ("approval_record_to_sign", ApprovalRecord::to_sign(&approval_record().encode()).0.to_vec()),
        ("approve_payload_hash", approve_payload_hash(&context, &approve).to_vec()),
        ("refresh_payload_hash", CheckedRefresh::payload_hash(&context, &refresh).to_vec()),
        (
            "envelope_to_sign.decline",
            Envelope::to_sign::<Decline>(context.device, NOW, bytes("Decline")).0.to_vec(),
        ),
        (
            "envelope_to_sign.credentials",
            Envelope::to_sign::<IssueCredentials>(context.device, NOW, bytes("IssueCredentials")).0.to_vec(),
        ),
        ("day_key_proof.age", day_key_proof(context.device, Profile::Age, &device_key).0.to_vec()),
        ("day_key_proof.full", day_key_proof(context.device, Profile::Full, &device_key).0.to_vec()),
        ("history_start", HistoryHead::start(context.device).hash.to_vec()),
        ("history_entry", HistoryHead::start(context.device).after(&sealed_entry()).hash.to_vec()),
        ("lost_code_hash", lost_code.hash().to_vec()),
        ("time_to_sign", time_to_sign(NOW.0, "000102030405060708090a0b0c0d0e0f").0.to_vec()),
    ];
    assert_eq!(lost_code.text().as_str(), "0123-4567-89AB-CDEF-GHJK-ANCY");
    let lines: String = hashes.iter().map(|(name, hash)| format!("{name} {}\n", hex(hash))).collect();
    golden("tests/golden/preimages.txt", &lines);
}
