//! Who asks, and whether they may.

use alloc::{format, string::ToString};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    codec::{self, Label},
    credential::cose::{self, Sign1},
    trust::{
        KeyUse, TrustList, TrustedKey,
        tests::{business_issuer, keys, list, made, root, signed},
    },
    wire::Profile,
};

const NAME: &str = "Аптека № 7";

fn business_key() -> SigningKey {
    key(0x81)
}

fn business_named(name: &str, id: [u8; 16], expires: UnixSeconds, profiles: &[Profile]) -> BusinessClaims {
    let (from, name) = (NOW.minus(86_400), Label::new(name.into()).unwrap());
    BusinessClaims::new(
        from,
        expires,
        *business_key().verifying_key(),
        name,
        profiles.to_vec(),
        BusinessId(id),
    )
    .unwrap()
}

fn business(profiles: &[Profile]) -> BusinessClaims {
    business_named(NAME, [0x42; 16], NOW.plus(30 * 86_400), profiles)
}

fn credential_of(claims: &BusinessClaims, issuer: &SigningKey) -> BusinessCredential {
    let bytes = claims.prepare(issuer.verifying_key()).sign(issuer).unwrap();
    BusinessCredential::from_bytes(&bytes).unwrap()
}

fn pharmacy() -> BusinessCredential {
    credential_of(&business(&[Profile::Age, Profile::Full]), &business_issuer())
}

fn ask() -> Ask {
    Ask {
        step: Step::at(NOW),
        nonce: [0x99; 16],
        profile: Profile::Full,
        document_type: Some(DocumentType::DrivingLicence),
    }
}

fn asked(credential: &BusinessCredential, ask: &Ask) -> Request {
    credential.request(ask, &business_key()).unwrap()
}

fn read_at(text: &str, trust: &TrustList, now: UnixSeconds) -> Result<VerifiedRequest, RequestRefusal> {
    verify_request(text, trust, now, STANDARD)
}

fn read(text: &str) -> Result<VerifiedRequest, RequestRefusal> {
    read_at(text, &list(), NOW)
}

/// The bytes behind a request's text.
fn token(request: &Request) -> Vec<u8> {
    base45::decode(request.as_str().strip_prefix("DR1:").unwrap()).unwrap()
}

fn text_of(token: &[u8]) -> String {
    ["DR1:", &base45::encode(token)].concat()
}

/// A request under any claims, hint, keys and question.
fn forged(claims: &[u8], kid: &SigningKey, issuer: &SigningKey, ask: &[u8], key: &SigningKey) -> String {
    let payload = claims.to_vec();
    let signature = cose::sign(issuer, &cose::sig_structure(b"DQ1/business", &payload));
    let element = codec::encode(&Sign1 { kid: Some(Kid::of(kid.verifying_key())), payload, signature });
    let aad = [&b"DQ1/request"[..], &sha256(&element)].concat();
    let payload = ask.to_vec();
    let signature = cose::sign(key, &cose::sig_structure(&aad, &payload));
    text_of(&[&[0x82], &element[..], &codec::encode(&Sign1 { kid: None, payload, signature })].concat())
}

#[test]
fn tru_040_a_request_names_the_business_and_what_it_asks() {
    let request = asked(&pharmacy(), &ask());
    assert!(request.as_str().len() <= TEXT_MAX);
    let read = read(request.as_str()).unwrap();
    assert_eq!(
        (read.business().name(), read.business().id(), read.issuer()),
        (NAME, BusinessId([0x42; 16]), ISSUER)
    );
    assert_eq!((*read.ask(), read.challenge()), (ask(), request.challenge()));
    let digest = sha256(&[b"DQ1/req", &token(&request)[..]].concat());
    assert_eq!(request.challenge().0, digest[..16]);
    let unsigned = pharmacy().prepare(&ask());
    let signature = cose::sign(&business_key(), unsigned.to_sign());
    assert_eq!(unsigned.complete(&signature).unwrap(), request);
    assert!(pharmacy().request(&ask(), &day_key()).is_err(), "another key than the credential's");
}

