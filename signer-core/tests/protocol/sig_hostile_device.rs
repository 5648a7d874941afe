//! A device that departs from fetch and approve: one outcome, nothing signed.

use signer_core::{
    codec::{self, Blob, List},
    ids::{Epoch, KeyId, RequestId},
    signing::ApproveRefusal::{self, Malformed, RecordMismatch, RecordSignature, RecordTime, Stale},
    suite::Commitment,
    time::UnixSeconds,
    wire::{Approve, ApproveItem, ApprovePayload, Fetch},
};

use crate::common::*;

struct Case {
    pair: Pair,
    phone: Phone,
    object: signer_core::approval::RequestObject,
    approve: Approve,
}

impl Case {
    fn new(count: usize) -> Self {
        let (pair, phone, object) = (enrol(1), Phone::new(1), request(count, 0));
        let (approve, _) = approve(&pair, &phone, &object, PIN, &mut Stream::new(2));
        Self { pair, phone, object, approve }
    }

    /// The outcomes of a changed payload: with the gate MAC as it was, and with the MAC of a device that knows its PIN.
    fn changed(&self, change: impl Fn(&mut ApprovePayload)) -> [Outcome; 2] {
        let mut payload = payload(&self.approve);
        change(&mut payload);
        let plain = repack(&self.phone, &payload);
        remac(&self.pair, &self.object, &mut payload);
        let knowing = repack(&self.phone, &payload);
        [plain, knowing].map(|approve| outcome(&self.pair, &self.phone, &self.object, &approve))
    }

    fn items(&self, change: impl Fn(&mut Vec<ApproveItem>)) -> [Outcome; 2] {
        self.changed(|payload| {
            let mut items = payload.items.as_slice().to_vec();
            change(&mut items);
            payload.items = List::new(items).unwrap();
        })
    }

    fn record(&self, change: impl Fn(&mut signer_core::approval::ApprovalRecord)) -> [Outcome; 2] {
        self.changed(|payload| {
            let mut record = record(payload);
            change(&mut record);
            payload.record = Blob::new(record.encode()).unwrap();
        })
    }
}

fn refused(refusal: ApproveRefusal) -> [Outcome; 2] {
    [Outcome::Refused(refusal), Outcome::Refused(refusal)]
}

fn is_signed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Signed(_))
}

/// The second hand-written gate MAC agrees with the first: so the tests below mean what they say.
#[test]
fn sig_010_an_unchanged_payload_is_signed_under_either_mac() {
    let case = Case::new(2);
    assert!(case.changed(|_| {}).iter().all(is_signed));
}

#[test]
fn sig_011_no_byte_of_an_approve_may_change() {
    let case = Case::new(1);
    let bytes = case.approve.payload.as_slice();
    for at in positions(bytes.len(), 1000) {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        let same_signature = Approve {
            payload: Blob::new(flipped.clone()).unwrap(),
            record_signature: case.approve.record_signature,
        };
        let mut outcomes = vec![outcome(&case.pair, &case.phone, &case.object, &same_signature)];
        if let Ok(payload) = codec::decode::<ApprovePayload>(&flipped, 1 << 20) {
            outcomes.push(outcome(&case.pair, &case.phone, &case.object, &repack(&case.phone, &payload)));
        }
        for outcome in outcomes {
            assert!(matches!(outcome, Outcome::Refused(_) | Outcome::WrongPin), "byte {at}: {outcome:?}");
        }
    }
    for at in 0..64 {
        let mut signature = case.approve.record_signature;
        signature.0[at] ^= 1;
        let approve = Approve { payload: case.approve.payload.clone(), record_signature: signature };
        assert_eq!(
            outcome(&case.pair, &case.phone, &case.object, &approve),
            Outcome::Refused(RecordSignature)
        );
    }
}

