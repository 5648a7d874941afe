//! What is printed: one JSON value, or sentences; progress and warnings on standard error.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};
use signer_client::{
    AnswerError, ClientError, ResultError,
    formats::{FormatError, TrustError},
    lists::ListsError,
    ports::TransportError,
};
use signer_core::{pin::Pin, time::UnixSeconds, wire::Attempts};
use zeroize::Zeroizing;

pub(crate) struct Output {
    pub(crate) json: bool,
}

/// Why the command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: String,
    sentence: String,
    next_step: String,
    exit: u8,
}

impl Failure {
    pub(crate) fn usage(sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { code: "usage".into(), sentence: sentence.into(), next_step: next_step.into(), exit: 2 }
    }

    pub(crate) fn new(code: &str, sentence: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { code: code.into(), sentence: sentence.into(), next_step: next_step.into(), exit: 1 }
    }

    /// With another exit code than its kind has.
    pub(crate) fn with_exit(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// For commands whose exit code 1 means a refused code.
    pub(crate) fn without_answer(self) -> Self {
        Self { exit: 2, ..self }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = if matches!(error, ClientError::Usage(_)) { 2 } else { 1 };
        let (code, next_step) = (error.code().into(), error.next_step().into());
        Self { code, sentence: error.to_string(), next_step, exit }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        ClientError::from(error).into()
    }
}

impl From<ResultError> for Failure {
    fn from(error: ResultError) -> Self {
        Self::new("not_valid", error.to_string(), "Do not rely on this signature; ask for a new one.")
    }
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        let next_step = "Do not accept the code; ask the operator which server this is, and try again.";
        Self::new("answer", error.to_string(), next_step)
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        if let FormatError::Pdf(fault) = error {
            return Self::new("pdf", error.to_string(), fault.next_step());
        }
        Self::new("not_valid", error.to_string(), "Do not rely on this signature; ask for a new one.")
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        let (code, next_step) = match error {
            TrustError::Anchors => ("usage", "Give certificates in PEM, or one in DER."),
            TrustError::Unknown => {
                ("not_trusted", "Give the certificate of the right authority, or do not rely on it.")
            }
            TrustError::Chain(_) => ("not_trusted", "Do not rely on this signature."),
            TrustError::Crl => ("crl", "Get the issuer's revocation list anew."),
            TrustError::Revoked => ("revoked", "Do not rely on this signature."),
        };
        Self::new(code, error.to_string(), next_step)
    }
}

impl From<ListsError> for Failure {
    fn from(error: ListsError) -> Self {
        let sentence = error.to_string();
        match error {
            ListsError::Client(error) => error.into(),
            ListsError::NoRoot => Self::usage(
                sentence,
                "Give --trust-root once: the key is published by who runs the trust list.",
            ),
            ListsError::NoTrustList => {
                Self::usage(sentence, "Go online once: signer verify --sync --server URL.")
            }
            ListsError::TrustList(fault) => {
                let next_step = "Keep the list you have; ask who runs the trust list.";
                Self::new(&format!("trust_list_{}", fault.code()), sentence, next_step)
            }
            ListsError::StatusList(fault) => {
                let next_step = "Keep the list you have, and try again later.";
                Self::new(&format!("status_list_{}", fault.code()), sentence, next_step)
            }
            ListsError::Folder(_) => Self::new("storage", sentence, "Give another --state."),
        }
    }
}

impl From<signer_client::ports::KeystoreError> for Failure {
    fn from(error: signer_client::ports::KeystoreError) -> Self {
        ClientError::from(error).into()
    }
}

impl From<signer_core::pin::PinError> for Failure {
    fn from(error: signer_core::pin::PinError) -> Self {
        Self::usage(error.to_string(), "Take another PIN.")
    }
}

impl Output {
    /// The result, in one of its two forms.
    pub(crate) fn print(&self, value: &Value, text: &str) {
        let line = if self.json { value.to_string() } else { text.trim_end().into() };
        let mut out = std::io::stdout().lock();
        // A reader that went away is no fault of this program.
        drop(writeln!(out, "{line}").and_then(|()| out.flush()));
    }

    /// Progress, for a person.
    pub(crate) fn progress(&self, line: &str) {
        if !self.json {
            eprintln!("{line}");
        }
    }

    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        let Failure { code, sentence, next_step, exit } = failure;
        if self.json {
            let value = json!({ "error": code, "sentence": sentence, "next_step": next_step });
            self.print(&value, "");
        } else {
            eprintln!("signer: {}", sentence_case(sentence));
            eprintln!("        {next_step}");
        }
        ExitCode::from(*exit)
    }
}

/// Warnings are printed in every form.
pub(crate) fn warning(text: &str) {
    eprintln!("WARNING: {text}");
}

fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', ')']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// One line from standard input, wiped afterwards.
pub(crate) fn line() -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(256));
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(length) if length > 0 => {
            let end = line.trim_end_matches(['\r', '\n']).len();
            line.truncate(end);
            Ok(line)
        }
        _ => Err(Failure::usage("standard input ended early", "Give one line for each thing asked.")),
    }
}

/// Asks a person for a line that may be seen.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{prompt} is missing"), "Give it as an option, see --help."));
    }
    eprint!("{prompt}: ");
    line()
}

/// Asks a person yes or no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N]"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn secret(prompt: &str, from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    if from_stdin {
        return line();
    }
    rpassword::prompt_password(format!("{prompt}: ")).map(Zeroizing::new).map_err(|_| {
        Failure::usage("there is no terminal to ask for the PIN", "Use --pin-stdin in a script.")
    })
}

/// A PIN the holder chose before.
pub(crate) fn entered_pin(prompt: &str, from_stdin: bool) -> Result<Pin, Failure> {
    Ok(Pin::entered(&secret(prompt, from_stdin)?)?)
}

/// A PIN the holder chooses now; typed twice at a terminal.
pub(crate) fn new_pin(prompt: &str, from_stdin: bool) -> Result<Pin, Failure> {
    let first = secret(prompt, from_stdin)?;
    let pin = Pin::new(&first)?;
    if !from_stdin && *secret("The same again", false)? != *first {
        return Err(Failure::usage("the two PINs differ", "Try again."));
    }
    Ok(pin)
}

pub(crate) fn attempts_json(attempts: &Attempts) -> Value {
    json!({
        "left": attempts.left,
        "locked_until": attempts.locked_until.map(|until| until.0),
        "blocked": attempts.blocked,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `HH:MM:SS` in UTC, with the day where it matters.
pub(crate) fn moment(time: UnixSeconds) -> String {
    let day = signer_core::credential::Date::of(time).map(|date| format!("{date} ")).unwrap_or_default();
    let seconds = time.0 % 86_400;
    format!("{day}{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Text from a certificate, with what a terminal would act on written out.
pub(crate) fn printable(text: &str) -> String {
    let escape = |c: char| {
        let escaped = c.escape_debug().to_string();
        if escaped.starts_with("\\u") || c.is_control() { escaped } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}
