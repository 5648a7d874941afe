//! A database that was put back: each node's witness, and going on with it.

use std::{fs, time::Duration};

use signer_client::Approved;
use signer_core::wire::Standing;
use signer_server::store::postgres::{PostgresOptions, Survey};

use crate::{
    harness::{PIN, TestApp, WRONG},
    restore::{act, acts, export, guess, program, sign, standing},
    support::cluster::Cluster,
};

fn on(cluster: &Cluster) -> TestApp {
    TestApp::spawn_with(|config| config.store.url = Some(cluster.url()))
}

/// A node with the same keys and a witness of its own.
fn beside(app: &TestApp) -> TestApp {
    TestApp::spawn_with(|config| {
        fs::create_dir(&config.data_dir).unwrap();
        for file in ["kek", "admin-token", "trust-root"] {
            fs::copy(app.config.data_dir.join(file), config.data_dir.join(file)).unwrap();
        }
        config.store.url = app.config.store.url.clone();
        config.ca.public_url = Some(app.url().to_owned());
    })
}

fn copy(cluster: &mut Cluster, name: &str) {
    cluster.stop();
    cluster.copy(name);
    cluster.start();
}

fn put_back(cluster: &mut Cluster, name: &str) {
    cluster.stop();
    cluster.put_back(name);
    cluster.start();
}

#[test]
fn res_020_a_database_that_was_put_back_is_refused_and_the_newest_one_taken() {
    let mut cluster = Cluster::create();
    let mut app = on(&cluster);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    app.stop();
    copy(&mut cluster, "before");
    app.start().unwrap();
    guess(&app, &bank, &mut phone, "olena");
    // Killed before the act was chained: what the witness has is its place in the database's log.
    app.stop();
    copy(&mut cluster, "newest");
    put_back(&mut cluster, "before");
    let refused = app.start().unwrap_err();
    assert!(refused.contains("behind this node's witness") && refused.contains("restore"), "{refused}");
    assert_eq!(app.start().unwrap_err(), refused);
    put_back(&mut cluster, "newest");
    app.start().unwrap();
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);

    // A node that runs notices when it connects again, and answers nothing from then on.
    cluster.stop();
    cluster.copy("newer");
    cluster.put_back("before");
    cluster.start();
    for _ in 0..2 {
        assert!(phone.phone.status().is_err());
    }
    app.stop();
    put_back(&mut cluster, "newer");
    app.start().unwrap();
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);
}

#[test]
fn res_021_the_log_tells_one_history_from_another() {
    let mut cluster = Cluster::create();
    let mut app = on(&cluster);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let witness = app.config.witness_dir().join("witness-postgres");
    app.stop();
    copy(&mut cluster, "before");
    app.start().unwrap();
    guess(&app, &bank, &mut phone, "olena");
    app.checkpoint();
    app.stop();
    let seen = fs::read(&witness).unwrap();
    // Another node goes on from the copy, further than the first has been.
    put_back(&mut cluster, "before");
    fs::remove_file(&witness).unwrap();
    app.start().unwrap();
    for _ in 0..8 {
        sign(&app, &bank, &mut phone, "olena");
    }
    app.checkpoint();
    app.stop();
    fs::write(&witness, seen).unwrap();
    let refused = app.start().unwrap_err();
    assert!(refused.contains("is not the one that this node's witness has seen"), "{refused}");
}

#[test]
fn res_023_a_database_that_was_put_back_goes_on_after_a_restore_on_all_nodes() {
    let mut cluster = Cluster::create();
    let mut app = on(&cluster);
    let mut two = beside(&app);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let refused = program(&app, &["restore", "--yes"]).unwrap_err();
    assert!(refused.contains("stop them all first"), "{refused}");
    two.stop();
    app.stop();
    let refused = program(&app, &["restore", "--yes"]).unwrap_err();
    assert!(refused.contains("start the nodes"), "{refused}");
    copy(&mut cluster, "before");
    app.start().unwrap();
    two.start().unwrap();
    // One node is ahead of the others.
    app.clock.advance(120);
    guess(&app, &bank, &mut phone, "olena");
    app.stop();
    two.stop();
    put_back(&mut cluster, "before");
    assert!(app.start().is_err() && two.start().is_err());
    let refused = program(&app, &["restore"]).unwrap_err();
    assert!(refused.contains("EVERY KEY IS SUSPENDED"), "{refused}");
    let report = program(&app, &["restore", "--yes"]).unwrap();
    assert_eq!((&report["epoch"], &report["suspended"]), (&1.into(), &1.into()));
    let restored: i64 = cluster.rows("SELECT restored FROM meta")[0].get(0);
    assert!(u64::try_from(restored).unwrap() >= app.clock.seconds());
    // Nothing is left to fear of what the other node has seen: it follows by itself.
    app.start().unwrap();
    two.start().unwrap();
    assert_eq!(standing(&mut phone), Standing::Suspended);
    assert!(acts(&app).iter().any(|act| act.starts_with("restored lost_")));
    act(&app, &phone, "resume");
    assert_eq!(phone.phone.status().unwrap().attempts.left, 1);
    sign(&app, &bank, &mut phone, "olena");
}

