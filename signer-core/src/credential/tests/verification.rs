//! `spec/vectors/verification.json`: what a verifier without network says, case by case, for every implementation.

use alloc::format;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    trust::{COLLIDING, high_s, seed_bytes},
    *,
};
use crate::{
    codec,
    credential::cose::{self, ISSUER_AAD, Sign1},
    status::{
        Status, StatusList, StatusLists,
        tests::{OTHER_URI, URI, signed_by, with},
    },
    trust::{
        KeyUse, SignedTrustList, TrustList, TrustedKey,
        tests::{
            entry, keys, list, list_key, made, next_root, other_issuer, other_list_key, points, root, signed,
        },
    },
};

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const SHIFTS: [usize; 2] = [1, 22];

struct Case {
    name: &'static str,
    text: String,
    trust: TrustList,
    statuses: Vec<Vec<u8>>,
    options: VerifyOptions,
    expected: (Colour, Reason),
}

/// A code as [`credential`] has it, fresh lists, and what is said of it.
fn case(name: &'static str, colour: Colour, reason: Reason) -> Case {
    Case {
        name,
        text: present(&credential()),
        trust: list(),
        statuses: vec![status(&[], NOW)],
        options: VerifyOptions::at(NOW),
        expected: (colour, reason),
    }
}

fn red(name: &'static str, reason: Reason) -> Case {
    case(name, Colour::Red, reason)
}

/// List 1 of issuer 1, dated with the quarter that holds `now`.
fn status(changes: &[(u32, Status)], now: UnixSeconds) -> Vec<u8> {
    signed_by(&with(changes), URI, 1, now, &list_key())
}

fn trust_with(change: impl FnOnce(&mut Vec<TrustedKey>)) -> TrustList {
    let mut keys = keys();
    change(&mut keys);
    made(6, NOW.minus(60), Life::Standard, keys, &[root()])
}

/// A code that no phone would make: any claims under any issuer's key and hint, any show.
fn forged(claims: &DayClaims, kid: &SigningKey, issuer: &SigningKey, show: &Show) -> String {
    let payload = codec::encode(claims);
    let signature = cose::sign(issuer, &cose::sig_structure(ISSUER_AAD, &payload));
    let element = codec::encode(&Sign1 { kid: Some(Kid::of(kid.verifying_key())), payload, signature });
    let payload = codec::encode(show);
    let signature =
        cose::sign(&day_key(), &cose::sig_structure(&cose::show_aad(&sha256(&element)), &payload));
    show::text(&[&[0x82], &element[..], &codec::encode(&Sign1 { kid: None, payload, signature })].concat())
}

fn licence() -> DayClaims {
    claims(record().full(&salt()))
}

fn at(now: UnixSeconds) -> VerifyOptions {
    VerifyOptions::at(now)
}

