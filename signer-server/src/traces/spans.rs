//! Spans of calls and of the acts inside.

use std::{fmt, future::Future, pin::pin};

use axum::http::{HeaderMap, header};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, SpanRef, Status, TraceContextExt as _,
        TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use super::{
    Part,
    export::{Export, Queue, resource},
    outcome::{Coded, OK},
};
use crate::{
    config::TracesConfig,
    metrics::{Counts, Route},
};

/// Name of the instrumentation.
const SCOPE: &str = "signer-server";
/// A caller's own trace: <https://www.w3.org/TR/trace-context/#traceparent-header>.
const TRACEPARENT: &str = "traceparent";
/// Outcome of an act whose caller went away.
const CALLER_GONE: &str = "caller_gone";

/// Begins traces, if any are wanted.
#[derive(Clone)]
pub(crate) struct Traces(Option<SdkTracer>);

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traces({})", self.0.is_some())
    }
}

impl Traces {
    /// Traces as configured. Ended spans are counted by what became of them.
    ///
    /// # Errors
    /// What is wrong with the file of authorities.
    pub(crate) fn start(config: &TracesConfig, counts: &Counts) -> Result<(Self, Export), String> {
        let Some(endpoint) = &config.endpoint else { return Ok((Self(None), Export::none())) };
        let resource = resource(&config.service_name);
        let (queue, export) = Queue::start(endpoint, config.ca_file.as_deref(), &resource, counts)?;
        // Its own draw alone: what callers send decides nothing.
        let sampler = Sampler::TraceIdRatioBased(1.0 / f64::from(config.one_in));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .build();
        Ok((Self(Some(provider.tracer(SCOPE))), export))
    }

    /// A call begins: a trace of its own, if it is drawn.
    pub(crate) fn call(&self, route: &Route, headers: &HeaderMap) -> CallSpan {
        let Some(tracer) = &self.0 else { return CallSpan(None) };
        let name = format!("{} {}", route.method, route.template);
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
        let mut span = tracer.build_with_context(builder, &Context::new());
        if !span.is_recording() {
            return CallSpan(None);
        }
        span.set_attribute(KeyValue::new("http.request.method", route.method));
        span.set_attribute(KeyValue::new("http.route", route.template.clone()));
        if let Some(callers) = callers_span(headers) {
            span.add_link(callers, Vec::new());
        }
        CallSpan(Some(Context::new().with_value(tracer.clone()).with_span(span)))
    }
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct CallSpan(Option<Context>);

impl CallSpan {
    /// Does what the call asks for as a part of it.
    pub(crate) async fn within<F: Future>(&self, work: F) -> F::Output {
        in_context(self.0.clone(), work).await
    }

    /// The answer's head is there.
    pub(crate) fn end(mut self, status: u16, outcome: &'static str) {
        let Some(context) = self.0.take() else { return };
        let span = context.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        end(&span, outcome, status >= 500);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if let Some(context) = self.0.take() {
            end(&context.span(), CALLER_GONE, false);
        }
    }
}

/// Does an act as a part of the traced call around it, if there is one. `name` is of a closed list.
pub(crate) async fn span<T, E: Coded>(
    part: Part,
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut act = CallSpan(Context::map_current(|around| begin(around, part, name)));
    let done = in_context(act.0.clone(), work).await;
    if let Some(context) = act.0.take() {
        let (outcome, failed) =
            done.as_ref().err().map_or((OK, false), |error| (error.code(), error.is_failure()));
        end(&context.span(), outcome, failed);
    }
    done
}

/// Takes the call around along into a task of its own.
pub(crate) fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    work.with_current_context()
}

fn begin(around: &Context, part: Part, name: &'static str) -> Option<Context> {
    let tracer = around.get::<SdkTracer>()?;
    let (part, database) = match part {
        Part::Service => ("service", None),
        Part::Sqlite => ("store", Some("sqlite")),
        Part::Postgres => ("store", Some("postgresql")),
        Part::Keys => ("keys", None),
        Part::Computation => ("computation", None),
        Part::Register => ("register", None),
    };
    let mut attributes = vec![KeyValue::new("signer.part", part)];
    attributes.extend(database.map(|database| KeyValue::new("db.system.name", database)));
    let builder = SpanBuilder::from_name(format!("{part} {name}")).with_attributes(attributes);
    Some(around.with_span(tracer.build_with_context(builder, around)))
}

fn end(span: &SpanRef<'_>, outcome: &'static str, failed: bool) {
    span.set_attribute(KeyValue::new("signer.outcome", outcome));
    if failed {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// Borrows the work, so that it is held once.
async fn in_context<F: Future>(context: Option<Context>, work: F) -> F::Output {
    let work = pin!(work);
    match context {
        Some(context) => work.with_context(context).await,
        None => work.await,
    }
}

/// The span that a relying party calls from, in the one form that there is. Only of callers with a bearer token: phones have
/// none, and whatever a phone sends could tell it from others. Its flags and its `tracestate` are not taken.
fn callers_span(headers: &HeaderMap) -> Option<SpanContext> {
    headers.get(header::AUTHORIZATION)?;
    let mut given = headers.get_all(TRACEPARENT).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return None };
    let mut parts = given.to_str().ok()?.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let formed = version == "00" && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
    if !formed || parts.next().is_some() || ![trace, span, flags].into_iter().all(lower) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(token: bool, parents: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if token {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        }
        for parent in parents {
            headers.append(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        }
        headers
    }

    #[test]
    fn otl_006_one_form_of_traceparent_is_taken_without_its_flags() {
        let taken = callers_span(&headers(true, &[GOOD])).unwrap();
        assert_eq!(taken.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(taken.span_id().to_string(), "00f067aa0ba902b7");
        assert!(!taken.is_sampled() && taken.is_remote());
        assert!(callers_span(&headers(false, &[GOOD])).is_none());
        assert!(callers_span(&headers(true, &[])).is_none());
        assert!(callers_span(&headers(true, &[GOOD, GOOD])).is_none());
        for bad in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-olena",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert!(callers_span(&headers(true, &[bad])).is_none(), "{bad}");
        }
    }
}
