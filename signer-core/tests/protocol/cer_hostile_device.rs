//! A device that departs from the ceremonies: none ends in a key.

use signer_core::{
    codec,
    ids::CeremonyId,
    wire::{Confirmation, EnrolKeys, RefreshKeys, WireSecret},
};

use crate::common::*;

const ENROLMENT: &[&str] = &["EnrolStart", "EnrolKeys", "EnrolConfirm"];
const REFRESH: &[&str] = &["RefreshStart", "RefreshKeys", "RefreshConfirm"];

fn enrolment(meddle: &mut Meddle<'_>) -> Result<Pair, Broken> {
    enrol_with(&Phone::new(1), &mut Stream::new(1), meddle)
}

fn refreshment(old: &Pair, meddle: &mut Meddle<'_>) -> Result<Pair, Broken> {
    refresh_with(old, KEEP_PIN, &mut Stream::new(21), &mut Stream::new(22), meddle)
}

/// Every message of a run that went well.
fn recorded(run: impl FnOnce(&mut Meddle<'_>) -> Result<Pair, Broken>) -> Vec<(&'static str, Vec<u8>)> {
    let mut messages = Vec::new();
    run(&mut |name, bytes| {
        messages.push((name, bytes.clone()));
        bytes
    })
    .unwrap();
    messages
}

fn length(messages: &[(&'static str, Vec<u8>)], which: &str) -> usize {
    messages.iter().find(|(name, _)| *name == which).unwrap().1.len()
}

/// Runs once for each position of message `which`, with that byte changed; `free` bytes may not matter.
pub(crate) fn every_byte(
    which: &'static str,
    bytes: usize,
    free: &dyn Fn(usize) -> bool,
    run: &dyn Fn(&mut Meddle<'_>) -> Result<Pair, Broken>,
) {
    for at in positions(bytes, if ES256 { 8 } else { 1000 }) {
        let result = run(&mut |name, mut bytes| {
            if name == which {
                bytes[at] ^= 1 << (at % 8);
            }
            bytes
        });
        assert!(result.is_err() || free(at), "byte {at} of {which} does not matter");
    }
}

#[test]
fn cer_010_no_byte_of_a_devices_message_may_change() {
    let messages = recorded(|meddle| enrolment(meddle));
    // The code is the operator's matter: array head, text head, nine letters.
    let code = |at: usize| (1..11).contains(&at);
    for which in ENROLMENT {
        let free: &dyn Fn(usize) -> bool = if *which == "EnrolStart" { &code } else { &|_| false };
        every_byte(which, length(&messages, which), free, &|meddle| enrolment(meddle));
    }
    let old = enrol(1);
    let messages = recorded(|meddle| refreshment(&old, meddle));
    for which in REFRESH {
        every_byte(which, length(&messages, which), &|_| false, &|meddle| refreshment(&old, meddle));
    }
    assert!(signs(&old, &Phone::new(1), PIN, &mut Stream::new(5)), "the old shares live on");
}

#[test]
fn cer_011_a_message_of_another_run_ends_the_ceremony() {
    let other = recorded(|meddle| enrol_with(&Phone::new(1), &mut Stream::new(2), meddle));
    for which in &ENROLMENT[1..] {
        let replay = other.iter().find(|(name, _)| name == which).unwrap().1.clone();
        let result = enrolment(&mut |name, bytes| if name == *which { replay.clone() } else { bytes });
        assert_eq!(result.err(), Some(Broken::Server(which, "OtherCeremony".into())));
    }
    let old = enrol(1);
    let other =
        recorded(|meddle| refresh_with(&old, KEEP_PIN, &mut Stream::new(31), &mut Stream::new(32), meddle));
    for which in &REFRESH[1..] {
        let replay = other.iter().find(|(name, _)| name == which).unwrap().1.clone();
        let result =
            refreshment(&old, &mut |name, bytes| if name == *which { replay.clone() } else { bytes });
        assert_eq!(result.err(), Some(Broken::Server(which, "OtherCeremony".into())));
    }
}

/// As above, with the ceremony's id put right.
#[test]
fn cer_012_the_content_of_another_run_does_not_fit() {
    let other = recorded(|meddle| enrol_with(&Phone::new(1), &mut Stream::new(2), meddle));
    let replay = |which: &str| other.iter().find(|(name, _)| *name == which).unwrap().1.clone();
    let keys = replay("EnrolKeys");
    let result = enrolment(&mut |name, bytes| {
        if name != "EnrolKeys" {
            return bytes;
        }
        let ceremony = codec::decode::<EnrolKeys>(&bytes, MESSAGE_BYTES_MAX).unwrap().ceremony;
        codec::encode(&EnrolKeys { ceremony, ..codec::decode(&keys, MESSAGE_BYTES_MAX).unwrap() })
    });
    assert_eq!(result.err(), Some(Broken::Server("EnrolKeys", "Peer".into())));
    let confirm = replay("EnrolConfirm");
    let result = enrolment(&mut |name, bytes| {
        if name != "EnrolConfirm" {
            return bytes;
        }
        let ceremony = codec::decode::<Confirmation>(&bytes, MESSAGE_BYTES_MAX).unwrap().ceremony;
        codec::encode(&Confirmation { ceremony, ..codec::decode(&confirm, MESSAGE_BYTES_MAX).unwrap() })
    });
    assert_eq!(result.err(), Some(Broken::Server("EnrolConfirm", "Peer".into())));
    // The hello of another run brings other polynomials than the keys message opens.
    let hello = replay("EnrolStart");
    let result = enrolment(&mut |name, bytes| if name == "EnrolStart" { hello.clone() } else { bytes });
    assert_eq!(result.err(), Some(Broken::Server("EnrolKeys", "Peer".into())));
}

/// Two commitments of the device's exchange places, or one is not a commitment.
#[test]
fn cer_013_a_wrong_commitment_ends_the_ceremony() {
    let other = recorded(|meddle| enrol_with(&Phone::new(1), &mut Stream::new(2), meddle));
    let foreign = &other.iter().find(|(name, _)| *name == "EnrolKeys").unwrap().1;
    let foreign = codec::decode::<EnrolKeys>(foreign, MESSAGE_BYTES_MAX).unwrap().commitment;
    for (commitment, expected) in
        bad_device_commitments().into_iter().map(|bad| (bad, "EnrolKeys")).chain([(foreign, "EnrolConfirm")])
    {
        let result = enrolment(&mut |name, bytes| {
            if name != "EnrolKeys" {
                return bytes;
            }
            let keys: EnrolKeys = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
            codec::encode(&EnrolKeys { commitment: commitment.clone(), ..keys })
        });
        assert!(matches!(result, Err(Broken::Server(_, _) | Broken::Device("EnrolKeyed", _))), "{expected}");
    }
    let old = enrol(1);
    for commitment in bad_device_commitments() {
        let result = refreshment(&old, &mut |name, bytes| {
            if name != "RefreshKeys" {
                return bytes;
            }
            let keys: RefreshKeys = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
            codec::encode(&RefreshKeys { commitment: commitment.clone(), ..keys })
        });
        assert_eq!(result.err(), Some(Broken::Server("RefreshKeys", "Peer".into())));
    }
}

/// A device that gives the server another gate key than its own, or another part of the offset than it uses itself.
#[test]
fn cer_014_what_the_sides_hold_differently_is_found_before_it_is_stored() {
    let result = enrolment(&mut |name, bytes| {
        if name != "EnrolConfirm" {
            return bytes;
        }
        let confirmation: Confirmation = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
        let gate_key = WireSecret(signer_core::secret::SecretBytes::new([5; 32]));
        codec::encode(&Confirmation { gate_key, ..confirmation })
    });
    assert_eq!(result.err(), Some(Broken::Server("EnrolConfirm", "Peer".into())));
    let old = enrol(1);
    let result = refreshment(&old, &mut |name, bytes| {
        if name != "RefreshKeys" {
            return bytes;
        }
        let keys: RefreshKeys = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
        codec::encode(&RefreshKeys { part: token(6), ..keys })
    });
    assert_eq!(result.err(), Some(Broken::Server("RefreshConfirm", "Cheating".into())));
}

#[test]
fn cer_015_a_contribution_that_is_no_scalar_is_refused() {
    for bad in bad_contributions() {
        let result = enrolment(&mut |name, bytes| {
            if name != "EnrolConfirm" {
                return bytes;
            }
            let confirmation: Confirmation = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
            codec::encode(&Confirmation { contribution: bad.clone(), ..confirmation })
        });
        assert_eq!(result.err(), Some(Broken::Server("EnrolConfirm", "Peer".into())));
    }
}

#[test]
fn cer_016_another_ceremonys_id_is_named_as_such() {
    for which in ["EnrolKeys", "EnrolConfirm"] {
        let result = enrolment(&mut |name, bytes| {
            let id = CeremonyId::from_bytes([0xEE; 16]);
            match name {
                "EnrolKeys" if name == which => codec::encode(&EnrolKeys {
                    ceremony: id,
                    ..codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap()
                }),
                "EnrolConfirm" if name == which => codec::encode(&Confirmation {
                    ceremony: id,
                    ..codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap()
                }),
                _ => bytes,
            }
        });
        assert_eq!(result.err(), Some(Broken::Server(which, "OtherCeremony".into())));
    }
}
