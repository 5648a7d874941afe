//! Online answers are bound: to the business that asked, to the code, to what the holder saw, to one question to the register,
//! to the life of what was shown. Requirements: `spec/verification.md`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::SigningKey;
use signer_client::{AnswerError, HistoryLine, Question, RelyingParty, Showing, verify_answer};
use signer_core::{
    codec::Label,
    credential::{Ask, BusinessCredential, Colour, DocumentType, Note, Reason, Request, StepRule},
    history::{Act, Entry},
    ids::CheckId,
    time::UnixSeconds,
    trust::Life,
    wire::{
        AnswerCheck, CHECK_SECONDS, CreatedBusinessCredential, MatchNumber, ProblemCode, Profile,
        Verification, VerifyCode,
    },
};

use crate::{
    events,
    harness::TestApp,
    register::{Scripted, app_with, good},
    screen::*,
    support::{
        http::Answer,
        phone::{TestPhone, network},
    },
    trust,
};

/// A shop that asks by QR.
struct Business<'a> {
    till: Till<'a>,
    key: SigningKey,
    credential: BusinessCredential,
}

impl<'a> Business<'a> {
    fn new(app: &'a TestApp, name: &str, seed: u8) -> Self {
        let (till, key) = (Till::new(app, name), SigningKey::from_slice(&[seed; 32]).unwrap());
        let point = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().to_sec1_point(true).as_bytes());
        let body = serde_json::json!({
            "name": name, "key": point, "profiles": ["age", "minimal", "full"], "relying_party": till.id,
        });
        let made = app.admin("POST", "/business-credentials", Some(&body));
        assert_eq!(made.status, 201, "{made:?}");
        let made: CreatedBusinessCredential = made.json();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(made.credential).unwrap();
        Self { till, key, credential: BusinessCredential::from_bytes(&bytes).unwrap() }
    }

    fn request(&self, app: &TestApp, profile: Profile) -> Request {
        let step = StepRule::STANDARD.step_at(UnixSeconds(app.clock.seconds()));
        let ask = Ask { step, nonce: [self.key.to_bytes()[0]; 16], profile, document_type: None };
        self.credential.request(&ask, &self.key).unwrap()
    }
}

/// Posts a code that is said to answer a request.
fn post(app: &TestApp, till: &Till<'_>, code: &str, request: Option<&str>, id: &str) -> Answer {
    let mut body = serde_json::json!({ "code": code, "request_id": id });
    if let Some(request) = request {
        body["request"] = request.into();
    }
    app.http.json("POST", "/v1/verifications", &till.token, Some(&body))
}

/// The holder scans a request, agrees, and shows the answer.
fn answer_to(phone: &mut TestPhone, request: &Request) -> String {
    phone.phone.refresh_trust_list().unwrap();
    let request = phone.phone.read_request(request.as_str()).unwrap();
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::answer(request)).unwrap();
    phone.phone.code(&mut session).unwrap().presentation.as_str().to_owned()
}

#[test]
fn dis_060_what_a_holder_agreed_to_tell_one_business_no_other_learns() {
    let app = TestApp::spawn();
    let (shop, spy) = (Business::new(&app, "Pharmacy", 11), Business::new(&app, "Spy", 12));
    let mut phone = stocked(&app, "olena");
    let request = shop.request(&app, Profile::Full);
    let code = answer_to(&mut phone, &request);
    let before = app.dump()["burn"];
    // The spy has photographed both screens.
    let stolen = post(&app, &spy.till, &code, Some(request.as_str()), "spy-00001");
    assert_eq!(stolen.code(), ProblemCode::Forbidden);
    let own = spy.request(&app, Profile::Full);
    for claimed in [Some(own.as_str()), None] {
        let answer = post(&app, &spy.till, &code, claimed, &app.unique("spy-request"));
        assert_eq!(outcome(&app, &answer), red(Reason::NotForThisRequest));
    }
    let mut forged = request.as_str().to_owned();
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    assert_eq!(post(&app, &spy.till, &code, Some(&forged), "spy-00002").code(), ProblemCode::InvalidValue);
    assert_eq!(app.dump()["burn"], before, "nothing was used up");
    assert_eq!(outcome(&app, &post(&app, &shop.till, &code, Some(request.as_str()), "shop-0001")), GREEN);
}

