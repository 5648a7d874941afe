//! What banks build on: results in every encoding, evidence of exactly what was asked, verification codes.

use std::{collections::BTreeSet, time::Duration};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use signer_client::{
    Approved, DeviceLink, ExpectedApproval, Outcome, RelyingParty, ResultError, verify_approval,
    verify_result,
};
use signer_core::{
    certificate::raw_from_der,
    history::Act,
    ids::{RelyingPartyId, RequestId},
    suite::SuiteId,
    time::UnixSeconds,
    wire::{
        ChooseCode, CodeChoice, CodeChosen, CreateRequest, CreatedRequest, DocumentDigest, ProblemCode,
        RequestField, RequestStatus, SignedResult, VerificationCode,
    },
};

use crate::{
    harness::{PIN, TestApp, WRONG, code, counted, patient, problem, request},
    support::phone::{Fault, TestPhone, network},
};

fn field(label: &str, value: &str) -> RequestField {
    RequestField { label: label.into(), value: value.into() }
}

fn with_fields() -> CreateRequest {
    CreateRequest {
        fields: vec![field("Сума", "5 000 €"), field("To", "EX00 17")], ..request("olena", 2)
    }
}

fn with_code(person: &str) -> CreateRequest {
    CreateRequest { verification_code: true, ..request(person, 1) }
}

fn signed(app: &TestApp, bank: &RelyingParty, asked: &CreateRequest) -> (CreatedRequest, SignedResult) {
    let made = bank.ask(asked, &app.unique("signed")).unwrap();
    let mut phone = app.phone(asked.person.as_str());
    assert!(matches!(phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
    let result = bank.wait(made.id, Duration::ZERO).unwrap().result.unwrap();
    (made, result)
}

#[test]
fn app_200_a_signature_comes_in_every_encoding_of_its_suite() {
    for suite in SuiteId::ALL {
        let app = TestApp::spawn_patient(suite);
        let bank = app.bank();
        let (_, result) = signed(&app, &bank, &request("olena", 2));
        assert_eq!(result.suite, suite.name());
        verify_result(&result).unwrap();
        for entry in &result.signatures {
            match suite {
                SuiteId::Es256 => {
                    assert_eq!(entry.raw.as_ref(), Some(&entry.signature));
                    let der = BASE64_STANDARD.decode(entry.der.as_ref().unwrap()).unwrap();
                    let raw = BASE64_STANDARD.decode(&entry.signature).unwrap();
                    assert_eq!(raw_from_der(&der).unwrap().as_slice(), raw);
                }
                SuiteId::FrostSecp256k1Sha256 => assert_eq!((&entry.raw, &entry.der), (&None, &None)),
            }
        }
        if suite != SuiteId::Es256 {
            continue;
        }
        // An encoding of another signature is found.
        let swap = |change: &dyn Fn(&mut SignedResult)| {
            let mut altered = result.clone();
            change(&mut altered);
            verify_result(&altered).unwrap_err()
        };
        let name = ResultError::Signature("document 0".into());
        assert_eq!(swap(&|result| result.signatures[0].raw = result.signatures[1].raw.clone()), name);
        assert_eq!(swap(&|result| result.signatures[0].der = result.signatures[1].der.clone()), name);
        assert_eq!(swap(&|result| result.signatures[0].der = result.signatures[0].raw.clone()), name);
    }
}

#[test]
fn app_201_the_evidence_of_an_approval_is_of_exactly_what_was_asked() {
    let app = TestApp::spawn();
    let registered = app.relying_party("Bank of Examples", true, false);
    let bank = RelyingParty::new(network(app.url()), registered.token);
    let asked = with_fields();
    let (made, result) = signed(&app, &bank, &asked);
    let expected = ExpectedApproval::of(registered.id, &asked, &made);
    let record = verify_approval(&result, &expected).unwrap().record;
    let shown: Vec<_> =
        record.request.fields().iter().map(|one| (one.label.as_str(), one.value.as_str())).collect();
    assert_eq!(shown, [("Сума", "5 000 €"), ("To", "EX00 17")]);
    assert_eq!(record.approved_at.0, app.clock.seconds());

    // Another expectation is another approval.
    let differs = |expected: ExpectedApproval<'_>| match verify_approval(&result, &expected) {
        Err(ResultError::Approval(what)) => what,
        other => panic!("{other:?}"),
    };
    let other = RelyingPartyId::from_bytes([1; 16]);
    assert_eq!(differs(ExpectedApproval { relying_party: other, ..expected }), "the relying party");
    let other = RequestId::from_bytes([1; 16]);
    assert_eq!(differs(ExpectedApproval { request: other, ..expected }), "the request's id");
    assert_eq!(differs(ExpectedApproval { text: "Please sign", ..expected }), "the text");
    let later = UnixSeconds(made.expires + 1);
    assert_eq!(differs(ExpectedApproval { expires: later, ..expected }), "the end of the request");
    let mut changed = asked.fields.clone();
    changed[0].value = "50 000 €".into();
    for fields in [&changed[..], &asked.fields[..1], &[]] {
        assert_eq!(differs(ExpectedApproval { fields, ..expected }), "a field");
    }
    let mut renamed = asked.documents.clone();
    renamed[1].name.push('!');
    let mut replaced = asked.documents.clone();
    replaced[1].sha256 = BASE64_STANDARD.encode([9; 32]);
    let swapped: Vec<DocumentDigest> = asked.documents.iter().rev().cloned().collect();
    for documents in [&renamed[..], &replaced[..], &swapped[..], &asked.documents[..1], &[]] {
        assert_eq!(differs(ExpectedApproval { documents, ..expected }), "a document");
    }

    // And no byte of the evidence can be another one: text, fields, digests, relying party, times, device, key.
    let bytes = BASE64_STANDARD.decode(&result.approval.record).unwrap();
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        let mut changed = result.clone();
        changed.approval.record = BASE64_STANDARD.encode(altered);
        let found = verify_approval(&changed, &expected).unwrap_err();
        assert!(matches!(found, ResultError::RecordSignature | ResultError::Form(_)), "{place}: {found:?}");
    }
    let mut changed = result.clone();
    let stranger = app.phone("taras");
    changed.approval.device_key = BASE64_STANDARD.encode(stranger.device_key().0);
    assert_eq!(verify_approval(&changed, &expected), Err(ResultError::RecordSignature));
}

