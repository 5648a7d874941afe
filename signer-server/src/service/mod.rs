//! The decisions, one file per use case: no HTTP, no SQL.

mod admin;
mod answer;
mod ask;
mod audit;
mod businesses;
mod ceremonies;
mod certificate;
mod check;
mod choice;
mod credentials;
mod csc;
mod display;
mod enrol;
mod error;
mod events;
mod fleets;
mod flights;
mod health;
mod history;
mod keks;
mod keys;
mod limits;
mod link;
mod listen;
mod lost;
mod measure;
mod oauth;
mod own_key;
mod pairwise;
mod quota;
mod refresh;
mod releases;
mod requests;
mod sign;
mod status;
mod status_lists;
mod summary;
mod token;
mod trust;
mod verify;
mod watch;
mod web;
mod webhooks;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::CryptoRng;
use signer_core::{
    ceremony::ServerKey,
    credential::StepRule,
    device_key::{DevicePublicKey, DevicePublicKeyBytes},
    ids::{KeyId, RelyingPartyId, RequestId},
    suite::KeyContext,
    time::UnixSeconds,
    wire::{Envelope, EnvelopeError, Exchange, ProblemCode, Standing},
    wrap::Location,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch as watch_channel};
use zeroize::Zeroizing;

use self::quota::Quota;
pub(crate) use self::{
    admin::{new_token, token_hash},
    audit::sign_checkpoints,
    keks::tend_keks,
    webhooks::SignedDelivery,
};
pub use self::{
    csc::{
        Authorised, Authorising, Bearer, CredentialCertificate, CredentialState, CscCredential,
        DESCRIPTION_CHARACTERS_MAX, MULTISIGN_MAX, SHA256, Signing, digest,
    },
    error::*,
    events::{CloudEvent, EventData},
    health::Unready,
    keys::{KeyPurpose, ServerKeys},
    limits::{Allowance, CALLS_PER_SECOND_MAX, KEPT_BYTES_MAX, KEPT_BYTES_MIN, LimitSettings, Rate},
    listen::Listening,
    oauth::{
        AccessToken, Begun, ClientClaim, CodeClaim, CodeToken, DETAIL_TYPES, Fields, NoVisit, OauthError,
        OauthRefusal, Pushed, VisitState, VisitView,
    },
    quota::Place,
    requests::WaitMs,
    trust::{IssuerSettings, TrustRoot},
    verify::Verifying,
};
use crate::{
    ca::{Authority, Settings},
    metrics::ServiceMetrics,
    ports::{Clock, Random},
    registers::Register,
    store::{Installation, LockPolicy, RelyingPartyRow, Store, StoreResult},
    traces::{self, Part},
    wrap::{SecretError, Wrapping},
};

/// How long a reservation holds against other payloads, seconds: far longer than an evaluation takes.
const LEASE_SECONDS: u64 = 30;
/// Most fetches of one request. A holder needs one or two; more would only be searching for something.
const FETCHES_MAX: u32 = 50;

/// Most questions to the register that one verifier may have under way: half of the register's turns, so that no verifier
/// keeps the others, and the phones that want credentials, from asking.
const REGISTER_CALLS_MAX: u32 = 32;

