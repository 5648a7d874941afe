//! No server nonce meets two contributions: over random histories of fetches, approves, crashes, restored backups of either
//! side, refreshes, repeated randomness, changed texts and digests.

use std::collections::HashMap;

use proptest::prelude::*;
use signer_core::{
    codec,
    ids::CeremonyId,
    signing::answer_fetch,
    suite::{Commitment, Contribution},
    time::UnixSeconds,
    wire::{Confirmation, EnrolKeys, Fetch, RefreshConfirm, RefreshKeyed, RefreshKeys},
};

use crate::common::*;

#[derive(Debug, Clone)]
enum Event {
    /// Fetch with a device commitment of the pool, a request of the pool, at a time of the pool.
    Fetch { state: usize, commitments: [usize; 2], variant: u8, count: usize, time: u64 },
    /// A whole signature.
    Sign { state: usize, variant: u8, count: usize, seed: u64 },
    /// A refresh of any state there has been; the server's generator may be one that has been used before.
    Refresh { state: usize, device_seed: u64, server_seed: u64 },
    /// A refresh that is broken off before the end; its shares are lost.
    Broken { state: usize, device_seed: u64, server_seed: u64, at: usize },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (any::<usize>(), any::<[usize; 2]>(), 0u8..3, 1usize..3, 0u64..2).prop_map(
            |(state, commitments, variant, count, time)| Event::Fetch { state, commitments, variant, count, time }
        ),
        2 => (any::<usize>(), 0u8..3, 1usize..3, 0u64..3)
            .prop_map(|(state, variant, count, seed)| Event::Sign { state, variant, count, seed }),
        2 => (any::<usize>(), 0u64..3, 0u64..2)
            .prop_map(|(state, device_seed, server_seed)| Event::Refresh { state, device_seed, server_seed }),
        1 => (any::<usize>(), 0u64..3, 0u64..2, 0usize..4).prop_map(
            |(state, device_seed, server_seed, at)| Event::Broken { state, device_seed, server_seed, at }
        ),
    ]
}

/// What fixes the server's contribution, besides the nonce: its share, the digest, both commitments, the public key.
type Input = (Vec<u8>, [u8; 32], Vec<u8>, Vec<u8>);

#[derive(Default)]
struct Seen {
    /// By each nonce point the server showed, hiding and binding apart.
    points: HashMap<Vec<u8>, Input>,
    /// By the point R of each signature: digest and contribution.
    signatures: HashMap<Vec<u8>, ([u8; 32], Vec<u8>)>,
}

impl Seen {
    fn commitment(&mut self, pair: &Pair, digest: [u8; 32], device: &Commitment, server: &Commitment) {
        let input = (pair.server_share(), digest, device.as_slice().to_vec(), pair.public_key.0.to_vec());
        for point in nonce_points(server) {
            let before = self.points.insert(point, input.clone());
            assert!(before.is_none_or(|before| before == input), "one nonce for two inputs");
        }
    }

    fn signature(&mut self, digest: [u8; 32], contribution: &[u8], signature: &[u8]) {
        let entry = (digest, contribution.to_vec());
        let before = self.signatures.insert(nonce_of(signature), entry.clone());
        assert!(before.is_none_or(|before| before == entry), "one nonce met two contributions");
    }
}

fn pool() -> Vec<Commitment> {
    let pair = enrol(1);
    let (_, fetch) = fetch(&pair, &request(4, 0), &mut Stream::new(40));
    fetch.commitments.into_vec()
}

fn play(events: &[Event]) {
    let phone = Phone::new(1);
    let pool = pool();
    let mut states = vec![enrol(1)];
    let mut seen = Seen::default();
    for event in events {
        match *event {
            Event::Fetch { state, commitments, variant, count, time } => {
                let pair = &states[state % states.len()];
                let object = request(count, variant);
                let chosen = commitments.iter().take(count).map(|i| pool[i % pool.len()].clone()).collect();
                let fetch = Fetch {
                    request: object.request,
                    key: pair.context.key,
                    commitments: codec::List::new(chosen).unwrap(),
                };
                let now = UnixSeconds(NOW.0 + time);
                let fetched =
                    answer_fetch(&pair.server(), pair.context, pair.public_key, object.clone(), &fetch, now)
                        .unwrap();
                let digests = object.documents.as_slice().iter().map(|document| document.digest);
                let both = fetch.commitments.as_slice().iter().zip(fetched.commitments.as_slice());
                for (digest, (device, server)) in digests.zip(both) {
                    seen.commitment(pair, digest, device, server);
                }
            }
            Event::Sign { state, variant, count, seed } => {
                let pair = &states[state % states.len()];
                let object = request(count, variant);
                let (approve, _) = approve(pair, &phone, &object, PIN, &mut Stream::new(50 + seed));
                let Outcome::Signed(signatures) = outcome(pair, &phone, &object, &approve) else { panic!() };
                let payload = payload(&approve);
                for ((document, item), signature) in
                    object.documents.as_slice().iter().zip(payload.items.as_slice()).zip(&signatures)
                {
                    seen.commitment(pair, document.digest, &item.device, &item.server);
                    seen.signature(document.digest, item.contribution.as_slice(), signature.as_slice());
                }
            }
            Event::Refresh { state, device_seed, server_seed } => {
                let old = states[state % states.len()].clone();
                let mut shown = None;
                let mut note = |name: &'static str, bytes: Vec<u8>| {
                    remember(&mut shown, name, &bytes);
                    bytes
                };
                let (mut device, mut server) = (Stream::new(60 + device_seed), Stream::new(70 + server_seed));
                let new = refresh_with(&old, KEEP_PIN, &mut device, &mut server, &mut note).unwrap();
                let shown = shown.unwrap();
                let digest = signer_core::ceremony::statement(
                    &new.context,
                    &new.public_key,
                    &new.device_key,
                    shown.0,
                    None,
                );
                seen.commitment(&new, digest, &shown.1, &shown.2.unwrap());
                seen.signature(digest, shown.3.unwrap().as_slice(), new.proof.as_slice());
                states.push(new);
            }
            Event::Broken { state, device_seed, server_seed, at } => {
                let old = states[state % states.len()].clone();
                let stop = ["RefreshStart", "RefreshKeys", "RefreshKeyed", "RefreshConfirm"][at];
                let mut cut =
                    |name: &'static str, bytes: Vec<u8>| if name == stop { Vec::new() } else { bytes };
                let (mut device, mut server) = (Stream::new(60 + device_seed), Stream::new(70 + server_seed));
                assert!(refresh_with(&old, KEEP_PIN, &mut device, &mut server, &mut cut).is_err());
            }
        }
    }
}

