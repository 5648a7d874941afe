//! Events from document registers: CloudEvents 1.0 over HTTP, in structured and in binary mode.

use std::{string::FromUtf8Error, sync::Arc};

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, header},
};
use signer_core::wire::{ProblemCode, ReportedEvent};
use tokio::sync::OwnedSemaphorePermit;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Reporter, json_refusal, typed_body},
    openapi::{EventDocument, RegisterEvent},
    problem::ApiProblem,
};
use crate::service::{CloudEvent, EventData, Refusal, Service};

const STRUCTURED: &str = "application/cloudevents+json";

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(report))
}

/// Takes an event of a document register.
///
/// CloudEvents 1.0 in structured mode, or in binary mode: the attributes in headers `ce-…`, the data in the body.
#[utoipa::path(
    post, path = "/register/v1/events", operation_id = "report_event", tag = "Registers",
    security(("relying_party" = ["report"])),
    request_body(content(
        (RegisterEvent = "application/cloudevents+json"),
        (Option<EventDocument> = "application/json"),
    )),
    responses((status = 200, body = ReportedEvent)),
    extensions(("x-problems" = json!(["invalid_value", "idempotency_mismatch"])))
)]
async fn report(
    State(service): State<Arc<Service>>,
    Reporter(reporter): Reporter,
    EventBody(event, _turn): EventBody,
) -> Result<Json<ReportedEvent>, ApiProblem> {
    Ok(Json(service.report(&reporter, &event).await?))
}

/// An event and the turn to work on it.
struct EventBody(CloudEvent, OwnedSemaphorePermit);

impl FromRequest<Arc<Service>> for EventBody {
    type Rejection = ApiProblem;
    async fn from_request(request: Request, state: &Arc<Service>) -> Result<Self, ApiProblem> {
        let headers = request.headers().clone();
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // What is not structured is binary (HTTP binding section 3); batches are not taken.
        let structured = media_type.is_some_and(|found| found.starts_with("application/cloudevents"));
        let event = if structured {
            let bytes = typed_body(request, state, STRUCTURED).await?;
            serde_json::from_slice(&bytes).map_err(|error| json_refusal(&error))?
        } else {
            let bytes = typed_body(request, state, "application/json").await?;
            binary(&headers, &bytes)?
        };
        Ok(Self(event, state.admit()?))
    }
}

/// An event in binary mode: attributes in headers `ce-…`, data in the body.
fn binary(headers: &HeaderMap, body: &[u8]) -> Result<CloudEvent, Refusal> {
    const KNOWN: [&str; 8] = [
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-subject",
        "ce-sequence",
        "ce-sequencetype",
        "ce-time",
    ];
    let malformed = |text: &str| Refusal::because(ProblemCode::Malformed, text);
    let unknown =
        headers.keys().any(|name| name.as_str().starts_with("ce-") && !KNOWN.contains(&name.as_str()));
    if unknown {
        return Err(malformed("a ce- header is not an attribute that is known here"));
    }
    let optional = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| decoded(value.as_bytes()));
        let once = values.next().is_none();
        let wrong = || malformed(&format!("{name} stands twice, or is not percent-encoded UTF-8"));
        value.transpose().ok().filter(|_| once).ok_or_else(wrong)
    };
    let required = |name: &str| optional(name)?.ok_or_else(|| malformed(&format!("{name} is missing")));
    let data: Option<EventData> = match body {
        [] => None,
        body => Some(serde_json::from_slice(body).map_err(|error| json_refusal(&error))?),
    };
    Ok(CloudEvent {
        specversion: required("ce-specversion")?,
        id: required("ce-id")?,
        source: required("ce-source")?,
        kind: required("ce-type")?,
        subject: required("ce-subject")?,
        sequence: required("ce-sequence")?,
        sequencetype: optional("ce-sequencetype")?,
        time: optional("ce-time")?,
        datacontenttype: None,
        data,
    })
}

/// The value of an attribute's header (HTTP binding section 3.1.3.2): quotes taken off, then one round of percent-decoding.
fn decoded(value: &[u8]) -> Result<String, FromUtf8Error> {
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = quoted.unwrap_or(value);
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.first_chunk::<2>().and_then(|digits| std::str::from_utf8(digits).ok());
        let hex = hex.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let (byte, taken) =
            match (first, hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()), after.first()) {
                (b'%', Some(byte), _) => (byte, 2),
                (b'\\', _, Some(&escaped)) if quoted.is_some() => (escaped, 1),
                _ => (first, 0),
            };
        bytes.push(byte);
        rest = after.get(taken..).unwrap_or_default();
    }
    String::from_utf8(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_decoded_once() {
        for (value, wanted) in [
            (&b"plain"[..], "plain"),
            (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            (b"%2525", "%25"),
            (b"\"with \\\"quotes\\\" and %20\"", "with \"quotes\" and  "),
            (b"%", "%"),
            (b"%2", "%2"),
            (b"%+1", "%+1"),
            (b"%zz", "%zz"),
        ] {
            assert_eq!(decoded(value).unwrap(), wanted);
        }
        assert!(decoded(b"%C0%A0").is_err());
        assert!(decoded(b"\xff").is_err());
    }
}
