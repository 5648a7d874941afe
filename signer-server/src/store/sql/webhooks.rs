//! Webhooks. Events come from the trigger `request_ended`: no way to end a request passes it by.

use async_trait::async_trait;
use signer_core::{
    ids::{RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{DeliveryState, RequestStatus, WebhookDelivery},
};

use super::{
    Engine,
    columns::{corrupt, get_time, get_u64, int, time},
    db::{Db, Row, all, execute, first, params},
    requests::ended,
};
use crate::store::{DueDelivery, StoreResult, Tried, WebhookEventRow, Webhooks};

#[async_trait]
impl<E: Engine> Webhooks for E {
    async fn put_webhooks(
        &self,
        relying_party: RelyingPartyId,
        urls: Vec<String>,
        now: UnixSeconds,
    ) -> StoreResult<bool> {
        self.write(now, move |db| put(db, relying_party, &urls)).await
    }

    async fn webhooks(&self, relying_party: RelyingPartyId) -> StoreResult<Option<Vec<String>>> {
        self.read(move |db| urls(db, relying_party)).await
    }

    async fn due_deliveries(&self, now: UnixSeconds, each: u32, limit: u32) -> StoreResult<Vec<DueDelivery>> {
        self.read(move |db| due(db, now, each, limit)).await
    }

    async fn deliveries_waiting(&self) -> StoreResult<u64> {
        let sql = "SELECT count(*) FROM webhook_delivery WHERE next IS NOT NULL";
        self.read(move |db| Ok(first(db, sql, [], |row| get_u64(row, 0))?.unwrap_or_default())).await
    }

    async fn settle_delivery(&self, tried: Tried, now: UnixSeconds) -> StoreResult<()> {
        self.write(now, move |db| settle(db, &tried)).await
    }

    async fn webhook_events(
        &self,
        relying_party: RelyingPartyId,
        after: u64,
        limit: u32,
    ) -> StoreResult<Vec<(WebhookEventRow, Vec<WebhookDelivery>)>> {
        self.read(move |db| events(db, relying_party, after, limit)).await
    }

    async fn replay(
        &self,
        relying_party: RelyingPartyId,
        event: RequestId,
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> StoreResult<Option<usize>> {
        self.write(now, move |db| replay(db, relying_party, event, until, now)).await
    }
}

fn put(db: &Db<'_>, party: RelyingPartyId, urls: &[String]) -> StoreResult<bool> {
    let living = "SELECT 1 FROM relying_party WHERE id = ?1 AND revoked = 0";
    if first(db, living, [party.as_bytes()], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    let before = "SELECT id, url FROM webhook WHERE relying_party = ?1";
    let before = all(db, before, [party.as_bytes()], |row| Ok((row.get::<i64>(0)?, row.get(1)?)))?;
    for (id, url) in before {
        if !urls.contains(&url) {
            execute(db, "DELETE FROM webhook WHERE id = ?1", [id])?;
        }
    }
    for url in urls {
        let sql = "INSERT INTO webhook (relying_party, url) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        execute(db, sql, (party.as_bytes(), url))?;
    }
    Ok(true)
}

/// Forgets the addresses of a relying party, with what they were still to be told, and its events.
pub(super) fn forget_all_of(db: &Db<'_>, party: RelyingPartyId) -> StoreResult<()> {
    execute(db, "DELETE FROM webhook WHERE relying_party = ?1", [party.as_bytes()])?;
    execute(db, "DELETE FROM webhook_event WHERE relying_party = ?1", [party.as_bytes()]).map(|_| ())
}

fn urls(db: &Db<'_>, party: RelyingPartyId) -> StoreResult<Option<Vec<String>>> {
    let known = first(db, "SELECT 1 FROM relying_party WHERE id = ?1", [party.as_bytes()], |_| Ok(()))?;
    if known.is_none() {
        return Ok(None);
    }
    let sql = "SELECT url FROM webhook WHERE relying_party = ?1 ORDER BY id";
    all(db, sql, [party.as_bytes()], |row| row.get(0)).map(Some)
}

fn due(db: &Db<'_>, now: UnixSeconds, each: u32, limit: u32) -> StoreResult<Vec<DueDelivery>> {
    let sql = "SELECT e.id, e.relying_party, e.sequence, e.status, e.at, w.id, w.url, d.attempts, d.until
        FROM webhook AS w JOIN webhook_delivery AS d ON d.webhook = w.id JOIN webhook_event AS e ON e.id = d.event
        WHERE d.next IS NOT NULL AND d.event IN
            (SELECT event FROM webhook_delivery WHERE webhook = w.id AND next <= ?1 ORDER BY next LIMIT ?2)
        ORDER BY d.next LIMIT ?3";
    all(db, sql, (time(now), each, limit), |row| {
        Ok(DueDelivery {
            event: event(row)?,
            webhook: row.get(5)?,
            url: row.get(6)?,
            attempts: row.get(7)?,
            until: get_time(row, 8)?,
        })
    })
}

/// Nothing is touched if the address is gone, or the delivery was started anew.
fn settle(db: &Db<'_>, tried: &Tried) -> StoreResult<()> {
    let failed = u32::from(tried.state != DeliveryState::Delivered);
    let sql = "UPDATE webhook_delivery SET state = ?4, attempts = attempts + ?5, next = ?6
        WHERE event = ?1 AND webhook = ?2 AND attempts = ?3 AND next IS NOT NULL";
    let (event, next) = (tried.event.as_bytes(), tried.next.map(time));
    let params = params![event, tried.webhook, tried.attempts, number(tried.state), failed, next];
    execute(db, sql, params).map(|_| ())
}

fn events(
    db: &Db<'_>,
    party: RelyingPartyId,
    after: u64,
    limit: u32,
) -> StoreResult<Vec<(WebhookEventRow, Vec<WebhookDelivery>)>> {
    let sql = "SELECT id, relying_party, sequence, status, at FROM webhook_event
        WHERE relying_party = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
    let events = all(db, sql, (party.as_bytes(), int(after)?, limit), event)?;
    events.into_iter().map(|event| Ok((event, deliveries(db, event.id)?))).collect()
}

fn deliveries(db: &Db<'_>, event: RequestId) -> StoreResult<Vec<WebhookDelivery>> {
    let sql =
        "SELECT url, state, attempts FROM webhook_delivery JOIN webhook ON id = webhook WHERE event = ?1
        ORDER BY id";
    all(db, sql, [event.as_bytes()], |row| {
        Ok(WebhookDelivery { url: row.get(0)?, state: state(row.get(1)?)?, attempts: row.get(2)? })
    })
}

fn replay(
    db: &Db<'_>,
    party: RelyingPartyId,
    event: RequestId,
    until: UnixSeconds,
    now: UnixSeconds,
) -> StoreResult<Option<usize>> {
    let own = "SELECT 1 FROM webhook_event WHERE id = ?1 AND relying_party = ?2";
    if first(db, own, (event.as_bytes(), party.as_bytes()), |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    // What still waits keeps its end: sent again and again it would never be given up.
    let sql = "INSERT INTO webhook_delivery (event, webhook, state, attempts, next, until)
        SELECT ?1, id, 0, 0, ?3, ?4 FROM webhook WHERE relying_party = ?2
        ON CONFLICT (event, webhook) DO UPDATE SET state = 0, next = ?3,
            attempts = CASE WHEN webhook_delivery.next IS NULL THEN 0 ELSE webhook_delivery.attempts END,
            until = CASE WHEN webhook_delivery.next IS NULL THEN ?4 ELSE webhook_delivery.until END";
    execute(db, sql, (event.as_bytes(), party.as_bytes(), time(now), time(until))).map(Some)
}

fn event(row: &Row<'_>) -> StoreResult<WebhookEventRow> {
    Ok(WebhookEventRow {
        id: RequestId::from_bytes(row.get(0)?),
        relying_party: RelyingPartyId::from_bytes(row.get(1)?),
        sequence: get_u64(row, 2)?,
        status: status(row.get(3)?)?,
        at: get_time(row, 4)?,
    })
}

fn status(number: u8) -> StoreResult<RequestStatus> {
    ended(number).ok_or_else(|| corrupt("how a request ended"))
}

fn state(number: u8) -> StoreResult<DeliveryState> {
    match number {
        0 => Ok(DeliveryState::Waiting),
        1 => Ok(DeliveryState::Delivered),
        2 => Ok(DeliveryState::Failed),
        _ => Err(corrupt("the state of a delivery")),
    }
}

const fn number(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Waiting => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Failed => 2,
    }
}
