//! A token of a PKCS#11 library (OASIS PKCS#11 2.40): keys that never leave it. `spec/hsm.md` says what it is asked to do.
//!
//! One thread speaks to it, whoever asks: most libraries hold one lock anyway, and two threads were slower than one with
//! SoftHSM. Callers wait in a bounded queue, each for a bounded time. A session that was lost is opened anew by itself.
//!
//! | file | what |
//! |---|---|
//! | `desk` | the thread: session, login, what an error of the library means |
//! | `keys` | making, finding and checking keys, and what they do |

mod desk;
mod keys;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use p256::ecdsa::VerifyingKey;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use self::desk::{Desk, Failed, Seat};
use self::keys::Name;
pub(crate) use self::keys::{AesKey, SigningPair};
use crate::{config::HsmConfig, metrics::HsmMetrics};

/// Most callers that wait for the token.
const QUEUE_MAX: usize = 1_024;

/// Longest wait for a key to be made: the first of a process opens the library too.
const MAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a token did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// It cannot be reached, or does not work. It is tried again each second.
    #[error("the token does not work: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("the token did not answer in time")]
    Late,
    /// Too many wait for it.
    #[error("too many wait for the token")]
    Overloaded,
    /// It refused the PIN. It is not asked again with this one: a token locks after some wrong PINs.
    #[error(
        "the token refused the PIN: {0}; write the right PIN into hsm.pin_file, which is then read again"
    )]
    Pin(String),
    /// The file with the PIN cannot be read.
    #[error("hsm.pin_file {path}: {source}")]
    PinFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A key is not there, or is not kept as it should be.
    #[error("key {label} of the token: {fault}")]
    Key {
        /// Its label.
        label: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// It works, and does not do this.
    #[error("the token refuses: {0}")]
    Refused(String),
    /// The token has the key, and the bytes were not made with it for this place.
    #[error("wrapped bytes are altered or in the wrong place")]
    Altered,
}

impl TokenError {
    /// How it is counted.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable(_) | Self::PinFile { .. } => "unavailable",
            Self::Late => "late",
            Self::Overloaded => "overloaded",
            Self::Pin(_) => "pin",
            Self::Key { .. } => "key",
            Self::Refused(_) => "refused",
            Self::Altered => "altered",
        }
    }
}

/// What is done at the desk, for whoever waits.
type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// A token. Clones speak to the same thread, which ends with the last of them.
#[derive(Clone)]
pub struct Token {
    jobs: SyncSender<Job>,
    works: Arc<AtomicBool>,
    /// Somebody waited in vain, and nothing was done since.
    late: Arc<AtomicBool>,
    metrics: HsmMetrics,
    timeout: Duration,
    name: Arc<str>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("works", &self.works()).finish_non_exhaustive()
    }
}

impl Token {
    /// The token of a configuration, if it names one. It is not spoken to yet. A PIN that it refuses is noted in `folder`.
    ///
    /// # Errors
    /// As the operating system says of a new thread.
    pub fn open(config: &HsmConfig, folder: &Path, metrics: HsmMetrics) -> io::Result<Option<Self>> {
        let Some(files) = config.files() else { return Ok(None) };
        let works = Arc::new(AtomicBool::new(true));
        let (jobs, queue) = sync_channel::<Job>(QUEUE_MAX);
        let late = Arc::new(AtomicBool::new(false));
        let desk = Desk::new(files, &config.token, folder, Arc::clone(&works), Arc::clone(&late));
        std::thread::Builder::new().name("token".into()).spawn(move || desk.serve(&queue))?;
        let timeout = Duration::from_secs(config.timeout_seconds);
        Ok(Some(Self { jobs, works, late, metrics, timeout, name: config.name.as_str().into() }))
    }

