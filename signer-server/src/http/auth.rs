//! Bearer tokens, ids and bodies, as extractors that refuse with problems.

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use signer_core::wire::ProblemCode;
use tokio::sync::OwnedSemaphorePermit;

use super::{problem::ApiProblem, rate};
use crate::{
    service::{Refusal, Service},
    store::{Organisation, RelyingPartyRow},
};

/// A relying party that may ask for signatures.
pub(super) struct Asker(pub(super) RelyingPartyRow);
/// A relying party that may verify codes online.
pub(super) struct Verifier(pub(super) RelyingPartyRow);
/// A register that may report events.
pub(super) struct Reporter(pub(super) RelyingPartyRow);
/// An organisation that may have codes made for its documents.
pub(super) struct Generator(pub(super) Organisation);
/// The operator.
pub(super) struct Admin;

impl FromRequestParts<Arc<Service>> for Asker {
    type Rejection = ApiProblem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, ApiProblem> {
        let row = service.asker(bearer(&parts.headers)?).await?;
        rate::count(&parts.extensions, service, &row)?;
        Ok(Self(row))
    }
}

impl FromRequestParts<Arc<Service>> for Verifier {
    type Rejection = ApiProblem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, ApiProblem> {
        let row = service.relying_party(bearer(&parts.headers)?).await?;
        rate::count(&parts.extensions, service, &row)?;
        if row.may_verify { Ok(Self(row)) } else { Err(ProblemCode::Forbidden.into()) }
    }
}

impl FromRequestParts<Arc<Service>> for Reporter {
    type Rejection = ApiProblem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, ApiProblem> {
        let row = service.relying_party(bearer(&parts.headers)?).await?;
        rate::count(&parts.extensions, service, &row)?;
        if row.may_report() { Ok(Self(row)) } else { Err(ProblemCode::Forbidden.into()) }
    }
}

impl FromRequestParts<Arc<Service>> for Generator {
    type Rejection = ApiProblem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, ApiProblem> {
        let row = service.relying_party(bearer(&parts.headers)?).await?;
        rate::count(&parts.extensions, service, &row)?;
        row.generates_for.map(Self).ok_or_else(|| ProblemCode::Forbidden.into())
    }
}

impl FromRequestParts<Arc<Service>> for Admin {
    type Rejection = ApiProblem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, ApiProblem> {
        let admin = service.is_admin(bearer(&parts.headers)?);
        if admin { Ok(Self) } else { Err(ProblemCode::Unauthenticated.into()) }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiProblem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| ProblemCode::Unauthenticated.into())
}

/// An id in the path. What is not one is like an object that is not there.
pub(super) struct PathId<T>(pub(super) T);

impl<T: FromStr> FromRequestParts<Arc<Service>> for PathId<T> {
    type Rejection = ApiProblem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, ApiProblem> {
        let text = Path::<String>::from_request_parts(parts, service).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| ProblemCode::NotFound.into())
    }
}

/// Time to send a body; a slower client is refused before it takes a turn from others.
const BODY_TIME: Duration = Duration::from_secs(5);

/// A strict JSON body (right content type, no unknown fields by the types) and the turn to work on it.
pub(super) struct StrictJson<T>(pub(super) T, pub(super) OwnedSemaphorePermit);

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for StrictJson<T> {
    type Rejection = ApiProblem;
    async fn from_request(request: Request, state: &Arc<Service>) -> Result<Self, ApiProblem> {
        let bytes = typed_body(request, state, "application/json").await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| json_refusal(&error))?;
        Ok(Self(value, state.admit()?))
    }
}

/// A device message and the turn to work on it.
pub(super) struct Cbor(pub(super) Bytes, pub(super) OwnedSemaphorePermit);

impl FromRequest<Arc<Service>> for Cbor {
    type Rejection = ApiProblem;
    async fn from_request(request: Request, state: &Arc<Service>) -> Result<Self, ApiProblem> {
        let bytes = typed_body(request, state, "application/cbor").await?;
        Ok(Self(bytes, state.admit()?))
    }
}

/// A signed list and the turn to work on it.
pub(super) struct Cose(pub(super) Bytes, pub(super) OwnedSemaphorePermit);

impl FromRequest<Arc<Service>> for Cose {
    type Rejection = ApiProblem;
    async fn from_request(request: Request, state: &Arc<Service>) -> Result<Self, ApiProblem> {
        let bytes = typed_body(request, state, super::trust::COSE).await?;
        Ok(Self(bytes, state.admit()?))
    }
}

pub(super) async fn typed_body(
    request: Request,
    state: &Arc<Service>,
    wanted: &str,
) -> Result<Bytes, ApiProblem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let bare = media_type.and_then(|value| value.split(';').next()).map(str::trim);
    if bare.is_none_or(|bare| !bare.eq_ignore_ascii_case(wanted)) {
        return Err(Refusal::because(ProblemCode::UnsupportedMediaType, format!("send {wanted}")).into());
    }
    let body = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state)).await;
    body.map_err(|_| ProblemCode::Timeout)?.map_err(|error| body_refusal(&error))
}

fn body_refusal(error: &BytesRejection) -> ApiProblem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ProblemCode::TooLarge.into()
    } else {
        ProblemCode::Malformed.into()
    }
}

/// Says where the JSON is wrong, without repeating any of it: serde's own text may quote a value.
pub(super) fn json_refusal(error: &serde_json::Error) -> Refusal {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a field is missing, unknown or of the wrong type",
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => "not JSON",
    };
    Refusal::because(
        ProblemCode::Malformed,
        format!("{kind}, at line {} column {}", error.line(), error.column()),
    )
}
