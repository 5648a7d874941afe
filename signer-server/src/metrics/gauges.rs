//! How things stand: read when somebody asks, not kept up to date meanwhile.

use std::time::{Duration, Instant};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::sync::Mutex;

use crate::{
    service::Service,
    store::{StoreLoad, StoreResult},
};

/// How often the store is read, however often someone asks.
const READ_EVERY: Duration = Duration::from_secs(2);

/// Gauges.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    places: Family<[(&'static str, &'static str); 1], Gauge>,
    places_max: Family<[(&'static str, &'static str); 1], Gauge>,
    store_waiting: Gauge,
    store_connections: Gauge,
    store_connections_max: Gauge,
    leads: Gauge,
    ready: Gauge,
    hsm_works: Gauge,
    register_left_alone: Gauge,
    audit_entries: Gauge,
    checkpoint_entries: Gauge,
    checkpoint_age: Gauge,
    webhooks_waiting: Gauge,
    miss_alarm: Gauge,
    read: Mutex<Option<Instant>>,
}

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("places_taken", "Places in use, by what they are for", self.places.clone());
        registry.register("places_max", "Most places, by what they are for", self.places_max.clone());
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("store_waiting", "Acts that wait for the store", &self.store_waiting);
        gauge("store_connections", "Connections to the database in use", &self.store_connections);
        gauge("store_connections_max", "Most connections to the database", &self.store_connections_max);
        gauge("leads", "Whether this node does what one does for all", &self.leads);
        gauge("ready", "Whether this node takes calls", &self.ready);
        gauge("hsm_works", "Whether the token worked a moment ago; 1 where there is none", &self.hsm_works);
        gauge("register_left_alone", "Whether the register is left alone", &self.register_left_alone);
        gauge("audit_entries", "Entries of the audit log", &self.audit_entries);
        gauge("audit_checkpoint_entries", "Entries under its newest checkpoint", &self.checkpoint_entries);
        gauge(
            "audit_checkpoint_age_seconds",
            "Since a checkpoint covered the whole log",
            &self.checkpoint_age,
        );
        gauge("webhooks_waiting", "Deliveries that wait", &self.webhooks_waiting);
        gauge("miss_alarm", "Whether short codes are being guessed", &self.miss_alarm);
    }

    /// Entries of the audit log, as last read.
    pub(super) fn audit_entries(&self) -> i64 {
        self.audit_entries.get()
    }

    /// Deliveries that wait, as last read.
    pub(super) fn webhooks_waiting(&self) -> i64 {
        self.webhooks_waiting.get()
    }

    /// Reads anew; what the store does not say stays as it was.
    pub(super) async fn refresh(&self, service: &Service) {
        for (kind, taken, most) in service.places_taken() {
            self.places.get_or_create(&[("kind", kind)]).set(number(taken));
            self.places_max.get_or_create(&[("kind", kind)]).set(number(most));
        }
        let StoreLoad { waiting, connections, connections_max, leads } = service.store_load();
        self.store_waiting.set(number(waiting));
        self.store_connections.set(number(connections));
        self.store_connections_max.set(number(connections_max));
        self.leads.set(leads.into());
        self.hsm_works.set(service.token_works().into());
        self.register_left_alone.set(service.register_left_alone().into());
        let age = service.checkpoint_age().as_secs();
        self.checkpoint_age.set(i64::try_from(age).unwrap_or(i64::MAX));
        self.ready.set(service.unready().await.is_empty().into());
        let mut read = self.read.lock().await;
        if read.is_none_or(|at| at.elapsed() >= READ_EVERY) {
            *read = Some(Instant::now());
            if let Err(error) = self.read(service).await {
                tracing::warn!(%error, "figures of the store are not known");
            }
        }
    }

    async fn read(&self, service: &Service) -> StoreResult<()> {
        let found = service.store_figures().await?;
        self.audit_entries.set(number(found.audit_entries));
        self.checkpoint_entries.set(number(found.checkpoint_entries));
        self.webhooks_waiting.set(number(found.webhooks_waiting));
        self.miss_alarm.set(found.miss_alarm.into());
        Ok(())
    }
}

fn number<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
