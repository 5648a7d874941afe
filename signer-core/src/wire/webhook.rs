//! Webhooks: JSON bodies, and what the server signs of each delivery (RFC 9421).

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{PublicJwk, RequestStatus};
use crate::ids::{RelyingPartyId, RequestId};

/// Most addresses of one relying party.
pub const WEBHOOKS_MAX: usize = 4;
/// Longest address, bytes.
pub const WEBHOOK_URL_BYTES_MAX: usize = 500;
/// How long an event is kept and can be sent again, seconds.
pub const WEBHOOK_EVENT_SECONDS: u64 = 7 * 86_400;
/// Most events of one page.
pub const WEBHOOK_EVENTS_MAX: u32 = 100;

/// Media type of a delivery: CloudEvents 1.0 in structured mode.
pub const WEBHOOK_MEDIA_TYPE: &str = "application/cloudevents+json";
/// `specversion` of its events.
pub const CLOUDEVENTS_VERSION: &str = "1.0";
/// `type` of the one event there is.
pub const REQUEST_ENDED: &str = "signer.request.ended.v1";

/// Name of the signature in `Signature-Input` and `Signature`.
pub const WEBHOOK_LABEL: &str = "signer";
/// `alg` of the signature (RFC 9421 §3.3.4).
pub const WEBHOOK_ALGORITHM: &str = "ecdsa-p256-sha256";
/// `tag` of the signature: what it is for.
pub const WEBHOOK_TAG: &str = "signer-webhook-v1";
/// What is signed of the message, in this order.
pub const WEBHOOK_COMPONENTS: [&str; 4] = ["@method", "@target-uri", "content-digest", "content-type"];

/// `PUT /v1/webhooks`, and the reply to `GET`: where the relying party is told. The list replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Addresses, at most [`WEBHOOKS_MAX`].
    #[cfg_attr(feature = "openapi", schema(max_items = 4))]
    pub urls: Vec<String>,
}

/// `GET /v1/webhook-keys`: the keys that sign deliveries, a JWK set (RFC 7517 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookKeys {
    /// Public keys; `kid` is the thumbprint of RFC 7638.
    pub keys: Vec<PublicJwk>,
}

/// A request ended: a CloudEvent 1.0. It holds nothing of the person and no signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestEnded {
    /// [`CLOUDEVENTS_VERSION`].
    pub specversion: String,
    /// Tells events apart: the same in every delivery of one event. A request ends once, so it is the request's.
    pub id: RequestId,
    /// The server: its public URL.
    pub source: String,
    /// [`REQUEST_ENDED`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The request.
    pub subject: RequestId,
    /// Whose request it was: an extension attribute. Anybody can have their own events sent to an address of another's.
    pub relyingparty: RelyingPartyId,
    /// When it ended, RFC 3339.
    pub time: String,
    /// Its place among the relying party's events: 20 digits. Deliveries may come in another order.
    pub sequence: String,
    /// `Integer`.
    pub sequencetype: String,
    /// `application/json`.
    pub datacontenttype: String,
    /// How it ended.
    pub data: RequestEnd,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestEnd {
    /// Any state but `open`.
    pub status: RequestStatus,
}

/// What became of an event at one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookDelivery {
    /// The address.
    pub url: String,
    /// State.
    pub state: DeliveryState,
    /// How often it was tried in vain.
    pub attempts: u32,
}

/// State of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be tried, or is being tried.
    Waiting,
    /// The receiver said that it has it.
    Delivered,
    /// Given up.
    Failed,
}

/// One event of `GET /v1/webhook-events?after=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookEvent {
    /// As it is sent.
    pub event: RequestEnded,
    /// At every address it was meant for and that is still registered.
    pub deliveries: Vec<WebhookDelivery>,
}

/// `GET /v1/webhook-events?after=`: the relying party's events after a place, in order, at most [`WEBHOOK_EVENTS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookEvents {
    /// The events.
    pub events: Vec<WebhookEvent>,
    /// `after` of the next page: the place of the last event here, or as asked if there is none.
    pub after: u64,
}

/// Value of `Signature-Input` behind the label: what is covered, and the parameters (RFC 9421 §2.3).
#[must_use]
pub fn webhook_signature_params(created: u64, keyid: &str) -> String {
    let [method, target, digest, media_type] = WEBHOOK_COMPONENTS;
    format!(
        "(\"{method}\" \"{target}\" \"{digest}\" \"{media_type}\");created={created};keyid=\"{keyid}\";alg=\"{WEBHOOK_ALGORITHM}\";tag=\"{WEBHOOK_TAG}\""
    )
}

/// The signature base of a delivery (RFC 9421 §2.5): a POST to `url` with these two header values. None of the arguments may
/// hold a line break; checked URLs, digests and media types do not.
#[must_use]
pub fn webhook_signature_base(url: &str, content_digest: &str, content_type: &str, params: &str) -> String {
    let [method, target, digest, media_type] = WEBHOOK_COMPONENTS;
    format!(
        "\"{method}\": POST\n\"{target}\": {url}\n\"{digest}\": {content_digest}\n\"{media_type}\": {content_type}\n\"@signature-params\": {params}"
    )
}