fn accepted() -> Vec<Case> {
    let (today, amber) = (Date::of(NOW).unwrap(), Colour::Amber);
    let challenge = Challenge::of(b"request of shop A");
    let green = |name| case(name, Colour::Green, Reason::Valid);
    let shown = |document| present(&claims(document).sign(&issuer()).unwrap());
    let answer = Show { challenge: Some(challenge), ..show_at(Step::at(NOW)) };
    let late = NOW.plus(60 * 3600);
    let emergency = made(6, late.minus(60), Life::Emergency, keys(), &[root()]);
    let twins = COLLIDING.map(|seed| SigningKey::from_slice(&seed_bytes(seed)).unwrap());
    let two =
        trust_with(|keys| keys.extend(twins.each_ref().map(|key| entry(1, KeyUse::Credentials, key, &[2]))));
    let vehicles = trust_with(|keys| keys[0].document_types.push(3));
    let vehicle = || Document::Vehicle(vehicle());
    let custody = DayClaims::new(NOW, *day_key().verifying_key(), STATUS, vehicle(), true);
    let custody = present(&custody.sign(&issuer()).unwrap());
    vec![
        green("full"),
        Case { text: shown(record().minimal(today).unwrap()), ..green("minimal") },
        Case { text: shown(record().age(today, &[18], &salt()).unwrap()), ..green("age") },
        Case { options: at(NOW.minus(30)), ..green("30 s before its step") },
        Case { options: at(NOW.plus(209)), ..green("30 s after its last second") },
        Case {
            text: present_show(&credential(), &answer),
            options: VerifyOptions { expected_challenge: Some(challenge), ..at(NOW) },
            ..green("an answer to the verifier's request")
        },
        Case {
            text: present_show(
                &credential(),
                &Show { turn: Turn::try_from(15).unwrap(), ..show_at(Step::at(NOW)) },
            ),
            ..green("turn 15")
        },
        Case { text: custody.clone(), trust: vehicles.clone(), ..green("vehicle, held by a server") },
        Case { text: shown(vehicle()), trust: vehicles.clone(), ..green("vehicle, in a phone") },
        Case {
            text: custody,
            trust: vehicles,
            statuses: vec![],
            ..case("vehicle, no status list", amber, Reason::WithdrawalsNotChecked)
        },
        Case {
            text: forged(&licence(), &twins[0], &twins[0], &show_at(Step::at(NOW))),
            trust: two.clone(),
            ..green("first of two keys under one kid")
        },
        Case {
            text: forged(&licence(), &twins[1], &twins[1], &show_at(Step::at(NOW))),
            trust: two,
            ..green("second of two keys under one kid")
        },
        Case {
            statuses: vec![
                status(&[(STATUS.index - 1, Status::Revoked), (STATUS.index + 1, Status::Suspended)], NOW),
                signed_by(&with(&[(STATUS.index, Status::Revoked)]), OTHER_URI, 1, NOW, &other_list_key()),
                signed_by(&with(&[(STATUS.index, Status::Revoked)]), URI, 2, NOW, &list_key()),
            ],
            ..green("neighbours, another issuer's list and another list withdrawn")
        },
        Case {
            options: VerifyOptions { clock_floor: NOW.plus(30), ..at(NOW) },
            ..green("clock floor within the grace")
        },
        Case {
            text: forged(&licence(), &issuer(), &issuer(), &show_at(Step::at(late))),
            trust: emergency,
            statuses: vec![status(&[], late)],
            options: at(late),
            ..green("emergency life")
        },
        Case { statuses: vec![], ..case("no status list", amber, Reason::WithdrawalsNotChecked) },
        Case {
            statuses: vec![status(&[], NOW.minus(1800))],
            ..case("status list before the credential", amber, Reason::ListOld)
        },
        Case {
            text: forged(&licence(), &issuer(), &issuer(), &show_at(Step::at(NOW.plus(86_400)))),
            options: at(NOW.plus(86_400)),
            ..case("status list a day old", amber, Reason::ListOld)
        },
        Case {
            trust: made(5, NOW.minus(7 * 86_400), Life::Standard, keys(), &[root()]),
            ..case("trust list seven days old", amber, Reason::TrustListOld)
        },
        Case {
            trust: made(5, NOW.minus(7 * 86_400), Life::Standard, keys(), &[root()]),
            statuses: vec![],
            ..case("trust list seven days old and no status list", amber, Reason::TrustListOld)
        },
    ]
}

fn malformed() -> Vec<Case> {
    let good = present(&credential());
    let unreadable = |name, text: String| Case { text, ..red(name, Reason::Unreadable) };
    let not_ours = |name, text: &str| Case { text: text.into(), ..red(name, Reason::NotOurs) };
    let token = bytes(&good);
    vec![
        not_ours("empty", ""),
        not_ours("an address", "https://example.org/"),
        not_ours("a request", &good.replacen("DQ1:", "DR1:", 1)),
        not_ours("lower case", &good.to_lowercase()),
        unreadable("nothing after the prefix", "DQ1:".into()),
        unreadable("cut", good[..good.len() - 1].into()),
        unreadable("over 600 characters", format!("{good}{}", "0".repeat(TEXT_MAX))),
        unreadable("line feed at the end", format!("{good}\n")),
        unreadable("group of base45 over its bytes", "DQ1:GGW".into()),
        unreadable("bytes after the end", show::text(&[&token[..], &[0]].concat())),
        unreadable("array of two in two bytes", show::text(&[&[0x98, 2], &token[1..]].concat())),
        unreadable("indefinite array", show::text(&[&[0x9F], &token[1..], &[0xFF]].concat())),
    ]
}

