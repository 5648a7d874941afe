//! Tests by requirement: `tru_nnn_…` proves TRU-NNN of `spec/trust.md`. Whom a verifier trusts, and since when.

use alloc::{string::String, vec, vec::Vec};

use p256::ecdsa::{SigningKey, VerifyingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    codec::{self, Label},
    credential::{
        DocumentType,
        cose::{self, Sign1},
        tests::{NOW, issuer, key},
    },
    time::UnixSeconds,
};

pub(crate) fn root() -> SigningKey {
    key(0x71)
}

pub(crate) fn next_root() -> SigningKey {
    key(0x72)
}

pub(crate) fn list_key() -> SigningKey {
    key(0x12)
}

pub(crate) fn business_issuer() -> SigningKey {
    key(0x14)
}

pub(crate) fn other_issuer() -> SigningKey {
    key(0x51)
}

pub(crate) fn other_list_key() -> SigningKey {
    key(0x52)
}

pub(crate) fn entry(issuer: u32, key_use: KeyUse, key: &SigningKey, document_types: &[u32]) -> TrustedKey {
    TrustedKey {
        issuer: IssuerId(issuer),
        key_use,
        key: *key.verifying_key(),
        document_types: document_types.to_vec(),
        not_before: UnixSeconds(1_790_000_000),
        not_after: UnixSeconds(1_800_000_000),
    }
}

fn named(id: u32, name: &str, uri: &str) -> Issuer {
    let name = Label::new(name.into()).unwrap();
    Issuer { id: IssuerId(id), name, status_uri: StatusUri::new(uri).unwrap() }
}

pub(crate) fn issuers() -> Vec<Issuer> {
    vec![
        named(1, "Державна служба", "https://signer.example/status/v1/lists"),
        named(7, "City", "https://city.example/lists"),
    ]
}

pub(crate) fn keys() -> Vec<TrustedKey> {
    vec![
        entry(1, KeyUse::Credentials, &issuer(), &[1, 2]),
        entry(1, KeyUse::StatusLists, &list_key(), &[]),
        entry(1, KeyUse::Answers, &key(0x13), &[]),
        entry(1, KeyUse::Businesses, &business_issuer(), &[]),
        entry(7, KeyUse::Credentials, &other_issuer(), &[1]),
        entry(7, KeyUse::StatusLists, &other_list_key(), &[]),
    ]
}

pub(crate) fn points(keys: &[SigningKey]) -> Vec<VerifyingKey> {
    keys.iter().map(|key| *key.verifying_key()).collect()
}

pub(crate) fn made(
    number: u64,
    issued: UnixSeconds,
    life: Life,
    keys: Vec<TrustedKey>,
    roots: &[SigningKey],
) -> TrustList {
    TrustList::new(number, issued, life, issuers(), keys, points(roots)).unwrap()
}

/// Number 5, an hour old, under [`root`].
pub(crate) fn list() -> TrustList {
    made(5, NOW.minus(3600), Life::Standard, keys(), &[root()])
}

pub(crate) fn signed(list: &TrustList, root: &SigningKey) -> Vec<u8> {
    list.prepare(root.verifying_key()).unwrap().sign(root).unwrap()
}

fn pinned() -> Vec<VerifyingKey> {
    points(&[root()])
}

fn numbered(number: u64, roots: &[SigningKey]) -> TrustList {
    made(number, NOW, Life::Standard, keys(), roots)
}

fn believed(bytes: &[u8]) -> Result<TrustList, &'static str> {
    SignedTrustList::verify(bytes, &pinned())
        .map(|signed| signed.list().clone())
        .map_err(TrustListError::code)
}

/// An envelope around any payload.
fn sealed(payload: Vec<u8>, root: &SigningKey) -> Vec<u8> {
    let signature = cose::sign(root, &cose::sig_structure(b"DQ1/trust-list", &payload));
    codec::encode(&Sign1 { kid: Some(crate::credential::Kid::of(root.verifying_key())), payload, signature })
}

#[test]
fn tru_001_what_the_root_signed_is_what_is_believed() {
    let bytes = signed(&list(), &root());
    assert_eq!(believed(&bytes), Ok(list()));
    let kept = SignedTrustList::verify(&bytes, &pinned()).unwrap();
    assert_eq!((kept.as_bytes(), kept.root()), (&bytes[..], root().verifying_key()));
}

