//! Who may ask: the page itself, from this machine. The attacks are told in [`super`].

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::routes::problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The page may be reached by a link from elsewhere; nothing else may.
const PAGES: [&str; 3] = ["/", "/wallet", "/wallet/"];
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The names this page has on loopback, with its port.
#[derive(Clone)]
pub(super) struct Hosts([String; 2]);

impl Hosts {
    pub(super) fn new(port: u16) -> Self {
        Self([format!("127.0.0.1:{port}"), format!("localhost:{port}")])
    }

    /// Whether the request comes from the page, or is for the page itself.
    fn admit(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).map(HeaderValue::as_bytes);
        let Some(host) = self.0.iter().find(|host| text(header::HOST) == Some(host.as_bytes())) else {
            return false;
        };
        let reads = [Method::GET, Method::HEAD].contains(method);
        let from_here = match text(header::ORIGIN) {
            Some(origin) => origin == format!("http://{host}").as_bytes(),
            None => reads,
        };
        let site = text(SEC_FETCH_SITE).is_none_or(|site| [&b"same-origin"[..], b"none"].contains(&site));
        from_here && (site || reads && PAGES.contains(&path))
    }
}

pub(super) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = if hosts.admit(request.method(), request.uri().path(), request.headers()) {
        next.run(request).await
    } else {
        problem(StatusCode::FORBIDDEN, "forbidden").into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
