//! Webhooks of relying parties: addresses, events, deliveries.

use async_trait::async_trait;
use signer_core::{
    ids::{RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{DeliveryState, RequestStatus, WebhookDelivery},
};

use super::StoreResult;

/// An event: a request ended while its relying party had an address to be told at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookEventRow {
    /// The request, and so the event.
    pub id: RequestId,
    /// Whose request it was.
    pub relying_party: RelyingPartyId,
    /// Its place among the relying party's events, from 1.
    pub sequence: u64,
    /// How the request ended.
    pub status: RequestStatus,
    /// When.
    pub at: UnixSeconds,
}

/// A delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// What is told.
    pub event: WebhookEventRow,
    /// Number of the address.
    pub webhook: i64,
    /// The address.
    pub url: String,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it is given up.
    pub until: UnixSeconds,
}

/// How a try to deliver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// The event.
    pub event: RequestId,
    /// Number of the address.
    pub webhook: i64,
    /// [`DueDelivery::attempts`] before this try: if it is another now, the delivery was started anew meanwhile, and nothing
    /// is recorded.
    pub attempts: u32,
    /// What it is now.
    pub state: DeliveryState,
    /// When it is due again; for [`DeliveryState::Waiting`] alone.
    pub next: Option<UnixSeconds>,
}

/// Webhooks. The event of a request is written in the transaction that ends it, with a delivery to each address its relying
/// party has then.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Replaces a relying party's addresses; those that stay keep their deliveries. False if there is no such relying party, or
    /// it is revoked.
    async fn put_webhooks(
        &self,
        relying_party: RelyingPartyId,
        urls: Vec<String>,
        now: UnixSeconds,
    ) -> StoreResult<bool>;

    /// A relying party's addresses, in the order they were registered. None if there is no such relying party.
    async fn webhooks(&self, relying_party: RelyingPartyId) -> StoreResult<Option<Vec<String>>>;

    /// Deliveries that are due, the longest due first: of each address at most `each`, so that a slow one does not hide the
    /// others, and at most `limit`.
    async fn due_deliveries(&self, now: UnixSeconds, each: u32, limit: u32) -> StoreResult<Vec<DueDelivery>>;

    /// How many deliveries wait, due or not.
    async fn deliveries_waiting(&self) -> StoreResult<u64>;

    /// Records how a try ended.
    async fn settle_delivery(&self, tried: Tried, now: UnixSeconds) -> StoreResult<()>;

    /// A relying party's events after a place, in order, at most `limit`, each with its deliveries.
    async fn webhook_events(
        &self,
        relying_party: RelyingPartyId,
        after: u64,
        limit: u32,
    ) -> StoreResult<Vec<(WebhookEventRow, Vec<WebhookDelivery>)>>;

    /// Starts the delivery of an event anew, to the addresses there are now, until `until`. How many they are; none if it is
    /// not an event of this relying party.
    async fn replay(
        &self,
        relying_party: RelyingPartyId,
        event: RequestId,
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> StoreResult<Option<usize>>;
}
