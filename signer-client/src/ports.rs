//! What the phone provides: HTTP, the hardware keystore, storage, clocks, randomness. The library does no IO of its own.

use std::{fmt, io::Read, time::Duration};

use rand_core::CryptoRng;
use signer_core::{
    device_key::{DevicePublicKeyBytes, DeviceSignature, ToSign},
    pin::Stretched,
    secret::SecretBytes,
    time::UnixSeconds,
};
use zeroize::Zeroizing;

/// Everything the library needs from its surroundings.
pub struct Ports {
    /// The way to one server.
    pub http: Box<dyn Http>,
    /// The keystore.
    pub key: Box<dyn HardwareKey>,
    /// Where the one state image rests.
    pub storage: Box<dyn Storage>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub rng: Box<dyn CryptoRng + Send>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ports({})", self.http.server())
    }
}

/// Method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST.
    Post,
    /// DELETE, without a body.
    Delete,
}

/// One request to the server.
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Path and query, from `/`.
    pub path: String,
    /// Headers; `content-type` among them.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty but for POST. Bodies of device messages are secrets: not logged, not stored.
    pub body: Zeroizing<Vec<u8>>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

impl HttpRequest {
    /// A GET with the usual timeout.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            path: path.into(),
            headers: Vec::new(),
            body: Zeroizing::default(),
            timeout: EXCHANGE_TIMEOUT,
        }
    }

    /// A DELETE with the usual timeout.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::Delete, ..Self::get(path) }
    }

    /// A POST with the usual timeout.
    #[must_use]
    pub fn post(path: impl Into<String>, content_type: &str, body: Zeroizing<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.into())];
        Self { method: Method::Post, path: path.into(), headers, body, timeout: EXCHANGE_TIMEOUT }
    }
}

/// How long one exchange may take, unless it waits for a person.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);

/// Shows where it goes, neither headers (tokens) nor body.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "HttpRequest({:?} {path}, {} bytes)", self.method, self.body.len())
    }
}

/// One answer of the server.
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Content type, without parameters, lower case; empty if there is none.
    pub content_type: String,
    /// Body, at most [`signer_core::wire::REPLY_BYTES_MAX`] bytes.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {}, {} bytes)", self.status, self.content_type, self.body.len())
    }
}

/// An answer whose body is read as it comes.
pub struct HttpStream {
    /// Status.
    pub status: u16,
    /// Content type, without parameters, lower case; empty if there is none.
    pub content_type: String,
    /// The body. A read blocks until something comes or the stream ends; after the request's timeout without anything it
    /// fails. It may be read on another thread.
    pub body: Box<dyn Read + Send>,
}

impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpStream({}, {})", self.status, self.content_type)
    }
}

/// Why no answer came. The server may or may not have carried the request out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection, or it broke.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The answer is longer than allowed.
    #[error("the server's answer is longer than allowed")]
    TooLarge,
    /// Something between phone and server answered with this status instead of the server.
    #[error("something on the way to the server answered with status {0}")]
    Gateway(u16),
    /// The address is not acceptable: plain http to another machine, or not an address.
    #[error("{0}")]
    Address(String),
}

/// HTTP to one server.
pub trait Http: Send {
    /// Origin of the server, `https://host[:port]`.
    fn server(&self) -> &str;

    /// One exchange. It follows no redirect, keeps no cookie and bounds the answer.
    ///
    /// # Errors
    /// [`TransportError`]
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError>;

    /// The same, with a body that is read as it comes, however long it is. Where this is not provided, the phone asks from
    /// time to time instead.
    ///
    /// # Errors
    /// [`TransportError`]
    fn stream(&self, request: &HttpRequest) -> Result<HttpStream, TransportError> {
        let _ = request;
        Err(TransportError::Unreachable("streams are not provided here".into()))
    }
}

/// The keystore did not do what was asked. Says what, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the phone's keystore failed: {0}")]
pub struct KeystoreError(pub String);

/// Name of a day key in the keystore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DayKeyHandle(pub [u8; 16]);

/// What a secret derived by the keystore is for; each has its own space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Wraps secrets in the state image.
    Wrap,
    /// Mixed into nonces, so that a failing generator alone does not repeat one.
    Hedge,
    /// The key the history is sealed to.
    History,
    /// The lost code.
    LostCode,
}

/// The phone's hardware keystore: a P-256 device key, an HMAC secret, and short-lived P-256 day keys. Nothing secret leaves it.
pub trait HardwareKey: Send {
    /// The device key's public half.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn public_key(&self) -> Result<DevicePublicKeyBytes, KeystoreError>;

    /// ECDSA with SHA-256 over the 32 bytes as a message.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn sign(&self, message: ToSign) -> Result<DeviceSignature, KeystoreError>;

    /// Binds a stretched PIN to this phone by the non-exportable HMAC secret.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn bind(&self, stretched: &Stretched) -> Result<SecretBytes<32>, KeystoreError>;

    /// Another secret under the HMAC secret. Never equal to what [`Self::bind`] gives.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn derive(&self, purpose: Purpose, input: &[u8]) -> Result<SecretBytes<32>, KeystoreError>;

    /// Makes a day key.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn new_day_key(&mut self) -> Result<(DayKeyHandle, DevicePublicKeyBytes), KeystoreError>;

    /// ECDSA with SHA-256 over `message` by a day key, `r || s`.
    ///
    /// # Errors
    /// [`KeystoreError`], also if there is no such key.
    fn sign_with_day_key(&self, key: DayKeyHandle, message: &[u8]) -> Result<[u8; 64], KeystoreError>;

    /// Deletes every day key that is not in `keep`.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn keep_day_keys(&mut self, keep: &[DayKeyHandle]) -> Result<(), KeystoreError>;

    /// Deletes everything and starts with a fresh device key and HMAC secret. What was masked or wrapped under the old ones
    /// is lost.
    ///
    /// # Errors
    /// [`KeystoreError`]
    fn reset(&mut self) -> Result<(), KeystoreError>;
}

/// The state image could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the phone's storage failed: {0}")]
pub struct StorageError(pub String);

/// Durable storage of one state image.
pub trait Storage: Send {
    /// The image, if there is one.
    ///
    /// # Errors
    /// [`StorageError`]
    fn load(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Replaces the image: after this returns the new one is there even after a power cut, before it the old one is.
    ///
    /// # Errors
    /// [`StorageError`]
    fn store(&mut self, image: &[u8]) -> Result<(), StorageError>;

    /// Removes the image.
    ///
    /// # Errors
    /// [`StorageError`]
    fn erase(&mut self) -> Result<(), StorageError>;
}

/// A reading of a clock that no one can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monotonic {
    /// Which run of the clock: another value after a restart of the phone. Readings of two runs do not compare.
    pub run: [u8; 16],
    /// Time since the run began, sleep included.
    pub elapsed: Duration,
}

/// The phone's clocks.
pub trait Clock: Send {
    /// The clock on the wall, which the holder can set.
    fn wall(&self) -> UnixSeconds;

    /// The clock nobody can set.
    fn monotonic(&self) -> Monotonic;

    /// Waits.
    fn sleep(&self, time: Duration);
}
