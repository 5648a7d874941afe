//! The command of the shop, which checks codes.

use std::{io::Read as _, process::ExitCode};

use serde_json::Value;
use signer_client::{desk::SystemClock, ports::Clock as _, verify_offline};
use signer_core::credential::{Colour, IssuerKeys, Known, Refusal, VerificationResult, VerifyOptions};

use crate::{
    Global, Verify,
    input::{random_id, text_of},
    memory::Memory,
    output::{Failure, Output},
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
                VerificationResult::offline(&Err(Refusal::Used), Known::NOTHING, now)
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
