//! Events to the server: CloudEvents 1.0 over HTTP, structured mode.

use std::error::Error;

use serde_json::{Value, json};

use super::records::EventRow;

/// An event, ready to be sent.
pub(crate) struct Event {
    /// Rises with every event: twenty digits, so that texts compare like numbers.
    pub(crate) sequence: String,
    /// Its type.
    pub(crate) kind: &'static str,
    body: Value,
}

impl Event {
    /// The event about a change.
    pub(crate) fn of(row: &EventRow) -> Self {
        let kind = match row.what.as_str() {
            "withdrawn" => "signer.document.withdrawn.v1",
            "changed" => "signer.document.changed.v1",
            _ => "signer.holder.deceased.v1",
        };
        let sequence = format!("{:020}", row.number);
        let mut body = json!({
            "specversion": "1.0",
            "id": format!("event-{}", row.number),
            "source": "urn:example:register",
            "type": kind,
            "subject": row.person,
            "sequence": sequence,
            "datacontenttype": "application/json",
        });
        if !row.kind.is_empty() {
            body["data"] = json!({ "document_type": row.kind });
        }
        Self { sequence, kind, body }
    }
}

/// The server that is told.
pub(crate) struct Receiver {
    /// Its address.
    pub(crate) server: String,
    /// Bearer token of a relying party that may report.
    pub(crate) token: String,
}

impl Receiver {
    /// Sends an event and returns what the server made of it. To be repeated until it succeeds.
    pub(crate) fn send(&self, event: &Event) -> Result<String, Box<dyn Error>> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
        let mut answer = agent
            .post(format!("{}/register/v1/events", self.server))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/cloudevents+json")
            .send(event.body.to_string())?;
        let text = answer.body_mut().read_to_string()?;
        if answer.status().is_success() { Ok(text) } else { Err(text.into()) }
    }
}
