//! Events of document registers: CloudEvents 1.0 about documents and their holders. An event only ends what was given out; what
//! holds now is asked from the register again.

use serde::Deserialize;
use signer_core::{
    credential::DocumentType,
    domain::{Domain, Hasher},
    history::Act,
    wire::{Event, ProblemCode, ReportedEvent},
};

use super::{Refusal, Service, ServiceResult};
use crate::store::{Happened, Holder, OrganisationDocument, RelyingPartyRow, Report, Reported};

/// Longest id and source of an event, bytes.
const ATTRIBUTE_BYTES_MAX: usize = 200;
/// Digits of a sequence: always as many, so that texts compare like numbers (CloudEvents sequence extension).
const SEQUENCE_DIGITS: usize = 20;

/// An event as it was received: the attributes of CloudEvents 1.0 section 3 that are known here, and no other.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// Unique within the source.
    pub id: String,
    /// Who produced it: a URI reference.
    pub source: String,
    /// What happened: `signer.document.withdrawn.v1` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// The person, by the reference the operator enrolled them under; or `ORGANISATION/REFERENCE`.
    pub subject: String,
    /// Its place among the source's events about this person and document: 20 digits.
    pub sequence: String,
    /// `Integer`, if given.
    pub sequencetype: Option<String>,
    /// When it happened, RFC 3339, if given.
    pub time: Option<String>,
    /// `application/json`, if given.
    pub datacontenttype: Option<String>,
    /// Which document; none in events about the person.
    pub data: Option<EventData>,
}

/// The document an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventData {
    /// Its kind.
    pub document_type: DocumentType,
}

impl std::fmt::Debug for CloudEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CloudEvent(redacted)")
    }
}

impl Service {
    /// Takes an event of a register. What it ends has ended when this returns. The same event again gets the same answer.
    ///
    /// # Errors
    /// A refusal that names the attribute that is wrong; `idempotency_mismatch` for an id used for another event.
    pub async fn report(
        &self,
        reporter: &RelyingPartyRow,
        event: &CloudEvent,
    ) -> ServiceResult<ReportedEvent> {
        let _announced = self.store.announce();
        let report = self.checked(reporter, event)?;
        match self.store.report(report).await? {
            Reported::Taken { outcome, device } => {
                if let Some(device) = device {
                    self.end_checks(device).await;
                    self.tell(device, Event::Documents);
                    self.tell(device, Event::History);
                }
                // Not whom it is about: the installation, which the log names anyway.
                let device = device.map(|device| device.to_string());
                tracing::info!(reporter = %reporter.id, kind = event.kind, ?outcome, device, "event of a register");
                Ok(ReportedEvent { outcome })
            }
            Reported::Mismatch => {
                let text = "source and id were used for an event that says something else";
                Err(Refusal::because(ProblemCode::IdempotencyMismatch, text).into())
            }
        }
    }

    fn checked(&self, reporter: &RelyingPartyRow, event: &CloudEvent) -> ServiceResult<Report> {
        let invalid = |text: &str| Refusal::because(ProblemCode::InvalidValue, text);
        let require = |holds: bool, text: &str| if holds { Ok(()) } else { Err(invalid(text)) };
        let is = |value: &Option<String>, wanted: &str| value.as_deref().is_none_or(|value| value == wanted);
        require(event.specversion == "1.0", "specversion is 1.0")?;
        require(is_attribute(&event.id), "id is 1 to 200 visible ASCII characters")?;
        require(is_attribute(&event.source), "source is 1 to 200 visible ASCII characters")?;
        require(event.time.as_deref().is_none_or(is_rfc3339), "time is a time of RFC 3339")?;
        require(is(&event.datacontenttype, "application/json"), "datacontenttype is application/json")?;
        require(is(&event.sequencetype, "Integer"), "sequencetype is Integer")?;
        let sequence = sequence(&event.sequence);
        let sequence = sequence.ok_or_else(|| invalid("sequence is 20 decimal digits, below 2^63"))?;
        let holder = Holder::new(&event.subject)
            .ok_or_else(|| invalid("subject is a person: 1 to 64 visible ASCII characters"))?;
        let what = happened(event).ok_or_else(|| {
            invalid("type is one of signer.document.changed.v1 and signer.document.withdrawn.v1, with data, and signer.holder.deceased.v1, without")
        })?;
        let kind = match what {
            Happened::Changed(kind) | Happened::Withdrawn(kind) => u64::from(kind),
            Happened::Deceased => 0,
        };
        if !may_report(reporter, what) {
            return Err(Refusal::because(ProblemCode::Forbidden, "this token is not for such events").into());
        }
        let document = match event.data {
            Some(EventData { document_type }) if !document_type.is_personal() => {
                let document = event.subject.parse::<OrganisationDocument>().map_err(|()| {
                    invalid("subject is a document of an organisation: ORGANISATION/REFERENCE")
                })?;
                Some(self.document_hash(&document, document_type))
            }
            _ => None,
        };
        // Under the reporter's own id: nobody takes the place of another's events.
        let hash = |purpose: &[u8]| {
            let hash = Hasher::new(Domain::TokenHash).field(purpose).field(reporter.id.as_bytes());
            hash.field(event.source.as_bytes())
        };
        let subject = event.subject.as_bytes();
        Ok(Report {
            id: hash(b"event").field(event.id.as_bytes()).finish(),
            content: hash(b"event-content")
                .field(event.kind.as_bytes())
                .field(subject)
                .number(sequence)
                .number(kind)
                .finish(),
            about: hash(b"event-about").field(subject).number(kind).finish(),
            sequence,
            holder,
            document,
            what,
            told: self.note_if_needed(told(what)),
            now: self.now(),
        })
    }
}