fn untrusted() -> Vec<Case> {
    let (stranger, now) = (key(0x55), show_at(Step::at(NOW)));
    let unknown = |name, text| Case { text, ..red(name, Reason::UnknownIssuer) };
    let wrong = |name, text| Case { text, ..red(name, Reason::BadSignature) };
    let good = present(&credential());
    let issuer_end = |_: &[u8]| credential().as_bytes().len() + 1 - 64;
    let device_end = |token: &[u8]| token.len() - 64;
    let mut other_show = bytes(&good);
    let last = other_show.len() - 1;
    other_show[last] ^= 1;
    let none_before = trust_with(|keys| keys[0].not_before = UnixSeconds(NOW.0 + 3600));
    let ended = trust_with(|keys| keys[0].not_after = NOW.hour());
    let removed = trust_with(|keys| drop(keys.remove(0)));
    let moved = trust_with(|keys| (keys[0].key_use, keys[0].document_types) = (KeyUse::StatusLists, vec![]));
    vec![
        unknown("issuer not on the list", forged(&licence(), &stranger, &stranger, &now)),
        unknown("right key under a kid of nobody", forged(&licence(), &stranger, &issuer(), &now)),
        unknown(
            "issuer of identity cards signs a licence",
            forged(&licence(), &other_issuer(), &other_issuer(), &now),
        ),
        unknown("key for lists signs a credential", forged(&licence(), &list_key(), &list_key(), &now)),
        unknown("root signs a credential", forged(&licence(), &root(), &root(), &now)),
        Case {
            text: present(&claims(Document::Vehicle(vehicle())).sign(&issuer()).unwrap()),
            ..red("issuer of a person's documents signs a vehicle", Reason::UnknownIssuer)
        },
        Case { trust: removed, ..red("key removed by a newer list", Reason::UnknownIssuer) },
        Case { trust: moved, ..red("key moved to another use", Reason::UnknownIssuer) },
        Case { trust: none_before, ..red("key not yet valid", Reason::UnknownIssuer) },
        Case { trust: ended, ..red("key no longer valid", Reason::UnknownIssuer) },
        wrong("stranger's signature under the issuer's kid", forged(&licence(), &issuer(), &stranger, &now)),
        wrong("high s of the issuer", high_s(&good, issuer_end)),
        wrong("high s of the phone", high_s(&good, device_end)),
        wrong("last bit of the phone's signature", show::text(&other_show)),
    ]
}

fn out_of_time() -> Vec<Case> {
    let clock = |name, options| Case { options, ..red(name, Reason::Clock) };
    let end = NOW.hour().plus(LIFE_SECONDS);
    let at_end = forged(&licence(), &issuer(), &issuer(), &show_at(Step::at(end)));
    let ended =
        |last: &str| claims(DocumentRecord { expires: last.parse().unwrap(), ..record() }.full(&salt()));
    let far = Show { step: Step(Step::at(NOW).0 + 2), ..show_at(Step::at(NOW)) };
    let emergency = made(6, NOW.minus(60), Life::Emergency, keys(), &[root()]);
    let very_late = NOW.hour().plus(72 * 3600);
    vec![
        clock("31 s early", at(NOW.minus(31))),
        clock("31 s late", at(NOW.plus(210))),
        Case { text: forged(&licence(), &issuer(), &issuer(), &far), ..clock("two steps ahead", at(NOW)) },
        clock("clock floor beyond the grace", VerifyOptions { clock_floor: NOW.plus(31), ..at(NOW) }),
        Case {
            trust: made(5, NOW.plus(31), Life::Standard, keys(), &[root()]),
            ..clock("clock before the trust list", at(NOW))
        },
        Case { statuses: vec![status(&[], NOW.plus(900))], ..clock("clock before the status list", at(NOW)) },
        Case {
            trust: made(5, NOW.minus(7200), Life::Standard, keys(), &[root()]),
            statuses: vec![],
            ..clock("clock before the credential", at(NOW.hour().minus(31)))
        },
        Case { text: at_end, options: at(end), ..red("26 hours over", Reason::Expired) },
        Case {
            text: forged(&licence(), &issuer(), &issuer(), &show_at(Step::at(very_late))),
            trust: emergency,
            options: at(very_late),
            ..red("72 hours over in an emergency", Reason::Expired)
        },
        Case {
            text: present(&ended("2026-11-19").sign(&issuer()).unwrap()),
            ..red("document ended yesterday", Reason::DocumentExpired)
        },
        Case {
            text: present(&ended("2026-11-20").sign(&issuer()).unwrap()),
            ..case("document ends today", Colour::Green, Reason::Valid)
        },
    ]
}