#[test]
fn dis_028_a_code_for_a_request_is_good_for_that_request_only() {
    let app = TestApp::spawn();
    let shop = Business::new(&app, "Pharmacy", 11);
    let mut phone = stocked(&app, "olena");
    let request = shop.request(&app, Profile::Age);
    let screen = show(&app, &mut phone, Profile::Age);
    for code in [screen.qr(), &screen.digits(), &screen.bar()] {
        let answer = post(&app, &shop.till, code, Some(request.as_str()), &app.unique("shop-request"));
        assert_eq!(outcome(&app, &answer), red(Reason::NotForThisRequest));
    }
    opened(&shop.till.scan(&screen.bar()));
}

#[test]
fn dis_061_an_answer_comes_in_the_step_of_its_request_or_the_next() {
    let app = TestApp::spawn();
    let shop = Business::new(&app, "Pharmacy", 11);
    let mut phone = stocked(&app, "olena");
    let boundary = (app.clock.seconds() / 180 + 1) * 180;
    app.clock.set(boundary - 2);
    let request = shop.request(&app, Profile::Minimal);
    phone.phone.refresh_trust_list().unwrap();
    let read = phone.phone.read_request(request.as_str()).unwrap();
    app.clock.set(boundary + 100);
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::answer(read)).unwrap();
    let code = phone.phone.code(&mut session).unwrap().presentation.as_str().to_owned();
    let first = post(&app, &shop.till, &code, Some(request.as_str()), "shop-0001");
    assert_eq!(outcome(&app, &first), GREEN);
    // Its repetition is good when the step of the code is over too.
    app.clock.advance(59);
    assert_eq!(post(&app, &shop.till, &code, Some(request.as_str()), "shop-0001").body, first.body);
    // A request of long ago is none to a code of now.
    let old = shop.request(&app, Profile::Minimal);
    app.clock.advance(360);
    let late = code_of_now(&mut phone);
    let answer = post(&app, &shop.till, &late, Some(old.as_str()), "shop-0002");
    assert_eq!(outcome(&app, &answer), red(Reason::NotForThisRequest));
}

fn code_of_now(phone: &mut TestPhone) -> String {
    code(phone, Profile::Minimal).presentation.as_str().to_owned()
}

#[test]
fn dis_062_an_approval_asks_the_register_once_however_often_the_verifier_looks() {
    static GONE: AtomicBool = AtomicBool::new(false);
    let register = Scripted::start(|_| if GONE.load(Ordering::Relaxed) { Vec::new() } else { good() });
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "a-token-of-a-register").unwrap();
    let app = app_with(register.address, &token_file);
    let (mut phone, till) = (app.phone("olena"), Till::new(&app, "Shop"));
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let check = opened(&till.scan(&show(&app, &mut phone, Profile::Full).digits())).check;
    let asked = register.asked().len();
    assert_eq!(till.look(check).status, 202);
    assert_eq!(register.asked().len(), asked, "nobody is asked before the holder");
    answer(&app, &phone, check, true);
    let bodies: Vec<_> = thread::scope(|scope| {
        let looks: Vec<_> = (0..8).map(|_| scope.spawn(|| till.look(check).body)).collect();
        looks.into_iter().map(|look| look.join().unwrap()).collect()
    });
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(register.asked().len(), asked + 1);
    GONE.store(true, Ordering::Relaxed);
    assert_eq!(outcome(&app, &till.look(check)), GREEN);
    assert_eq!(till.look(check).body, bodies[0]);
    assert_eq!(register.asked().len(), asked + 1);
}

