//! Every message: one value, one encoding, and a place in the limits.

use proptest::prelude::*;
use signer_core::{
    approval::{ApprovalRecord, OBJECT_BYTES_MAX, RequestObject},
    codec::{self, Blob, CodecError, List},
    device_key::DeviceSignature,
    ids::{Epoch, KeyId, RequestId},
    suite::{
        COMMITMENT_BYTES_MAX, CONTRIBUTION_BYTES_MAX, Commitment, Contribution, KEYGEN_BYTES_MAX,
        SIGNATURE_BYTES_MAX,
    },
    time::UnixSeconds,
    wire::*,
};

use crate::{common::*, wir_samples::*};

#[test]
fn wir_001_every_message_is_read_as_it_was_written() {
    for Sample { name, bytes, again } in samples() {
        assert_eq!(again(&bytes).as_ref(), Ok(&bytes), "{name}");
    }
    let listed = samples();
    for operation in Operation::ALL {
        let name = format!("{operation:?}");
        let body = match name.as_str() {
            "Status" => "StatusQuery".into(),
            "Requests" => "RequestsQuery".into(),
            "Outcome" => "OutcomeQuery".into(),
            "Credentials" => "IssueCredentials".into(),
            "CodeState" => "CodeStateQuery".into(),
            "Certificate" => "CertificateQuery".into(),
            "Checks" => "ChecksQuery".into(),
            "History" => "HistoryQuery".into(),
            "Withdrawn" => "WithdrawnQuery".into(),
            _ => name,
        };
        assert!(listed.iter().any(|sample| sample.name == body), "{body} is not tested");
    }
}

