//! Configuration: built-in defaults, then a TOML file, then environment variables `SIGNER_SERVER__*`. Unknown keys are refused.
//! Runs with none. `spec/config.toml` shows every key; a test parses it.

mod drain;
mod hsm;
mod metrics;
mod tls;
mod traces;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::VerifyingKey;
use serde::Deserialize;
use signer_core::{
    codec::Label,
    trust::{IssuerId, StatusUri},
};

pub use self::{
    drain::DrainConfig,
    hsm::{HsmConfig, HsmMode},
    metrics::MetricsConfig,
    tls::TlsConfig,
    traces::TracesConfig,
};
use crate::{
    ca::{AuthorityName, Country, Settings, Terms},
    registers::HttpSettings,
    service::{CALLS_PER_SECOND_MAX, IssuerSettings, KEPT_BYTES_MAX, KEPT_BYTES_MIN, LimitSettings},
    store::LockPolicy,
};

/// Least [`Config::body_bytes_max`].
const BODY_BYTES_LEAST: u32 = 1 << 20;

/// Every setting of the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on. Anything but loopback needs [`Config::tls`] or [`Config::insecure`].
    pub listen: SocketAddr,
    /// The operator's address, plain HTTP: [`Config::listen`] then has nothing under `/admin`. Default: with TLS 127.0.0.1:7401,
    /// without it none of its own.
    pub admin_listen: Option<SocketAddr>,
    /// TLS of [`Config::listen`].
    pub tls: TlsConfig,
    /// The token that holds keys.
    pub hsm: HsmConfig,
    /// Folder of the store, the key-encryption key and the admin token.
    pub data_dir: PathBuf,
    /// Folder of the witness; on another disk than the store, it also notices that the store's disk was put back.
    /// Default: `witness` in the data folder.
    pub witness_dir: Option<PathBuf>,
    /// Allows plain HTTP on other than loopback addresses.
    pub insecure: bool,
    /// What to log, in `tracing` filter syntax.
    pub log: String,
    /// How to log.
    pub log_format: LogFormat,
    /// How long the store's writer waits for announced writes to share a commit, milliseconds.
    pub group_window_ms: u64,
    /// Most requests worked on at once; more are answered `overloaded`.
    pub concurrency_max: u32,
    /// Most that wait at once, of each kind: phones' streams, polls of checks, polls of requests. One relying party has at most
    /// a quarter of a kind.
    pub long_polls_max: u32,
    /// Most open connections.
    pub connections_max: usize,
    /// Most open connections from one address, of IPv6 from one network of 64 bits; this machine itself may have more.
    pub connections_per_address_max: usize,
    /// Most bytes of bodies that have come and are not answered yet; more are answered `overloaded`.
    pub body_bytes_max: u32,
    /// Time for one request, seconds; long polls have their own.
    pub request_timeout_seconds: u64,
    /// A server for trying out: relying parties may be OAuth clients with a secret instead of a key.
    pub sandbox: bool,
    /// Locks after wrong PINs.
    pub lock_policy: LockPolicy,
    /// JSON file that plays the document register; see `spec/register.json`. Without it and without [`Config::register`] no
    /// credentials are issued.
    pub register_file: Option<PathBuf>,
    /// Length of a code's step, seconds. Anything but 180 is for demonstrations.
    pub step_seconds: u64,
    /// Key of the root that signs trust lists: 33 bytes of a compressed point of P-256 in base64url. Without it the server
    /// makes a root of its own, in the data folder, and signs its own list: for trying out.
    pub trust_root: Option<String>,
    /// This server as an issuer of credentials.
    pub issuer: IssuerConfig,
    /// The document register, over HTTP/JSON.
    pub register: RegisterConfig,
    /// How often relying parties may call, and persons be asked.
    pub limits: LimitsConfig,
    /// The built-in certification authority.
    pub ca: CaConfig,
    /// Webhooks of relying parties.
    pub webhooks: WebhooksConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// How the server ends.
    pub drain: DrainConfig,
    /// Metrics for Prometheus.
    pub metrics: MetricsConfig,
    /// Traces for an OpenTelemetry collector.
    pub traces: TracesConfig,
    /// Where the store is, if not in a SQLite file in the data folder.
    pub store: StoreConfig,
}

