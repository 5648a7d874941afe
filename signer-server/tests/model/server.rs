//! The server of a run: the service over a real store, without HTTP. It crashes where it is told to.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{CryptoRng, SeedableRng, rngs::StdRng};
use signer_client::ports::HttpResponse;
use signer_core::{
    codec,
    credential::StepRule,
    time::UnixSeconds,
    wire::{Operation, Problem, ProblemCode},
};
use signer_server::{
    config::{Config, LimitsConfig},
    ports::{Clock, Random},
    service::{Parts, Service, ServiceError, ServiceResult, TrustRoot},
    store::{
        KekSource, LockPolicy, RelyingPartyRow, Store, StoreError,
        sqlite::{Mark, OpenError, SqliteOptions, SqliteStore, Witness},
    },
    wrap::Wrapping,
};
use tokio::runtime::Runtime;

/// When every run begins.
pub(crate) const START: u64 = 1_800_000_000;

/// Three wrong PINs a level, as they are counted for use; a success forgets once in a run, so that counts can be added up.
pub(crate) fn policy() -> LockPolicy {
    LockPolicy { tries: 3, lock_seconds: vec![3 * 3600, 24 * 3600], step_down_seconds: 1 << 40 }
}

/// True time, and how far the server's clock is off.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    pub(crate) truth: AtomicU64,
    pub(crate) server_off: AtomicI64,
}

impl Clock for Clocks {
    fn now(&self) -> UnixSeconds {
        let truth = self.truth.load(Ordering::Relaxed);
        UnixSeconds(truth.saturating_add_signed(self.server_off.load(Ordering::Relaxed)))
    }
}

/// Generators that follow from a seed, each another one.
#[derive(Debug)]
pub(crate) struct Draws(pub(crate) AtomicU64);

impl Random for Draws {
    fn rng(&self) -> Box<dyn CryptoRng + Send> {
        let seed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        Box::new(StdRng::seed_from_u64(seed))
    }
}

/// A crash to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crash {
    /// Commits that are answered before.
    pub(crate) after: u8,
    /// Whether the one that is not answered is witnessed.
    pub(crate) witnessed: bool,
}

/// The witness: in memory, outside what crashes. Every commit passes it before it is answered, so here the server dies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    mark: Option<Mark>,
    crash: Option<Crash>,
    crashed: bool,
}

impl Memory {
    pub(crate) fn of(mark: Mark) -> Self {
        Self(Arc::new(Mutex::new(Remembered { mark: Some(mark), ..Remembered::default() })))
    }

    pub(crate) fn mark(&self) -> Option<Mark> {
        self.0.lock().unwrap().mark
    }

    /// Plans a crash or calls it off.
    pub(crate) fn plan(&self, crash: Option<Crash>) {
        self.0.lock().unwrap().crash = crash;
    }

    /// Whether the server has crashed; asked once.
    fn take_crashed(&self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap().crashed)
    }
}

impl Witness for Memory {
    fn read(&self) -> io::Result<Option<Mark>> {
        Ok(self.mark())
    }

    fn advance(&mut self, mark: Mark) -> io::Result<()> {
        let mut memory = self.0.lock().unwrap();
        match &mut memory.crash {
            Some(Crash { after: 0, witnessed }) => {
                if *witnessed {
                    memory.mark = Some(mark);
                }
                (memory.crash, memory.crashed) = (None, true);
                return Err(io::Error::other("the server crashes here"));
            }
            Some(crash) => crash.after -= 1,
            None => {}
        }
        memory.mark = Some(mark);
        Ok(())
    }
}

pub(crate) struct Running {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) service: Arc<Service>,
    pub(crate) bank: Option<RelyingPartyRow>,
}

pub(crate) struct Server {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) path: PathBuf,
    pub(crate) witness: Memory,
    pub(crate) clocks: Arc<Clocks>,
    pub(crate) draws: Arc<Draws>,
    /// Token of the relying party that asks, once there is one.
    pub(crate) bank: String,
    pub(crate) running: Option<Running>,
}

impl Server {
    /// Starts it on its file.
    pub(crate) fn start(&mut self) -> Result<(), OpenError> {
        assert!(self.running.is_none());
        let options = SqliteOptions {
            group_window: Duration::ZERO,
            ..SqliteOptions::new(&self.path, self.path.with_extension("witness"))
        };
        let store = SqliteStore::open_with(&options, Box::new(self.witness.clone()), &mut self.draws.rng())?;
        let running = self.runtime.block_on(async {
            let service = Service::new(self.parts(&store).await).await.unwrap();
            let bank = service.relying_party(&self.bank).await.ok();
            Running { store, service: Arc::new(service), bank }
        });
        self.running = Some(running);
        Ok(())
    }

