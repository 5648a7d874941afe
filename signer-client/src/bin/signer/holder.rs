//! The phone's commands.

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};
use signer_client::{
    Approved, ClientError, Code, Consent, Outcome, Phone, ShowSession, SignedRequest, StateError, draw,
};
use signer_core::{
    approval::RequestObject,
    credential::DocumentType,
    ids::RequestId,
    suite::SuiteId,
    wire::{DeviceStatus, Profile, Standing},
};

use crate::{
    Approve, Enrol, Global, Show,
    output::{Failure, Output, ask, attempts_json, confirm, entered_pin, hex, line, moment, new_pin},
    setup::{Desk, open},
};

pub(crate) fn enrol(global: &Global, output: &Output, args: &Enrol) -> Result<(), Failure> {
    let suite = SuiteId::from_name(&args.suite).ok_or_else(|| {
        Failure::usage(format!("there is no suite {}", args.suite), "Use es256 or frost-secp256k1-sha256.")
    })?;
    let Desk { mut phone, .. } = open(global, Some(&args.server))?;
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
    let lost_code = phone.lost_code()?.text();
    let value = json!({
        "server": phone.server(),
        "device": enrolled.device,
        "key": enrolled.context.key,
        "suite": suite.name(),
        "public_key": hex(&enrolled.public_key.0),
        "lost_code": lost_code.as_str(),
    });
    let text = format!(
        "Enrolled with {}.\nSuite      {}\nPublic key {}\nKey        {}\nThis phone {}\n\nLost code  {}\nWrite it down and keep it away from this phone; it is not shown again. With it anybody can report the\nphone lost (`signer report-lost`): it then signs no more and its codes are refused. It does nothing else.",
        phone.server(),
        suite.name(),
        hex(&enrolled.public_key.0),
        enrolled.context.key,
        enrolled.device,
        lost_code.as_str(),
    );
    output.print(&value, &text);
    Ok(())
}

pub(crate) fn status(global: &Global, output: &Output) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    let status = phone.status()?;
    let device = phone.enrolled().map(|enrolled| enrolled.device);
    let resumed = phone.resume()?;
    let stock = phone.stock();
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
    let Desk { mut phone, .. } = open(global, None)?;
    let requests = phone.requests()?;
    let value: Vec<Value> = requests.iter().map(request_json).collect();
    let text: Vec<String> = requests.iter().map(request_text).collect();
    let text = if text.is_empty() { "No request waits for you.".into() } else { text.join("\n\n") };
    output.print(&json!({ "requests": value }), &text);
    Ok(())
}

pub(crate) fn approve(global: &Global, output: &Output, args: &Approve) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    if let Some((request, outcome)) = phone.resume()? {
        output.progress(&format!("Earlier approval of {request}: {}.", outcome_name(&outcome)));
    }
    let listed = choose(&mut phone, args.request)?;
    let shown = phone.fetch(listed)?;
    output.progress(&format!("{}\n", request_text(shown.object())));
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

pub(crate) fn decline(global: &Global, output: &Output, request: Option<RequestId>) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    let request = choose(&mut phone, request)?.request;
    phone.decline(request)?;
    output.print(&json!({ "declined": request }), &format!("Declined {request}."));
    Ok(())
}

pub(crate) fn change_pin(global: &Global, output: &Output, from_stdin: bool) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    let old = entered_pin("Old PIN", from_stdin)?;
    let new = new_pin("New PIN, 6 to 12 digits", from_stdin)?;
    output.progress("Renewing the shares on both sides ...");
    let changed = phone.change_pin(&old, &new)?;
    let text = "The PIN is changed. The public key is the same as before.";
    output.print(&json!({ "changed": true, "epoch": changed.context.epoch }), text);
    Ok(())
}

pub(crate) fn credentials(global: &Global, output: &Output, kind: DocumentType) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    phone.synchronise()?;
    let count = phone.top_up(kind)?;
    let stock = phone.stock();
    let value = json!({ "received": count, "age": stock.age, "minimal": stock.minimal, "full": stock.full });
    let text = format!(
        "{count} credentials came. At hand: {} age, {} minimal, {} full, for at most 26 hours.",
        stock.age, stock.minimal, stock.full,
    );
    output.print(&value, &text);
    Ok(())
}

pub(crate) fn forget(global: &Global, output: &Output, yes: bool) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    if !yes && !confirm("Remove the key from this phone for good?")? {
        return Err(Failure::new("not_removed", "nothing was removed", "Say y to remove it."));
    }
    phone.forget()?;
    output.print(&json!({ "forgotten": true }), "Removed. To sign again, enrol with a new code.");
    Ok(())
}

const POLL_SECONDS: u64 = 3;

