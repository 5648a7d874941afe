//! What every call brings: its version, the caller, the parameters.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use serde_json::{Map, Value};
use signer_core::wire::ProblemCode;
use tokio::sync::OwnedSemaphorePermit;

use super::{Version, parameters::Parameters};
use crate::{
    http::{oauth_error::OauthProblem, problem::ApiProblem, rate},
    service::{Bearer, OauthRefusal, Service},
};

/// Time to send a body.
const BODY_TIME: Duration = Duration::from_secs(5);
/// What version 1 says of a request whose header or body is no good.
const MALFORMED: &str = "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than once, or is otherwise malformed.";

/// A call without a caller: `info` needs none.
pub(in crate::http) struct OpenCall {
    pub(super) version: Version,
}

/// A call by a relying party.
pub(in crate::http) struct Call {
    pub(super) version: Version,
    pub(super) bearer: Bearer,
    pub(super) parameters: Parameters,
    /// The turn to work on it; given back before waiting for a person.
    pub(super) turn: OwnedSemaphorePermit,
}

/// A call that is refused: an unknown version is a path that is not there.
#[derive(Debug)]
pub(in crate::http) enum NoCall {
    Path,
    Refused(OauthProblem),
}

impl axum::response::IntoResponse for NoCall {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::Path => ApiProblem::from(ProblemCode::NoSuchPath).into_response(),
            Self::Refused(problem) => problem.into_response(),
        }
    }
}

impl<E: Into<OauthProblem>> From<E> for NoCall {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl FromRequest<Arc<Service>> for OpenCall {
    type Rejection = NoCall;
    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, NoCall> {
        let version = version(&request)?;
        body(request, service, MALFORMED).await?;
        Ok(Self { version })
    }
}

impl FromRequest<Arc<Service>> for Call {
    type Rejection = NoCall;
    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, NoCall> {
        let version = version(&request)?;
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty());
        let text = if version == Version::V1 { MALFORMED } else { "Malformed authorization header" };
        let (_, token) = token.ok_or_else(|| OauthRefusal::request(text))?;
        let bearer = service.bearer(token).await?;
        rate::count(request.extensions(), service, &bearer.party)?;
        let members = body(request, service, MALFORMED).await?;
        let parameters = Parameters { version, members };
        Ok(Self { version, bearer, parameters, turn: service.admit()? })
    }
}

/// The version in the path. Of one that is not known nothing is there.
fn version(request: &Request) -> Result<Version, NoCall> {
    match request.uri().path().split('/').nth(2) {
        Some("v1") => Ok(Version::V1),
        Some("v2") => Ok(Version::V2),
        _ => Err(NoCall::Path),
    }
}

/// The members of a JSON object; nothing at all counts as an object without any. The content type is not looked at: clients
/// differ, and no browser sends a bearer token by itself.
async fn body(request: Request, service: &Arc<Service>, text: &str) -> Result<Map<String, Value>, NoCall> {
    let bytes = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, service)).await;
    let bytes = bytes.map_err(|_| OauthRefusal::request("The body came too slowly"))?;
    let bytes = bytes.map_err(OauthProblem::from)?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(OauthRefusal::request(text).into()),
    }
}
