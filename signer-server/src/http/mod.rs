//! HTTP: thin adapters over [`Service`]. Each handler parses, makes one call, maps the answer.

mod admin;
mod audit;
mod auth;
mod bodies;
mod ca;
mod codes;
mod csc;
mod device;
mod figures;
mod health;
mod keks;
mod listen;
mod measure;
mod metrics;
mod oauth;
mod oauth_error;
mod openapi;
mod problem;
mod rate;
mod register;
mod relying_party;
mod tls;
mod trust;
mod verification;
mod web;
mod webhooks;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state, map_request, map_response},
    response::{IntoResponse as _, Response},
};
use signer_core::wire::{ENVELOPE_BYTES_MAX, ProblemCode, WAIT_MS_MAX};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;

use self::{bodies::Bodies, problem::ApiProblem};
pub(crate) use self::{
    listen::{Most, Server, bind},
    metrics::router as metrics_router,
    openapi::DOCUMENT,
    tls::{Tls, keep_current},
};
use crate::{
    config::Config,
    metrics::Metrics,
    service::Service,
    traces::{self, Traces},
};

/// Longest JSON body, bytes.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// Who is served at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Phones, relying parties, everybody: nothing under `/admin`.
    Public,
    /// The operator too.
    Operator,
}

/// The routes of the API, each with its description. Quick calls have `timeout` to answer, and
/// at most `calls_max` of them are at work.
fn api(timeout: Duration, audience: Audience, calls_max: usize) -> OpenApiRouter<Arc<Service>> {
    let admin = match audience {
        Audience::Operator => {
            let routes = admin::routes().merge(audit::admin_routes()).merge(keks::routes());
            OpenApiRouter::new().nest("/admin/v1", routes.merge(figures::admin_routes()))
        }
        Audience::Public => OpenApiRouter::new(),
    };
    let device = device::routes().layer(DefaultBodyLimit::max(ENVELOPE_BYTES_MAX));
    let quick = OpenApiRouter::from(Router::new().nest("/device/v1", device))
        .merge(relying_party::routes())
        .merge(verification::routes())
        .merge(codes::routes())
        .merge(oauth::routes())
        .merge(csc::routes())
        .merge(ca::routes())
        .merge(register::routes())
        .merge(webhooks::routes())
        .merge(audit::routes())
        .merge(trust::routes())
        .merge(admin)
        .layer(from_fn_with_state(Arc::new(Semaphore::new(calls_max)), to_the_end))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout))
        .layer(map_response(timeout_as_problem));
    let waiting = relying_party::long_poll_routes()
        .merge(verification::long_poll_routes())
        .merge(csc::long_poll_routes())
        .merge(oauth::long_poll_routes())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_millis(WAIT_MS_MAX) + timeout,
        ))
        .layer(map_response(timeout_as_problem));
    quick.merge(waiting).layer(from_fn(rate::tell)).merge(health::routes())
}

/// All that is served at an address, over a service.
pub(crate) fn router(
    service: Arc<Service>,
    config: &Config,
    metrics: Arc<Metrics>,
    traces: Traces,
    audience: Audience,
) -> Router {
    let bodies = Bodies::new(config.body_bytes_max, metrics.http().clone());
    let (api, _) = api(Duration::from_secs(config.request_timeout_seconds), audience, config.connections_max)
        .split_for_parts();
    api.merge(web::routes(audience))
        .merge(openapi::routes())
        .fallback(async || ApiProblem::from(ProblemCode::NoSuchPath))
        .method_not_allowed_fallback(async || ApiProblem::from(ProblemCode::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state((metrics.http().clone(), traces), measure::measure))
                .layer(from_fn_with_state(Arc::clone(&service), leaving))
                .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
                .layer(PropagateRequestIdLayer::new(REQUEST_ID))
                .layer(TraceLayer::new_for_http().make_span_with(span))
                .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| panicked()))
                .layer(SetResponseHeaderLayer::if_not_present(
                    header::CACHE_CONTROL,
                    header_value("no-store"),
                ))
                .option_layer(config.tls.files().filter(|_| audience == Audience::Public).map(|_| {
                    SetResponseHeaderLayer::overriding(
                        header::STRICT_TRANSPORT_SECURITY,
                        header_value("max-age=31536000"),
                    )
                }))
                .layer(SetResponseHeaderLayer::if_not_present(
                    header::X_CONTENT_TYPE_OPTIONS,
                    header_value("nosniff"),
                ))
                .layer(from_fn_with_state(bodies, bodies::bound)),
        )
        .layer(map_request(own_request_id))
        .layer(Extension(metrics))
        .with_state(service)
}

/// While the server is about to stop, each answer ends its connection: the caller's next one goes elsewhere.
async fn leaving(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if service.is_draining() {
        response.headers_mut().insert(header::CONNECTION, header_value("close"));
    }
    response
}

/// Works in a task of its own: a caller that hangs up leaves nothing half done, and frees its turn no earlier. As many are at
/// work as there may be connections: who hangs up and calls again piles up no more.
async fn to_the_end(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        return ApiProblem::from(ProblemCode::Overloaded).into_response();
    };
    let work = async {
        let response = next.run(request).await;
        drop(place);
        response
    };
    finished(work).await.unwrap_or_else(panicked)
}

/// Does work in a task of its own, though who waits for it goes away. Nothing if it panicked.
async fn finished<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(traces::carry(work.instrument(tracing::Span::current()))).await.ok()
}

fn panicked() -> Response {
    tracing::error!("a handler panicked");
    ApiProblem::from(ProblemCode::Internal).into_response()
}

/// Request ids are ours: a caller's own would stand in the log as it was sent.
async fn own_request_id(mut request: Request) -> Request {
    request.headers_mut().remove(REQUEST_ID);
    request
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const fn header_value(text: &'static str) -> axum::http::HeaderValue {
    axum::http::HeaderValue::from_static(text)
}

/// The timeout layer answers with a bare status; clients get a problem.
async fn timeout_as_problem(response: Response) -> Response {
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        ApiProblem::from(ProblemCode::Timeout).into_response()
    } else {
        response
    }
}

/// One span per request: method, route, request id. Never the path itself, a query, a header or a body.
fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("");
    tracing::info_span!("http", method = %request.method(), route, id)
}
