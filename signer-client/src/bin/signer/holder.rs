//! The phone's commands.

use std::{fs, path::Path};

use serde_json::{Value, json};
use signer_client::{
    Approved, ClientError, Outcome, Phone, SignedRequest, StateError, Waiting, lists::point,
};
use signer_core::{
    approval::RequestObject,
    credential::DocumentType,
    ids::RequestId,
    suite::SuiteId,
    wire::{DeviceStatus, Standing},
};

use crate::{
    Approve, Enrol, Global, choice,
    output::{Failure, Output, ask, attempts_json, confirm, entered_pin, hex, line, moment, new_pin},
    setup::{Desk, open, open_for, trust_root},
};

pub(crate) fn enrol(global: &Global, output: &Output, args: &Enrol) -> Result<(), Failure> {
    let suite = SuiteId::from_name(&args.suite).ok_or_else(|| {
        Failure::usage(format!("there is no suite {}", args.suite), "Use es256 or frost-secp256k1-sha256.")
    })?;
    let root = args.trust_root.as_deref().map(trust_root).transpose()?;
    let Desk { mut phone, .. } = open_for(global, Some(&args.server), root)?;
    if phone.enrolled().is_some() {
        return Err(ClientError::State(StateError::AlreadyEnrolled).into());
    }
    let code = match &args.code {
        Some(code) => code.clone().into(),
        None if args.pin.pin_stdin => line()?,
        None => ask("Enrolment code")?,
    };
    let pin = new_pin("New PIN, 6 to 12 digits", args.pin.pin_stdin)?;
    output.progress("Making a key together with the server ...");
    let enrolled = phone.enrol(suite, &code, &pin)?;
    if let Err(error) = phone.refresh_trust_list() {
        output.progress(&format!("No trust list yet, so requests of businesses cannot be checked: {error}."));
    }
    let root = phone.trust_list()?.map(|list| point(list.root()));
    let lost_code = phone.lost_code()?.text();
    let value = json!({
        "server": phone.server(),
        "device": enrolled.device,
        "key": enrolled.context.key,
        "suite": suite.name(),
        "public_key": hex(&enrolled.public_key.0),
        "lost_code": lost_code.as_str(),
        "trust_root": root,
    });
    let mut text = format!(
        "Enrolled with {}.\nSuite      {}\nPublic key {}\nKey        {}\nThis phone {}\n\nLost code  {}\nWrite it down and keep it away from this phone; it is not shown again. With it anybody can report the\nphone lost (`signer report-lost`): it then signs no more and its codes are refused. It does nothing else.",
        phone.server(),
        suite.name(),
        hex(&enrolled.public_key.0),
        enrolled.context.key,
        enrolled.device,
        lost_code.as_str(),
    );
    if let (Some(root), None) = (&root, &args.trust_root) {
        text.push_str(&format!(
            "\n\nTrust root {root}\nIt came from the server: compare it with the published one. By it this phone believes who a business is.",
        ));
    }
    output.print(&value, &text);
    Ok(())
}

pub(crate) fn status(global: &Global, output: &Output) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let status = phone.status()?;
    let device = phone.enrolled().map(|enrolled| enrolled.device);
    let resumed = phone.resume()?;
    let stock = phone.stock(DocumentType::IdentityCard);
    let outcome = resumed
        .as_ref()
        .map(|(request, outcome)| json!({ "request": request, "outcome": outcome_name(outcome) }));
    let value = json!({
        "server": phone.server(),
        "device": device,
        "key": status.key,
        "suite": status.suite.name(),
        "public_key": hex(&status.public_key.0),
        "epoch": status.epoch,
        "standing": standing_name(&status),
        "attempts": attempts_json(&status.attempts),
        "time": status.time,
        "undecided": phone.is_undecided(),
        "credentials": { "age": stock.age, "minimal": stock.minimal, "full": stock.full },
        "earlier_approval": outcome,
    });
    let attempts = &status.attempts;
    let tries = match (attempts.blocked, attempts.locked_until) {
        (true, _) => "blocked; enrol again".into(),
        (false, Some(until)) => format!("locked until {}", moment(until)),
        (false, None) => format!("{} wrong PINs may be typed before a lock", attempts.left),
    };
    let mut text = format!(
        "Server      {}\nKey         {} ({}), shares renewed {} times\nPublic key  {}\nStanding    {}\nPIN         {tries}\nCredentials {} age, {} minimal, {} full unused",
        phone.server(),
        status.key,
        status.suite.name(),
        status.epoch.0,
        hex(&status.public_key.0),
        standing_name(&status),
        stock.age,
        stock.minimal,
        stock.full,
    );
    if status.standing == Standing::Suspended {
        text.push_str("\nThis key is suspended; the operator can take that back.");
    } else if status.standing != Standing::Good {
        text.push_str("\nThis key signs no more. Use `signer forget`, then enrol again with a new code.");
    }
    if let Some(device) = device {
        text.push_str(&format!("\nThis phone  {device}"));
    }
    if phone.is_undecided() {
        text.push_str("\nA PIN change was sent and not confirmed yet; the old PIN holds for now. Ask again in ten minutes.");
    }
    if let Some((request, outcome)) = &resumed {
        text.push_str(&format!("\nEarlier approval of {request}: {}", outcome_name(outcome)));
    }
    output.print(&value, &text);
    Ok(())
}