#[test]
fn tru_002_one_list_has_one_encoding() {
    let bytes = signed(&list(), &root());
    let payload = codec::encode(&list());
    assert!(believed(&sealed(payload.clone(), &root())).is_ok());
    let (head, rest) = payload.split_at(1);
    for (why, bad) in [
        ("indefinite", [&[0xBF], rest, &[0xFF]].concat()),
        ("seventh entry", [&[0xA7], rest, &[7, 0]].concat()),
        ("number in two bytes", [head, &[1, 0x18, 5], &rest[2..]].concat()),
        ("life of a week", {
            let life = [3, 0x1A, 0x00, 0x01, 0x6D, 0xA0];
            let at = payload.windows(6).position(|window| window == life).unwrap();
            [&payload[..at], &[3, 0x1A, 0x00, 0x09, 0x3A, 0x80], &payload[at + 6..]].concat()
        }),
        ("bytes after the end", [&payload[..], &[0]].concat()),
    ] {
        assert_eq!(believed(&sealed(bad, &root())), Err("malformed"), "{why}");
    }
    // Issuers the other way round: the same entries in another order.
    let mut other = list();
    other.issuers.reverse();
    assert_eq!(believed(&sealed(codec::encode(&other), &root())), Err("malformed"), "order of issuers");
    let mut other = list();
    other.keys.swap(0, 1);
    assert_eq!(believed(&sealed(codec::encode(&other), &root())), Err("malformed"), "order of keys");
    for (why, bad) in
        [("tag", [&[0xD2], &bytes[..]].concat()), ("more", [&bytes[..], &[0]].concat()), ("nothing", vec![])]
    {
        assert_eq!(believed(&bad), Err("malformed"), "{why}");
    }
    assert_eq!(believed(&vec![0; TRUST_LIST_BYTES_MAX + 1]), Err("malformed"), "too long");
}

#[test]
fn tru_003_entries_that_contradict_each_other_are_no_list() {
    let try_keys =
        |keys: Vec<TrustedKey>| TrustList::new(1, NOW, Life::Standard, issuers(), keys, pinned()).map(|_| ());
    assert_eq!(try_keys(keys()), Ok(()));
    let with = |more: TrustedKey| try_keys([keys(), vec![more]].concat());
    let fresh = key(0x61);
    for (why, fault, entry) in [
        ("two uses", TrustListFault::Repeated, entry(1, KeyUse::StatusLists, &issuer(), &[])),
        ("two issuers", TrustListFault::Repeated, entry(7, KeyUse::Credentials, &issuer(), &[1])),
        ("a root", TrustListFault::Repeated, entry(1, KeyUse::StatusLists, &root(), &[])),
        ("nobody's", TrustListFault::Key, entry(2, KeyUse::StatusLists, &fresh, &[])),
        ("no kinds", TrustListFault::Key, entry(1, KeyUse::Credentials, &fresh, &[])),
        ("kinds for lists", TrustListFault::Key, entry(1, KeyUse::StatusLists, &fresh, &[1])),
        ("a kind twice", TrustListFault::Key, entry(1, KeyUse::Credentials, &fresh, &[1, 1])),
        (
            "never",
            TrustListFault::Key,
            TrustedKey { not_before: NOW, not_after: NOW, ..entry(1, KeyUse::Answers, &fresh, &[]) },
        ),
        (
            "out of range",
            TrustListFault::Number,
            TrustedKey { not_after: UnixSeconds(1 << 53), ..entry(1, KeyUse::Answers, &fresh, &[]) },
        ),
    ] {
        assert_eq!(with(entry), Err(fault), "{why}");
    }
    let try_issuers = |issuers| TrustList::new(1, NOW, Life::Standard, issuers, vec![], pinned()).map(|_| ());
    let one = issuers()[0].clone();
    assert_eq!(
        try_issuers(vec![one.clone(), Issuer { id: IssuerId(2), ..one.clone() }]),
        Err(TrustListFault::Issuers)
    );
    assert_eq!(try_issuers(vec![Issuer { id: IssuerId(0), ..one }]), Err(TrustListFault::Issuers));
    let try_roots = |roots| TrustList::new(1, NOW, Life::Standard, issuers(), vec![], roots).map(|_| ());
    assert_eq!(try_roots(vec![]), Err(TrustListFault::Roots));
    assert_eq!(try_roots(points(&[root(), root()])), Err(TrustListFault::Roots));
    assert_eq!(
        try_roots((1..=9).map(|seed| *key(seed).verifying_key()).collect()),
        Err(TrustListFault::Roots)
    );
    for bad in [
        "",
        "ftp://a",
        "https://",
        "https:///a",
        "https://a/",
        "https://a?b",
        "https://a#b",
        "https://a b",
        "https://ж",
    ] {
        assert_eq!(StatusUri::new(bad), None, "{bad}");
    }
}

