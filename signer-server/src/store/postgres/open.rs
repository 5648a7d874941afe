//! Opening: which server, does it keep what it commits, is it the newest, is the schema ours.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Duration,
};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rand::CryptoRng;
use signer_core::time::UnixSeconds;
use tokio::{runtime::Handle, sync::Mutex};
use tokio_postgres::{
    Client, Config,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Clock, PostgresStore,
    group::Groups,
    migrate,
    node::{Node, keep_restores_out},
    server::{Place, Watched, kept, promises, write_down},
    witness::{NodeWitness, look},
};
use crate::{outbound, store::StoreMetrics};

/// Which database the store is in, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// `postgres://user@host[:port][,host…]/database[?sslmode=…]`, without a password. Of several hosts the one that can be
    /// written to is taken.
    pub url: String,
    /// File with the password, on its first line.
    pub password_file: Option<PathBuf>,
    /// PEM file with the authorities the server's certificate is trusted under. Default: those of the web.
    pub ca_file: Option<PathBuf>,
    /// Most connections of this node, beside the one it listens on.
    pub connections: usize,
    /// How long a group of writes waits at most for announced ones to share its commit.
    pub group_window: Duration,
    /// Allows a connection without TLS to another machine.
    pub insecure: bool,
    /// This node's witness, outside the database; none: it remembers only while it runs.
    pub witness_path: Option<PathBuf>,
}

impl PostgresOptions {
    /// Without a password, 16 connections, a window of a millisecond.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password_file: None,
            ca_file: None,
            connections: 16,
            group_window: Duration::from_millis(1),
            insecure: false,
            witness_path: None,
        }
    }

    /// The settings of a connection.
    ///
    /// # Errors
    /// [`OpenError::Address`], [`OpenError::Plain`], [`OpenError::Password`].
    pub(super) fn config(&self) -> Result<Config, OpenError> {
        // The text of its error may hold what was meant to be secret.
        let mut config: Config =
            self.url.parse().map_err(|_| OpenError::Address("it is not a postgres:// URL"))?;
        if config.get_password().is_some() {
            return Err(OpenError::Address(
                "a password does not belong into it, but into store.password_file",
            ));
        }
        if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().is_empty() {
            return Err(OpenError::Address("it names user, host and database"));
        }
        let local = config.get_hosts().iter().all(is_local) && config.get_hostaddrs().is_empty();
        match config.get_ssl_mode() {
            SslMode::Disable if !local && !self.insecure => return Err(OpenError::Plain),
            // "Prefer" would give way to whoever sits in between.
            SslMode::Prefer => {
                config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
            }
            _ => {}
        }
        if let Some(file) = &self.password_file {
            let text = zeroize::Zeroizing::new(
                fs::read_to_string(file).map_err(|error| OpenError::Password(file.clone(), error))?,
            );
            config.password(text.lines().next().unwrap_or_default());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        config
            .application_name("signer-server")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(config)
    }

    pub(super) fn tls(&self) -> Result<MakeRustlsConnect, OpenError> {
        Ok(MakeRustlsConnect::new(outbound::tls(self.ca_file.as_deref()).map_err(OpenError::Tls)?))
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Why the store does not open, and what the operator must do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none.
    #[error("store.url: {0}; it looks like postgres://signer@db.example/signer")]
    Address(&'static str),
    /// A connection to another machine without TLS.
    #[error("store.url has sslmode=disable to another machine: everything would be open on the way")]
    Plain,
    /// The password cannot be read.
    #[error("the password file {0}: {1}")]
    Password(PathBuf, io::Error),
    /// The authorities cannot be read.
    #[error("the store's TLS: {0}")]
    Tls(String),
    /// Too old a server.
    #[error("the server is PostgreSQL {0} by its version number; 15 and newer are supported")]
    TooOld(i32),
    /// A setting would lose commits.
    #[error(
        "the store would not be durable here: {setting} is {found:?}, must be {wanted:?}; change it in postgresql.conf, for \
             the database and for the user"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The server cannot be written to.
    #[error("the server is a standby: name the primary in store.url, or all of them")]
    Standby,
    /// The store was moved by a dump.
    #[error(
        "the store was written in another database cluster: it was restored from a dump, or moved. It may have forgotten \
         counted attempts, used codes or revocations. Go back to the cluster it was in; if that is lost, \
         `signer-server restore`"
    )]
    OtherCluster,
    /// A standby that may lack commits became the primary.
    #[error(
        "the database was promoted or restored (timeline {before}, now {found}) while no standby was synchronous: it may have \
         forgotten counted attempts, used codes or revocations. Go back to the old primary and set \
         synchronous_standby_names; if it is lost, `signer-server restore`"
    )]
    Promoted {
        /// Timeline the store was last seen on.
        before: i64,
        /// Timeline of this server.
        found: i64,
    },
    /// The database lacks what this node has seen.
    #[error(
        "the database is behind this node's witness: it was put back to an earlier state, and has forgotten counted attempts, used \
         codes or revocations. Bring back the newest one; if it is lost, `signer-server restore`"
    )]
    Behind,
    /// The audit log is not the one that this node has seen.
    #[error(
        "the audit log is not the one that this node's witness has seen: the database was changed, or put back and continued \
         otherwise. Find out who had access, then bring back the newest true one, or `signer-server restore`"
    )]
    AuditChanged,
    /// Another node restored the database without what this one has seen.
    #[error(
        "the database was restored by another node, without what this node's witness has seen: stop all nodes, and run \
         `signer-server restore` on this one"
    )]
    RestoredWithout,
    /// A restore is at work.
    #[error("`signer-server restore` is at work on this database: start the node when it is done")]
    Restoring,
    /// Witness and store do not belong together.
    #[error("this node's witness belongs to another store; set the witness_dir that belongs to this one")]
    WitnessOfAnother,
    /// The witness cannot be read or written.
    #[error("the witness: {0}; repair its disk or its permissions")]
    Witness(io::Error),
    /// Written by a newer binary.
    #[error("the store has schema {found}, this binary knows up to {supported}: start the newer binary")]
    SchemaNewer {
        /// Version of the store.
        found: u32,
        /// Newest version this binary knows.
        supported: u32,
    },
    /// The server is not reached, or refuses.
    #[error("the store does not open: {0}")]
    Engine(String),
}

