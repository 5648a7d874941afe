//! HTTP over the network, with `ureq`: TLS unless the server is this machine, no redirects, bounded answers.

use std::{fmt, time::Duration};

use signer_core::wire::REPLY_BYTES_MAX;
use ureq::{
    Agent, Body, RequestBuilder,
    http::Response,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};
use zeroize::Zeroizing;

use crate::{
    error::ClientError,
    ports::{EXCHANGE_TIMEOUT, Http, HttpRequest, HttpResponse, HttpStream, Method, TransportError},
    relying_party::public,
};

/// How to reach a server.
#[derive(Debug, Clone, Default)]
pub struct NetworkOptions {
    /// Certificates (PEM) to trust instead of the public ones, for a server with its own authority.
    pub root_certificates: Option<Vec<u8>>,
    /// Allow plain http to other machines. Bodies then travel in the clear: with a stolen phone they give away the PIN.
    pub insecure: bool,
}

/// A server on the network.
pub struct NetworkHttp {
    server: String,
    agent: Agent,
}

impl fmt::Debug for NetworkHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkHttp({})", self.server)
    }
}

impl NetworkHttp {
    /// A server by its origin, `https://host[:port]`. Plain http is taken for this machine only.
    ///
    /// # Errors
    /// [`TransportError::Address`]
    pub fn new(server: &str, options: &NetworkOptions) -> Result<Self, TransportError> {
        let server = origin(server, options.insecure)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .https_only(server.starts_with("https:"))
            .max_response_header_size(16 * 1024)
            .user_agent(concat!("signer/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&server) {
            config = config.proxy(None);
        }
        if let Some(pem) = &options.root_certificates {
            config = config.tls_config(TlsConfig::builder().root_certs(roots(pem)?).build());
        }
        Ok(Self { server, agent: config.build().new_agent() })
    }
}

/// Fetches a public address, wherever it is: what [`crate::lists::Lists::sync`] needs.
///
/// # Errors
/// [`ClientError`]
pub fn fetch(address: &str, media_type: &str, options: &NetworkOptions) -> Result<Vec<u8>, ClientError> {
    let authority = address.find("://").map_or(0, |at| at.saturating_add(3));
    let path = address.get(authority..).and_then(|rest| rest.find('/'));
    let (origin, path) = address.split_at(path.map_or(address.len(), |at| authority.saturating_add(at)));
    public(&NetworkHttp::new(origin, options)?, if path.is_empty() { "/" } else { path }, media_type)
}

impl Http for NetworkHttp {
    fn server(&self) -> &str {
        &self.server
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut response = self.call(request, Patience::Whole(request.timeout))?;
        let limit = u64::try_from(REPLY_BYTES_MAX).unwrap_or(u64::MAX);
        let (status, content_type) = (response.status().as_u16(), content_type(&response));
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(transport_error)?;
        Ok(HttpResponse { status, content_type, body: Zeroizing::new(body) })
    }

    fn stream(&self, request: &HttpRequest) -> Result<HttpStream, TransportError> {
        let response = self.call(request, Patience::Silence(request.timeout))?;
        let (status, content_type) = (response.status().as_u16(), content_type(&response));
        Ok(HttpStream { status, content_type, body: Box::new(response.into_body().into_reader()) })
    }
}

impl NetworkHttp {
    fn call(&self, request: &HttpRequest, patience: Patience) -> Result<Response<Body>, TransportError> {
        let url = format!("{}{}", self.server, request.path);
        let headers = || request.headers.iter();
        let sent = match request.method {
            Method::Get | Method::Delete => {
                let without_body = if request.method == Method::Get { Agent::get } else { Agent::delete };
                let builder = patience.set(without_body(&self.agent, &url));
                headers().fold(builder, |builder, (name, value)| builder.header(*name, value)).call()
            }
            Method::Post => {
                let builder = patience.set(self.agent.post(&url));
                let builder = headers().fold(builder, |builder, (name, value)| builder.header(*name, value));
                builder.send(request.body.as_slice())
            }
        };
        sent.map_err(transport_error)
    }
}

/// How long to wait.
#[derive(Clone, Copy)]
enum Patience {
    /// For the whole exchange.
    Whole(Duration),
    /// For the head of the answer as usual, then for each piece of its body.
    Silence(Duration),
}

impl Patience {
    fn set<Any>(self, builder: RequestBuilder<Any>) -> RequestBuilder<Any> {
        let config = builder.config();
        let config = match self {
            Self::Whole(time) => config.timeout_global(Some(time)),
            Self::Silence(time) => config
                .timeout_connect(Some(EXCHANGE_TIMEOUT))
                .timeout_recv_response(Some(EXCHANGE_TIMEOUT))
                .timeout_per_read(Some(time)),
        };
        config.build()
    }
}

/// Without parameters, lower case.
fn content_type(response: &Response<Body>) -> String {
    let value = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase()
}

fn transport_error(error: ureq::Error) -> TransportError {
    match error {
        ureq::Error::Timeout(_) => TransportError::Timeout,
        ureq::Error::BodyExceedsLimit(_) => TransportError::TooLarge,
        ureq::Error::BadUri(why) => TransportError::Address(why),
        other => TransportError::Unreachable(other.to_string()),
    }
}

fn roots(pem: &[u8]) -> Result<RootCerts, TransportError> {
    let wrong =
        || TransportError::Address("the file of root certificates is not PEM with a certificate".into());
    let items = parse_pem(pem).collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    let certificates: Vec<Certificate<'static>> = items
        .into_iter()
        .filter_map(
            |item| if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None },
        )
        .collect();
    if certificates.is_empty() { Err(wrong()) } else { Ok(RootCerts::new_with_certs(&certificates)) }
}

/// The origin in its one form, without a path.
fn origin(server: &str, insecure: bool) -> Result<String, TransportError> {
    let wrong = |why: &str| Err(TransportError::Address(format!("{why}: expected https://host[:port]")));
    let server = server.trim().trim_end_matches('/').to_ascii_lowercase();
    let Some((scheme, host)) = server.split_once("://") else {
        return wrong("the server's address has no scheme");
    };
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        return wrong("the server's address is not an origin");
    }
    match scheme {
        "https" => Ok(server),
        "http" if insecure || is_loopback(&server) => Ok(server),
        "http" => wrong("plain http to another machine would send secrets in the clear"),
        _ => wrong("the server's address has another scheme"),
    }
}

fn is_loopback(server: &str) -> bool {
    let host = server.split_once("://").map_or(server, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_030_plain_http_is_for_this_machine_only() {
        for (address, stands) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080/", true),
            ("http://localhost", true),
            ("https://signer.example", true),
            ("http://signer.example", false),
            ("http://127.0.0.1.example", false),
            ("http://localhost@signer.example", false),
            ("https://signer.example/path", false),
            ("ftp://signer.example", false),
            ("signer.example", false),
        ] {
            assert_eq!(origin(address, false).is_ok(), stands, "{address}");
        }
        assert!(origin("http://signer.example", true).is_ok());
    }
}