/// Polls a check three times at once, until one of them is refused: two are waiting then.
fn two_of_three<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    till: &'scope Till<'_>,
    check: CheckId,
) -> Vec<thread::ScopedJoinHandle<'scope, Answer>> {
    let mut polls: Vec<_> = (0..3).map(|_| scope.spawn(move || till.wait(check, 60_000))).collect();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(at) = polls.iter().position(thread::ScopedJoinHandle::is_finished) {
            assert_eq!(polls.remove(at).join().unwrap().code(), ProblemCode::TooMany);
            return polls;
        }
        assert!(std::time::Instant::now() < deadline, "three wait");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn dis_064_polls_of_one_verifier_leave_places_for_the_others() {
    let app = TestApp::spawn_with(|config| config.long_polls_max = 8);
    let (greedy, other) = (Till::new(&app, "Greedy"), Till::new(&app, "Other"));
    let (mut phone, bank) = (stocked(&app, "olena"), app.relying_party("Bank", true, false));
    let mut open = |till: &Till<'_>| opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check;
    let (first, second, theirs) = (open(&greedy), open(&greedy), open(&other));
    thread::scope(|scope| {
        // A quarter of eight are two, and no check has more than two.
        let waiting = two_of_three(scope, &greedy, first);
        for refused in [greedy.wait(second, 60_000), greedy.look(second)] {
            assert_eq!(refused.code(), ProblemCode::TooMany);
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        // Nobody else is hurt: verifiers, banks, phones.
        assert_eq!(other.look(theirs).status, 202);
        assert_eq!(other.wait(theirs, 100).status, 202);
        let asker = RelyingParty::new(network(app.url()), bank.token.as_str());
        let request = asker.ask(&crate::harness::request("olena", 1), "first").unwrap().id;
        asker.wait(request, Duration::from_millis(100)).unwrap();
        answer(&app, &phone, first, false);
        for poll in waiting {
            assert_eq!(outcome(&app, &poll.join().unwrap()), red(Reason::Declined));
        }
        assert_eq!(greedy.look(second).status, 202);
    });
}

#[test]
fn dis_065_of_one_check_two_polls_wait() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let check = opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check;
    thread::scope(|scope| {
        let waiting = two_of_three(scope, &till, check);
        assert_eq!(till.wait(check, 60_000).code(), ProblemCode::TooMany);
        assert_eq!(till.look(check).status, 202, "who does not wait may look");
        answer(&app, &phone, check, false);
        for poll in waiting {
            assert_eq!(outcome(&app, &poll.join().unwrap()), red(Reason::Declined));
        }
    });
}

#[test]
fn dis_066_a_request_id_stands_for_one_code_as_long_as_it_can_be_answered() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let used = |answer: &Answer| {
        assert_eq!((answer.status, answer.code()), (409, ProblemCode::RequestIdUsed));
    };
    let [first, second] = [(); 2].map(|()| code(&mut phone, Profile::Age).presentation.as_str().to_owned());
    let digits = show(&app, &mut phone, Profile::Age).digits();
    assert_eq!(outcome(&app, &till.ask(&first, "request-1", None)), GREEN);
    for other in [&second, &digits, "0000 0000"] {
        used(&till.ask(other, "request-1", None));
    }
    // With or without the space it is the same code.
    let check = till.ask(&digits, "request-2", None);
    assert_eq!(till.ask(&digits.replace(' ', ""), "request-2", None).body, check.body);
    used(&till.ask(&second, "request-2", None));
    assert_eq!(outcome(&app, &till.ask("0000 0000", "request-3", None)), red(Reason::UnknownCode));
    used(&till.ask(&second, "request-3", None));
    // Another verifier's ids are its own, and an id is free when nothing can be asked under it any more.
    let other = Till::new(&app, "Other");
    assert_eq!(outcome(&app, &other.ask(&second, "request-1", None)), GREEN);
    app.clock.advance(CHECK_SECONDS + 60);
    let fresh = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    assert_eq!(outcome(&app, &till.ask(&fresh, "request-1", None)), GREEN);
}