#[test]
fn tru_040_the_longest_name_fits() {
    let claims = business_named(&"Ж".repeat(48), [0x42; 16], NOW.plus(1), &Profile::ALL);
    let request = asked(&credential_of(&claims, &business_issuer()), &ask());
    assert!(
        request.as_str().len() <= TEXT_MAX && read(request.as_str()).is_ok(),
        "{}",
        request.as_str().len()
    );
}

#[test]
fn tru_041_the_answer_is_for_the_business_that_asked() {
    let request = asked(&pharmacy(), &ask());
    let other = asked(&pharmacy(), &Ask { nonce: [0x98; 16], ..ask() });
    let show =
        Show { challenge: Some(read(request.as_str()).unwrap().challenge()), ..show_at(Step::at(NOW)) };
    let answer = present_show(&credential(), &show);
    let check = |expected: &Request| {
        let options =
            VerifyOptions { expected_challenge: Some(expected.challenge()), ..VerifyOptions::at(NOW) };
        verify(&answer, &issuer_keys(), &options).map(|_| ())
    };
    assert_eq!((check(&request), check(&other)), (Ok(()), Err(Refusal::NotForThisRequest)));
    assert_eq!(super::check(&answer), Err(Refusal::NotForThisRequest), "nobody asked");
}

#[test]
fn tru_046_a_code_answers_with_what_was_asked_for() {
    let show = |challenge, step| {
        let show = Show { challenge: Some(challenge), ..show_at(step) };
        let options = VerifyOptions { expected_challenge: Some(challenge), ..VerifyOptions::at(NOW) };
        verify(&present_show(&credential(), &show), &issuer_keys(), &options).unwrap()
    };
    let now = Step::at(NOW);
    let code = show(read(asked(&pharmacy(), &ask()).as_str()).unwrap().challenge(), now);
    let (profile, kind) = (code.document().profile(), code.document().document_type());
    let others = Profile::ALL.into_iter().filter(|other| *other != profile);
    let mut cases = vec![
        (profile, None, 0, true),
        (profile, Some(kind), 0, true),
        (profile, None, 1, true),
        (profile, None, 2, false),
    ];
    cases.extend(others.map(|other| (other, None, 0, false)));
    cases.extend(DocumentType::ALL.iter().map(|other| (profile, Some(*other), 0, *other == kind)));
    for (profile, document_type, earlier, answers) in cases {
        let step = Step(now.0.saturating_sub(earlier));
        let credential = credential_of(
            &business_named(NAME, [0x42; 16], NOW.plus(9_999), &Profile::ALL),
            &business_issuer(),
        );
        let request = asked(&credential, &Ask { step, profile, document_type, ..ask() });
        let request = verify_answered_request(request.as_str(), &list(), NOW, STANDARD).unwrap();
        assert_eq!(
            request.is_answered_by(&show(request.challenge(), now)),
            answers,
            "{profile:?} {document_type:?} {earlier}"
        );
        assert!(!request.is_answered_by(&code), "another challenge");
    }
}

