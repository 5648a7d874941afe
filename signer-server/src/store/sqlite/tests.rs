//! What can only be tried from inside: an engine that refuses in the middle of a transaction.

use std::sync::Arc;

use rand::{SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use signer_core::time::UnixSeconds;

use super::*;
use crate::store::{AuditLog as _, ServerKeyRow, ServerKeys};

const T0: UnixSeconds = UnixSeconds(1_800_000_000);

fn open(dir: &tempfile::TempDir) -> Arc<SqliteStore> {
    let options = SqliteOptions::new(dir.path().join("db"), dir.path().join("mark"));
    SqliteStore::open(&options, &mut StdRng::seed_from_u64(1)).unwrap()
}

fn key(purpose: &str, length: usize) -> ServerKeyRow {
    ServerKeyRow { purpose: purpose.to_owned(), public_key: vec![], wrapped: vec![1; length], created: T0 }
}

async fn run(store: &SqliteStore, sql: &'static str) -> StoreResult<()> {
    store.commit(T0, move |db: &Connection| Ok(db.execute_batch(sql)?)).await
}

#[tokio::test]
async fn sto_010_a_full_disk_refuses_what_has_no_room_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    run(&store, "PRAGMA max_page_count = 1").await.unwrap(); // as many as there are
    let (store, announced) = (&store, [store.announce(), store.announce()]);
    let (small, large) =
        tokio::join!(store.server_key(key("small", 10), T0), store.server_key(key("large", 100_000), T0));
    drop(announced);
    assert!(matches!(&large, Err(StoreError::Unavailable(reason)) if reason.contains("full")), "{large:?}");
    assert_eq!((small.unwrap(), store.commits()), (key("small", 10), 1));
    run(store, "PRAGMA max_page_count = 1000000").await.unwrap();
    assert_eq!(store.server_key(key("large", 100_000), T0).await.unwrap(), key("large", 100_000));
    assert_eq!(store.server_key(key("small", 1), T0).await.unwrap(), key("small", 10));
}

#[tokio::test]
async fn sto_010_a_failing_job_takes_back_only_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let (store, announced) = (&store, [store.announce(), store.announce(), store.announce()]);
    let fails = store.commit(T0, |db: &Connection| -> StoreResult<()> {
        db.execute_batch("INSERT INTO server_key VALUES ('half done', x'', x'', 0, NULL, NULL)")?;
        Err(StoreError::Corrupt("as the test asked".to_owned()))
    });
    let (before, failed, after) =
        tokio::join!(store.server_key(key("before", 1), T0), fails, store.server_key(key("after", 1), T0));
    drop(announced);
    assert!(before.is_ok() && after.is_ok() && matches!(failed, Err(StoreError::Corrupt(_))));
    assert_eq!(store.commits(), 1);
    let rows = |db: &Db<'_>| {
        let sql = "SELECT group_concat(purpose) FROM (SELECT purpose FROM server_key ORDER BY purpose)";
        db::first(db, sql, [], |row| row.get::<String>(0))
    };
    assert_eq!(store.read(rows).await.unwrap().as_deref(), Some("after,before"));
}

#[tokio::test]
async fn sto_010_a_group_taken_back_by_the_engine_is_nowhere_answered_as_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let (store, announced) = (&store, [store.announce(), store.announce(), store.announce()]);
    let (before, lost, after) = tokio::join!(
        store.server_key(key("before", 1), T0),
        run(store, "ROLLBACK"),
        store.server_key(key("after", 1), T0)
    );
    drop(announced);
    for answer in [before.err(), lost.err(), after.err()] {
        assert!(matches!(answer, Some(StoreError::Engine(_))), "{answer:?}");
    }
    assert_eq!(store.commits(), 0);
    store.server_key(key("before", 2), T0).await.unwrap();
    store.check().await.unwrap();
}

#[tokio::test]
async fn sto_004_a_second_writer_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let other = Connection::open(dir.path().join("db")).unwrap();
    other.execute("UPDATE meta SET seq = seq + 1", []).unwrap();
    let refused = store.server_key(key("x", 1), T0).await;
    assert!(matches!(refused, Err(StoreError::Stopped(_))), "{refused:?}");
    assert!(matches!(store.check().await, Err(StoreError::Stopped(_))));
    other.execute("UPDATE meta SET seq = seq + 1", []).unwrap();
}

