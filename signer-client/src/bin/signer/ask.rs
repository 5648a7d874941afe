//! The command of the bank: asks for signatures, waits, and writes them in the formats it wants.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use signer_client::{
    ClientError, ExpectedApproval, Fault, RelyingParty, desk::SystemClock, ports::Clock as _, signature_file,
    verify_approval, verify_result,
};
use signer_core::{
    ids::RequestId,
    time::UnixSeconds,
    wire::{CreateRequest, CreatedRequest, RequestStatus, RequestView, SignedResult},
};

use crate::{
    Ask, Global,
    input::random_id,
    order::Order,
    output::{Failure, Output, moment},
    setup::relying_party,
};

pub(crate) fn ask(global: &Global, output: &Output, args: &Ask) -> Result<(), Failure> {
    let bank = relying_party(global, &args.bank)?;
    let certificate = || again(|| bank.signing_certificate(&args.person));
    let order = Order::new(args, SystemClock.wall(), certificate)?;
    let request = CreateRequest {
        person: args.person.clone(),
        text: args.text.clone(),
        documents: order.documents.clone(),
        expires_in: args.expires_in,
        fields: args.field.clone(),
        verification_code: args.verification_code,
    };
    let idempotency_key = args.idempotency_key.clone().unwrap_or_else(random_id);
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
    if args.no_wait {
        let mut value = json!({ "request": created.id, "expires": created.expires });
        if let Some(code) = created.verification_code {
            value["verification_code"] = json!(code);
        }
        output.print(&value, &created.id.to_string());
        return Ok(());
    }
    let view = wait(output, &bank, created.id)?;
    let Some(result) = view.result else {
        let status = serde_json::to_value(view.status).unwrap_or_default();
        let status = status.as_str().unwrap_or("closed").replace('_', " ");
        return Err(Failure::new(
            "not_signed",
            format!("the request is {status}"),
            "Ask again if you still need it.",
        ));
    };
    check(&bank, &request, &created, &result)?;
    let value = signature_file(&result);
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_default();
    // First: whatever becomes of the other files, the holder's approval is kept.
    if let Some(Some(path)) = &order.result {
        write(path, pretty.as_bytes())?;
    }
    let written = order.complete(&result)?;
    for path in &written {
        output.progress(&format!("Written: {}", path.display()));
    }
    match &order.result {
        Some(Some(path)) => {
            output.print(&value, &format!("Signed and verified. Result in {}.", path.display()));
        }
        Some(None) => output.print(&value, &pretty),
        None => output.print(
            &json!({ "request": created.id, "files": written }),
            &format!("Signed and verified. {} files written.", written.len()),
        ),
    }
    Ok(())
}

/// Whether the result is valid, and for what was asked.
fn check(
    bank: &RelyingParty,
    request: &CreateRequest,
    created: &CreatedRequest,
    result: &SignedResult,
) -> Result<(), Failure> {
    let verified = verify_result(result)?;
    // A token of another form does not say whose it is.
    let asker = bank.id().unwrap_or(verified.record.request.relying_party.id);
    verify_approval(&result.approval, &ExpectedApproval::of(asker, request, created))?;
    Ok(())
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| {
        Failure::new("file", format!("cannot write {}: {error}", path.display()), "Give another --out.")
    })
}

fn wait(output: &Output, bank: &RelyingParty, request: RequestId) -> Result<RequestView, Failure> {
    output.progress("Waiting for the holder ...");
    let mut waited = 0;
    loop {
        let view = again(|| bank.wait(request, Duration::from_secs(WAIT_SECONDS)))?;
        if view.status != RequestStatus::Open {
            return Ok(view);
        }
        waited += WAIT_SECONDS;
        output.progress(&format!("Still waiting, {waited} s ..."));
    }
}

const WAIT_SECONDS: u64 = 20;
const TRIES: u32 = 4;

/// The network may be away for a moment; asking twice is safe.
fn again<T>(call: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    for tried in 1..TRIES {
        match call() {
            Err(error) if error.fault() == Fault::Network => {
                SystemClock.sleep(Duration::from_millis(400) * tried);
            }
            result => return result,
        }
    }
    call()
}
