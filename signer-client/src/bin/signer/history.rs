//! The holder's history, and the report of a lost phone.

use serde_json::{Value, json};
use signer_client::{ClientError, History, HistoryLine, http::NetworkHttp, report_lost};
use signer_core::{
    credential::DocumentType,
    history::{Act, Asked, Entry, Scan},
};

use crate::{
    Global, HistoryArgs, ReportLost,
    output::{Failure, Output, ask, moment},
    setup::{Desk, network, open},
};

/// Lists the history; `Err` after it, if the server's is not the one this phone has seen.
pub(crate) fn history(global: &Global, output: &Output, args: &HistoryArgs) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    if args.accept {
        let head = phone.accept_history()?;
        output.progress(&format!(
            "From now on compared with the server's {} entries as they are.",
            head.number
        ));
    }
    let History { lines, fault, head } = phone.history(args.most)?;
    if let Some(fault) = fault {
        // What the phone knows by itself is still worth showing.
        output.progress(&text(&lines));
        return Err(ClientError::History(fault).into());
    }
    let value = json!({ "entries": head.number, "lines": lines.iter().map(line_json).collect::<Vec<_>>() });
    output.print(&value, &text(&lines));
    Ok(())
}

pub(crate) fn lost(global: &Global, output: &Output, args: &ReportLost) -> Result<(), Failure> {
    let code = match &args.code {
        Some(code) => code.clone().into(),
        None => ask("Lost code")?,
    };
    report_lost(&NetworkHttp::new(&args.server, &network(global)?)?, &code)?;
    let text = "Reported. If the code is that of a living phone, it signs no more and its codes are refused.\nTo go on, ask for a new enrolment code.";
    output.print(&json!({ "reported": true }), text);
    Ok(())
}

fn text(lines: &[HistoryLine]) -> String {
    if lines.is_empty() {
        return "Nothing has happened yet.".into();
    }
    lines.iter().map(line_text).collect::<Vec<_>>().join("\n")
}

fn line_text(line: &HistoryLine) -> String {
    match line {
        HistoryLine::Told { entry: Some(Entry { at, act }), .. } => {
            format!("{}  {}", moment(*at), sentence(act))
        }
        HistoryLine::Told { number, entry: None } => {
            format!("entry {number}  cannot be read: not meant for this phone, or for a newer program")
        }
        HistoryLine::Shown(show) => {
            let reader = show.reader.as_ref().map_or("an unknown reader", |name| name.as_str());
            format!("{}  shown to {reader}: {}", moment(show.at), show.profile.name())
        }
    }
}

fn sentence(act: &Act) -> String {
    match act {
        Act::Signed { asked } => format!("signed for {}", asked_text(asked)),
        Act::Declined { asked } => format!("declined for {}", asked_text(asked)),
        Act::WrongPin { attempts } if attempts.blocked => "wrong PIN: blocked".into(),
        Act::WrongPin { attempts } => match attempts.locked_until {
            Some(until) => format!("wrong PIN: locked until {}", moment(until)),
            None => format!("wrong PIN: {} left before a lock", attempts.left),
        },
        Act::PinChanged {} => "PIN changed".into(),
        Act::Verified { scan } => format!("checked by {}: {}", scan.verifier.as_str(), scan_text(scan)),
        Act::Refused { scan } if scan.reason.as_str() == "asked" => {
            format!("asked by {}: {}", scan.verifier.as_str(), scan_text(scan))
        }
        Act::Refused { scan } => format!("refused at {}: {}", scan.verifier.as_str(), scan_text(scan)),
        Act::CredentialsIssued { document_type, count } => {
            format!("{count} credentials issued: {}", document(*document_type))
        }
        Act::DocumentChanged { document_type } => {
            format!("the register changed the {}", document(*document_type))
        }
        Act::DocumentWithdrawn { document_type } => {
            format!("the register withdrew the {}", document(*document_type))
        }
        Act::Suspended {} => "suspended".into(),
        Act::Resumed {} => "suspension taken back".into(),
        Act::Frozen {} => "frozen: a copy of this phone was seen".into(),
        Act::Revoked { reason } => format!("revoked: {}", reason.as_str()),
        Act::ReportedLost {} => "reported lost with the lost code".into(),
        Act::KeyEnded {} => "the key ended as a safety measure".into(),
        Act::WrongCode { asked } => format!("wrong verification code chosen for {}", asked_text(asked)),
    }
}

fn asked_text(asked: &Asked) -> String {
    let documents: Vec<_> = asked.documents.as_slice().iter().map(|name| name.as_str()).collect();
    format!("{}: {}", asked.relying_party.as_str(), documents.join(", "))
}

fn scan_text(scan: &Scan) -> String {
    let shown = format!("{} of the {}", scan.profile.name(), document(scan.document_type));
    if scan.reason.as_str() == "valid" { shown } else { format!("{shown}; {}", scan.reason.as_str()) }
}

fn document(number: u32) -> String {
    match u8::try_from(number).ok().and_then(DocumentType::from_number) {
        Some(kind) => kind.name().into(),
        None => format!("document of type {number}"),
    }
}

fn line_json(line: &HistoryLine) -> Value {
    match line {
        HistoryLine::Told { number, entry: None } => json!({ "number": number, "readable": false }),
        HistoryLine::Told { number, entry: Some(Entry { at, act }) } => {
            let mut value = act_json(act);
            value["number"] = json!(number);
            value["time"] = json!(at);
            value
        }
        HistoryLine::Shown(show) => json!({
            "act": "shown",
            "time": show.at,
            "profile": show.profile.name(),
            "reader": show.reader.as_ref().map(|name| name.as_str()),
        }),
    }
}

fn act_json(act: &Act) -> Value {
    let asked = |act: &str, asked: &Asked| {
        json!({
            "act": act,
            "relying_party": asked.relying_party.as_str(),
            "request": asked.request,
            "documents": asked.documents.as_slice().iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        })
    };
    let scan = |act: &str, scan: &Scan| {
        json!({
            "act": act,
            "verifier": scan.verifier.as_str(),
            "profile": scan.profile.name(),
            "document_type": scan.document_type,
            "reason": scan.reason.as_str(),
        })
    };
    match act {
        Act::Signed { asked: one } => asked("signed", one),
        Act::Declined { asked: one } => asked("declined", one),
        Act::WrongPin { attempts } => {
            json!({ "act": "wrong_pin", "attempts": crate::output::attempts_json(attempts) })
        }
        Act::PinChanged {} => json!({ "act": "pin_changed" }),
        Act::Verified { scan: one } => scan("verified", one),
        Act::Refused { scan: one } => scan("refused", one),
        Act::CredentialsIssued { document_type, count } => {
            json!({ "act": "credentials_issued", "document_type": document_type, "count": count })
        }
        Act::DocumentChanged { document_type } => {
            json!({ "act": "document_changed", "document_type": document_type })
        }
        Act::DocumentWithdrawn { document_type } => {
            json!({ "act": "document_withdrawn", "document_type": document_type })
        }
        Act::Suspended {} => json!({ "act": "suspended" }),
        Act::Resumed {} => json!({ "act": "resumed" }),
        Act::Frozen {} => json!({ "act": "frozen" }),
        Act::Revoked { reason } => json!({ "act": "revoked", "reason": reason.as_str() }),
        Act::ReportedLost {} => json!({ "act": "reported_lost" }),
        Act::KeyEnded {} => json!({ "act": "key_ended" }),
        Act::WrongCode { asked: one } => asked("wrong_code", one),
    }
}