    async fn parts(&self, store: &Arc<SqliteStore>) -> Parts {
        let config = Config::default();
        let folder = self.path.parent().unwrap();
        std::fs::write(folder.join("kek"), [9; 32]).unwrap();
        let random = Arc::clone(&self.draws) as Arc<dyn Random>;
        let wrapping =
            Wrapping::open(&**store, folder, KekSource::File, None, random, self.clocks.now()).await.unwrap();
        Parts {
            store: Arc::clone(store) as Arc<dyn Store>,
            wrapping,
            clock: Arc::clone(&self.clocks) as Arc<dyn Clock>,
            random: Arc::clone(&self.draws) as Arc<dyn Random>,
            register: None,
            ca: config.ca.settings("http://127.0.0.1").unwrap(),
            issuer: config.issuer.settings("http://127.0.0.1").unwrap(),
            trust_root: TrustRoot::Own(Box::new(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap())),
            policy: policy(),
            rule: StepRule::STANDARD,
            admin_token: [0; 32],
            concurrency_max: 8,
            long_polls_max: 8,
            sandbox: false,
            webhooks_private: false,
            limits: LimitsConfig::wide().settings().unwrap(),
        }
    }

    /// Stops it, crashed or not; its file is closed then.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Stops it and reads its file, to which the log is written back, whoever may still have it open for reading.
    pub(crate) fn copy(&mut self) -> Vec<u8> {
        self.stop();
        let db = rusqlite::Connection::open(&self.path).unwrap();
        db.busy_timeout(Duration::from_secs(5)).unwrap();
        let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert_eq!(busy, 0);
        drop(db);
        std::fs::read(&self.path).unwrap()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Calls the service. `None` if the server is down, or crashes meanwhile: nothing it says then is heard.
    pub(crate) fn call<T>(
        &mut self,
        ask: impl AsyncFnOnce(&Running) -> ServiceResult<T>,
    ) -> Option<ServiceResult<T>> {
        let running = self.running.as_ref()?;
        let answer = self.runtime.block_on(ask(running));
        if self.witness.take_crashed() {
            self.stop();
            return None;
        }
        if let Err(ServiceError::Store(StoreError::Stopped(why))) = &answer {
            panic!("the store stopped by itself: {why}");
        }
        Some(answer)
    }

    /// Answers a request as its HTTP layer would.
    pub(crate) fn answer(&mut self, path: &str, body: &[u8]) -> Option<HttpResponse> {
        let answer = if let Some(name) = path.strip_prefix("/device/v1/") {
            let operation = *Operation::ALL.iter().find(|operation| operation.path() == name).unwrap();
            let reply = self.call(async |running| device(&running.service, operation, body).await)?;
            reply.map(|bytes| ("application/cbor", bytes))
        } else if let Some(nonce) = path.strip_prefix("/v1/time?nonce=") {
            let time = self.call(async |running| running.service.signed_time(nonce))?;
            time.map(|time| ("application/json", serde_json::to_vec(&time).unwrap()))
        } else {
            assert_eq!(path, "/v1/answer-key");
            let key = self.call(async |running| Ok(running.service.answer_key()))?;
            key.map(|key| ("application/json", serde_json::to_vec(&key).unwrap()))
        };
        let (status, content_type, body) = match answer {
            Ok((content_type, body)) => (200, content_type, body),
            Err(error) => {
                let problem = problem(&error);
                (problem.status, "application/problem+json", serde_json::to_vec(&problem).unwrap())
            }
        };
        Some(HttpResponse { status, content_type: content_type.into(), body: body.into() })
    }
}

fn problem(error: &ServiceError) -> Problem {
    match error {
        ServiceError::Refused(refusal) => {
            Problem::new(refusal.code, refusal.detail.clone(), refusal.time.map(|time| time.0))
        }
        ServiceError::Store(StoreError::Overloaded) => Problem::new(ProblemCode::Overloaded, None, None),
        other => panic!("the server is at fault: {other}"),
    }
}

async fn device(service: &Service, operation: Operation, body: &[u8]) -> ServiceResult<Vec<u8>> {
    use codec::encode;
    Ok(match operation {
        Operation::EnrolStart => encode(&service.enrol_start(body).await?),
        Operation::EnrolKeys => encode(&service.enrol_keys(body).await?),
        Operation::EnrolConfirm => encode(&service.enrol_confirm(body).await?),
        Operation::Status => encode(&service.status(body).await?),
        Operation::Requests => encode(&service.pending(body).await?),
        Operation::Fetch => encode(&service.fetch(body).await?),
        Operation::Approve => encode(&service.approve(body).await?),
        Operation::Outcome => encode(&service.outcome(body).await?),
        Operation::Decline => encode(&service.decline(body).await?),
        Operation::RefreshChallenge => encode(&service.refresh_challenge(body).await?),
        Operation::RefreshStart => encode(&service.refresh_start(body).await?),
        Operation::RefreshKeys => encode(&service.refresh_keys(body).await?),
        Operation::RefreshConfirm => encode(&service.refresh_confirm(body).await?),
        other => panic!("no phone of a run sends {other:?}"),
    })
}

impl Server {
    /// Answers two device messages at the same moment. What it says is not heard.
    pub(crate) fn race(&self, path: &str, body: &[u8], other_path: &str, other_body: &[u8]) {
        let operation = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            *Operation::ALL.iter().find(|operation| operation.path() == name).unwrap()
        };
        let service = &self.running().service;
        let (one, other) = self.runtime.block_on(async {
            tokio::join!(
                device(service, operation(path), body),
                device(service, operation(other_path), other_body)
            )
        });
        for answer in [one, other] {
            if let Err(error) = answer {
                problem(&error);
            }
        }
    }
}
