//! The command of the bank: asks for signatures, waits, and writes them in the formats it wants.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use signer_client::{
    ClientError, ExpectedApproval, Fault, desk::SystemClock, ports::Clock as _, signature_file,
    verify_approval, verify_result,
};
use signer_core::{
    ids::{RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{CreateRequest, CreatedRequest, ProblemCode, RequestStatus, RequestView, SignedResult},
};

use crate::{
    Ask, FormatArg, Global,
    input::random_id,
    order::Order,
    output::{Failure, Output, moment},
    setup::relying_party,
    wait::Waiting,
};

pub(crate) fn ask(global: &Global, output: &Output, args: &Ask) -> Result<(), Failure> {
    if args.link && args.format.iter().any(|format| *format != FormatArg::Json) {
        return Err(Failure::usage(
            "with --link it is not known yet whose certificate the file would hold",
            "Ask with --format json, and later by the person_id of the result.",
        ));
    }
    let bank = relying_party(global, &args.bank)?;
    let certificate = || again(|| bank.signing_certificate(&args.person));
    let order = Order::new(args, SystemClock.wall(), certificate)?;
    let request = CreateRequest {
        person: args.person.clone(),
        link: args.link,
        text: args.text.clone(),
        documents: order.documents.clone(),
        expires_in: args.expires_in,
        fields: args.field.clone(),
        verification_code: args.verification_code,
    };
    let idempotency_key = args.idempotency_key.clone().unwrap_or_else(random_id);
    // Before the request is made: whoever stops the program in between leaves none behind.
    let waiting = if args.no_wait { None } else { Some(Waiting::start()?) };
    let created = again(|| bank.ask(&request, &idempotency_key))?;
    output.progress(&format!(
        "Request {} made; it ends {}.",
        created.id,
        moment(UnixSeconds(created.expires))
    ));
    if let Some(code) = created.verification_code {
        output.progress(&format!(
            "Verification code {code}: show it to the person, who picks it on the phone."
        ));
    }
    let Some(waiting) = waiting else {
        let mut value = json!({ "request": created.id, "expires": created.expires });
        if let Some(code) = created.verification_code {
            value["verification_code"] = json!(code);
        }
        output.print(&value, &created.id.to_string());
        return Ok(());
    };
    let result = signed(waiting.decision(output, &bank, relying_party(global, &args.bank)?, &created)?)?;
    // An access token does not say whose it is.
    let asker = args.relying_party.or_else(|| bank.id());
    if asker.is_none() {
        output.progress("Whether the phone showed your name is not checked: give --relying-party ID.");
    }
    check(asker, &request, &created, &result)?;
    deliver(output, &order, created.id, &result)
}

/// The result of a request that ended, if its end was a signature.
fn signed(view: RequestView) -> Result<SignedResult, Failure> {
    let (code, sentence, next_step) = match (view.status, view.result) {
        (RequestStatus::Signed, Some(result)) => return Ok(result),
        (RequestStatus::Declined, _) => {
            ("declined", "the holder declined", "Ask the holder why before you ask again.")
        }
        (RequestStatus::Expired, _) => (
            "expired",
            "the request expired: the holder did not answer, or there is no such person",
            "Check --person; to leave more time, ask with --expires-in.",
        ),
        (RequestStatus::Cancelled, _) => (
            "cancelled",
            "the request was taken back",
            "Ask again, with another --idempotency-key if you gave one.",
        ),
        (RequestStatus::KeyEnded, _) => {
            ("key_ended", "the holder's key ended", "Ask again when the holder has enrolled again.")
        }
        (RequestStatus::WrongCode, _) => (
            "wrong_code",
            "the holder picked another verification code than the one shown",
            "Make sure that it is the right person who looks at your code, then ask again.",
        ),
        (RequestStatus::Signed | RequestStatus::Open, _) => {
            return Err(ClientError::ServerMisbehaved("an ended request has no result").into());
        }
    };
    Err(Failure::new(code, sentence, next_step))
}

/// Writes the files, and says which.
fn deliver(output: &Output, order: &Order, request: RequestId, result: &SignedResult) -> Result<(), Failure> {
    let value = signature_file(result);
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
    // First: whatever becomes of the other files, the holder's approval is kept.
    if let Some(Some(path)) = &order.result {
        write(path, pretty.as_bytes())?;
    }
    let written = order.complete(result)?;
    for path in &written {
        output.progress(&format!("Written: {}", path.display()));
    }
    match &order.result {
        Some(Some(path)) => {
            output.print(&value, &format!("Signed and verified. Result in {}.", path.display()));
        }
        Some(None) => output.print(&value, &pretty),
        None => output.print(
            &json!({ "request": request, "files": written }),
            &format!("Signed and verified. {} files written.", written.len()),
        ),
    }
    Ok(())
}

/// Whether the result is valid, and for what was asked.
fn check(
    asker: Option<RelyingPartyId>,
    request: &CreateRequest,
    created: &CreatedRequest,
    result: &SignedResult,
) -> Result<(), Failure> {
    // A token of another form does not say whose it is: then the record is not compared with that.
    let asker = match asker {
        Some(asker) => asker,
        None => verify_result(result)?.record.request.relying_party.id,
    };
    verify_approval(result, &ExpectedApproval::of(asker, request, created))?;
    Ok(())
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| {
        Failure::new("file", format!("cannot write {}: {error}", path.display()), "Give another --out.")
    })
}

const TRIES: u32 = 4;

fn in_flight(error: &ClientError) -> bool {
    matches!(error, ClientError::Problem(problem) if problem.code == ProblemCode::IdempotencyInFlight)
}

/// The network may be away for a moment, or an earlier try still be worked on; asking twice is safe.
pub(crate) fn again<T>(call: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    for tried in 1..TRIES {
        match call() {
            Err(error) if error.fault() == Fault::Network || in_flight(&error) => {
                SystemClock.sleep(Duration::from_millis(400) * tried);
            }
            result => return result,
        }
    }
    call()
}
