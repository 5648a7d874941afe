//! One code, one form.

use proptest::prelude::*;

use super::*;
use crate::{
    codec,
    credential::cose::{self, ISSUER_AAD, Sign1},
};

/// Signs whatever bytes stand for the claims and the show, so that only the form can be at fault.
fn sealed(claims: &[u8], show: &[u8]) -> Vec<u8> {
    let payload = claims.to_vec();
    let signature = cose::sign(&issuer(), &cose::sig_structure(ISSUER_AAD, &payload));
    let element = codec::encode(&Sign1 { kid: Some(Kid::of(issuer().verifying_key())), payload, signature });
    let payload = show.to_vec();
    let signature =
        cose::sign(&day_key(), &cose::sig_structure(&cose::show_aad(&sha256(&element)), &payload));
    [&[0x82], &element[..], &codec::encode(&Sign1 { kid: None, payload, signature })].concat()
}

fn claims_bytes() -> Vec<u8> {
    codec::encode(&claims(record().full(&salt())))
}

fn show_bytes() -> Vec<u8> {
    codec::encode(&show_at(Step::at(NOW)))
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the pattern is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn crd_001_text_is_dq1_and_base45_of_at_most_600_characters() {
    let text = present(&credential());
    assert!(text.starts_with("DQ1:") && text.len() <= TEXT_MAX);
    assert_eq!(show::text(&bytes(&text)), text);
    for other in
        ["", "DQ1", "dq1:ABC", "DQ2:ABC", "HC1:ABC", "https://example.org/", "\u{feff}DQ1:ABC", " DQ1:ABC"]
    {
        assert_eq!(check(other), Err(Refusal::NotOurs), "{other}");
    }
    let long = alloc::format!("{text}{}", "0".repeat(TEXT_MAX));
    for bad in [
        "DQ1:",
        "DQ1:A",
        "DQ1::::",
        "DQ1:\u{0}",
        "DQ1:\u{202e}",
        &text.to_lowercase().replace("dq1", "DQ1"),
        &long,
    ] {
        assert_eq!(check(bad), Err(Refusal::Unreadable), "{bad}");
    }
}

#[test]
fn crd_002_other_encodings_of_the_envelopes_are_refused() {
    let token = bytes(&present(&credential()));
    let kid = Kid::of(issuer().verifying_key()).0;
    let header = [&[0xA1, 0x04, 0x44][..], &kid].concat();
    let long_kid = [&[0xA1, 0x04, 0x45][..], &kid, &[0]].concat();
    let two_entries = [&[0xA2, 0x04, 0x44][..], &kid, &[0x05, 0x40]].concat();
    let twice = [&header[..1], &header[1..], &header[1..]].concat();
    let end = token.len() - credential().as_bytes().len() - 1;
    let device = &token[token.len() - end..];
    let show_header = [0x43, 0xA1, 0x01, 0x26, 0xA0];
    for (why, bad) in [
        ("array of 2 in two bytes", replaced(&token, &[0x82], &[0x98, 2])),
        ("indefinite array", [replaced(&token, &[0x82], &[0x9F]), vec![0xFF]].concat()),
        ("array of 3", [replaced(&token, &[0x82], &[0x83]), vec![0]].concat()),
        ("bytes after the end", [&token[..], &[0]].concat()),
        ("tag 18", replaced(&token, &[0x82, 0x84], &[0x82, 0xD2, 0x84])),
        ("tag 24", [&[0xD8, 24][..], &token].concat()),
        ("other algorithm", replaced(&token, &[0x43, 0xA1, 0x01, 0x26], &[0x43, 0xA1, 0x01, 0x27])),
        ("longer protected", replaced(&token, &[0x43, 0xA1, 0x01, 0x26], &[0x44, 0xA1, 0x01, 0x38, 0x06])),
        ("no kid", replaced(&token, &header, &[0xA0])),
        ("kid of 5", replaced(&token, &header, &long_kid)),
        ("kid under 5", replaced(&token, &header[..2], &[0xA1, 0x05])),
        ("second header entry", replaced(&token, &header, &two_entries)),
        ("kid twice", replaced(&token, &header, &[&[0xA2], &twice[1..]].concat())),
        ("indefinite header", replaced(&token, &header, &[&[0xBF], &header[1..], &[0xFF]].concat())),
        (
            "kid at the phone",
            [
                &token[..token.len() - end],
                &replaced(device, &show_header, &[&show_header[..4], &header].concat()),
            ]
            .concat(),
        ),
        ("length of the signature", replaced(&token, &[0x58, 0x40], &[0x59, 0x00, 0x40])),
        ("only the issuer", [&[0x81], credential().as_bytes()].concat()),
    ] {
        assert_eq!(check(&show::text(&bad)), Err(Refusal::Unreadable), "{why}");
    }
}

#[test]
fn crd_002_other_encodings_of_the_payloads_are_refused() {
    let (claims, show) = (claims_bytes(), show_bytes());
    assert!(check(&show::text(&sealed(&claims, &show))).is_ok());
    let (head, rest) = claims.split_at(1);
    assert_eq!(head, [0xA5]);
    let exp: Vec<u8> = rest[..6].to_vec();
    let iat: Vec<u8> = rest[6..12].to_vec();
    for (why, bad) in [
        ("indefinite map", [&[0xBF], rest, &[0xFF]].concat()),
        ("order", [&[0xA5], &iat[..], &exp, &rest[12..]].concat()),
        ("same claim twice", [&[0xA6], &exp[..], rest].concat()),
        ("unknown claim", [&[0xA6], rest, &[0x24, 1]].concat()),
        ("custody 0", [&[0xA6], rest, &[0x23, 0]].concat()),
        ("custody true", [&[0xA6], rest, &[0x23, 0xF5]].concat()),
        ("claim missing", [&[0xA4], &rest[6..]].concat()),
        ("time in 8 bytes", replaced(&claims, &iat, &[&[6, 0x1B, 0, 0, 0, 0], &iat[2..]].concat())),
        ("index in 8 bytes", replaced(&claims, &[0x82, 1, 0x1A], &[0x82, 1, 0x1B, 0, 0, 0, 0])),
        ("unknown kind", replaced(&claims, &[0x22, 0x88, 2], &[0x22, 0x88, 4])),
        ("unknown profile", replaced(&claims, &[0x22, 0x88, 2], &[0x22, 0x87, 2])),
        ("nine fields", [&replaced(&claims, &[0x22, 0x88], &[0x22, 0x89])[..], &[0]].concat()),
        ("day key of 32", replaced(&claims, &[0x20, 0x58, 0x21], &[0x20, 0x58, 0x20])),
        ("day key off the curve", [&claims[..16], &[5], &claims[17..]].concat()),
    ] {
        assert_eq!(check(&show::text(&sealed(&bad, &show))), Err(Refusal::Unreadable), "{why}");
    }
    let n_at = show.len() - 6;
    for (why, bad) in [
        ("n over 15", [&show[..n_at], &[16], &show[n_at + 1..]].concat()),
        ("n in two bytes", [&show[..n_at], &[0x18, 0], &show[n_at + 1..]].concat()),
        ("nine digits", [&show[..n_at + 1], &[0x1A], &100_000_000_u32.to_be_bytes()[..]].concat()),
        ("null challenge", [&[0x84], &show[1..], &[0xF6]].concat()),
        ("challenge of 15", [&[0x84], &show[1..], &[0x4F], &[0; 15]].concat()),
        ("indefinite", [&[0x9F], &show[1..], &[0xFF]].concat()),
        ("step in 8 bytes", replaced(&show, &[0x83, 0x1A], &[0x83, 0x1B, 0, 0, 0, 0])),
        ("bytes after the end", [&show[..], &[0]].concat()),
    ] {
        assert_eq!(check(&show::text(&sealed(&claims, &bad))), Err(Refusal::Unreadable), "{why}");
    }
}

#[test]
fn crd_003_life_other_than_26_hours_from_a_full_hour_is_refused() {
    let sealed = |issued: u64, expires: u64| {
        let mut claims = claims_bytes();
        claims[2..7].copy_from_slice(&[&[0x1A], &u32::try_from(expires).unwrap().to_be_bytes()[..]].concat());
        claims[8..13].copy_from_slice(&[&[0x1A], &u32::try_from(issued).unwrap().to_be_bytes()[..]].concat());
        check(&show::text(&sealed(&claims, &show_bytes()))).map(|_| ())
    };
    let hour = NOW.hour().0;
    assert_eq!(sealed(hour, hour + LIFE_SECONDS), Ok(()));
    assert_eq!(sealed(hour - 3600, hour - 3600 + LIFE_SECONDS), Ok(()));
    for (issued, expires) in [
        (hour, hour + LIFE_SECONDS + 1),
        (hour, hour + 72 * 3600),
        (hour + 60, hour + 60 + LIFE_SECONDS),
        (hour, hour),
    ] {
        assert_eq!(sealed(issued, expires), Err(Refusal::Unreadable), "{issued} {expires}");
    }
}

#[test]
fn crd_004_every_changed_character_is_refused() {
    let text = present(&credential());
    // Every place, three other characters of the alphabet each.
    let alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    for at in 0..text.len() {
        let old = text[at..=at].chars().next().unwrap();
        let place = alphabet.find(old).unwrap();
        for shift in [1, 22, 44] {
            let new = alphabet.chars().nth((place + shift) % 45).unwrap();
            let mutated = alloc::format!("{}{new}{}", &text[..at], &text[at + 1..]);
            assert!(check(&mutated).is_err(), "{old} to {new} at {at}");
        }
    }
}

#[test]
fn crd_004_every_truncation_is_refused() {
    let text = present(&credential());
    for end in 0..text.len() {
        assert!(check(&text[..end]).is_err(), "{end}");
    }
}

#[test]
fn crd_005_text_with_hidden_characters_is_refused() {
    for bad in ["e\u{301}", "a\u{202E}b", "a\u{0}", "a\u{200B}b", "a\nb", "a\u{2066}b", &"ж".repeat(49)] {
        assert!(Name::new(bad).is_err(), "{bad:?}");
    }
    let family = record().family.as_str().as_bytes().to_vec();
    // The same length: "Шевч" gives way to a right-to-left override and padding.
    let evil = [&family[..8], "\u{202E}abcde".as_bytes()].concat();
    let bad = replaced(&claims_bytes(), &family, &evil);
    assert_eq!(check(&show::text(&sealed(&bad, &show_bytes()))), Err(Refusal::Unreadable));
}

#[test]
fn crd_006_longest_names_fit_and_longer_claims_are_not_issued() {
    let credential = claims(longest_record().full(&salt())).sign(&issuer()).unwrap();
    let show = Show {
        challenge: Some(Challenge([7; 16])),
        turn: Turn::try_from(15).unwrap(),
        digits: Digits::new(99_999_999).unwrap(),
        step: Step::at(NOW),
    };
    let text = present_show(&credential, &show);
    assert!(text.len() <= TEXT_MAX, "{}", text.len());

    let record = DocumentRecord { family: Name::new("Ж".repeat(48)).unwrap(), ..longest_record() };
    assert!(matches!(claims(record.full(&salt())).sign(&issuer()), Err(DayError::TooLong { max: 293, .. })));
}

#[test]
fn crd_006_a_credential_that_is_issued_can_always_be_shown() {
    for letters in 0..48 {
        let record = DocumentRecord { family: Name::new("Ж".repeat(letters)).unwrap(), ..longest_record() };
        let Ok(credential) = claims(record.full(&salt())).sign(&issuer()) else { continue };
        let show = Show {
            challenge: Some(Challenge([7; 16])),
            digits: Digits::new(99_999_999).unwrap(),
            ..show_at(Step::at(NOW))
        };
        assert!(credential.present(&show, NOW, STANDARD, &day_key()).is_ok(), "{letters}");
    }
}

#[test]
fn crd_007_another_cose_implementation_reads_both_envelopes() {
    use coset::{CborSerializable as _, CoseSign1};
    use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
    let (credential, token) = (credential(), bytes(&present(&credential())));
    let element = credential.as_bytes();
    let verify = |envelope: &CoseSign1, aad: &[u8], key: &VerifyingKey| {
        envelope.verify_signature(aad, |signature, message| {
            key.verify(message, &Signature::from_slice(signature).unwrap())
        })
    };
    let envelope = CoseSign1::from_slice(element).unwrap();
    assert_eq!(envelope.unprotected.key_id, Kid::of(issuer().verifying_key()).0);
    assert!(verify(&envelope, b"DQ1/issuer", issuer().verifying_key()).is_ok());

    let envelope = CoseSign1::from_slice(&token[1 + element.len()..]).unwrap();
    assert!(envelope.unprotected.is_empty());
    let aad = [&b"DQ1/show"[..], &sha256(element)].concat();
    assert!(verify(&envelope, &aad, day_key().verifying_key()).is_ok());
    assert!(verify(&envelope, b"DQ1/show", day_key().verifying_key()).is_err());
}

prop_compose! {
    fn any_document()(family in "[А-ЩЬЮЯҐЄІЇа-щ'-]{0,12}", given in "[A-Za-z ]{0,12}", number in "[0-9A-Z]{0,12}", rights in "[A-E1,]{0,12}",
                      birth in 0..40_000_u32, expires in 20_800..40_000_u32, kind in 0..2_usize, portrait in any::<Option<[u8; 16]>>(), profile in 0..3)
        -> Document {
        let record = DocumentRecord {
            document_type: DocumentType::PERSONAL[kind],
            family: Name::new(family).unwrap(),
            given: Name::new(given).unwrap(),
            number: Short::new(number).unwrap(),
            rights: Short::new(rights).unwrap(),
            birth: Date::from_days_1900(birth).unwrap(),
            expires: Date::from_days_1970(expires).unwrap(),
            portrait: portrait.map(|bytes| Portrait::new([b"\xFF\xD8\xFF", &bytes[..]].concat()).unwrap()),
        };
        let today = Date::of(NOW).unwrap();
        match profile {
            0 => record.full(&salt()),
            1 => record.minimal(today).unwrap(),
            _ => record.age(today, &[0, 18, 65], &salt()).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn crd_008_what_is_issued_and_shown_is_what_is_verified(document in any_document(), list in any::<u32>(), index in any::<u32>(),
                                                            turn in 0..16_u8, otp in 0..100_000_000_u32, challenge in any::<Option<[u8; 16]>>()) {
        let status = StatusIndex { list, index };
        let credential = DayClaims::new(NOW, *day_key().verifying_key(), status, document.clone(), false).sign(&issuer()).unwrap();
        prop_assert_eq!(&DayCredential::from_bytes(credential.as_bytes()).unwrap(), &credential);
        let show = Show { step: Step::at(NOW), turn: Turn::try_from(turn).unwrap(), digits: Digits::new(otp).unwrap(), challenge: challenge.map(Challenge) };
        let text = present_show(&credential, &show);
        prop_assert_eq!(&show::text(&bytes(&text)), &text);
        let options = VerifyOptions { expected_challenge: show.challenge, ..VerifyOptions::at(NOW) };
        let verified = verify(&text, &issuer_keys(), &options).unwrap();
        prop_assert_eq!(verified.document(), &document);
        prop_assert_eq!(verified.once(), Once { issuer: ISSUER, status, step: show.step, turn: show.turn });
        prop_assert_eq!(verified.digits(), show.digits);
        prop_assert_eq!((verified.issued(), verified.expires()), (NOW.hour(), NOW.hour().plus(93_600)));
        prop_assert_eq!(*verified.day_key(), *day_key().verifying_key());
        prop_assert_eq!((verified.issuer(), verified.kid()), (ISSUER, Kid::of(issuer().verifying_key())));
    }

    #[test]
    fn crd_004_arbitrary_bytes_never_pass_nor_panic(noise in prop::collection::vec(any::<u8>(), 0..400), at in 0..300_usize) {
        prop_assert!(check(&show::text(&noise)).is_err());
        let mut token = bytes(&present(&credential()));
        let at = at % token.len();
        let end = (at + noise.len().min(8)).min(token.len());
        let before = token.clone();
        token[at..end].copy_from_slice(&noise[..end - at]);
        prop_assert!(token == before || check(&show::text(&token)).is_err());
    }
}