#[test]
fn sig_012_each_field_has_its_refusal() {
    let case = Case::new(2);
    assert_eq!(case.changed(|payload| payload.key = KeyId::from_bytes([0; 16])), refused(RecordMismatch));
    assert_eq!(case.changed(|payload| payload.epoch = Epoch(1)), refused(Stale));
    assert_eq!(case.changed(|payload| payload.fetched_at = NOW.plus(1)), refused(Stale));
    assert_eq!(case.changed(|payload| payload.fetched_at = NOW.minus(1)), refused(Stale));
    assert_eq!(case.changed(|payload| payload.fetched_at = NOW.plus(21)), refused(Stale), "later than now");
    assert_eq!(case.changed(|payload| payload.fetched_at = UnixSeconds(0)), refused(Stale));
    assert_eq!(case.changed(|payload| payload.record = Blob::new(vec![0x80]).unwrap()), refused(Malformed));
    let [plain, knowing] = case.changed(|payload| payload.mac = [0; 32]);
    assert_eq!(plain, Outcome::WrongPin);
    assert!(is_signed(&knowing));
    // Which token is presented is judged by the server's service; here it is only covered by the gate.
    let [plain, knowing] = case.changed(|payload| payload.token = token(2));
    assert_eq!(plain, Outcome::WrongPin);
    assert!(is_signed(&knowing));
}

#[test]
fn sig_013_a_wrong_contribution_is_cheating_with_the_gate_and_a_wrong_pin_without() {
    let case = Case::new(2);
    let outcomes = case.items(|items| items[1].contribution = other_contribution(&items[1].contribution));
    assert_eq!(outcomes, [Outcome::WrongPin, Outcome::Cheating]);
    let outcomes = case.items(|items| {
        let first = items[0].contribution.clone();
        items[0].contribution = std::mem::replace(&mut items[1].contribution, first);
    });
    assert_eq!(outcomes, [Outcome::WrongPin, Outcome::Cheating]);
    for bad in bad_contributions() {
        let outcomes = case.items(|items| items[0].contribution = bad.clone());
        assert_eq!(outcomes, refused(Malformed), "refused before an attempt is counted");
    }
}

/// Pitfall 33: a loop that tests one item N times.
#[test]
fn sig_014_one_bad_item_of_32_is_found_at_every_position() {
    let case = Case::new(32);
    for at in 0..32 {
        let mut payload = payload(&case.approve);
        let mut items = payload.items.as_slice().to_vec();
        items[at].contribution = other_contribution(&items[at].contribution);
        payload.items = List::new(items).unwrap();
        remac(&case.pair, &case.object, &mut payload);
        let approve = repack(&case.phone, &payload);
        assert_eq!(
            outcome(&case.pair, &case.phone, &case.object, &approve),
            Outcome::Cheating,
            "position {at}"
        );
    }
}

#[test]
fn sig_015_a_wrong_echo_of_a_server_commitment_is_stale_and_uncounted() {
    let case = Case::new(3);
    let mut rng = Stream::new(9);
    let (_, other) = fetch(&case.pair, &case.object, &mut rng);
    let other_answer = answer(&case.pair, &case.object, &other);
    let foreign = other_answer.commitments.as_slice()[0].clone();
    assert_eq!(case.items(|items| items[0].server = foreign.clone()), refused(Stale));
    let ours = other.commitments.as_slice()[0].clone();
    assert_eq!(
        case.items(|items| items[0].device = ours.clone()),
        refused(Stale),
        "another device commitment"
    );
    let both = |items: &mut Vec<ApproveItem>| {
        items[0].device = ours.clone();
        items[0].server = foreign.clone();
    };
    assert_eq!(case.items(both), refused(Stale), "good ones, but of another fetch");
    assert_eq!(case.items(|items| items[0].server = Commitment::new(Vec::new()).unwrap()), refused(Stale));
    for bad in bad_device_commitments() {
        assert_eq!(case.items(|items| items[2].device = bad.clone()), refused(Malformed));
    }
    for bad in bad_server_commitments() {
        assert_eq!(case.items(|items| items[2].server = bad.clone()), refused(Stale));
    }
}

#[test]
fn sig_016_items_have_their_places() {
    let case = Case::new(3);
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        assert_eq!(case.items(|items| items.swap(one, other)), refused(Stale));
        assert_eq!(case.items(|items| items[one] = items[other].clone()), refused(Stale));
    }
    assert_eq!(case.items(|items| drop(items.pop())), refused(Malformed));
    assert_eq!(case.items(|items| items.push(items[0].clone())), refused(Malformed));
}

