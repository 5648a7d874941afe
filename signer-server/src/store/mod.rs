//! Everything durable, behind small traits in the words of the domain. Two rules hold for every method that writes:
//! it returns only after its transaction is committed (and witnessed), and it is one transaction.
//!
//! Rows hold secrets only wrapped, tokens and codes only hashed. The same contract suite (`tests/store_contract`)
//! runs against every engine.

mod audit;
mod ceremonies;
mod certificates;
mod counter;
mod csc;
mod displays;
mod fleets;
mod history;
mod inspection;
mod keks;
mod metrics;
mod oauth;
pub mod postgres;
mod reports;
mod restore;
mod rows;
mod slots;
mod sql;
pub mod sqlite;
mod visits;
mod webhooks;

use async_trait::async_trait;
use signer_core::{
    ceremony::EnrolmentProof,
    credential::StatusIndex,
    history::SealedEntry,
    ids::{CheckId, DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
    trust::Life,
    wire::{Event, Standing, VerificationCode},
};

pub use self::{
    audit::{AuditFilter, AuditLog, AuditMark, CheckpointRow},
    ceremonies::*,
    certificates::*,
    counter::*,
    csc::*,
    displays::*,
    fleets::*,
    history::*,
    inspection::Inspection,
    keks::*,
    metrics::*,
    oauth::*,
    reports::*,
    restore::*,
    rows::*,
    visits::*,
    webhooks::*,
};

/// Why the store could not do its work. Callers answer 503 or 500 and release nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The write queue is full: shed load.
    #[error("the store's write queue is full")]
    Overloaded,
    /// The store stopped after a failed commit or a failed sync and must be opened anew.
    #[error("the store has stopped: {0}")]
    Stopped(String),
    /// The database is not reached, or took too long to answer. Nothing was written.
    #[error("the database is not reached: {0}")]
    Unavailable(String),
    /// The connection broke during a commit: whether it is written nobody can say. The same act again finds out.
    #[error("whether a write was committed is not known: {0}")]
    Unknown(String),
    /// The engine refused.
    #[error("store engine: {0}")]
    Engine(String),
    /// A row that should be there in one form is not: a bug or a damaged file.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}

/// Result of a store method.
pub type StoreResult<T> = Result<T, StoreError>;

/// Enrolment codes, installations and their keys.
#[async_trait]
pub trait Installations: Send + Sync {
    /// Adds an unused enrolment code.
    async fn add_enrolment_code(&self, code: EnrolmentCodeRow, now: UnixSeconds) -> StoreResult<()>;

    /// The holder an unused, unexpired code was made for.
    async fn holder_of_code(&self, hash: [u8; 32], now: UnixSeconds) -> StoreResult<Option<Holder>>;

    /// Creates an installation with its key and uses up the code, all or nothing. Earlier installations of the same
    /// holder are revoked, their open requests stay open for the new one.
    async fn enrol(&self, new: NewInstallation, now: UnixSeconds) -> StoreResult<EnrolResult>;

    /// Uses an enrolment code up without an installation. One that is unknown, used or expired stays as it is.
    async fn void_enrolment_code(&self, hash: [u8; 32], now: UnixSeconds) -> StoreResult<()>;

    /// An installation with its key.
    async fn installation(&self, device: DeviceId) -> StoreResult<Option<Installation>>;

    /// What outsiders are shown of an installation's enrolment. It stays when the key is refreshed, and when it ends. None if it
    /// was enrolled before this was kept.
    async fn enrolment_proof(&self, device: DeviceId) -> StoreResult<Option<EnrolmentProof>>;

    /// Sets the standing of an installation; `Revoked` is [`Installations::revoke`] without a reason, `Suspended`
    /// [`Installations::suspend`], `Good` also ends a suspension. Its certificates follow; its history is told nothing. False
    /// if there is no such installation, or it is revoked and would not stay so.
    async fn set_standing(&self, device: DeviceId, standing: Standing, now: UnixSeconds)
    -> StoreResult<bool>;

    /// Revokes an installation with its certificates and ends its key, with its holder's open requests; the wrapped shares
    /// are erased. `told` goes into its history, unless it was revoked before. False if there is no such installation.
    async fn revoke(
        &self,
        device: DeviceId,
        reason: RevocationReason,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<bool>;

    /// Suspends an installation with its certificates, or takes that back: then it stands as it did before, which may be
    /// frozen. `told` goes into its history, if this changes anything. False if there is no such installation, or it is
    /// revoked.
    async fn suspend(
        &self,
        device: DeviceId,
        suspended: bool,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<bool>;

    /// The installation whose lost code has this hash.
    async fn by_lost_code(&self, hash: [u8; 32]) -> StoreResult<Option<DeviceId>>;

    /// The one installation of a holder that is not revoked.
    async fn living(&self, holder: Holder) -> StoreResult<Option<DeviceId>>;
}

/// Reserve and settle: the two durable steps around every evaluation of a PIN, and of what new shares sign first.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Takes the installation exclusively and counts an attempt, or says why not. In this order: stored outcome of
    /// the same payload; request open and this holder's; standing; epoch; device token (a pending one becomes current, a
    /// retired one freezes the installation); another attempt in evaluation; lock; then count.
    ///
    /// A reservation of the same payload whose lease has run out (or whose server process is gone) is taken up again
    /// without counting a second time.
    async fn reserve(&self, reserve: Reserve) -> StoreResult<Reserved>;

    /// The outcome a payload had before, if it is still kept.
    async fn stored_outcome(
        &self,
        device: DeviceId,
        payload: PayloadHash,
        now: UnixSeconds,
    ) -> StoreResult<Option<StoredOutcome>>;

    /// Records how the evaluation ended, gives the attempt back after a success or a server fault, and frees the
    /// installation. After a refresh it also replaces the shares of the key by those of the next epoch and forgets the old
    /// ones. Refuses if the lease was lost meanwhile.
    async fn settle(&self, settle: Settle) -> StoreResult<Settled>;
}

/// Signing requests.
#[async_trait]
pub trait Requests: Send + Sync {
    /// Adds a request with all that stands on it, or finds the one added before for the same, or says why not.
    async fn add_request(&self, request: NewRequest) -> StoreResult<AddResult>;

    /// The request that [`Requests::add_request`] would find in the place of this one.
    async fn added_before(&self, request: NewRequest) -> StoreResult<Option<RequestId>>;

    /// A request, as it stands at `now`.
    async fn request(&self, id: RequestId, now: UnixSeconds) -> StoreResult<Option<RequestRow>>;

    /// Open, unexpired requests for the holder of a device, oldest first, at most `limit`.
    async fn pending(&self, device: DeviceId, now: UnixSeconds, limit: u32) -> StoreResult<Vec<RequestRow>>;

    /// Requests of one relying party or of all, newest first, at most `limit`.
    async fn newest_requests(
        &self,
        relying_party: Option<RelyingPartyId>,
        now: UnixSeconds,
        limit: u32,
    ) -> StoreResult<Vec<RequestRow>>;

    /// Cancels (relying party) or declines (device) an open request. `told` goes into the history of the device that
    /// declines.
    async fn close_request(
        &self,
        id: RequestId,
        by: ClosedBy,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<CloseResult>;

    /// The request with this link, as it stands at `now`.
    async fn request_by_link(&self, token: [u8; 32], now: UnixSeconds) -> StoreResult<Option<RequestRow>>;

    /// Makes a request that of a device's holder, if no other device has opened its link.
    async fn open_link(
        &self,
        id: RequestId,
        device: DeviceId,
        now: UnixSeconds,
    ) -> StoreResult<OpenLinkResult>;

    /// The holder a relying party knows by this name.
    async fn holder_of_pairwise(
        &self,
        relying_party: RelyingPartyId,
        person: [u8; 16],
    ) -> StoreResult<Option<Holder>>;

    /// Writes down whom a relying party knows by this name, before it is told.
    async fn add_pairwise(
        &self,
        relying_party: RelyingPartyId,
        person: [u8; 16],
        holder: Holder,
        now: UnixSeconds,
    ) -> StoreResult<()>;

    /// Writes down which verification code the holder of a device chose; the first choice stays. A wrong one ends the
    /// request, and `told` goes into the device's history with it.
    async fn choose_code(
        &self,
        id: RequestId,
        device: DeviceId,
        code: VerificationCode,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<CodeChoiceResult>;
}

/// Relying parties and their bearer tokens.
#[async_trait]
pub trait RelyingParties: Send + Sync {
    /// Adds a relying party.
    async fn add_relying_party(&self, row: RelyingPartyRow, now: UnixSeconds) -> StoreResult<()>;

    /// The relying party with this token hash, unless revoked.
    async fn relying_party_by_token(&self, hash: [u8; 32]) -> StoreResult<Option<RelyingPartyRow>>;

    /// All relying parties, by name.
    async fn relying_parties(&self) -> StoreResult<Vec<RelyingPartyRow>>;

    /// Replaces the limits of its own that one has; false if there is none.
    async fn put_limits(&self, id: RelyingPartyId, limits: OwnLimits, now: UnixSeconds) -> StoreResult<bool>;

    /// How many bytes the requests of each take, without sign-ins; of those that have none it may say nothing.
    async fn kept_bytes(&self) -> StoreResult<Vec<(RelyingPartyId, u64)>>;

    /// Revokes one, cancels its open requests and forgets its webhooks; false if there is none.
    async fn revoke_relying_party(&self, id: RelyingPartyId, now: UnixSeconds) -> StoreResult<bool>;
}

/// Issued day credentials and the codes shown from them.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Adds a batch of one installation, all or nothing. `told` goes into its history with it.
    async fn add_credentials(
        &self,
        batch: Vec<CredentialRow>,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<AddedCredentials>;

    /// A credential by status list and index.
    async fn credential(&self, list: u32, index: u32) -> StoreResult<Option<CredentialRow>>;

    /// What stands against a first use of a code now, without using anything up; `None` if nothing does.
    async fn look(&self, burn: Burn) -> StoreResult<Option<Burned>>;

    /// Ends the living credentials of a device for one kind of document: the register has it no longer.
    async fn withdraw(&self, device: DeviceId, document_type: u32, now: UnixSeconds) -> StoreResult<()>;

    /// Places of the device's withdrawn credentials, newest first, at most [`LIVING_CREDENTIALS_MAX`].
    async fn withdrawn(&self, device: DeviceId) -> StoreResult<Vec<StatusIndex>>;

    /// Uses up one code, by (list, index, step, n), with the short codes of its credential up to it: of any number of tries
    /// exactly one is `Fresh`. Opens the check that comes with it.
    async fn burn(&self, burn: Burn) -> StoreResult<Burned>;

    /// Highest `n` used up within `step`, if any.
    async fn highest_burn(&self, list: u32, index: u32, step: u64) -> StoreResult<Option<u8>>;
}

/// The server's own keys, and the trust list it gives out.
#[async_trait]
pub trait ServerKeys: Send + Sync {
    /// Stores `key` unless one with its purpose exists; returns the one that is stored.
    async fn server_key(&self, key: ServerKeyRow, now: UnixSeconds) -> StoreResult<ServerKeyRow>;

    /// The first key of a purpose and those made to follow it, in any order.
    async fn server_keys(&self, purpose: String) -> StoreResult<Vec<IssuerKeyRow>>;

    /// Notes whether the trust list given out names a key that waits: since `now`, unless it has been named since earlier.
    async fn note_listed(&self, purpose: String, listed: bool, now: UnixSeconds) -> StoreResult<()>;

    /// Puts a key to use; false if it is in use already, or there is none.
    async fn activate_server_key(&self, purpose: String, now: UnixSeconds) -> StoreResult<bool>;

    /// The trust list given out.
    async fn trust_list(&self) -> StoreResult<Option<TrustListRow>>;

    /// Replaces the trust list; false if the one under the same pinned root has as high a number.
    async fn put_trust_list(&self, list: TrustListRow, now: UnixSeconds) -> StoreResult<bool>;
}

/// The whole store.
#[async_trait]
pub trait Store:
    std::fmt::Debug
    + Installations
    + Ceremonies
    + Attempts
    + Requests
    + RelyingParties
    + OauthClients
    + Visits
    + Authorisations
    + Credentials
    + Fleets
    + Displays
    + Checks
    + Certificates
    + Histories
    + Reports
    + ServerKeys
    + Keks
    + Webhooks
    + AuditLog
{
    /// Drops what has run out: requests become expired and are deleted 7 days after their end, sign-ins 24 h; outcomes after 24 h, codes of
    /// past steps, access tokens, used assertions, pushed requests, displays, checks, questions and misses at their end, visits
    /// [`VISIT_KEPT_SECONDS`] after theirs, credentials 24 h after theirs by the `life` in force, events of registers after 30
    /// days, those of webhooks after 7, used and expired enrolment codes and ceremonies are deleted. Returns how many rows were touched.
    async fn expire(&self, now: UnixSeconds, life: Life) -> StoreResult<u64>;

    /// Latest time any committed transaction was made at: the clock never goes back behind it.
    fn latest_time(&self) -> UnixSeconds;

    /// When the store was last brought back from a backup; 0 for never. What was used up shortly before may be forgotten.
    fn restored_at(&self) -> UnixSeconds;

    /// How often it was: part of the audit log's name, so that nobody takes the log for the one that was lost.
    fn epoch(&self) -> u32;

    /// Says that a caller is about to write. The writer waits a moment for announced writes to share its commit.
    fn announce(&self) -> Announcement;

    /// Transactions committed since the store was opened.
    fn commits(&self) -> u64;

    /// What the store measures of itself.
    fn metrics(&self) -> &StoreMetrics;

    /// How much it has to do now.
    fn load(&self) -> StoreLoad;

    /// Whether other nodes may work on this store.
    fn has_nodes(&self) -> bool {
        false
    }

    /// Tells other nodes on this store. Nothing for a store of one node.
    fn tell_nodes(&self, _news: News) {}

    /// What another node says; never for a store of one node.
    async fn told_by_node(&self) -> News {
        std::future::pending().await
    }

    /// Whether this node does what one node does for all: deleting what has run out, delivering webhooks. Rarely, for a moment,
    /// two do.
    fn leads(&self) -> bool {
        true
    }

    /// How long a long poll waits before it looks at the store again although nothing was told.
    fn look_again(&self) -> Option<std::time::Duration> {
        None
    }

    /// Whether it stopped for good, and has to be opened anew.
    fn is_stopped(&self) -> bool;

    /// Whether reading and writing work now.
    async fn check(&self) -> StoreResult<()>;

    /// Finishes queued writes and closes.
    async fn close(&self);
}

/// What nodes tell each other. It may be lost: whoever needs to know looks at the store, sooner or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Something ended that somebody may wait for.
    Ended(Ended),
    /// Something happened that a phone is told of, where it listens.
    Phone(DeviceId, Event),
    /// The server's keys or its trust list changed.
    Keys,
}

/// What somebody may wait for on any node, and has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// A signing request: signed, refused, cancelled, run out.
    Request(RequestId),
    /// A check: answered.
    Check(CheckId),
}

/// A write on its way; dropped when it has been answered or given up.
#[derive(Debug)]
pub struct Announcement(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Announcement {
    /// Counts one announced write in `counter`.
    #[must_use]
    pub fn new(counter: &std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Self {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(std::sync::Arc::clone(counter))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}