/// The server's use cases over a store.
pub struct Service {
    store: Arc<dyn Store>,
    wrapping: Wrapping,
    keys: ServerKeys,
    issuer: IssuerSettings,
    trust: trust::Trust,
    status_lists: status_lists::StatusLists,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    register: Option<Arc<dyn Register>>,
    ca: Settings,
    authority: Arc<Authority>,
    crl: tokio::sync::Mutex<Option<certificate::Crl>>,
    policy: LockPolicy,
    rule: StepRule,
    newest: AtomicU64,
    fleets: fleets::Fleets,
    flights: flights::Flights,
    link_misses: Mutex<link::LinkMisses>,
    watch: watch::Watch,
    listeners: Arc<listen::Listeners>,
    fetches: Mutex<HashMap<RequestId, (u32, UnixSeconds)>>,
    refusals: Mutex<history::Refusals>,
    ceremony_turns: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    turns_max: u32,
    sandbox: bool,
    webhooks_private: bool,
    streams: Arc<Semaphore>,
    check_polls: Arc<Quota<RelyingPartyId>>,
    request_polls: Arc<Quota<RelyingPartyId>>,
    visit_polls: Arc<Quota<RelyingPartyId>>,
    register_calls: Arc<Quota<RelyingPartyId>>,
    limits: limits::Limits,
    releases: releases::Releases,
    checked: tokio::sync::Mutex<Option<(Instant, StoreResult<()>)>>,
    checkpoint_turn: tokio::sync::Mutex<()>,
    covered: Mutex<Instant>,
    checkpoint_failed: AtomicBool,
    draining: watch_channel::Sender<health::Drain>,
    metrics: ServiceMetrics,
    admin_token: [u8; 32],
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service(..)")
    }
}

/// What a [`Service`] is made of.
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Wraps every secret in it.
    pub wrapping: Wrapping,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives out random generators.
    pub random: Arc<dyn Random>,
    /// Where claims come from.
    pub register: Option<Arc<dyn Register>>,
    /// The built-in certification authority.
    pub ca: Settings,
    /// This server as an issuer of credentials.
    pub issuer: IssuerSettings,
    /// Whose signature makes the trust list.
    pub trust_root: TrustRoot,
    /// Locks after wrong PINs.
    pub policy: LockPolicy,
    /// Length of a code's step.
    pub rule: StepRule,
    /// Hash of the admin token.
    pub admin_token: [u8; 32],
    /// Most requests worked on at once.
    pub concurrency_max: u32,
    /// Most that wait at once, of each kind: phones' streams, polls of checks, of requests, of the authorisation page.
    pub long_polls_max: u32,
    /// Whether OAuth clients may have a secret instead of a key.
    pub sandbox: bool,
    /// Whether webhooks may have private addresses.
    pub webhooks_private: bool,
    /// How often relying parties may call, and persons be asked.
    pub limits: LimitSettings,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(..)")
    }
}

/// A device whose message was opened: signed by its key, in time.
#[derive(Debug)]
pub struct Caller {
    /// The installation, as stored.
    pub installation: Installation,
    /// Its device key.
    pub device_key: DevicePublicKey,
    /// Server time of this message.
    pub now: UnixSeconds,
}

impl Service {
    /// Loads or makes the server's own keys.
    ///
    /// # Errors
    /// [`ServiceError`] if the store or the wrapping fails.
    pub async fn new(parts: Parts) -> ServiceResult<Self> {
        let now = parts.clock.now().max(parts.store.latest_time());
        let (store, wrapping, random) = (&*parts.store, &parts.wrapping, &*parts.random);
        let keys = ServerKeys::load_or_make(store, wrapping, random, parts.issuer.id, now).await?;
        let trust = trust::Trust::load(parts.trust_root, store).await?;
        let authority = open_authority(&*parts.store, &parts.ca, &keys, &*parts.random, now).await?;
        // A quarter of the polls of a kind.
        let poll_quota = (parts.long_polls_max / 4).max(1);
        let service = Self {
            newest: AtomicU64::new(now.0),
            store: parts.store,
            wrapping: parts.wrapping,
            keys,
            issuer: parts.issuer,
            trust,
            status_lists: status_lists::StatusLists::default(),
            clock: parts.clock,
            random: parts.random,
            register: parts.register,
            ca: parts.ca,
            authority: Arc::new(authority),
            crl: tokio::sync::Mutex::default(),
            policy: parts.policy,
            rule: parts.rule,
            fleets: fleets::Fleets::default(),
            flights: flights::Flights::default(),
            link_misses: Mutex::default(),
            watch: watch::Watch::default(),
            listeners: Arc::default(),
            fetches: Mutex::default(),
            refusals: Mutex::default(),
            ceremony_turns: Arc::new(Semaphore::new(half_of_the_cores())),
            turns: Arc::new(Semaphore::new(to_usize(parts.concurrency_max))),
            turns_max: parts.concurrency_max,
            sandbox: parts.sandbox,
            webhooks_private: parts.webhooks_private,
            streams: Arc::new(Semaphore::new(to_usize(parts.long_polls_max))),
            check_polls: Quota::new(parts.long_polls_max, poll_quota),
            request_polls: Quota::new(parts.long_polls_max, poll_quota),
            visit_polls: Quota::new(parts.long_polls_max, poll_quota),
            register_calls: Quota::new(u32::MAX, REGISTER_CALLS_MAX),
            limits: limits::Limits::new(parts.limits),
            releases: releases::Releases::default(),
            checked: tokio::sync::Mutex::default(),
            checkpoint_turn: tokio::sync::Mutex::default(),
            covered: Mutex::new(Instant::now()),
            checkpoint_failed: AtomicBool::new(false),
            draining: watch_channel::Sender::default(),
            metrics: ServiceMetrics::default(),
            admin_token: parts.admin_token,
        };
        service.check_audit().await?;
        service.renew_trust_list().await?;
        Ok(service)
    }

