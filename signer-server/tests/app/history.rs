//! What the holder is told, and that the server cannot take it back.

use std::fs;

use signer_client::{Approved, Code, HistoryLine, Showing};
use signer_core::{
    codec,
    credential::{Colour, DocumentType, Reason},
    history::{Act, Asked, Entry, HistoryFault, Scan},
    ids::RequestId,
    pin::Pin,
    wire::{HistoryQuery, Profile},
};

use crate::{
    backup::copy,
    harness::{PIN, TestApp, WRONG, code as problem_code},
    support::phone::{SUITE, TestPhone},
};

const NEW_PIN: &str = "582907";

/// What the server told this phone, oldest first.
pub(crate) fn told(phone: &mut TestPhone) -> Vec<Act> {
    let history = phone.phone.history(1000).unwrap();
    assert_eq!(history.fault, None);
    let acts = history.lines.into_iter().filter_map(|line| match line {
        HistoryLine::Told { entry, .. } => Some(entry.unwrap().act),
        HistoryLine::Shown(_) => None,
    });
    acts.collect()
}

pub(crate) fn fresh_code(phone: &mut TestPhone) -> Code {
    let mut session = phone.phone.start_show(DocumentType::IdentityCard, Showing::age()).unwrap();
    phone.phone.code(&mut session).unwrap()
}

fn asked(id: RequestId, documents: &[&str]) -> Asked {
    let label = |text: &str| codec::Label::new(text.into()).unwrap();
    Asked {
        relying_party: codec::Label::new("Bank of Examples".into()).unwrap(),
        request: id,
        documents: codec::List::new(documents.iter().copied().map(label).collect()).unwrap(),
    }
}

fn scan(reason: &str) -> Scan {
    Scan {
        verifier: codec::Label::new("Corner Shop".into()).unwrap(),
        profile: Profile::Age,
        document_type: 1,
        reason: codec::Label::new(reason.into()).unwrap(),
        shown: None,
    }
}

#[test]
fn his_030_the_holder_is_told_of_every_act() {
    let app = TestApp::spawn_patient(SUITE);
    let (bank, shop, mut phone) = (app.bank(), app.shop(), app.phone("olena"));
    let device = phone.device_key().device_id();
    let (two, no) = (app.ask_many(&bank, "olena", 2), app.ask(&bank, "olena"));
    let wrong = match phone.approve(two, WRONG).unwrap() {
        Approved::WrongPin(attempts) => Act::WrongPin { attempts },
        other => panic!("{other:?}"),
    };
    assert!(matches!(phone.approve(two, PIN).unwrap(), Approved::Signed(_)));
    phone.phone.decline(no).unwrap();
    let (old, new) = (Pin::entered(PIN).unwrap(), Pin::new(NEW_PIN).unwrap());
    assert!(phone.phone.change_pin(&Pin::entered(WRONG).unwrap(), &new).is_err());
    let wrong_again = phone.phone.status().unwrap().attempts;
    phone.phone.change_pin(&old, &new).unwrap();
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let code = fresh_code(&mut phone);
    let text = code.presentation.as_str();
    assert_eq!(shop.verify_code(text, "scan-0001").unwrap().result, Colour::Green);
    assert_eq!(shop.verify_code(text, "scan-0001").unwrap().result, Colour::Green, "the same answer");
    assert_eq!(shop.verify_code(text, "scan-0002").unwrap().reason, Reason::Used);
    for act in ["suspend", "suspend", "resume", "resume"] {
        assert_eq!(app.admin("POST", &format!("/devices/{device}/{act}"), None).status, 204);
    }
    let issued = |count| Act::CredentialsIssued { document_type: 1, count };
    let expected = [
        wrong,
        Act::Signed { asked: asked(two, &["document 0", "document 1"]) },
        Act::Declined { asked: asked(no, &["document 0"]) },
        Act::WrongPin { attempts: wrong_again },
        Act::PinChanged {},
        issued(8),
        issued(4),
        issued(4),
        Act::Verified { scan: scan("valid") },
        Act::Refused { scan: scan("used") },
        Act::Suspended {},
        Act::Resumed {},
    ];
    assert_eq!(told(&mut phone), expected);
    // The phone's own note stands among them, in its place.
    let lines = phone.phone.history(1000).unwrap().lines;
    let shown = lines.iter().position(|line| matches!(line, HistoryLine::Shown(_))).unwrap();
    assert_eq!(lines.len(), expected.len() + 1);
    assert!((5..=expected.len()).contains(&shown), "{shown}");
    // Another phone of the same person begins another history, and the first is told why it ended.
    let mut newer = app.phone("olena");
    assert!(told(&mut newer).is_empty());
    let reason = codec::Label::new("superseded".into()).unwrap();
    assert_eq!(told(&mut phone).last(), Some(&Act::Revoked { reason }));
}

#[test]
fn his_031_a_frozen_phone_is_told_why() {
    let app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let sign = |phone: &mut TestPhone| {
        app.clock.advance(60);
        let id = app.ask(&bank, "olena");
        assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    };
    sign(&mut phone);
    let mut thief = app.copy(&phone);
    sign(&mut phone);
    sign(&mut phone);
    app.clock.advance(60);
    let id = app.ask(&bank, "olena");
    assert!(thief.approve(id, PIN).is_err());
    let acts = told(&mut phone);
    assert_eq!(acts.len(), 4);
    assert_eq!(acts.last(), Some(&Act::Frozen {}));
}