/// A store in PostgreSQL: `spec/operations.md`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `postgres://user@host[:port][,host…]/database[?sslmode=…]`, without a password. Without it the store is a SQLite file.
    pub url: Option<String>,
    /// File with the password of the database's user, on its first line.
    pub password_file: Option<PathBuf>,
    /// PEM file with the authorities the database's certificate is trusted under. Default: those of the web.
    pub ca_file: Option<PathBuf>,
    /// Most connections of this node, beside the one it listens on.
    pub connections_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: None, password_file: None, ca_file: None, connections_max: 16 }
    }
}

/// The audit log: `spec/audit.md`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// How often a checkpoint is signed while the log grows, seconds.
    pub checkpoint_seconds: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { checkpoint_seconds: 1 }
    }
}

/// Webhooks of relying parties: `spec/webhooks.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Whether they may have addresses that are not on the public Internet, and plain HTTP on this machine.
    pub allow_private: bool,
    /// PEM file with the authorities their certificates are trusted under. Default: those of the web.
    pub ca_file: Option<PathBuf>,
}

/// This server as an issuer of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerConfig {
    /// Its number in trust lists, from 1.
    pub id: u32,
    /// Its name in trust lists, 1 to 96 bytes.
    pub name: String,
    /// Where verifiers fetch its status lists, without a slash at the end. Default: `/status/v1/lists` under `ca.public_url`.
    pub status_uri: Option<String>,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self { id: 1, name: "Signer".into(), status_uri: None }
    }
}

impl IssuerConfig {
    /// The settings, checked; `public_url` is where this server is reached.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn settings(&self, public_url: &str) -> Result<IssuerSettings, ConfigError> {
        let refuse = |text: &str| ConfigError::Value(text.into());
        let uri = self.status_uri.clone().unwrap_or_else(|| format!("{public_url}/status/v1/lists"));
        let uri = StatusUri::new(uri).ok_or_else(|| {
            refuse("issuer.status_uri is an http or https URL of at most 200 characters without query or a slash at the end")
        })?;
        let name = Label::new(self.name.clone())
            .ok_or_else(|| refuse("issuer.name is 1 to 96 bytes of NFC text on one line"))?;
        if self.id == 0 {
            return Err(refuse("issuer.id is from 1 on"));
        }
        Ok(IssuerSettings { id: IssuerId(self.id), name, status_uri: uri })
    }
}

/// How the document register is asked: `spec/registers.md`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegisterConfig {
    /// Its address, without a slash at the end.
    pub url: Option<String>,
    /// File with the bearer token it knows this server by.
    pub token_file: Option<PathBuf>,
    /// PEM file with the authorities its certificate is trusted under. Default: those of the web.
    pub ca_file: Option<PathBuf>,
    /// Time to connect, without TLS, milliseconds.
    pub connect_timeout_ms: u64,
    /// Time for an answer, with everything that is tried again, milliseconds.
    pub timeout_ms: u64,
    /// How often a question that found the register down is put again: 0 to 2.
    pub retries: u32,
    /// Most questions at once; more wait, within their time.
    pub concurrency_max: usize,
}

impl Default for RegisterConfig {
    fn default() -> Self {
        Self {
            url: None,
            token_file: None,
            ca_file: None,
            connect_timeout_ms: 1_000,
            timeout_ms: 3_000,
            retries: 1,
            concurrency_max: 64,
        }
    }
}