#[test]
fn dis_067_an_answer_is_believed_for_its_question_and_with_what_was_signed_only() {
    let app = TestApp::spawn();
    let mut phone = stocked(&app, "olena");
    let party = app.relying_party("Shop", false, true);
    let shop = RelyingParty::new(network(app.url()), party.token.as_str());
    assert_eq!(shop.id(), Some(party.id));
    let trust = trust::trust(&app);
    let code = code(&mut phone, Profile::Full).presentation.as_str().to_owned();
    let asked =
        VerifyCode { code: code.clone(), request_id: "request-1".into(), profile: None, request: None };
    let answered = shop.ask_about(&asked).unwrap();
    let now = UnixSeconds(app.clock.seconds());
    let question = Question { code: &code, request_id: "request-1", verifier: shop.id(), now };
    let believe =
        |answered: &Verification, question: &Question<'_>| verify_answer(answered, &trust, question);
    assert_eq!(believe(&answered, &question).unwrap(), answered.result);
    let stranger = app.relying_party("Other", false, true).id;
    for other in [
        Question { code: &code[..code.len() - 1], ..question },
        Question { request_id: "request-2", ..question },
        Question { verifier: Some(stranger), ..question },
        Question { now: now.plus(901), ..question },
        Question { now: now.minus(901), ..question },
    ] {
        assert_eq!(believe(&answered, &other), Err(AnswerError::OtherQuestion), "{other:?}");
    }
    let changed = |change: fn(&mut Verification)| {
        let mut answered = answered.clone();
        change(&mut answered);
        believe(&answered, &question)
    };
    let unsigned: [fn(&mut Verification); 6] = [
        |answer| answer.result.result = Colour::Amber,
        |answer| answer.result.reason = Reason::RegisterNotReached,
        |answer| answer.result.claims = None,
        |answer| answer.result.checked_at = UnixSeconds(1),
        |answer| answer.result.document_type = Some(DocumentType::DrivingLicence),
        |answer| answer.disclosure = None,
    ];
    for change in unsigned {
        assert_eq!(changed(change), Err(AnswerError::NotSigned));
    }
    assert_eq!(changed(|answer| answer.portrait = Some("AAAA".into())), Err(AnswerError::NotSigned));
    assert_eq!(
        changed(|answer| answer.code_salt = "AAAAAAAAAAAAAAAAAAAAAA".into()),
        Err(AnswerError::OtherQuestion)
    );
    assert_eq!(changed(|answer| answer.answer.push('A')), Err(AnswerError::Malformed));
    // A green answer made of a red one: the signature is another's.
    let again = VerifyCode { request_id: "request-2".into(), ..asked };
    let refused = shop.ask_about(&again).unwrap();
    assert_eq!(refused.result.reason, Reason::Used);
    let mut forged = answered.clone();
    let signature = refused.answer.rsplit('.').next().unwrap();
    forged.answer = format!("{}.{signature}", answered.answer.rsplit_once('.').unwrap().0);
    assert_eq!(believe(&forged, &question), Err(AnswerError::BadSignature));
    // A list that does not name the key believes nothing.
    let stranger = TestApp::spawn();
    assert_eq!(verify_answer(&answered, &trust::trust(&stranger), &question), Err(AnswerError::UnknownKey));
}

#[test]
fn dis_068_a_yes_is_to_what_stood_on_the_screen() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let entries = || app.dump()["history"].0;
    opened(&till.ask(&show(&app, &mut phone, Profile::Age).digits(), "request-1", Some("full")));
    let check = checks(&app, &phone).remove(0);
    let before = (app.dump()["holder_check"], entries());
    for change in 0..5 {
        let mut shown = check.clone();
        match change {
            0 => shown.profile = Profile::Age,
            1 => shown.document_type = 2,
            2 => shown.match_number = MatchNumber::new(99 - shown.match_number.value()).unwrap(),
            3 => shown.expires = shown.expires.plus(1),
            _ => shown.verifier = Label::new("Other".into()).unwrap(),
        }
        for allow in [true, false] {
            let word = AnswerCheck { id: check.id, ..AnswerCheck::to(&shown, allow) };
            assert_eq!(send(&app, &phone, &word).code(), ProblemCode::RecordMismatch, "{change}");
        }
    }
    assert_eq!((app.dump()["holder_check"], entries()), before, "it still waits");
    assert_eq!(send(&app, &phone, &AnswerCheck::to(&check, true)).status, 200);
    assert_eq!(outcome(&app, &till.look(check.id)), GREEN);
    // The history names what the phone said it had shown.
    let lines = phone.phone.history(50).unwrap().lines;
    let mut scans = lines.into_iter().filter_map(|line| match line {
        HistoryLine::Told { entry: Some(Entry { act: Act::Verified { scan }, .. }), .. } => Some(scan),
        _ => None,
    });
    let scan = scans.next_back().unwrap();
    assert_eq!(scan.shown, Some(check.digest()));
}