type Shown = (CeremonyId, Commitment, Option<Commitment>, Option<Contribution>);

fn remember(shown: &mut Option<Shown>, name: &str, bytes: &[u8]) {
    match name {
        "RefreshKeys" => {
            let keys: RefreshKeys = codec::decode(bytes, MESSAGE_BYTES_MAX).unwrap();
            *shown = Some((keys.ceremony, keys.commitment, None, None));
        }
        "RefreshKeyed" => {
            let keyed: RefreshKeyed = codec::decode(bytes, MESSAGE_BYTES_MAX).unwrap();
            shown.as_mut().unwrap().2 = Some(keyed.commitment);
        }
        "RefreshConfirm" => {
            let RefreshConfirm(Confirmation { contribution, .. }) =
                codec::decode(bytes, MESSAGE_BYTES_MAX).unwrap();
            shown.as_mut().unwrap().3 = Some(contribution);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if ES256 { 4 } else { 24 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sig_050_no_server_nonce_meets_two_contributions(events in prop::collection::vec(event(), 1..24)) {
        play(&events);
    }
}

/// Two refreshes of one restored server, at the same epoch, with the same randomness on the server's side.
#[test]
fn sig_051_two_refreshes_to_one_epoch_share_no_nonce() {
    let old = enrol(1);
    let attempt = |device: u64, server: u64| {
        refresh_with(&old, KEEP_PIN, &mut Stream::new(device), &mut Stream::new(server), &mut honest).unwrap()
    };
    let object = request(1, 0);
    let (_, fetch) = fetch(&old, &object, &mut Stream::new(5));
    let shown: Vec<_> = [attempt(1, 3), attempt(2, 3), attempt(1, 4)]
        .iter()
        .map(|pair| answer(pair, &object, &fetch).commitments.into_vec())
        .collect();
    assert!(shown[0] != shown[1] && shown[1] != shown[2] && shown[0] != shown[2]);
    assert!(
        attempt(1, 3).server().nonce_key.ct_eq(&attempt(2, 3).server().nonce_key),
        "randomness did repeat"
    );
}

/// Each field that enters the transcript before the nonce changes the nonce.
#[test]
fn sig_052_every_field_before_the_nonce_changes_it() {
    let (pair, object) = (enrol(1), request(2, 0));
    let (_, good) = fetch(&pair, &object, &mut Stream::new(5));
    let ask = |context, object, now| {
        answer_fetch(&pair.server(), context, pair.public_key, object, &good, now)
            .unwrap()
            .commitments
            .into_vec()
    };
    let context = pair.context;
    let mut text = object.clone();
    text.text = codec::Text::new("Кредит № 1".into()).unwrap();
    let mut time = object.clone();
    time.expires = NOW.plus(301);
    let mut name = object.clone();
    name.relying_party.name = codec::Label::new("Another bank".into()).unwrap();
    let all = [
        ask(context, object.clone(), NOW),
        ask(context, object.clone(), NOW.plus(1)),
        ask(context, text, NOW),
        ask(context, time, NOW),
        ask(context, name, NOW),
        ask(
            signer_core::suite::KeyContext { epoch: signer_core::ids::Epoch(1), ..context },
            object.clone(),
            NOW,
        ),
        ask(signer_core::suite::KeyContext { device: Phone::new(2).id(), ..context }, object, NOW),
    ];
    let mut points: Vec<_> = all.iter().flatten().flat_map(nonce_points).collect();
    let count = points.len();
    points.sort_unstable();
    points.dedup();
    let expected = if ES256 { 14 } else { 28 };
    assert_eq!((count, points.len()), (expected, expected));
}

/// An enrolment that is run again from the server's snapshot, with another device commitment.
#[test]
fn sig_053_an_enrolment_from_a_snapshot_has_other_nonces() {
    let answers: Vec<Commitment> = [1_u64, 2]
        .into_iter()
        .map(|fresh| {
            let mut commitment = None;
            let (_, other) = fetch(&enrol(1), &request(1, 0), &mut Stream::new(fresh));
            let _ = enrol_with(&Phone::new(1), &mut Stream::new(9), &mut |name, bytes| match name {
                "EnrolKeys" => {
                    let keys: EnrolKeys = codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
                    codec::encode(&EnrolKeys { commitment: other.commitments.as_slice()[0].clone(), ..keys })
                }
                "EnrolKeyed" => {
                    let keyed: signer_core::wire::EnrolKeyed =
                        codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap();
                    commitment = Some(keyed.commitment);
                    bytes
                }
                _ => bytes,
            });
            commitment.unwrap()
        })
        .collect();
    assert_ne!(answers[0], answers[1]);
}