/// Whether a token is for this kind of document, or for deaths.
fn may_report(reporter: &RelyingPartyRow, what: Happened) -> bool {
    match what {
        Happened::Changed(kind) | Happened::Withdrawn(kind) => {
            reporter.report_kinds.iter().any(|allowed| u32::from(*allowed) == kind)
        }
        Happened::Deceased => reporter.may_report_deceased,
    }
}

/// What the holder is told of an event.
const fn told(what: Happened) -> Act {
    match what {
        Happened::Changed(document_type) => Act::DocumentChanged { document_type },
        Happened::Withdrawn(document_type) => Act::DocumentWithdrawn { document_type },
        Happened::Deceased => Act::Suspended {},
    }
}

fn happened(event: &CloudEvent) -> Option<Happened> {
    let kind = |data: EventData| u32::from(data.document_type.number());
    match (event.kind.as_str(), event.data) {
        ("signer.document.changed.v1", Some(data)) => Some(Happened::Changed(kind(data))),
        ("signer.document.withdrawn.v1", Some(data)) => Some(Happened::Withdrawn(kind(data))),
        ("signer.holder.deceased.v1", None) => Some(Happened::Deceased),
        _ => None,
    }
}

fn is_attribute(text: &str) -> bool {
    (1..=ATTRIBUTE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn sequence(text: &str) -> Option<u64> {
    let shaped = text.len() == SEQUENCE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if shaped { text.parse::<i64>().ok()? } else { return None };
    u64::try_from(number).ok()
}

/// Whether a text has the form of RFC 3339 section 5.6. What it says decides nothing.
fn is_rfc3339(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>, allowed: std::ops::RangeInclusive<u32>| {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).is_some_and(|number| allowed.contains(&number))
    };
    let at =
        |place: usize, wanted: &[u8]| text.as_bytes().get(place).is_some_and(|byte| wanted.contains(byte));
    let date =
        number(0..4, 0..=9999) && at(4, b"-") && number(5..7, 1..=12) && at(7, b"-") && number(8..10, 1..=31);
    let clock = number(11..13, 0..=23)
        && at(13, b":")
        && number(14..16, 0..=59)
        && at(16, b":")
        && number(17..19, 0..=60);
    let Some(rest) = text.get(19..) else { return false };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if zone.len() == fraction.len() || fraction.len() - zone.len() > 9 {
                return false;
            }
            zone
        }
    };
    let start = text.len() - zone.len();
    let offset = zone.len() == 6
        && at(start, b"+-")
        && number(start + 1..start + 3, 0..=23)
        && at(start + 3, b":")
        && number(start + 4..start + 6, 0..=59);
    date && at(10, b"Tt") && clock && (matches!(zone, "Z" | "z") || offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_rfc_3339_and_no_others() {
        for good in [
            "2026-11-22T04:05:06Z",
            "2026-11-22t04:05:06.123456789z",
            "1990-12-31T23:59:60Z",
            "2026-01-01T00:00:00.5+02:00",
            "2026-01-01T00:00:00-12:45",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T04:05:06",
            "2026-11-22 04:05:06Z",
            "2026-13-22T04:05:06Z",
            "2026-11-22T24:05:06Z",
            "2026-11-22T04:05:06.Z",
            "2026-11-22T04:05:06.1234567890Z",
            "2026-11-22T04:05:06Zx",
            "2026-11-22T04:05:06+2:00",
            "2026-11-22T04:05:06+02:60",
            "+026-11-22T04:05:06Z",
            "2026-11-22T04:05:06Ж",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }

    #[test]
    fn a_sequence_has_twenty_digits() {
        assert_eq!(sequence("00000000000000000042"), Some(42));
        assert_eq!(sequence("09223372036854775807"), Some(u64::MAX >> 1));
        for bad in [
            "",
            "42",
            "9223372036854775807",
            "09223372036854775808",
            "+0000000000000000042",
            "0000000000000000004²",
        ] {
            assert_eq!(sequence(bad), None, "{bad}");
        }
    }
}
