//! Connector to a register over HTTP/JSON. What is asked and what counts as an answer: `spec/registers.md`.
//!
//! The address comes from the configuration alone: no redirect is followed, no proxy used, and a person's reference is only
//! ever one encoded segment of the path.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header, uri::PathAndQuery},
};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use serde::{Deserialize, de::DeserializeOwned};
use signer_core::credential::{DocumentRecord, DocumentType, Vehicle};
use tokio::{sync::Semaphore, time::timeout_at};

use super::{Register, RegisterError, VehicleRecord, breaker::Breaker};
use crate::{
    metrics::RegisterMetrics,
    outbound,
    ports::Random,
    store::{Holder, OrganisationDocument},
};

/// Longest document as JSON, bytes: a portrait of 32 KiB in base64, and room.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// First wait before a question is put again; the next is twice as long. Drawn between nothing and this.
const BACKOFF: Duration = Duration::from_millis(100);
/// Idle connections kept, and for how long.
const IDLE: (usize, Duration) = (16, Duration::from_secs(30));

/// Where a register is and how it is asked.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Its address: `https://host` and perhaps a path, without a slash at the end.
    pub url: String,
    /// File with the bearer token.
    pub token_file: PathBuf,
    /// Certificates of the authorities it is trusted under, PEM; those of the web's without.
    pub ca_file: Option<PathBuf>,
    /// Time to connect, without TLS.
    pub connect_timeout: Duration,
    /// Time for an answer, with everything that is tried again.
    pub timeout: Duration,
    /// How often a question is put again.
    pub retries: u32,
    /// Most questions at once; more wait, within their time.
    pub concurrency_max: usize,
}

/// A register over HTTP/JSON.
pub struct HttpRegister {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    base: Uri,
    authorization: HeaderValue,
    settings: HttpSettings,
    turns: Semaphore,
    breaker: Breaker,
    metrics: RegisterMetrics,
    random: Arc<dyn Random>,
}

impl fmt::Debug for HttpRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRegister({})", self.base)
    }
}

/// A question that got no answer.
enum Failure {
    /// The register is not there or says that it is in trouble: worth asking again.
    Down(String),
    /// It answered, and not what was agreed: the same again would get the same.
    Nonsense(String),
}

