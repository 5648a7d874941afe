//! The way of ended spans to the collector: a queue of fixed length, batches, one POST at a time. A span for which there is no
//! place, or whose batch the collector does not take, is lost and counted; nothing waits for it and nothing is tried again.

use std::{fmt, path::Path, time::Duration};

use axum::{
    body::Bytes,
    http::{Request, Uri, header},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{
        common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{metrics::Counts, outbound};

/// Most ended spans that wait: some megabytes.
const WAITING_MAX: usize = 8_192;
/// Most spans of one POST, and how long the first of them waits for others.
const BATCH_MAX: usize = 512;
const GATHER: Duration = Duration::from_secs(1);
/// Time for one POST, and to connect.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections kept, and for how long.
const IDLE: (usize, Duration) = (1, Duration::from_secs(30));
/// Most bytes of an answer that are read, so that the connection can be kept.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// This server in traces.
pub(super) fn resource(service_name: &str) -> Resource {
    // Nothing from the environment: every setting is in the configuration.
    Resource::builder_empty()
        .with_service_name(service_name.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Takes spans as they end.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    counts: Counts,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue(..)")
    }
}

impl Queue {
    /// A queue, and what empties it.
    pub(super) fn start(
        endpoint: &str,
        ca_file: Option<&Path>,
        resource: &Resource,
        counts: &Counts,
    ) -> Result<(Self, Export), String> {
        let uri = format!("{endpoint}/v1/traces").parse();
        let collector = Collector {
            client: outbound::client(HttpConnector::new(), CONNECT_TIMEOUT, IDLE, ca_file)?,
            uri: uri.map_err(|_| "traces.endpoint is not an address")?,
            resource: ResourceAttributesWithSchema::from(resource),
            counts: counts.clone(),
            takes: true,
        };
        let (spans, waiting) = mpsc::channel(WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(collector.work(waiting, stopped));
        Ok((Self { spans, counts: counts.clone() }, Export(Some((stop, task)))))
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.counts.count(["no_place"]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What empties the queue.
#[derive(Debug)]
pub(crate) struct Export(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Export {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Sends what waits, until `end` at most.
    pub(crate) async fn finish(self, end: Instant) {
        let Some((stop, mut task)) = self.0 else { return };
        let _ended_already = stop.send(());
        if timeout_at(end, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("traces that still waited are lost");
        }
    }
}

/// Where batches go.
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    resource: ResourceAttributesWithSchema,
    counts: Counts,
    /// Whether it took the last batch.
    takes: bool,
}

impl Collector {
    async fn work(mut self, mut waiting: mpsc::Receiver<SpanData>, mut stopped: oneshot::Receiver<()>) {
        let mut stopping = false;
        loop {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            if stopping {
                waiting.recv_many(&mut batch, BATCH_MAX).await;
            } else {
                tokio::select! {
                    () = gather(&mut waiting, &mut batch) => {}
                    _ = &mut stopped => {
                        stopping = true;
                        waiting.close();
                    }
                }
            }
            if !batch.is_empty() {
                self.send(batch).await;
                // Nobody waits for a collector that is away.
                if stopping && !self.takes {
                    return;
                }
            } else if stopping || waiting.is_closed() {
                return;
            }
        }
    }

    /// Sends a batch. Who runs the server is told when the collector ceases to take them, and when it takes them again.
    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        let sent =
            timeout(TIMEOUT, self.post(batch)).await.unwrap_or_else(|_| Err("no answer in time".into()));
        let outcome = if sent.is_ok() { "exported" } else { "not_taken" };
        self.counts.count_many([outcome], count);
        match sent {
            Err(error) if self.takes => {
                tracing::warn!(error, "the collector does not take traces: they are lost");
            }
            Ok(()) if !self.takes => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        self.takes = outcome == "exported";
    }

    async fn post(&self, batch: Vec<SpanData>) -> Result<(), String> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let request = Request::post(&self.uri)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, "signer-server")
            .body(Full::new(body.into()))
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| outbound::causes(&error))?;
        let (head, body) = response.into_parts();
        // What it says does not matter.
        let _read_or_closed = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        if head.status.is_success() { Ok(()) } else { Err(format!("it answered {}", head.status.as_u16())) }
    }
}

/// Takes a batch: full, or a moment after its first span. It stays in `batch` when this is given up.
async fn gather(waiting: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    let mut end = None;
    while batch.len() < BATCH_MAX {
        let room = BATCH_MAX - batch.len();
        let came = match end {
            None => Ok(waiting.recv_many(batch, room).await),
            Some(end) => timeout_at(end, waiting.recv_many(batch, room)).await,
        };
        if !came.is_ok_and(|came| came > 0) {
            return;
        }
        end = end.or_else(|| Some(Instant::now() + GATHER));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn otl_009_a_full_queue_drops_and_counts() {
        let counts = Counts::new(["outcome"]);
        let (spans, mut waiting) = mpsc::channel(2);
        let queue = Queue { spans, counts: counts.clone() };
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        let tracer = provider.tracer("test");
        for name in ["first", "second", "third"] {
            drop(tracer.start(name));
        }
        assert_eq!(counts.get(["no_place"]), 1);
        let kept = [waiting.try_recv().unwrap(), waiting.try_recv().unwrap()];
        assert_eq!(kept.map(|span| span.name), ["first", "second"]);
        assert!(waiting.try_recv().is_err());
    }
}