impl OpenError {
    /// Whether something is lost for good, not only out of reach.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Behind | Self::AuditChanged | Self::RestoredWithout | Self::WitnessOfAnother)
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Engine(outbound::causes(&error))
    }
}

impl PostgresStore {
    /// Opens the store, or makes a new one in an empty database. `rng` draws a new store's id.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub async fn open(options: &PostgresOptions, rng: &mut impl CryptoRng) -> Result<Arc<Self>, OpenError> {
        let (config, tls) = (options.config()?, options.tls()?);
        let mut client = connect(&config, &tls).await?;
        let place = promises(&client).await?;
        migrate::apply(&mut client).await?;
        // Until the node's own connection holds it.
        keep_restores_out(&client).await?;
        let witness = NodeWitness::open(options.witness_path.as_deref())?;
        witness.held_by(&client).await?;
        if witness.seen().is_none() && options.witness_path.is_some() {
            tracing::warn!("this node has no witness yet: it takes the database for the newest");
        }
        let mut store_id = [0; 16];
        rng.fill_bytes(&mut store_id);
        let begun = begin_run(&client, place, store_id).await?;
        let found = look(&client).await?.ok_or_else(|| OpenError::Engine("no row in meta".to_owned()))?;
        witness.write(found).await.map_err(OpenError::Witness)?;
        let watched = Arc::new(Watched::new(place, witness));
        let node = Node::join(config.clone(), tls.clone(), begun.run, Arc::clone(&watched)).await?;
        drop(client);
        let metrics = StoreMetrics::default();
        let (groups, queue) = Groups::new(metrics.refused.clone());
        let store = Arc::new(Self {
            groups,
            pool: pool(config, tls, options.connections.max(1), &watched)?,
            handle: Handle::current(),
            node,
            watched,
            waiting: AtomicUsize::new(0),
            turn: Arc::default(),
            clock: Clock { latest: AtomicU64::new(begun.latest.0), moving: Mutex::new(()) },
            commits: Arc::default(),
            metrics,
            announced: Arc::default(),
            restored: begun.restored,
            epoch: begun.epoch,
        });
        Groups::work(&store, queue, options.group_window);
        Ok(store)
    }

    /// Brings a store to the newest schema and returns the versions before and after.
    ///
    /// # Errors
    /// [`OpenError`], as for opening.
    pub async fn migrate(options: &PostgresOptions) -> Result<(u32, u32), OpenError> {
        let mut client = connect(&options.config()?, &options.tls()?).await?;
        promises(&client).await?;
        Ok((migrate::apply(&mut client).await?, migrate::newest()))
    }

    /// Whether the store has keys: it needs the key-encryption key they are wrapped under.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn has_keys(options: &PostgresOptions) -> Result<bool, OpenError> {
        let client = connect(&options.config()?, &options.tls()?).await?;
        let there: bool =
            client.query_one("SELECT to_regclass('server_key') IS NOT NULL", &[]).await?.try_get(0)?;
        let any = "SELECT EXISTS (SELECT 1 FROM server_key)";
        Ok(there && client.query_one(any, &[]).await?.try_get(0)?)
    }
}

