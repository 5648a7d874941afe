//! Online use of codes: three codes of one display, checks that wait for the holder, signed answers.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Barrier,
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::{SigningKey, signature::Signer as _};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use signer_core::{
    codec::List,
    credential::{Colour, DocumentType, Note, Reason, StatusIndex, Step, Turn},
    device_key::{DevicePublicKeyBytes, DeviceSignature},
    domain::{Domain, Macer},
    secret::SecretBytes,
    wire::{
        AnswerCheck, CHECK_SECONDS, CHECKS_MAX, ChecksQuery, Display, Displayed, EndDisplay, Event,
        IssueCredentials, IssuedCredentials, Listen, Predicates, ProblemCode, Profile, day_key_proof,
    },
};

use crate::{
    harness::TestApp,
    screen::*,
    support::{
        clock::T0,
        http::Client,
        phone::{SUITE, TestPhone},
    },
};

#[test]
fn dis_010_a_short_code_is_put_to_the_holder_who_sees_who_asks_for_what() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Corner Shop"));
    for (profile, asked) in
        [(Profile::Age, None), (Profile::Minimal, Some("age")), (Profile::Age, Some("full"))]
    {
        for bar in [false, true] {
            let screen = show(&app, &mut phone, profile);
            assert_eq!(screen.shown.until.0, (screen.code.step.0 + 1) * 180 + 60);
            let code = if bar { screen.bar() } else { screen.digits() };
            let check = opened(&till.ask(&code, &app.unique("request"), asked));
            assert_eq!(check.expires, app.clock.seconds() + CHECK_SECONDS);
            assert_eq!(opened(&till.look(check.check)), check, "it waits");
            let waiting = checks(&app, &phone);
            let [seen] = &waiting[..] else { panic!("{waiting:?}") };
            assert_eq!((seen.id, seen.verifier.as_str()), (check.check, "Corner Shop"));
            assert_eq!((seen.match_number, seen.expires.0), (check.match_number, check.expires));
            let wanted = asked.map_or(profile, |name| Profile::from_name(name).unwrap());
            assert_eq!((seen.profile, seen.document_type), (wanted, 1));
            answer(&app, &phone, check.check, true);
            let (done, signed, _) = outsider(&app, &till.look(check.check));
            assert_eq!((done.result.result, done.result.reason), GREEN);
            assert_eq!((signed.verifier.to_string(), signed.profile), (till.id.clone(), Some(wanted)));
            assert_eq!(signed.document_type, Some(DocumentType::IdentityCard));
            let claims = serde_json::to_value(done.result.claims.unwrap()).unwrap();
            let expected = match wanted {
                Profile::Age => (Some(Predicates::Over(18)), "over", serde_json::json!(18)),
                Profile::Minimal => (Some(Predicates::Over18(true)), "initials", "Ш.О.Г.".into()),
                Profile::Full => (None, "family", "Шевченко".into()),
            };
            assert_eq!((signed.predicates, &claims[wanted.name()][expected.1]), (expected.0, &expected.2));
            assert_eq!(done.result.notes, [Note::PhotoNotChecked], "the register has no portrait");
            assert_eq!(checks(&app, &phone), []);
        }
    }
}

#[test]
fn dis_011_before_the_answer_two_holders_look_alike() {
    let app = TestApp::spawn();
    let till = Till::new(&app, "Shop");
    let bodies: Vec<_> = ["olena", "taras"]
        .into_iter()
        .map(|person| {
            let mut phone = stocked(&app, person);
            let screen = show(&app, &mut phone, Profile::Full);
            let answer = till.ask(&screen.digits(), &app.unique("request"), Some("full"));
            let check = opened(&answer);
            let looked = till.look(check.check);
            let form = |answer: &crate::support::http::Answer| {
                let text = String::from_utf8(answer.body.clone()).unwrap();
                // What is random is masked; everything else must be the same.
                let text = text.replace(&check.check.to_string(), "<id>");
                let text = text.replace(&format!("\"{}\"", check.match_number), "<match>");
                let headers: Vec<_> = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| !["date", "ratelimit", "x-request-id"].contains(&name.as_str()))
                    .cloned()
                    .collect();
                (answer.status, headers, text)
            };
            (form(&answer), form(&looked))
        })
        .collect();
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(
        bodies[0].0.2,
        format!(r#"{{"check":"<id>","match":<match>,"expires":{}}}"#, T0 + CHECK_SECONDS)
    );
}