#[test]
fn tru_004_only_a_believed_root_signs() {
    assert_eq!(believed(&signed(&list(), &next_root())), Err("unknown_root"));
    let bytes = signed(&list(), &root());
    assert_eq!(
        SignedTrustList::verify(&bytes, &[]).map_err(TrustListError::code).map(|_| ()),
        Err("unknown_root")
    );
    let twin = Sign1 {
        kid: Some(crate::credential::Kid::of(root().verifying_key())),
        ..codec::decode(&signed(&list(), &next_root()), TRUST_LIST_BYTES_MAX).unwrap()
    };
    assert_eq!(
        believed(&codec::encode(&twin)),
        Err("bad_signature"),
        "another's signature under the root's kid"
    );
    let mut high = codec::decode::<Sign1>(&bytes, TRUST_LIST_BYTES_MAX).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&high.signature).unwrap();
    high.signature =
        p256::ecdsa::Signature::from_scalars(signature.r(), -signature.s()).unwrap().to_bytes().into();
    assert_eq!(believed(&codec::encode(&high)), Err("bad_signature"), "high s");
    let aad =
        Sign1 { signature: cose::sign(&root(), &cose::sig_structure(b"DQ1/issuer", &high.payload)), ..high };
    assert_eq!(believed(&codec::encode(&aad)), Err("bad_signature"), "a signature made for something else");
}

