//! Figures for Prometheus: `spec/metrics.md` lists them. Each part of the server owns what it counts; here they get their names
//! and are written out. Labels are routes, codes and verdicts of closed lists, never ids or names.
//!
//! | file | what |
//! |---|---|
//! | `histogram` | a histogram that can be read |
//! | `http` | calls and connections |
//! | `acts` | what the service and the register did |
//! | `figures` | some of it as JSON, for the operator's page |
//! | `gauges` | how things stand, read when somebody asks |
//! | `process` | memory, files and CPU of the process |

mod acts;
mod figures;
mod gauges;
mod histogram;
mod http;
mod process;

use std::{borrow::Cow, fmt, net::SocketAddr};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, info::Info},
    registry::Registry,
};

pub use self::{
    acts::{RegisterMetrics, ServiceMetrics},
    histogram::Histogram,
};
pub(crate) use self::{
    figures::Figures,
    http::{HttpMetrics, Route},
};
use self::{gauges::Gauges, process::Process};
use crate::service::Service;

/// Media type of [`Metrics::text`].
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A name and a value of each of `N` labels.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// Counters by labels of closed lists.
#[derive(Debug, Clone)]
pub struct Counts<const N: usize = 1> {
    names: [&'static str; N],
    family: Family<Labels<N>, Counter>,
}

impl<const N: usize> Counts<N> {
    /// Counters with labels of these names.
    #[must_use]
    pub fn new(names: [&'static str; N]) -> Self {
        Self { names, family: Family::default() }
    }

    /// Counts one.
    pub fn count<V: Into<Cow<'static, str>>>(&self, values: [V; N]) {
        self.family.get_or_create(&self.labels(values)).inc();
    }

    /// Counts many at once.
    #[cfg(feature = "otel")]
    pub(crate) fn count_many<V: Into<Cow<'static, str>>>(&self, values: [V; N], many: usize) {
        let many = u64::try_from(many).unwrap_or(u64::MAX);
        self.family.get_or_create(&self.labels(values)).inc_by(many);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self, values: [&'static str; N]) -> u64 {
        self.family.get(&self.labels(values)).map_or(0, |counter| counter.get())
    }

    /// Shows a zero from now on.
    pub fn start(&self, values: [&'static str; N]) {
        drop(self.family.get_or_create(&self.labels(values)));
    }

    pub(crate) fn family(&self) -> Family<Labels<N>, Counter> {
        self.family.clone()
    }

    fn labels<V: Into<Cow<'static, str>>>(&self, values: [V; N]) -> Labels<N> {
        let mut names = self.names.into_iter();
        values.map(|value| (names.next().unwrap_or_default(), value.into()))
    }
}

/// Time in the token that holds keys, by operation. Shown once there is one.
#[derive(Debug, Clone)]
pub struct HsmMetrics(Family<[(&'static str, &'static str); 2], Histogram>);

impl Default for HsmMetrics {
    fn default() -> Self {
        Self(Family::new_with_constructor(Histogram::seconds as fn() -> Histogram))
    }
}

impl HsmMetrics {
    /// Counts one operation: what it was and whether the token did it, both of closed lists.
    pub fn observe(&self, operation: &'static str, outcome: &'static str, time: std::time::Duration) {
        self.0.get_or_create(&[("operation", operation), ("outcome", outcome)]).observe_time(time);
    }
}

/// Everything that is measured, with its names.
pub(crate) struct Metrics {
    registry: Registry,
    http: HttpMetrics,
    gauges: Gauges,
    process: Process,
    /// Spans by what became of them.
    spans: Counts,
    /// This node, for people.
    node: String,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Metrics {
    /// Puts the figures of the parts together.
    pub(crate) fn new(service: &Service, hsm: &HsmMetrics, address: SocketAddr) -> Self {
        let (mut registry, http) = (Registry::with_prefix("signer"), HttpMetrics::default());
        let (gauges, process) = (Gauges::default(), Process::since(service.now()));
        registry.register(
            "build",
            "Version of this server",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        http.register(&mut registry);
        service.metrics().register(&mut registry);
        if let Some(register) = service.register_metrics() {
            register.register(&mut registry);
        }
        service.store_metrics().register(&mut registry);
        registry.register("hsm_seconds", "Time of an operation of the token", hsm.0.clone());
        let spans = Counts::new(["outcome"]);
        for outcome in ["exported", "not_taken", "no_place"] {
            spans.start([outcome]);
        }
        registry.register("trace_spans", "Spans of traces by what became of them", spans.family());
        gauges.register(&mut registry);
        let node = format!("{} {address}", process::machine());
        Self { registry, http, gauges, process, spans, node }
    }

    pub(crate) const fn http(&self) -> &HttpMetrics {
        &self.http
    }

    /// Spans of traces by what became of them.
    pub(crate) const fn spans(&self) -> &Counts {
        &self.spans
    }

    /// How everything stands now, in the text form of OpenMetrics 1.0, which Prometheus reads.
    pub(crate) async fn text(&self, service: &Service) -> String {
        self.gauges.refresh(service).await;
        self.process.refresh();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _written = text::encode_registry(&mut text, &self.registry);
        let mut of_process = Registry::default();
        self.process.register(&mut of_process);
        let _written = text::encode(&mut text, &of_process);
        text
    }
}
