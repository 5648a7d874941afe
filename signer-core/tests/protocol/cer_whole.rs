//! Ceremonies that go well, and what they leave behind.

use signer_core::{
    ceremony::{
        CheckedRefresh, DeviceRefresh, EnrolledKeys, EnrolmentProof, ServerEnrolment, refresh_challenge,
        statement,
    },
    codec,
    history::HistoryKeyBytes,
    ids::{CeremonyId, Epoch},
    lost_code::{HolderKeys, HolderKeysDigest},
    suite::{GroupPublicKey, KeyContext, Signature, SuiteId},
    wire::{EnrolStart, RefreshPayload},
};

use crate::common::*;

#[test]
fn cer_001_an_enrolment_ends_in_a_key_that_signs() {
    let pair = enrol(1);
    let phone = Phone::new(1);
    assert_eq!(pair.context.epoch, Epoch(0));
    assert_eq!(pair.context.device, phone.id());
    assert_eq!(pair.masked.context(), &pair.context);
    assert_eq!(pair.masked.public_key(), &pair.public_key);
    assert!(signs(&pair, &phone, PIN, &mut Stream::new(2)));
    assert_ne!(enrol(2).public_key, pair.public_key);
}

#[test]
fn cer_002_a_refresh_keeps_the_public_key_and_ends_the_old_share() {
    let phone = Phone::new(1);
    let mut rng = Stream::new(3);
    let old = enrol(1);
    let new = refresh(&old, &mut rng);
    assert_eq!(new.public_key, old.public_key);
    assert_eq!(new.context, KeyContext { epoch: Epoch(1), ..old.context });
    assert!(signs(&new, &phone, PIN, &mut rng));
    let (before, after) = (old.server(), new.server());
    assert_ne!(before.share.0, after.share.0);
    assert!(
        !before.nonce_key.ct_eq(&after.nonce_key) && !before.gate_key.expose().ct_eq(after.gate_key.expose())
    );

    // The old phone at the new server: told so before the PIN; and if it does not listen, refused uncounted.
    let object = request(1, 0);
    let (state, message) = fetch(&old, &object, &mut rng);
    let answered = answer(&new, &object, &message);
    assert!(state.shown(answered).is_err());
    let (approve, _) = approve(&old, &phone, &object, PIN, &mut rng);
    assert!(matches!(outcome(&new, &phone, &object, &approve), Outcome::Refused(_)));
    // Even the old gate key is worth nothing, whatever epoch the payload names.
    let mut forged = payload(&approve);
    forged.epoch = Epoch(1);
    remac(&old, &object, &mut forged);
    let forged = repack(&phone, &forged);
    assert!(matches!(outcome(&new, &phone, &object, &forged), Outcome::Refused(_) | Outcome::WrongPin));
}

#[test]
fn cer_003_a_pin_is_changed_by_a_refresh() {
    let phone = Phone::new(1);
    let mut rng = Stream::new(4);
    let old = enrol(1);
    let how = Refresh { new_pin: "830915", ..KEEP_PIN };
    let new = refresh_with(&old, how, &mut rng.clone(), &mut rng, &mut honest).unwrap();
    assert!(signs(&new, &phone, "830915", &mut rng));
    assert!(!signs(&new, &phone, PIN, &mut rng));
}

#[test]
fn cer_004_a_wrong_pin_opens_no_refresh() {
    let pair = enrol(1);
    let mut rng = Stream::new(5);
    let how = Refresh { old_pin: "111112", ..KEEP_PIN };
    let result = refresh_with(&pair, how, &mut rng.clone(), &mut rng, &mut honest);
    assert_eq!(result.err(), Some(Broken::WrongPin));
}

