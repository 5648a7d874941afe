//! What verifiers ask the holder: `signer checks`, `signer answer`, and the question on the open code screen.

use serde_json::{Value, json};
use signer_core::{
    credential::DocumentType,
    ids::CheckId,
    wire::{Check, Profile},
};

use crate::{
    Answer, Global,
    output::{Failure, Output, moment, printable},
    setup::{Desk, open},
};

pub(crate) fn list(global: &Global, output: &Output) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let checks = phone.checks()?;
    let value: Vec<Value> = checks.iter().map(json).collect();
    let text: Vec<String> =
        checks.iter().map(|check| format!("Check    {}\n{}", check.id, text(check))).collect();
    let text = if text.is_empty() { "Nobody asks for anything.".into() } else { text.join("\n\n") };
    output.print(&json!({ "checks": value }), &text);
    Ok(())
}

pub(crate) fn answer(global: &Global, output: &Output, args: &Answer) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let mut checks = phone.checks()?.into_iter();
    let check = checks.find(|check| check.id == args.check).ok_or_else(|| gone(args.check))?;
    phone.answer_check(&check, args.allow)?;
    answered(output, &check, args.allow);
    if output.json {
        output.print(&json!({ "check": check.id, "allowed": args.allow }), "");
    }
    Ok(())
}

fn gone(check: CheckId) -> Failure {
    Failure::new("not_found", format!("check {check} does not wait for you"), "See `signer checks`.")
}

/// The question while the code is open.
pub(crate) fn prompt(output: &Output, check: &Check) {
    if output.json {
        output.print(&json!({ "check": json(check) }), "");
    } else {
        output.progress(&format!(
            "\n\n{}\n\nThe number {} must stand on their screen. Type y and Enter to agree, Enter alone to refuse.",
            text(check),
            check.match_number,
        ));
    }
}

pub(crate) fn answered(output: &Output, check: &Check, allow: bool) {
    let word = if allow { "You agreed" } else { "You refused" };
    output.progress(&format!("{word}; {} is told.", printable(check.verifier.as_str())));
}

fn text(check: &Check) -> String {
    format!(
        "{} asks\nFor      {}\nNumber   {}\nUntil    {}",
        printable(check.verifier.as_str()),
        asked(check),
        check.match_number,
        moment(check.expires),
    )
}

fn json(check: &Check) -> Value {
    json!({
        "check": check.id,
        "verifier": check.verifier.as_str(),
        "profile": check.profile.name(),
        "document_type": kind(check),
        "match": check.match_number.to_string(),
        "expires": check.expires,
    })
}

fn kind(check: &Check) -> Option<DocumentType> {
    u8::try_from(check.document_type).ok().and_then(DocumentType::from_number)
}

fn asked(check: &Check) -> String {
    let of = kind(check).map_or("document, of a kind this program does not know", DocumentType::name);
    format!("{} (your {of})", claims(check.profile))
}

/// What a profile tells, for the holder.
pub(crate) const fn claims(profile: Profile) -> &'static str {
    match profile {
        Profile::Age => "whether you are old enough",
        Profile::Minimal => "your initials, day and month of birth, and whether you are of age",
        Profile::Full => "the whole document: names, date of birth, number, end, categories, photo",
    }
}
