//! The receiver's side of webhooks: whether a delivery is the server's, and what it says. Strict: only the one form is taken
//! that the server writes (`spec/webhooks.md`). Pure functions, no IO.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use der::DateTime;
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};
use sha2::{Digest as _, Sha256};
use signer_core::{
    ids::{RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{
        CLOUDEVENTS_VERSION, PublicJwk, REQUEST_ENDED, RequestEnded, RequestStatus, WEBHOOK_ALGORITHM,
        WEBHOOK_COMPONENTS, WEBHOOK_MEDIA_TYPE, WEBHOOK_TAG, WebhookKeys, webhook_signature_base,
        webhook_signature_params,
    },
};

/// How far the time of a signature may be from the receiver's, seconds.
pub const WEBHOOK_AGE_MAX_SECONDS: u64 = 300;
/// Longest body, bytes. The server's are shorter.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest header value, bytes.
const VALUE_BYTES_MAX: usize = 4 * 1024;

/// An event of the server: a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The same in every delivery of one event: take each once.
    pub id: RequestId,
    /// The server's public URL.
    pub source: String,
    /// The request. Its result is at `GET /v1/requests/{id}`.
    pub request: RequestId,
    /// How it ended.
    pub status: RequestStatus,
    /// When.
    pub time: UnixSeconds,
    /// Its place among this relying party's events, from 1. A gap is an event that has not come yet.
    pub sequence: u64,
}

/// Why a delivery is not believed. Answer it with 401, but [`WebhookError::OtherEvent`] with 204.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Deliveries are POST.
    #[error("the method is not POST")]
    Method,
    /// A header that is signed, or holds the signature, is missing or stands twice.
    #[error("the header {0} is missing, stands twice or is too long")]
    Header(&'static str),
    /// Not `application/cloudevents+json`.
    #[error("the content type is not application/cloudevents+json")]
    ContentType,
    /// `Content-Digest` is not one SHA-256, or not that of the body.
    #[error("the content digest is not that of the body")]
    Digest,
    /// There is no signature of this server's form, or more than one; it covers something else; or it has other parameters.
    #[error("no signature of the form that the server writes")]
    Form,
    /// Signed too long ago, or in the future.
    #[error("signed at another time: more than 300 s ago or ahead")]
    Time,
    /// Signed by a key that is not among those given: fetch the server's keys again, at most once a minute.
    #[error("signed by a key that is not known: fetch the keys again")]
    UnknownKey,
    /// A key of this id that is no P-256 key.
    #[error("the key is not a P-256 key for ES256")]
    Key,
    /// Another body, URL, method or key.
    #[error("the signature is wrong")]
    Signature,
    /// Signed by the server, and of a type that this library does not know.
    #[error("an event of another type")]
    OtherEvent,
    /// Signed by the server, and of a request of another relying party, which has registered this address.
    #[error("an event of another relying party")]
    OtherRelyingParty,
    /// Signed by the server, and not as agreed.
    #[error("the event is not of the agreed form")]
    Event,
}

/// Verifies a delivery: `method`, `url` as it was registered by `relying_party`, which is the receiver, all `headers` and the
/// `body` as they came, against the server's `keys` (`GET /v1/webhook-keys`, over HTTPS), at the receiver's time. Its own id a
/// relying party has from the operator, with its token ([`crate::RelyingParty::id`]).
///
/// It does not remember events: a delivery that is repeated within [`WEBHOOK_AGE_MAX_SECONDS`], by whomever, is believed
/// again. Take each [`WebhookEvent::id`] once.
///
/// # Errors
/// [`WebhookError`]: the first thing found wrong.
pub fn verify_webhook(
    method: &str,
    url: &str,
    relying_party: RelyingPartyId,
    headers: &[(&str, &str)],
    body: &[u8],
    keys: &WebhookKeys,
    now: UnixSeconds,
) -> Result<WebhookEvent, WebhookError> {
    if method != "POST" {
        return Err(WebhookError::Method);
    }
    let media_type = header(headers, "content-type")?;
    if media_type != WEBHOOK_MEDIA_TYPE {
        return Err(WebhookError::ContentType);
    }
    let digest = header(headers, "content-digest")?;
    check_digest(digest, body)?;
    let signed = Signed::read(header(headers, "signature-input")?, header(headers, "signature")?)?;
    if now.distance(UnixSeconds(signed.created)) > WEBHOOK_AGE_MAX_SECONDS {
        return Err(WebhookError::Time);
    }
    let key = keys.keys.iter().find(|key| key.kid.as_deref() == Some(&signed.keyid));
    let key = point(key.ok_or(WebhookError::UnknownKey)?).ok_or(WebhookError::Key)?;
    let params = webhook_signature_params(signed.created, &signed.keyid);
    let base = webhook_signature_base(url, digest, media_type, &params);
    key.verify(base.as_bytes(), &signed.signature).map_err(|_| WebhookError::Signature)?;
    event(body, relying_party)
}

