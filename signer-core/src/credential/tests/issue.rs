//! Profiles, digits, and what a log may show.

use alloc::{format, string::ToString};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;
use crate::domain::{Domain, expand};

fn today() -> Date {
    Date::of(NOW).unwrap()
}

#[test]
fn crd_030_three_profiles_come_from_one_record() {
    let Document::Full(full) = record().full(&salt()) else { panic!() };
    assert_eq!((full.family.as_str(), full.birth.to_string()), ("Шевченко", "1994-03-09".to_string()));
    let Document::Minimal(minimal) = record().minimal(today()).unwrap() else { panic!() };
    assert_eq!((minimal.initials.as_str(), minimal.ddmm, minimal.over18), ("Ш.Т.Г.", 903, true));
    let Document::Age(age) = record().age(today(), &[DocumentRecord::AGE], &salt()).unwrap() else {
        panic!()
    };
    let digest = PortraitDigest::of(&salt(), record().portrait.unwrap().as_bytes());
    assert_eq!((age.over, age.portrait, full.portrait), (18, Some(digest), Some(digest)));
    assert_eq!(
        record()
            .age(today(), &[14, 18, 21, 60], &salt())
            .map(|d| matches!(d, Document::Age(a) if a.over == 21)),
        Some(true)
    );
}

#[test]
fn crd_030_of_age_counts_from_the_birthday() {
    let born = |text: &str| DocumentRecord { birth: text.parse().unwrap(), ..record() };
    assert!(born("2008-11-20").age(today(), &[18], &salt()).is_some());
    assert!(born("2008-11-21").age(today(), &[18], &salt()).is_none());
    let over18 = |text: &str| {
        matches!(born(text).minimal(today()), Ok(Document::Minimal(Minimal { over18: true, .. })))
    };
    assert!(over18("2008-11-20") && !over18("2008-11-21"));
}

#[test]
fn crd_031_record_file_is_strict() {
    let json = serde_json::to_string(&record()).unwrap();
    assert_eq!(serde_json::from_str::<DocumentRecord>(&json).unwrap(), record());
    for (from, to) in
        [("1994-03-09", "1994-02-30"), ("Шевченко", "Шев\\u202eченко"), ("\"family\"", "\"x\":1,\"family\"")]
    {
        let bad = json.replacen(from, to, 1);
        assert_ne!(bad, json);
        assert!(serde_json::from_str::<DocumentRecord>(&bad).is_err(), "{to}");
    }
    let old = DocumentRecord { expires: "1969-12-31".parse().unwrap(), ..record() };
    assert_eq!(claims(old.full(&salt())).sign(&issuer()), Err(DayError::Unencodable));
}

/// RFC 4226 by hand.
fn hotp(key: &[u8], counter: u64) -> u32 {
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap()
        .chain_update(counter.to_be_bytes())
        .finalize()
        .into_bytes();
    let at = usize::from(mac[31] & 15);
    (u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7FFF_FFFF) % 100_000_000
}

#[test]
fn crd_032_digits_are_totp_under_a_key_per_credential_and_turn() {
    // The hand-made one against RFC 6238, appendix B, SHA-256, time 59.
    assert_eq!(hotp(b"12345678901234567890123456789012", 1), 46_119_246);

    for (status, turn, step) in [
        (STATUS, 0, Step::at(NOW)),
        (STATUS, 15, Step(1)),
        (StatusIndex { list: u32::MAX, index: 0 }, 3, Step(u64::MAX)),
    ] {
        let fields = [u64::from(status.list), status.index.into(), u64::from(turn)].map(u64::to_be_bytes);
        let key: SecretBytes<32> =
            expand(secret().expose(), Domain::CredentialOtp, &[&fields[0], &fields[1], &fields[2]]);
        let made = digits(&secret(), status, step, Turn::try_from(turn).unwrap());
        assert_eq!(made.value(), hotp(key.expose(), step.0));
    }
    let next = StatusIndex { index: STATUS.index + 1, ..STATUS };
    let base = digits(&secret(), STATUS, Step(5), Turn::FIRST);
    assert_ne!(base, digits(&secret(), next, Step(5), Turn::FIRST));
    assert_ne!(base, digits(&secret(), STATUS, Step(6), Turn::FIRST));
    assert_ne!(base, digits(&secret(), STATUS, Step(5), Turn::FIRST.next().unwrap()));
}

#[test]
fn crd_033_digits_are_read_and_written_in_two_groups_of_four() {
    let shown = Digits::new(1_234_567).unwrap();
    assert_eq!(shown.to_string(), "0123 4567");
    assert_eq!("0123 4567".parse(), Ok(shown));
    assert_eq!("01234567".parse(), Ok(shown));
    assert_eq!(Digits::new(100_000_000), None);
    for bad in
        ["", "123 4567", "0123  4567", "0123 456a", "+123 4567", "0123 45678", "01234 567", "０１２３ 4567"]
    {
        assert_eq!(bad.parse::<Digits>(), Err(DigitsError), "{bad}");
    }
}

#[test]
fn crd_034_turns_end_at_15() {
    let turns: Vec<u8> =
        core::iter::successors(Some(Turn::FIRST), |turn| turn.next()).map(Turn::number).collect();
    assert_eq!(turns, (0..16).collect::<Vec<_>>());
    assert_eq!(Turn::try_from(16), Err(TurnError));
}

#[test]
fn crd_035_debug_shows_no_personal_data_and_no_live_code() {
    let credential = credential();
    let unsigned = credential.prepare(&show_at(Step::at(NOW)), NOW, STANDARD).unwrap();
    let text = present(&credential);
    let code = credential.present(&show_at(Step::at(NOW)), NOW, STANDARD, &day_key()).unwrap();
    let day = claims(record().full(&salt())).prepare(issuer().verifying_key()).unwrap();
    let verified = check(&text).unwrap();
    let shown = format!(
        "{:?} {:?} {:?} {:?} {credential:?} {unsigned:?} {code:?} {day:?} {verified:?} {:?}",
        record(),
        record().full(&salt()),
        record().family,
        record().portrait,
        credential.claims(),
    );
    let digits = verified.digits().value().to_string();
    for leak in [
        "Шевченко",
        "Тарас",
        "1994",
        "ВХА",
        "2034",
        &digits,
        &text[4..20],
        &hex(&credential.as_bytes()[..8]),
        "208, 168",
    ] {
        assert!(!shown.contains(leak), "{leak} in {shown}");
    }
}