    /// The server's own keys.
    #[must_use]
    pub const fn keys(&self) -> &ServerKeys {
        &self.keys
    }

    /// Server time. It never goes back, also not across a restart: the store remembers the latest.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        let now = self.clock.now().max(self.store.latest_time());
        UnixSeconds(self.newest.fetch_max(now.0, Ordering::Relaxed).max(now.0))
    }

    /// Opens a message of an installed device.
    ///
    /// # Errors
    /// A refusal that looks alike for an unknown device and a wrong signature; nothing is counted.
    pub async fn open<E: Exchange>(&self, bytes: &[u8]) -> ServiceResult<(E, Caller)> {
        let now = self.now();
        let envelope = Envelope::decode(bytes)?;
        let Some(installation) = self.store.installation(envelope.device).await? else {
            return Err(Refusal::new(ProblemCode::NotTheDevice).into());
        };
        let device_key = DevicePublicKeyBytes(installation.device_key)
            .parse()
            .ok_or(ServiceError::Bug("stored device key"))?;
        let body = envelope.open::<E>(&device_key, now).map_err(|error| clock_refusal(error, now))?;
        Ok((body, Caller { installation, device_key, now }))
    }

    /// Deletes what has run out, if this node leads, and renews a trust list of this server's own.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn expire(&self) -> ServiceResult<u64> {
        let now = self.now();
        if self.store.has_nodes() {
            // What another node said of them may have been lost.
            self.take_up_keys().await?;
        }
        self.renew_trust_list().await?;
        self.fleets.expire(now);
        self.forget_refusals(now);
        self.forget_link_misses(now);
        self.releases.expire(now);
        self.limits.expire(now);
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (_, expires)| *expires > now);
        if !self.store.leads() {
            return Ok(0);
        }
        Ok(self.store.expire(now, self.credential_life()).await?)
    }

    /// Whether short codes are guessed so often that every verifier is slowed.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn miss_alarm(&self) -> ServiceResult<bool> {
        Ok(self.store.miss_alarm(self.now()).await?)
    }

    /// A turn to be worked on; held until the work is done, also when its caller hangs up.
    ///
    /// # Errors
    /// `overloaded`, at once: waiting would only make a queue.
    pub fn admit(&self) -> ServiceResult<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).try_acquire_owned().map_err(|_| self.shed("turns").into())
    }

    /// A place for a verifier to wait for a holder's answer.
    ///
    /// # Errors
    /// `overloaded`, or `too_many` if the verifier has its quota.
    pub fn admit_check_poll(&self, verifier: &RelyingPartyRow) -> ServiceResult<Place> {
        self.counting("check_polls", self.check_polls.take(verifier.id))
    }

    /// A place for a relying party to wait for a holder's signature.
    ///
    /// # Errors
    /// `overloaded`, or `too_many` if the relying party has its quota.
    pub fn admit_request_poll(&self, asker: &RelyingPartyRow) -> ServiceResult<Place> {
        self.counting("request_polls", self.request_polls.take(asker.id))
    }

    /// Waits until everything admitted is done, so that the store can be closed; no longer than `limit`.
    pub async fn drain(&self, limit: Duration) {
        if tokio::time::timeout(limit, self.turns.acquire_many(self.turns_max)).await.is_err() {
            tracing::warn!("work under way was cut off");
        }
    }

    fn rng(&self) -> Box<dyn CryptoRng + Send> {
        self.random.rng()
    }

    /// Runs a step of a ceremony off the async threads, when there is a core for it: signing has the other half.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ServiceResult<T> {
        let name = traces::name_of(&work);
        let turn = Arc::clone(&self.ceremony_turns).acquire_owned().await;
        let turn = turn.map_err(|_| ServiceError::Bug("the turns of ceremonies are closed"))?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        sign::blocking_as(name, work).await
    }

    async fn wrap_secret(&self, location: &Location<'_>, secret: &[u8]) -> Result<Vec<u8>, SecretError> {
        traces::span(Part::Keys, "wrap", self.wrapping.wrap_secret(location, secret)).await
    }

    async fn unwrap_secret(
        &self,
        location: &Location<'_>,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        traces::span(Part::Keys, "unwrap", self.wrapping.unwrap_secret(location, wrapped)).await
    }

    async fn unwrap_key(&self, installation: &Installation) -> ServiceResult<ServerKey> {
        let key = &installation.key;
        let location = share_location(&key.id, key.epoch.0);
        let bytes = self.unwrap_secret(&location, &key.wrapped).await?;
        ServerKey::decode(&bytes).map_err(|_| ServiceError::Bug("stored key share does not decode"))
    }

    async fn wrap_key(&self, context: &KeyContext, key: &ServerKey) -> ServiceResult<Vec<u8>> {
        let location = share_location(&context.key, context.epoch.0);
        Ok(self.wrap_secret(&location, &key.encode()).await?)
    }
}