#[test]
fn cer_005_a_challenge_is_good_for_its_key_its_epoch_and_ten_minutes() {
    let mut rng = Stream::new(6);
    let old = enrol(1);
    let new = refresh(&old, &mut rng);
    let mut draws = Stream::new(7);
    let mut start = |pair: &Pair| {
        let challenged = refresh_challenge(&pair.server(), &pair.context, NOW);
        let unlocked = unlock(&pair.masked, PIN);
        DeviceRefresh::start(unlocked, pair.device_key, &challenged, presented(1), &mut draws).unwrap().1
    };
    // A phone and its copy in one second: not one message.
    assert_ne!(start(&old).payload.as_slice(), start(&old).payload.as_slice());
    let checked = CheckedRefresh::new(&old.context, &start(&old)).unwrap();
    let good = |now| checked.based_on(&old.server(), &old.context, now);
    assert_eq!(good(NOW), Some(NOW));
    assert_eq!(good(NOW.plus(600)), Some(NOW));
    assert_eq!(good(NOW.plus(601)), None);
    assert_eq!(good(NOW.minus(1)), None);
    assert_eq!(checked.based_on(&new.server(), &new.context, NOW), None, "a proof for other shares");
    assert!(!checked.pin_is_right(&new.server(), &new.context));
    let foreign = KeyContext { key: enrol(2).context.key, ..old.context };
    assert!(CheckedRefresh::new(&foreign, &start(&old)).is_err());
    // The device does not prove its PIN over the challenge of another epoch.
    let challenged = refresh_challenge(&new.server(), &new.context, NOW);
    let unlocked = unlock(&old.masked, PIN);
    assert!(DeviceRefresh::start(unlocked, old.device_key, &challenged, presented(1), &mut rng).is_err());
    // The proof covers the token that goes with it.
    let message = start(&old);
    let mut swapped: RefreshPayload = codec::decode(message.payload.as_slice(), 512).unwrap();
    swapped.token = token(9);
    let swapped =
        signer_core::wire::RefreshStart { payload: codec::Blob::new(codec::encode(&swapped)).unwrap() };
    assert!(!CheckedRefresh::new(&old.context, &swapped).unwrap().pin_is_right(&old.server(), &old.context));
}

/// Two attempts at one epoch: the late confirmation of the first wins while the phone already holds the second's shares.
/// The first's proof must not pass for the second's, or the phone would erase the shares that live.
#[test]
fn cer_006_a_proof_is_of_one_ceremony() {
    let old = enrol(1);
    let attempt = |seed: u64| {
        let mut rng = Stream::new(seed);
        refresh_with(&old, KEEP_PIN, &mut rng.clone(), &mut rng, &mut honest).unwrap()
    };
    let (first, second) = (attempt(7), attempt(8));
    assert_eq!(first.context, second.context);
    assert_eq!(first.public_key, second.public_key);
    let mut rng = Stream::new(9);
    let proof = codec::encode(&signer_core::wire::Confirmed { signature: first.proof });
    let other = refresh_with(&old, KEEP_PIN, &mut rng.clone(), &mut rng, &mut |name, bytes| {
        if name == "Confirmed" { proof.clone() } else { bytes }
    });
    assert_eq!(other.err(), Some(Broken::Device("Confirmed", "\"not proven\"".into())));
}

#[test]
fn cer_007_the_statement_names_everything() {
    let pair = enrol(1);
    let ceremony = CeremonyId::from_bytes([1; 16]);
    let keys = holder_keys();
    let say = |context: KeyContext, q, device, ceremony| {
        statement(&context, &q, &device, ceremony, Some(&keys.digest()))
    };
    let leaves = |keys: &HolderKeys| {
        statement(&pair.context, &pair.public_key, &pair.device_key, ceremony, Some(&keys.digest()))
    };
    let (context, q, device) = (pair.context, pair.public_key, pair.device_key);
    let other = enrol(2);
    let all = [
        say(context, q, device, ceremony),
        say(KeyContext { key: other.context.key, ..context }, q, device, ceremony),
        say(KeyContext { epoch: Epoch(1), ..context }, q, device, ceremony),
        say(KeyContext { epoch: Epoch(2), ..context }, q, device, ceremony),
        say(KeyContext { device: Phone::new(2).id(), ..context }, q, device, ceremony),
        say(context, other.public_key, device, ceremony),
        say(context, q, Phone::new(2).public(), ceremony),
        say(context, q, device, CeremonyId::from_bytes([2; 16])),
        leaves(&HolderKeys { history: HistoryKeyBytes([1; 32]), ..keys }),
        leaves(&HolderKeys { lost_code: [1; 32], ..keys }),
    ];
    for (i, one) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
    }
}

