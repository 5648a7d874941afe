//! Measures and traces every call: by the template of its route, and the code it was answered with.

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};

use super::web;
use crate::{
    metrics::{HttpMetrics, Route},
    traces::Traces,
};

/// The stable code of a refusal, left in an answer for whoever counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome(pub(super) &'static str);

/// Counts a call and its time, up to the head of the answer.
pub(super) async fn measure(
    State((metrics, traces)): State<(HttpMetrics, Traces)>,
    request: Request,
    next: Next,
) -> Response {
    let route = route(&request);
    let span = traces.call(&route, request.headers());
    let call = metrics.begin(route);
    let response = span.within(next.run(request)).await;
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    let outcome = response.extensions().get().map(|Outcome(code)| *code);
    let outcome = outcome.unwrap_or(if refused { "other" } else { "ok" });
    span.end(status.as_u16(), outcome);
    call.end(status.as_u16(), outcome);
    response
}

/// Method and template. The files of the pages are one; paths that lead nowhere, and methods nobody serves, too.
fn route(request: &Request) -> Route {
    let template = match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        None => "none",
        Some(path) if web::is_file(path) => "pages",
        Some(path) => path,
    };
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    Route { method, template: template.to_owned() }
}