#[test]
fn dis_012_a_no_and_no_answer_have_reasons_of_their_own() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let refused = |check| outcome(&app, &till.look(check));
    let declined = opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check;
    // Waiting ends with the answer, not with the time.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| till.wait(declined, 60_000));
        thread::sleep(Duration::from_millis(300));
        answer(&app, &phone, declined, false);
        assert_eq!(outcome(&app, &waiting.join().unwrap()), red(Reason::Declined));
    });
    let late = send(&app, &phone, &AnswerCheck { id: declined, allow: true, shown: [0; 32] });
    assert_eq!(late.code(), ProblemCode::RequestClosed);
    answer(&app, &phone, declined, false);
    let silent = opened(&till.scan(&show(&app, &mut phone, Profile::Age).bar())).check;
    app.clock.advance(CHECK_SECONDS - 1);
    assert_eq!(till.look(silent).status, 202);
    app.clock.advance(1);
    assert_eq!(refused(silent), red(Reason::NoAnswer));
    assert_eq!(checks(&app, &phone), []);
    let late = send(&app, &phone, &AnswerCheck { id: silent, allow: true, shown: [0; 32] });
    assert_eq!(late.code(), ProblemCode::RequestClosed);
    // A minute after their end both are forgotten.
    app.clock.advance(60);
    assert_eq!(refused(silent), red(Reason::NoAnswer));
    app.clock.advance(1);
    for check in [declined, silent] {
        assert_eq!(till.look(check).code(), ProblemCode::NotFound);
    }
}

#[test]
fn dis_013_only_who_opened_a_check_reads_it_and_only_its_device_answers() {
    let app = TestApp::spawn();
    let (till, other) = (Till::new(&app, "Shop"), Till::new(&app, "Other"));
    let (mut phone, stranger) = (stocked(&app, "olena"), app.phone("taras"));
    let check = opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check;
    assert_eq!(checks(&app, &stranger), []);
    let foreign = send(&app, &stranger, &AnswerCheck { id: check, allow: true, shown: [0; 32] });
    assert_eq!(foreign.code(), ProblemCode::NotFound);
    for look in [other.look(check), other.wait(check, 50)] {
        assert_eq!(look.code(), ProblemCode::NotFound);
    }
    answer(&app, &phone, check, true);
    assert_eq!(other.look(check).code(), ProblemCode::NotFound);
    assert_eq!(outcome(&app, &till.look(check)), GREEN);
}

#[test]
fn dis_014_one_use_ends_all_three_codes_and_the_phone_shows_the_next() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let unknown = red(Reason::UnknownCode);
    for used in 0..3 {
        let screen = show(&app, &mut phone, Profile::Age);
        let (qr, digits, bar) = (screen.qr(), &screen.digits(), &screen.bar());
        match used {
            0 => {
                assert_eq!(outcome(&app, &till.scan(qr)), GREEN);
                assert_eq!(outcome(&app, &till.scan(digits)), unknown);
            }
            1 => {
                opened(&till.scan(digits));
                assert_eq!(outcome(&app, &till.scan(qr)), red(Reason::Used));
            }
            _ => {
                opened(&till.scan(bar));
                assert_eq!(outcome(&app, &till.scan(digits)), unknown);
                assert_eq!(outcome(&app, &till.scan(qr)), red(Reason::Used));
            }
        }
        let next: Displayed = send(&app, &phone, &screen.display()).cbor();
        assert_eq!(next.turn.number(), 1);
        assert_ne!((next.digits, next.bar), (screen.shown.digits, screen.shown.bar));
        if used == 0 {
            assert_eq!(outcome(&app, &till.scan(bar)), unknown);
            opened(&till.scan(&next.digits.to_string()));
            assert_eq!(outcome(&app, &till.scan(qr)), red(Reason::Used));
        }
    }
    // An old code of a later step's credential is superseded, not used.
    let mut session =
        phone.phone.start_show(DocumentType::IdentityCard, signer_client::Showing::minimal()).unwrap();
    let old = phone.phone.code(&mut session).unwrap();
    app.clock.advance(180);
    let new = phone.phone.code(&mut session).unwrap();
    assert_eq!(outcome(&app, &till.scan(new.presentation.as_str())), GREEN);
    assert_eq!(outcome(&app, &till.scan(old.presentation.as_str())), red(Reason::Superseded));
}

#[test]
fn dis_015_a_qr_answers_what_it_says_and_asks_for_more() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let scan = |phone: &mut TestPhone, shown: Profile, asked: Option<&str>| {
        let text = code(phone, shown).presentation.as_str().to_owned();
        till.ask(&text, &app.unique("request"), asked)
    };
    for (shown, asked) in [
        (Profile::Age, None),
        (Profile::Age, Some("age")),
        (Profile::Minimal, Some("age")),
        (Profile::Full, None),
        (Profile::Full, Some("minimal")),
        (Profile::Full, Some("full")),
    ] {
        let (done, signed, _) = outsider(&app, &scan(&mut phone, shown, asked));
        assert_eq!((done.result.result, signed.profile), (Colour::Green, Some(shown)), "{shown:?} {asked:?}");
        assert_eq!(done.result.claims.unwrap().profile(), shown);
    }
    for (shown, asked) in [(Profile::Age, "minimal"), (Profile::Age, "full"), (Profile::Minimal, "full")] {
        let check = opened(&scan(&mut phone, shown, Some(asked))).check;
        let waiting = checks(&app, &phone);
        assert_eq!(waiting.iter().map(|check| check.profile.name()).collect::<Vec<_>>(), [asked]);
        answer(&app, &phone, check, true);
        let (done, ..) = outsider(&app, &till.look(check));
        assert_eq!(done.result.claims.unwrap().profile().name(), asked);
    }
    // Declined, the code is used up all the same.
    let text = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    let check = opened(&till.ask(&text, "declined-1", Some("full"))).check;
    answer(&app, &phone, check, false);
    assert_eq!(outcome(&app, &till.look(check)), red(Reason::Declined));
    assert_eq!(outcome(&app, &till.scan(&text)), red(Reason::Used));
}