#[test]
fn wir_002_a_message_cut_anywhere_is_refused() {
    for Sample { name, bytes, again } in samples() {
        for length in 0..bytes.len() {
            assert!(again(&bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

#[test]
fn wir_003_bytes_left_over_are_refused() {
    for Sample { name, bytes, again } in samples() {
        for extra in [0x00, 0x80, 0xf6, 0xff] {
            assert_eq!(
                again(&[&bytes[..], &[extra]].concat()),
                Err(CodecError::NotCanonical),
                "{name} {extra:02x}"
            );
        }
    }
}

/// One data item's head: where it is, its major type, its argument, its length; and where the item ends.
struct Head {
    at: usize,
    major: u8,
    value: u64,
    length: usize,
    end: usize,
}

/// Walks over canonical CBOR as these messages use it.
fn heads(bytes: &[u8], at: usize, heads_so_far: &mut Vec<Head>) -> usize {
    let (major, info) = (bytes[at] >> 5, bytes[at] & 31);
    let length = match info {
        0..24 => 1,
        24 => 2,
        25 => 3,
        26 => 5,
        27 => 9,
        _ => panic!("no canonical head at {at}"),
    };
    let value = if length == 1 {
        info.into()
    } else {
        bytes[at + 1..at + length].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let index = heads_so_far.len();
    heads_so_far.push(Head { at, major, value, length, end: 0 });
    let mut end = at + length;
    match major {
        2 | 3 => end += usize::try_from(value).unwrap(),
        4 => (0..value).for_each(|_| end = heads(bytes, end, heads_so_far)),
        0 | 1 | 7 => {}
        _ => panic!("major type {major} at {at}"),
    }
    heads_so_far[index].end = end;
    end
}

/// Encodings of the same content, or with something added, that are not the canonical one.
fn variants(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    assert_eq!(heads(bytes, 0, &mut all), bytes.len());
    let mut out = Vec::new();
    for Head { at, major, value, length, end } in all {
        let splice = |head: &[u8], body: &[u8]| [&bytes[..at], head, body, &bytes[end..]].concat();
        let body = &bytes[at + length..end];
        if major == 7 {
            continue;
        }
        for (info, width) in [(24_u8, 1_usize), (25, 2), (26, 4), (27, 8)] {
            if width + 1 > length {
                let head = [&[major << 5 | info][..], &value.to_be_bytes()[8 - width..]].concat();
                out.push((format!("longer head at {at}"), splice(&head, body)));
            }
        }
        if (2..=4).contains(&major) {
            // Indefinite: for strings one definite chunk inside.
            let inside = if major == 4 { body.to_vec() } else { bytes[at..end].to_vec() };
            out.push((
                format!("indefinite at {at}"),
                splice(&[major << 5 | 31], &[&inside[..], &[0xff]].concat()),
            ));
        }
        if major == 4 && value < 23 {
            let head = [4 << 5 | u8::try_from(value + 1).unwrap()];
            for extra in [0x00, 0xf6, 0x80] {
                out.push((format!("entry added at {at}"), splice(&head, &[body, &[extra]].concat())));
            }
        }
        out.push((format!("tag at {at}"), splice(&[0xc1], &bytes[at..end])));
    }
    out
}

#[test]
fn wir_004_a_second_encoding_is_refused() {
    for Sample { name, bytes, again } in samples() {
        for (what, variant) in variants(&bytes) {
            assert_ne!(variant, bytes);
            // An entry added to a list makes another message, which is not a second encoding of this one.
            if let Ok(encoded) = again(&variant) {
                assert!(what.starts_with("entry added") && encoded == variant, "{name}: {what}");
            }
        }
    }
}

#[test]
fn wir_005_lists_are_neither_empty_nor_endless() {
    let commitment = Commitment::new(vec![1; 66]).unwrap();
    let fetch = |count: u8| {
        let head: &[u8] = if count < 24 { &[0x80 | count] } else { &[0x98, count] };
        let items = codec::encode(&commitment).repeat(count.into());
        [&[0x83, 0x50][..], &[4; 16], &[0x50], &[2; 16], head, &items].concat()
    };
    for (count, good) in [(0, false), (1, true), (32, true), (33, false)] {
        assert_eq!(codec::decode::<Fetch>(&fetch(count), 1 << 16).is_ok(), good, "{count}");
    }
    let pending = |count: usize| {
        codec::encode(&PendingRequests { time: NOW, requests: vec![object(); count], codes: None })
    };
    assert!(codec::decode::<PendingRequests>(&pending(PENDING_MAX), REPLY_BYTES_MAX).is_ok());
    assert!(codec::decode::<PendingRequests>(&pending(PENDING_MAX + 1), REPLY_BYTES_MAX).is_err());
    let checks = |count: usize| codec::encode(&PendingChecks { time: NOW, checks: vec![one_check(); count] });
    assert!(codec::decode::<PendingChecks>(&checks(CHECKS_MAX), REPLY_BYTES_MAX).is_ok());
    assert!(codec::decode::<PendingChecks>(&checks(CHECKS_MAX + 1), REPLY_BYTES_MAX).is_err());
    // A head that promises more than there is ends at once, and costs nothing.
    let liar = [&[0x82, 0x00, 0x9b][..], &[0x7f; 8]].concat();
    assert!(codec::decode::<PendingRequests>(&liar, REPLY_BYTES_MAX).is_err());
}

fn widest_item() -> ApproveItem {
    let commitment = Commitment::new(vec![0xff; COMMITMENT_BYTES_MAX]).unwrap();
    let contribution = Contribution::new(vec![0xff; CONTRIBUTION_BYTES_MAX]).unwrap();
    ApproveItem { device: commitment.clone(), server: commitment, contribution }
}

#[test]
fn wir_006_the_largest_messages_of_a_device_fit() {
    let largest = ApprovePayload {
        key: KeyId::from_bytes([0xff; 16]),
        epoch: Epoch(u32::MAX),
        fetched_at: UnixSeconds(u64::MAX),
        receipt: [0xff; 32],
        token: token(0xff),
        record: Blob::new(vec![0xff; OBJECT_BYTES_MAX]).unwrap(),
        items: List::new(vec![widest_item(); 32]).unwrap(),
        unheard: u32::MAX,
        mac: [0xff; 32],
    };
    let payload = codec::encode(&largest);
    assert!(payload.len() <= APPROVE_PAYLOAD_BYTES_MAX, "{}", payload.len());
    // And so does a payload that fills its limit.
    let payload = Blob::new(vec![0xff; APPROVE_PAYLOAD_BYTES_MAX]).unwrap();
    let body = codec::encode(&Approve { payload, record_signature: DeviceSignature([0xff; 64]) });
    assert!(body.len() <= BODY_BYTES_MAX, "{}", body.len());
    let full = vec![0xff; BODY_BYTES_MAX];
    let sealed = Envelope::seal::<Approve>(
        Phone::new(1).id(),
        UnixSeconds(u64::MAX),
        full,
        DeviceSignature([0xff; 64]),
    );
    let sealed = sealed.unwrap();
    assert!(sealed.len() <= ENVELOPE_BYTES_MAX, "{}", sealed.len());
    assert!(Envelope::decode(&sealed).is_ok());
    let longer = vec![0; BODY_BYTES_MAX + 1];
    assert!(Envelope::seal::<Approve>(Phone::new(1).id(), NOW, longer, DeviceSignature([0; 64])).is_none());
    assert!(matches!(
        Envelope::decode(&vec![0; ENVELOPE_BYTES_MAX + 1]),
        Err(EnvelopeError::Codec(CodecError::TooLong { .. }))
    ));
    let refresh = RefreshPayload {
        key: KeyId::from_bytes([0xff; 16]),
        epoch: Epoch(u32::MAX),
        issued_at: UnixSeconds(u64::MAX),
        challenge: [0xff; 32],
        token: token(0xff),
        unheard: u32::MAX,
        unique: [0xff; 16],
        mac: [0xff; 32],
    };
    assert!(codec::encode(&refresh).len() <= REFRESH_PAYLOAD_BYTES_MAX);
    const { assert!(KEYGEN_BYTES_MAX + 512 <= BODY_BYTES_MAX) };
}

#[test]
fn wir_007_the_largest_record_and_replies_fit() {
    let object = largest_object();
    let record =
        ApprovalRecord { request: object.clone(), approved_at: UnixSeconds(u64::MAX), ..approval_record() };
    assert!(record.encode().len() <= OBJECT_BYTES_MAX, "{}", record.encode().len());
    assert!(ApprovalRecord::decode(&record.encode()).is_ok());
    let choice = CodeChoice {
        request: object.request,
        codes: [VerificationCode::new(9999).unwrap(); 3],
        chosen: true,
    };
    let choices = List::new(vec![choice; PENDING_MAX]).unwrap();
    let pending = PendingRequests {
        time: UnixSeconds(u64::MAX),
        requests: vec![object.clone(); PENDING_MAX],
        codes: Some(choices),
    };
    let commitments = List::new(vec![widest_item().device; 32]).unwrap();
    let fetched = Fetched {
        object,
        epoch: Epoch(u32::MAX),
        fetched_at: UnixSeconds(u64::MAX),
        commitments,
        receipt: [0xff; 32],
    };
    let signature = signer_core::suite::Signature::new(vec![0xff; SIGNATURE_BYTES_MAX]).unwrap();
    let signed = Evaluated::Signed { signatures: List::new(vec![signature; 32]).unwrap(), token: token(1) };
    let credential = Blob::new(vec![0xff; CREDENTIAL_BYTES_MAX]).unwrap();
    let issued = IssuedCredentials {
        time: UnixSeconds(u64::MAX),
        otp_secret: token(1),
        credentials: List::new(vec![credential; BATCH_MAX]).unwrap(),
    };
    for bytes in
        [codec::encode(&pending), codec::encode(&fetched), codec::encode(&signed), codec::encode(&issued)]
    {
        assert!(bytes.len() <= REPLY_BYTES_MAX, "{}", bytes.len());
    }
    // Even a store that held requests at the limit of their encoding.
    const { assert!(PENDING_MAX * OBJECT_BYTES_MAX + 64 <= REPLY_BYTES_MAX) };
}

#[test]
fn wir_008_paths_and_numbers_of_operations_are_distinct() {
    let mut paths: Vec<_> = Operation::ALL.iter().map(|operation| operation.path()).collect();
    let mut numbers: Vec<_> = Operation::ALL.iter().map(codec::encode).collect();
    assert!(paths.iter().all(|path| path.bytes().all(|c| c.is_ascii_lowercase() || c == b'-')));
    paths.sort_unstable();
    paths.dedup();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((paths.len(), numbers.len()), (Operation::ALL.len(), Operation::ALL.len()));
    let next = u64::try_from(Operation::ALL.len()).unwrap() + 1;
    for unknown in [0, next] {
        let unknown = codec::encode(&unknown);
        assert!(codec::decode::<Operation>(&unknown, 8).is_err(), "pitfall 38: refused, not guessed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wir_009_what_decodes_is_canonical(which in any::<usize>(), changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let samples = samples();
        let Sample { bytes, again, .. } = &samples[which % samples.len()];
        let mut changed = bytes.clone();
        for (at, to) in changes {
            let at = at % changed.len();
            changed[at] = to;
        }
        if let Ok(encoded) = again(&changed) {
            prop_assert_eq!(encoded, changed);
        }
    }

    #[test]
    fn wir_010_random_messages_come_back(
        ids in any::<([u8; 16], [u8; 16])>(), epoch in any::<u32>(), time in any::<u64>(),
        items in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..=160), prop::collection::vec(any::<u8>(), 0..400)), 1..=32),
        mac in any::<[u8; 32]>(), record in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let items = items.into_iter().map(|(commitment, contribution)| ApproveItem {
            device: Commitment::new(commitment.clone()).unwrap(),
            server: Commitment::new(commitment).unwrap(),
            contribution: Contribution::new(contribution).unwrap(),
        });
        let items: Vec<_> = items.collect();
        let commitments = List::new(items.iter().map(|item| item.device.clone()).collect()).unwrap();
        let payload = ApprovePayload {
            key: KeyId::from_bytes(ids.0), epoch: Epoch(epoch), fetched_at: UnixSeconds(time), receipt: mac, token: token(3),
            record: Blob::new(record).unwrap(), items: List::new(items.clone()).unwrap(), unheard: epoch, mac,
        };
        let back: ApprovePayload = codec::decode(&codec::encode(&payload), APPROVE_PAYLOAD_BYTES_MAX).unwrap();
        prop_assert_eq!(back.items.as_slice(), &items[..]);
        prop_assert_eq!((back.key, back.epoch, back.fetched_at, back.mac), (payload.key, payload.epoch, payload.fetched_at, mac));
        prop_assert_eq!(back.unheard, epoch);
        let fetch = Fetch { request: RequestId::from_bytes(ids.1), key: KeyId::from_bytes(ids.0), commitments };
        prop_assert_eq!(codec::decode::<Fetch>(&codec::encode(&fetch), BODY_BYTES_MAX), Ok(fetch));
        let object = RequestObject { created: UnixSeconds(time), ..request(1 + usize::from(mac[0] % 32), mac[1]) };
        prop_assert_eq!(RequestObject::decode(&object.encode()), Ok(object));
    }
}