/// What came back, its body read.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl HttpRegister {
    /// Reads the token and the authorities. Nothing is asked yet.
    ///
    /// # Errors
    /// [`RegisterError`], naming the file or the value that is wrong.
    pub fn open(settings: HttpSettings, random: Arc<dyn Random>) -> Result<Self, RegisterError> {
        let base: Uri = settings.url.parse().map_err(|_| refuse("register.url is not an address"))?;
        let authorization = authorization(&settings.token_file)?;
        let client = outbound::client(
            HttpConnector::new(),
            settings.connect_timeout,
            IDLE,
            settings.ca_file.as_deref(),
        )
        .map_err(|text| refuse(&text))?;
        let turns = Semaphore::new(settings.concurrency_max);
        let (breaker, metrics) = (Breaker::closed(), RegisterMetrics::default());
        Ok(Self { client, base, authorization, settings, turns, breaker, metrics, random })
    }

    /// Asks, within the time and the turns there are, as often as it is worth it.
    async fn ask(&self, path: &str) -> Result<Answer, RegisterError> {
        let started = Instant::now();
        let end = started + self.settings.timeout;
        // Waiting for a turn says nothing of the register: it is busy here, not failing there. Whoever gets a turn has at
        // least half of the time left for the register.
        let turn = timeout_at((started + self.settings.timeout / 2).into(), self.turns.acquire()).await;
        let Some(_turn) = turn.ok().and_then(Result::ok) else {
            self.metrics.questions.count(["no_turn"]);
            return Err(refuse("no turn to ask it in time"));
        };
        let Some(leave) = self.breaker.leave(Instant::now()) else {
            self.metrics.questions.count(["left_alone"]);
            return Err(refuse("left alone after its failures"));
        };
        let tries = async {
            for attempt in 0.. {
                match self.ask_once(path).await {
                    Err(Failure::Down(text)) if attempt < self.settings.retries => {
                        tracing::debug!(text, attempt, "register asked again");
                        tokio::time::sleep(self.jitter(attempt)).await;
                    }
                    ended => return ended,
                }
            }
            Err(Failure::Down("not asked".into()))
        };
        let ended = timeout_at(end.into(), tries).await;
        let ended = ended.unwrap_or_else(|_| Err(Failure::Down("no answer in time".into())));
        self.metrics.seconds.observe_time(started.elapsed());
        self.metrics.questions.count([match &ended {
            Ok(_) => "answered",
            Err(Failure::Nonsense(_)) => "nonsense",
            Err(Failure::Down(_)) => "down",
        }]);
        match ended {
            Ok(answer) => {
                leave.answered();
                Ok(answer)
            }
            Err(Failure::Nonsense(text)) => {
                leave.answered();
                Err(RegisterError::NotReached(text))
            }
            Err(Failure::Down(text)) => {
                if leave.failed(Instant::now()) {
                    tracing::error!(text, "the register is left alone for a while");
                }
                Err(RegisterError::NotReached(text))
            }
        }
    }

    async fn ask_once(&self, path: &str) -> Result<Answer, Failure> {
        let uri = self.address(path).map_err(|_| Failure::Nonsense("not an address".into()))?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // Errors of the client name hosts and causes, never a path.
        let response = self.client.request(request).await;
        let response = response.map_err(|error| Failure::Down(outbound::causes(&error)))?;
        let (head, body) = response.into_parts();
        if head.status.is_server_error() {
            return Err(Failure::Down(format!("it answered {}", head.status.as_u16())));
        }
        let body = Limited::new(body, DOCUMENT_BYTES_MAX).collect().await.map_err(|error| {
            match error.downcast_ref::<http_body_util::LengthLimitError>() {
                Some(_) => Failure::Nonsense(format!("its answer is longer than {DOCUMENT_BYTES_MAX} bytes")),
                None => Failure::Down("its answer broke off".into()),
            }
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// What the register has at `path`, if it has it.
    async fn extract<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, RegisterError> {
        let answer = self.ask(path).await?;
        if answer.is_none_there()? {
            return Ok(None);
        }
        if answer.status != StatusCode::OK {
            return Err(refuse(&format!("it answered {}", answer.status.as_u16())));
        }
        answer.has_type("application/json")?;
        parse(&answer.body).map(Some)
    }

    fn address(&self, path: &str) -> Result<Uri, axum::http::Error> {
        let mut parts = self.base.clone().into_parts();
        let before = self.base.path().trim_end_matches('/');
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{before}{path}"))?);
        Ok(Uri::from_parts(parts)?)
    }

    /// Full jitter: anything up to the wait, so that servers that failed together do not come back together.
    fn jitter(&self, attempt: u32) -> Duration {
        jitter(attempt, self.random.rng().next_u32())
    }
}

#[async_trait]
impl Register for HttpRegister {
    async fn document(
        &self,
        holder: &Holder,
        document_type: u32,
    ) -> Result<Option<DocumentRecord>, RegisterError> {
        let Some((kind, path)) = path(holder, document_type) else { return Ok(None) };
        match self.extract::<DocumentRecord>(&path).await? {
            Some(record) if record.document_type != kind => {
                Err(refuse("it answered with another kind of document"))
            }
            found => Ok(found),
        }
    }

    async fn vehicle(&self, document: &OrganisationDocument) -> Result<Option<Vehicle>, RegisterError> {
        let Some(path) = vehicle_path(document) else { return Ok(None) };
        let record = self.extract::<VehicleRecord>(&path).await?;
        record.map(|record| record.claims(document)).transpose()
    }

    fn metrics(&self) -> Option<&RegisterMetrics> {
        Some(&self.metrics)
    }

    fn left_alone(&self) -> bool {
        self.breaker.is_open()
    }
}

impl Answer {
    /// Whether the register says that there is no such document. A bare 404 may be a gateway's and says nothing of documents.
    fn is_none_there(&self) -> Result<bool, RegisterError> {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
        }
        if self.status != StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.has_type("application/problem+json")?;
        let problem: Problem = parse(&self.body)?;
        if problem.code == "no_document" {
            Ok(true)
        } else {
            Err(refuse("it answered 404 without no_document"))
        }
    }

    fn has_type(&self, wanted: &str) -> Result<(), RegisterError> {
        let found = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let found = found.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if found == wanted { Ok(()) } else { Err(refuse("its answer has another content type")) }
    }
}

fn refuse(text: &str) -> RegisterError {
    RegisterError::NotReached(text.to_owned())
}

/// Says where the JSON is wrong, without repeating any of it: serde's own text may quote a claim.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RegisterError> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        refuse(&format!("its answer breaks the schema at line {line} column {column}"))
    })
}

