//! Webhooks: relying parties are told that their requests ended. Deliveries are signed by RFC 9421 with a key of their own, and
//! say nothing of the person.

use std::time::Duration;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use p256::ecdsa::VerifyingKey;
use sha2::{Digest as _, Sha256};
use signer_core::{
    ids::{RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{
        CLOUDEVENTS_VERSION, DeliveryState, ProblemCode, PublicJwk, REQUEST_ENDED, RequestEnd, RequestEnded,
        WEBHOOK_EVENTS_MAX, WEBHOOK_LABEL, WEBHOOK_MEDIA_TYPE, WEBHOOKS_MAX, WebhookEvent, WebhookEvents,
        WebhookKeys, Webhooks, webhook_signature_base, webhook_signature_params,
    },
};
use x509_cert::der::DateTime;

use super::{KeyPurpose, Refusal, Service, ServiceError, ServiceResult, own_key::OwnKey};
use crate::{
    store::{DueDelivery, Tried, WebhookEventRow},
    webhooks::address,
};

/// How long a delivery is tried, seconds. The trigger `request_ended` knows it too.
const TRY_SECONDS: u64 = 86_400;
/// Wait after the first try in vain, and the longest, seconds. Each is twice the one before; the later half is drawn.
const BACKOFF_SECONDS: (u64, u64) = (10, 3_600);

/// A delivery, ready to be sent by POST.
pub(crate) struct SignedDelivery {
    pub(crate) url: String,
    pub(crate) headers: [(&'static str, String); 4],
    pub(crate) body: Vec<u8>,
}

impl Service {
    /// Where a relying party is told.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn webhooks(&self, party: RelyingPartyId) -> ServiceResult<Webhooks> {
        let urls = self.store.webhooks(party).await?;
        let urls = urls.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        Ok(Webhooks { urls })
    }

    /// Replaces the addresses of a relying party. What was still to be told at one that goes is not told.
    ///
    /// # Errors
    /// `invalid_value`, saying what is wrong with an address; `not_found`.
    pub async fn put_webhooks(&self, party: RelyingPartyId, asked: Webhooks) -> ServiceResult<Webhooks> {
        let invalid = |text: &str| Refusal::because(ProblemCode::InvalidValue, text);
        let urls = &asked.urls;
        if urls.len() > WEBHOOKS_MAX {
            return Err(invalid("urls has at most 4 addresses").into());
        }
        for (place, url) in urls.iter().enumerate() {
            address::check(url, self.webhooks_private).map_err(invalid)?;
            if urls.iter().take(place).any(|before| before == url) {
                return Err(invalid("urls names an address twice").into());
            }
        }
        if !self.store.put_webhooks(party, asked.urls, self.now()).await? {
            return Err(Refusal::new(ProblemCode::NotFound).into());
        }
        tracing::info!(relying_party = %party, "webhooks set");
        self.webhooks(party).await
    }

    /// A relying party's events of the last 7 days, after a place.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn webhook_events(&self, party: RelyingPartyId, after: u64) -> ServiceResult<WebhookEvents> {
        let after = after.min(i64::MAX.unsigned_abs());
        let rows = self.store.webhook_events(party, after, WEBHOOK_EVENTS_MAX).await?;
        let last = rows.last().map_or(after, |(row, _)| row.sequence);
        let event = |(row, deliveries)| Ok(WebhookEvent { event: self.event(&row)?, deliveries });
        let events = rows.into_iter().map(event).collect::<ServiceResult<_>>()?;
        Ok(WebhookEvents { events, after: last })
    }

    /// Delivers an event again, to every address its relying party has now.
    ///
    /// # Errors
    /// `not_found`, for others' events too; `invalid_value` if there is no address.
    pub async fn replay_webhook_event(&self, party: RelyingPartyId, event: RequestId) -> ServiceResult<()> {
        let now = self.now();
        match self.store.replay(party, event, now.plus(TRY_SECONDS), now).await? {
            None => Err(Refusal::new(ProblemCode::NotFound).into()),
            Some(0) => {
                let text = "no webhook is registered: register one first";
                Err(Refusal::because(ProblemCode::InvalidValue, text).into())
            }
            Some(_) => {
                self.watch.end();
                Ok(())
            }
        }
    }

    /// The keys that sign deliveries: in use, waiting, or followed by another a moment ago.
    #[must_use]
    pub fn webhook_keys(&self) -> WebhookKeys {
        WebhookKeys { keys: self.keys.living(KeyPurpose::Webhook, self.now()).iter().map(jwk).collect() }
    }

    /// Waits until a request ends on this node, or an event is to be sent again.
    pub(crate) async fn request_ended(&self) {
        self.watch.ended().await;
    }

    /// What is due, on the node that delivers.
    pub(crate) async fn due_deliveries(&self, each: usize, limit: usize) -> ServiceResult<Vec<DueDelivery>> {
        if !self.store.leads() {
            return Ok(Vec::new());
        }
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(self.store.due_deliveries(self.now(), number(each), number(limit)).await?)
    }

    /// Makes and signs a delivery, for now.
    pub(crate) async fn sign_delivery(&self, due: &DueDelivery) -> ServiceResult<SignedDelivery> {
        let event = self.event(&due.event)?;
        let body = serde_json::to_vec(&event).map_err(|_| ServiceError::Bug("event to JSON"))?;
        signed(&self.keys.in_use(KeyPurpose::Webhook)?, &due.url, body, self.now()).await
    }

    /// Records how a try ended.
    pub(crate) async fn settle_delivery(&self, due: &DueDelivery, delivered: bool) -> ServiceResult<()> {
        let now = self.now();
        let next = now.plus(backoff(due.attempts, self.rng().next_u32()));
        let (state, next) = match delivered {
            true => (DeliveryState::Delivered, None),
            false if next < due.until => (DeliveryState::Waiting, Some(next)),
            false => (DeliveryState::Failed, None),
        };
        let (event, webhook, attempts) = (due.event.id, due.webhook, due.attempts);
        Ok(self.store.settle_delivery(Tried { event, webhook, attempts, state, next }, now).await?)
    }

    fn event(&self, row: &WebhookEventRow) -> ServiceResult<RequestEnded> {
        let time = DateTime::from_unix_duration(Duration::from_secs(row.at.0));
        let time = time.map_err(|_| ServiceError::Bug("time of an event"))?;
        Ok(RequestEnded {
            specversion: CLOUDEVENTS_VERSION.into(),
            id: row.id,
            source: self.oauth_issuer().into(),
            kind: REQUEST_ENDED.into(),
            subject: row.id,
            relyingparty: row.relying_party,
            time: time.to_string(),
            sequence: format!("{:020}", row.sequence),
            sequencetype: "Integer".into(),
            datacontenttype: "application/json".into(),
            data: RequestEnd { status: row.status },
        })
    }
}

/// A POST of `body` to `url`, signed (RFC 9421; RFC 9530 for the digest).
async fn signed(key: &OwnKey, url: &str, body: Vec<u8>, now: UnixSeconds) -> ServiceResult<SignedDelivery> {
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&body)));
    let params = webhook_signature_params(now.0, &thumbprint(key.verifying_key()));
    let base = webhook_signature_base(url, &digest, WEBHOOK_MEDIA_TYPE, &params);
    let signature = key.sign(base.as_bytes()).await?;
    let signature = format!("{WEBHOOK_LABEL}=:{}:", STANDARD.encode(signature));
    let headers = [
        ("content-type", WEBHOOK_MEDIA_TYPE.into()),
        ("content-digest", digest),
        ("signature-input", format!("{WEBHOOK_LABEL}={params}")),
        ("signature", signature),
    ];
    Ok(SignedDelivery { url: url.into(), headers, body })
}