fn refused() -> Vec<Case> {
    let (asked, other) = (Challenge::of(b"request of shop A"), Challenge::of(b"request of shop B"));
    let answer = present_show(&credential(), &Show { challenge: Some(asked), ..show_at(Step::at(NOW)) });
    let expecting = |challenge| VerifyOptions { expected_challenge: challenge, ..at(NOW) };
    let custody = DayClaims::new(NOW, *day_key().verifying_key(), STATUS, record().full(&salt()), true);
    let other_request = |name| red(name, Reason::NotForThisRequest);
    let wide = trust_with(|keys| keys[4].document_types = vec![1, 2]);
    vec![
        Case { options: expecting(Some(asked)), ..other_request("no answer to the request") },
        Case {
            text: answer.clone(),
            options: expecting(Some(other)),
            ..other_request("an answer to another request")
        },
        Case { text: answer, ..other_request("an answer nobody asked for") },
        Case {
            text: present(&custody.sign(&issuer()).unwrap()),
            ..red("a person's document, held by a server", Reason::HeldByServer)
        },
        Case {
            statuses: vec![status(&[(STATUS.index, Status::Revoked)], NOW)],
            ..red("revoked", Reason::Revoked)
        },
        Case {
            statuses: vec![status(&[(STATUS.index, Status::Suspended)], NOW)],
            ..red("suspended", Reason::Suspended)
        },
        Case {
            statuses: vec![status(&[(STATUS.index, Status::Revoked)], NOW.minus(90_000))],
            ..red("revoked by an old list", Reason::Revoked)
        },
        Case {
            text: forged(&licence(), &other_issuer(), &other_issuer(), &show_at(Step::at(NOW))),
            trust: wide,
            statuses: vec![
                status(&[], NOW),
                signed_by(&with(&[(STATUS.index, Status::Revoked)]), OTHER_URI, 1, NOW, &other_list_key()),
            ],
            ..red("revoked by its own issuer's list of the same number", Reason::Revoked)
        },
    ]
}

fn code(case: &Case) -> Value {
    let signed = signed(&case.trust, &root());
    let trust = SignedTrustList::verify(&signed, &points(&[root()])).unwrap();
    let mut statuses = StatusLists::default();
    for bytes in &case.statuses {
        statuses.add(StatusList::verify(bytes, trust.list()).unwrap()).unwrap();
    }
    let (result, _) = verify_offline(&case.text, trust.list(), &statuses, &case.options);
    assert_eq!((result.result, result.reason), case.expected, "{}", case.name);
    json!({
        "name": case.name,
        "text": case.text,
        "trust_list": hex(&signed),
        "root": hex(root().verifying_key().to_sec1_point(true).as_bytes()),
        "status_lists": case.statuses.iter().map(|bytes| hex(bytes)).collect::<Vec<_>>(),
        "now": case.options.now,
        "clock_floor": case.options.clock_floor,
        "expected_challenge": case.options.expected_challenge,
        "expected": result,
    })
}

