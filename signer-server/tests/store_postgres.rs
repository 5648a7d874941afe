//! What only the PostgreSQL engine must do: which servers it takes, and many nodes on one database.

#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/cut.rs"]
mod cut;
#[path = "support/postgres.rs"]
mod postgres;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::Cluster;
use cut::Cut;

use postgres::Database;
use rand::{SeedableRng, rngs::StdRng};
use signer_core::{
    audit::{
        AuditEntry,
        tree::{TreeHash, leaf_hash},
    },
    ids::{DeviceId, RequestId},
    time::UnixSeconds,
    wire::Event,
};
use signer_server::store::{
    AuditLog as _, Ended, News, ServerKeyRow, ServerKeys as _, Store as _, StoreError,
    postgres::{OpenError, PostgresOptions, PostgresStore},
};

const T0: UnixSeconds = UnixSeconds(1_800_000_000);

async fn open(database: &Database) -> Result<Arc<PostgresStore>, OpenError> {
    PostgresStore::open(&PostgresOptions::new(database.url()), &mut StdRng::seed_from_u64(1)).await
}

fn key(purpose: &str, n: u8) -> ServerKeyRow {
    ServerKeyRow { purpose: purpose.to_owned(), public_key: vec![], wrapped: vec![n; 60], created: T0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_153_a_server_that_would_lose_commits_is_refused() {
    let database = Database::create();
    drop(open(&database).await.unwrap());
    for setting in ["off", "remote_write"] {
        database.run(&format!(
            "ALTER ROLE postgres IN DATABASE {} SET synchronous_commit = {setting}",
            database.name()
        ));
        let refused = open(&database).await.unwrap_err();
        // Without a standby nothing waits for one: then only `off` loses anything.
        let OpenError::NotDurable { setting: "synchronous_commit", found, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(found, setting);
    }
    database
        .run(&format!("ALTER ROLE postgres IN DATABASE {} SET synchronous_commit = local", database.name()));
    open(&database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_154_a_promoted_or_restored_database_is_refused_unless_a_standby_had_every_commit() {
    let database = Database::create();
    let store = open(&database).await.unwrap();
    store.server_key(key("x", 1), T0).await.unwrap();
    store.close().await;
    database.run("UPDATE meta SET timeline = timeline + 1");
    assert!(matches!(open(&database).await, Err(OpenError::Promoted { .. })));
    database.run("UPDATE meta SET synchronous = 1");
    open(&database).await.unwrap().close().await;
    // Where it is now is written down: no standby is synchronous here.
    database.run("UPDATE meta SET timeline = timeline + 1");
    assert!(matches!(open(&database).await, Err(OpenError::Promoted { .. })));
    database.run("UPDATE meta SET timeline = timeline - 1, cluster = cluster + 1, synchronous = 1");
    assert!(matches!(open(&database).await, Err(OpenError::OtherCluster)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_155_nodes_that_start_at_once_make_one_store() {
    let database = Database::create();
    let opened = futures_util::future::join_all((0..4).map(|_| open(&database))).await;
    let stores: Vec<Arc<PostgresStore>> = opened.into_iter().map(Result::unwrap).collect();
    let stored = stores.iter().zip(1..).map(|(store, n)| store.server_key(key("issuer", n), T0));
    let stored = futures_util::future::join_all(stored).await;
    let first = stored[0].as_ref().unwrap();
    assert!(stored.iter().all(|row| row.as_ref().unwrap() == first), "the first key of a purpose stays");
    database.run("UPDATE schema_version SET version = version + 1");
    assert!(matches!(open(&database).await, Err(OpenError::SchemaNewer { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_156_nodes_hear_what_ended_and_one_leads() {
    let database = Database::create();
    let (one, two) = (open(&database).await.unwrap(), open(&database).await.unwrap());
    let ended = News::Ended(Ended::Request(RequestId::from_bytes([7; 16])));
    let phone = |event| News::Phone(DeviceId::from_bytes([8; 16]), event);
    let told: Vec<News> = [ended, News::Keys].into_iter().chain(Event::ALL.map(phone)).collect();
    told.iter().for_each(|news| one.tell_nodes(*news));
    for news in told {
        assert_eq!(two.told_by_node().await, news);
    }
    // Nobody is told what he said himself.
    two.tell_nodes(News::Keys);
    assert_eq!(one.told_by_node().await, News::Keys);
    let leaders = || [&one, &two].iter().filter(|node| node.leads()).count();
    while leaders() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(leaders(), 1);
    let (leader, other) = if one.leads() { (&one, &two) } else { (&two, &one) };
    leader.close().await;
    while !other.leads() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_157_a_database_that_went_away_is_answered_so_and_taken_up_again() {
    let database = Database::create();
    let store = open(&database).await.unwrap();
    store.server_key(key("before", 1), T0).await.unwrap();
    database.run(&format!(
        "ALTER DATABASE {0} CONNECTION LIMIT 0;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}' AND pid <> pg_backend_pid()",
        database.name()
    ));
    // A superuser is let in all the same: what was cut off is only the connections there were.
    let mut answer = store.server_key(key("after", 1), T0).await;
    for _ in 0..40 {
        match answer {
            Ok(_) => break,
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
        answer = store.server_key(key("after", 1), T0).await;
    }
    assert_eq!(answer.unwrap(), key("after", 1));
    assert_eq!(store.server_key(key("before", 2), T0).await.unwrap(), key("before", 1));
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_204_a_connection_that_breaks_while_it_is_made_is_made_again() {
    let database = Database::create();
    let between = Cut::before(&database.url());
    let options = PostgresOptions::new(between.url(&database.url()));
    let store = PostgresStore::open(&options, &mut StdRng::seed_from_u64(1)).await.unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    // What a node asks when it connects, in this order, and the last on the connection it listens on.
    for asked in [
        "pg_backend_pid",
        "server_version_num",
        "pg_walfile_name",
        "pg_current_wal_flush_lsn",
        "pg_try_advisory_lock_shared",
        "pg_advisory_lock(",
        "LISTEN",
        "pg_try_advisory_lock(",
    ] {
        between.cut_at(asked);
        database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        while between.cuts() {
            let _cut_or_not = store.check().await;
            assert!(Instant::now() < end, "nobody asked {asked}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while let Err(error) = store.check().await {
            assert!(!store.is_stopped() && Instant::now() < end, "{asked}: {error}");
        }
    }
    while !store.leads() {
        assert!(!store.is_stopped() && Instant::now() < end, "the node is not connected again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_206_a_primary_that_came_back_tells_nothing_that_its_standby_may_lack() {
    let mut primary = Cluster::create();
    primary.wait_for_standbys();
    let mut standby = primary.standby();
    primary.in_step();
    let options = PostgresOptions::new(primary.url());
    let store = PostgresStore::open(&options, &mut StdRng::seed_from_u64(1)).await.unwrap();
    store.server_key(key("before", 1), T0).await.unwrap();
    standby.stop();
    let waits = tokio::time::timeout(Duration::from_secs(2), store.server_key(key("x", 1), T0)).await;
    assert!(waits.is_err(), "the commit waits for the standby");
    primary.stop();
    primary.start();
    assert_eq!(primary.rows("SELECT 1 FROM server_key WHERE purpose = 'x'").len(), 1, "the primary has it");
    let end = Instant::now() + Duration::from_secs(3);
    while let Ok(told) = tokio::time::timeout_at(end.into(), store.server_key(key("x", 2), T0)).await {
        assert!(told.is_err(), "{told:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    standby.start();
    primary.in_step();
    let end = Instant::now() + Duration::from_secs(60);
    let told = loop {
        match store.server_key(key("x", 2), T0).await {
            Ok(told) => break told,
            Err(error) => assert!(Instant::now() < end && !store.is_stopped(), "{error}"),
        }
    };
    assert_eq!(told, key("x", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_203_who_goes_away_while_waiting_for_a_connection_waits_no_more() {
    let database = Database::create();
    let options = PostgresOptions { connections: 1, ..PostgresOptions::new(database.url()) };
    let store = PostgresStore::open(&options, &mut StdRng::seed_from_u64(1)).await.unwrap();
    let mut left = 0;
    while left < 16 {
        let busy = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.server_key(key("x", 1), T0).await }
        });
        // Each is asked for once, and given up if it would wait.
        for _ in 0..64 {
            let given_up = tokio::time::timeout(Duration::ZERO, store.audit_size()).await;
            left += u32::from(given_up.is_err());
        }
        busy.await.unwrap().unwrap();
    }
    assert_eq!(store.load().waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_159_nodes_that_chain_at_once_make_one_chain() {
    let database = Database::create();
    let (one, two) = (open(&database).await.unwrap(), open(&database).await.unwrap());
    for round in 0..8 {
        let name = |n: u8| format!("key-{}", round * 2 + n);
        let (first, second) = (name(0), name(1));
        let made =
            tokio::join!(one.server_key(key(&first, 1), T0), two.server_key(key(&second, 1), T0.plus(1)));
        assert!(made.0.is_ok() && made.1.is_ok());
        let chained = tokio::join!(one.chain_audit(T0), two.chain_audit(T0.plus(1)));
        assert!(chained.0.is_ok() && chained.1.is_ok(), "{chained:?}");
    }
    one.chain_audit(T0).await.unwrap();
    let entries = two.audit_entries(0, 100).await.unwrap();
    assert_eq!(entries.len(), 2 + 16, "two starts and sixteen keys");
    let mut previous = TreeHash::default();
    for (index, bytes) in (0_u64..).zip(&entries) {
        let entry = AuditEntry::decode(bytes).unwrap();
        assert_eq!((entry.index, entry.previous), (index, previous));
        previous = leaf_hash(bytes);
    }
}

#[test]
fn sto_158_addresses_that_give_something_away_are_refused() {
    let refused = |url: &str| {
        let options = PostgresOptions::new(url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(PostgresStore::migrate(&options)).unwrap_err()
    };
    for url in [
        "postgres://signer:secret@localhost/signer",
        "nonsense",
        "postgres://signer@localhost",
        "postgres:///x",
    ] {
        let error = refused(url);
        assert!(matches!(error, OpenError::Address(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
    assert!(matches!(refused("postgres://signer@db.example/signer?sslmode=disable"), OpenError::Plain));
}
