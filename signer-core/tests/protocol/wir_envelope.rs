//! The envelope: who sent what, when, and for which operation.

use signer_core::{
    codec::{self, CodecError},
    ids::RequestId,
    wire::{Decline, Envelope, EnvelopeError, OutcomeQuery},
};

use crate::common::*;

const BODY: Decline = Decline { request: RequestId::from_bytes([4; 16]) };

fn sealed(phone: &Phone) -> Vec<u8> {
    let body = codec::encode(&BODY);
    let signature = phone.sign(Envelope::to_sign::<Decline>(phone.id(), NOW, &body));
    Envelope::seal::<Decline>(phone.id(), NOW, body, signature).unwrap()
}

fn open(bytes: &[u8], phone: &Phone) -> Result<Decline, EnvelopeError> {
    Envelope::decode(bytes)?.open(&phone.parsed(), NOW)
}

#[test]
fn wir_020_an_envelope_opens_for_its_operation_key_and_time() {
    let phone = Phone::new(1);
    let bytes = sealed(&phone);
    assert_eq!(open(&bytes, &phone), Ok(BODY));
    let envelope = Envelope::decode(&bytes).unwrap();
    assert_eq!(envelope.peek::<Decline>(), Ok(BODY));
    assert_eq!(envelope.open::<OutcomeQuery>(&phone.parsed(), NOW), Err(EnvelopeError::Operation));
    assert_eq!(envelope.peek::<OutcomeQuery>(), Err(EnvelopeError::Operation));
    for (now, good) in
        [(NOW.plus(300), true), (NOW.plus(301), false), (NOW.minus(300), true), (NOW.minus(301), false)]
    {
        let expected = if good { Ok(BODY) } else { Err(EnvelopeError::Clock) };
        assert_eq!(envelope.open::<Decline>(&phone.parsed(), now), expected);
    }
}

#[test]
fn wir_021_another_key_or_device_does_not_open_it() {
    let (phone, other) = (Phone::new(1), Phone::new(2));
    let bytes = sealed(&phone);
    assert_eq!(open(&bytes, &other), Err(EnvelopeError::Signature));
    // Signed by this phone under the other's name: neither key opens it.
    let body = codec::encode(&BODY);
    let signature = phone.sign(Envelope::to_sign::<Decline>(phone.id(), NOW, &body));
    let forged = Envelope::seal::<Decline>(other.id(), NOW, body, signature).unwrap();
    assert_eq!(open(&forged, &phone), Err(EnvelopeError::Signature));
    assert_eq!(open(&forged, &other), Err(EnvelopeError::Signature));
    // The clock is told to the device only: the signature is checked first.
    let late = Envelope::decode(&bytes).unwrap().open::<Decline>(&other.parsed(), NOW.plus(9999));
    assert_eq!(late, Err(EnvelopeError::Signature));
}

#[test]
fn wir_022_the_signature_is_for_one_operation() {
    let phone = Phone::new(1);
    // Decline and OutcomeQuery have the same bytes; their envelopes do not.
    let body = codec::encode(&BODY);
    assert_eq!(body, codec::encode(&OutcomeQuery { request: BODY.request }));
    let signature = phone.sign(Envelope::to_sign::<Decline>(phone.id(), NOW, &body));
    let moved = Envelope::seal::<OutcomeQuery>(phone.id(), NOW, body, signature).unwrap();
    let opened = Envelope::decode(&moved).unwrap().open::<OutcomeQuery>(&phone.parsed(), NOW);
    assert_eq!(opened, Err(EnvelopeError::Signature));
}

#[test]
fn wir_023_no_byte_of_an_envelope_may_change() {
    let phone = Phone::new(1);
    let bytes = sealed(&phone);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(open(&flipped, &phone).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn wir_024_another_version_is_refused_by_name() {
    let phone = Phone::new(1);
    let mut envelope = Envelope::decode(&sealed(&phone)).unwrap();
    envelope.version = 2;
    assert_eq!(Envelope::decode(&codec::encode(&envelope)), Err(EnvelopeError::Version));
}

#[test]
fn wir_025_a_signed_body_that_is_not_canonical_is_refused() {
    let phone = Phone::new(1);
    let mut body = codec::encode(&BODY);
    body.push(0);
    let signature = phone.sign(Envelope::to_sign::<Decline>(phone.id(), NOW, &body));
    let bytes = Envelope::seal::<Decline>(phone.id(), NOW, body, signature).unwrap();
    assert_eq!(open(&bytes, &phone), Err(EnvelopeError::Codec(CodecError::NotCanonical)));
}
