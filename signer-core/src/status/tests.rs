//! Tests by requirement: `tru_nnn_…` proves TRU-NNN of `spec/trust.md`. What is withdrawn, and since when that is known.

use alloc::{vec, vec::Vec};

use p256::ecdsa::SigningKey;
use proptest::prelude::*;

use super::{
    bits::{Status, Statuses},
    envelope::{PROTECTED, StatusClaims, StatusEnvelope},
    *,
};
use crate::{
    codec,
    credential::{
        Colour, Kid, Note, Reason, Refusal, Show, VerificationResult, VerifyOptions,
        cose::{self, Sign1},
        tests::{NOW, STATUS, claims, day_key, issuer, present_show, record, salt, show_at},
        verify_offline,
    },
    time::UnixSeconds,
    trust::{
        IssuerId, KeyUse, Life, StatusUri, TrustList,
        tests::{entry, keys, list, list_key, made, other_issuer, other_list_key, root},
    },
};

pub(crate) const URI: &str = "https://signer.example/status/v1/lists";
pub(crate) const OTHER_URI: &str = "https://city.example/lists";

fn quarter(time: UnixSeconds) -> UnixSeconds {
    UnixSeconds(time.0 - time.0 % 900)
}

pub(crate) fn with(changes: &[(u32, Status)]) -> Statuses {
    let mut statuses = Statuses::default();
    for (index, status) in changes {
        assert!(statuses.set(*index, *status));
    }
    statuses
}

/// List 1 of issuer 1.
pub(crate) fn signed(statuses: &Statuses, now: UnixSeconds) -> Vec<u8> {
    signed_by(statuses, URI, 1, now, &list_key())
}

pub(crate) fn signed_by(
    statuses: &Statuses,
    uri: &str,
    number: u32,
    now: UnixSeconds,
    key: &SigningKey,
) -> Vec<u8> {
    statuses.prepare(&StatusUri::new(uri).unwrap(), number, now, key.verifying_key()).sign(key).unwrap()
}

fn read(bytes: &[u8]) -> Result<StatusList, StatusListError> {
    StatusList::verify(bytes, &list())
}

fn sealed(payload: Vec<u8>) -> Vec<u8> {
    let signature = cose::sign(&list_key(), &cose::sig_structure_under(PROTECTED, &[], &payload));
    StatusEnvelope::encode(Sign1 { kid: Some(Kid::of(list_key().verifying_key())), payload, signature })
}

fn claims_with(zlib: Vec<u8>) -> Vec<u8> {
    codec::encode(&StatusClaims { uri: alloc::format!("{URI}/1"), issued: quarter(NOW), zlib })
}

/// Signed, and of another size when inflated.
pub(crate) fn of_size(length: usize) -> Vec<u8> {
    sealed(claims_with(miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; length], 9)))
}

fn lists(all: &[Vec<u8>]) -> StatusLists {
    let mut lists = StatusLists::default();
    all.iter().for_each(|bytes| lists.add(read(bytes).unwrap()).unwrap());
    lists
}

fn result(
    lists: &StatusLists,
    trust: &TrustList,
    now: UnixSeconds,
    issuer: &SigningKey,
) -> VerificationResult {
    let credential = claims(record().age(crate::credential::Date::of(NOW).unwrap(), &[18], &salt()).unwrap());
    let credential = credential.sign(issuer).unwrap();
    let show = Show { step: crate::credential::Step::at(now), ..show_at(crate::credential::Step::at(NOW)) };
    let text = if now == NOW {
        present_show(&credential, &show)
    } else {
        let unsigned = credential
            .prepare_under(&show, now, crate::credential::StepRule::STANDARD, Life::Emergency)
            .unwrap();
        let signature = cose::sign(&day_key(), unsigned.to_sign());
        unsigned.complete(&signature).unwrap().as_str().into()
    };
    verify_offline(&text, trust, lists, &VerifyOptions::at(now)).0
}