impl RegisterConfig {
    /// The settings, checked, if there is a register; `insecure` allows plain HTTP to another machine.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn settings(&self, insecure: bool) -> Result<Option<HttpSettings>, ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Value(text.into()));
        let (url, token_file) = match (&self.url, &self.token_file) {
            (Some(url), Some(token_file)) => (url.clone(), token_file.clone()),
            (None, None) => return Ok(None),
            _ => return refuse("register.url and register.token_file go together"),
        };
        if !is_public_url(&url) || url.contains(['?', '#', '@']) {
            return refuse(
                "register.url is an http or https URL of at most 200 characters, without user, query or a slash at the end",
            );
        }
        if goes_open(&url) && !insecure {
            return refuse(
                "register.url is plain HTTP to another machine: documents and the token would be open on the way",
            );
        }
        let times = [self.connect_timeout_ms, self.timeout_ms];
        if times.iter().any(|time| !(50..=15_000).contains(time))
            || self.retries > 2
            || self.concurrency_max == 0
        {
            return refuse(
                "register.connect_timeout_ms and register.timeout_ms are from 50 to 15000, register.retries at most 2, register.concurrency_max at least 1",
            );
        }
        Ok(Some(HttpSettings {
            url,
            token_file,
            ca_file: self.ca_file.clone(),
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            timeout: Duration::from_millis(self.timeout_ms),
            retries: self.retries,
            concurrency_max: self.concurrency_max,
        }))
    }
}

/// How often: `spec/limits.md`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Calls of one relying party in a second, over time.
    pub calls_per_second: u32,
    /// Seconds' worth of calls that may come at once.
    pub burst_seconds: u32,
    /// Requests of one relying party for one person in an hour.
    pub requests_for_person: u32,
    /// Requests of all relying parties for one person in an hour.
    pub requests_for_person_of_all: u32,
    /// How long a relying party that a person refused twice within ten minutes is not heard for that person, seconds; 0: it is.
    pub pause_seconds: u32,
    /// Bytes that the requests of one relying party may take, with their results, until they are forgotten.
    pub kept_bytes: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            calls_per_second: 1_000,
            burst_seconds: 2,
            requests_for_person: 20,
            requests_for_person_of_all: 60,
            pause_seconds: 600,
            kept_bytes: 1 << 30,
        }
    }
}

impl LimitsConfig {
    /// Limits that nobody reaches: for measurements and tests of something else.
    #[must_use]
    pub fn wide() -> Self {
        let many = 1_000_000;
        Self {
            calls_per_second: many,
            requests_for_person: many,
            requests_for_person_of_all: many,
            pause_seconds: 0,
            kept_bytes: KEPT_BYTES_MAX,
            ..Self::default()
        }
    }

    /// The settings, checked.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn settings(&self) -> Result<LimitSettings, ConfigError> {
        let range = 1..=CALLS_PER_SECOND_MAX;
        let rates = [self.calls_per_second, self.requests_for_person, self.requests_for_person_of_all];
        if !rates.iter().all(|rate| range.contains(rate))
            || !(1..=60).contains(&self.burst_seconds)
            || self.pause_seconds > 86_400
            || !(KEPT_BYTES_MIN..=KEPT_BYTES_MAX).contains(&self.kept_bytes)
        {
            let text = "limits are from 1 to 1000000, limits.burst_seconds from 1 to 60, limits.pause_seconds at most 86400, limits.kept_bytes from 1048576 to 1125899906842624";
            return Err(ConfigError::Value(text.into()));
        }
        Ok(LimitSettings {
            calls_per_second: self.calls_per_second,
            burst_seconds: self.burst_seconds,
            requests_for_person: self.requests_for_person,
            requests_for_person_of_all: self.requests_for_person_of_all,
            pause: self.pause_seconds.into(),
            kept_bytes: self.kept_bytes,
        })
    }
}

/// Whether a text can stand as an address in what is given out, with a path put after it.
fn is_public_url(url: &str) -> bool {
    let scheme = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    scheme && url.len() <= 200 && url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.ends_with('/')
}

/// Whether what is sent to this URL can be read on the way to another machine.
fn goes_open(url: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let stays = loopback
        .iter()
        .filter_map(|host| url.strip_prefix(host))
        .any(|rest| rest.is_empty() || rest.starts_with([':', '/']));
    url.starts_with("http://") && !stays
}

