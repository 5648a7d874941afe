//! Whoever has a disk image, a backup or a database dump reads no share, nonce key, PIN, code, token or claim in it.

use std::fs;

use rusqlite::Connection;

use crate::{
    harness::TestApp,
    restore::back_up,
    secrets::{Secrets, device_of, kept, story, vaulted},
    support::cluster::Cluster,
    vault::Vault,
};

/// What may stand in a store is found in it: so the scan would have found the rest.
fn assert_scanned(secrets: &Secrets, image: &[u8], what: &str) {
    let found = secrets.found_in(image, false).join(", ");
    assert!(found.contains("text of a request") && found.contains("signature"), "{what}: {found}");
}

#[test]
fn res_050_a_disk_image_and_a_backup_reveal_no_secret() {
    let mut app = TestApp::spawn();
    let keystore = app.folder().join("keystore");
    let mut secrets = story(app.url(), &app.admin_token(), &keystore, app.clock.clone());
    vaulted(&app.config.data_dir, device_of(&keystore), &mut secrets);
    let backup = back_up(&app, "backup.db");
    let data = app.config.data_dir.clone();
    let disk = || {
        ["store.db", "store.db-wal", "store.db-shm"]
            .map(|file| fs::read(data.join(file)).unwrap_or_default())
            .concat()
    };
    let running = disk();
    app.stop();
    let images = [
        ("disk of the running server", running),
        ("disk of the stopped server", disk()),
        ("backup", fs::read(&backup).unwrap()),
    ];
    for (what, image) in &images {
        assert_scanned(&secrets, image, what);
    }
    let manifest = fs::read(app.folder().join("backup.db.json")).unwrap();
    let witness = fs::read(app.config.witness_dir().join("witness")).unwrap();
    for (what, image) in images.into_iter().chain([("manifest", manifest), ("witness", witness)]) {
        assert_eq!(secrets.found_in(&image, true), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn res_051_a_database_dump_and_its_disk_reveal_no_secret() {
    let mut cluster = Cluster::create();
    let mut app = TestApp::spawn_with(|config| config.store.url = Some(cluster.url()));
    let keystore = app.folder().join("keystore");
    let mut secrets = story(app.url(), &app.admin_token(), &keystore, app.clock.clone());
    let kek = fs::read(app.config.data_dir.join("kek")).unwrap();
    kept(&Vault::open(&kek, wrapped(&cluster)), &kek, device_of(&keystore), &mut secrets);
    let dump = cluster.dump();
    assert_scanned(&secrets, &dump, "dump");
    assert_eq!(secrets.found_in(&dump, true), Vec::<String>::new());
    app.stop();
    cluster.rows("CHECKPOINT");
    cluster.stop();
    // Those of the databases that every server begins with are the same everywhere.
    let ours = |name: &str| !["1", "4", "5"].iter().any(|oid| name.contains(&format!("/data/base/{oid}/")));
    let mut seen = 0;
    for (name, image) in cluster.files().into_iter().filter(|(name, _)| ours(name)) {
        let found = secrets.found_in(&image, false);
        seen += found.iter().filter(|found| found.starts_with("text of a request")).count();
        if !found.is_empty() {
            assert_eq!(secrets.found_in(&image, true), Vec::<String>::new(), "{name}");
        }
    }
    assert!(seen > 1, "in its table and in the log");
}

/// What the database keeps wrapped, where the vault can look at it.
fn wrapped(cluster: &Cluster) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE server_key (purpose TEXT, wrapped BLOB);
         CREATE TABLE signing_key (device BLOB, id BLOB, epoch INTEGER, wrapped BLOB);",
    )
    .unwrap();
    for row in cluster.rows("SELECT purpose, wrapped FROM server_key") {
        let (purpose, wrapped): (String, Vec<u8>) = (row.get(0), row.get(1));
        db.execute("INSERT INTO server_key VALUES (?1, ?2)", (purpose, wrapped)).unwrap();
    }
    for row in cluster.rows("SELECT device, id, epoch, wrapped FROM signing_key") {
        let (device, id, epoch): (Vec<u8>, Vec<u8>, i64) = (row.get(0), row.get(1), row.get(2));
        let wrapped: Vec<u8> = row.get(3);
        db.execute("INSERT INTO signing_key VALUES (?1, ?2, ?3, ?4)", (device, id, epoch, wrapped)).unwrap();
    }
    db
}