/// The address of a document under the register's own; none for a kind that is no person's, or a reference that software on
/// the way could take for a step up in the path.
fn path(holder: &Holder, document_type: u32) -> Option<(DocumentType, String)> {
    let kind = u8::try_from(document_type).ok().and_then(DocumentType::from_number)?;
    if matches!(holder.as_str(), "." | "..") {
        return None;
    }
    let name = match kind {
        DocumentType::IdentityCard => "identity_card",
        DocumentType::DrivingLicence => "driving_licence",
        DocumentType::VehicleRegistration => return None,
    };
    Some((kind, format!("/v1/persons/{}/documents/{name}", segment(holder.as_str()))))
}

/// The same of a vehicle.
fn vehicle_path(document: &OrganisationDocument) -> Option<String> {
    if matches!(document.reference(), "." | "..") {
        return None;
    }
    let (organisation, reference) = (document.organisation().as_str(), segment(document.reference()));
    Some(format!("/v1/organisations/{organisation}/vehicles/{reference}"))
}

/// One segment of a path (RFC 3986 section 2.3): everything but unreserved characters is encoded.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn jitter(attempt: u32, random: u32) -> Duration {
    let longest = BACKOFF.saturating_mul(1 << attempt.min(4));
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn authorization(file: &Path) -> Result<HeaderValue, RegisterError> {
    let named = |error: &dyn fmt::Display| refuse(&format!("{}: {error}", file.display()));
    let token = zeroize::Zeroizing::new(fs::read_to_string(file).map_err(|error| named(&error))?);
    let token = token.trim();
    if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(named(&"a token is at least 16 visible ASCII characters"));
    }
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|error| named(&error))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_005_a_reference_is_one_encoded_segment() {
        let path_of = |person: &str| path(&Holder::new(person).unwrap(), 1).map(|(_, path)| path);
        for (person, segment) in [
            ("olena", "olena"),
            ("A-b_c.d~9", "A-b_c.d~9"),
            ("../../admin", "..%2F..%2Fadmin"),
            ("a?b#c&d", "a%3Fb%23c%26d"),
            ("http://evil@host:1", "http%3A%2F%2Fevil%40host%3A1"),
            ("%2e%2e", "%252e%252e"),
            ("a\\b;c", "a%5Cb%3Bc"),
        ] {
            let wanted = format!("/v1/persons/{segment}/documents/identity_card");
            assert_eq!(path_of(person).as_deref(), Some(wanted.as_str()));
        }
        assert_eq!((path_of("."), path_of("..")), (None, None));
        assert!(path(&Holder::new("olena").unwrap(), 2).unwrap().1.ends_with("/driving_licence"));
        assert!(path(&Holder::new("olena").unwrap(), 77).is_none());
        assert!(path(&Holder::new("olena").unwrap(), 3).is_none());
        let vehicle = |text: &str| vehicle_path(&text.parse().unwrap());
        let wanted = "/v1/organisations/40075815/vehicles/..%2FAA%3F1";
        assert_eq!(vehicle("40075815/../AA?1").as_deref(), Some(wanted));
        assert_eq!((vehicle("40075815/."), vehicle("40075815/..")), (None, None));
    }

    #[test]
    fn reg_002_waits_are_drawn_from_nothing_to_twice_the_last() {
        for (attempt, longest) in [(0, 100), (1, 200), (2, 400), (60, 1_600)] {
            assert_eq!(jitter(attempt, 0), Duration::ZERO);
            assert_eq!(jitter(attempt, u32::MAX), Duration::from_millis(longest));
        }
    }
}
