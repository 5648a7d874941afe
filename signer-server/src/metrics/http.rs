//! Calls by route and outcome, and connections.

use std::time::Instant;

use prometheus_client::{
    encoding::{EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Histogram;

/// One kind of call. The route is a template of the router's own, so there are as many as it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) template: String,
}

impl EncodeLabelSet for Route {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        [("method", self.method), ("route", &*self.template)].encode(encoder)
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ended {
    route: Route,
    /// 0 if the caller was gone before.
    status: u16,
    outcome: &'static str,
}

impl EncodeLabelSet for Ended {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        self.route.encode(encoder)?;
        let status = self.status.to_string();
        [("status", status.as_str()), ("outcome", self.outcome)].encode(encoder)
    }
}

/// Figures of the HTTP interface.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<Ended, Counter>,
    seconds: Family<Route, Histogram>,
    /// Being answered now.
    open: Gauge,
    /// Of all calls but long polls, for the operator's page.
    pub(crate) all: Histogram,
    /// Answers by the first digit of their status, for the same.
    pub(crate) classes: [Counter; 6],
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections that were closed unanswered, because there were too many.
    pub(crate) connections_refused: Counter,
    /// Bodies for which no memory was left.
    pub(crate) bodies_refused: Counter,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(Histogram::seconds),
            open: Gauge::default(),
            all: Histogram::seconds(),
            classes: Default::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            bodies_refused: Counter::default(),
        }
    }
}

impl HttpMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Calls by how they ended", self.requests.clone());
        registry.register(
            "http_request_seconds",
            "From the head of a call to that of its answer",
            self.seconds.clone(),
        );
        registry.register("http_requests_open", "Calls being answered", self.open.clone());
        registry.register("connections_open", "Open connections", self.connections.clone());
        registry.register(
            "connections_refused",
            "Connections closed at once, for there were too many",
            self.connections_refused.clone(),
        );
        registry.register(
            "bodies_refused",
            "Bodies for which no memory was left",
            self.bodies_refused.clone(),
        );
    }

    /// A call begins.
    pub(crate) fn begin(&self, route: Route) -> Call {
        self.open.inc();
        Call { metrics: self.clone(), route, begun: Instant::now(), ended: None }
    }
}

/// A call under way; dropped without an end, its caller hung up.
#[derive(Debug)]
pub(crate) struct Call {
    metrics: HttpMetrics,
    route: Route,
    begun: Instant,
    ended: Option<(u16, &'static str)>,
}

impl Call {
    /// The answer's head is there.
    pub(crate) fn end(mut self, status: u16, outcome: &'static str) {
        let time = self.begun.elapsed();
        self.metrics.seconds.get_or_create(&self.route).observe_time(time);
        self.metrics.all.observe_time(time);
        self.ended = Some((status, outcome));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics.open.dec();
        let (status, outcome) = self.ended.unwrap_or((0, "caller_gone"));
        if let Some(class) = self.metrics.classes.get(usize::from(status / 100)) {
            class.inc();
        }
        let template = std::mem::take(&mut self.route.template);
        let route = Route { template, ..self.route };
        self.metrics.requests.get_or_create(&Ended { route, status, outcome }).inc();
    }
}