/// The authority, with the certificate it had before, or a new one.
async fn open_authority(
    store: &dyn Store,
    settings: &Settings,
    keys: &ServerKeys,
    random: &dyn Random,
    now: UnixSeconds,
) -> ServiceResult<Authority> {
    let key = keys.authority.verifying_key();
    let offer = {
        let mut rng = random.rng();
        Authority::self_signed(key, &settings.name, now, &mut *rng)?
    };
    let signature = keys.authority.sign(offer.bytes()).await?;
    let certificate = store.authority(offer.complete(&signature)?, now).await?;
    Ok(Authority::new(*key, certificate, settings.terms.clone())?)
}

const fn share_location(key: &KeyId, epoch: u32) -> Location<'_> {
    Location { table: "key_share", row: key.as_bytes(), column: "wrapped", epoch }
}

fn half_of_the_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).max(1)
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// Refuses an installation that is not in good standing.
fn good_standing(installation: &Installation) -> ServiceResult<()> {
    match installation.standing {
        Standing::Good => Ok(()),
        Standing::Frozen => Err(Refusal::new(ProblemCode::Frozen).into()),
        Standing::Revoked => Err(Refusal::new(ProblemCode::Revoked).into()),
        Standing::Suspended => Err(Refusal::new(ProblemCode::Suspended).into()),
    }
}

const fn key_context(installation: &Installation) -> KeyContext {
    KeyContext {
        suite: installation.key.suite,
        key: installation.key.id,
        epoch: installation.key.epoch,
        device: installation.device,
    }
}

/// An envelope's refusal; the one about the clock names the server's time.
fn clock_refusal(error: EnvelopeError, now: UnixSeconds) -> ServiceError {
    let mut refusal = Refusal::from(error);
    if refusal.code == ProblemCode::Clock {
        refusal.time = Some(now);
    }
    refusal.into()
}