#[test]
fn tru_042_a_request_has_one_encoding() {
    let request = asked(&pharmacy(), &ask());
    let token = token(&request);
    for bad in ["", "DR1", "dr1:A", "DQ1:A", "https://example.org/"] {
        assert_eq!(read(bad), Err(RequestRefusal::NotOurs), "{bad}");
    }
    for (why, bad) in [
        ("more", text_of(&[&token[..], &[0]].concat())),
        ("indefinite", text_of(&[&[0x9F], &token[1..], &[0xFF]].concat())),
        ("only the business", text_of(&[&[0x81], pharmacy().as_bytes()].concat())),
        ("too long", format!("{}{}", request.as_str(), "0".repeat(TEXT_MAX))),
        ("nothing", "DR1:".into()),
    ] {
        assert_eq!(read(&bad), Err(RequestRefusal::Unreadable), "{why}");
    }
    let (claims, question) = (codec::encode(pharmacy().claims()), codec::encode(&ask()));
    let made = |claims: &[u8], ask: &[u8]| {
        forged(claims, &business_issuer(), &business_issuer(), ask, &business_key())
    };
    assert!(read(&made(&claims, &question)).is_ok());
    let replaced = |from: &[u8], to: &[u8]| {
        let at = claims.windows(from.len()).position(|window| window == from).unwrap();
        [&claims[..at], to, &claims[at + from.len()..]].concat()
    };
    for (why, bad) in [
        ("no profile", replaced(&[0x25, 0x82, 0, 2], &[0x25, 0x80])),
        ("profiles out of order", replaced(&[0x25, 0x82, 0, 2], &[0x25, 0x82, 2, 0])),
        ("a profile twice", replaced(&[0x25, 0x82, 0, 2], &[0x25, 0x82, 0, 0])),
        ("unknown profile", replaced(&[0x25, 0x82, 0, 2], &[0x25, 0x82, 0, 3])),
        ("identity of 15", replaced(&[0x26, 0x50, 0x42], &[0x26, 0x4F])),
    ] {
        assert_eq!(read(&made(&bad, &question)), Err(RequestRefusal::Unreadable), "{why}");
    }
    let last = question.len() - 1;
    for (why, bad) in [
        ("unknown profile", [&question[..last - 1], &[3, 2]].concat()),
        ("unknown kind", [&question[..last], &[9]].concat()),
        ("null kind", [&question[..last], &[0xF6]].concat()),
        ("more", [&question[..], &[0]].concat()),
    ] {
        assert_eq!(read(&made(&claims, &bad)), Err(RequestRefusal::Unreadable), "{why}");
    }
}

#[test]
fn tru_042_every_changed_character_is_refused() {
    let alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let text = asked(&pharmacy(), &ask()).to_string();
    for at in 0..text.len() {
        let place = alphabet.find(&text[at..=at]).unwrap();
        let new = &alphabet[(place + 1) % 45..][..1];
        assert!(read(&format!("{}{new}{}", &text[..at], &text[at + 1..])).is_err(), "{at}");
        assert!(read(&text[..at]).is_err(), "{at}");
    }
}

#[test]
fn tru_043_a_business_needs_an_issuer_that_vouches_for_businesses() {
    let by =
        |key: &SigningKey| read(asked(&credential_of(pharmacy().claims(), key), &ask()).as_str()).map(|_| ());
    for stranger in [issuer(), root(), key(0x13), key(0x99)] {
        assert_eq!(by(&stranger), Err(RequestRefusal::UnknownIssuer));
    }
    let (claims, question) = (codec::encode(pharmacy().claims()), codec::encode(&ask()));
    let made = |kid: &SigningKey, issuer: &SigningKey, key: &SigningKey| {
        read(&forged(&claims, kid, issuer, &question, key)).map(|_| ())
    };
    assert_eq!(made(&business_issuer(), &key(0x99), &business_key()), Err(RequestRefusal::BadSignature));
    assert_eq!(made(&business_issuer(), &business_issuer(), &key(0x99)), Err(RequestRefusal::BadSignature));
    let mut ended = keys();
    ended
        .iter_mut()
        .filter(|key| key.key_use == KeyUse::Businesses)
        .for_each(|key: &mut TrustedKey| key.not_after = NOW.minus(90_000));
    let ended = made_list(ended);
    assert_eq!(read_at(asked(&pharmacy(), &ask()).as_str(), &ended, NOW), Err(RequestRefusal::UnknownIssuer));
}

fn made_list(keys: Vec<TrustedKey>) -> TrustList {
    made(6, NOW.minus(60), Life::Standard, keys, &[root()])
}

#[test]
fn tru_044_a_request_lives_like_a_code() {
    let text = asked(&pharmacy(), &ask()).to_string();
    for now in [NOW.minus(30), NOW.plus(209)] {
        assert!(read_at(&text, &list(), now).is_ok());
    }
    assert_eq!(
        read_at(&text, &list(), NOW.plus(210)),
        Err(RequestRefusal::Clock(ClockFault::CodeLate { seconds: 31 }))
    );
    assert_eq!(
        read_at(&text, &list(), NOW.minus(31)),
        Err(RequestRefusal::Clock(ClockFault::CodeEarly { seconds: 31 }))
    );
    let ahead = made(6, NOW.plus(31), Life::Standard, keys(), &[root()]);
    assert_eq!(
        read_at(&text, &ahead, NOW),
        Err(RequestRefusal::Clock(ClockFault::VerifierBehind { seconds: 31 }))
    );
    let ended = business_named(NAME, [0x42; 16], NOW, &Profile::ALL);
    let ended = asked(&credential_of(&ended, &business_issuer()), &ask()).to_string();
    assert_eq!(read(&ended), Err(RequestRefusal::Expired));
}