pub(super) async fn connect(config: &Config, tls: &MakeRustlsConnect) -> Result<Client, OpenError> {
    let (client, connection) = config.connect(tls.clone()).await?;
    // It ends with its client.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "connection to the store");
        }
    });
    Ok(client)
}

/// Where the store was last seen.
pub(super) async fn place_before(client: &Client) -> Result<Place, OpenError> {
    let row = client.query_one("SELECT cluster, timeline, synchronous FROM meta", &[]).await?;
    Ok(Place {
        cluster: row.try_get(0)?,
        timeline: row.try_get(1)?,
        synchronous: row.try_get::<_, i16>(2)? == 1,
    })
}

/// What a new run finds.
struct Begun {
    run: i64,
    latest: UnixSeconds,
    restored: UnixSeconds,
    epoch: u32,
}

async fn begin_run(client: &Client, place: Place, store_id: [u8; 16]) -> Result<Begun, OpenError> {
    let sql = "INSERT INTO meta (only_row, store_id, latest_time, run, cluster, timeline, synchronous)
        VALUES (1, $1, 0, 0, $2, $3, $4) ON CONFLICT DO NOTHING";
    let synchronous = i16::from(place.synchronous);
    client.execute(sql, &[&store_id.as_slice(), &place.cluster, &place.timeline, &synchronous]).await?;
    kept(place_before(client).await?, place)?;
    write_down(client, place).await?;
    let sql = "UPDATE meta SET run = run + 1 RETURNING run, latest_time, restored";
    let row = client.query_one(sql, &[]).await?;
    let time = |place| -> Result<UnixSeconds, OpenError> {
        let seconds: i64 = row.try_get(place)?;
        Ok(UnixSeconds(u64::try_from(seconds).unwrap_or_default()))
    };
    let epoch = client.query_one("SELECT coalesce(max(epoch), 0) FROM restored", &[]).await?;
    let epoch = u32::try_from(epoch.try_get::<_, i32>(0)?).unwrap_or_default();
    Ok(Begun { run: i64::from(row.try_get::<_, i32>(0)?), latest: time(1)?, restored: time(2)?, epoch })
}

pub(super) fn pool(
    config: Config,
    tls: MakeRustlsConnect,
    size: usize,
    watched: &Arc<Watched>,
) -> Result<Pool, OpenError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let watched = Arc::clone(watched);
    let look = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let watched = Arc::clone(&watched);
        Box::pin(
            async move { watched.look(client).await.map_err(|error| HookError::message(error.to_string())) },
        )
    });
    Pool::builder(Manager::from_config(config, tls, recycling))
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(Duration::from_secs(10)))
        .create_timeout(Some(Duration::from_secs(10)))
        .post_create(look)
        .build()
        .map_err(|error| OpenError::Engine(error.to_string()))
}