#[test]
fn cer_025_the_proof_of_an_enrolment_is_of_both_its_keys() {
    let pair = enrol(1);
    let proof = pair.enrolment.clone().unwrap();
    let keys = EnrolledKeys {
        suite: SUITE,
        key: pair.context.key,
        public_key: pair.public_key,
        device_key: pair.device_key,
    };
    assert!(proof.holds(&keys));
    assert_eq!(proof.holder_keys, holder_keys().digest());
    // A device key of somebody's own, even with a first signature of their own.
    let other = enrol_with(&Phone::new(2), &mut Stream::new(2), &mut honest).unwrap();
    let other_suite = SuiteId::ALL.into_iter().find(|suite| *suite != SUITE).unwrap();
    for keys in [
        EnrolledKeys { device_key: other.device_key, ..keys },
        EnrolledKeys { key: other.context.key, ..keys },
        EnrolledKeys { public_key: other.public_key, ..keys },
        EnrolledKeys { suite: other_suite, ..keys },
        EnrolledKeys { public_key: GroupPublicKey([2; 33]), ..keys },
    ] {
        assert!(!proof.holds(&keys) && !other.enrolment.as_ref().unwrap().holds(&keys), "{keys:?}");
    }
    let refreshed = refresh(&pair, &mut Stream::new(3));
    assert_eq!(refreshed.enrolment, None);
    for proof in [
        EnrolmentProof { ceremony: CeremonyId::from_bytes([1; 16]), ..proof.clone() },
        EnrolmentProof { holder_keys: HolderKeysDigest([1; 32]), ..proof.clone() },
        EnrolmentProof { signature: refreshed.proof, ..proof.clone() },
        EnrolmentProof { signature: Signature::new(vec![0]).unwrap(), ..proof },
    ] {
        assert!(!proof.holds(&keys), "{proof:?}");
    }
}

#[test]
fn cer_008_an_enrolment_is_answered_for_its_own_device_at_epoch_0() {
    let mut hello = None;
    let phone = Phone::new(1);
    let _ = enrol_with(&phone, &mut Stream::new(1), &mut |name, bytes| {
        if name == "EnrolStart" {
            hello = Some(bytes.clone());
        }
        bytes
    });
    let start: EnrolStart = codec::decode(&hello.unwrap(), 1 << 16).unwrap();
    let right = KeyContext { suite: SUITE, key: start.key, epoch: Epoch(0), device: phone.id() };
    let answer = |context| {
        ServerEnrolment::start(context, phone.public(), start.holder_keys, &start.hello, &mut Stream::new(2))
    };
    assert!(answer(right).is_ok());
    assert!(answer(KeyContext { epoch: Epoch(1), ..right }).is_err());
    assert!(answer(KeyContext { device: Phone::new(2).id(), ..right }).is_err());
}

#[test]
fn cer_009_messages_of_one_run_have_the_same_size_in_every_run() {
    let sizes = |seed: u64, pin: &'static str| {
        let mut sizes = Vec::new();
        let mut rng = Stream::new(seed);
        let mut note = |name: &'static str, bytes: Vec<u8>| {
            sizes.push((name, bytes.len()));
            bytes
        };
        let pair = enrol_with(&Phone::new(1), &mut rng, &mut note).unwrap();
        let how = Refresh { new_pin: pin, ..KEEP_PIN };
        refresh_with(&pair, how, &mut rng.clone(), &mut rng, &mut note).unwrap();
        sizes
    };
    assert_eq!(sizes(1, PIN), sizes(2, "830915273645"));
}