/// Settings of the built-in certification authority.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaConfig {
    /// Its name, 1 to 64 characters. Taken at the first start, when its certificate is made.
    pub name: String,
    /// ISO 3166 code of the country in its own name and in those of holders.
    pub country: String,
    /// Where relying parties fetch its certificate and its revocation list, without a slash at the end. Written into every
    /// certificate. Default: `http://`, with TLS `https://`, and the address listened on.
    pub public_url: Option<String>,
    /// Life of a holder's certificate, days.
    pub certificate_days: u64,
    /// Time from one revocation list to the next one promised, hours.
    pub crl_hours: u64,
}

impl Default for CaConfig {
    fn default() -> Self {
        Self {
            name: "Signer CA".into(),
            country: "UA".into(),
            public_url: None,
            certificate_days: 365,
            crl_hours: 24,
        }
    }
}

impl CaConfig {
    /// The settings, checked; `address`, a URL, stands in for a public one.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn settings(&self, address: &str) -> Result<Settings, ConfigError> {
        let refuse = |text: &str| ConfigError::Value(text.into());
        let country =
            Country::new(&self.country).ok_or_else(|| refuse("ca.country is two capital letters"))?;
        let name = AuthorityName::new(country, &self.name)
            .ok_or_else(|| refuse("ca.name is one line of 1 to 64 characters of NFC text"))?;
        let public_url = self.public_url.clone().unwrap_or_else(|| address.into());
        if !is_public_url(&public_url) {
            return Err(refuse(
                "ca.public_url is an http or https URL of at most 200 characters without a slash at the end",
            ));
        }
        if !(1..=1_095).contains(&self.certificate_days) || !(1..=168).contains(&self.crl_hours) {
            return Err(refuse("ca.certificate_days is from 1 to 1095, ca.crl_hours from 1 to 168"));
        }
        let (certificate_seconds, crl_seconds) = (self.certificate_days * 86_400, self.crl_hours * 3_600);
        Ok(Settings { name, country, terms: Terms { public_url, certificate_seconds, crl_seconds } })
    }
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            admin_listen: None,
            tls: TlsConfig::default(),
            hsm: HsmConfig::default(),
            data_dir: PathBuf::from("signer-data"),
            witness_dir: None,
            insecure: false,
            log: "info".into(),
            log_format: LogFormat::Text,
            group_window_ms: 8,
            concurrency_max: 512,
            long_polls_max: 10_000,
            connections_max: 12_000,
            connections_per_address_max: 3_000,
            body_bytes_max: 128 << 20,
            request_timeout_seconds: 20,
            sandbox: false,
            lock_policy: LockPolicy::default(),
            register_file: None,
            step_seconds: 180,
            trust_root: None,
            issuer: IssuerConfig::default(),
            register: RegisterConfig::default(),
            limits: LimitsConfig::default(),
            ca: CaConfig::default(),
            webhooks: WebhooksConfig::default(),
            audit: AuditConfig::default(),
            drain: DrainConfig::default(),
            metrics: MetricsConfig::default(),
            traces: TracesConfig::default(),
            store: StoreConfig::default(),
        }
    }
}

/// A configuration that cannot be used; the text says which key and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// File, environment or a value's form.
    #[error("configuration: {0}")]
    Form(#[from] config::ConfigError),
    /// A value out of its bounds.
    #[error("configuration: {0}")]
    Value(String),
}

impl Config {
    /// Reads `file`, if given, and the environment.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut sources = config::Config::builder();
        if let Some(file) = file {
            sources = sources.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix("SIGNER_SERVER").separator("__").try_parsing(true);
        let config: Self = sources.add_source(environment).build()?.try_deserialize()?;
        config.check()?;
        Ok(config)
    }