#[test]
fn sig_017_a_record_that_is_not_the_request_is_refused() {
    let case = Case::new(2);
    assert_eq!(case.record(|record| record.request = request(2, 1)), refused(RecordMismatch));
    assert_eq!(case.record(|record| record.request.expires = NOW.plus(301)), refused(RecordMismatch));
    assert_eq!(
        case.record(|record| record.request.request = RequestId::from_bytes([0; 16])),
        refused(RecordMismatch)
    );
    assert_eq!(case.record(|record| record.request.version = 2), refused(RecordMismatch));
    assert_eq!(case.record(|record| record.device = Phone::new(2).id()), refused(RecordMismatch));
    assert_eq!(case.record(|record| record.key = KeyId::from_bytes([0; 16])), refused(RecordMismatch));
    for (swap, count) in [(true, 2), (false, 1)] {
        let outcomes = case.record(|record| {
            let mut documents = record.request.documents.as_slice().to_vec();
            if swap {
                documents.swap(0, 1);
            }
            documents.truncate(count);
            record.request.documents = List::new(documents).unwrap();
        });
        assert_eq!(outcomes, refused(RecordMismatch));
    }
}

#[test]
fn sig_018_a_record_signed_by_another_key_is_refused() {
    let case = Case::new(1);
    let foreign = repack(&Phone::new(2), &payload(&case.approve));
    assert_eq!(outcome(&case.pair, &case.phone, &case.object, &foreign), Outcome::Refused(RecordSignature));
    // And so is a right one at another installation's door.
    assert_eq!(
        outcome(&case.pair, &Phone::new(2), &case.object, &case.approve),
        Outcome::Refused(RecordSignature)
    );
}

#[test]
fn sig_019_approval_times_have_bounds() {
    let case = Case::new(1);
    // Evaluated at NOW + 20, fetched at NOW.
    let at = |time: UnixSeconds| case.record(|record| record.approved_at = time)[1].clone();
    for (time, good) in [
        (NOW.minus(300), true),
        (NOW.minus(301), false),
        (NOW.plus(320), true),
        (NOW.plus(321), false),
        (UnixSeconds(0), false),
        (UnixSeconds(u64::MAX), false),
    ] {
        let outcome = at(time);
        assert_eq!(is_signed(&outcome), good, "{time:?}");
        assert!(good || outcome == Outcome::Refused(RecordTime));
    }
    let at = |now| check(&case.pair, &case.phone, &case.object, &case.approve, now).err();
    assert_eq!(at(NOW.plus(600)), None);
    assert_eq!(at(NOW.plus(601)), Some(Stale));
    assert_eq!(at(NOW.minus(1)), Some(Stale), "answered before it was fetched");
}

#[test]
fn sig_020_an_approve_is_for_one_key_one_epoch_one_device_one_request() {
    let case = Case::new(1);
    let other_key = enrol(2);
    let newer = refresh(&case.pair, &mut Stream::new(4));
    let other_device = enrol_with(&Phone::new(2), &mut Stream::new(5), &mut honest).unwrap();
    for pair in [&other_key, &newer, &other_device] {
        let outcome = outcome(pair, &case.phone, &case.object, &case.approve);
        assert!(matches!(outcome, Outcome::Refused(RecordMismatch | Stale)), "{outcome:?}");
    }
    for object in [request(1, 1), request(2, 0)] {
        let outcome = outcome(&case.pair, &case.phone, &object, &case.approve);
        assert_eq!(outcome, Outcome::Refused(RecordMismatch));
    }
}

/// One receipt and one gate MAC cover the batch: parts of two approves do not mix, even when both were right.
#[test]
fn sig_021_items_of_two_good_approves_do_not_mix() {
    let case = Case::new(2);
    let (second, _) = approve(&case.pair, &case.phone, &case.object, PIN, &mut Stream::new(11));
    let second = payload(&second).items;
    assert_eq!(case.items(|items| items[1] = second.as_slice()[1].clone()), refused(Stale));
}

#[test]
fn sig_022_no_byte_of_a_fetch_gives_a_commitment_for_another() {
    let (pair, object) = (enrol(1), request(1, 0));
    let (_, good) = fetch(&pair, &object, &mut Stream::new(2));
    let truth = answer(&pair, &object, &good);
    let bytes = codec::encode(&good);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let Ok(changed) = codec::decode::<Fetch>(&flipped, 4096) else { continue };
        let answer = signer_core::signing::answer_fetch(
            &pair.server(),
            pair.context,
            pair.public_key,
            object.clone(),
            &changed,
            NOW,
        );
        assert!(answer.is_err() || answer.unwrap().commitments != truth.commitments, "byte {at}");
    }
}
