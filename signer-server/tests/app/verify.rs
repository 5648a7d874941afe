//! Codes, verified online.

use std::{collections::BTreeMap, sync::Barrier, thread};

use minicbor::Encoder;
use p256::ecdsa::SigningKey;
use signer_client::{Code, RelyingParty, Showing};
use signer_core::{
    codec,
    credential::{
        Colour, DayCredential, Digits, DocumentType, Reason, StatusIndex, Step, Turn, VerificationResult,
        digits,
    },
    secret::SecretBytes,
    wire::{IssuedCredentials, ProblemCode, Profile},
};

use crate::{
    forge,
    harness::{PIN, TestApp, code as problem_code},
    support::{clock::TestClock, phone::TestPhone, phone::network},
    vault::Vault,
};

fn stocked(app: &TestApp, clock: &TestClock) -> TestPhone {
    let mut phone = app.phone_on("olena", clock);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
    phone
}

/// A code of a show of its own.
fn fresh_code(phone: &mut TestPhone) -> Code {
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    phone.phone.code(&mut session).unwrap()
}

fn colour(result: &VerificationResult) -> (Colour, Reason) {
    if result.result == Colour::Red {
        assert_eq!((result.document_type, &result.claims, result.step), (None, &None, None));
    }
    (result.result, result.reason)
}

const GREEN: (Colour, Reason) = (Colour::Green, Reason::Valid);
const USED: (Colour, Reason) = (Colour::Red, Reason::Used);