#[test]
fn dis_016_the_same_verifier_and_request_id_gets_the_same_answer() {
    let mut app = TestApp::spawn();
    let mut phone = stocked(&app, "olena");
    let (token, id) = {
        let till = Till::new(&app, "Shop");
        (till.token, till.id)
    };
    let qr = code(&mut phone, Profile::Minimal).presentation.as_str().to_owned();
    let wide = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    let screen = show(&app, &mut phone, Profile::Age);
    let (digits, nobody) = (screen.digits(), "0000 0000");
    let ask = |app: &TestApp| {
        let till = Till::of(app, &token, &id);
        let bodies = [
            till.ask(&qr, "request-qr", None),
            till.ask(&wide, "request-wide", Some("full")),
            till.ask(&digits, "request-digits", None),
            till.ask(nobody, "request-nobody", None),
        ];
        bodies.map(|answer| (answer.status, answer.body))
    };
    let first = ask(&app);
    assert_eq!(first.each_ref().map(|(status, _)| *status), [200, 202, 202, 200]);
    app.clock.advance(20);
    assert_eq!(ask(&app), first);
    app.restart();
    app.clock.advance(20);
    assert_eq!(ask(&app), first);
    // The answer to a check is the same for as long too.
    for check in checks(&app, &phone) {
        answer(&app, &phone, check.id, true);
    }
    let decided = ask(&app);
    assert_eq!(decided.each_ref().map(|(status, _)| *status), [200; 4]);
    assert_eq!((&decided[0], &decided[3]), (&first[0], &first[3]));
    app.clock.advance(20);
    assert_eq!(ask(&app), decided, "the answer that was given, not one of now");
    // Another request id, or another verifier, has another fate.
    let (till, other) = (Till::of(&app, &token, &id), Till::new(&app, "Other"));
    for code in [&qr, &wide] {
        assert_eq!(outcome(&app, &till.ask(code, "request-other", Some("full"))), red(Reason::Used));
        assert_eq!(outcome(&app, &other.ask(code, "request-qr", None)), red(Reason::Used));
    }
    assert_eq!(outcome(&app, &other.ask(&digits, "request-digits", None)), red(Reason::UnknownCode));
}

#[test]
fn dis_017_a_verifier_has_five_misses_in_fifteen_minutes() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let screen = show(&app, &mut phone, Profile::Age);
    // What is not a short code is no miss.
    for text in ["1234567", "123456789", "1234  5678", "12345678a", "１２３４５６７８", "DQ1:XX"] {
        let reason = outcome(&app, &till.scan(text)).1;
        assert!(matches!(reason, Reason::NotOurs | Reason::Unreadable), "{text}: {reason:?}");
    }
    let wrong = |n: u32| format!("{n:08}");
    for n in 0..5 {
        assert_eq!(outcome(&app, &till.scan(&wrong(n))), red(Reason::UnknownCode));
    }
    let spent = till.scan(&screen.digits());
    assert_eq!((spent.code(), spent.problem().time), (ProblemCode::TooMany, Some(T0 + 900)));
    assert_eq!(checks(&app, &phone), [], "a right code is refused like a wrong one");
    // Bar codes cannot be guessed and are not counted; scanning goes on, and so do others.
    assert_eq!(outcome(&app, &till.scan(&"0".repeat(16))), red(Reason::UnknownCode));
    assert_eq!(outcome(&app, &till.scan(code(&mut phone, Profile::Age).presentation.as_str())), GREEN);
    let other = Till::new(&app, "Other");
    opened(&other.scan(&screen.digits()));
    app.clock.advance(900);
    assert_eq!(outcome(&app, &till.scan(&wrong(9))), red(Reason::UnknownCode));
    let ready: serde_json::Value = app.http.send("GET", "/health/ready", &[], b"").json();
    assert_eq!(ready, serde_json::json!({ "status": "ready", "miss_alarm": false }));
}