#[test]
fn res_024_a_dump_is_read_in_elsewhere_and_the_log_tells_the_rest() {
    let (mut cluster, mut elsewhere) = (Cluster::create(), Cluster::create());
    let mut app = on(&cluster);
    let (bank, mut olena, mut andrii) = (app.bank(), app.phone("olena"), app.phone("andrii"));
    app.checkpoint();
    let dump = cluster.dump();
    guess(&app, &bank, &mut olena, "olena");
    sign(&app, &bank, &mut andrii, "andrii");
    act(&app, &andrii, "suspend");
    app.checkpoint();
    let log = export(&app, "log.jsonl");
    app.stop();
    cluster.stop();
    elsewhere.read_in(&dump);
    app.config.store.url = Some(elsewhere.url());
    assert!(app.start().is_err());
    let report = program(&app, &["restore", "--yes", "--audit-log", log.to_str().unwrap()]).unwrap();
    assert_eq!((&report["whole"], &report["wrong_pins"]), (&true.into(), &1.into()));
    app.start().unwrap();
    assert_eq!(standing(&mut andrii), Standing::Suspended);
    // What the last second brought is not in any log: everybody has the last attempt of the level, and a right PIN gives the others back.
    assert_eq!(olena.phone.status().unwrap().attempts.left, 1);
    sign(&app, &bank, &mut olena, "olena");
    assert_eq!(olena.phone.status().unwrap().attempts.left, 3);
    elsewhere.stop();
}

#[test]
fn res_043_a_database_that_was_away_is_answered_so_and_taken_up_again() {
    let mut cluster = Cluster::create();
    let app = on(&cluster);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let id = app.ask(&bank, "olena");
    let prepared = phone.prepare(id, PIN);
    cluster.stop();
    for _ in 0..2 {
        let answer = app.device("approve", &prepared);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
        assert_eq!(answer.problem().code.code(), "overloaded");
    }
    std::thread::sleep(Duration::from_secs(2));
    cluster.start();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let mut answer = app.device("approve", &prepared);
    while answer.status != 200 {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(Duration::from_millis(100));
        answer = app.device("approve", &prepared);
    }
    // The phone learns what became of it, and goes on.
    assert!(phone.phone.requests().unwrap().is_empty());
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, WRONG).unwrap(), Approved::WrongPin(_)));
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);
}

#[test]
fn res_029_another_history_is_not_whole_and_other_nodes_do_not_follow_it() {
    let mut cluster = Cluster::create();
    let mut app = on(&cluster);
    let mut two = beside(&app);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    app.checkpoint();
    two.stop();
    app.stop();
    copy(&mut cluster, "before");
    // The second node sees one history, the first another and longer one.
    two.start().unwrap();
    act(&two, &phone, "suspend");
    two.checkpoint();
    two.stop();
    let witness = two.config.witness_dir().join("witness-postgres");
    let seen = fs::read(&witness).unwrap();
    put_back(&mut cluster, "before");
    app.start().unwrap();
    for _ in 0..4 {
        sign(&app, &bank, &mut phone, "olena");
    }
    app.checkpoint();
    let log = export(&app, "log.jsonl");
    let log = log.to_str().unwrap();
    app.stop();
    copy(&mut cluster, "fork");
    // The log of the database in place is not the one that the second node saw.
    let report = program(&two, &["restore", "--yes", "--audit-log", log]).unwrap();
    assert_eq!((&report["whole"], &report["suspended"]), (&false.into(), &1.into()));
    put_back(&mut cluster, "before");
    let report = program(&app, &["restore", "--yes", "--audit-log", log]).unwrap();
    assert_eq!((&report["whole"], &report["suspended"]), (&true.into(), &0.into()));
    fs::write(&witness, seen).unwrap();
    let refused = two.start().unwrap_err();
    assert!(refused.contains("without what this node's witness has seen"), "{refused}");
    app.start().unwrap();
}

#[test]
fn res_030_no_node_starts_while_a_restore_is_at_work() {
    let mut cluster = Cluster::create();
    let mut app = on(&cluster);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let mut new = beside(&app);
    new.stop();
    app.stop();
    copy(&mut cluster, "before");
    app.start().unwrap();
    sign(&app, &bank, &mut phone, "olena");
    app.stop();
    put_back(&mut cluster, "before");
    let options = PostgresOptions {
        witness_path: Some(app.config.witness_dir().join("witness-postgres")),
        ..PostgresOptions::new(cluster.url())
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let survey = runtime.block_on(Survey::look(&options)).unwrap();
    let refused = new.start().unwrap_err();
    assert!(refused.contains("is at work on this database"), "{refused}");
    assert!(program(&app, &["restore", "--yes"]).unwrap_err().contains("another restore"));
    drop(survey);
    drop(runtime);
    new.start().unwrap();
}

#[test]
fn res_044_a_standby_that_was_promoted_and_may_lack_acts_is_refused_until_a_restore() {
    let mut primary = Cluster::create();
    let mut standby = primary.standby();
    let mut app = TestApp::spawn_with(|config| config.store.url = Some(primary.url_of_pair(&standby)));
    let mut new = beside(&app);
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    standby.catch_up(&primary);
    new.stop();
    // No commit waits for the standby: this one it never gets.
    standby.stop();
    guess(&app, &bank, &mut phone, "olena");
    primary.stop();
    standby.start();
    standby.promote();
    // The node that runs stops when it connects again, and neither node starts.
    for _ in 0..2 {
        assert!(phone.phone.status().is_err());
    }
    app.stop();
    // This one has seen the act; if that was chained already, it says so.
    let refused = app.start().unwrap_err();
    let why = ["while no standby was synchronous", "behind this node's witness"];
    assert!(why.iter().any(|why| refused.contains(why)) && refused.contains("restore"), "{refused}");
    let refused = new.start().unwrap_err();
    assert!(refused.contains("while no standby was synchronous") && refused.contains("restore"), "{refused}");
    let report = program(&app, &["restore", "--yes"]).unwrap();
    assert_eq!((&report["epoch"], &report["suspended"]), (&1.into(), &1.into()));
    app.start().unwrap();
    new.start().unwrap();
    assert_eq!(standing(&mut phone), Standing::Suspended);
    act(&app, &phone, "resume");
    sign(&app, &bank, &mut phone, "olena");
}
