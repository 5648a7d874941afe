//! Builds and runs the whole application; tests and the demo start it the same way as `main`.

pub(crate) mod engine;

use std::{fs, future::Future, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use p256::ecdsa::SigningKey;
use signer_core::credential::StepRule;
use tokio::sync::watch;

use crate::{
    config::{Config, ConfigError, WebhooksConfig},
    hsm::Token,
    http,
    metrics::{HsmMetrics, HttpMetrics, Metrics},
    ports::{Clock, Random, SystemClock, SystemRandom},
    registers::{FileRegister, HttpRegister, Register, RegisterError},
    service::{self, Parts, Service, ServiceError, TrustRoot},
    store::{Inspection, Store, postgres, sqlite},
    traces::{Export, Traces},
    webhooks::{self, Sender},
    wrap::{self, KekError, Wrapping},
};

/// How often what has run out is deleted.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Time for work under way when the server is told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Most writes that wait for the store's writer.
const QUEUE_MAX: usize = 16 * 1024;
/// Most connections that read metrics.
const METRICS_CONNECTIONS: http::Most = http::Most { in_all: 16, from_one: 16 };

/// Why the server does not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Files of the data folder.
    #[error("data folder: {0}")]
    Io(#[from] io::Error),
    /// The store in a SQLite file.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The store in a PostgreSQL database.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
    /// The key-encryption key.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The register.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Authorities of webhooks.
    #[error("webhooks.ca_file: {0}")]
    Webhooks(String),
    /// Authorities of the collector of traces.
    #[error("traces.ca_file: {0}")]
    Traces(String),
    /// Certificate and key of TLS.
    #[error("tls: {0}")]
    Tls(String),
    /// The server's own keys, or its audit log.
    #[error("{0}")]
    Service(#[from] ServiceError),
    /// The address.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// A running application's parts.
#[derive(Debug)]
pub struct App {
    config: Config,
    store: Arc<dyn Store>,
    service: Arc<Service>,
    server: http::Server,
    /// The operator's own address.
    admin: Option<http::Server>,
    tls: Option<Arc<http::Tls>>,
    sender: Arc<Sender>,
    metrics: Arc<Metrics>,
    metrics_server: Option<http::Server>,
    traces: Traces,
    export: Export,
}

impl App {
    /// Opens everything with the system's clock and randomness.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await
    }

    /// Opens everything with a given clock and randomness.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_with(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StartError> {
        config.check()?;
        create_private_folder(&config.data_dir)?;
        let register = open_register(&config, &random)?;
        let WebhooksConfig { allow_private, ca_file } = &config.webhooks;
        let sender = Sender::open(*allow_private, ca_file.as_deref()).map_err(StartError::Webhooks)?;
        let existed = engine::exists(&config).await?;
        // The key first: a crash in between leaves a key without a store, which the next start takes up.
        if !existed {
            Wrapping::prepare(config.hsm.source(), &config.data_dir, &*random)?;
        }
        let store = engine::open(&config, &*random).await?;
        let now = clock.now().max(store.latest_time());
        let hsm = HsmMetrics::default();
        let token = Token::open(&config.hsm, &config.data_dir, hsm.clone())?;
        let (source, generator) = (config.hsm.source(), Arc::clone(&random));
        let wrapping = Wrapping::open(&*store, &config.data_dir, source, token, generator, now).await?;
        let admin_token = admin_token(&config.data_dir, &*random)?;
        let tls = config
            .tls
            .files()
            .map(|(certificate, key)| http::Tls::open(certificate, key, Arc::clone(&clock)));
        let tls = tls.transpose().map_err(StartError::Tls)?.map(Arc::new);
        let server = bind(&config, config.listen, tls.clone()).await?;
        let admin = match config.admin_listen() {
            Some(address) => Some(bind(&config, address, None).await?),
            None => None,
        };
        let metrics_server = match config.metrics.listen {
            Some(address) => Some(
                http::bind(address, METRICS_CONNECTIONS, None)
                    .await
                    .map_err(|error| StartError::Listen(address, error))?,
            ),
            None => None,
        };
        let ca = config.ca.settings(&config.own_url(server.address()?))?;
        let service = Service::new(Parts {
            store: Arc::clone(&store),
            wrapping,
            clock,
            trust_root: trust_root(&config, &*random)?,
            random,
            register,
            issuer: config.issuer.settings(&ca.terms.public_url)?,
            ca,
            policy: config.lock_policy.clone(),
            rule: step_rule(&config),
            admin_token,
            concurrency_max: config.concurrency_max,
            long_polls_max: config.long_polls_max,
            sandbox: config.sandbox,
            webhooks_private: config.webhooks.allow_private,
            limits: config.limits.settings()?,
        })
        .await?;
        let metrics = Metrics::new(&service, &hsm, server.address()?);
        let (traces, export) = Traces::start(&config.traces, metrics.spans()).map_err(StartError::Traces)?;
        let (service, sender, metrics) = (Arc::new(service), Arc::new(sender), Arc::new(metrics));
        Ok(Self {
            config,
            store,
            service,
            server,
            admin,
            tls,
            sender,
            metrics,
            metrics_server,
            traces,
            export,
        })
    }

    /// The address bound, with its real port.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.server.address()
    }

    /// The operator's address, with its real port, if it is not [`App::address`].
    ///
    /// # Errors
    /// As the operating system says.
    pub fn admin_address(&self) -> io::Result<Option<SocketAddr>> {
        self.admin.as_ref().map(http::Server::address).transpose()
    }

    /// The address metrics are read at, if they are, with its real port.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn metrics_address(&self) -> io::Result<Option<SocketAddr>> {
        self.metrics_server.as_ref().map(http::Server::address).transpose()
    }

    /// The service, for tests and measurements in the same process.
    #[must_use]
    pub fn service(&self) -> Arc<Service> {
        Arc::clone(&self.service)
    }

    /// The store, for tests and measurements in the same process.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Serves until `stop` is done; what was accepted is finished and durable when this returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let router = |audience| {
            let (metrics, traces) = (Arc::clone(&self.metrics), self.traces.clone());
            http::router(Arc::clone(&self.service), &self.config, metrics, traces, audience)
        };
        let public = if self.admin.is_some() { http::Audience::Public } else { http::Audience::Operator };
        let (public, operator) = (router(public), router(http::Audience::Operator));
        let sweeper = tokio::spawn(sweep(Arc::clone(&self.service)));
        let service = Arc::clone(&self.service);
        let hearing = tokio::spawn(async move { service.hear_nodes().await });
        let checkpoint_every = Duration::from_secs(self.config.audit.checkpoint_seconds);
        let checkpoints =
            tokio::spawn(service::sign_checkpoints(Arc::clone(&self.service), checkpoint_every));
        let keks = tokio::spawn(service::tend_keks(Arc::clone(&self.service)));
        let deliveries = tokio::spawn(webhooks::deliver(Arc::clone(&self.service), self.sender));
        let certificate = self.tls.map(|tls| tokio::spawn(http::keep_current(tls)));
        let service = Arc::clone(&self.service);
        let delay = Duration::from_secs(self.config.drain.delay_seconds);
        let (stopping, stopped) = watch::channel(());
        let stop = async move {
            stop.await;
            service.begin_drain();
            if !delay.is_zero() {
                tracing::info!(seconds = delay.as_secs(), "stopping: no more calls should come here");
                tokio::time::sleep(delay).await;
            }
            service.hang_up();
            drop(stopping);
        };
        // To the very end: who watches sees the work that is still under way.
        let (watched, unwatched) = watch::channel(());
        let metrics = self.metrics_server.map(|server| {
            let router = http::metrics_router(Arc::clone(&self.metrics), Arc::clone(&self.service));
            // What reads metrics is no load.
            tokio::spawn(server.run(router, HttpMetrics::default(), ended(unwatched)))
        });
        let admin = async {
            if let Some(admin) = self.admin {
                admin.run(operator, self.metrics.http().clone(), ended(stopped)).await;
            }
        };
        tokio::join!(self.server.run(public, self.metrics.http().clone(), stop), admin);
        if let Some(certificate) = certificate {
            certificate.abort();
        }
        sweeper.abort();
        hearing.abort();
        checkpoints.abort();
        keks.abort();
        deliveries.abort();
        let end = tokio::time::Instant::now() + DRAIN_TIME;
        self.service.drain(DRAIN_TIME).await;
        self.export.finish(end).await;
        drop(watched);
        if let Some(metrics) = metrics {
            let _ended = metrics.await;
        }
        self.store.close().await;
    }
}

