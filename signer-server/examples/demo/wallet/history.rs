//! The history as the page lists it.

use serde_json::{Value, json};
use signer_client::{History, HistoryLine};
use signer_core::{
    history::{Act, Asked, Entry, HistoryFault, Scan},
    wire::Profile,
};

use super::view::kind_numbered;

/// Newest first, and what the server did to it, if anything.
pub(super) fn view(history: History) -> Value {
    let entries: Vec<_> = history.lines.into_iter().rev().map(line).collect();
    json!({ "fault": history.fault.map(fault), "entries": entries })
}

const fn fault(fault: HistoryFault) -> &'static str {
    match fault {
        HistoryFault::Shortened { .. } => "shortened",
        HistoryFault::Rewritten { .. } => "rewritten",
        HistoryFault::Gap { .. } => "gap",
        HistoryFault::Forked { .. } => "forked",
    }
}

fn line(line: HistoryLine) -> Value {
    match line {
        HistoryLine::Told { entry: Some(entry), .. } => told(&entry),
        HistoryLine::Told { entry: None, .. } => entry(None, "unreadable", None, None, &[]),
        HistoryLine::Shown(show) => {
            let reader = show.reader.as_ref().map(|name| name.as_str());
            entry(Some(show.at.0), "shown", reader, None, claims(show.profile))
        }
    }
}

fn told(Entry { at, act }: &Entry) -> Value {
    let at = Some(at.0);
    let alone = |kind| entry(at, kind, None, None, &[]);
    let about = |kind, document_type| entry(at, kind, None, Some(kind_numbered(document_type)), &[]);
    match act {
        Act::Signed { asked } => signing(at, "signed", asked),
        Act::Declined { asked } => signing(at, "declined", asked),
        Act::WrongCode { asked } => signing(at, "wrong_code", asked),
        Act::WrongPin { .. } => alone("wrong_pin"),
        Act::PinChanged {} => alone("pin_changed"),
        Act::Verified { scan } => check(at, "verified", scan, claims(scan.profile)),
        Act::Refused { scan } => match scan.reason.as_str() {
            "declined" => check(at, "denied", scan, &[]),
            "asked" => check(at, "asked", scan, &[]),
            "no_answer" => check(at, "unanswered", scan, &[]),
            _ => check(at, "refused", scan, &[]),
        },
        Act::CredentialsIssued { document_type, .. } => about("issued", *document_type),
        Act::DocumentChanged { document_type } => about("document_changed", *document_type),
        Act::DocumentWithdrawn { document_type } => about("document_withdrawn", *document_type),
        Act::Suspended {} => alone("suspended"),
        Act::Resumed {} => alone("resumed"),
        Act::Frozen {} => alone("frozen"),
        Act::Revoked { .. } => alone("revoked"),
        Act::ReportedLost {} => alone("reported_lost"),
        Act::KeyEnded {} => alone("key_ended"),
    }
}

fn signing(at: Option<u64>, kind: &str, asked: &Asked) -> Value {
    let documents: Vec<_> = asked.documents.as_slice().iter().map(|name| name.as_str()).collect();
    entry(at, kind, Some(asked.relying_party.as_str()), Some(&documents.join(", ")), &[])
}

fn check(at: Option<u64>, kind: &str, scan: &Scan, claims: &[&str]) -> Value {
    entry(at, kind, Some(scan.verifier.as_str()), Some(kind_numbered(scan.document_type)), claims)
}

fn entry(at: Option<u64>, kind: &str, who: Option<&str>, what: Option<&str>, claims: &[&str]) -> Value {
    json!({ "at": at, "kind": kind, "who": who, "what": what, "claims": claims })
}

/// What a profile says, by the words the page has for it.
const fn claims(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Age => &["over"],
        Profile::Minimal => &["initials", "birthday", "over"],
        Profile::Full => &["family", "given", "birth", "number", "expires", "rights"],
    }
}