pub(crate) fn requests(global: &Global, output: &Output) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let requests = phone.waiting()?;
    let value: Vec<Value> = requests.iter().map(waiting_json).collect();
    let text: Vec<String> = requests.iter().map(|waiting| request_text(&waiting.object)).collect();
    let text = if text.is_empty() { "No request waits for you.".into() } else { text.join("\n\n") };
    output.print(&json!({ "requests": value }), &text);
    Ok(())
}

pub(crate) fn approve(global: &Global, output: &Output, args: &Approve) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    if let Some((request, outcome)) = phone.resume()? {
        output.progress(&format!("Earlier approval of {request}: {}.", outcome_name(&outcome)));
    }
    let Waiting { object, codes } = choose(&mut phone, args.request)?;
    let shown = phone.fetch(object)?;
    output.progress(&format!("{}\n", request_text(shown.object())));
    if let Some(choice) = codes.filter(|choice| !choice.chosen) {
        choice::choose(output, &mut phone, shown.object(), &choice, args)?;
    }
    if !args.yes && !args.pin.pin_stdin && !confirm("Sign this?")? {
        return Err(Failure::new("not_approved", "nothing was signed", "Use `signer decline` to say no."));
    }
    let pin = entered_pin("PIN", args.pin.pin_stdin)?;
    output.progress("Signing together with the server ...");
    let request = shown.object().request;
    match phone.approve(shown, &pin)? {
        Approved::Signed(signed) => {
            let text = format!("Signed. {} verified here.", signatures_text(&signed));
            output.print(&signed_json(&signed), &text);
            Ok(())
        }
        Approved::WrongPin(attempts) => Err(ClientError::WrongPin(attempts).into()),
        Approved::KeyEnded => Err(Failure::new(
            "key_ended",
            format!("the key ended as a safety measure while request {request} was signed"),
            "Use `signer forget`, then enrol again with a new code.",
        )),
    }
}

pub(crate) fn open_link(global: &Global, output: &Output, link: &str) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let request = phone.open_link(link.trim())?;
    let object = choose(&mut phone, Some(request))?.object;
    let text = format!("{}\n\nSign it with `signer approve {request}`.", request_text(&object));
    output.print(&request_json(&object), &text);
    Ok(())
}

pub(crate) fn decline(global: &Global, output: &Output, request: Option<RequestId>) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let request = choose(&mut phone, request)?.object.request;
    phone.decline(request)?;
    output.print(&json!({ "declined": request }), &format!("Declined {request}."));
    Ok(())
}

pub(crate) fn change_pin(global: &Global, output: &Output, from_stdin: bool) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let old = entered_pin("Old PIN", from_stdin)?;
    let new = new_pin("New PIN, 6 to 12 digits", from_stdin)?;
    output.progress("Renewing the shares on both sides ...");
    let changed = phone.change_pin(&old, &new)?;
    let text = "The PIN is changed. The public key is the same as before.";
    output.print(&json!({ "changed": true, "epoch": changed.context.epoch }), text);
    Ok(())
}

pub(crate) fn credentials(global: &Global, output: &Output, kind: DocumentType) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    phone.synchronise()?;
    let count = phone.top_up(kind)?;
    let stock = phone.stock(kind);
    let value = json!({ "received": count, "age": stock.age, "minimal": stock.minimal, "full": stock.full });
    let text = format!(
        "{count} credentials came. At hand: {} age, {} minimal, {} full, for at most 26 hours.",
        stock.age, stock.minimal, stock.full,
    );
    output.print(&value, &text);
    Ok(())
}