#[test]
fn dis_018_clocks_twenty_seconds_apart_refuse_nothing() {
    let app = TestApp::spawn();
    let till = Till::new(&app, "Shop");
    for (person, ahead) in [("olena", true), ("taras", false)] {
        let clock = crate::support::clock::TestClock::at(app.clock.seconds());
        let mut phone = app.phone_on(person, &clock);
        assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
        // Around the boundary of a step, by each clock, in turn.
        let boundary = (app.clock.seconds() / 180 + 1) * 180;
        for server in [boundary - 21, boundary - 1, boundary, boundary + 19, boundary + 25, boundary + 100] {
            app.clock.set(server);
            clock.set(if ahead { server + 20 } else { server - 20 });
            let text = code(&mut phone, Profile::Age);
            assert_eq!(text.step, Step(clock.seconds() / 180));
            let StatusIndex { list, index } = place(text.presentation.as_str());
            let display = Display { list, index, step: text.step, turn: text.turn, profile: Profile::Age };
            let shown = send_at(&app, &phone, clock.seconds(), &display);
            assert_eq!(shown.status, 200, "{shown:?} at {server}");
            let shown: Displayed = shown.cbor();
            if server % 2 == 0 {
                opened(&till.scan(&shown.digits.to_string()));
                let waiting = send_at(&app, &phone, clock.seconds(), &ChecksQuery {});
                let check = &waiting.cbor::<signer_core::wire::PendingChecks>().checks[0];
                let yes = AnswerCheck::to(check, true);
                assert_eq!(send_at(&app, &phone, clock.seconds(), &yes).status, 200);
                assert_eq!(outcome(&app, &till.look(check.id)), GREEN);
            } else {
                assert_eq!(outcome(&app, &till.scan(text.presentation.as_str())), GREEN, "{server}");
            }
            phone.phone.top_up(DocumentType::IdentityCard).unwrap();
        }
    }
}

/// The database in the test's hand, while the server is stopped.
fn edit(app: &mut TestApp, work: impl FnOnce(&Connection)) {
    app.stop();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    work(&Connection::open_with_flags(app.database(), flags).unwrap());
    app.start().unwrap();
}

#[test]
fn dis_019_digits_that_another_display_has_are_drawn_again() {
    let mut app = TestApp::spawn();
    let (mut phone, other) = (stocked(&app, "olena"), stocked(&app, "taras"));
    let screen = show(&app, &mut phone, Profile::Age);
    // The same digits for a display of another phone, as chance would have it.
    let (key, device) = (app.vault().server_key("online"), other.device_key().device_id());
    let key = SecretBytes::from_slice(&key).unwrap();
    let digits = u64::from(screen.shown.digits.value());
    let hash = Macer::new(&key, Domain::ShortCode).field(b"digits").number(digits).tag();
    edit(&mut app, |db| {
        let ours = "SELECT digits FROM display WHERE list = ?1 AND idx = ?2";
        let place = (screen.place.list, screen.place.index);
        let stored: [u8; 32] = db.query_row(ours, place, |row| row.get(0)).unwrap();
        assert_eq!(stored, hash);
        let theirs = "UPDATE display SET device = ?1, (list, idx) =
            (SELECT list, idx FROM credential WHERE device = ?1 LIMIT 1)";
        assert_eq!(db.execute(theirs, [device.as_bytes()]).unwrap(), 1);
    });
    let shown: Displayed = send(&app, &phone, &screen.display()).cbor();
    assert_eq!(shown.turn.number(), 1);
    assert_ne!(shown.digits, screen.shown.digits);
    let again: Displayed = send(&app, &phone, &screen.display()).cbor();
    assert_eq!((again.turn, again.digits), (shown.turn, shown.digits), "asked again it is the same turn");
    assert_ne!(again.bar, shown.bar);
    let till = Till::new(&app, "Shop");
    opened(&till.scan(&screen.digits()));
    assert_eq!((checks(&app, &phone), checks(&app, &other).len()), (vec![], 1));
    opened(&till.scan(&shown.digits.to_string()));
    assert_eq!(checks(&app, &phone).len(), 1);
}

