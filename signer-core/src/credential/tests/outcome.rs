//! What a clerk is told.

use alloc::string::ToString;
use std::collections::HashSet;

use super::*;

const REFUSALS: [Refusal; 21] = [
    Refusal::Unreadable,
    Refusal::NotOurs,
    Refusal::UnknownIssuer,
    Refusal::BadSignature,
    Refusal::Clock(ClockFault::CodeEarly { seconds: 31 }),
    Refusal::Clock(ClockFault::CodeLate { seconds: 31 }),
    Refusal::Clock(ClockFault::VerifierBehind { seconds: 31 }),
    Refusal::Expired,
    Refusal::DocumentExpired,
    Refusal::NotForThisRequest,
    Refusal::HeldByServer,
    Refusal::Used,
    Refusal::Revoked,
    Refusal::Suspended,
    Refusal::Superseded,
    Refusal::UnknownCode,
    Refusal::Declined,
    Refusal::NoAnswer,
    Refusal::TooYoung,
    Refusal::OnlineRequired,
    Refusal::RegisterNotReached,
];

fn code(refusal: Refusal) -> String {
    serde_json::to_value(refusal.reason()).unwrap().as_str().unwrap().into()
}

#[test]
fn crd_040_every_refusal_has_a_stable_code_one_sentence_and_one_next_step() {
    let codes: Vec<_> = REFUSALS.map(code).into();
    assert_eq!(
        codes.join(" "),
        "unreadable not_ours unknown_issuer bad_signature clock clock clock expired document_expired \
         not_for_this_request held_by_server used revoked suspended superseded unknown_code declined no_answer too_young online_required \
         register_not_reached"
    );
    let said: HashSet<_> = REFUSALS.map(|refusal| refusal.to_string()).into();
    assert_eq!(said.len(), REFUSALS.len(), "no two say the same");
    for text in REFUSALS.iter().flat_map(|refusal| [refusal.sentence(), refusal.next_step().into()]) {
        assert!(text.ends_with('.') && text.matches(". ").count() == 0 && text.len() < 100, "{text}");
    }
}

#[test]
fn crd_041_red_shows_no_personal_data() {
    for refusal in REFUSALS.into_iter().filter(|refusal| *refusal != Refusal::RegisterNotReached) {
        for result in [
            VerificationResult::offline(&Err(refusal), Known::NOTHING, NOW),
            VerificationResult::online(&Err(refusal), NOW),
        ] {
            assert_eq!((result.result, result.reason), (Colour::Red, refusal.reason()));
            assert_eq!((result.document_type, result.claims, result.step), (None, None, None));
        }
    }
}

#[test]
fn crd_042_offline_without_status_list_is_amber_and_says_what_it_does_not_cover() {
    let result = VerificationResult::offline(&check(&present(&credential())), Known::NOTHING, NOW);
    assert_eq!(
        (result.result, result.reason, result.offline),
        (Colour::Amber, Reason::WithdrawalsNotChecked, true)
    );
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(
        json["notes"],
        serde_json::json!(["copy not excluded", "photo not checked", "withdrawals not checked"])
    );
    assert_eq!(json["claims"]["full"]["family"], "Шевченко");
}

#[test]
fn crd_043_online_is_green_and_register_down_is_amber() {
    let verified = check(&present(&credential())).unwrap();
    let down = VerificationResult::register_not_reached(&verified, NOW);
    assert_eq!((down.result, down.reason), (Colour::Amber, Reason::RegisterNotReached));
    assert!(down.claims.is_some());
    let green = VerificationResult::online(&Ok(verified), NOW);
    assert_eq!((green.result, green.reason, green.offline), (Colour::Green, Reason::Valid, false));
    assert_eq!(green.step, Some(Step::at(NOW)));
    let refused = VerificationResult::online(&Err(Refusal::RegisterNotReached), NOW);
    assert_eq!((refused.result, refused.claims), (Colour::Amber, None));
}

#[test]
fn crd_044_result_file_is_strict() {
    let result = VerificationResult::offline(&check(&present(&credential())), Known::NOTHING, NOW);
    let json = serde_json::to_string(&result).unwrap();
    assert_eq!(serde_json::from_str::<VerificationResult>(&json).unwrap(), result);
    for (from, to) in [
        ("\"amber\"", "\"blue\""),
        ("\"result\"", "\"extra\":1,\"result\""),
        ("\"family\"", "\"x\":1,\"family\""),
    ] {
        let bad = json.replacen(from, to, 1);
        assert_ne!(bad, json);
        assert!(serde_json::from_str::<VerificationResult>(&bad).is_err(), "{to}");
    }
}

#[test]
fn crd_045_once_is_the_place_in_the_list_the_step_and_the_turn() {
    let (first, second) = (present(&credential()), {
        let show = Show { turn: Turn::try_from(1).unwrap(), ..show_at(Step::at(NOW)) };
        present_show(&credential(), &show)
    });
    let once = |text: &str| check(text).unwrap().once();
    assert_eq!(once(&first), Once { issuer: ISSUER, status: STATUS, step: Step::at(NOW), turn: Turn::FIRST });
    assert_ne!(once(&first), once(&second));
    let other_digits = Show { digits: Digits::new(0).unwrap(), ..show_at(Step::at(NOW)) };
    let resigned = present_show(&credential(), &other_digits);
    assert!(resigned != first && once(&resigned) == once(&first), "other token bytes, the same show");
}