async fn bind(
    config: &Config,
    address: SocketAddr,
    tls: Option<Arc<http::Tls>>,
) -> Result<http::Server, StartError> {
    let most = http::Most { in_all: config.connections_max, from_one: config.connections_per_address_max };
    let bound = http::bind(address, most, tls).await;
    bound.map_err(|error| StartError::Listen(address, error))
}

/// Waits until the other end of a channel is gone.
async fn ended(mut channel: watch::Receiver<()>) {
    while channel.changed().await.is_ok() {}
}

/// Waits for Ctrl-C or a polite kill.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _unavailable_means_never = tokio::signal::ctrl_c().await;
}

pub(crate) const TRUST_ROOT_FILE: &str = "trust-root";
/// File in the data folder that holds the admin token.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";

pub(crate) fn open_register(
    config: &Config,
    random: &Arc<dyn Random>,
) -> Result<Option<Arc<dyn Register>>, StartError> {
    if let Some(settings) = config.register.settings(config.insecure)? {
        return Ok(Some(Arc::new(HttpRegister::open(settings, Arc::clone(random))?)));
    }
    Ok(match &config.register_file {
        Some(file) => Some(Arc::new(FileRegister::open(file)?)),
        None => None,
    })
}

/// Brings the store's schema up to date without serving. Returns its version before and after.
///
/// # Errors
/// [`StartError`].
pub async fn migrate(config: &Config) -> Result<(u32, u32), StartError> {
    create_private_folder(&config.data_dir)?;
    engine::migrate(config).await
}

