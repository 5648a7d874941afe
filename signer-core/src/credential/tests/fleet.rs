//! Documents of organisations, and keys that a server holds.

use super::*;
use crate::codec;

/// Claims of a vehicle whose day key a server holds.
fn fleet(vehicle: Vehicle) -> DayClaims {
    DayClaims::new(NOW, *day_key().verifying_key(), STATUS, Document::Vehicle(vehicle), true)
}

fn shown(claims: DayClaims) -> String {
    present(&claims.sign(&issuer()).unwrap())
}

/// Codes of claims that nobody would make.
fn forged(payload: Vec<u8>) -> String {
    let signature = cose::sign(&issuer(), &cose::sig_structure(cose::ISSUER_AAD, &payload));
    let element =
        codec::encode(&cose::Sign1 { kid: Some(Kid::of(issuer().verifying_key())), payload, signature });
    let payload = codec::encode(&show_at(Step::at(NOW)));
    let signature =
        cose::sign(&day_key(), &cose::sig_structure(&cose::show_aad(&sha256(&element)), &payload));
    let device = codec::encode(&cose::Sign1 { kid: None, payload, signature });
    show::text(&[&[0x82], &element[..], &device].concat())
}

#[test]
fn crd_120_a_vehicle_is_shown_whole_by_a_server_and_the_result_says_so() {
    let text = shown(fleet(vehicle()));
    let verified = check(&text).unwrap();
    assert_eq!(verified.document(), &Document::Vehicle(vehicle()));
    assert_eq!((verified.document().profile().name(), verified.custody()), ("full", true));
    let result = VerificationResult::online(&Ok(verified.clone()), NOW);
    assert_eq!((result.result, result.notes.as_slice()), (Colour::Green, &[Note::MadeByServer][..]));
    assert_eq!(result.next_step, "Compare the plate with the vehicle.");
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(
        (&json["document_type"], &json["notes"][0]),
        (&"vehicle_registration".into(), &"code made by a server".into())
    );
    assert_eq!(json["claims"]["vehicle"]["plate"], "КА1234ВВ");
    assert_eq!(serde_json::from_value::<VerificationResult>(json).unwrap(), result);
    let offline = VerificationResult::offline(&Ok(verified), Known::NOTHING, NOW);
    assert_eq!(offline.notes, [Note::CopyNotExcluded, Note::MadeByServer, Note::WithdrawalsNotChecked]);
    assert!(offline.next_step.starts_with("Compare the plate with the vehicle; "));
}

#[test]
fn crd_121_a_server_never_holds_the_key_of_a_persons_document() {
    for document in [
        record().full(&salt()),
        record().minimal(Date::of(NOW).unwrap()).unwrap(),
        record().age(Date::of(NOW).unwrap(), &[18], &salt()).unwrap(),
    ] {
        let claims = DayClaims::new(NOW, *day_key().verifying_key(), STATUS, document, true);
        assert_eq!(check(&shown(claims)), Err(Refusal::HeldByServer));
    }
    for kind in DocumentType::ALL {
        assert_eq!(kind.is_personal(), DocumentType::PERSONAL.contains(kind), "{}", kind.name());
    }
}

#[test]
fn crd_122_a_vehicle_in_a_phone_has_no_custody_and_no_note_of_it() {
    let verified = check(&shown(claims(Document::Vehicle(vehicle())))).unwrap();
    assert!(!verified.custody());
    assert!(VerificationResult::online(&Ok(verified), NOW).notes.is_empty());
}

#[test]
fn crd_123_each_kind_of_document_has_its_own_profiles() {
    let good = codec::encode(&fleet(vehicle()));
    let at = good.windows(3).position(|window| window == [0x22, 0x85, 3]).unwrap();
    assert!(check(&forged(good.clone())).is_ok());
    for kind in [1, 2, 4] {
        let mut bad = good.clone();
        bad[at + 2] = kind;
        assert_eq!(check(&forged(bad)), Err(Refusal::Unreadable), "a vehicle of kind {kind}");
    }
    for document in [
        record().full(&salt()),
        record().minimal(Date::of(NOW).unwrap()).unwrap(),
        record().age(Date::of(NOW).unwrap(), &[18], &salt()).unwrap(),
    ] {
        let mut bad = codec::encode(&claims(document.clone()));
        let at =
            bad.windows(2).position(|window| window[0] == 0x22 && matches!(window[1], 0x83 | 0x84 | 0x88));
        bad[at.unwrap() + 2] = 3;
        assert_eq!(check(&forged(bad)), Err(Refusal::Unreadable), "{document:?} of a vehicle");
    }
    let record = DocumentRecord { document_type: DocumentType::VehicleRegistration, ..record() };
    let unfit = claims(record.full(&salt())).prepare(issuer().verifying_key());
    assert!(matches!(unfit, Err(DayError::Unencodable)));
    let json = serde_json::to_string(&record).unwrap();
    assert!(
        serde_json::from_str::<DocumentRecord>(&json).is_err(),
        "nobody has a person's record of a vehicle"
    );
}

#[test]
fn crd_124_fields_of_a_vehicle_keep_the_rules_of_text_and_the_longest_fit() {
    let longest = Vehicle {
        plate: Short::new("П".repeat(16)).unwrap(),
        model: Model::new("М".repeat(32)).unwrap(),
        number: Short::new("Н".repeat(16)).unwrap(),
        expires: "2199-12-31".parse().unwrap(),
    };
    let verified = check(&shown(fleet(longest.clone()))).unwrap();
    assert_eq!(verified.document(), &Document::Vehicle(longest));
    let json = serde_json::to_value(vehicle()).unwrap();
    for (field, bad) in [
        ("plate", "П".repeat(17)),
        ("model", "М".repeat(33)),
        ("number", "7\u{202E}".into()),
        ("plate", "AA\n0001".into()),
        ("model", "Be\u{301}".into()),
        ("expires", "2026-02-30".into()),
    ] {
        let mut json = json.clone();
        json[field] = bad.clone().into();
        assert!(serde_json::from_value::<Vehicle>(json).is_err(), "{field} {bad}");
    }
    let ended = Vehicle { expires: "2026-11-19".parse().unwrap(), ..vehicle() };
    assert_eq!(check(&shown(fleet(ended))), Err(Refusal::DocumentExpired));
    let old = Vehicle { expires: "1969-12-31".parse().unwrap(), ..vehicle() };
    assert!(matches!(fleet(old).prepare(issuer().verifying_key()), Err(DayError::Unencodable)));
    assert_eq!(
        alloc::format!("{:?} {:?}", vehicle(), Document::Vehicle(vehicle())),
        "Vehicle(redacted) Document(full, vehicle registration)"
    );
}