    /// Whether it did when it was last spoken to, a moment ago at most.
    #[must_use]
    pub fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// Speaks to it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn check(&self) -> Result<(), TokenError> {
        self.queue("check", MAKE_TIMEOUT, |desk| desk.repeat(|seat| seat.check()), |_| {}).await
    }

    /// Makes a key that wraps, with a label that ends so.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) async fn make_aes(&self, label: &str, id: Vec<u8>) -> Result<AesKey, TokenError> {
        let key = self.aes(label, id);
        let (made, undone) = (key.clone(), key.0.clone());
        self.make(move |seat| made.make(seat), move |seat| undone.destroy(seat)).await?;
        Ok(key)
    }

    /// The key that wraps with this id, whose label ends so. It is looked for when it is used.
    pub(crate) fn aes(&self, label: &str, id: Vec<u8>) -> AesKey {
        AesKey(self.name(label, id))
    }

    /// Wraps `secret` under a key with AES-256-GCM: the nonce used, and the ciphertext with its tag. The nonce given is a proposal:
    /// some tokens draw their own.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) async fn wrap(
        &self,
        key: &AesKey,
        nonce: [u8; 12],
        associated: Vec<u8>,
        secret: Zeroizing<Vec<u8>>,
    ) -> Result<([u8; 12], Vec<u8>), TokenError> {
        let key = key.clone();
        self.ask("wrap", move |seat| key.wrap(seat, nonce, &associated, &secret)).await
    }

    /// Takes back what [`Token::wrap`] wrapped.
    ///
    /// # Errors
    /// [`TokenError::Altered`], and the others.
    pub(crate) async fn unwrap(
        &self,
        key: &AesKey,
        nonce: [u8; 12],
        associated: Vec<u8>,
        wrapped: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let key = key.clone();
        self.ask("unwrap", move |seat| key.unwrap(seat, nonce, &associated, &wrapped)).await
    }

    /// Makes a pair of P-256 that signs, with a label that ends so.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) async fn make_pair(
        &self,
        label: &str,
        id: Vec<u8>,
    ) -> Result<(SigningPair, VerifyingKey), TokenError> {
        let pair = self.pair(label, id);
        let (made, undone) = (pair.clone(), pair.0.clone());
        let public = self.make(move |seat| made.make(seat), move |seat| undone.destroy(seat)).await?;
        Ok((pair, public))
    }

    /// The pair with this id, whose label ends so. It is looked for when it signs.
    pub(crate) fn pair(&self, label: &str, id: Vec<u8>) -> SigningPair {
        SigningPair(self.name(label, id))
    }

    /// Signs a SHA-256 digest: r ‖ s.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) async fn sign(&self, pair: &SigningPair, digest: [u8; 32]) -> Result<[u8; 64], TokenError> {
        let pair = pair.clone();
        self.ask("sign", move |seat| pair.sign(seat, &digest)).await
    }

    /// Destroys a key that was made a moment ago and is not needed. What stays is said in the log: nothing depends on it.
    pub(crate) async fn destroy(&self, label: &str, id: Vec<u8>) {
        let name = self.name(label, id);
        let told = name.label.clone();
        if let Err(error) = self.ask("destroy", move |seat| name.destroy(seat)).await {
            tracing::warn!(%error, label = told, "a key that is not needed stays in the token");
        }
    }

    /// Destroys a pair that was made a moment ago and is not needed.
    pub(crate) async fn destroy_pair(&self, label: &str, pair: &SigningPair) {
        self.destroy(label, pair.0.id.clone()).await;
    }

    fn name(&self, end: &str, id: Vec<u8>) -> Name {
        Name { label: format!("{} {end}", self.name), id }
    }

    /// Asks for what may be asked twice: with a fresh session, if the first is found to be lost.
    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&mut Seat) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, TokenError> {
        self.queue(operation, self.timeout, move |desk| desk.repeat(work), |_| {}).await
    }

    /// Makes something that stays in the token. `undo` takes it away if nobody waits for it any more.
    async fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Seat) -> Result<T, Failed> + Send + 'static,
        undo: impl FnOnce(&mut Seat) -> Result<(), Failed> + Send + 'static,
    ) -> Result<T, TokenError> {
        let undo = move |desk: &mut Desk| {
            if let Err(error) = desk.once(undo) {
                tracing::warn!(%error, "a key that was made too late stays in the token");
            }
        };
        self.queue("make", MAKE_TIMEOUT, move |desk| desk.once(work), undo).await
    }

    async fn queue<T: Send + 'static>(
        &self,
        operation: &'static str,
        timeout: Duration,
        work: impl FnOnce(&mut Desk) -> Result<T, TokenError> + Send + 'static,
        undo: impl FnOnce(&mut Desk) + Send + 'static,
    ) -> Result<T, TokenError> {
        let (reply, answer) = oneshot::channel();
        let metrics = self.metrics.clone();
        let job = move |desk: &mut Desk| {
            // Who does not wait any more got its error: the token is for those who do.
            if !reply.is_closed() {
                let began = Instant::now();
                let done = work(desk);
                let outcome = done.as_ref().err().map_or("ok", TokenError::outcome);
                metrics.observe(operation, outcome, began.elapsed());
                if let Err(Ok(_nobodys)) = reply.send(done) {
                    undo(desk);
                }
            }
        };
        let refused = |error: TokenError| {
            self.metrics.observe(operation, error.outcome(), Duration::ZERO);
            error
        };
        // While a call hangs in the library, each more would wait in vain, and keep others from what needs no token.
        if self.late.load(Ordering::Relaxed) {
            return Err(refused(TokenError::Late));
        }
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(refused(TokenError::Overloaded)),
            Err(TrySendError::Disconnected(_)) => return Err(gone()),
        }
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => {
                self.works.store(false, Ordering::Relaxed);
                self.late.store(true, Ordering::Relaxed);
                Err(refused(TokenError::Late))
            }
        }
    }
}

/// The thread panicked in a library: only a restart helps.
fn gone() -> TokenError {
    TokenError::Unavailable("its thread ended; restart the server".into())
}
