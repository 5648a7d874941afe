//! Delivery of events to webhooks: what is due is sent, many at once, until it is delivered or a day old.

pub(crate) mod address;
mod sender;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use signer_core::ids::RequestId;
use tokio::task::JoinSet;

pub(crate) use self::sender::Sender;
use crate::{
    service::{Service, ServiceResult},
    store::DueDelivery,
};

/// Most deliveries under way, and most of one address: sixty-four receivers that never answer do not hold up the others.
const UNDER_WAY_MAX: usize = 256;
const EACH_MAX: usize = 4;
/// How often the store is asked for what is due, when nothing says that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Delivers for ever. Dropped at any moment: what was not recorded as delivered is sent again after the next start.
pub(crate) async fn deliver(service: Arc<Service>, sender: Arc<Sender>) {
    let mut under_way = UnderWay::default();
    loop {
        if let Err(error) = under_way.start_due(&service, &sender).await {
            tracing::error!(%error, "webhooks wait");
        }
        tokio::select! {
            () = under_way.one_ended(), if !under_way.tasks.is_empty() => {}
            () = service.request_ended() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

type Key = (RequestId, i64);

#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Key>,
    keys: HashSet<Key>,
    of_address: HashMap<i64, usize>,
}

impl UnderWay {
    async fn start_due(&mut self, service: &Arc<Service>, sender: &Arc<Sender>) -> ServiceResult<()> {
        if self.tasks.len() >= UNDER_WAY_MAX {
            return Ok(());
        }
        for due in service.due_deliveries(EACH_MAX, UNDER_WAY_MAX * 2).await? {
            let key = (due.event.id, due.webhook);
            let of_address = self.of_address.get(&due.webhook).copied().unwrap_or_default();
            if self.tasks.len() < UNDER_WAY_MAX && of_address < EACH_MAX && self.keys.insert(key) {
                self.of_address.insert(due.webhook, of_address + 1);
                let (service, sender) = (Arc::clone(service), Arc::clone(sender));
                self.tasks.spawn(async move {
                    if let Err(error) = try_once(&service, &sender, &due).await {
                        tracing::error!(%error, event = %due.event.id, "a delivery was not recorded");
                        // It is due still: not at once again.
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    key
                });
            }
        }
        Ok(())
    }

    /// Waits until one has ended, and takes all that have.
    async fn one_ended(&mut self) {
        let mut ended = self.tasks.join_next().await;
        while let Some(joined) = ended {
            match joined {
                Ok(key) => self.forget(key),
                // A task does not panic; if one did, its place would be lost. All are: they are due again.
                Err(_) => *self = Self::default(),
            }
            ended = self.tasks.try_join_next();
        }
    }

    fn forget(&mut self, key: Key) {
        self.keys.remove(&key);
        if let Some(count) = self.of_address.get_mut(&key.1) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&key.1);
            }
        }
    }
}

async fn try_once(service: &Service, sender: &Sender, due: &DueDelivery) -> ServiceResult<()> {
    let sent = sender.send(service.sign_delivery(due).await?).await;
    service.metrics().deliveries.count([if sent.is_ok() { "delivered" } else { "failed" }]);
    if let Err(why) = &sent {
        tracing::info!(event = %due.event.id, webhook = due.webhook, why, "a webhook did not take an event");
    }
    service.settle_delivery(due, sent.is_ok()).await
}
