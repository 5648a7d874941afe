//! The commands of the other side of the counter: the bank that asks, the shop that checks.

use std::{fs, io::Read as _, path::Path, process::ExitCode, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use signer_client::{
    ClientError, Fault,
    desk::{SystemClock, system_rng},
    ports::Clock as _,
    signature_file, verify_offline, verify_result,
};
use signer_core::{
    credential::{Colour, IssuerKeys, Refusal, VerificationResult, VerifyOptions},
    domain::sha256,
    ids::RequestId,
    wire::{CreateRequest, DocumentDigest, RequestStatus, RequestView, SignedResult},
};

use crate::{
    Ask, Global, Verify, VerifySignature,
    memory::Memory,
    output::{Failure, Output, hex, moment},
    setup::{relying_party, step_rule},
};

pub(crate) fn verify(global: &Global, output: &Output, args: &Verify) -> Result<ExitCode, Failure> {
    let result = check(global, args).map_err(Failure::without_answer)?;
    let colour = match result.result {
        Colour::Green => "GREEN",
        Colour::Amber => "AMBER",
        Colour::Red => "RED",
    };
    let mut text = format!("{colour}: {}\n{}", result.sentence, result.next_step);
    let value = serde_json::to_value(&result).unwrap_or_default();
    if let Some(claims) = &value.get("claims").filter(|claims| !claims.is_null()) {
        text.push_str(&claims_text(claims));
    }
    for note in value.get("notes").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("\nNote: {}", note.as_str().unwrap_or_default()));
    }
    output.print(&value, &text);
    Ok(ExitCode::from(match result.result {
        Colour::Green => 0,
        Colour::Red => 1,
        Colour::Amber => 3,
    }))
}

fn check(global: &Global, args: &Verify) -> Result<VerificationResult, Failure> {
    let code = match (&args.code, &args.file) {
        (Some(code), _) if code == "-" => {
            let mut text = String::new();
            let read = std::io::stdin().take(MAX_CODE).read_to_string(&mut text);
            read.map_err(|error| {
                Failure::usage(format!("standard input: {error}"), "Give the code's text.")
            })?;
            text
        }
        (Some(code), _) => code.clone(),
        (None, Some(file)) => text_of(file)?,
        (None, None) => return Err(Failure::usage("there is no code", "Give its text, --file, or -.")),
    };
    let code = code.trim_end_matches(['\r', '\n']);
    if let Some(path) = &args.issuer_keys {
        let keys: IssuerKeys = serde_json::from_str(&text_of(path)?).map_err(|error| {
            Failure::usage(format!("{}: {error}", path.display()), "Get the list of issuers anew.")
        })?;
        let (now, mut memory) = (SystemClock.wall(), Memory::open(global)?);
        let options = VerifyOptions {
            rule: step_rule(global)?,
            clock_floor: memory.clock_floor(),
            ..VerifyOptions::at(now)
        };
        let (result, outcome) = verify_offline(code, &keys, &options);
        return Ok(match outcome {
            Ok(verified) if !memory.accept(&verified, now)? => {
                VerificationResult::offline(&Err(Refusal::Used), now)
            }
            _ => result,
        });
    }
    let shop = relying_party(global, &args.bank)?;
    Ok(shop.verify_code(code, &random_id())?)
}

const MAX_CODE: u64 = 4096;

fn claims_text(claims: &Value) -> String {
    let profiles = claims.as_object().into_iter().flatten();
    let lines = profiles.flat_map(|(_, fields)| fields.as_object().into_iter().flatten());
    lines
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            format!("\n  {name:14} {value}")
        })
        .collect()
}

pub(crate) fn ask(global: &Global, output: &Output, args: &Ask) -> Result<(), Failure> {
    let bank = relying_party(global, &args.bank)?;
    let mut documents = Vec::new();
    for file in &args.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        documents.push(DocumentDigest { name, sha256: BASE64_STANDARD.encode(digest_of(file)?) });
    }
    let request = CreateRequest {
        person: args.person.clone(),
        text: args.text.clone(),
        documents,
        expires_in: args.expires_in,
    };
    let idempotency_key = args.idempotency_key.clone().unwrap_or_else(random_id);
    let created = again(|| bank.ask(&request, &idempotency_key))?;
    output.progress(&format!(
        "Request {} made; it ends {}.",
        created.id,
        moment(signer_core::time::UnixSeconds(created.expires))
    ));
    if args.no_wait {
        output.print(&json!({ "request": created.id, "expires": created.expires }), &created.id.to_string());
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
    let verified = verify_result(&result)?;
    let asked_documents = request.documents.iter().map(|document| (&document.name, &document.sha256));
    let signed_documents = result.signatures.iter().map(|entry| (&entry.name, &entry.sha256));
    let record = &verified.record.request;
    if !asked_documents.eq(signed_documents)
        || record.text.as_str() != args.text
        || record.request != created.id
    {
        return Err(ClientError::ServerMisbehaved("the result is not for what was asked").into());
    }
    let json = signature_file(&result);
    if let Some(path) = &args.out {
        let bytes = serde_json::to_vec_pretty(&signature_file(&result)).unwrap_or_default();
        fs::write(path, bytes).map_err(|error| {
            Failure::new("file", format!("cannot write {}: {error}", path.display()), "Give another --out.")
        })?;
    }
    let text = match (&args.out, serde_json::to_string_pretty(&signature_file(&result))) {
        (Some(path), _) => format!("Signed and verified. Result in {}.", path.display()),
        (None, pretty) => pretty.unwrap_or_default(),
    };
    output.print(&json, &text);
    Ok(())
}

fn wait(
    output: &Output,
    bank: &signer_client::RelyingParty,
    request: RequestId,
) -> Result<RequestView, Failure> {
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

pub(crate) fn verify_signature(output: &Output, args: &VerifySignature) -> Result<(), Failure> {
    let result: SignedResult = serde_json::from_str(&text_of(&args.signature)?).map_err(|error| {
        Failure::usage(format!("{}: {error}", args.signature.display()), "Give the file that `ask` wrote.")
    })?;
    let verified = verify_result(&result)?;
    for file in &args.files {
        let digest = digest_of(file)?;
        if !verified.record.request.documents.as_slice().iter().any(|document| document.digest == digest) {
            return Err(signer_client::ResultError::Digest(file.display().to_string()).into());
        }
    }
    let record = &verified.record;
    let value = json!({
        "valid": true,
        "suite": verified.suite.name(),
        "public_key": hex(&verified.public_key.0),
        "relying_party": record.request.relying_party.name.as_str(),
        "text": record.request.text.as_str(),
        "approved_at": record.approved_at,
        "files": args.files.len(),
        "signatures": result.signatures.len(),
    });
    let text = format!(
        "Valid: {} of {} signed documents given, each signature holds.\nSuite      {}\nPublic key {}\nApproved   {}, by device {}\nFor        {}: {}\nWhose key this is, a certificate must say.",
        args.files.len(),
        result.signatures.len(),
        verified.suite.name(),
        hex(&verified.public_key.0),
        moment(record.approved_at),
        record.device,
        record.request.relying_party.name.as_str(),
        record.request.text.as_str(),
    );
    output.print(&value, &text);
    Ok(())
}

fn random_id() -> String {
    hex(RequestId::random(&mut *system_rng()).as_bytes())
}

fn digest_of(path: &Path) -> Result<[u8; 32], Failure> {
    fs::read(path).map(|bytes| sha256(&bytes)).map_err(|error| unreadable(path, &error))
}

fn text_of(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()), "Name a file that can be read.")
}