fn trust_lists() -> Vec<Value> {
    let (roots, both) = ([root()], [root(), next_root()]);
    let numbered =
        |number, roots: &[SigningKey]| made(number, NOW.minus(3600), Life::Standard, keys(), roots);
    let (first, other) =
        (signed(&list(), &root()), signed(&made(5, NOW, Life::Standard, keys(), &roots), &root()));
    let mut twin = codec::decode::<Sign1>(&signed(&list(), &next_root()), 1 << 18).unwrap();
    twin.kid = Some(Kid::of(root().verifying_key()));
    let mut cut = first.clone();
    cut.pop();
    let rotated = signed(&numbered(6, &[next_root()]), &root());
    [
        ("first", None, first.clone(), "accepted"),
        ("the same again", Some(&first), first.clone(), "accepted"),
        ("a higher number", Some(&first), signed(&numbered(6, &roots), &root()), "accepted"),
        ("a lower number", Some(&first), signed(&numbered(4, &roots), &root()), "older"),
        ("the same number with other bytes", Some(&first), other, "conflict"),
        ("another root", None, signed(&list(), &next_root()), "unknown_root"),
        ("another root's signature under the root's kid", None, codec::encode(&twin), "bad_signature"),
        (
            "a root that the newest list names",
            Some(&rotated),
            signed(&numbered(7, &[next_root()]), &next_root()),
            "accepted",
        ),
        (
            "the pinned root after a rotation",
            Some(&rotated),
            signed(&numbered(7, &both), &root()),
            "accepted",
        ),
        (
            "a root that no list has named",
            Some(&first),
            signed(&numbered(7, &both), &next_root()),
            "unknown_root",
        ),
        ("cut", None, cut, "malformed"),
        ("emergency", None, signed(&made(6, NOW, Life::Emergency, keys(), &roots), &root()), "accepted"),
    ]
    .into_iter()
    .map(|(name, seen, bytes, expected)| {
        let pinned = points(&roots);
        let outcome = match seen {
            None => SignedTrustList::verify(&bytes, &pinned).map(|_| ()),
            Some(seen) => SignedTrustList::verify(seen, &pinned).unwrap().update(&bytes, &pinned).map(|_| ()),
        };
        assert_eq!(outcome.map_or_else(|error| error.code(), |()| "accepted"), expected, "{name}");
        let believed =
            SignedTrustList::verify(&bytes, &points(&both)).ok().filter(|_| expected == "accepted");
        json!({
            "name": name,
            "pinned": [hex(root().verifying_key().to_sec1_point(true).as_bytes())],
            "seen": seen.map(|bytes| hex(bytes)),
            "list": hex(&bytes),
            "expected": expected,
            "content": believed.map(|signed| signed.list().clone()),
        })
    })
    .collect()
}

fn status_lists() -> Vec<Value> {
    let withdrawn = [(0, Status::Revoked), (5, Status::Suspended), (1_048_575, Status::Revoked)];
    let (good, none) = (status(&withdrawn, NOW), with(&[]));
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let other = signed_by(&none, URI, 1, NOW, &other_list_key());
    let later = status(&[], NOW.plus(900));
    let worse = status(
        &[(0, Status::Revoked), (1, Status::Revoked), (5, Status::Revoked), (1_048_575, Status::Revoked)],
        NOW,
    );
    [
        ("withdrawn entries", None, good.clone(), "accepted"),
        ("of the same date, and nothing is taken back", Some(&good), worse.clone(), "accepted"),
        ("of the same date, and a withdrawal is taken back", Some(&worse), good.clone(), "conflict"),
        ("an older state", Some(&later), good.clone(), "older"),
        ("a newer state", Some(&good), later.clone(), "accepted"),
        ("no tag", None, good[1..].to_vec(), "malformed"),
        ("bytes after the end", None, [&good[..], &[0]].concat(), "malformed"),
        ("signature", None, flipped, "bad_signature"),
        ("another issuer's key for lists", None, other, "unknown_issuer"),
        ("an address of nobody", None, signed_by(&none, "https://nobody.example", 1, NOW, &list_key()), "unknown_issuer"),
        ("a key for credentials", None, signed_by(&none, URI, 1, NOW, &issuer()), "unknown_issuer"),
        ("a byte too many when inflated", None, crate::status::tests::of_size(262_145), "malformed"),
        ("8 MiB when inflated", None, crate::status::tests::of_size(8 << 20), "malformed"),
    ]
    .into_iter()
    .map(|(name, seen, bytes, expected)| {
        let mut kept = StatusLists::default();
        if let Some(bytes) = seen {
            kept.add(StatusList::verify(bytes, &list()).unwrap()).unwrap();
        }
        let read = StatusList::verify(&bytes, &list());
        let outcome = read.clone().and_then(|list| kept.add(list));
        assert_eq!(outcome.map_or_else(|error| error.code(), |()| "accepted"), expected, "{name}");
        let content = read.ok().filter(|_| expected == "accepted").map(|list| {
            let statuses = [0, 1, 5, 1_048_575].map(|index| (index, format!("{:?}", list.status(index).unwrap()).to_lowercase()));
            json!({ "issuer": list.issuer(), "number": list.number(), "issued": list.issued(), "statuses": statuses })
        });
        json!({
            "name": name,
            "trust_list": hex(&signed(&list(), &root())),
            "seen": seen.map(|bytes| hex(bytes)),
            "list": hex(&bytes),
            "expected": expected,
            "content": content,
        })
    })
    .collect()
}