/// Looks at the store beside the server that may have it open. Nothing if there is none.
///
/// # Errors
/// [`StartError`]: the store cannot be read, or would not keep what it commits.
pub async fn inspect_store(config: &Config) -> Result<Option<Inspection>, StartError> {
    engine::inspect(config).await
}

fn trust_root(config: &Config, random: &dyn Random) -> Result<TrustRoot, StartError> {
    if let Some(root) = config.trust_root()? {
        return Ok(TrustRoot::Pinned(root));
    }
    let path = config.data_dir.join(TRUST_ROOT_FILE);
    let read = |bytes: &[u8]| SigningKey::from_slice(bytes).ok();
    if !path.exists() {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        // Out of range with probability 2^-32; draw again.
        while read(&*bytes).is_none() {
            random.rng().fill_bytes(&mut *bytes);
        }
        wrap::write_private(&path, &*bytes)?;
    }
    tracing::warn!(
        path = %path.display(),
        "THE ROOT OF TRUST IS A FILE OF THIS SERVER, which signs its own trust list: whoever takes the server decides whom \
         verifiers believe. For trying out only: keep a root offline and set trust_root."
    );
    let bytes = zeroize::Zeroizing::new(fs::read(&path)?);
    let key = read(&bytes).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: not a key", path.display()))
    })?;
    Ok(TrustRoot::Own(Box::new(key)))
}

fn admin_token(folder: &Path, random: &dyn Random) -> Result<[u8; 32], StartError> {
    let path = folder.join(ADMIN_TOKEN_FILE);
    if !path.exists() {
        let token = service::new_token(&mut *random.rng());
        wrap::write_private(&path, token.as_bytes())?;
    }
    let token = zeroize::Zeroizing::new(fs::read_to_string(&path)?);
    if token.trim().len() < 32 {
        let text = format!("{}: the admin token has at least 32 characters", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text).into());
    }
    Ok(service::token_hash(token.trim()))
}

fn step_rule(config: &Config) -> StepRule {
    if config.step_seconds == StepRule::STANDARD.seconds() {
        return StepRule::STANDARD;
    }
    tracing::warn!(
        step_seconds = config.step_seconds,
        "codes live for an unusual time: for demonstrations only"
    );
    StepRule::for_demo(config.step_seconds).unwrap_or(StepRule::STANDARD)
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

async fn sweep(service: Arc<Service>) {
    let mut every = tokio::time::interval(EXPIRE_EVERY);
    loop {
        every.tick().await;
        if let Err(error) = service.expire().await {
            tracing::error!(%error, "deleting what has run out failed");
        }
    }
}
