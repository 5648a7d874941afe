//! Signatures that go well.

use signer_core::{
    ids::Epoch,
    signing::{ApproveRefusal, SigningError, answer_fetch, approve_payload_hash},
    suite::{KeyContext, SuiteError},
    wire::Fetch,
};

use crate::common::*;

#[test]
fn sig_001_one_three_and_thirty_two_digests_are_signed_and_verify() {
    let (pair, phone) = (enrol(1), Phone::new(1));
    let mut rng = Stream::new(2);
    for count in [1, 3, 32] {
        let object = request(count, 0);
        let (approve, sent) = approve(&pair, &phone, &object, PIN, &mut rng);
        let Outcome::Signed(signatures) = outcome(&pair, &phone, &object, &approve) else {
            panic!("{count}")
        };
        assert_eq!(signatures.len(), count);
        sent.accept(&signatures).unwrap();
        for (document, signature) in object.documents.as_slice().iter().zip(&signatures) {
            assert!(SUITE.get().verify(&pair.public_key, &document.digest, signature));
        }
        // The record is the evidence, as it was signed.
        let checked = check(&pair, &phone, &object, &approve, NOW).unwrap();
        assert_eq!(checked.record().0, payload(&approve).record.as_slice());
        assert_eq!(checked.fetched_at(), NOW);
        assert_eq!(checked.token().0.expose(), &[1; 32]);
    }
}

#[test]
fn sig_002_the_same_approve_gives_the_same_signatures() {
    let (pair, phone, object) = (enrol(1), Phone::new(1), request(3, 0));
    let (approve, _) = approve(&pair, &phone, &object, PIN, &mut Stream::new(2));
    let first = outcome(&pair, &phone, &object, &approve);
    assert!(matches!(first, Outcome::Signed(_)));
    assert_eq!(first, outcome(&pair, &phone, &object, &approve), "a retry after a crash");
    // The idempotency key knows the payload and the device, not the record's signature.
    let key = approve_payload_hash(&pair.context, &approve);
    let resigned = signer_core::wire::Approve {
        payload: approve.payload.clone(),
        record_signature: signer_core::device_key::DeviceSignature([1; 64]),
    };
    assert_eq!(approve_payload_hash(&pair.context, &resigned), key);
    let elsewhere = KeyContext { device: Phone::new(2).id(), ..pair.context };
    assert_ne!(approve_payload_hash(&elsewhere, &approve), key);
}

#[test]
fn sig_003_a_wrong_pin_ends_in_wrong_pin_whatever_the_size() {
    let (pair, phone) = (enrol(1), Phone::new(1));
    let mut rng = Stream::new(3);
    for count in [1, 3, 32] {
        let object = request(count, 0);
        for pin in ["000000", "490272", "999999999999"] {
            let (approve, _) = approve(&pair, &phone, &object, pin, &mut rng);
            assert_eq!(outcome(&pair, &phone, &object, &approve), Outcome::WrongPin);
        }
    }
    assert!(signs(&pair, &phone, PIN, &mut rng), "a wrong PIN breaks nothing");
}

#[test]
fn sig_004_a_fetch_is_answered_for_its_own_request_and_key() {
    let pair = enrol(1);
    let object = request(2, 0);
    let (_, good) = fetch(&pair, &object, &mut Stream::new(2));
    let answer = |fetch: &Fetch, object| {
        answer_fetch(&pair.server(), pair.context, pair.public_key, object, fetch, NOW).map(|_| ())
    };
    assert_eq!(answer(&good, object.clone()), Ok(()));
    assert_eq!(answer(&good, request(1, 0)), Err(SuiteError::Peer));
    assert_eq!(answer(&good, request(3, 0)), Err(SuiteError::Peer));
    let other = Fetch { key: enrol(2).context.key, ..good.clone() };
    assert_eq!(answer(&other, object.clone()), Err(SuiteError::Peer));
    let other = Fetch { request: signer_core::ids::RequestId::from_bytes([1; 16]), ..good.clone() };
    assert_eq!(answer(&other, object.clone()), Err(SuiteError::Peer));
    for bad in bad_device_commitments() {
        let commitments = [good.commitments.as_slice()[0].clone(), bad];
        let commitments = signer_core::codec::List::new(commitments.to_vec()).unwrap();
        assert_eq!(answer(&Fetch { commitments, ..good.clone() }, object.clone()), Err(SuiteError::Peer));
    }
}

/// A damaged or mixed-up store is the server's fault and nobody else's.
#[test]
fn sig_005_own_damage_is_not_blamed_on_the_device() {
    let (pair, other, phone) = (enrol(1), enrol(2), Phone::new(1));
    let object = request(1, 0);
    let (approve, _) = approve(&pair, &phone, &object, PIN, &mut Stream::new(3));
    let received = signer_core::signing::ReceivedApprove::decode(&approve).unwrap();
    let mixed = received.check(&phone.parsed(), &other.server(), pair.context, pair.public_key, &object, NOW);
    assert_eq!(mixed.err(), Some(ApproveRefusal::Stale));
    // The share of another key under the right gate key: found when the signature fails, and called a fault.
    let checked = check(&pair, &phone, &object, &approve, NOW).unwrap();
    let mut wrong = pair.server();
    wrong.share = other.server().share;
    assert!(matches!(checked.evaluate(&wrong), signer_core::signing::Evaluation::ServerFault));
}

#[test]
fn sig_006_a_device_approves_with_the_key_it_fetched_for() {
    let (pair, other) = (enrol(1), enrol(2));
    let mut rng = Stream::new(2);
    let state = shown(&pair, &request(1, 0), &mut rng);
    let result = state.approve(&unlock(&other.masked, PIN), presented(1), NOW);
    assert_eq!(result.err(), Some(SigningError::Own));
    let newer = refresh(&pair, &mut rng);
    assert_eq!(newer.context.epoch, Epoch(1));
    let state = shown(&pair, &request(1, 0), &mut rng);
    assert!(state.approve(&unlock(&newer.masked, PIN), presented(1), NOW).is_err());
}
