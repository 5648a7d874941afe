//! An engine to test, and things to put into it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use rand::{SeedableRng, rngs::StdRng};
use signer_core::{
    ceremony::EnrolmentProof,
    history::{HistoryKeyBytes, SealedEntry},
    ids::{CeremonyId, DeviceId, Epoch, KeyId, RelyingPartyId, RequestId},
    lost_code::HolderKeys,
    suite::{GroupPublicKey, Signature, SuiteId},
    time::UnixSeconds,
};
use signer_server::store::{
    EnrolResult, EnrolmentCodeRow, Holder, KeyRow, Lease, LockPolicy, NewInstallation, NewRequest,
    PayloadHash, RelyingPartyRow, Reserve, Reserved, Sealer, Settle, Settled, Store, StoredOutcome, Verdict,
    postgres::{PostgresOptions, PostgresStore},
    sqlite::{SqliteOptions, SqliteStore},
};

use crate::postgres::Database;

/// When every test begins.
pub(crate) const T0: UnixSeconds = UnixSeconds(1_800_000_000);
/// The relying party of the tests.
pub(crate) const BANK: RelyingPartyId = RelyingPartyId::from_bytes([0xBA; 16]);
/// How long reservations hold in the tests.
pub(crate) const LEASE: u64 = 30;

/// An engine with one store.
#[async_trait]
pub(crate) trait Engine: Send + Sync + Sized {
    /// Random histories to try, unless said otherwise.
    const HISTORIES: u32;

    /// A new, empty store.
    async fn fresh() -> Self;
    /// The store.
    fn store(&self) -> Arc<dyn Store>;
    /// The store as the next process finds it.
    async fn reopen(&mut self);
}

/// SQLite in a directory of its own.
pub(crate) struct Sqlite {
    dir: tempfile::TempDir,
    store: Option<Arc<SqliteStore>>,
}

impl Sqlite {
    fn open(&mut self) {
        let path: PathBuf = self.dir.path().join("store/db");
        let options = SqliteOptions::new(path, self.dir.path().join("witness/mark"));
        self.store = Some(SqliteStore::open(&options, &mut StdRng::seed_from_u64(1)).expect("opens"));
    }
}

#[async_trait]
impl Engine for Sqlite {
    const HISTORIES: u32 = 32;

    async fn fresh() -> Self {
        let mut engine = Self { dir: tempfile::tempdir().expect("a directory"), store: None };
        engine.open();
        engine
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().expect("open")
    }

    async fn reopen(&mut self) {
        self.store = None;
        self.open();
    }
}

/// PostgreSQL in a database of its own.
pub(crate) struct Postgres {
    database: Database,
    store: Option<Arc<PostgresStore>>,
}

impl Postgres {
    async fn open(&mut self) {
        let options = PostgresOptions::new(self.database.url());
        let store = PostgresStore::open(&options, &mut StdRng::seed_from_u64(1)).await;
        self.store = Some(store.expect("opens"));
    }
}

#[async_trait]
impl Engine for Postgres {
    const HISTORIES: u32 = 8;

    async fn fresh() -> Self {
        let mut engine = Self { database: Database::create(), store: None };
        engine.open().await;
        engine
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().expect("open")
    }

    async fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.open().await;
    }
}

/// A fresh store with the bank in it.
pub(crate) async fn engine<E: Engine>() -> E {
    let engine = E::fresh().await;
    add_party(&*engine.store(), BANK).await;
    engine
}

/// Adds a relying party.
pub(crate) async fn add_party(store: &dyn Store, id: RelyingPartyId) {
    let row = RelyingPartyRow {
        id,
        name: format!("party {id}"),
        token_hash: [id.as_bytes()[0]; 32],
        may_ask: true,
        may_verify: true,
        report_kinds: Vec::new(),
        may_report_deceased: false,
        generates_for: None,
        limits: signer_server::store::OwnLimits::default(),
        revoked: false,
    };
    store.add_relying_party(row, T0).await.expect("added");
}

/// The installation number `n`, with its holder.
pub(crate) fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 16])
}

/// The holder number `n`.
pub(crate) fn holder(n: u8) -> Holder {
    Holder::new(&format!("person-{n}")).expect("valid")
}

/// The key of installation `n`.
pub(crate) fn key(n: u8) -> KeyRow {
    let mut public_key = [n; 33];
    public_key[0] = 2;
    KeyRow {
        id: KeyId::from_bytes([n; 16]),
        device: device(n),
        suite: SuiteId::FrostSecp256k1Sha256,
        epoch: Epoch(0),
        public_key: GroupPublicKey(public_key),
        wrapped: vec![n; 120],
        proof: vec![n; 65],
    }
}

/// What enrols installation `n` with code `code`.
pub(crate) fn new_installation(n: u8, code: u8) -> NewInstallation {
    NewInstallation {
        code: [code; 32],
        device_key: [n; 33],
        key: key(n),
        request: None,
        certificate: None,
        holder_keys: holder_keys(n),
        enrolment: enrolment_proof(n),
        superseded: Sealer::none(),
    }
}