/// Seconds to wait after a try in vain that had `attempts` before it.
fn backoff(attempts: u32, random: u32) -> u64 {
    let (first, longest) = BACKOFF_SECONDS;
    let whole = first.saturating_mul(1 << attempts.min(10)).min(longest);
    let half = whole / 2;
    // The remainder favours small waits by one part in a million.
    whole - half + u64::from(random) % (half + 1)
}

fn jwk(key: &VerifyingKey) -> PublicJwk {
    let (x, y) = coordinates(key);
    PublicJwk {
        kty: "EC".into(),
        crv: "P-256".into(),
        x,
        y,
        alg: Some("ES256".into()),
        key_use: Some("sig".into()),
        kid: Some(thumbprint(key)),
    }
}

/// The thumbprint of a key (RFC 7638 §3).
fn thumbprint(key: &VerifyingKey) -> String {
    let (x, y) = coordinates(key);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

fn coordinates(key: &VerifyingKey) -> (String, String) {
    let point = key.to_sec1_point(false);
    let coordinate = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
    (coordinate(point.as_bytes().get(1..33)), coordinate(point.as_bytes().get(33..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hok_006_waits_double_up_to_an_hour_and_are_drawn() {
        for (attempts, least, most) in
            [(0, 5, 10), (1, 10, 20), (8, 1_280, 2_560), (9, 1_800, 3_600), (99, 1_800, 3_600)]
        {
            assert_eq!(backoff(attempts, 0), least);
            assert_eq!((0..10_000).map(|random| backoff(attempts, random)).max(), Some(most));
        }
    }
}
