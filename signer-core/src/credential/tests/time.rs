//! The step, the life of a credential, and the verifier's clock.

use super::*;
use crate::credential::cose;

const START: u64 = NOW.0;
const END: u64 = START + STEP_SECONDS;

#[test]
fn crd_010_a_step_is_180_s() {
    assert_eq!((Step::at(NOW).start(), Step::at(NOW).end()), (NOW, UnixSeconds(END)));
    assert_eq!(Step::at(UnixSeconds(END)), Step::at(NOW).next());
    assert_eq!(Step::at(NOW), Step(START / 180));
    assert_eq!((STANDARD.seconds_left(NOW), STANDARD.seconds_left(UnixSeconds(END - 1))), (180, 1));
}

#[test]
fn crd_011_code_is_accepted_30_s_around_its_step() {
    let text = present(&credential());
    for now in [START - 30, START, END - 1, END + 29] {
        assert_eq!(check_at(&text, now).map(|verified| verified.step()), Ok(Step::at(NOW)), "{now}");
    }
}

#[test]
fn crd_012_code_31_s_late_is_refused_naming_time() {
    let text = present(&credential());
    // The last second of the step is END - 1.
    for late in [31, 32, 300] {
        let refusal = check_at(&text, END - 1 + late).unwrap_err();
        assert_eq!(refusal, Refusal::Clock(ClockFault::CodeLate { seconds: late }));
        assert_eq!(refusal.sentence(), alloc::format!("The time of this code ended {late} s ago."));
        assert!(refusal.next_step().starts_with("Ask for the code now on the screen"));
    }
}

#[test]
fn crd_012_code_31_s_early_is_refused_naming_time() {
    let refusal = check_at(&present(&credential()), START - 31).unwrap_err();
    assert_eq!(refusal, Refusal::Clock(ClockFault::CodeEarly { seconds: 31 }));
    assert!(refusal.sentence().contains("begins in 31 s"));
}

#[test]
fn crd_013_clock_before_a_signed_time_is_refused() {
    let text = present(&credential());
    let floor = VerifyOptions { clock_floor: UnixSeconds(START + 31), ..VerifyOptions::at(NOW) };
    let refusal = verify(&text, &issuer_keys(), &floor).unwrap_err();
    assert_eq!(refusal, Refusal::Clock(ClockFault::VerifierBehind { seconds: 31 }));
    let within_the_grace = VerifyOptions { clock_floor: UnixSeconds(START + 30), ..floor };
    assert!(verify(&text, &issuer_keys(), &within_the_grace).is_ok(), "two good clocks may be so far apart");

    // A credential "issued tomorrow" says the same of the verifier's clock.
    let issued = NOW.hour().0;
    assert_eq!(
        check_at(&text, issued - 31),
        Err(Refusal::Clock(ClockFault::VerifierBehind { seconds: 31 })),
        "beyond the grace"
    );
}

#[test]
fn crd_014_credential_lives_26_hours_and_not_a_second_more() {
    let (credential, issued) = (credential(), NOW.hour().0);
    let last = UnixSeconds(issued + LIFE_SECONDS - 1);
    let show = show_at(Step::at(last));
    let text = credential.present(&show, last, STANDARD, &day_key()).unwrap();
    assert!(check_at(text.as_str(), last.0).is_ok());
    assert_eq!(check_at(text.as_str(), last.0 + 1), Err(Refusal::Expired));
    assert_eq!(
        credential.present(&show, last.plus(1), STANDARD, &day_key()),
        Err(ShowError::Expired),
        "the phone does not sign under it either"
    );
}

#[test]
fn crd_018_emergency_life_is_72_hours() {
    let (credential, issued) = (credential(), NOW.hour());
    let text_at = |now: UnixSeconds, life| {
        let unsigned = credential.prepare_under(&show_at(Step::at(now)), now, STANDARD, life)?;
        let signature = cose::sign(&day_key(), unsigned.to_sign());
        unsigned.complete(&signature).map(|code| String::from(code.as_str()))
    };
    let emergency = |now| VerifyOptions { life: Life::Emergency, ..VerifyOptions::at(now) };
    for last in [issued.plus(LIFE_SECONDS), issued.plus(72 * 3600 - 1)] {
        let text = text_at(last, Life::Emergency).unwrap();
        assert_eq!(check_at(&text, last.0), Err(Refusal::Expired));
        let verified = verify(&text, &issuer_keys(), &emergency(last)).unwrap();
        let result = VerificationResult::online(&Ok(verified), last);
        assert_eq!(
            (result.result, result.notes),
            (Colour::Green, vec![Note::PhotoNotChecked, Note::EmergencyLife])
        );
        assert_eq!(text_at(last, Life::Standard), Err(ShowError::Expired));
        let over = UnixSeconds(issued.0 + 72 * 3600);
        assert_eq!(verify(&text, &issuer_keys(), &emergency(over)), Err(Refusal::Expired));
        assert_eq!(text_at(over, Life::Emergency), Err(ShowError::Expired));
    }
}

#[test]
fn crd_015_demo_steps_are_shorter_and_nothing_else() {
    let demo = StepRule::for_demo(12).unwrap();
    assert_eq!((demo.seconds(), demo.grace()), (12, 2));
    assert_eq!(StepRule::for_demo(180), Some(STANDARD));
    assert_eq!((StepRule::for_demo(0), StepRule::for_demo(5), StepRule::for_demo(181)), (None, None, None));

    let show = show_at(demo.step_at(NOW));
    let text = credential().present(&show, NOW, demo, &day_key()).unwrap();
    let options = VerifyOptions { rule: demo, ..VerifyOptions::at(NOW) };
    assert!(verify(text.as_str(), &issuer_keys(), &options).is_ok());
    let late = VerifyOptions { now: NOW.plus(14), ..options };
    assert!(matches!(verify(text.as_str(), &issuer_keys(), &late), Err(Refusal::Clock(_))));
    assert!(matches!(check(text.as_str()), Err(Refusal::Clock(_))), "a demo code is no code elsewhere");
}

#[test]
fn crd_016_phone_signs_no_step_beyond_the_next() {
    let credential = credential();
    let now_step = Step::at(NOW);
    let signed = |step| credential.present(&show_at(step), NOW, STANDARD, &day_key());
    assert!(signed(now_step).is_ok() && signed(now_step.next()).is_ok());
    assert_eq!(signed(now_step.next().next()), Err(ShowError::TooFarAhead));
    assert_eq!(signed(Step(u64::MAX)), Err(ShowError::TooFarAhead));
}

#[test]
fn crd_017_document_past_its_last_day_is_refused() {
    let ended = |last: &str| {
        let record = DocumentRecord { expires: last.parse().unwrap(), ..record() };
        check(&present(&claims(record.full(&salt())).sign(&issuer()).unwrap()))
    };
    assert!(ended("2026-11-20").is_ok(), "the last day counts");
    assert_eq!(ended("2026-11-19"), Err(Refusal::DocumentExpired));
}