    /// Checks values against each other.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Value(text.into()));
        self.check_listeners()?;
        if !(6..=180).contains(&self.step_seconds) {
            return refuse("step_seconds must be from 6 to 180");
        }
        if !self.lock_policy.is_safe() && !self.insecure {
            return refuse(
                "lock_policy allows too many guesses: at most 15 tries in all, each lock at least 1800 s, step_down_seconds at least 3600 (insecure = true lifts this, for tests)",
            );
        }
        let ca = self.ca.settings(&self.own_url(self.listen))?;
        self.issuer.settings(&ca.terms.public_url)?;
        self.trust_root()?;
        if self.register.settings(self.insecure)?.is_some() && self.register_file.is_some() {
            return refuse("register_file and register.url are two registers: choose one");
        }
        self.limits.settings()?;
        if self.concurrency_max == 0
            || self.long_polls_max == 0
            || self.connections_max == 0
            || self.connections_per_address_max == 0
        {
            return refuse(
                "concurrency_max, long_polls_max, connections_max and connections_per_address_max must be at least 1",
            );
        }
        if self.body_bytes_max < BODY_BYTES_LEAST {
            return refuse("body_bytes_max must be at least 1048576: three of the longest bodies");
        }
        self.hsm.check()?;
        if self.drain.delay_seconds > 300 {
            return refuse("drain.delay_seconds must be at most 300");
        }
        if self.metrics.listen.is_some_and(|address| address.port() != 0 && address == self.listen) {
            return refuse("metrics.listen is an address of its own");
        }
        self.traces.check(self.insecure, cfg!(feature = "otel"))?;
        if !(1..=86_400).contains(&self.audit.checkpoint_seconds) {
            return refuse("audit.checkpoint_seconds must be from 1 to 86400");
        }
        if !(1..=120).contains(&self.request_timeout_seconds) || self.group_window_ms > 1000 {
            return refuse("request_timeout_seconds must be from 1 to 120, group_window_ms at most 1000");
        }
        Ok(())
    }

    /// Key of the root, if one is configured.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn trust_root(&self) -> Result<Option<VerifyingKey>, ConfigError> {
        let Some(text) = &self.trust_root else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 33);
        let key = bytes.and_then(|bytes| VerifyingKey::from_sec1_bytes(&bytes).ok());
        let text = "trust_root is a compressed point of P-256: 33 bytes in base64url without padding";
        key.map(Some).ok_or_else(|| ConfigError::Value(text.into()))
    }

    /// URL of this server at an address, where no other is configured.
    #[must_use]
    pub fn own_url(&self, address: SocketAddr) -> String {
        format!("{}://{address}", self.tls.scheme())
    }

    /// Folder of the witness.
    #[must_use]
    pub fn witness_dir(&self) -> PathBuf {
        self.witness_dir.clone().unwrap_or_else(|| self.data_dir.join("witness"))
    }

    /// [`Config::group_window_ms`].
    #[must_use]
    pub const fn group_window(&self) -> Duration {
        Duration::from_millis(self.group_window_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_file_is_the_default() {
        let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/config.toml"));
        assert_eq!(Config::load(Some(sample)).unwrap(), Config::default());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), "lissten = \"127.0.0.1:1\"\n").unwrap();
        let error = Config::load(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("lissten"), "{error}");
    }

    #[test]
    fn reg_006_a_register_is_asked_in_the_clear_on_this_machine_only() {
        let with = |url: &str, insecure: bool| {
            let register = RegisterConfig {
                url: Some(url.into()),
                token_file: Some("token".into()),
                ..RegisterConfig::default()
            };
            Config { register, insecure, ..Config::default() }.check().is_ok()
        };
        for url in
            ["http://127.0.0.1:7500", "http://[::1]/register", "http://localhost", "https://register.example"]
        {
            assert!(with(url, false), "{url}");
        }
        for url in
            ["http://register.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example:80"]
        {
            assert!(!with(url, false) && with(url, true), "{url}");
        }
        for url in [
            "",
            "register.example",
            "ftp://register.example",
            "https://register.example/",
            "https://a@b",
            "https://a?b",
        ] {
            assert!(!with(url, true), "{url}");
        }
        let two = Config {
            register_file: Some("file".into()),
            register: RegisterConfig {
                url: Some("https://register.example".into()),
                token_file: Some("token".into()),
                ..RegisterConfig::default()
            },
            ..Config::default()
        };
        assert!(two.check().is_err());
        let without_token =
            RegisterConfig { url: Some("https://a.example".into()), ..RegisterConfig::default() };
        assert!(Config { register: without_token, ..Config::default() }.check().is_err());
    }
}
