//! The command of a fleet: codes for many documents, as a list or as pictures.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use signer_client::draw;
use signer_core::{
    credential::DocumentType,
    wire::{CodeStep, Made, MadeCode},
};

use crate::{
    Bank, Global,
    input::text_of,
    output::{Failure, Output, moment},
    setup::relying_party,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  SIGNER_TOKEN=… signer codes --server https://signer.example AA0001EX AA0002EX
  signer codes --file vehicles.txt --out codes        a picture for each vehicle: codes/AA0001EX.svg
  signer codes --next --file vehicles.txt --out next  those of the next three minutes, before they begin

Exit code: 0 all made, 1 some not made or failed, 2 wrong use.")]
pub(crate) struct Codes {
    /// Vehicles, by the organisation's references
    #[arg(required_unless_present = "file", value_name = "REFERENCE")]
    references: Vec<String>,
    /// Read references from this file, one a line
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// For the next step instead of the one now
    #[arg(long)]
    next: bool,
    /// Write an SVG for each code into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    bank: Bank,
}

pub(crate) fn codes(global: &Global, output: &Output, args: &Codes) -> Result<ExitCode, Failure> {
    let references = references(args)?;
    let step = if args.next { CodeStep::Next } else { CodeStep::Current };
    let organisation = relying_party(global, &args.bank)?;
    let kind = DocumentType::VehicleRegistration;
    let made = organisation.codes(kind, &references, step, &std::thread::sleep)?;
    let mut value = serde_json::to_value(&made).unwrap_or_default();
    let mut text = format!("Valid from {} to {}", moment(made.valid_from), moment(made.valid_until));
    let (mut missing, entries) = (0, value["codes"].as_array_mut());
    for (code, entry) in made.codes.iter().zip(entries.into_iter().flatten()) {
        text.push_str(&line(code, args.out.as_deref(), entry)?);
        missing += usize::from(matches!(code.made, Made::Problem(_)));
    }
    output.print(&value, &text);
    if missing > 0 {
        output.progress(&format!("{missing} of {} documents have no code.", made.codes.len()));
    }
    Ok(ExitCode::from(u8::from(missing > 0)))
}

/// What is printed of a code, which is written where `out` says; its file stands in `entry`.
fn line(code: &MadeCode, out: Option<&Path>, entry: &mut Value) -> Result<String, Failure> {
    let reference = &code.reference;
    Ok(match (&code.made, out) {
        (Made::Problem(problem), _) => format!("\n{reference}  no code: {}", problem.code()),
        (Made::Code { qr, digits }, None) => format!("\n{reference}  {digits}  {qr}"),
        (Made::Code { qr, digits }, Some(out)) => {
            let path = draw_into(out, reference, qr)?;
            entry["file"] = json!(path);
            format!("\n{reference}  {digits}  {}", path.display())
        }
    })
}

fn draw_into(out: &Path, reference: &str, qr: &str) -> Result<PathBuf, Failure> {
    let unwritten = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::new("storage", format!("cannot write {}: {error}", path.display()), "Give another --out.")
    };
    fs::create_dir_all(out).map_err(|error| unwritten(out, &error))?;
    let path = out.join(format!("{}.svg", file_name(reference)));
    let matrix = draw::matrix(qr).map_err(|error| unwritten(&path, &error))?;
    let picture = draw::svg(&matrix, "Document code", reference);
    fs::write(&path, picture).map_err(|error| unwritten(&path, &error))?;
    Ok(path)
}

/// A reference as a name that leads to no other directory, and is another's on no file system: what is not a letter or a digit is in hexadecimal.
fn file_name(reference: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    let encode = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    reference.bytes().map(encode).collect()
}

fn references(args: &Codes) -> Result<Vec<String>, Failure> {
    let mut references = args.references.clone();
    if let Some(file) = &args.file {
        let text = text_of(file)?;
        references.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned));
    }
    // The server takes each once.
    let mut seen = HashSet::new();
    references.retain(|reference| seen.insert(reference.clone()));
    if references.is_empty() {
        return Err(Failure::usage("no document is named", "Give references, or --file with one a line."));
    }
    Ok(references)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_120_a_reference_is_a_file_name_of_its_own() {
        for (reference, name) in
            [("AA0001EX", "AA0001EX"), ("../AA?1", "%2e%2e%2fAA%3f1"), ("aa-1", "%61%61-1"), (".", "%2e")]
        {
            assert_eq!(file_name(reference), name);
        }
    }
}
