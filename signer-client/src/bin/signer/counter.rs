//! The command of the shop, which checks codes.

use std::{io::Read as _, process::ExitCode};

use p256::ecdsa::VerifyingKey;
use serde_json::{Value, json};
use signer_client::{
    Question,
    desk::SystemClock,
    http::fetch,
    lists::{Lists, ListsError, Synced, fetch_trust_list, point},
    ports::Clock as _,
    verify_answer,
};
use signer_core::{
    credential::{Colour, Known, VerificationResult, VerifyOptions},
    time::UnixSeconds,
    trust::SignedTrustList,
    wire::VerifyCode,
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
        Some(code) => online(global, output, args, code).map(|result| tell(output, &result)),
        None => Err(Failure::usage("there is no code", "Give its text, --file, or -.")),
    };
    checked.map_err(Failure::without_answer)
}

/// Asks the server, and believes the answer only under the trust list: without a list nothing is used up.
fn online(
    global: &Global,
    output: &Output,
    args: &Verify,
    code: String,
) -> Result<VerificationResult, Failure> {
    let shop = relying_party(global, &args.bank)?;
    let mut memory = Memory::open(global)?;
    let lists = believed(global, output, args, &memory)?;
    let trust = lists.trust().ok_or(ListsError::NoTrustList)?;
    let request = match (args.request, memory.asked()) {
        (true, None) => return Err(not_asked()),
        (true, Some(asked)) => Some(asked.text.clone()),
        (false, _) => None,
    };
    let asked = VerifyCode { code, request_id: random_id(), profile: None, request };
    let answered = shop.ask_about(&asked)?;
    let question = Question {
        code: &asked.code,
        request_id: &asked.request_id,
        verifier: shop.id(),
        now: SystemClock.wall(),
    };
    let result = verify_answer(&answered, trust, &question)?;
    if args.request && result.result != Colour::Red {
        memory.answered()?;
    }
    Ok(result)
}

/// The lists kept, with the server's trust list. The first one is believed under a root of its own if none was given, and the
/// root shown; after that under that root only. A list that cannot be fetched leaves the one kept.
fn believed(global: &Global, output: &Output, args: &Verify, memory: &Memory) -> Result<Lists, Failure> {
    let (server, options) = (args.bank.server.as_deref().unwrap_or_default(), network(global)?);
    let list = fetch_trust_list(server, &|address, media_type| fetch(address, media_type, &options));
    let list = match list {
        Ok(list) => list,
        Err(error) => {
            let lists = memory.lists(root(args)?)?;
            return if lists.trust().is_some() { Ok(lists) } else { Err(error.into()) };
        }
    };
    let mut lists = match memory.lists(root(args)?) {
        Err(ListsError::NoRoot) => {
            let root = *SignedTrustList::first_use(&list).map_err(ListsError::from)?.root();
            output.progress(&format!(
                "The first trust list is believed; its root is {}. Compare it with the one its operator publishes.",
                point(&root)
            ));
            memory.lists(Some(root))?
        }
        lists => lists?,
    };
    lists.take_trust_list(&list)?;
    Ok(lists)
}

fn root(args: &Verify) -> Result<Option<VerifyingKey>, Failure> {
    args.trust_root.as_deref().map(trust_root).transpose()
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
    let mut lists = memory.lists(root(args)?)?;
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
    let expected = memory.asked().filter(|_| args.request).map(|asked| asked.challenge);
    if args.request && expected.is_none() {
        return Err(not_asked());
    }
    let options = VerifyOptions {
        rule: step_rule(global)?,
        clock_floor: memory.clock_floor(),
        expected_challenge: expected,
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