pub(crate) fn forget(global: &Global, output: &Output, yes: bool) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    if !yes && !confirm("Remove the key from this phone for good?")? {
        return Err(Failure::new("not_removed", "nothing was removed", "Say y to remove it."));
    }
    phone.forget()?;
    output.print(&json!({ "forgotten": true }), "Removed. To sign again, enrol with a new code.");
    Ok(())
}

/// A reader of the file sees the old code or the new one, never half of one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
        Failure::new("file", format!("cannot write {}: {error}", path.display()), "Give another file.")
    })
}

/// The request named, or the only one there is.
fn choose(phone: &mut Phone, request: Option<RequestId>) -> Result<Waiting, Failure> {
    let mut requests = phone.waiting()?;
    if let Some(request) = request {
        return requests.into_iter().find(|listed| listed.object.request == request).ok_or_else(|| {
            Failure::new(
                "not_found",
                format!("request {request} does not wait for you"),
                "See `signer requests`.",
            )
        });
    }
    match (requests.pop(), requests.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => {
            Err(Failure::new("no_request", "no request waits for you", "Ask the business to send one."))
        }
        (Some(_), others) => Err(Failure::usage(
            format!("{} requests wait for you", others + 1),
            "Name one; see `signer requests`.",
        )),
    }
}

fn waiting_json(waiting: &Waiting) -> Value {
    let mut value = request_json(&waiting.object);
    if let Some(choice) = &waiting.codes {
        value["verification_codes"] = json!(choice.codes);
        value["code_chosen"] = json!(choice.chosen);
    }
    value
}

fn request_json(object: &RequestObject) -> Value {
    let documents = object.documents.as_slice().iter();
    json!({
        "request": object.request,
        "relying_party": { "id": object.relying_party.id, "name": object.relying_party.name.as_str() },
        "text": object.text.as_str(),
        "documents": documents
            .map(|document| json!({ "name": document.name.as_str(), "sha256": hex(&document.digest) }))
            .collect::<Vec<_>>(),
        "fields": object
            .fields()
            .iter()
            .map(|field| json!({ "label": field.label.as_str(), "value": field.value.as_str() }))
            .collect::<Vec<_>>(),
        "created": object.created,
        "expires": object.expires,
    })
}

fn request_text(object: &RequestObject) -> String {
    let mut text = format!(
        "Request  {}\nFrom     {}\nSays     {}",
        object.request,
        object.relying_party.name.as_str(),
        object.text.as_str().replace('\n', "\n         "),
    );
    for field in object.fields() {
        text.push_str(&format!("\n         {}: {}", field.label.as_str(), field.value.as_str()));
    }
    text.push_str(&format!("\nUntil    {}", moment(object.expires)));
    for document in object.documents.as_slice() {
        text.push_str(&format!(
            "\nDocument {}\n         SHA-256 {}",
            document.name.as_str().replace('\n', " "),
            hex(&document.digest)
        ));
    }
    text
}

fn signed_json(signed: &SignedRequest) -> Value {
    json!({
        "request": signed.request,
        "outcome": "signed",
        "suite": signed.suite.name(),
        "public_key": hex(&signed.public_key.0),
        "signatures": signed.signatures.iter().map(|one| hex(one.as_slice())).collect::<Vec<_>>(),
    })
}

fn signatures_text(signed: &SignedRequest) -> String {
    match signed.signatures.len() {
        1 => "One signature,".into(),
        many => format!("{many} signatures,"),
    }
}

const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Open(_) => "open",
        Outcome::Signed { verified: true, .. } => "signed, and verified here",
        Outcome::Signed { .. } => "signed",
        Outcome::Declined => "declined",
        Outcome::Cancelled => "cancelled",
        Outcome::Expired => "expired",
        Outcome::KeyEnded => "key ended",
        Outcome::WrongCode => "ended: a wrong verification code was chosen",
        Outcome::Unknown => "unknown to the server: it will not be signed",
    }
}

const fn standing_name(status: &DeviceStatus) -> &'static str {
    match status.standing {
        Standing::Good => "good",
        Standing::Frozen => "frozen",
        Standing::Revoked => "revoked",
        Standing::Suspended => "suspended",
    }
}