#[test]
fn tru_045_a_business_asks_only_for_what_it_may() {
    let modest = credential_of(&business(&[Profile::Age]), &business_issuer());
    assert_eq!(read(asked(&modest, &ask()).as_str()), Err(RequestRefusal::NotAllowed));
    assert!(
        read(asked(&modest, &Ask { profile: Profile::Age, document_type: None, ..ask() }).as_str()).is_ok()
    );
    let name = Label::new("a".into()).unwrap();
    let none = |from, to, profiles| {
        BusinessClaims::new(
            from,
            to,
            *business_key().verifying_key(),
            name.clone(),
            profiles,
            BusinessId([0; 16]),
        )
        .is_err()
    };
    assert!(none(NOW, NOW.plus(1), vec![]) && none(NOW, NOW, vec![Profile::Age]));
}

/// The requests of the shared vectors.
pub(super) fn vectors() -> Vec<Value> {
    let good = asked(&pharmacy(), &ask()).to_string();
    let modest = credential_of(&business(&[Profile::Age]), &business_issuer());
    let strange = credential_of(pharmacy().claims(), &issuer());
    let mut changed = base45::decode(good.strip_prefix("DR1:").unwrap()).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    [
        ("full licence", good.clone(), NOW, "accepted"),
        (
            "any document, age",
            asked(&modest, &Ask { profile: Profile::Age, document_type: None, ..ask() }).to_string(),
            NOW,
            "accepted",
        ),
        ("not allowed", asked(&modest, &ask()).to_string(), NOW, "not_allowed"),
        ("vouched for by a key for credentials", asked(&strange, &ask()).to_string(), NOW, "unknown_issuer"),
        ("last bit of the business's signature", text_of(&changed), NOW, "bad_signature"),
        ("31 s late", good.clone(), NOW.plus(210), "clock"),
        ("cut", good[..good.len() - 1].into(), NOW, "unreadable"),
        ("a code", present(&credential()), NOW, "not_ours"),
        ("credential of the business ended", good, NOW.plus(31 * 86_400), "expired"),
    ]
    .into_iter()
    .map(|(name, text, now, expected)| {
        let read = read_at(&text, &list(), now);
        assert_eq!(read.as_ref().map_or_else(|refusal| refusal.code(), |_| "accepted"), expected, "{name}");
        let content = read.ok().map(|request| {
            json!({
                "business": request.business().name(),
                "id": request.business().id(),
                "issuer": request.issuer(),
                "profile": request.ask().profile.name(),
                "document_type": request.ask().document_type,
                "challenge": request.challenge(),
            })
        });
        json!({
            "name": name,
            "text": text,
            "trust_list": hex(&signed(&list(), &root())),
            "now": now,
            "expected": expected,
            "content": content,
        })
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tru_040_what_is_asked_is_what_is_read(name in "[А-ЯЇ][а-яї ]{0,20}", id: [u8; 16], nonce: [u8; 16], profile in 0..3_usize, kind in prop::option::of(0..2_usize)) {
        let claims = business_named(&name, id, NOW.plus(1), &Profile::ALL);
        let credential = credential_of(&claims, &business_issuer());
        prop_assert_eq!(credential.claims(), &claims);
        let ask = Ask { step: Step::at(NOW), nonce, profile: Profile::ALL[profile], document_type: kind.map(|kind| DocumentType::ALL[kind]) };
        let request = asked(&credential, &ask);
        let read = read(request.as_str()).unwrap();
        prop_assert_eq!((read.business(), *read.ask(), read.challenge()), (&claims, ask, request.challenge()));
    }

    #[test]
    fn tru_042_arbitrary_bytes_never_pass_nor_panic(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&text_of(&noise)).is_err());
    }
}