#[test]
fn tru_004_every_flipped_bit_is_refused() {
    let bytes = signed(&made(5, NOW, Life::Standard, vec![], &[root()]), &root());
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(believed(&wrong).is_err(), "bit {bit}");
    }
    for end in 0..bytes.len() {
        assert!(believed(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn tru_005_an_older_list_is_never_believed_again() {
    let old = signed(&numbered(4, &[root()]), &root());
    let mut kept = SignedTrustList::verify(&signed(&list(), &root()), &pinned()).unwrap();
    assert_eq!(kept.update(&old, &pinned()), Err(TrustListError::Older { seen: 5, got: 4 }));
    assert_eq!(kept.update(&signed(&list(), &root()), &pinned()), Ok(false), "the same again");
    assert_eq!(
        kept.update(&signed(&numbered(5, &[root()]), &root()), &pinned()),
        Err(TrustListError::Conflict)
    );
    assert_eq!(kept.list(), &list(), "nothing changed");
    assert_eq!(kept.update(&signed(&numbered(6, &[root()]), &root()), &pinned()), Ok(true));
    assert_eq!(kept.list().number(), 6);
}

#[test]
fn tru_006_a_list_names_the_roots_of_the_next() {
    let rotated = signed(&numbered(6, &[next_root()]), &root());
    let after = signed(&numbered(7, &[next_root()]), &next_root());
    let mut kept = SignedTrustList::verify(&signed(&list(), &root()), &pinned()).unwrap();
    assert_eq!(kept.update(&after, &pinned()), Err(TrustListError::UnknownRoot), "not named yet");
    assert_eq!(kept.update(&rotated, &pinned()), Ok(true));
    assert_eq!(kept.update(&after, &pinned()), Ok(true));
    assert_eq!(kept.root(), next_root().verifying_key());
    let reread = SignedTrustList::verify(kept.as_bytes(), &[*kept.root()]).unwrap();
    assert_eq!(reread, kept, "what is kept is read again under the root kept with it");
    assert_eq!(
        kept.update(&signed(&numbered(8, &[root()]), &root()), &pinned()),
        Ok(true),
        "the pinned root stays"
    );
}

#[test]
fn tru_007_a_list_is_old_after_seven_days() {
    let list = numbered(1, &[root()]);
    assert!(!list.is_old(NOW.plus(7 * 86_400 - 1)) && list.is_old(NOW.plus(7 * 86_400)));
}

#[test]
fn tru_008_unknown_kinds_of_document_are_kept_and_mean_nothing() {
    let mut keys = keys();
    keys[0].document_types = vec![2, 300];
    let list = made(9, NOW, Life::Standard, keys, &[root()]);
    assert_eq!(believed(&signed(&list, &root())), Ok(list.clone()));
    let known = list.issuer_keys();
    let of_issuer = known.as_slice().iter().find(|known| known.key == *issuer().verifying_key()).unwrap();
    assert_eq!(of_issuer.document_types, [DocumentType::DrivingLicence]);
}

#[test]
fn tru_009_only_keys_for_credentials_sign_credentials() {
    let known = list().issuer_keys();
    let found: Vec<_> = known.as_slice().iter().map(|key| (key.issuer.0, key.key)).collect();
    let mut expected = vec![(1, *issuer().verifying_key()), (7, *other_issuer().verifying_key())];
    expected.sort_by_key(|(_, key)| key.to_sec1_point(true).as_bytes().to_vec());
    assert_eq!(found, expected);
}

fn view() -> Value {
    serde_json::to_value(list()).unwrap()
}

#[test]
fn tru_010_the_json_view_is_the_list() {
    assert_eq!(serde_json::from_value::<TrustList>(view()).unwrap(), list());
    assert_eq!(view()["emergency"], false);
    let uses: Vec<_> =
        view()["keys"].as_array().unwrap().iter().map(|key| key["use"].as_str().map(String::from)).collect();
    for key_use in ["credentials", "status_lists", "answers", "businesses"] {
        assert!(uses.contains(&Some(key_use.into())), "{key_use}");
    }
    let emergency = made(6, NOW, Life::Emergency, keys(), &[root(), next_root()]);
    assert_eq!(
        serde_json::from_value::<TrustList>(serde_json::to_value(&emergency).unwrap()).unwrap(),
        emergency
    );
}

#[test]
fn tru_011_the_json_view_is_strict() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 8] = [
        ("unknown member", |view| view["extra"] = json!(1)),
        ("unknown member of a key", |view| view["keys"][0]["extra"] = json!(1)),
        ("unknown use", |view| view["keys"][0]["use"] = json!("all")),
        ("uncompressed", |view| view["roots"][0] = json!("BAAA")),
        ("padding", |view| {
            view["roots"][0] = json!(alloc::format!("{}=", view["roots"][0].as_str().unwrap()));
        }),
        ("no address", |view| view["issuers"][0]["status_uri"] = json!("signer.example")),
        ("name over two lines", |view| view["issuers"][0]["name"] = json!("a\nb")),
        ("key of nobody", |view| view["keys"][0]["issuer"] = json!(3)),
    ];
    for (why, change) in changes {
        let mut view = view();
        change(&mut view);
        assert!(serde_json::from_value::<TrustList>(view).is_err(), "{why}");
    }
}

#[test]
fn tru_012_an_offline_root_signs_prepared_bytes() {
    let unsigned = list().prepare(root().verifying_key()).unwrap();
    let signature = cose::sign(&root(), unsigned.to_sign());
    assert_eq!(unsigned.complete(&signature).unwrap(), signed(&list(), &root()));
    let unsigned = list().prepare(root().verifying_key()).unwrap();
    let other = cose::sign(&next_root(), unsigned.to_sign());
    assert!(unsigned.complete(&other).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tru_001_any_sound_list_comes_back(number in 0..1_u64 << 53, issued in 0..1_u64 << 53, emergency: bool,
                                         uses in prop::collection::vec((1..5_u8, 1..4_u32, prop::collection::btree_set(any::<u32>(), 1..4), 0..9_u64), 0..6)) {
        let issuers = (1..4).map(|id| named(id, "Служба", &alloc::format!("https://h/{id}"))).collect();
        let keys = uses.iter().zip(1_u8..).map(|((key_use, issuer, types, from), seed)| {
            let key_use = [KeyUse::Credentials, KeyUse::StatusLists, KeyUse::Answers, KeyUse::Businesses][usize::from(key_use - 1)];
            let types: Vec<u32> = if key_use == KeyUse::Credentials { types.iter().copied().collect() } else { vec![] };
            TrustedKey { not_before: UnixSeconds(*from), ..entry(*issuer, key_use, &key(seed), &types) }
        }).collect();
        let life = if emergency { Life::Emergency } else { Life::Standard };
        let list = TrustList::new(number, UnixSeconds(issued), life, issuers, keys, pinned()).unwrap();
        prop_assert_eq!(believed(&signed(&list, &root())), Ok(list.clone()));
        prop_assert_eq!(serde_json::from_value::<TrustList>(serde_json::to_value(&list).unwrap()).unwrap(), list);
    }

    #[test]
    fn tru_004_arbitrary_bytes_are_never_believed_nor_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(believed(&noise).is_err());
        prop_assert!(believed(&sealed(noise, &root())).is_err());
    }
}