/// The value of a header that stands once.
fn header<'a>(headers: &[(&str, &'a str)], name: &'static str) -> Result<&'a str, WebhookError> {
    let mut found = headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) if value.len() <= VALUE_BYTES_MAX => Ok(value.trim()),
        _ => Err(WebhookError::Header(name)),
    }
}

/// RFC 9530 §2, with SHA-256 alone.
fn check_digest(value: &str, body: &[u8]) -> Result<(), WebhookError> {
    let digests: Dictionary = Parser::new(value).parse().map_err(|_| WebhookError::Digest)?;
    let digest = digests.get("sha-256").filter(|_| digests.len() == 1).and_then(bytes);
    let same = digest.is_some_and(|digest| *digest == *Sha256::digest(body));
    if same && body.len() <= BODY_BYTES_MAX { Ok(()) } else { Err(WebhookError::Digest) }
}

/// What the two headers say, before it is believed.
struct Signed {
    created: u64,
    keyid: String,
    signature: Signature,
}

impl Signed {
    /// Finds the one signature with our tag: a proxy on the way may add others.
    fn read(input: &str, signatures: &str) -> Result<Self, WebhookError> {
        let dictionary = |value| Parser::new(value).parse::<Dictionary>().map_err(|_| WebhookError::Form);
        let (inputs, signatures) = (dictionary(input)?, dictionary(signatures)?);
        let mut ours = inputs.iter().filter_map(|(label, entry)| match entry {
            ListEntry::InnerList(list) if text(list.params.get("tag")) == Some(WEBHOOK_TAG) => {
                Some((label, list))
            }
            _ => None,
        });
        let (Some((label, list)), None) = (ours.next(), ours.next()) else { return Err(WebhookError::Form) };
        let (created, keyid) = parameters(list).ok_or(WebhookError::Form)?;
        let signature = signatures.get(label).and_then(bytes);
        let signature = signature.and_then(|bytes| Signature::from_slice(bytes).ok());
        Ok(Self { created, keyid, signature: signature.ok_or(WebhookError::Form)? })
    }
}

/// Time and key of a signature that covers what the server's cover, in the same order, with the same parameters.
fn parameters(list: &InnerList) -> Option<(u64, String)> {
    let covered = list.items.iter().map(|item| {
        let name = match &item.bare_item {
            BareItem::String(name) => Some(name.as_str()),
            _ => None,
        };
        name.filter(|_| item.params.is_empty())
    });
    let names = list.params.keys().map(|name| name.as_str());
    let same = covered.eq(WEBHOOK_COMPONENTS.map(Some)) && names.eq(["created", "keyid", "alg", "tag"]);
    let created = match list.params.get("created") {
        Some(BareItem::Integer(created)) => u64::try_from(i64::from(*created)).ok()?,
        _ => return None,
    };
    let keyid = text(list.params.get("keyid"))?;
    (same && text(list.params.get("alg")) == Some(WEBHOOK_ALGORITHM)).then(|| (created, keyid.to_owned()))
}

fn text(item: Option<&BareItem>) -> Option<&str> {
    match item {
        Some(BareItem::String(text)) => Some(text.as_str()),
        _ => None,
    }
}

fn bytes(entry: &ListEntry) -> Option<&Vec<u8>> {
    match entry {
        ListEntry::Item(item) if item.params.is_empty() => match &item.bare_item {
            BareItem::ByteSequence(bytes) => Some(bytes),
            _ => None,
        },
        _ => None,
    }
}

/// The key of a JWK.
fn point(jwk: &PublicJwk) -> Option<VerifyingKey> {
    let is = |value: &Option<String>, wanted: &str| value.as_deref().is_none_or(|value| value == wanted);
    if jwk.kty != "EC" || jwk.crv != "P-256" || !is(&jwk.alg, "ES256") || !is(&jwk.key_use, "sig") {
        return None;
    }
    let coordinate = |text: &str| <[u8; 32]>::try_from(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let point = [&[4][..], &coordinate(&jwk.x)?, &coordinate(&jwk.y)?].concat();
    VerifyingKey::from_sec1_bytes(&point).ok()
}

fn event(body: &[u8], relying_party: RelyingPartyId) -> Result<WebhookEvent, WebhookError> {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let kind: Kind = serde_json::from_slice(body).map_err(|_| WebhookError::Event)?;
    if kind.kind != REQUEST_ENDED {
        return Err(WebhookError::OtherEvent);
    }
    let event: RequestEnded = serde_json::from_slice(body).map_err(|_| WebhookError::Event)?;
    if event.relyingparty != relying_party {
        return Err(WebhookError::OtherRelyingParty);
    }
    let time = event.time.parse::<DateTime>().ok().filter(|_| event.specversion == CLOUDEVENTS_VERSION);
    let time = time.ok_or(WebhookError::Event)?;
    let sequence =
        event.sequence.parse().ok().filter(|_| event.sequence.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(WebhookEvent {
        id: event.id,
        source: event.source,
        request: event.subject,
        status: event.data.status,
        time: UnixSeconds(time.unix_duration().as_secs()),
        sequence: sequence.ok_or(WebhookError::Event)?,
    })
}
