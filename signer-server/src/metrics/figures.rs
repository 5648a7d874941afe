//! The figures of this node as the operator's page shows them.

use serde::Serialize;

use super::Metrics;
use crate::service::{Service, Unready};

/// A node's figures at one moment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(title = "Figures")]
pub(crate) struct Figures {
    /// The node: the machine's name and the address that is called.
    node: String,
    /// Version of the server.
    version: &'static str,
    /// Time of the server, Unix seconds.
    time: u64,
    /// When the process started, Unix seconds. Another start, other counts.
    started: i64,
    /// Why it should get no calls; empty if it should: see `/health/ready`.
    #[schema(value_type = Vec<String>)]
    unready: Vec<Unready>,
    /// Counted since the start.
    totals: Totals,
    /// How it stands.
    now: Now,
    /// Answers by time, since the start.
    call_seconds: Vec<Bucket>,
}

/// Counted since the start.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Totals {
    /// Calls that were answered.
    calls: u64,
    /// Of them with a status from 400 to 499.
    refused: u64,
    /// Of them with a status from 500 on, those that were too many included.
    failed: u64,
    /// Signatures given out.
    signatures: u64,
    /// Wrong PINs.
    wrong_pins: u64,
    /// Keys that ended for good.
    keys_ended: u64,
    /// Codes that verifiers asked about and found good.
    codes_good: u64,
    /// Transactions.
    commits: u64,
    /// Acts in them.
    acts: u64,
}

/// How a node stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Now {
    /// Open connections.
    connections: i64,
    /// Calls worked on.
    turns: usize,
    /// Most of them.
    turns_max: usize,
    /// Streams and long polls that wait.
    waiting: usize,
    /// Acts that wait for the store.
    store_waiting: usize,
    /// Entries of the audit log.
    audit_entries: i64,
    /// Since a checkpoint covered all of them, seconds.
    checkpoint_age: u64,
    /// Deliveries of webhooks that wait.
    webhooks_waiting: i64,
    /// Memory of the process, bytes; 0 if not known.
    memory: i64,
    /// Whether the node does what one does for all.
    leads: bool,
}

/// Answers that took at most so long, and longer than the bucket before.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Bucket {
    /// Seconds; absent for the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    /// How many.
    count: u64,
}

impl Metrics {
    /// The figures of this node now.
    pub(crate) async fn figures(&self, service: &Service) -> Figures {
        self.gauges.refresh(service).await;
        self.process.refresh();
        let class = |number: usize| self.http.classes.get(number).map_or(0, |class| class.get());
        let (acts, store) = (service.metrics(), service.store_metrics());
        let places = service.places_taken();
        let turns =
            places.iter().find(|(kind, ..)| *kind == "turns").map_or((0, 0), |turns| (turns.1, turns.2));
        let waiting = places.iter().filter(|(kind, ..)| *kind != "turns").map(|(_, taken, _)| taken).sum();
        let load = service.store_load();
        Figures {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION"),
            time: service.now().0,
            started: self.process.started(),
            unready: service.unready().await,
            totals: Totals {
                calls: (1..=5).map(class).sum(),
                refused: class(4),
                failed: class(5),
                signatures: acts.signatures.get(),
                wrong_pins: acts.evaluations.get(["wrong_pin"]),
                keys_ended: acts.keys_ended.get(["wrong_pins"]) + acts.keys_ended.get(["cheating"]),
                codes_good: acts.codes.get(["green", "valid"]),
                commits: store.commits.get(),
                acts: store.acts.get(),
            },
            now: Now {
                connections: self.http.connections.get(),
                turns: turns.0,
                turns_max: turns.1,
                waiting,
                store_waiting: load.waiting,
                audit_entries: self.gauges.audit_entries(),
                checkpoint_age: service.checkpoint_age().as_secs(),
                webhooks_waiting: self.gauges.webhooks_waiting(),
                memory: self.process.memory(),
                leads: load.leads,
            },
            call_seconds: self.http.all.buckets().into_iter().map(bucket).collect(),
        }
    }
}

fn bucket((bound, count): (f64, u64)) -> Bucket {
    Bucket { at_most: bound.is_finite().then_some(bound), count }
}