#[test]
fn app_040_of_a_hundred_verifications_at_once_one_is_green() {
    let app = TestApp::spawn();
    let mut phone = stocked(&app, &app.clock);
    let shops: Vec<_> = (0..5).map(|_| app.relying_party("Shop", false, true).token).collect();
    for profile in [Profile::Age, Profile::Minimal, Profile::Full] {
        let mut session =
            phone.phone.start_show(DocumentType::IdentityCard, Showing::to_whoever_scans(profile)).unwrap();
        let code = phone.phone.code(&mut session).unwrap();
        let barrier = Barrier::new(100);
        let results: Vec<_> = thread::scope(|scope| {
            let verify = |n: usize| {
                let (token, barrier, text) = (&shops[n % 5], &barrier, code.presentation.as_str());
                let url = app.url();
                scope.spawn(move || {
                    let shop = RelyingParty::new(network(url), token.as_str());
                    // The connection stands before the race begins.
                    signer_client::public(&*network(url), "/v1/trust-list", "application/cose").unwrap();
                    barrier.wait();
                    shop.verify_code(text, &format!("{}-{n:04}", profile.name())).unwrap()
                })
            };
            let threads: Vec<_> = (0..100).map(verify).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for result in &results {
            *counts.entry(format!("{:?}", colour(result))).or_default() += 1;
        }
        assert_eq!(counts, BTreeMap::from([(format!("{GREEN:?}"), 1), (format!("{USED:?}"), 99)]));
        // The phone sees it and shows the next one, which is good once too.
        assert!(phone.phone.poll(&mut session).unwrap());
        let next = phone.phone.code(&mut session).unwrap();
        assert_eq!(next.turn.number(), 1);
        let shop = RelyingParty::new(network(app.url()), shops[0].as_str());
        assert_eq!(
            colour(&shop.verify_code(next.presentation.as_str(), &app.unique("next-id")).unwrap()),
            GREEN
        );
        assert_eq!(
            colour(&shop.verify_code(code.presentation.as_str(), &app.unique("old-code")).unwrap()),
            USED
        );
    }
}

#[test]
fn app_041_the_same_verifier_and_request_gets_the_same_answer_for_a_minute() {
    let mut app = TestApp::spawn();
    let mut phone = stocked(&app, &app.clock);
    let (shop, other) = (app.shop(), app.shop());
    let code = fresh_code(&mut phone);
    let text = code.presentation.as_str();
    let first = shop.verify_code(text, "scan-0001").unwrap();
    assert_eq!(colour(&first), GREEN);
    for later in [0, 30, 30] {
        app.clock.advance(later);
        assert_eq!(shop.verify_code(text, "scan-0001").unwrap(), first);
        assert_eq!(colour(&shop.verify_code(text, "scan-0002").unwrap()), USED);
        assert_eq!(colour(&other.verify_code(text, "scan-0001").unwrap()), USED);
        app.restart();
    }
    app.clock.advance(1);
    assert_eq!(colour(&shop.verify_code(text, "scan-0001").unwrap()), USED);
    // Twenty repetitions at once are one use.
    let code = fresh_code(&mut phone);
    let results: Vec<_> = thread::scope(|scope| {
        let token = app.relying_party("Shop", false, true).token;
        let (url, text) = (app.url(), code.presentation.as_str());
        let verify = |_| {
            let shop = RelyingParty::new(network(url), token.as_str());
            scope.spawn(move || shop.verify_code(text, "scan-0001").unwrap())
        };
        let threads: Vec<_> = (0..20).map(verify).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(results.iter().all(|result| *result == results[0] && colour(result) == GREEN), "{results:?}");
}

#[test]
fn app_042_thirty_seconds_beside_its_step_a_code_is_good_thirty_one_it_is_not() {
    // The phone's clock runs ahead of the server's; the server's decides.
    let app = TestApp::spawn();
    let ahead = TestClock::at(app.clock.seconds());
    let mut phone = stocked(&app, &ahead);
    let shop = app.shop();
    let start = app.clock.seconds() + 180;
    ahead.set(start);
    let code = fresh_code(&mut phone);
    assert_eq!(code.step, Step(start / 180));
    app.clock.set(start - 31);
    let text = code.presentation.as_str();
    let early = shop.verify_code(text, "early-0001").unwrap();
    assert_eq!(colour(&early), (Colour::Red, Reason::Clock));
    assert!(early.sentence.contains("31 s"), "{}", early.sentence);
    app.clock.advance(1);
    assert_eq!(colour(&shop.verify_code(text, "early-0002").unwrap()), GREEN);

    // Its last second is start + 179: 30 s after that it is good, 31 s after it is not.
    let (good, late) = (fresh_code(&mut phone), fresh_code(&mut phone));
    assert_eq!(good.step, code.step);
    app.clock.set(start + 179 + 30);
    assert_eq!(colour(&shop.verify_code(good.presentation.as_str(), "late-0001").unwrap()), GREEN);
    app.clock.advance(1);
    let result = shop.verify_code(late.presentation.as_str(), "late-0002").unwrap();
    assert_eq!(colour(&result), (Colour::Red, Reason::Clock));
    assert!(result.sentence.contains("31 s"), "{}", result.sentence);
    // A refused code is not used up, but its time does not come back: the server's clock never goes back.
    app.clock.set(start);
    let again = shop.verify_code(late.presentation.as_str(), "late-0003").unwrap();
    assert_eq!(colour(&again), (Colour::Red, Reason::Clock));
}

/// Everything the issuer and one phone know.
struct Forger {
    issuer: SigningKey,
    kid: [u8; 4],
    day_key: SigningKey,
    status: StatusIndex,
    otp: SecretBytes<32>,
    document: Vec<u8>,
    issued: u64,
    now: u64,
    turn: std::cell::Cell<u8>,
}

/// What is wrong with a code; `None` parts are right.
#[derive(Default)]
struct Flaw {
    issued: Option<u64>,
    expires: Option<u64>,
    extra_claim: Option<(i8, u8)>,
    issuer_header: Option<Vec<u8>>,
    issuer_protected: Option<Vec<u8>>,
    issuer_key: Option<SigningKey>,
    device_header: Option<Vec<u8>>,
    device_protected: Option<Vec<u8>>,
    device_key: Option<SigningKey>,
    status: Option<StatusIndex>,
    digits: Option<Digits>,
    challenge: Option<[u8; 16]>,
    turn: Option<u8>,
    step: Option<u64>,
    document: Option<Vec<u8>>,
}

impl Forger {
    fn write(&self, flaw: Flaw) -> (Vec<u8>, Vec<u8>) {
        let issued = flaw.issued.unwrap_or(self.issued);
        let status = flaw.status.unwrap_or(self.status);
        let mut claims = Encoder::new(Vec::new());
        claims.map(5 + u64::from(flaw.extra_claim.is_some())).unwrap();
        claims.u8(4).unwrap().u64(flaw.expires.unwrap_or(issued + 93_600)).unwrap();
        claims.u8(6).unwrap().u64(issued).unwrap();
        let point = self.day_key.verifying_key().to_sec1_point(true);
        claims.i8(-1).unwrap().bytes(point.as_bytes()).unwrap();
        claims.i8(-2).unwrap().array(2).unwrap().u32(status.list).unwrap().u32(status.index).unwrap();
        claims.i8(-3).unwrap();
        claims.writer_mut().extend(flaw.document.unwrap_or_else(|| self.document.clone()));
        if let Some((key, value)) = flaw.extra_claim {
            claims.i8(key).unwrap().u8(value).unwrap();
        }
        let issuer = forge::envelope(
            flaw.issuer_key.as_ref().unwrap_or(&self.issuer),
            b"DQ1/issuer",
            flaw.issuer_protected.as_deref().unwrap_or(forge::ES256),
            &flaw.issuer_header.unwrap_or_else(|| forge::kid_header(&self.kid)),
            &claims.into_writer(),
        );
        let step = flaw.step.unwrap_or(self.now / 180);
        let turn = flaw.turn.unwrap_or_else(|| self.turn.get());
        let expected = digits(&self.otp, self.status, Step(step), Turn::try_from(turn.min(15)).unwrap());
        let mut show = Encoder::new(Vec::new());
        show.array(3 + u64::from(flaw.challenge.is_some())).unwrap();
        show.u64(step).unwrap().u8(turn).unwrap().u32(flaw.digits.unwrap_or(expected).value()).unwrap();
        if let Some(challenge) = flaw.challenge {
            show.bytes(&challenge).unwrap();
        }
        let device = forge::envelope(
            flaw.device_key.as_ref().unwrap_or(&self.day_key),
            &forge::show_aad(&issuer),
            flaw.device_protected.as_deref().unwrap_or(forge::ES256),
            &flaw.device_header.unwrap_or_else(|| vec![0xa0]),
            &show.into_writer(),
        );
        (issuer, device)
    }
}

#[test]
fn app_043_codes_wrong_in_any_layer_are_refused_as_results() {
    let app = TestApp::spawn();
    let (shop, mut phone) = (app.shop(), stocked(&app, &app.clock));
    let reply = phone.wire.first("credentials").reply.unwrap();
    let issued: IssuedCredentials = codec::decode(&reply, 1 << 20).unwrap();
    let real = DayCredential::from_bytes(issued.credentials.as_slice()[0].as_slice()).unwrap();
    let kek = std::fs::read(app.config.data_dir.join("kek")).unwrap();
    let vault = Vault::open(&kek, app.read_only());
    let status = real.claims().status();
    let otp = vault.otp(status);
    assert!(otp.ct_eq(&issued.otp_secret.0));
    let key = |seed: u8| SigningKey::from_slice(&[seed; 32]).unwrap();
    let issuer = SigningKey::from_slice(&vault.server_key("issuer")).unwrap();
    let kid = signer_core::credential::Kid::of(issuer.verifying_key()).0;
    // The document's own bytes, out of the real credential.
    let payload = real.as_bytes().windows(2).position(|window| window == [0x22, 0x83]).unwrap();
    let document = real.as_bytes()[payload + 1..real.as_bytes().len() - 66].to_vec();
    let now = app.clock.seconds();
    let forger = Forger {
        issuer,
        kid,
        day_key: key(7),
        status,
        otp,
        document,
        issued: now - now % 3600,
        now,
        turn: std::cell::Cell::new(0),
    };
    let mut scan = 0;
    let mut check = |text: &str| {
        scan += 1;
        let result = shop.verify_code(text, &format!("forged-{scan:04}")).unwrap();
        colour(&result)
    };
    let flawed = |flaw: Flaw| forger.write(flaw);
    let text = |(issuer, device): (Vec<u8>, Vec<u8>)| forge::code(&issuer, &device);

    // Nothing wrong: what is refused below is refused for its one flaw.
    assert_eq!(check(&text(flawed(Flaw::default()))), GREEN);
    forger.turn.set(1);
    let red = |reason| (Colour::Red, reason);
    let hour = forger.issued;
    let other_status = StatusIndex { index: status.index ^ 1, ..status };
    let cases: Vec<(&str, Flaw, Reason)> = vec![
        ("longer life", Flaw { expires: Some(hour + 93_601), ..Flaw::default() }, Reason::Unreadable),
        ("shorter life", Flaw { expires: Some(hour + 93_599), ..Flaw::default() }, Reason::Unreadable),
        ("72 hours", Flaw { expires: Some(hour + 259_200), ..Flaw::default() }, Reason::Unreadable),
        ("not a full hour", Flaw { issued: Some(hour + 60), ..Flaw::default() }, Reason::Unreadable),
        ("before the key", Flaw { issued: Some(hour - 3600), ..Flaw::default() }, Reason::UnknownIssuer),
        ("not yet issued", Flaw { issued: Some(hour + 7200), ..Flaw::default() }, Reason::Clock),
        ("unknown claim", Flaw { extra_claim: Some((-5, 1)), ..Flaw::default() }, Reason::Unreadable),
        ("custody", Flaw { extra_claim: Some((-4, 1)), ..Flaw::default() }, Reason::HeldByServer),
        (
            "issuer header with an unknown entry",
            Flaw { issuer_header: Some([&[0xa2, 4, 0x44][..], &kid, &[5, 0]].concat()), ..Flaw::default() },
            Reason::Unreadable,
        ),
        (
            "issuer without kid",
            Flaw { issuer_header: Some(vec![0xa0]), ..Flaw::default() },
            Reason::Unreadable,
        ),
        (
            "phone with kid",
            Flaw { device_header: Some(forge::kid_header(&kid)), ..Flaw::default() },
            Reason::Unreadable,
        ),
        (
            "phone header with an unknown entry",
            Flaw { device_header: Some(vec![0xa1, 5, 0]), ..Flaw::default() },
            Reason::Unreadable,
        ),
        (
            "ES384",
            Flaw { issuer_protected: Some(vec![0xa1, 1, 0x38, 0x22]), ..Flaw::default() },
            Reason::Unreadable,
        ),
        (
            "critical header",
            Flaw { device_protected: Some(vec![0xa2, 1, 0x26, 2, 0x81, 4]), ..Flaw::default() },
            Reason::Unreadable,
        ),
        ("another issuer", Flaw { issuer_key: Some(key(9)), ..Flaw::default() }, Reason::BadSignature),
        (
            "unknown kid",
            Flaw { issuer_header: Some(forge::kid_header(&[1, 2, 3, 4])), ..Flaw::default() },
            Reason::UnknownIssuer,
        ),
        ("another phone", Flaw { device_key: Some(key(9)), ..Flaw::default() }, Reason::BadSignature),
        ("never issued", Flaw { status: Some(other_status), ..Flaw::default() }, Reason::Revoked),
        ("wrong digits", Flaw { digits: Digits::new(0), ..Flaw::default() }, Reason::BadSignature),
        (
            "answers a request",
            Flaw { challenge: Some([3; 16]), ..Flaw::default() },
            Reason::NotForThisRequest,
        ),
        ("turn 16", Flaw { turn: Some(16), ..Flaw::default() }, Reason::Unreadable),
        ("another step", Flaw { step: Some(now / 180 + 2), ..Flaw::default() }, Reason::Clock),
        (
            "unknown kind of document",
            Flaw { document: Some(vec![0x83, 99, 18, 0xf6]), ..Flaw::default() },
            Reason::Unreadable,
        ),
    ];
    let before = app.dump()["burn"];
    for (name, flaw, reason) in cases {
        assert_eq!(check(&text(flawed(flaw))), red(reason), "{name}");
    }
    // The high-s twins: other bytes for the same statement.
    let (issuer, device) = flawed(Flaw::default());
    let (body, signature) = device.split_at(device.len() - 64);
    let twin = [body, &forge::high_s(signature)].concat();
    assert_eq!(check(&forge::code(&issuer, &twin)), red(Reason::BadSignature));
    let (body, signature) = issuer.split_at(issuer.len() - 64);
    let twin = [body, &forge::high_s(signature)].concat();
    assert_eq!(check(&forge::code(&twin, &device)), red(Reason::BadSignature));
    // The first show is with the credential forged above.
    let _used = fresh_code(&mut phone);
    let genuine = fresh_code(&mut phone).presentation.as_str().to_owned();
    let bytes = forge::unbase45(&genuine[4..]);
    let (body, signature) = bytes.split_at(bytes.len() - 64);
    let twin = format!("DQ1:{}", forge::base45(&[body, &forge::high_s(signature)].concat()));
    assert_eq!(check(&twin), red(Reason::BadSignature));
    // The text around a good code.
    for (changed, reason) in [
        (genuine.to_lowercase(), Reason::NotOurs),
        (genuine.replacen("DQ1:", "DQ2:", 1), Reason::NotOurs),
        (format!(" {genuine}"), Reason::NotOurs),
        (format!("{genuine} "), Reason::Unreadable),
        (format!("{genuine}0"), Reason::Unreadable),
        (genuine[..genuine.len() - 3].to_owned(), Reason::Unreadable),
        (format!("{genuine}{}", "0".repeat(601 - genuine.len())), Reason::Unreadable),
        ("DQ1:".to_owned(), Reason::Unreadable),
        (String::new(), Reason::NotOurs),
        ("DQ1:\u{0}\u{202E}".to_owned(), Reason::Unreadable),
        ("DQ1:".to_owned() + &"9".repeat(10_000), Reason::Unreadable),
        ("https://example.org/?code=1".to_owned(), Reason::NotOurs),
    ] {
        assert_eq!(check(&changed), red(reason), "{changed}");
    }
    assert_eq!(app.dump()["burn"], before, "a refused code uses nothing up");
    assert_eq!(check(&genuine), GREEN);
    // Its life ends with the second.
    let at = |now: u64| text(flawed(Flaw { step: Some(now / 180), ..Flaw::default() }));
    app.clock.set(hour + 93_599);
    assert_eq!(check(&at(hour + 93_599)), GREEN);
    app.clock.advance(1);
    assert_eq!(check(&at(hour + 93_600)), red(Reason::Expired));
}

#[test]
fn app_044_codes_of_a_revoked_frozen_or_replaced_phone_are_refused() {
    let app = TestApp::spawn();
    let (shop, revoked) = (app.shop(), (Colour::Red, Reason::Revoked));
    for end in ["revoke", "freeze", "replace"] {
        let mut phone = stocked(&app, &app.clock);
        let device = phone.device_key().device_id();
        let check = |code: &Code| {
            let id = app.unique("scan-id");
            colour(&shop.verify_code(code.presentation.as_str(), &id).unwrap())
        };
        assert_eq!(check(&fresh_code(&mut phone)), GREEN);
        let code = fresh_code(&mut phone);
        match end {
            "revoke" => {
                assert_eq!(app.admin("POST", &format!("/devices/{device}/revoke"), None).status, 204);
            }
            "freeze" => {
                let bank = app.bank();
                let sign = |phone: &mut TestPhone| {
                    app.clock.advance(1);
                    let id = app.ask(&bank, "olena");
                    phone.approve(id, PIN)
                };
                sign(&mut phone).unwrap();
                let mut copy = app.copy(&phone);
                sign(&mut phone).unwrap();
                sign(&mut phone).unwrap();
                assert_eq!(problem_code(sign(&mut copy)), ProblemCode::Frozen);
            }
            _ => drop(app.phone("olena")),
        }
        assert_eq!(check(&code), revoked, "{end}");
        // Nothing new is issued to it either.
        let standing = if end == "freeze" { ProblemCode::Frozen } else { ProblemCode::Revoked };
        assert_eq!(problem_code(phone.phone.top_up(DocumentType::IdentityCard)), standing);
    }
}

#[test]
fn app_282_a_code_used_at_the_end_of_its_step_is_told_in_the_next() {
    let app = TestApp::spawn();
    let (shop, mut phone) = (app.shop(), stocked(&app, &app.clock));
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    let code = phone.phone.code(&mut session).unwrap();
    let uses = |code: &Code, scan: &str| colour(&shop.verify_code(code.presentation.as_str(), scan).unwrap());
    app.clock.advance(code.until.0 - app.clock.seconds() - 1);
    assert_eq!(uses(&code, "last-second"), GREEN);
    app.clock.advance(1);
    let next = phone.phone.code(&mut session).unwrap();
    assert_eq!(next.step, code.step.next());
    assert!(phone.phone.poll(&mut session).unwrap());
    assert_eq!(phone.phone.code(&mut session).unwrap(), next, "the code of this step was not used");
    assert!(!phone.phone.poll(&mut session).unwrap(), "told once");
    // One used in the grace after its step.
    app.clock.advance(180);
    let third = phone.phone.code(&mut session).unwrap();
    assert!(!phone.phone.poll(&mut session).unwrap());
    app.clock.advance(29);
    assert_eq!(uses(&next, "in-the-grace"), GREEN);
    assert!(phone.phone.poll(&mut session).unwrap());
    assert_eq!(phone.phone.code(&mut session).unwrap(), third);
    // Where nothing was used, it is asked no longer than anything could be.
    app.clock.advance(151);
    phone.phone.code(&mut session).unwrap();
    let asked = |phone: &TestPhone| {
        phone.wire.passed().iter().filter(|passed| passed.path.ends_with("/code-state")).count()
    };
    let before = asked(&phone);
    for _ in 0..4 {
        assert!(!phone.phone.poll(&mut session).unwrap());
        app.clock.advance(30);
    }
    // At 0, 30 and 60 seconds about both steps, then about one.
    assert_eq!(asked(&phone) - before, 3 * 2 + 1);
}