/// Names stand in requests until seven days after their end, and relying parties' names in their own table. After that the
/// history is all that tells, and it tells only the phone.
#[test]
fn his_032_nobody_reads_a_history_in_the_store() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let id = app.ask_many(&bank, "olena", 3);
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let db = app.read_only();
    let sealed: Vec<Vec<u8>> = {
        let mut rows = db.prepare("SELECT sealed FROM history").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    drop(db);
    assert_eq!(sealed.len(), 1);
    let contains =
        |bytes: &[u8], name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    for sealed in &sealed {
        assert!(codec::decode::<Entry>(sealed, 1 << 16).is_err());
        assert!(!contains(sealed, "document") && !contains(sealed, "Bank of Examples"));
        // Whoever has the key-encryption key has nothing that opens it: it is wrapped under no key of the server.
        assert!(signer_core::wrap::Wrapped::from_bytes(sealed.clone()).is_err());
    }
    let file = |app: &TestApp| fs::read(app.database()).unwrap();
    // What is deleted stays in the log beside the database until that is copied in, and what is new is only there.
    let checkpoint =
        |db: &rusqlite::Connection| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    app.stop();
    checkpoint(&rusqlite::Connection::open(app.database()).unwrap()).unwrap();
    assert!(contains(&file(&app), "document 2"), "still in the request");
    app.start().unwrap();
    app.clock.advance(8 * 86_400);
    // The request has expired and is deleted when the store is next swept.
    app.restart();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while app.read_only().query_row("SELECT count(*) FROM request", [], |row| row.get::<_, u32>(0)).unwrap()
        > 0
    {
        assert!(std::time::Instant::now() < deadline, "the request is still there");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    app.stop();
    checkpoint(&rusqlite::Connection::open(app.database()).unwrap()).unwrap();
    assert!(!contains(&file(&app), "document 2"));
    app.start().unwrap();
    phone.phone.synchronise().unwrap();
    assert_eq!(
        told(&mut phone),
        [Act::Signed { asked: asked(id, &["document 0", "document 1", "document 2"]) }]
    );
}

#[test]
fn his_033_a_backup_that_was_put_back_is_noticed() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let ids = [(); 3].map(|()| app.ask(&bank, "olena"));
    assert!(matches!(phone.approve(ids[0], PIN).unwrap(), Approved::Signed(_)));
    app.stop();
    let (data, witness) = (app.config.data_dir.clone(), app.config.witness_dir.clone().unwrap());
    copy(&data, &app.folder().join("data-then"));
    copy(&witness, &app.folder().join("witness-then"));
    app.start().unwrap();
    phone.phone.decline(ids[1]).unwrap();
    phone.phone.decline(ids[2]).unwrap();
    assert_eq!(told(&mut phone).len(), 3);
    app.stop();
    copy(&app.folder().join("data-then"), &data);
    copy(&app.folder().join("witness-then"), &witness);
    app.start().unwrap();
    let fault = Some(HistoryFault::Shortened { known: 3, got: 1 });
    assert_eq!(phone.phone.history(100).unwrap().fault, fault);
    // As long as before, with other entries: still noticed, also by the phone after a restart.
    phone.phone.decline(ids[2]).unwrap();
    phone.phone.decline(ids[1]).unwrap();
    let mut phone = app.reopen(phone);
    assert_eq!(phone.phone.history(100).unwrap().fault, Some(HistoryFault::Rewritten { number: 3 }));
    // When the operator has explained it, the holder goes on from there.
    assert_eq!(phone.phone.accept_history().unwrap().number, 3);
    assert_eq!(told(&mut phone).len(), 3);
}

#[test]
fn his_034_replays_do_not_fill_a_history() {
    let app = TestApp::spawn();
    let (shop, other, mut phone) = (app.shop(), app.shop(), app.phone("olena"));
    phone.phone.top_up(DocumentType::IdentityCard).unwrap();
    let code = fresh_code(&mut phone);
    let before = told(&mut phone).len();
    for scan in 0..15 {
        shop.verify_code(code.presentation.as_str(), &format!("scan-{scan:04}")).unwrap();
    }
    other.verify_code(code.presentation.as_str(), "scan-0001").unwrap();
    let acts = told(&mut phone);
    // One accepted, ten refused of one shop, one of the other.
    assert_eq!(acts.len() - before, 12);
    assert!(acts[before + 1..].iter().all(|act| matches!(act, Act::Refused { .. })));
}

#[test]
fn his_035_a_history_is_its_own_phones() {
    let app = TestApp::spawn();
    let (bank, mut olena, mut taras) = (app.bank(), app.phone("olena"), app.phone("taras"));
    let id = app.ask(&bank, "olena");
    assert!(matches!(olena.approve(id, PIN).unwrap(), Approved::Signed(_)));
    assert!(told(&mut taras).is_empty());
    assert_eq!(told(&mut olena).len(), 1);
    let query = olena.seal(app.clock.seconds(), &HistoryQuery { after: 0, limit: 1 });
    assert_eq!(app.device("history", &query).status, 200);
    let mut changed = query;
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(app.device("history", &changed).status, 401);
    assert_eq!(problem_code(taras.phone.decline(id)), signer_core::wire::ProblemCode::NotFound);
    assert!(told(&mut taras).is_empty(), "what is refused is no act");
}
