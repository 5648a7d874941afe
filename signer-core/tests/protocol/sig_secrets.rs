//! The server learns first, and lets nothing out that would test a PIN.

use signer_core::{
    codec::{self, List},
    wire::{Attempts, EnrolKeyed, Evaluated, RefreshKeyed},
};

use crate::common::*;

/// What must be in no reply: share, verifying shares, gate key, nonce key, in any window of the bytes.
fn forbidden(pair: &Pair) -> Vec<(&'static str, Vec<u8>)> {
    let key = pair.server();
    let mut all = secrets_of_share(pair);
    all.push(("gate key", key.gate_key.expose().expose().to_vec()));
    all.push(("nonce key", key.nonce_key.expose().to_vec()));
    all
}

fn scan(pair: &Pair, what: &str, bytes: &[u8]) {
    for (name, secret) in forbidden(pair) {
        // A point is looked for by its x alone, so that its sign does not hide it; a part of a secret is one too.
        for part in secret.chunks(16) {
            assert!(bytes.windows(part.len()).all(|window| window != part), "{name} in {what}");
        }
    }
}

#[test]
fn sig_040_no_reply_of_a_signature_holds_anything_of_the_servers() {
    let (pair, phone) = (enrol(1), Phone::new(1));
    let mut rng = Stream::new(2);
    for (count, pin) in [(1, PIN), (32, PIN), (1, "123457")] {
        let object = request(count, 0);
        let (state, fetch) = fetch(&pair, &object, &mut rng);
        let fetched = answer(&pair, &object, &fetch);
        scan(&pair, "Fetched", &codec::encode(&fetched));
        let (approve, _) = approve_with(&pair, &phone, state.shown(fetched).unwrap(), pin);
        let reply = match outcome(&pair, &phone, &object, &approve) {
            Outcome::Signed(signatures) => {
                Evaluated::Signed { signatures: List::new(signatures).unwrap(), token: token(2) }
            }
            _ => Evaluated::WrongPin { attempts: Attempts { left: 2, locked_until: None, blocked: false } },
        };
        scan(&pair, "Evaluated", &codec::encode(&reply));
    }
    scan(&pair, "first signature", pair.proof.as_slice());
}

#[test]
fn sig_041_no_reply_of_a_ceremony_holds_the_share_that_comes_of_it() {
    let mut replies = Vec::new();
    let mut note = |name: &'static str, bytes: Vec<u8>| {
        if !matches!(
            name,
            "EnrolConfirm" | "RefreshConfirm" | "EnrolStart" | "EnrolKeys" | "RefreshStart" | "RefreshKeys"
        ) {
            replies.push((name, bytes.clone()));
        }
        bytes
    };
    let first = enrol_with(&Phone::new(1), &mut Stream::new(1), &mut note).unwrap();
    let mut rng = Stream::new(2);
    let second = refresh_with(&first, KEEP_PIN, &mut rng.clone(), &mut rng, &mut note).unwrap();
    assert_eq!(replies.len(), 7);
    for pair in [&first, &second] {
        for (name, bytes) in &replies {
            scan(pair, name, bytes);
        }
    }
    let keyed: EnrolKeyed = codec::decode(&replies[1].1, MESSAGE_BYTES_MAX).unwrap();
    assert!(ES256 || keyed.opening.as_slice().is_empty());
    let _: RefreshKeyed = codec::decode(&replies[5].1, MESSAGE_BYTES_MAX).unwrap();
}

/// The same shape and size for a right and a wrong PIN, and before the server's word the phone cannot tell them apart.
#[test]
fn sig_042_a_wrong_pin_sends_what_a_right_one_sends() {
    let (pair, phone) = (enrol(1), Phone::new(1));
    for count in [1, 3, 32] {
        let object = request(count, 0);
        let of = |pin: &str| {
            let (approve, _) = approve(&pair, &phone, &object, pin, &mut Stream::new(3));
            let payload = payload(&approve);
            assert!(check(&pair, &phone, &object, &approve, NOW).is_ok(), "nothing before the gate tells");
            (codec::encode(&approve), payload)
        };
        let ((right, one), (wrong, other)) = (of(PIN), of("102938"));
        assert_eq!(right.len(), wrong.len());
        assert_eq!(one.record, other.record);
        for (one, other) in one.items.as_slice().iter().zip(other.items.as_slice()) {
            assert_eq!((&one.device, &one.server), (&other.device, &other.server));
            assert_eq!(one.contribution.as_slice().len(), other.contribution.as_slice().len());
            assert_ne!(one.contribution, other.contribution);
        }
    }
}

/// Contributions under wrong PINs are canonical scalars always: a refusal for their form would tell PINs apart.
#[test]
fn sig_043_every_pin_makes_a_well_formed_contribution() {
    let (pair, phone, object) = (enrol(1), Phone::new(1), request(1, 0));
    let mut rng = Stream::new(4);
    for pin in 0..100 {
        let (approve, _) = approve(&pair, &phone, &object, &format!("{:06}", pin * 7919), &mut rng);
        assert_eq!(outcome(&pair, &phone, &object, &approve), Outcome::WrongPin);
    }
}