pub(crate) fn show(global: &Global, output: &Output, args: &Show) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    let profile = Profile::from(args.profile);
    let consent = if args.to_whoever_scans { Consent::ToWhoeverScans } else { Consent::Showing };
    if profile == Profile::Full && !args.to_whoever_scans {
        return Err(Failure::usage(
            "the full document is shown only with your word",
            "Add --to-whoever-scans, or show age or minimal.",
        ));
    }
    let mut online = !args.offline && phone.synchronise().is_ok();
    if phone.stock().of(profile) == 0 && online {
        output.progress("Getting credentials ...");
        phone.top_up(args.document.into())?;
        if phone.stock().of(profile) == 0 {
            return Err(Failure::new(
                "no_document",
                format!("the register has nothing to show as {} for this person", profile.name()),
                "Show another --profile. Age is for who is of age.",
            ));
        }
    }
    let mut session = phone.start_show(profile, consent)?;
    if session.is_linkable() {
        output.progress(
            "No unused credential is left: who sees this can tell that it is the same phone as before.",
        );
    }
    let mut top_up_at = phone.now().plus(phone.top_up_delay());
    let mut last: Option<Code> = None;
    loop {
        let code = phone.code(&mut session)?;
        if last.as_ref() != Some(&code) {
            write_files(args, &code)?;
        }
        draw_code(output, &session, &code, last.as_ref() != Some(&code), phone.now().0)?;
        if args.once {
            return Ok(());
        }
        last = Some(code);
        let now = phone.now();
        if online && now.0 % POLL_SECONDS == 0 {
            match phone.poll(&mut session) {
                Ok(_) => {}
                Err(ClientError::State(StateError::TurnsUsedUp)) => {
                    output.progress("This code was used sixteen times; wait for the next one.");
                }
                Err(_) => online = false,
            }
        }
        if online && phone.needs_top_up() && now >= top_up_at {
            // A new show begins with it, as the used credential goes.
            if phone.top_up(args.document.into()).is_ok() {
                session = phone.start_show(profile, consent)?;
            }
            top_up_at = now.plus(signer_client::TOP_UP_WITHIN_SECONDS);
        }
        phone.sleep(Duration::from_secs(1));
    }
}

fn draw_code(
    output: &Output,
    session: &ShowSession,
    code: &Code,
    is_new: bool,
    now: u64,
) -> Result<(), Failure> {
    let left = code.until.0.saturating_sub(now);
    if output.json {
        if is_new {
            let value = json!({
                "profile": session.profile().name(),
                "code": code.presentation.as_str(),
                "digits": code.digits.to_string(),
                "step": code.step.0,
                "turn": code.turn.number(),
                "until": code.until.0,
                "linkable": session.is_linkable(),
            });
            output.print(&value, "");
        }
        return Ok(());
    }
    let on_terminal = std::io::stdout().is_terminal();
    let mut out = std::io::stdout().lock();
    let mut text = String::new();
    if is_new {
        let matrix = draw::matrix(code.presentation.as_str()).map_err(draw_failure)?;
        if on_terminal {
            text.push_str("\x1b[2J\x1b[H");
        }
        text.push_str(&draw::terminal(&matrix, on_terminal));
        text.push_str(&format!("\n  {}   {}\n", session.profile().name(), code.digits));
        if !on_terminal {
            text.push_str(&format!("  good for {left} s\n"));
        }
    }
    if on_terminal {
        text.push_str(&format!("\r  new in {left:3} s, Ctrl-C ends "));
    }
    // A reader that went away is no fault of this program.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    Ok(())
}

fn write_files(args: &Show, code: &Code) -> Result<(), Failure> {
    let text = code.presentation.as_str();
    if let Some(path) = &args.text {
        replace(path, text.as_bytes())?;
    }
    if args.svg.is_none() && args.png.is_none() {
        return Ok(());
    }
    let matrix = draw::matrix(text).map_err(draw_failure)?;
    if let Some(path) = &args.svg {
        replace(
            path,
            draw::svg(&matrix, "Document code", "QR code of a document, good for three minutes").as_bytes(),
        )?;
    }
    if let Some(path) = &args.png {
        replace(path, &draw::png(&matrix, 8).map_err(draw_failure)?)?;
    }
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

fn draw_failure(error: impl std::fmt::Display) -> Failure {
    Failure::new("draw", format!("the code cannot be drawn: {error}"), "Use --text, and tell the developers.")
}

/// The request named, or the only one there is.
fn choose(phone: &mut Phone, request: Option<RequestId>) -> Result<RequestObject, Failure> {
    let mut requests = phone.requests()?;
    if let Some(request) = request {
        return requests.into_iter().find(|listed| listed.request == request).ok_or_else(|| {
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

fn request_json(object: &RequestObject) -> Value {
    let documents = object.documents.as_slice().iter();
    json!({
        "request": object.request,
        "relying_party": { "id": object.relying_party.id, "name": object.relying_party.name.as_str() },
        "text": object.text.as_str(),
        "documents": documents
            .map(|document| json!({ "name": document.name.as_str(), "sha256": hex(&document.digest) }))
            .collect::<Vec<_>>(),
        "created": object.created,
        "expires": object.expires,
    })
}

fn request_text(object: &RequestObject) -> String {
    let mut text = format!(
        "Request  {}\nFrom     {}\nSays     {}\nUntil    {}",
        object.request,
        object.relying_party.name.as_str(),
        object.text.as_str().replace('\n', "\n         "),
        moment(object.expires),
    );
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
