//! A server that departs from the ceremonies: the device refuses and keeps what it had.

use signer_core::{
    codec,
    suite::Signature,
    wire::{Confirmed, EnrolKeyed, EnrolStarted, RefreshKeyed, RefreshStarted},
};

use crate::{cer_hostile_device::every_byte, common::*};

fn enrolment(meddle: &mut Meddle<'_>) -> Result<Pair, Broken> {
    enrol_with(&Phone::new(1), &mut Stream::new(1), meddle)
}

fn refreshment(old: &Pair, meddle: &mut Meddle<'_>) -> Result<Pair, Broken> {
    refresh_with(old, KEEP_PIN, &mut Stream::new(21), &mut Stream::new(22), meddle)
}

#[test]
fn cer_020_no_byte_of_a_servers_message_may_change() {
    let mut messages = Vec::new();
    let mut note = |name: &'static str, bytes: Vec<u8>| {
        messages.push((name, bytes.clone()));
        bytes
    };
    enrolment(&mut note).unwrap();
    let old = enrol(1);
    refreshment(&old, &mut note).unwrap();
    let size = |which: &str| messages.iter().find(|(name, _)| *name == which).unwrap().1.len();
    // The device token is opaque to the device.
    let token_of = |which: &str| {
        let (_, bytes) = messages.iter().find(|(name, _)| *name == which).unwrap();
        let token = match which {
            "EnrolKeyed" => codec::decode::<EnrolKeyed>(bytes, MESSAGE_BYTES_MAX).unwrap().token,
            _ => match codec::decode(bytes, MESSAGE_BYTES_MAX).unwrap() {
                RefreshStarted::Started { token, .. } => token,
                RefreshStarted::WrongPin { .. } => panic!(),
            },
        };
        let from = bytes.windows(32).position(|window| window == token.0.expose()).unwrap();
        move |at: usize| (from..from + 32).contains(&at)
    };
    every_byte("EnrolStarted", size("EnrolStarted"), &|_| false, &|meddle| enrolment(meddle));
    every_byte("EnrolKeyed", size("EnrolKeyed"), &token_of("EnrolKeyed"), &|meddle| enrolment(meddle));
    every_byte("Confirmed", size("Confirmed"), &|_| false, &|meddle| enrolment(meddle));
    for which in ["RefreshChallenged", "RefreshKeyed"] {
        every_byte(which, size(which), &|_| false, &|meddle| refreshment(&old, meddle));
    }
    every_byte("RefreshStarted", size("RefreshStarted"), &token_of("RefreshStarted"), &|meddle| {
        refreshment(&old, meddle)
    });
    assert!(signs(&old, &Phone::new(1), PIN, &mut Stream::new(5)), "the old shares live on");
}

#[test]
fn cer_021_an_offset_that_was_not_committed_to_is_refused() {
    let old = enrol(1);
    let result = refreshment(&old, &mut |name, bytes| {
        if name != "RefreshKeyed" {
            return bytes;
        }
        let keyed: RefreshKeyed = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
        codec::encode(&RefreshKeyed { part: token(3), ..keyed })
    });
    assert_eq!(result.err(), Some(Broken::Device("RefreshKeyed", "Peer".into())));
    let result = refreshment(&old, &mut |name, bytes| {
        let RefreshStarted::Started { ceremony, token, .. } = (match name {
            "RefreshStarted" => codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap(),
            _ => return bytes,
        }) else {
            return bytes;
        };
        codec::encode(&RefreshStarted::Started { ceremony, commitment: [0; 32], token })
    });
    assert_eq!(result.err(), Some(Broken::Device("RefreshKeyed", "Peer".into())));
    assert!(signs(&old, &Phone::new(1), PIN, &mut Stream::new(5)));
}

#[test]
fn cer_022_a_server_commitment_that_is_none_is_refused() {
    let old = enrol(1);
    for commitment in bad_server_commitments() {
        let result = enrolment(&mut |name, bytes| match name {
            "EnrolKeyed" => {
                let keyed: EnrolKeyed = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
                codec::encode(&EnrolKeyed { commitment: commitment.clone(), ..keyed })
            }
            _ => bytes,
        });
        assert_eq!(result.err(), Some(Broken::Device("EnrolKeyed", "Peer".into())));
        let result = refreshment(&old, &mut |name, bytes| match name {
            "RefreshKeyed" => {
                let keyed: RefreshKeyed = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
                codec::encode(&RefreshKeyed { commitment: commitment.clone(), ..keyed })
            }
            _ => bytes,
        });
        assert_eq!(result.err(), Some(Broken::Device("RefreshKeyed", "Peer".into())));
    }
    assert!(signs(&old, &Phone::new(1), PIN, &mut Stream::new(5)));
}

#[test]
fn cer_023_a_first_signature_that_does_not_verify_proves_nothing() {
    let other = enrol(2);
    let old = enrol(1);
    for signature in [
        other.proof,
        old.proof.clone(),
        Signature::new(vec![0; old.proof.as_slice().len()]).unwrap(),
        Signature::new(Vec::new()).unwrap(),
    ] {
        let result = refreshment(&old, &mut |name, bytes| match name {
            "Confirmed" => codec::encode(&Confirmed { signature: signature.clone() }),
            _ => bytes,
        });
        assert_eq!(result.err(), Some(Broken::Device("Confirmed", "\"not proven\"".into())));
    }
}

/// Pitfall 4: the device's own message sent back to it.
#[test]
fn cer_024_a_reflected_hello_is_refused() {
    let mut hello = Vec::new();
    let result = enrolment(&mut |name, bytes| match name {
        "EnrolStart" => {
            let start: signer_core::wire::EnrolStart = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
            hello = start.hello.as_slice().to_vec();
            bytes
        }
        "EnrolStarted" => {
            let started: EnrolStarted = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
            let answer = started.hello.as_slice();
            // FROST: [round 1, [share]] with the device's own round 1. `es256`: session nonce ‖ commitment.
            let reflected = if ES256 {
                [&hello[..], &answer[32..]].concat()
            } else {
                [&[0x82], &hello[..], &answer[answer.len() - 35..]].concat()
            };
            let hello = signer_core::suite::KeygenMessage::new(reflected).unwrap();
            codec::encode(&EnrolStarted { hello, ..started })
        }
        _ => bytes,
    });
    // `es256`: another session nonce than the server's, so the device's proof stands on another session.
    let found = if ES256 {
        Broken::Server("EnrolKeys", "Peer".into())
    } else {
        Broken::Device("EnrolStarted", "Peer".into())
    };
    assert_eq!(result.err(), Some(found));
}