/// 100 codes, each scanned 100 times, by 20 connections of 5 verifiers that go over them in orders of their own.
#[test]
fn dis_020_of_ten_thousand_scans_of_a_hundred_codes_a_hundred_succeed() {
    const CONNECTIONS: usize = 20;
    const ROUNDS: usize = 5;
    let app = TestApp::spawn();
    let mut phone = app.phone("olena");
    let mut codes = Vec::new();
    while codes.len() < 100 {
        phone.phone.top_up(DocumentType::IdentityCard).unwrap();
        for (profile, count) in [(Profile::Age, 8), (Profile::Minimal, 4), (Profile::Full, 4)] {
            codes.extend((0..count).map(|_| code(&mut phone, profile).presentation.as_str().to_owned()));
        }
    }
    codes.truncate(100);
    let shops: Vec<_> = (0..5).map(|_| app.relying_party("Shop", false, true).token).collect();
    let barrier = Barrier::new(CONNECTIONS);
    let counts: Vec<HashMap<(usize, Reason), usize>> = thread::scope(|scope| {
        let scan = |n: usize| {
            let (codes, barrier, bearer) = (&codes, &barrier, format!("Bearer {}", shops[n % 5]));
            let url = app.url();
            scope.spawn(move || {
                let http = Client::new(url);
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                let mut counts = HashMap::new();
                barrier.wait();
                for round in 0..ROUNDS {
                    for at in 0..codes.len() {
                        let at = (at * 37 + n * 5) % codes.len();
                        let id = format!("scan-{n}-{round}-{at}");
                        let body = serde_json::json!({ "code": codes[at], "request_id": id });
                        let body = serde_json::to_vec(&body).unwrap();
                        let answer = http.send("POST", "/v1/verifications", &headers, &body);
                        assert_eq!(answer.status, 200, "{answer:?}");
                        let reason = answer.json::<serde_json::Value>()["reason"].clone();
                        let reason: Reason = serde_json::from_value(reason).unwrap();
                        *counts.entry((at, reason)).or_insert(0) += 1;
                    }
                }
                counts
            })
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(scan).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all = HashMap::new();
    for ((at, reason), count) in counts.into_iter().flatten() {
        *all.entry((at, reason)).or_insert(0) += count;
    }
    for at in 0..100 {
        assert_eq!(all.get(&(at, Reason::Valid)), Some(&1), "code {at}");
        assert_eq!(all.get(&(at, Reason::Used)), Some(&(CONNECTIONS * ROUNDS - 1)), "code {at}");
    }
    assert_eq!(all.values().sum::<usize>(), 10_000);
}

#[test]
fn dis_021_the_database_holds_no_claim_and_no_short_code() {
    let mut app = TestApp::spawn_with(|config| config.ca.name = "Test CA".into());
    app.suite = signer_core::suite::SuiteId::FrostSecp256k1Sha256;
    let (mut phone, till) = (stocked(&app, "taras"), Till::new(&app, "Shop"));
    let mut codes = Vec::new();
    for (asked, allow) in [("full", true), ("minimal", true), ("age", true), ("full", false)] {
        let screen = show(&app, &mut phone, Profile::Minimal);
        codes.extend([screen.digits().replace(' ', ""), screen.digits(), screen.bar()]);
        let check = opened(&till.ask(&screen.bar(), &app.unique("request"), Some(asked))).check;
        answer(&app, &phone, check, allow);
        assert_eq!(outcome(&app, &till.look(check)).0 == Colour::Green, allow);
    }
    let full = code(&mut phone, Profile::Full);
    codes.push(full.presentation.as_str()[4..].to_owned());
    assert_eq!(outcome(&app, &till.scan(full.presentation.as_str())), GREEN);
    let live = show(&app, &mut phone, Profile::Age);
    codes.extend([live.digits().replace(' ', ""), live.bar()]);
    for claim in ["Коваленко", "Лісовський", "Володимирович", "К.Т.В.", "009654321", "1988-11-30"]
    {
        codes.push(claim.to_owned());
    }
    let mut searched = 0;
    let mut search = || {
        for entry in std::fs::read_dir(&app.config.data_dir).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            searched += bytes.len();
            for needle in &codes {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "{needle} in {}", path.display());
            }
            // Numbers as SQLite writes them.
            for number in [u64::from(live.shown.digits.value()), live.shown.bar.value()] {
                let width = if number >= 1 << 32 { 8 } else { 4 };
                let needle = &number.to_be_bytes()[8 - width..];
                let found = bytes.windows(width).any(|window| window == needle);
                assert!(!found || width < 8, "a live code in {}", path.display());
            }
        }
    };
    search();
    app.stop();
    for entry in std::fs::read_dir(&app.config.data_dir).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(codes.iter().all(|needle| !contains(&bytes, needle.as_bytes())));
    }
    assert!(searched > 100_000);
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn dis_022_only_a_step_of_now_of_an_own_credential_goes_on_display() {
    let app = TestApp::spawn();
    let (mut phone, other) = (stocked(&app, "olena"), stocked(&app, "taras"));
    let screen = show(&app, &mut phone, Profile::Age);
    let good = screen.display();
    let before = app.dump();
    let refused = |phone: &TestPhone, display: &Display| send(&app, phone, display).code();
    let step = |step| Display { step: Step(step), ..good };
    for wrong in [good.step.0 + 1, good.step.0 + 2, good.step.0 - 2, 0, u64::MAX] {
        assert_eq!(refused(&phone, &step(wrong)), ProblemCode::InvalidValue, "{wrong}");
    }
    assert_eq!(refused(&other, &good), ProblemCode::NotFound);
    assert_eq!(refused(&phone, &Display { index: good.index ^ 1, ..good }), ProblemCode::NotFound);
    assert_eq!(app.dump(), before);
    // The sixteenth turn is the last.
    let last = Display { turn: Turn::try_from(15).unwrap(), ..good };
    let shown: Displayed = send(&app, &phone, &last).cbor();
    let till = Till::new(&app, "Shop");
    opened(&till.scan(&shown.digits.to_string()));
    assert_eq!(refused(&phone, &good), ProblemCode::TooMany);
    // Taken off display; again is the same.
    let screen = show(&app, &mut phone, Profile::Age);
    let StatusIndex { list, index } = screen.place;
    for _ in 0..2 {
        assert_eq!(send(&app, &other, &EndDisplay { list, index }).status, 200, "not theirs: nothing ends");
    }
    let mine: Displayed = send(&app, &phone, &screen.display()).cbor();
    assert_eq!(send(&app, &phone, &EndDisplay { list, index }).status, 200);
    assert_eq!(outcome(&app, &till.scan(&mine.bar.to_string())), red(Reason::UnknownCode));
    // Not in good standing: nothing of it is asked or shown.
    let screen = show(&app, &mut phone, Profile::Age);
    let check = opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check;
    let device = phone.device_key().device_id();
    assert_eq!(app.admin("POST", &format!("/devices/{device}/suspend"), None).status, 204);
    assert_eq!(refused(&phone, &screen.display()), ProblemCode::Suspended);
    assert_eq!(send(&app, &phone, &ChecksQuery {}).code(), ProblemCode::Suspended);
    let yes = AnswerCheck { id: check, allow: true, shown: [0; 32] };
    assert_eq!(send(&app, &phone, &yes).code(), ProblemCode::Suspended);
    assert_eq!(outcome(&app, &till.scan(screen.qr())), red(Reason::Suspended));
}

#[test]
fn dis_023_after_a_restore_codes_of_the_steps_before_are_refused() {
    let mut app = TestApp::spawn();
    let mut phone = stocked(&app, "olena");
    let screen = show(&app, &mut phone, Profile::Age);
    let old = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    edit(&mut app, |db| {
        assert_eq!(db.execute(&format!("UPDATE meta SET restored = {T0}"), []).unwrap(), 1);
    });
    assert_eq!(outcome(&app, &Till::new(&app, "Shop").scan(&old)), red(Reason::Used));
    let refused = send(&app, &phone, &screen.display());
    let end = (T0 / 180 + 2) * 180;
    assert_eq!((refused.code(), refused.problem().time), (ProblemCode::Overloaded, Some(end)));
    // The next step is not safe either; the one after it is.
    for (now, good) in [(end - 180, false), (end - 1, false), (end, true)] {
        app.clock.set(now);
        let text = code(&mut phone, Profile::Age);
        let expected = if good { GREEN } else { red(Reason::Used) };
        assert_eq!(
            outcome(&app, &Till::new(&app, "Shop").scan(text.presentation.as_str())),
            expected,
            "{now}"
        );
    }
    drop(show(&app, &mut phone, Profile::Age));
}

/// Names of events as they arrive.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Stream {
    pub(crate) fn open(app: &TestApp, phone: &TestPhone) -> Self {
        let body = phone.seal(app.clock.seconds(), &Listen {});
        let mut stream = TcpStream::connect(app.url().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "POST /device/v1/listen HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut lines = Self(BufReader::new(stream));
        assert_eq!(lines.line().as_deref(), Some("HTTP/1.1 200 OK"));
        let mut typed = false;
        while let Some(line) = lines.line().filter(|line| !line.is_empty()) {
            typed |= line.eq_ignore_ascii_case("content-type: text/event-stream");
        }
        assert!(typed);
        lines
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event, or `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.line()?;
            if let Some(name) = line.strip_prefix("event: ") {
                return Some(Event::from_name(name).unwrap());
            }
            // Data repeats the name; the rest is the framing of chunks and comments.
            assert!(line.len() < 20, "{line}");
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.next().unwrap()).collect()
    }
}

#[test]
fn dis_024_a_phone_that_listens_is_told_what_happens_to_it() {
    let mut app = TestApp::spawn_with(|config| config.long_polls_max = 2);
    let (mut phone, till, bank) = (stocked(&app, "olena"), Till::new(&app, "Shop"), app.bank());
    let other = app.phone("taras");
    let mut stream = Stream::open(&app, &phone);
    assert_eq!(stream.take(5), Event::ALL, "everything once at the beginning");
    app.ask(&bank, "taras");
    app.ask(&bank, "olena");
    assert_eq!(stream.take(1), [Event::Requests]);
    opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits()));
    assert_eq!(stream.take(3), [Event::Used, Event::Checks, Event::History]);
    assert_eq!(outcome(&app, &till.scan(code(&mut phone, Profile::Age).presentation.as_str())), GREEN);
    assert_eq!(stream.take(2), [Event::Used, Event::History]);
    // A second stream of the device ends the first; a third device finds no place.
    let mut second = Stream::open(&app, &phone);
    assert_eq!(stream.next(), None);
    assert_eq!(second.take(5), Event::ALL);
    let mut others = Stream::open(&app, &other);
    assert_eq!(send(&app, &app.phone("sofia"), &Listen {}).code(), ProblemCode::Overloaded);
    // A server that stops hangs up, and is not held up.
    let began = std::time::Instant::now();
    app.stop();
    assert!(began.elapsed() < Duration::from_secs(9), "streams hold up the end");
    assert_eq!(second.next(), None);
    assert_eq!(others.take(5), Event::ALL);
    assert_eq!(others.next(), None);
}

#[test]
fn dis_025_without_the_register_a_qr_is_amber_and_a_check_says_no_more() {
    let mut app = TestApp::spawn();
    let mut phone = stocked(&app, "olena");
    app.stop();
    let register = app.config.register_file.take();
    app.start().unwrap();
    let till = Till::new(&app, "Shop");
    let amber = (Colour::Amber, Reason::RegisterNotReached);
    let (done, ..) = outsider(&app, &till.scan(code(&mut phone, Profile::Minimal).presentation.as_str()));
    assert_eq!((done.result.result, done.result.reason), amber);
    assert!(done.result.claims.is_some());
    let digits = show(&app, &mut phone, Profile::Minimal).digits();
    let check = opened(&till.ask(&digits, "request-1", None)).check;
    answer(&app, &phone, check, true);
    let first = till.look(check);
    let (done, ..) = outsider(&app, &first);
    assert_eq!((done.result.result, done.result.reason, &done.result.claims), (amber.0, amber.1, &None));
    assert!(done.result.next_step.contains("QR"), "{}", done.result.next_step);
    // The register comes back: the answer that was given stays.
    let (token, id) = (till.token, till.id);
    app.stop();
    app.config.register_file = register;
    app.start().unwrap();
    let till = Till::of(&app, &token, &id);
    app.clock.advance(10);
    assert_eq!(till.look(check).body, first.body);
}

#[test]
fn dis_026_an_approval_is_worth_nothing_once_the_phone_is_revoked() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let check = opened(&till.scan(&show(&app, &mut phone, Profile::Full).digits())).check;
    answer(&app, &phone, check, true);
    let device = phone.device_key().device_id();
    assert_eq!(app.admin("POST", &format!("/devices/{device}/revoke"), None).status, 204);
    assert_eq!(outcome(&app, &till.look(check)), red(Reason::Revoked));
}

/// A register with a child who has a portrait, and a grown-up whose card has ended.
fn register(folder: &std::path::Path) -> std::path::PathBuf {
    let record = |birth: &str, expires: &str| {
        serde_json::json!([{
            "document_type": "identity_card", "family": "Бондар", "given": "Софія", "birth": birth,
            "number": "009777001", "expires": expires, "rights": "", "portrait": BASE64_STANDARD.encode(PORTRAIT),
        }])
    };
    let path = folder.join("register.json");
    let people = serde_json::json!({
        "child": record("2011-07-02", "2035-01-01"), "grown-up": record("1980-07-02", "2035-01-01"),
    });
    std::fs::write(&path, serde_json::to_vec(&people).unwrap()).unwrap();
    path
}

const PORTRAIT: &[u8] = b"\xFF\xD8\xFF\xE0 a face";

/// A minimal credential, and where it stands: a child's phone gets none for its age.
fn minimal_credential(app: &TestApp, phone: &TestPhone) -> StatusIndex {
    let key = SigningKey::from_slice(&Sha256::digest(app.unique("day-key"))).unwrap();
    let point = key.verifying_key().to_sec1_point(true);
    let day_key = DevicePublicKeyBytes(point.as_bytes().try_into().unwrap());
    let proof = day_key_proof(phone.device_key().device_id(), Profile::Minimal, &day_key);
    let proof: p256::ecdsa::Signature = key.sign(&proof.0);
    let proof = DeviceSignature(proof.normalize_s().to_bytes().into());
    let key = signer_core::wire::DayKeyRequest { profile: Profile::Minimal, day_key, proof };
    let issue = IssueCredentials { document_type: 1, keys: List::new(vec![key]).unwrap() };
    let issued: IssuedCredentials = send(app, phone, &issue).cbor();
    let credential = issued.credentials.as_slice()[0].as_slice();
    signer_core::credential::DayCredential::from_bytes(credential).unwrap().claims().status()
}

fn minimal_display(app: &TestApp, phone: &TestPhone) -> String {
    let StatusIndex { list, index } = minimal_credential(app, phone);
    let step = Step(app.clock.seconds() / 180);
    let display = Display { list, index, step, turn: Turn::FIRST, profile: Profile::Minimal };
    send(app, phone, &display).cbor::<Displayed>().digits.to_string()
}

#[test]
fn dis_027_what_the_register_says_of_age_and_portrait_goes_out_after_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = register(folder.path());
    let app = TestApp::spawn_with(|config| config.register_file = Some(file));
    let till = Till::new(&app, "Shop");
    let (child, adult) = (app.phone("child"), app.phone("grown-up"));
    let ask = |phone: &TestPhone, profile: &str| {
        let check = opened(&till.ask(&minimal_display(&app, phone), &app.unique("request"), Some(profile)));
        answer(&app, phone, check.check, true);
        till.look(check.check)
    };
    assert_eq!(outcome(&app, &ask(&child, "age")), red(Reason::TooYoung));
    let (done, signed, _) = outsider(&app, &ask(&child, "minimal"));
    assert_eq!((signed.predicates, &done.portrait), (Some(Predicates::Over18(false)), &None));
    for profile in ["age", "full"] {
        let (done, _, salt) = outsider(&app, &ask(&adult, profile));
        assert_eq!((done.result.result, done.result.reason), GREEN);
        let portrait = BASE64_STANDARD.decode(done.portrait.unwrap()).unwrap();
        assert_eq!((portrait.as_slice(), &done.result.notes[..]), (PORTRAIT, &[][..]));
        // The signed answer covers it, by the digest in the claims under the disclosure's salt.
        let digest = Sha256::digest([&salt.unwrap()[..], PORTRAIT].concat());
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let claims = serde_json::to_value(done.result.claims.unwrap()).unwrap();
        assert_eq!(claims[profile]["portrait"], serde_json::json!(hex));
    }
}

#[test]
fn dis_030_a_use_is_remembered_as_long_as_an_emergency_lets_the_credential_live() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    assert_eq!(outcome(&app, &till.scan(code(&mut phone, Profile::Age).presentation.as_str())), GREEN);
    let sweep = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(app.service().expire()).unwrap();
        app.dump()["burn"].0
    };
    // 72 hours after the hour of issue, and the day that everything is kept.
    app.clock.set(T0 - T0 % 3600 + 96 * 3600 - 1);
    assert_eq!(sweep(), 1);
    app.clock.advance(1);
    assert_eq!(sweep(), 0);
}

#[test]
fn dis_031_what_was_used_or_is_gone_stays_so_whatever_the_register_says() {
    let mut app = TestApp::spawn();
    let mut phone = stocked(&app, "olena");
    let (token, id) = {
        let till = Till::new(&app, "Shop");
        (till.token, till.id)
    };
    let used = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    let first = Till::of(&app, &token, &id).ask(&used, "request-1", None);
    assert_eq!(outcome(&app, &first), GREEN);
    // The register has the document no longer; a used code is used, and its answer is its answer: nobody asks the register.
    let folder = tempfile::tempdir().unwrap();
    let register = app.config.register_file.replace(register(folder.path()));
    app.restart();
    let till = Till::of(&app, &token, &id);
    assert_eq!(till.ask(&used, "request-1", None).body, first.body);
    assert_eq!(outcome(&app, &till.ask(&used, "request-2", None)), red(Reason::Used));
    let fresh = code(&mut phone, Profile::Minimal).presentation.as_str().to_owned();
    assert_eq!(outcome(&app, &till.scan(&fresh)), red(Reason::Revoked));
    // And what is gone is not amber because the register is down.
    app.config.register_file = None;
    app.restart();
    let till = Till::of(&app, &token, &id);
    assert_eq!(outcome(&app, &till.scan(&fresh)), red(Reason::Revoked));
    let other = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    assert_eq!(outcome(&app, &till.scan(&other)), red(Reason::Revoked));
    assert!(register.is_some());
}

#[test]
fn dis_032_a_holder_is_told_of_every_check_also_of_one_that_nobody_fetches() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let entries = || app.dump()["history"].0;
    let screen = show(&app, &mut phone, Profile::Age);
    let before = entries();
    opened(&till.scan(&screen.digits()));
    assert_eq!(entries(), before + 1);
    let text = code(&mut phone, Profile::Age).presentation.as_str().to_owned();
    let check = opened(&till.ask(&text, "request-1", Some("full"))).check;
    opened(&till.ask(&text, "request-1", Some("full")));
    assert_eq!(entries(), before + 2, "once");
    answer(&app, &phone, check, true);
    assert_eq!(outcome(&app, &till.look(check)), GREEN);
    assert_eq!(outcome(&app, &till.look(check)), GREEN);
    assert_eq!(entries(), before + 3);
}

#[test]
fn dis_029_a_holder_is_not_buried_in_checks() {
    let app = TestApp::spawn();
    let (mut phone, till) = (stocked(&app, "olena"), Till::new(&app, "Shop"));
    let mut ids = Vec::new();
    for _ in 0..CHECKS_MAX {
        ids.push(opened(&till.scan(&show(&app, &mut phone, Profile::Age).digits())).check);
    }
    let screen = show(&app, &mut phone, Profile::Age);
    let other = Till::new(&app, "Other");
    assert_eq!(other.scan(&screen.digits()).code(), ProblemCode::TooMany);
    assert_eq!(other.ask(screen.qr(), "request-1", Some("full")).code(), ProblemCode::TooMany);
    assert_eq!(checks(&app, &phone).len(), CHECKS_MAX);
    answer(&app, &phone, ids[0], false);
    opened(&other.scan(&screen.digits()));
    assert_eq!(app.suite, SUITE);
}
