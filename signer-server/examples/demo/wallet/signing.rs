//! Requests for signatures: what waits for the holder, the verification code, the PIN.

use serde::Serialize;
use serde_json::{Value, json};
use signer_client::{Approved, ClientError, Outcome, Phone, Waiting};
use signer_core::{
    pin::Pin,
    time::UnixSeconds,
    wire::{Attempts, CodeChosen, VerificationCode},
};

use super::holder::{Answer, code};
use crate::story::hex;

/// A request, as the page shows it.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Wanted {
    id: String,
    who: String,
    text: String,
    documents: Vec<Digest>,
    fields: Vec<Field>,
    /// Verification codes to choose from; none where the request has none, and once the right one was chosen.
    codes: Option<Vec<String>>,
    expires: u64,
}

#[derive(Clone, PartialEq, Serialize)]
struct Digest {
    name: String,
    sha256: String,
}

#[derive(Clone, PartialEq, Serialize)]
struct Field {
    label: String,
    value: String,
}

/// The requests that wait, as the server listed them last.
#[derive(Default)]
pub(super) struct Signing(Vec<Waiting>);

impl Signing {
    /// Lists them anew. Gives the name of who asked for one that has ended meanwhile.
    pub(super) fn read(&mut self, phone: &mut Phone) -> Option<String> {
        let listed = phone.waiting().ok()?;
        let gone = self
            .0
            .iter()
            .find(|old| listed.iter().all(|waiting| waiting.object.request != old.object.request))
            .map(|old| old.object.relying_party.name.as_str().to_owned());
        self.0 = listed;
        gone
    }

    /// Whether the time of one ran out.
    pub(super) fn is_due(&self, now: UnixSeconds) -> bool {
        self.0.iter().any(|waiting| now >= waiting.object.expires)
    }

    pub(super) fn view(&self) -> Vec<Wanted> {
        self.0.iter().map(wanted).collect()
    }

    /// Takes the request of a link. Tells which it is.
    pub(super) fn open_link(&mut self, phone: &mut Phone, link: &str) -> Answer {
        let request = phone.open_link(link.trim()).map_err(|error| match error {
            ClientError::Usage(_) => "link_form",
            error => code(&error),
        })?;
        self.read(phone);
        Ok(json!({ "id": request.to_string() }))
    }

    /// The holder's choice. A wrong one ends the request.
    pub(super) fn choose(&mut self, phone: &mut Phone, id: &str, chosen: &str) -> Answer {
        let waiting = self.find(id)?;
        let offered = waiting.codes.as_ref().map(|choice| choice.codes.as_slice()).unwrap_or_default();
        let chosen: Option<VerificationCode> = chosen.parse().ok();
        let chosen = chosen.filter(|chosen| offered.contains(chosen)).ok_or("failed")?;
        let request = waiting.object.request;
        let right = match phone.choose_code(request, chosen) {
            Ok(CodeChosen::Right {}) => true,
            Ok(CodeChosen::Wrong {}) => false,
            Err(error) => return Err(self.refused(phone, &error)),
        };
        self.read(phone);
        Ok(json!({ "right": right }))
    }

    /// Signs together with the server. A wrong PIN is counted there, and leaves the request open.
    pub(super) fn sign(&mut self, phone: &mut Phone, id: &str, pin: &str) -> Answer {
        let object = self.find(id)?.object.clone();
        let pin = Pin::entered(pin).map_err(|_| "pin_form")?;
        let request = object.request;
        match phone.resume() {
            // The answer to an earlier try was lost on its way.
            Ok(Some((earlier, Outcome::Signed { .. }))) if earlier == request => {
                self.read(phone);
                return Ok(json!({ "signed": true }));
            }
            Ok(_) => {}
            Err(error) => return Err(self.refused(phone, &error)),
        }
        let approved = phone.fetch(object).and_then(|shown| phone.approve(shown, &pin));
        let answer = match approved {
            Ok(Approved::Signed(_)) => Ok(json!({ "signed": true })),
            Ok(Approved::WrongPin(Attempts { blocked: true, .. })) => Err("blocked"),
            Ok(Approved::WrongPin(Attempts { locked_until: Some(_), .. })) => Err("locked"),
            Ok(Approved::WrongPin(Attempts { left, .. })) => Ok(json!({ "signed": false, "left": left })),
            Ok(Approved::KeyEnded) => Err("key_ended"),
            Err(error) => return Err(self.refused(phone, &error)),
        };
        self.read(phone);
        answer
    }

    pub(super) fn decline(&mut self, phone: &mut Phone, id: &str) -> Answer {
        let request = self.find(id)?.object.request;
        phone.decline(request).map_err(|error| self.refused(phone, &error))?;
        self.read(phone);
        Ok(Value::Null)
    }

    fn find(&self, id: &str) -> Result<&Waiting, &'static str> {
        self.0.iter().find(|waiting| waiting.object.request.to_string() == id).ok_or("request_closed")
    }

    /// What the page is told; a request that was over is listed no more.
    fn refused(&mut self, phone: &mut Phone, error: &ClientError) -> &'static str {
        self.read(phone);
        code(error)
    }
}

fn wanted(waiting: &Waiting) -> Wanted {
    let Waiting { object, codes } = waiting;
    let digest = |document: &signer_core::approval::Document| Digest {
        name: document.name.as_str().to_owned(),
        sha256: hex(&document.digest),
    };
    let field = |field: &signer_core::approval::Field| Field {
        label: field.label.as_str().to_owned(),
        value: field.value.as_str().to_owned(),
    };
    let open = codes.as_ref().filter(|choice| !choice.chosen);
    Wanted {
        id: object.request.to_string(),
        who: object.relying_party.name.as_str().to_owned(),
        text: object.text.as_str().to_owned(),
        documents: object.documents.as_slice().iter().map(digest).collect(),
        fields: object.fields().iter().map(field).collect(),
        codes: open.map(|choice| choice.codes.iter().map(ToString::to_string).collect()),
        expires: object.expires.0,
    }
}
