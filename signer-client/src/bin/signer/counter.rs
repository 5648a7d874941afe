//! The command of the shop, which checks codes.

use std::{io::Read as _, process::ExitCode};

use serde_json::{Value, json};
use signer_client::{
    desk::SystemClock,
    http::fetch,
    lists::{Lists, Synced},
    ports::Clock as _,
};
use signer_core::{
    credential::{Colour, Known, VerificationResult, VerifyOptions},
    time::UnixSeconds,
};

use crate::{
    Global, Verify,
    input::{bytes_of, random_id, text_of},
    memory::Memory,
    output::{Failure, Output, moment},
    setup::{network, relying_party, step_rule, trust_root},
};

pub(crate) fn verify(global: &Global, output: &Output, args: &Verify) -> Result<ExitCode, Failure> {
    let checked = match code(args)? {
        code if args.without_network() => offline(global, output, args, code.as_deref()),
        Some(code) => online(global, args, &code).map(|result| tell(output, &result)),
        None => Err(Failure::usage("there is no code", "Give its text, --file, or -.")),
    };
    checked.map_err(Failure::without_answer)
}

fn online(global: &Global, args: &Verify, code: &str) -> Result<VerificationResult, Failure> {
    let challenge =
        if args.request { Some(Memory::open(global)?.asked().ok_or_else(not_asked)?) } else { None };
    Ok(relying_party(global, &args.bank)?.verify_answer(code, &random_id(), challenge)?)
}

fn not_asked() -> Failure {
    Failure::usage("nothing was asked", "Make a request with `signer request` first.")
}

fn tell(output: &Output, result: &VerificationResult) -> ExitCode {
    let (colour, exit) = match result.result {
        Colour::Green => ("GREEN", 0),
        Colour::Red => ("RED", 1),
        Colour::Amber => ("AMBER", 3),
    };
    let mut text = format!("{colour}: {}\n{}", result.sentence, result.next_step);
    let value = serde_json::to_value(result).unwrap_or_default();
    if let Some(claims) = &value.get("claims").filter(|claims| !claims.is_null()) {
        text.push_str(&claims_text(claims));
    }
    for note in value.get("notes").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("\nNote: {}", note.as_str().unwrap_or_default()));
    }
    if let Some(time) = result.withdrawals_known_to {
        text.push_str(&format!("\nNote: withdrawals known to {}", moment(time)));
    }
    output.print(&value, &text);
    ExitCode::from(exit)
}

fn code(args: &Verify) -> Result<Option<String>, Failure> {
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
        (None, None) => return Ok(None),
    };
    Ok(Some(code.trim_end_matches(['\r', '\n']).into()))
}

const MAX_CODE: u64 = 4096;

/// Brings the lists up to date as asked, then checks the code by them, if there is one.
fn offline(global: &Global, output: &Output, args: &Verify, code: Option<&str>) -> Result<ExitCode, Failure> {
    let (now, mut memory) = (SystemClock.wall(), Memory::open(global)?);
    let root = args.trust_root.as_deref().map(trust_root).transpose()?;
    let mut lists = memory.lists(root)?;
    if let Some(path) = &args.trust_list {
        lists.take_trust_list(&bytes_of(path)?)?;
    }
    for path in &args.status_list {
        lists.take_status_list(&bytes_of(path)?)?;
    }
    if args.sync {
        let synced = sync(global, args, &mut lists, now)?;
        for (address, why) in &synced.failed {
            output.progress(&format!("Not brought up to date: {address}: {why}"));
        }
    }
    let Some(code) = code else {
        print_lists(output, &lists);
        return Ok(ExitCode::SUCCESS);
    };
    if args.request && memory.asked().is_none() {
        return Err(not_asked());
    }
    let options = VerifyOptions {
        rule: step_rule(global)?,
        clock_floor: memory.clock_floor(),
        expected_challenge: memory.asked().filter(|_| args.request),
        ..VerifyOptions::at(now)
    };
    let (result, outcome) = lists.verify(code, &options)?;
    let Ok(verified) = outcome else { return Ok(tell(output, &result)) };
    match memory.accept(&verified, now)? {
        Ok(()) => Ok(tell(output, &result)),
        Err(refusal) => Ok(tell(output, &VerificationResult::offline(&Err(refusal), Known::NOTHING, now))),
    }
}

fn sync(global: &Global, args: &Verify, lists: &mut Lists, now: UnixSeconds) -> Result<Synced, Failure> {
    let server = args.bank.server.as_ref().ok_or_else(|| {
        Failure::usage("--sync needs --server", "Give the origin of the server, or set SIGNER_SERVER.")
    })?;
    let options = network(global)?;
    Ok(lists.sync(server, &|address, media_type| fetch(address, media_type, &options), now)?)
}

fn print_lists(output: &Output, lists: &Lists) {
    let known_to = lists.statuses().iter().map(|list| list.issued()).min();
    let value = json!({
        "trust_list": lists.trust().map(|list| json!({ "number": list.number(), "issued": list.issued() })),
        "status_lists": lists.statuses().iter().count(),
        "withdrawals_known_to": known_to,
    });
    let trust = lists.trust().map_or_else(
        || "No trust list".into(),
        |list| format!("Trust list {} of {}", list.number(), moment(list.issued())),
    );
    let known_to = known_to.map(|time| format!(", the oldest of {}", moment(time))).unwrap_or_default();
    output.print(&value, &format!("{trust}\n{} status lists{known_to}", lists.statuses().iter().count()));
}

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
