//! TLS of the public address. The files may be replaced while the server runs.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::ServerSessionMemoryCache,
};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use x509_cert::{
    Certificate,
    der::{DateTime, Decode as _},
};
use zeroize::Zeroizing;

use crate::ports::Clock;

/// How often the files are looked at; a hang-up signal asks for it at once.
const RELOAD_EVERY: Duration = Duration::from_secs(60);
/// Sessions that can be taken up again without a full handshake; about a kilobyte each.
const SESSIONS_MAX: usize = 10_000;
/// From when on an end is warned of, seconds.
const WARN_BEFORE: u64 = 14 * 86_400;

/// Certificate and key in force.
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    clock: Arc<dyn Clock>,
    current: RwLock<Loaded>,
}

/// What was read from the files.
struct Loaded {
    /// SHA-256 of both files.
    digest: [u8; 32],
    not_after: DateTime,
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which.
    pub(crate) fn open(certificate: &Path, key: &Path, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let current = RwLock::new(Files::read(certificate, key)?.load()?);
        Ok(Self { certificate: certificate.into(), key: key.into(), clock, current })
    }

    /// Greets new connections with the certificate in force.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// How long the certificate is good for, seconds.
    pub(crate) fn left(&self) -> u64 {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.not_after.unix_duration().as_secs().saturating_sub(self.clock.now().0)
    }

    /// Puts changed files in force for new connections. Returns whether they had changed; what cannot be used changes nothing.
    ///
    /// # Errors
    /// What is wrong with which. Certificate and key are replaced one after the other: the next look finds both.
    pub(crate) fn reload(&self) -> Result<bool, String> {
        let files = Files::read(&self.certificate, &self.key)?;
        if files.digest() == self.current.read().unwrap_or_else(PoisonError::into_inner).digest {
            return Ok(false);
        }
        let loaded = files.load()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }
}

/// Keeps the files in force, for as long as it is polled.
pub(crate) async fn keep_current(tls: Arc<Tls>) {
    let mut hang_up = HangUp::new();
    loop {
        let left = tls.left();
        if left < WARN_BEFORE {
            tracing::warn!(path = %tls.certificate.display(), days = left / 86_400, "the TLS certificate ends soon");
        }
        // Looked at each minute, told once an hour.
        for _ in 0..60 {
            tokio::select! {
                () = tokio::time::sleep(RELOAD_EVERY) => {}
                () = hang_up.came() => {}
            }
            match tls.reload() {
                Ok(true) => {
                    tracing::info!(path = %tls.certificate.display(), "new TLS certificate");
                    break;
                }
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the TLS certificate in force stays"),
            }
        }
    }
}

/// SIGHUP, where there are signals.
struct HangUp {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl HangUp {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn came(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Both files as they were found together.
struct Files<'a> {
    certificate: (&'a Path, Vec<u8>),
    key: (&'a Path, Zeroizing<Vec<u8>>),
}

impl<'a> Files<'a> {
    fn read(certificate: &'a Path, key: &'a Path) -> Result<Self, String> {
        let read = |path: &Path| fs::read(path).map_err(|error| named(path, &error));
        Ok(Self { certificate: (certificate, read(certificate)?), key: (key, read(key)?.into()) })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [Sha256::digest(&self.certificate.1), Sha256::digest(&*self.key.1)];
        Sha256::digest(parts.concat()).into()
    }

    fn load(&self) -> Result<Loaded, String> {
        let (path, pem) = &self.certificate;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let chain = chain.map_err(|error| named(path, &error))?;
        let first = chain.first().ok_or_else(|| named(path, &invalid("no certificate in it")))?;
        let first = Certificate::from_der(first).map_err(|error| named(path, &error))?;
        let not_after = first.tbs_certificate().validity().not_after.to_date_time();
        let (path, pem) = &self.key;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| named(path, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| named(path, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(Loaded { digest: self.digest(), not_after, config: Arc::new(config) })
    }
}

fn named(path: &Path, error: &dyn fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
