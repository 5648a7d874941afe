//! What only the SQLite engine promises: one process, durable answers, no way back behind the witness.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use signer_core::{ids::RelyingPartyId, time::UnixSeconds};
use signer_server::store::{
    RelyingParties, RelyingPartyRow, ServerKeyRow, ServerKeys, Store, StoreError,
    sqlite::{FileWitness, Mark, OpenError, SqliteOptions, SqliteStore, Witness},
};

const T0: UnixSeconds = UnixSeconds(1_800_000_000);

fn options(dir: &Path) -> SqliteOptions {
    SqliteOptions::new(dir.join("store/db"), dir.join("elsewhere/mark"))
}

fn open(options: &SqliteOptions) -> Result<Arc<SqliteStore>, OpenError> {
    SqliteStore::open(options, &mut StdRng::seed_from_u64(1))
}

fn error(options: &SqliteOptions) -> OpenError {
    match open(options) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

fn party(n: u8) -> RelyingPartyRow {
    RelyingPartyRow {
        id: RelyingPartyId::from_bytes([n; 16]),
        name: format!("party {n}"),
        token_hash: [n; 32],
        may_ask: true,
        may_verify: true,
        report_kinds: Vec::new(),
        may_report_deceased: false,
        generates_for: None,
        limits: signer_server::store::OwnLimits::default(),
        revoked: false,
    }
}

async fn add(store: &SqliteStore, n: u8) -> Result<(), StoreError> {
    store.add_relying_party(party(n), T0).await
}

async fn holds(store: &SqliteStore, n: u8) -> bool {
    store.relying_party_by_token([n; 32]).await.unwrap().is_some()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A witness whose doings a test can hold back or spoil.
#[derive(Clone)]
struct Puppet {
    inner: Arc<Mutex<FileWitness>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
}

impl Puppet {
    fn new(options: &SqliteOptions) -> Self {
        Self {
            inner: Arc::new(Mutex::new(FileWitness::new(&options.witness_path))),
            gate: Arc::new((Mutex::new(true), Condvar::new())),
            fails: Arc::default(),
            panics: Arc::default(),
            held: Arc::default(),
        }
    }

    fn open(&self, options: &SqliteOptions) -> Arc<SqliteStore> {
        SqliteStore::open_with(options, Box::new(self.clone()), &mut StdRng::seed_from_u64(1)).unwrap()
    }

    /// Waits until the writer has committed and stands before the witness.
    async fn holds_the_writer(&self) {
        while !self.held.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn set_gate(&self, open: bool) {
        *self.gate.0.lock().unwrap() = open;
        self.gate.1.notify_all();
    }
}

impl Witness for Puppet {
    fn read(&self) -> io::Result<Option<Mark>> {
        self.inner.lock().unwrap().read()
    }

    fn advance(&mut self, mark: Mark) -> io::Result<()> {
        self.held.store(!*self.gate.0.lock().unwrap(), Ordering::SeqCst);
        drop(self.gate.1.wait_while(self.gate.0.lock().unwrap(), |open| !*open).unwrap());
        assert!(!self.panics.load(Ordering::SeqCst), "as the test asked");
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no space left"));
        }
        self.inner.lock().unwrap().advance(mark)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_005_a_restored_backup_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let (options, backup) = (options(dir.path()), dir.path().join("backup"));
    let store_dir = dir.path().join("store");
    let store = open(&options).unwrap();
    add(&store, 1).await.unwrap();
    // Taken from the running store, log and all: a good copy, only old.
    copy(&store_dir, &backup);
    add(&store, 2).await.unwrap();
    drop(store);
    let newest = dir.path().join("newest");
    copy(&store_dir, &newest);

    fs::remove_dir_all(&store_dir).unwrap();
    copy(&backup, &store_dir);
    let refused = error(&options);
    assert!(matches!(refused, OpenError::BehindWitness { store: 2, witness: 3 }), "{refused}");
    assert!(refused.to_string().contains("restored from a backup"));
    assert!(matches!(error(&options), OpenError::BehindWitness { .. }), "and again");

    // The newest files come back: it starts and goes on.
    fs::remove_dir_all(&store_dir).unwrap();
    copy(&newest, &store_dir);
    let store = open(&options).unwrap();
    assert!(holds(&store, 1).await && holds(&store, 2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_005_a_store_ahead_of_its_witness_starts() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = open(&options).unwrap();
    let before = fs::read(&options.witness_path).unwrap();
    add(&store, 1).await.unwrap();
    drop(store);
    // Killed between commit and witness.
    fs::write(&options.witness_path, before).unwrap();
    let store = open(&options).unwrap();
    assert!(holds(&store, 1).await);
    drop(store);
    let mark = FileWitness::new(&options.witness_path).read().unwrap().unwrap();
    assert_eq!(mark.seq, 3, "opened, added, opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_005_store_and_witness_belong_together() {
    let dir = tempfile::tempdir().unwrap();
    let own = options(dir.path());
    drop(open(&own).unwrap());
    let other_dir = tempfile::tempdir().unwrap();
    let other = options(other_dir.path());
    drop(SqliteStore::open(&other, &mut StdRng::seed_from_u64(2)).unwrap());

    let mixed = SqliteOptions { witness_path: other.witness_path, ..own.clone() };
    assert!(matches!(error(&mixed), OpenError::WitnessOfAnother));
    let lost = SqliteOptions { witness_path: dir.path().join("nowhere"), ..own.clone() };
    assert!(matches!(error(&lost), OpenError::WitnessMissing(path) if path == lost.witness_path));
    assert!(!lost.witness_path.exists(), "a refusal makes nothing");
    let gone = SqliteOptions { path: dir.path().join("gone"), ..own.clone() };
    assert!(matches!(error(&gone), OpenError::StoreMissing(path) if path == gone.path));
    assert!(!gone.path.exists());
    fs::write(&own.witness_path, [0; 8192]).unwrap();
    assert!(matches!(error(&own), OpenError::Witness(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_005_a_first_start_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    // Killed with an empty file.
    fs::create_dir_all(dir.path().join("store")).unwrap();
    fs::write(&options.path, b"").unwrap();
    drop(open(&options).unwrap());
    // Killed after the store's row was made, before the witness was.
    fs::remove_file(&options.witness_path).unwrap();
    rusqlite::Connection::open(&options.path).unwrap().execute("UPDATE meta SET seq = 0", []).unwrap();
    drop(open(&options).unwrap());
    assert_eq!(FileWitness::new(&options.witness_path).read().unwrap().unwrap().seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_007_a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    drop(open(&options).unwrap());
    let supported = SqliteStore::schema_version();
    assert_eq!(SqliteStore::migrate(&options.path).unwrap(), (supported, supported));
    let db = rusqlite::Connection::open(&options.path).unwrap();
    db.pragma_update(None, "user_version", supported + 1).unwrap();
    drop(db);
    let newer = OpenError::SchemaNewer { found: supported + 1, supported };
    assert_eq!(error(&options).to_string(), newer.to_string());
    assert!(matches!(SqliteStore::migrate(&options.path), Err(OpenError::SchemaNewer { .. })));
    let missing = dir.path().join("none/db");
    assert!(matches!(SqliteStore::migrate(&missing), Err(OpenError::Files(_))));
    assert!(!dir.path().join("none").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_009_one_process_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = open(&options).unwrap();
    assert!(matches!(error(&options), OpenError::Locked(_)));
    assert!(matches!(SqliteStore::migrate(&options.path), Err(OpenError::Locked(_))));
    store.close().await;
    drop(open(&options).unwrap());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn sto_022_files_are_the_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = open(&options).unwrap();
    add(&store, 1).await.unwrap();
    assert!(holds(&store, 1).await);
    let mut files = 0;
    for sub in ["store", "elsewhere"] {
        let sub = dir.path().join(sub);
        assert_eq!(fs::metadata(&sub).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&sub).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
            files += 1;
        }
    }
    assert_eq!(files, 5, "database, log, shared memory, lock, witness");
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_001_answers_and_readers_wait_for_the_witness() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let puppet = Puppet::new(&options);
    let store = puppet.open(&options);
    puppet.set_gate(false);
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { add(&store, 1).await }
    });
    // Committed, visible to a connection of its own …
    let other = rusqlite::Connection::open(&options.path).unwrap();
    while other.query_row("SELECT count(*) FROM relying_party", [], |row| row.get::<_, i64>(0)).unwrap() == 0
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // … but neither answered nor shown.
    let reading = tokio::spawn({
        let store = Arc::clone(&store);
        async move { holds(&store, 1).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let early = (writing.is_finished(), reading.is_finished());
    puppet.set_gate(true);
    assert_eq!(early, (false, false));
    writing.await.unwrap().unwrap();
    assert!(reading.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_001_whatever_is_answered_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = open(&options).unwrap();
    let path = options.path.clone();
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let (store, path) = (Arc::clone(&store), path.clone());
            tokio::spawn(async move {
                add(&store, n).await.unwrap();
                let db = rusqlite::Connection::open(path).unwrap();
                let sql = "SELECT count(*) FROM relying_party WHERE id = ?1";
                assert_eq!(db.query_row(sql, [[n; 16]], |row| row.get::<_, i64>(0)).unwrap(), 1);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_002_announced_writes_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let options_64 = SqliteOptions { group_window: Duration::from_millis(100), ..options(dir.path()) };
    let store = open(&options_64).unwrap();
    let announced: Vec<_> = (0..64).map(|_| store.announce()).collect();
    let tasks: Vec<_> = announced
        .into_iter()
        .zip(0..)
        .map(|(announcement, n)| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                add(&store, n).await.unwrap();
                drop(announcement);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(store.commits() <= 8, "{} commits for 64 writes", store.commits());

    // Alone, and with nobody announced, a write does not wait: the window is far longer than the test may take.
    let slow = tempfile::tempdir().unwrap();
    let patient = SqliteOptions { group_window: Duration::from_secs(3600), ..options(slow.path()) };
    let store = open(&patient).unwrap();
    add(&store, 1).await.unwrap();
    let announcement = store.announce();
    add(&store, 2).await.unwrap();
    // Given up without a write: the waiting one notices.
    let given_up = store.announce();
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { add(&store, 3).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    drop(given_up);
    waiting.await.unwrap().unwrap();
    drop(announcement);
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_002_a_write_that_changes_nothing_needs_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&options(dir.path())).unwrap();
    let key =
        ServerKeyRow { purpose: "issuer".to_owned(), public_key: vec![], wrapped: vec![1], created: T0 };
    for _ in 0..3 {
        store.server_key(key.clone(), T0).await.unwrap();
    }
    assert_eq!(store.commits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_004_a_failed_witness_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let puppet = Puppet::new(&options);
    let store = puppet.open(&options);
    add(&store, 1).await.unwrap();
    puppet.set_gate(false);
    puppet.fails.store(true, Ordering::SeqCst);
    let tasks: Vec<_> = (2..10)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { add(&store, n).await })
        })
        .collect();
    puppet.holds_the_writer().await;
    let reading = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.relying_party_by_token([2; 32]).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    puppet.set_gate(true);
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Err(StoreError::Stopped(_))));
    }
    assert!(matches!(reading.await.unwrap(), Err(StoreError::Stopped(_))), "nor shown");
    puppet.fails.store(false, Ordering::SeqCst);
    assert!(
        matches!(add(&store, 20).await, Err(StoreError::Stopped(reason)) if reason.contains("no space left"))
    );
    assert!(matches!(store.relying_parties().await, Err(StoreError::Stopped(_))));
    assert!(matches!(store.check().await, Err(StoreError::Stopped(_))));
    assert_eq!(store.commits(), 1);
    store.close().await;

    // Opened anew it goes on; what was not answered may or may not be there, and can be tried again.
    let store = open(&options).unwrap();
    assert!(holds(&store, 1).await && !holds(&store, 20).await);
    add(&store, 20).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_004_a_panic_in_the_writer_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let puppet = Puppet::new(&options);
    let store = puppet.open(&options);
    puppet.panics.store(true, Ordering::SeqCst);
    assert!(add(&store, 1).await.is_err());
    while add(&store, 2).await.is_ok_and(|()| panic!("answered")) {}
    store.close().await;
    assert!(matches!(add(&store, 2).await, Err(StoreError::Stopped(_))));
    drop(open(&options).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_004_an_unwritable_witness_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    fs::create_dir_all(&options.witness_path).unwrap();
    assert!(matches!(error(&options), OpenError::Witness(_)));
}

#[tokio::test] // one thread: tasks queue in order
async fn sto_008_a_full_queue_sheds_load() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { queue_max: 4, ..options(dir.path()) };
    let puppet = Puppet::new(&options);
    let store = puppet.open(&options);
    puppet.set_gate(false);
    let spawn = |n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { add(&store, n).await })
    };
    let first = spawn(0);
    puppet.holds_the_writer().await;
    let tasks: Vec<_> = (1..20).map(spawn).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    puppet.set_gate(true);
    first.await.unwrap().unwrap();
    for (task, n) in tasks.into_iter().zip(1..) {
        match task.await.unwrap() {
            Ok(()) => assert!(n <= 4),
            Err(StoreError::Overloaded) => assert!(n > 4),
            Err(other) => panic!("{other}"),
        }
    }
    add(&store, 99).await.unwrap();
}

/// Whoever has the file can do anything to it; the program cannot, not even by mistake.
#[tokio::test]
async fn sto_084_an_entry_is_neither_changed_nor_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    drop(open(&options).unwrap());
    let db = rusqlite::Connection::open(&options.path).unwrap();
    db.execute_batch(
        "INSERT INTO installation (device, holder, device_key, standing, enrolled, token_changed_at)
         VALUES (zeroblob(16), 'h', zeroblob(33), 0, 0, 0);
         INSERT INTO history (device, number, head, sealed, at) VALUES (zeroblob(16), 1, zeroblob(32), x'01', 0);
         INSERT INTO history (device, number, head, sealed, at) VALUES (zeroblob(16), 2, zeroblob(32), x'02', 0);",
    )
    .unwrap();
    let insert = |number| {
        format!(
            "INSERT INTO history (device, number, head, sealed, at) VALUES (zeroblob(16), {number}, zeroblob(32), x'03', 0)"
        )
    };
    for (sql, why) in [
        ("UPDATE history SET sealed = x'04'".to_owned(), "not changed"),
        ("UPDATE history SET number = 9 WHERE number = 2".to_owned(), "not changed"),
        ("DELETE FROM history WHERE number = 2".to_owned(), "not deleted"),
        ("DELETE FROM history".to_owned(), "not deleted"),
        (insert(2), "after the newest"),
        (insert(4), "after the newest"),
        (insert(0), "after the newest"),
        (insert(2).replace("INSERT", "INSERT OR REPLACE"), "after the newest"),
    ] {
        let error = db.execute(&sql, []).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    }
    db.execute(&insert(3), []).unwrap();
}

#[tokio::test] // one thread: tasks queue in order
async fn sto_023_closing_finishes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let puppet = Puppet::new(&options);
    let store = puppet.open(&options);
    puppet.set_gate(false);
    let tasks: Vec<_> = (0..10)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { add(&store, n).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let closing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.close().await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    puppet.set_gate(true);
    closing.await.unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    drop(store);
    assert_eq!(open(&options).unwrap().relying_parties().await.unwrap().len(), 10);
}
