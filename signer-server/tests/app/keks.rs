//! Generations of the key-encryption key: rotation while the server works, and nodes that are behind.

use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use signer_client::{Approved, RelyingParty};
use signer_core::{
    credential::Reason,
    pin::Pin,
    wire::{KekView, KeksView, Problem, ProblemCode, Profile},
};

use crate::{
    harness::{PIN, TestApp, WRONG},
    screen::{GREEN, Till, code, outcome, red, stocked},
    support::{http::Answer, phone::network},
};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn keks(app: &TestApp) -> KeksView {
    app.admin("GET", "/keks", None).json()
}

fn refused(answer: &Answer) -> ProblemCode {
    answer.json::<Problem>().code
}

fn states(app: &TestApp) -> Vec<(u32, String)> {
    keks(app).generations.into_iter().map(|kek| (kek.generation, kek.state)).collect()
}

fn wait_for(app: &TestApp, what: impl Fn(&KeksView) -> bool) -> KeksView {
    let end = Instant::now() + PATIENCE;
    loop {
        let view = keks(app);
        if what(&view) {
            return view;
        }
        assert!(Instant::now() < end, "{view:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_done(view: &KeksView) -> bool {
    let old = |kek: &&KekView| kek.state == "old";
    view.nodes_behind == 0 && view.generations.iter().filter(old).all(|kek| kek.left.is_empty())
}

/// What the wrapped columns of the file say they are under.
fn ids(app: &TestApp) -> BTreeSet<String> {
    let db = app.read_only();
    let mut found = BTreeSet::new();
    for (table, column) in [
        ("signing_key", "wrapped"),
        ("certificate", "wrapped_chain"),
        ("credential", "wrapped_otp"),
        ("credential", "wrapped_document"),
        ("request_link", "wrapped_secret"),
        ("server_key", "wrapped"),
    ] {
        let sql =
            format!("SELECT lower(hex(substr({column}, 2, 4))) FROM {table} WHERE length({column}) > 0");
        let mut all = db.prepare(&sql).unwrap();
        found.extend(all.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    found
}

/// Every column of the schema that is called wrapped is one that the job knows.
#[test]
fn hsm_002_no_wrapped_column_is_forgotten() {
    let app = TestApp::spawn();
    let db = app.read_only();
    let sql = "SELECT m.name || '.' || c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
        WHERE m.type = 'table' AND c.name LIKE 'wrapped%' ORDER BY 1";
    let mut all = db.prepare(sql).unwrap();
    let found: Vec<String> = all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        found,
        [
            "certificate.wrapped_chain",
            "credential.wrapped_document",
            "credential.wrapped_otp",
            "request_link.wrapped_secret",
            "server_key.wrapped",
            "signing_key.wrapped"
        ]
    );
}

#[test]
fn hsm_003_everything_comes_under_the_next_key_and_the_old_one_can_go() {
    let mut app = TestApp::spawn();
    let (bank, mut phone) = (app.bank(), stocked(&app, "olena"));
    let Till { token, id: till, .. } = Till::new(&app, "Corner Shop");
    let link = serde_json::json!({ "link": true, "text": "Please sign.", "documents":
        [{ "name": "one", "sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }] });
    let bank_token = app.relying_party("Links", true, false).token;
    assert_eq!(app.http.json("POST", "/v1/requests", &bank_token, Some(&link)).status, 201);
    let before = ids(&app);
    assert_eq!(before.len(), 1);
    let rotated: KeksView = app.admin("POST", "/keks/2/prepare", None).json();
    assert_eq!(rotated.generations[1].state, "current", "one node: at once");
    let done = wait_for(&app, is_done);
    assert_eq!(states(&app), [(1, "old".into()), (2, "current".into())]);
    assert_eq!(ids(&app), BTreeSet::from([done.generations[1].id.clone()]));
    assert_ne!(ids(&app), before);
    assert_eq!(app.admin("POST", "/keks/1/retire", None).status, 204);
    fs::remove_file(app.config.data_dir.join("kek.retired")).unwrap();
    app.restart();

    let till = Till::of(&app, &token, &till);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    let shown = code(&mut phone, Profile::Age);
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), GREEN);
    assert_eq!(outcome(&app, &till.scan(shown.presentation.as_str())), red(Reason::Used));
    phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(WRONG).unwrap()).unwrap();
    assert_eq!(ids(&app).len(), 1, "what is new is under it too");
    let listed = app.admin("GET", "/audit/found?limit=200", None);
    let text = String::from_utf8(listed.body).unwrap();
    for said in ["kek_rotated", "generation_2", "kek_retired", "generation_1"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn hsm_004_a_key_that_is_needed_is_not_retired_and_the_job_goes_on_after_a_restart() {
    let mut app = TestApp::spawn();
    let _phone = stocked(&app, "olena");
    app.stop();
    let before = app.folder().join("before.db");
    // Its log may not have been written back yet.
    let db = rusqlite::Connection::open(app.database()).unwrap();
    db.execute("VACUUM INTO ?1", [before.to_str().unwrap()]).unwrap();
    drop(db);
    app.start().unwrap();
    assert_eq!(refused(&app.admin("POST", "/keks/1/retire", None)), ProblemCode::NotFound, "in use");
    assert_eq!(refused(&app.admin("POST", "/keks/7/retire", None)), ProblemCode::NotFound);
    app.admin("POST", "/keks/2/prepare", None);
    wait_for(&app, is_done);
    assert_eq!(ids(&app).len(), 1);
    app.stop();
    // As if it had been killed before the job came to these.
    let db = rusqlite::Connection::open(app.database()).unwrap();
    db.execute("ATTACH ?1 AS before", [before.to_str().unwrap()]).unwrap();
    for (table, key) in [("signing_key", "device"), ("server_key", "purpose")] {
        let sql = format!(
            "UPDATE {table} SET wrapped = (SELECT wrapped FROM before.{table} b WHERE b.{key} = {table}.{key})"
        );
        assert!(db.execute(&sql, []).unwrap() > 0);
    }
    drop(db);
    assert_eq!(ids(&app).len(), 2);
    app.start().unwrap();
    wait_for(&app, is_done);
    assert_eq!(ids(&app).len(), 1);
    app.admin("POST", "/keks/3/prepare", None);
    wait_for(&app, is_done);
    assert_eq!(states(&app), [(1, "old".into()), (2, "old".into()), (3, "current".into())]);
    for generation in [1, 2] {
        assert_eq!(app.admin("POST", &format!("/keks/{generation}/retire"), None).status, 204);
    }
    assert_eq!(refused(&app.admin("POST", "/keks/1/retire", None)), ProblemCode::NotFound, "once");
    app.stop();
    // A key of another store is refused, and named.
    fs::copy(app.config.data_dir.join("kek-2.retired"), app.config.data_dir.join("kek-3")).unwrap();
    let error = app.start().unwrap_err();
    assert!(error.contains("generation 3: not the key of this store"), "{error}");
    fs::remove_file(app.config.data_dir.join("kek-3")).unwrap();
    let error = app.start().unwrap_err();
    assert!(error.contains("kek-3: missing"), "{error}");
}

#[test]
fn hsm_005_a_key_is_put_to_use_when_every_node_holds_it() {
    let one = TestApp::spawn_on_postgres();
    let two = one.beside();
    let token = one.relying_party("Bank", true, false).token;
    let bank = RelyingParty::new(network(one.url()), token.clone());
    let mut phone = one.phone("olena");
    let prepared: KeksView = one.admin("POST", "/keks/2/prepare", None).json();
    assert_eq!(prepared.generations[1].state, "prepared");
    assert_eq!((prepared.nodes, prepared.nodes_behind), (2, 1));
    assert_eq!(
        refused(&two.admin("POST", "/keks/3/prepare", None)),
        ProblemCode::InvalidValue,
        "one after the other"
    );
    let id = one.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    fs::copy(one.config.data_dir.join("kek-2"), two.config.data_dir.join("kek-2")).unwrap();
    wait_for(&one, |view| view.generations[1].state == "current" && is_done(view));
    for (node, person) in [(&one, "taras"), (&two, "lesya")] {
        assert_eq!(states(node), [(1, "old".into()), (2, "current".into())]);
        let mut new = node.phone(person);
        let id = one.ask(&RelyingParty::new(network(node.url()), token.clone()), person);
        assert!(matches!(new.approve(id, PIN).unwrap(), Approved::Signed(_)));
    }
    assert_eq!(two.admin("POST", "/keks/1/retire", None).status, 204);
    let id = one.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
}

/// Whoever writes the database cannot bring a key back that was rotated away.
#[test]
fn hsm_007_no_node_goes_back_to_an_earlier_key() {
    let mut app = TestApp::spawn();
    let folder = app.config.data_dir.clone();
    let set = |app: &TestApp, states: &[(u32, u32)]| {
        let db = rusqlite::Connection::open(app.database()).unwrap();
        for (generation, state) in states {
            let sql = "UPDATE kek SET state = ?2 WHERE generation = ?1";
            assert_eq!(db.execute(sql, [generation, state]).unwrap(), 1);
        }
    };
    app.admin("POST", "/keks/2/prepare", None);
    wait_for(&app, is_done);
    assert_eq!(fs::read_to_string(folder.join("kek-current")).unwrap(), "2\n");
    app.stop();
    set(&app, &[(2, 2), (1, 1)]);
    let error = app.start().unwrap_err();
    assert!(error.contains("under generation 1, but this node was at 2"), "{error}");
    set(&app, &[(1, 2), (2, 1)]);
    app.start().unwrap();
    assert_eq!(app.admin("POST", "/keks/1/retire", None).status, 204);
    assert!(!folder.join("kek").exists() && folder.join("kek.retired").exists());
    app.stop();
    set(&app, &[(1, 2)]);
    let error = app.start().unwrap_err();
    assert!(error.contains("kek: missing"), "{error}");
    set(&app, &[(1, 3)]);
    app.start().unwrap();
}

#[test]
fn hsm_008_a_key_that_lies_there_is_not_taken_for_the_next_one() {
    let app = TestApp::spawn();
    let folder = &app.config.data_dir;
    for name in ["kek-2", "kek-2.retired"] {
        fs::write(folder.join(name), [7; 32]).unwrap();
        let answer = app.admin("POST", "/keks/2/prepare", None);
        assert_eq!(refused(&answer), ProblemCode::InvalidValue);
        assert_eq!(states(&app), [(1, "current".into())]);
        fs::remove_file(folder.join(name)).unwrap();
    }
    app.admin("POST", "/keks/2/prepare", None);
    wait_for(&app, is_done);
}

#[test]
fn hsm_019_damaged_secrets_do_not_keep_the_others_under_the_old_key() {
    let mut app = TestApp::spawn();
    // New ones each time: credentials of a phone that was replaced stay until they end.
    for _ in 0..5 {
        stocked(&app, "olena");
    }
    app.stop();
    let db = rusqlite::Connection::open(app.database()).unwrap();
    // The first ones, as the job reads them.
    let sql = "UPDATE credential SET wrapped_otp = CAST(substr(wrapped_otp, 1, 20) || x'00' || substr(wrapped_otp, 22) AS BLOB)
        WHERE (list, idx) IN (SELECT list, idx FROM credential
            WHERE substr(wrapped_otp, 2, 4) = (SELECT id FROM kek) AND wrapped_otp IS NOT NULL LIMIT 70)";
    assert_eq!(db.execute(sql, []).unwrap(), 70);
    drop(db);
    app.start().unwrap();
    assert_eq!(app.admin("POST", "/keks/2/prepare", None).status, 200);
    let left = |view: &KeksView| view.generations[0].left.iter().map(|left| left.rows).sum::<u64>();
    let view = wait_for(&app, |view| left(view) <= 70);
    assert!(left(&view) >= 60, "some bytes may have been zero before: {view:?}");
    assert_eq!(refused(&app.admin("POST", "/keks/1/retire", None)), ProblemCode::InvalidValue);
}
