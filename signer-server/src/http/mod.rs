//! HTTP: thin adapters over [`Service`]. Each handler parses, makes one call, maps the answer.

mod admin;
mod audit;
mod auth;
mod ca;
mod codes;
mod csc;
mod device;
mod health;
mod listen;
mod oauth;
mod oauth_error;
mod openapi;
mod problem;
mod rate;
mod register;
mod relying_party;
mod trust;
mod verification;
mod web;
mod webhooks;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, StatusCode, header},
    middleware::{Next, from_fn, map_request, map_response},
    response::{IntoResponse as _, Response},
};
use signer_core::wire::{ENVELOPE_BYTES_MAX, ProblemCode, WAIT_MS_MAX};
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

use self::problem::ApiProblem;
pub(crate) use self::{
    listen::{Server, bind},
    openapi::DOCUMENT,
};
use crate::{config::Config, service::Service};

/// Longest JSON body, bytes.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// The routes of the API, each with its description. Quick calls have `timeout` to answer.
fn api(timeout: Duration) -> OpenApiRouter<Arc<Service>> {
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
        .nest("/admin/v1", admin::routes().merge(audit::admin_routes()))
        .layer(from_fn(to_the_end))
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

/// All that is served, over a service.
pub(crate) fn router(service: Arc<Service>, config: &Config) -> Router {
    let (api, _) = api(Duration::from_secs(config.request_timeout_seconds)).split_for_parts();
    api.merge(web::routes())
        .merge(openapi::routes())
        .fallback(async || ApiProblem::from(ProblemCode::NoSuchPath))
        .method_not_allowed_fallback(async || ApiProblem::from(ProblemCode::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .layer(
            ServiceBuilder::new()
                .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
                .layer(PropagateRequestIdLayer::new(REQUEST_ID))
                .layer(TraceLayer::new_for_http().make_span_with(span))
                .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| panicked()))
                .layer(SetResponseHeaderLayer::if_not_present(
                    header::CACHE_CONTROL,
                    header_value("no-store"),
                ))
                .layer(SetResponseHeaderLayer::if_not_present(
                    header::X_CONTENT_TYPE_OPTIONS,
                    header_value("nosniff"),
                )),
        )
        .layer(map_request(own_request_id))
        .with_state(service)
}

/// Works in a task of its own: a caller that hangs up leaves nothing half done, and frees its turn no earlier.
async fn to_the_end(request: Request, next: Next) -> Response {
    finished(next.run(request)).await.unwrap_or_else(panicked)
}

/// Does work in a task of its own, though who waits for it goes away. Nothing if it panicked.
async fn finished<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    tokio::spawn(work.instrument(tracing::Span::current())).await.ok()
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