/// The codes as the phone gets them.
fn choice(phone: &mut TestPhone, id: RequestId) -> CodeChoice {
    let waiting = phone.phone.waiting().unwrap();
    waiting.into_iter().find(|waiting| waiting.object.request == id).unwrap().codes.unwrap()
}

fn wrong_code(choice: &CodeChoice, right: VerificationCode) -> VerificationCode {
    choice.codes.into_iter().find(|code| *code != right).unwrap()
}

#[test]
fn app_210_a_request_with_a_verification_code_is_signed_after_the_right_choice() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let plain = app.ask(&bank, "olena");
    let asked = with_code("olena");
    let made = bank.ask(&asked, "with-code").unwrap();
    let right = made.verification_code.unwrap();
    assert_eq!(bank.ask(&asked, "with-code").unwrap(), made, "the same code again");
    let shown = choice(&mut phone, made.id);
    assert!(!shown.chosen && shown.codes.contains(&right));
    assert_eq!(choice(&mut phone, made.id), shown, "the order stays");
    let without = phone.phone.waiting().unwrap();
    assert!(without.iter().any(|waiting| waiting.object.request == plain && waiting.codes.is_none()));
    // A lost answer is made up for.
    phone.wire.fail("choose-code", Fault::LoseAnswer);
    phone.phone.choose_code(made.id, right).unwrap_err();
    assert_eq!(phone.phone.choose_code(made.id, right).unwrap(), CodeChosen::Right {});
    assert!(choice(&mut phone, made.id).chosen);
    let mut app = app;
    app.restart();
    // The first choice decides, whatever is sent later.
    assert_eq!(phone.phone.choose_code(made.id, wrong_code(&shown, right)).unwrap(), CodeChosen::Right {});
    assert!(matches!(phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
    assert_eq!(bank.wait(made.id, Duration::ZERO).unwrap().status, RequestStatus::Signed);
    assert_eq!(phone.phone.choose_code(made.id, right).unwrap(), CodeChosen::Right {});
}

#[test]
fn app_211_a_wrong_choice_ends_the_request_and_costs_no_attempt() {
    let app = TestApp::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let made = bank.ask(&with_code("olena"), "wrong").unwrap();
    let right = made.verification_code.unwrap();
    let shown = choice(&mut phone, made.id);
    phone.wire.fail("choose-code", Fault::LoseAnswer);
    phone.phone.choose_code(made.id, wrong_code(&shown, right)).unwrap_err();
    let view = bank.wait(made.id, Duration::ZERO).unwrap();
    assert_eq!((view.status, view.result), (RequestStatus::WrongCode, None));
    assert_eq!(serde_json::to_value(view.status).unwrap(), "wrong_code");
    // Neither the right one nor another now.
    for code in shown.codes {
        assert_eq!(phone.phone.choose_code(made.id, code).unwrap(), CodeChosen::Wrong {});
    }
    assert!(phone.phone.waiting().unwrap().is_empty());
    assert_eq!(phone.phone.outcome(made.id).unwrap(), Outcome::WrongCode);
    assert_eq!(code(phone.phone.decline(made.id)), ProblemCode::RequestClosed);
    assert_eq!(counted(&phone.phone.status().unwrap()), 0);
    let history = phone.phone.history(1000).unwrap();
    let told = history.lines.iter().filter(|line| {
        matches!(line, signer_client::HistoryLine::Told { entry: Some(entry), .. }
            if matches!(&entry.act, Act::WrongCode { asked } if asked.request == made.id))
    });
    assert_eq!(told.count(), 1);
}

#[test]
fn app_212_without_a_choice_nothing_is_evaluated() {
    let app = TestApp::spawn_with(|config| (config.lock_policy, config.insecure) = (patient(), true));
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let made = bank.ask(&with_code("olena"), "without").unwrap();
    let before = app.dump();
    for pin in [WRONG, PIN] {
        assert_eq!(code(phone.approve(made.id, pin)), ProblemCode::CodeNotChosen);
    }
    assert_eq!(app.dump(), before);
    assert_eq!(counted(&phone.phone.status().unwrap()), 0);
    let right = made.verification_code.unwrap();
    assert_eq!(phone.phone.choose_code(made.id, right).unwrap(), CodeChosen::Right {});
    assert!(matches!(phone.approve(made.id, WRONG).unwrap(), Approved::WrongPin(_)));
    assert!(matches!(phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
}

#[test]
fn app_213_a_choice_is_for_ones_own_open_request_and_its_codes() {
    let app = TestApp::spawn();
    let (bank, mut phone, mut other) = (app.bank(), app.phone("olena"), app.phone("taras"));
    let plain = app.ask(&bank, "olena");
    let made = bank.ask(&with_code("olena"), "own").unwrap();
    let right = made.verification_code.unwrap();
    let shown = choice(&mut phone, made.id);
    let stranger = (0..4).map(|n| VerificationCode::new(n).unwrap()).find(|code| !shown.codes.contains(code));
    let before = app.dump();
    assert_eq!(code(other.phone.choose_code(made.id, right)), ProblemCode::NotFound);
    assert_eq!(code(phone.phone.choose_code(made.id, stranger.unwrap())), ProblemCode::InvalidValue);
    assert_eq!(code(phone.phone.choose_code(plain, right)), ProblemCode::InvalidValue);
    let nobody =
        phone.seal(app.clock.seconds(), &ChooseCode { request: RequestId::from_bytes([9; 16]), code: right });
    assert_eq!(app.device("choose-code", &nobody).code(), ProblemCode::NotFound);
    assert_eq!(app.dump(), before);
    // To nobody: the same reply, and then nothing.
    let lost = bank.ask(&with_code("nobody"), "nobody").unwrap();
    assert!(lost.verification_code.is_some());
    phone.phone.decline(made.id).unwrap();
    assert_eq!(code(phone.phone.choose_code(made.id, right)), ProblemCode::RequestClosed);
    let late = bank.ask(&with_code("olena"), "late").unwrap();
    app.clock.advance(90_000);
    let expired = phone.phone.choose_code(late.id, late.verification_code.unwrap());
    assert_eq!(code(expired), ProblemCode::RequestClosed);
    assert_eq!(bank.wait(lost.id, Duration::ZERO).unwrap().status, RequestStatus::Expired);
}

fn with_link() -> CreateRequest {
    CreateRequest { person: String::new(), link: true, ..request("", 1) }
}

#[test]
fn app_220_who_opens_a_link_first_gets_its_request() {
    let app = TestApp::spawn();
    let (bank, mut phone, mut other) = (app.bank(), app.phone("olena"), app.phone("taras"));
    let asked = with_link();
    let made = bank.ask(&asked, "link").unwrap();
    let link = DeviceLink::of(&made).unwrap();
    assert_eq!(bank.ask(&asked, "link").unwrap(), made, "a lost reply is made up for");
    assert_eq!(bank.wait(made.id, Duration::ZERO).unwrap().link_opened, Some(false));
    assert!(phone.phone.requests().unwrap().is_empty());
    assert_eq!(code(phone.phone.decline(made.id)), ProblemCode::NotFound);
    // A lost answer is made up for, though the link is old by then.
    phone.wire.fail("open-link", Fault::LoseAnswer);
    let shown = link.at(0);
    phone.phone.open_link(&shown).unwrap_err();
    app.clock.advance(10);
    assert_eq!(phone.phone.open_link(&shown).unwrap(), made.id);
    let before = app.dump();
    assert_eq!(code(other.phone.open_link(&link.at(10))), ProblemCode::LinkUsed);
    assert_eq!(code(other.phone.open_link(&shown)), ProblemCode::LinkUsed);
    assert!(other.phone.requests().unwrap().is_empty());
    assert_eq!(app.dump(), before);
    let mut app = app;
    app.restart();
    assert_eq!(phone.phone.open_link(&shown).unwrap(), made.id, "after a restart too");
    let view = bank.wait(made.id, Duration::ZERO).unwrap();
    assert_eq!((view.status, view.link_opened), (RequestStatus::Open, Some(true)));
    assert!(matches!(phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
    verify_result(&bank.wait(made.id, Duration::ZERO).unwrap().result.unwrap()).unwrap();
}

#[test]
fn app_221_a_link_is_of_its_three_seconds() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let made = bank.ask(&with_link(), "link").unwrap();
    let link = DeviceLink::of(&made).unwrap();
    app.clock.advance(60);
    let before = app.dump();
    for elapsed in [0, 30, 56, 62, 63, 120, u64::MAX] {
        assert_eq!(code(phone.phone.open_link(&link.at(elapsed))), ProblemCode::LinkStale, "{elapsed}");
    }
    assert_eq!(app.dump(), before);
    for elapsed in [57, 58, 59, 60, 61] {
        let made = bank.ask(&with_link(), &app.unique("each")).unwrap();
        app.clock.advance(60);
        let link = DeviceLink::of(&made).unwrap();
        assert_eq!(phone.phone.open_link(&link.at(elapsed)).unwrap(), made.id, "{elapsed}");
        phone.phone.decline(made.id).unwrap();
    }
}

#[test]
fn app_222_without_a_right_mac_nobody_learns_whether_a_link_exists() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let made = bank.ask(&with_link(), "link").unwrap();
    let link = DeviceLink::of(&made).unwrap();
    let used = bank.ask(&with_link(), "used").unwrap();
    let used_link = DeviceLink::of(&used).unwrap();
    app.phone("taras").phone.open_link(&used_link.at(0)).unwrap();
    let gone = bank.ask(&with_link(), "gone").unwrap();
    let gone_link = DeviceLink::of(&gone).unwrap();
    bank.cancel(gone.id).unwrap();
    let now = app.clock.seconds();
    let mut answers = BTreeSet::new();
    let before = app.dump();
    let mac = |link: &str| link.rsplit_once("&a=").unwrap().1.to_owned();
    let swapped = |link: &str, mac: &str| format!("{}&a={mac}", link.rsplit_once("&a=").unwrap().0);
    let wrong = [
        // The MAC of another second, of another link; and a link that is nobody's, with each of them.
        swapped(&link.at(0), &mac(&link.at(1))),
        swapped(&link.at(0), &mac(&used_link.at(0))),
        swapped(&used_link.at(0), &mac(&link.at(0))),
        swapped(&gone_link.at(0), &mac(&link.at(0))),
        link.at(0).replace(made.link_token.as_deref().unwrap(), &"A".repeat(43)),
        swapped(&link.at(999), &mac(&link.at(0))),
    ];
    for link in &wrong {
        let problem = problem(phone.phone.open_link(link));
        answers.insert((problem.status, serde_json::to_string(&problem).unwrap()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().1.contains("link_unknown"));
    // With a right one each is named.
    assert_eq!(code(phone.phone.open_link(&used_link.at(0))), ProblemCode::LinkUsed);
    assert_eq!(code(phone.phone.open_link(&gone_link.at(0))), ProblemCode::RequestClosed);
    assert_eq!((app.dump(), app.clock.seconds()), (before, now));
    // And they cannot be tried without end.
    let refused = (0..30)
        .map(|_| code(phone.phone.open_link(&wrong[0])))
        .find(|code| *code != ProblemCode::LinkUnknown);
    assert_eq!(refused, Some(ProblemCode::TooMany));
    app.clock.advance(61);
    let late = bank.ask(&with_link(), "late").unwrap();
    assert_eq!(phone.phone.open_link(&DeviceLink::of(&late).unwrap().at(0)).unwrap(), late.id);
}

#[test]
fn app_223_a_link_that_nobody_opens_expires_and_its_secret_is_nowhere_in_the_clear() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let made = bank.ask(&CreateRequest { expires_in: Some(60), ..with_link() }, "link").unwrap();
    let secret = BASE64_URL_SAFE_NO_PAD.decode(made.link_secret.as_ref().unwrap()).unwrap();
    assert!(!format!("{made:?}").contains(made.link_secret.as_deref().unwrap()));
    for file in std::fs::read_dir(&app.config.data_dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
    // As many as are asked for: they are nobody's, so they bury nobody.
    for n in 0..20 {
        bank.ask(&with_link(), &format!("many-{n}")).unwrap();
    }
    app.clock.advance(60);
    let link = DeviceLink::of(&made).unwrap();
    assert_eq!(code(phone.phone.open_link(&link.at(60))), ProblemCode::RequestClosed);
    assert_eq!(bank.wait(made.id, Duration::ZERO).unwrap().status, RequestStatus::Expired);
}

#[test]
fn app_224_an_opened_link_counts_among_what_one_relying_party_asks_a_person() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    for _ in 0..8 {
        app.ask(&bank, "olena");
    }
    let made = bank.ask(&with_link(), "link").unwrap();
    let link = DeviceLink::of(&made).unwrap();
    assert_eq!(code(phone.phone.open_link(&link.at(0))), ProblemCode::TooMany);
    let first = phone.phone.requests().unwrap()[0].request;
    phone.phone.decline(first).unwrap();
    assert_eq!(phone.phone.open_link(&link.at(0)).unwrap(), made.id);
}

#[test]
fn app_230_a_relying_party_has_a_name_of_its_own_for_each_person() {
    let app = TestApp::spawn();
    let (bank, other, mut phone) = (app.bank(), app.bank(), app.phone("olena"));
    let mut person = |bank: &RelyingParty, asked: &CreateRequest| {
        let made = bank.ask(asked, &app.unique("named")).unwrap();
        if asked.link {
            phone.phone.open_link(&DeviceLink::of(&made).unwrap().at(0)).unwrap();
        }
        assert!(matches!(phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
        bank.wait(made.id, Duration::ZERO).unwrap().result.unwrap().person_id.unwrap()
    };
    let named = person(&bank, &request("olena", 1));
    assert!(named.starts_with("pid_") && named.len() == 26, "{named}");
    assert!(!named.contains("olena"));
    assert_eq!(person(&bank, &with_link()), named);
    assert_eq!(person(&bank, &request(&named, 1)), named, "by its own name");
    let elsewhere = person(&other, &request("olena", 1));
    assert_ne!(elsewhere, named);
    // It stays when the person enrols another phone.
    let mut newer = app.phone("olena");
    let id = app.ask(&bank, &named);
    assert!(matches!(newer.approve(id, PIN).unwrap(), Approved::Signed(_)));
    assert_eq!(bank.wait(id, Duration::ZERO).unwrap().result.unwrap().person_id.unwrap(), named);
    assert!(bank.signing_certificate(&named).is_ok());
    assert_eq!(code(other.signing_certificate(&named)), ProblemCode::NotFound);
}

#[test]
fn app_231_another_relying_partys_name_for_a_person_is_nobodys() {
    let app = TestApp::spawn();
    let (bank, other, mut phone) = (app.bank(), app.bank(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let named = bank.wait(id, Duration::ZERO).unwrap().result.unwrap().person_id.unwrap();
    let views = [named.as_str(), "pid_AAAAAAAAAAAAAAAAAAAAAA", "pid_", "nobody"].map(|person| {
        let asked = CreateRequest { expires_in: Some(60), ..request(person, 1) };
        other.ask(&asked, &app.unique("foreign")).unwrap()
    });
    assert!(phone.phone.requests().unwrap().is_empty());
    assert_eq!(views.iter().map(|made| made.expires).collect::<BTreeSet<_>>().len(), 1);
    app.clock.advance(60);
    for made in views {
        assert_eq!(other.wait(made.id, Duration::ZERO).unwrap().status, RequestStatus::Expired);
    }
    let code = app.admin("POST", "/enrolment-codes", Some(&serde_json::json!({ "person": named })));
    assert_eq!(code.code(), ProblemCode::InvalidValue, "nobody is enrolled under such a name");
}