fn told(lists: &StatusLists) -> (Colour, Reason) {
    let result = result(lists, &list(), NOW, &issuer());
    (result.result, result.reason)
}

#[test]
fn tru_020_what_is_set_is_read() {
    let statuses = with(&[(0, Status::Revoked), (3, Status::Suspended), (ENTRIES - 1, Status::Revoked)]);
    let list = read(&signed(&statuses, NOW)).unwrap();
    assert_eq!((list.issuer(), list.number(), list.issued()), (IssuerId(1), 1, quarter(NOW)));
    for (index, status) in [
        (0, Status::Revoked),
        (1, Status::Valid),
        (3, Status::Suspended),
        (4, Status::Valid),
        (ENTRIES - 1, Status::Revoked),
    ] {
        assert_eq!((list.status(index), statuses.get(index)), (Some(status), Some(status)), "{index}");
    }
    assert_eq!((list.status(ENTRIES), statuses.get(ENTRIES)), (None, None));
    assert!(!Statuses::default().set(ENTRIES, Status::Revoked));
    let mut back = statuses;
    assert!(back.set(0, Status::Valid) && back.get(0) == Some(Status::Valid));
}

#[test]
fn tru_021_bytes_are_those_of_the_draft() {
    use coset::{CborSerializable as _, CoseSign1, TaggedCborSerializable as _, cbor::Value};
    use p256::ecdsa::{Signature, signature::Verifier as _};
    let bytes = signed(&with(&[(0, Status::Revoked), (5, Status::Suspended)]), NOW);
    let envelope = CoseSign1::from_tagged_slice(&bytes).unwrap();
    let header = &envelope.protected.header;
    assert_eq!(header.alg, Some(coset::Algorithm::Assigned(coset::iana::Algorithm::ES256)));
    assert_eq!(header.rest, [(coset::Label::Int(16), "application/statuslist+cwt".into())]);
    assert_eq!(envelope.unprotected.key_id, Kid::of(list_key().verifying_key()).0);
    let verified = envelope.verify_signature(b"", |signature, message| {
        list_key().verifying_key().verify(message, &Signature::from_slice(signature).unwrap())
    });
    assert!(verified.is_ok());
    let claims: Vec<_> = Value::from_slice(&envelope.payload.unwrap()).unwrap().into_map().unwrap();
    let keys: Vec<_> = claims.iter().map(|(key, _)| i128::from(key.as_integer().unwrap())).collect();
    assert_eq!(keys, [2, 4, 6, 65_533, 65_534]);
    assert_eq!(claims[0].1.as_text().unwrap(), alloc::format!("{URI}/1"));
    let numbers = [1, 2, 4].map(|place: usize| i128::from(claims[place].1.as_integer().unwrap()));
    assert_eq!(numbers, [quarter(NOW).0 + 86_400, quarter(NOW).0, 900].map(i128::from));
    let lst = claims[3].1.as_map().unwrap();
    assert_eq!((lst[0].0.as_text(), lst[1].0.as_text()), (Some("lst"), Some("bits")));
    let inflated = miniz_oxide::inflate::decompress_to_vec_zlib(lst[0].1.as_bytes().unwrap()).unwrap();
    assert_eq!((inflated.len(), &inflated[..3]), (262_144, &[0b01, 0b1000, 0][..]), "lowest bits first");
}