fn mutated(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).flat_map(move |at| {
        let place = ALPHABET.find(&text[at..=at]).unwrap();
        SHIFTS.map(|shift| {
            let new = &ALPHABET[(place + shift) % 45..][..1];
            format!("{}{new}{}", &text[..at], &text[at + 1..])
        })
    })
}

fn vectors() -> Value {
    let codes = [accepted(), malformed(), untrusted(), out_of_time(), refused()];
    json!({
        "about": "What a verifier without network says, from fixed keys. Bytes in hexadecimal. A trust list counts under its root, status lists under the trust list. `expected` of a code is the whole result; of a list its stable code. Every text of `mutations` (each character replaced by those `shifts` places further in the alphabet) is red.",
        "codes": codes.iter().flatten().map(code).collect::<Vec<_>>(),
        "trust_lists": trust_lists(),
        "status_lists": status_lists(),
        "requests": request::vectors(),
        "mutations": {
            "text": present(&credential()),
            "trust_list": hex(&signed(&list(), &root())),
            "status_lists": [hex(&status(&[], NOW))],
            "now": NOW,
            "alphabet": ALPHABET,
            "shifts": SHIFTS,
        },
    })
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/verification.json")
}

#[test]
fn tru_050_shared_vectors_hold() {
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if env::var_os("UPDATE_VECTORS").is_some() {
        fs::write(path(), &made).unwrap();
    }
    assert!(fs::read_to_string(path()).unwrap() == made, "a changed vector is a changed format");
}

#[test]
fn tru_051_every_offline_reason_is_in_the_shared_vectors() {
    let file = fs::read_to_string(path()).unwrap();
    for reason in [
        "valid",
        "withdrawals_not_checked",
        "list_old",
        "trust_list_old",
        "unreadable",
        "not_ours",
        "unknown_issuer",
        "bad_signature",
        "clock",
        "expired",
        "document_expired",
        "not_for_this_request",
        "held_by_server",
        "revoked",
        "suspended",
    ] {
        assert!(file.contains(&format!("\"reason\": \"{reason}\"")), "{reason}");
    }
}

#[test]
fn tru_052_every_mutation_is_red() {
    let mut statuses = StatusLists::default();
    statuses.add(StatusList::verify(&status(&[], NOW), &list()).unwrap()).unwrap();
    let (good, mut count) = (present(&credential()), 0);
    for text in mutated(&good) {
        let (result, _) = verify_offline(&text, &list(), &statuses, &at(NOW));
        assert_eq!(result.result, Colour::Red, "{text}");
        count += 1;
    }
    assert!(count >= 402, "{count}");
    assert_eq!(verify_offline(&good, &list(), &statuses, &at(NOW)).0.reason, Reason::Valid);
}
