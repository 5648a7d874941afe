//! A server that departs from fetch and approve: the device refuses and loses nothing.

use signer_core::{
    codec::List,
    ids::Epoch,
    signing::{ApproveRefusal, SigningError},
    suite::{Commitment, Signature},
    wire::Fetched,
};

use crate::common::*;

/// Fetches `count` digests, changes the answer, and goes as far as the device goes.
fn device_sees(count: usize, change: impl Fn(&mut Fetched)) -> Result<Outcome, SigningError> {
    let (pair, phone, object) = (enrol(1), Phone::new(1), request(count, 0));
    let mut rng = Stream::new(2);
    let (state, fetch) = fetch(&pair, &object, &mut rng);
    let mut fetched = answer(&pair, &object, &fetch);
    change(&mut fetched);
    let shown = state.shown(fetched)?;
    assert_eq!(shown.object(), &object, "what is shown is what was listed");
    let approval = shown.approve(&unlock(&pair.masked, PIN), presented(1), NOW)?;
    let signature = phone.sign(approval.to_sign());
    let (approve, _) = approval.complete(signature);
    Ok(outcome(&pair, &phone, &object, &approve))
}

fn with_commitments(count: usize, change: impl Fn(&mut Vec<Commitment>)) -> Result<Outcome, SigningError> {
    device_sees(count, |fetched| {
        let mut commitments = fetched.commitments.as_slice().to_vec();
        change(&mut commitments);
        fetched.commitments = List::new(commitments).unwrap();
    })
}

#[test]
fn sig_030_a_request_that_changed_since_it_was_listed_is_refused() {
    assert!(matches!(device_sees(2, |_| {}), Ok(Outcome::Signed(_))));
    let changed = Err(SigningError::Changed);
    assert_eq!(device_sees(2, |fetched| fetched.object = request(2, 1)), changed);
    assert_eq!(device_sees(2, |fetched| fetched.object = request(1, 0)), changed);
    assert_eq!(device_sees(2, |fetched| fetched.object.expires = NOW.plus(9999)), changed);
    assert_eq!(device_sees(2, |fetched| fetched.object.relying_party.name = other_name()), changed);
    assert_eq!(
        device_sees(2, |fetched| {
            let mut documents = fetched.object.documents.as_slice().to_vec();
            documents[1].digest[31] ^= 1;
            fetched.object.documents = List::new(documents).unwrap();
        }),
        changed
    );
}

fn other_name() -> signer_core::codec::Label<200> {
    signer_core::codec::Label::new("Bank of Exаmples".into()).unwrap()
}

#[test]
fn sig_031_another_epoch_is_named_before_the_pin() {
    assert_eq!(device_sees(1, |fetched| fetched.epoch = Epoch(1)), Err(SigningError::OtherEpoch));
}

#[test]
fn sig_032_a_server_commitment_that_is_none_is_refused() {
    for bad in bad_server_commitments() {
        for at in 0..2 {
            let result = with_commitments(2, |commitments| commitments[at] = bad.clone());
            assert_eq!(result, Err(SigningError::Mismatch));
        }
    }
    assert_eq!(with_commitments(2, |commitments| drop(commitments.pop())), Err(SigningError::Mismatch));
    let longer = with_commitments(2, |commitments| commitments.push(commitments[0].clone()));
    assert_eq!(longer, Err(SigningError::Mismatch));
}

/// Somebody between the two swaps or repeats good commitments. FROST: the device's contribution is then for what it was
/// told, and the server, by its receipt, does not go on. `es256`: the server's proof stands on another session.
#[test]
fn sig_033_commitments_swapped_on_the_way_are_stale_and_uncounted() {
    let stale = if ES256 { Err(SigningError::Mismatch) } else { Ok(Outcome::Refused(ApproveRefusal::Stale)) };
    assert_eq!(with_commitments(3, |commitments| commitments.swap(0, 2)), stale);
    assert_eq!(with_commitments(3, |commitments| commitments[1] = commitments[0].clone()), stale);
    assert_eq!(device_sees(1, |fetched| fetched.fetched_at = NOW.minus(1)), stale);
}

#[test]
fn sig_034_the_devices_own_commitment_reflected_is_refused() {
    let (pair, object) = (enrol(1), request(1, 0));
    let mut rng = Stream::new(2);
    let (state, fetch) = fetch(&pair, &object, &mut rng);
    let mut fetched = answer(&pair, &object, &fetch);
    fetched.commitments = fetch.commitments;
    let shown = state.shown(fetched).unwrap();
    let result = shown.approve(&unlock(&pair.masked, PIN), presented(1), NOW);
    assert_eq!(result.err(), Some(SigningError::Mismatch));
    assert!(signs(&pair, &Phone::new(1), PIN, &mut rng), "nothing is lost");
}

#[test]
fn sig_035_a_final_signature_that_does_not_verify_is_not_accepted() {
    let (pair, phone, object) = (enrol(1), Phone::new(1), request(2, 0));
    let (approve, sent) = approve(&pair, &phone, &object, PIN, &mut Stream::new(2));
    let Outcome::Signed(good) = outcome(&pair, &phone, &object, &approve) else { panic!() };
    sent.accept(&good).unwrap();
    let bad = Err(SigningError::BadSignature);
    for at in 0..good[1].as_slice().len() {
        let mut bytes = good[1].as_slice().to_vec();
        bytes[at] ^= 1;
        let flipped = [good[0].clone(), Signature::new(bytes).unwrap()];
        assert_eq!(sent.accept(&flipped), bad, "byte {at}");
    }
    assert_eq!(sent.accept(&[good[1].clone(), good[0].clone()]), bad, "swapped");
    assert_eq!(sent.accept(&[good[0].clone(), good[0].clone()]), bad, "repeated");
    assert_eq!(sent.accept(&good[..1]), bad, "one too few");
    assert_eq!(sent.accept(&[]), bad);
    assert_eq!(sent.accept(&[&good[..], &good[..1]].concat()), bad, "one too many");
    assert_eq!(sent.accept(&[good[0].clone(), pair.proof]), bad, "over something else");
}