#[test]
fn tru_022_a_list_of_another_size_is_refused_and_never_inflated_beyond_it() {
    assert!(read(&of_size(262_144)).is_ok());
    for length in [0, 1, 262_143, 262_145, 64 << 20] {
        assert_eq!(read(&of_size(length)), Err(StatusListError::Malformed), "{length}");
    }
    let good = Statuses::default().deflate();
    let mut sum = good.clone();
    *sum.last_mut().unwrap() ^= 1;
    for (why, bad) in [
        ("bytes after the end", [&good[..], &[0]].concat()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("checksum", sum),
        ("empty", vec![]),
        ("not zlib", vec![0x1F, 0x8B, 8]),
    ] {
        assert_eq!(read(&sealed(claims_with(bad))), Err(StatusListError::Malformed), "{why}");
    }
}

#[test]
fn tru_023_other_encodings_and_other_times_are_refused() {
    let payload = codec::encode(&StatusClaims {
        uri: alloc::format!("{URI}/1"),
        issued: quarter(NOW),
        zlib: Statuses::default().deflate(),
    });
    assert!(read(&sealed(payload.clone())).is_ok());
    let replaced = |from: &[u8], to: &[u8]| {
        let at = payload.windows(from.len()).position(|window| window == from).unwrap();
        [&payload[..at], to, &payload[at + from.len()..]].concat()
    };
    let time = |key: u8, time: u64| [&[key, 0x1A][..], &u32::try_from(time).unwrap().to_be_bytes()].concat();
    let issued = quarter(NOW).0;
    for (why, bad) in [
        ("another life", replaced(&time(4, issued + 86_400), &time(4, issued + 86_401))),
        ("not a quarter", {
            let shifted = replaced(&time(4, issued + 86_400), &time(4, issued + 86_460));
            let at = shifted.windows(6).position(|window| window == time(6, issued)).unwrap();
            [&shifted[..at], &time(6, issued + 60), &shifted[at + 6..]].concat()
        }),
        ("other bits", replaced(b"\x64bits\x02", b"\x64bits\x01")),
        ("other ttl", replaced(&[0x19, 0xFF, 0xFE, 0x19, 0x03, 0x84], &[0x19, 0xFF, 0xFE, 0x19, 0x03, 0x85])),
        ("more", [&payload[..], &[0]].concat()),
    ] {
        assert_eq!(read(&sealed(bad)), Err(StatusListError::Malformed), "{why}");
    }
    let bytes = signed(&Statuses::default(), NOW);
    for (why, bad) in [
        ("no tag", bytes[1..].to_vec()),
        ("another tag", [&[0xD1], &bytes[1..]].concat()),
        ("more", [&bytes[..], &[0]].concat()),
    ] {
        assert_eq!(read(&bad), Err(StatusListError::Malformed), "{why}");
    }
    for (base, number) in
        [(URI, "01"), (URI, "+1"), (URI, "4294967296"), (URI, ""), ("https://signer.example", "1")]
    {
        let claims = StatusClaims {
            uri: alloc::format!("{base}/{number}"),
            issued: quarter(NOW),
            zlib: Statuses::default().deflate(),
        };
        assert_eq!(
            read(&sealed(codec::encode(&claims))),
            Err(StatusListError::UnknownIssuer),
            "{base}/{number}"
        );
    }
}

#[test]
fn tru_024_a_list_is_signed_by_its_own_issuers_key_for_lists() {
    let none = Statuses::default();
    assert_eq!(
        read(&signed_by(&none, OTHER_URI, 1, NOW, &other_list_key())).map(|list| list.issuer()),
        Ok(IssuerId(7))
    );
    for (why, key) in [
        ("another issuer's key for lists", other_list_key()),
        ("the issuer's key for credentials", issuer()),
        ("the root", root()),
    ] {
        assert_eq!(read(&signed_by(&none, URI, 1, NOW, &key)), Err(StatusListError::UnknownIssuer), "{why}");
    }
    assert_eq!(
        read(&signed_by(&none, URI, 1, UnixSeconds(1_800_000_001), &list_key())),
        Err(StatusListError::UnknownIssuer),
        "after the key's time"
    );
    let mut bytes = signed(&none, NOW);
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    assert_eq!(read(&bytes), Err(StatusListError::BadSignature));
}

#[test]
fn tru_025_a_withdrawn_credential_is_red_without_network() {
    for (status, reason) in [(Status::Revoked, Reason::Revoked), (Status::Suspended, Reason::Suspended)] {
        let fresh = signed(&with(&[(STATUS.index, status)]), NOW);
        assert_eq!(told(&lists(&[fresh])), (Colour::Red, reason));
        let old = signed(&with(&[(STATUS.index, status)]), NOW.minus(90_000));
        assert_eq!(told(&lists(&[old])), (Colour::Red, reason), "in an old list too");
    }
    let neighbours = with(&[(STATUS.index - 1, Status::Revoked), (STATUS.index + 1, Status::Suspended)]);
    assert_eq!(told(&lists(&[signed(&neighbours, NOW)])), (Colour::Green, Reason::Valid));
}

#[test]
fn tru_026_a_fresh_list_makes_offline_green_and_names_its_time() {
    let result = result(&lists(&[signed(&Statuses::default(), NOW)]), &list(), NOW, &issuer());
    assert_eq!((result.result, result.reason), (Colour::Green, Reason::Valid));
    assert_eq!(result.withdrawals_known_to, Some(quarter(NOW)));
    assert_eq!(result.notes, [Note::CopyNotExcluded, Note::PhotoNotChecked]);
}

#[test]
fn tru_027_without_a_fresh_list_offline_is_amber() {
    let result_of = |all: &[Vec<u8>]| result(&lists(all), &list(), NOW, &issuer());
    let none = Statuses::default();
    let missing = result_of(&[signed_by(&none, URI, 2, NOW, &list_key())]);
    assert_eq!((missing.result, missing.reason), (Colour::Amber, Reason::WithdrawalsNotChecked));
    assert_eq!(missing.notes, [Note::CopyNotExcluded, Note::PhotoNotChecked, Note::WithdrawalsNotChecked]);
    assert_eq!(missing.withdrawals_known_to, None);
    // The credential is of 10:00.
    for age in [900 + 900, 86_400 + 900] {
        let issued = quarter(NOW.minus(age));
        let old = result_of(&[signed(&none, issued)]);
        assert_eq!((old.result, old.reason), (Colour::Amber, Reason::ListOld), "{age}");
        assert_eq!(old.notes, [Note::CopyNotExcluded, Note::PhotoNotChecked, Note::StatusListOld]);
        assert_eq!(old.withdrawals_known_to, Some(issued));
    }
    let at_the_hour = result_of(&[signed(&none, NOW.hour())]);
    assert_eq!(at_the_hour.result, Colour::Green, "not older than the credential");
    let (fresh, age) = (lists(&[signed(&none, NOW)]), quarter(NOW).plus(86_400));
    let trust = list();
    assert_eq!(result(&fresh, &trust, UnixSeconds(age.0 - 1), &issuer()).reason, Reason::Valid);
    assert_eq!(result(&fresh, &trust, age, &issuer()).reason, Reason::ListOld, "a day old to the second");
}

#[test]
fn tru_028_an_old_trust_list_makes_offline_amber() {
    let old = made(5, NOW.minus(7 * 86_400), Life::Standard, keys(), &[root()]);
    let result = result(&lists(&[signed(&Statuses::default(), NOW)]), &old, NOW, &issuer());
    assert_eq!((result.result, result.reason), (Colour::Amber, Reason::TrustListOld));
    assert_eq!(result.notes, [Note::CopyNotExcluded, Note::PhotoNotChecked, Note::TrustListOld]);
}

#[test]
fn tru_029_an_older_state_of_a_list_never_takes_the_place_of_a_newer() {
    let (old, new) = (Statuses::default(), with(&[(STATUS.index, Status::Revoked)]));
    let mut kept = lists(&[signed(&new, NOW)]);
    let older = read(&signed(&old, NOW.minus(900))).unwrap();
    assert_eq!(kept.add(older), Err(StatusListError::Older));
    assert_eq!(told(&kept), (Colour::Red, Reason::Revoked));
    assert_eq!(kept.add(read(&signed(&new, NOW.plus(900))).unwrap()), Ok(()));
}

#[test]
fn tru_070_a_list_of_the_same_date_is_taken_if_it_takes_nothing_back() {
    let state = |entries: &[(u32, Status)]| read(&signed(&with(entries), NOW)).unwrap();
    let (revoked, suspended) = ((STATUS.index, Status::Revoked), (STATUS.index, Status::Suspended));
    let other = (STATUS.index + 1, Status::Suspended);
    for (seen, next, taken) in [
        (vec![revoked, other], vec![revoked, other], true),
        (vec![], vec![suspended], true),
        (vec![suspended], vec![revoked, other], true),
        (vec![revoked], vec![], false),
        (vec![revoked], vec![suspended], false),
        (vec![suspended], vec![], false),
        (vec![revoked], vec![other], false),
    ] {
        let mut kept = lists(&[]);
        kept.add(state(&seen)).unwrap();
        let outcome = kept.add(state(&next));
        assert_eq!(outcome, if taken { Ok(()) } else { Err(StatusListError::Conflict) }, "{seen:?} {next:?}");
        let status = if taken { &next } else { &seen };
        let expected = status.iter().find(|(index, _)| *index == STATUS.index).map(|(_, status)| status);
        assert_eq!(
            told(&kept).1,
            match expected {
                Some(Status::Revoked) => Reason::Revoked,
                Some(Status::Suspended) => Reason::Suspended,
                _ => Reason::Valid,
            }
        );
        // A later date takes back what it likes.
        assert_eq!(kept.add(read(&signed(&with(&[]), NOW.plus(900))).unwrap()), Ok(()));
    }
}

#[test]
fn tru_030_lists_of_two_issuers_with_one_number_are_kept_apart() {
    let revoked = with(&[(STATUS.index, Status::Revoked)]);
    let all = [signed(&Statuses::default(), NOW), signed_by(&revoked, OTHER_URI, 1, NOW, &other_list_key())];
    assert_eq!(told(&lists(&all)), (Colour::Green, Reason::Valid));
    let mut trust = keys();
    trust[4].document_types = vec![1, 2];
    let trust = made(6, NOW.minus(3600), Life::Standard, trust, &[root()]);
    assert_eq!(result(&lists(&all), &trust, NOW, &other_issuer()).reason, Reason::Revoked);
}

#[test]
fn tru_031_lists_of_a_removed_key_are_dropped() {
    // A stolen key has dated a list ahead, so that no true one follows it.
    let mut kept = lists(&[signed(&Statuses::default(), NOW.plus(900_000))]);
    assert_eq!(kept.clock_floor(), quarter(NOW.plus(900_000)));
    let fresh = crate::credential::tests::key(0x62);
    let mut keys: Vec<_> = keys();
    keys[1] = entry(1, KeyUse::StatusLists, &fresh, &[]);
    let newer = made(6, NOW, Life::Standard, keys, &[root()]);
    kept.retain_trusted(&list());
    assert_eq!(kept.iter().count(), 1);
    kept.retain_trusted(&newer);
    assert_eq!((kept.iter().count(), kept.clock_floor()), (0, UnixSeconds(0)));
    let true_list =
        StatusList::verify(&signed_by(&Statuses::default(), URI, 1, NOW, &fresh), &newer).unwrap();
    assert_eq!(kept.add(true_list), Ok(()));
}

#[test]
fn tru_032_dates_of_lists_raise_the_clock_floor() {
    let refused = |lists: &StatusLists, trust: &TrustList| result(lists, trust, NOW, &issuer()).sentence;
    let behind = "The clock of this verifier is at least";
    let ahead = lists(&[signed(&Statuses::default(), NOW.plus(900))]);
    assert!(refused(&ahead, &list()).starts_with(behind));
    let trust = |issued| made(5, issued, Life::Standard, keys(), &[root()]);
    assert!(refused(&StatusLists::default(), &trust(NOW.plus(31))).starts_with(behind));
    assert!(!refused(&StatusLists::default(), &trust(NOW.plus(30))).starts_with(behind), "within the grace");
}

#[test]
fn tru_033_a_removed_key_signs_no_more_and_a_next_key_signs_from_its_time() {
    let without: Vec<_> = keys().into_iter().filter(|entry| entry.key != *issuer().verifying_key()).collect();
    let removed = made(6, NOW.minus(60), Life::Standard, without, &[root()]);
    assert_eq!(result(&StatusLists::default(), &removed, NOW, &issuer()).reason, Reason::UnknownIssuer);
    let mut next = keys();
    next[0].not_before = UnixSeconds(NOW.0 + 3600);
    let next = made(6, NOW.minus(60), Life::Standard, next, &[root()]);
    assert_eq!(result(&StatusLists::default(), &next, NOW, &issuer()).reason, Reason::UnknownIssuer);
}

#[test]
fn tru_034_a_key_signs_only_its_kinds_and_its_use() {
    // Issuer 7 signs identity cards, not licences; a key for lists signs no credential.
    for key in [other_issuer(), list_key(), root()] {
        assert_eq!(result(&StatusLists::default(), &list(), NOW, &key).reason, Reason::UnknownIssuer);
    }
}

#[test]
fn tru_035_the_trust_list_gives_the_life() {
    let later = NOW.plus(60 * 3600);
    let standard = made(6, later.minus(60), Life::Standard, keys(), &[root()]);
    assert_eq!(result(&StatusLists::default(), &standard, later, &issuer()).reason, Reason::Expired);
    let emergency = made(6, later.minus(60), Life::Emergency, keys(), &[root()]);
    let accepted = result(&lists(&[signed(&Statuses::default(), later)]), &emergency, later, &issuer());
    assert_eq!((accepted.result, accepted.reason), (Colour::Green, Reason::Valid));
    assert_eq!(accepted.notes, [Note::CopyNotExcluded, Note::PhotoNotChecked, Note::EmergencyLife]);
    let over = NOW.hour().plus(72 * 3600);
    let at_the_end = UnixSeconds(over.0 - 1);
    assert_ne!(result(&StatusLists::default(), &emergency, at_the_end, &issuer()).reason, Reason::Expired);
    assert!(matches!(Refusal::Expired.reason(), Reason::Expired));
}

#[test]
fn tru_036_debug_names_no_index() {
    let list = read(&signed(&with(&[(STATUS.index, Status::Revoked)]), NOW)).unwrap();
    let shown = alloc::format!("{list:?} {:?}", Statuses::default());
    assert_eq!(shown, "StatusList(IssuerId(1), 1, 1 revoked, 0 suspended) Statuses(1048576 entries)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn tru_020_any_statuses_come_back(changes in prop::collection::btree_map(0..ENTRIES, 1..3_u8, 0..200)) {
        let changes: Vec<_> = changes.into_iter().map(|(index, bits)| (index, if bits == 1 { Status::Revoked } else { Status::Suspended })).collect();
        let list = read(&signed(&with(&changes), NOW)).unwrap();
        for (index, status) in &changes {
            prop_assert_eq!(list.status(*index), Some(*status));
        }
        prop_assert_eq!(with(&changes).withdrawn().collect::<Vec<_>>(), changes);
    }

    #[test]
    fn tru_020_statuses_that_do_not_compress_fit(seed: u64) {
        let mut state = seed | 1;
        let mut statuses = Statuses::default();
        for index in 0..ENTRIES {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let status = [Status::Valid, Status::Revoked, Status::Suspended, Status::Valid][usize::try_from(state >> 62).unwrap()];
            statuses.set(index, status);
        }
        let bytes = signed(&statuses, NOW);
        prop_assert!(bytes.len() <= STATUS_LIST_BYTES_MAX);
        let list = read(&bytes).unwrap();
        prop_assert_eq!(list.status(12_345), statuses.get(12_345));
    }

    #[test]
    fn tru_024_arbitrary_bytes_are_never_believed_nor_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&noise).is_err());
        prop_assert!(read(&sealed(noise.clone())).is_err());
        prop_assert!(read(&sealed(claims_with(noise))).is_err());
    }
}