/// What outsiders are shown of the enrolment of installation `n`.
pub(crate) fn enrolment_proof(n: u8) -> EnrolmentProof {
    EnrolmentProof {
        ceremony: CeremonyId::from_bytes([n; 16]),
        holder_keys: holder_keys(n).digest(),
        signature: Signature::new(key(n).proof).unwrap(),
    }
}

/// What the phone of installation `n` left for its holder.
pub(crate) fn holder_keys(n: u8) -> HolderKeys {
    HolderKeys { history: HistoryKeyBytes([n; 32]), lost_code: [n ^ 0xff; 32] }
}

/// The sealed entry number `n`. Only a phone could tell that it is none.
pub(crate) fn entry(n: u8) -> Option<SealedEntry> {
    SealedEntry::new(vec![n; 304])
}

/// Adds the code number `code` for holder `who`.
pub(crate) async fn add_code(store: &dyn Store, code: u8, who: u8) {
    let row = EnrolmentCodeRow { hash: [code; 32], holder: holder(who), expires: T0.plus(3600) };
    store.add_enrolment_code(row, T0).await.expect("added");
}

/// Enrols installation `n` for holder `n`.
pub(crate) async fn enrol(store: &dyn Store, n: u8) -> DeviceId {
    add_code(store, n, n).await;
    let result = store.enrol(new_installation(n, n), T0).await.expect("works");
    assert_eq!(result, EnrolResult::Created);
    device(n)
}

/// The request number `n` for holder `who`, open for an hour.
pub(crate) fn new_request(n: u8, who: u8) -> NewRequest {
    NewRequest {
        id: RequestId::from_bytes([n; 16]),
        relying_party: BANK,
        holder: holder(who),
        object: vec![n; 40],
        created: T0,
        expires: T0.plus(3600),
        idempotency: None,
        codes: None,
        link: None,
        visit: None,
        authorisation: None,
        kept_bytes_max: 1 << 30,
    }
}

/// Adds the request number `n` for holder `who`.
pub(crate) async fn add_request(store: &dyn Store, n: u8, who: u8) -> RequestId {
    let request = new_request(n, who);
    let id = request.id;
    store.add_request(request).await.expect("added");
    id
}

/// Payload number `n`.
pub(crate) fn payload(n: u8) -> PayloadHash {
    PayloadHash([n; 32])
}

/// A reservation of installation 1 for payload `n`, by the first token, without a request.
pub(crate) fn reserve(n: u8, now: UnixSeconds) -> Reserve {
    Reserve {
        device: device(1),
        epoch: Epoch(0),
        payload: payload(n),
        request: None,
        token: Some(0),
        // Nobody else has success under it.
        unheard: u32::MAX,
        based_on: now,
        lease_seconds: LEASE,
        policy: LockPolicy::default(),
        frozen: Sealer::none(),
        now,
    }
}

/// Reserves, which must be granted.
pub(crate) async fn granted(store: &dyn Store, reserve: Reserve) -> Lease {
    match store.reserve(reserve).await.expect("works") {
        Reserved::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

/// A settlement.
pub(crate) fn settle(lease: Lease, request: Option<RequestId>, verdict: Verdict, now: UnixSeconds) -> Settle {
    Settle { lease, request, verdict, told: None, policy: LockPolicy::default(), now }
}

/// Settles, which must be recorded.
pub(crate) async fn recorded(store: &dyn Store, settle: Settle) -> StoredOutcome {
    match store.settle(settle).await.expect("works") {
        Settled::Recorded(outcome) => outcome,
        other => panic!("not recorded: {other:?}"),
    }
}

/// A verdict with two signatures.
pub(crate) fn signed() -> Verdict {
    Verdict::Signed {
        signatures: vec![vec![1; 65], vec![2; 65]],
        record: vec![3; 50],
        record_signature: [4; 64],
    }
}

/// A reservation for the confirmation number `n` of a refresh of installation 1: no token is presented.
pub(crate) fn confirm(n: u8, now: UnixSeconds) -> Reserve {
    Reserve { token: None, ..reserve(n, now) }
}

/// Key 1 with the shares of `epoch`.
pub(crate) fn key_at(epoch: u32) -> KeyRow {
    let n = u8::try_from(epoch).expect("a small epoch");
    KeyRow { epoch: Epoch(epoch), wrapped: vec![n ^ 0xf0; 130], proof: vec![n; 64], ..key(1) }
}

/// The verdict that brings key 1 to `epoch`.
pub(crate) fn refreshed(epoch: u32) -> Verdict {
    Verdict::Refreshed { key: key_at(epoch) }
}

/// How many wrong PINs stand against installation 1: level and number.
pub(crate) async fn counted(store: &dyn Store) -> (u8, u8) {
    let counter = store.installation(device(1)).await.expect("works").expect("exists").counter;
    (counter.level, counter.wrong)
}