#[test]
fn dis_069_checks_end_with_what_they_are_about() {
    for end in ["withdrawn", "lost", "suspended"] {
        let app = TestApp::spawn();
        let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
        let open = opened(&till.scan(&show(&app, &mut phone, Profile::Full).digits())).check;
        let word = word(&app, &phone, open, true);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| till.wait(open, 100_000));
            thread::sleep(Duration::from_millis(500));
            match end {
                "withdrawn" => {
                    let token = events::reporter(&app);
                    let event = events::event("1", "document.withdrawn", "olena", 1, Some("identity_card"));
                    assert_eq!(events::send(&app, &token, &event).status, 200);
                }
                "lost" => {
                    let code = phone.phone.lost_code().unwrap();
                    let body = serde_json::json!({ "code": code.text().to_string() });
                    assert_eq!(app.http.json("POST", "/v1/report-lost", "", Some(&body)).status, 204);
                }
                _ => {
                    let device = phone.device_key().device_id();
                    assert_eq!(app.admin("POST", &format!("/devices/{device}/suspend"), None).status, 204);
                }
            }
            // Woken: the test's clock does not move, so waiting would not end by itself.
            assert_eq!(outcome(&app, &waiting.join().unwrap()), red(Reason::Revoked), "{end}");
        });
        let late = send(&app, &phone, &word).code();
        let expected = match end {
            "withdrawn" => ProblemCode::RequestClosed,
            "lost" => ProblemCode::Revoked,
            _ => ProblemCode::Suspended,
        };
        assert_eq!(late, expected, "{end}");
        assert_eq!(outcome(&app, &till.look(open)), red(Reason::Revoked), "{end}");
    }
}

#[test]
fn dis_070_in_an_emergency_codes_are_checked_online_for_seventy_two_hours() {
    let mut app = trust::pinned();
    trust::put_life(&app, 1, Life::Standard);
    let mut phone = stocked(&app, "olena");
    let (token, id) = {
        let till = Till::new(&app, "Shop");
        (till.token, till.id)
    };
    let issued = app.clock.seconds();
    app.clock.advance(25 * 3600);
    trust::put_life(&app, 2, Life::Emergency);
    // More than a day after the credentials' own end.
    app.clock.set(issued - issued % 3600 + 60 * 3600);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(app.service().expire()).unwrap();
    phone.phone.refresh_trust_list().unwrap();
    let text = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    let (done, ..) = outsider(&app, &Till::of(&app, &token, &id).scan(&text));
    assert_eq!((done.result.result, done.result.reason), GREEN);
    assert!(done.result.notes.contains(&Note::EmergencyLife), "{:?}", done.result.notes);
    // The short codes too: they go on display, resolve, and are answered.
    let screen = show(&app, &mut phone, Profile::Age);
    let check = opened(&Till::of(&app, &token, &id).scan(&screen.digits())).check;
    answer(&app, &phone, check, true);
    assert_eq!(outcome(&app, &Till::of(&app, &token, &id).look(check)), GREEN);
    app.restart();
    assert_eq!(outcome(&app, &Till::of(&app, &token, &id).scan(&text)), red(Reason::Used));
    // When the emergency is over, so are they.
    let fresh = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    trust::put_life(&app, 3, Life::Standard);
    assert_eq!(outcome(&app, &Till::of(&app, &token, &id).scan(&fresh)), red(Reason::Expired));
}
