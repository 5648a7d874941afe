//! Plain HTTP with nothing added and nothing followed.

use std::time::Duration;

use signer_core::{
    codec,
    wire::{PROBLEM_TYPE_PREFIX, Problem, ProblemCode},
};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn cbor<T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>>(&self) -> T {
        assert_eq!(self.status, 200, "{:?}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/cbor"));
        codec::decode(&self.body, 1 << 20).unwrap()
    }

    /// The problem this is; every part of it must agree with its code.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        let problem: Problem = self.json();
        assert_eq!(self.status, problem.code.status());
        assert_eq!(problem.status, problem.code.status());
        assert_eq!(problem.type_uri, format!("{PROBLEM_TYPE_PREFIX}{}", problem.code.code()));
        assert_eq!(problem.title, problem.code.title());
        let bearer = problem.code == ProblemCode::Unauthenticated;
        assert_eq!(self.header("www-authenticate"), bearer.then_some("Bearer"));
        problem
    }

    pub(crate) fn code(&self) -> ProblemCode {
        self.problem().code
    }
}

/// A client of one server; connections are kept.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) base: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(base: impl Into<String>) -> Self {
        Self::with_tls(base, TlsConfig::default())
    }

    /// A client that trusts this certificate (PEM) alone.
    pub(crate) fn with_root(base: impl Into<String>, pem: &[u8]) -> Self {
        let root = Certificate::from_pem(pem).unwrap();
        Self::with_tls(base, TlsConfig::builder().root_certs(RootCerts::from(vec![root])).build())
    }

    fn with_tls(base: impl Into<String>, tls: TlsConfig) -> Self {
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { base: base.into(), agent }
    }

    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let uri = format!("{}{path}", self.base);
        let request = ureq::http::Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut response = if body.is_empty() && !matches!(method, "POST" | "PUT" | "PATCH") {
            self.agent.run(request.body(()).unwrap())?
        } else {
            self.agent.run(request.body(body).unwrap())?
        };
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let body = response.body_mut().with_config().limit(4 << 20).read_to_vec()?;
        Ok(Answer { status: response.status().as_u16(), headers, body })
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        // A refusal before the body was read may end the connection that the next call is already on.
        let mut last = None;
        for _ in 0..3 {
            match self.try_send(method, path, headers, body) {
                Ok(answer) => return answer,
                Err(error) => last = Some(error),
            }
        }
        panic!("{method} {path}: {}", last.unwrap())
    }

    /// A JSON call with a bearer token; an empty token sends none.
    pub(crate) fn json(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&serde_json::Value>,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![];
        if !token.is_empty() {
            headers.push(("authorization", bearer.as_str()));
        }
        let bytes = body.map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.send(method, path, &headers, &bytes)
    }

    pub(crate) fn cbor(&self, path: &str, body: &[u8]) -> Answer {
        self.send("POST", path, &[("content-type", "application/cbor")], body)
    }
}