#[tokio::test]
async fn sto_004_a_failed_commit_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    // A deferred constraint fails at COMMIT, and nowhere before.
    let refused = run(
        &store,
        "CREATE TABLE child (parent BLOB REFERENCES relying_party (id) DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO child VALUES (x'00')",
    )
    .await;
    assert!(matches!(&refused, Err(StoreError::Stopped(reason)) if reason.contains("commit")), "{refused:?}");
    assert!(matches!(store.server_key(key("x", 1), T0).await, Err(StoreError::Stopped(_))));
    drop(store);
    open(&dir).server_key(key("x", 1), T0).await.unwrap();
}

#[tokio::test]
async fn sto_012_an_erased_share_is_not_left_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let secret = [0xC5; 200];
    store.server_key(ServerKeyRow { wrapped: secret.to_vec(), ..key("x", 0) }, T0).await.unwrap();
    run(&store, "UPDATE server_key SET wrapped = x''").await.unwrap();
    store.close().await;
    let file = std::fs::read(dir.path().join("db")).unwrap();
    assert!(!file.windows(16).any(|bytes| bytes == &secret[..16]));
}

#[tokio::test]
async fn sto_133_requests_go_after_their_outcomes_however_many_have_waited() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    // A server that stood still for a while: more outcomes than go at once.
    run(
        &store,
        "INSERT INTO relying_party (id, name, token_hash, may_ask, may_verify, revoked, created)
            VALUES (zeroblob(16), 'Bank', zeroblob(32), 1, 0, 0, 0);
         INSERT INTO installation (device, holder, device_key, standing, enrolled, token_changed_at)
            VALUES (zeroblob(16), 'olena', zeroblob(33), 0, 0, 0);
         CREATE TEMP TABLE number AS WITH RECURSIVE count (n) AS
            (SELECT 100000 UNION ALL SELECT n + 1 FROM count WHERE n < 102500) SELECT n FROM count;
         INSERT INTO request (id, relying_party, holder, object, created, expires, state, ended, signatures, record,
            record_signature, signed_by, purpose) SELECT CAST('request-no' || n AS BLOB), zeroblob(16), 'olena', x'00', 0, 0, 1,
            0, x'00', x'00', zeroblob(64), zeroblob(16), 2 * (n % 2) FROM number;
         INSERT INTO outcome (device, payload, kind, request, level, wrong, locked_until, stepped_down_at, next_token, at)
            SELECT zeroblob(16), CAST('the payload of an outcome ' || n AS BLOB), 0, CAST('request-no' || n AS BLOB),
            0, 0, 0, 0, 0, 0 FROM number ORDER BY n DESC",
    )
    .await
    .unwrap();
    assert_eq!(store.expire(T0, Life::Standard).await.unwrap(), 2 * 2_501);
}

#[tokio::test]
async fn aud_010_an_act_that_is_taken_back_is_not_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let size = async || store.audit_size().await.unwrap();
    let before = size().await;
    let failed = store.commit(T0, |db: &Connection| -> StoreResult<()> {
        db.execute_batch("INSERT INTO server_key VALUES ('half done', x'', x'', 0, NULL, NULL)")?;
        Err(StoreError::Corrupt("as the test asked".to_owned()))
    });
    failed.await.unwrap_err();
    assert_eq!(size().await, before);
    store.server_key(key("whole", 1), T0).await.unwrap();
    assert_eq!(size().await, before + 1);
    // What writes nothing new is no act.
    store.server_key(key("whole", 1), T0).await.unwrap();
    assert_eq!(size().await, before + 1);
}

#[tokio::test]
async fn aud_011_what_cannot_be_logged_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    // A schema alone is no change to the store: without a row it would be taken back.
    run(&store, "UPDATE meta SET seq = seq; CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no room'); END")
        .await
        .unwrap();
    let refused = store.server_key(key("x", 1), T0).await;
    assert!(matches!(&refused, Err(StoreError::Engine(reason)) if reason.contains("no room")), "{refused:?}");
    assert_eq!(store.server_keys("x".into()).await.unwrap(), []);
    run(&store, "UPDATE meta SET seq = seq; DROP TRIGGER full").await.unwrap();
    store.server_key(key("x", 1), T0).await.unwrap();
}
