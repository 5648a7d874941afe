//! `signer`: the command line that plays the phone, the bank and the shop.

mod ask;
mod audit;
mod certificate;
mod checks;
mod choice;
mod codes;
mod counter;
mod history;
mod holder;
mod input;
mod key_file;
mod live;
mod memory;
mod order;
mod output;
mod request;
mod screen;
mod setup;
mod show;
mod signature;
mod trust;
mod wait;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use signer_client::{Language, formats::Format};
use signer_core::{
    credential::DocumentType,
    ids::{CheckId, RelyingPartyId, RequestId},
    wire::{Profile, RequestField, VerificationCode},
};

use crate::output::{Failure, Output};

/// Split-key signatures and three-minute document codes.
///
/// The signing key exists only as two shares: one here, under your PIN, one on the server. Neither signs alone.
#[derive(Debug, Parser)]
#[command(name = "signer", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  signer enrol --server https://signer.example        make a key, with the code an operator gave you
  signer approve                                      read what waits for you, and sign it with your PIN
  signer show --profile age                           show that you are old enough: QR, bar code, number
  signer ask --server https://signer.example --person p-17 --text 'Loan 17' contract.pdf
                                                      ask somebody to sign a file, and wait
  signer verify-signature signature.json contract.pdf check the result, without any server
  signer verify --offline 'DQ1:…'                     check a code, without network

Exit codes: 0 done, 1 refused or failed, 2 wrong use. `verify`: 0 green, 1 red, 2 wrong use, 3 amber.";

#[derive(Debug, Args)]
struct Global {
    /// Directory of this phone's state and of its stand-in keystore
    #[arg(long, global = true, env = "SIGNER_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print one JSON value instead of text
    #[arg(long, global = true)]
    json: bool,
    /// PEM file with the certificates to trust instead of the public ones
    #[arg(long, global = true, env = "SIGNER_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Allow plain http to another machine. Never with a real key: bodies in the clear give away the PIN
    #[arg(long, global = true)]
    insecure: bool,
    /// Length of a code's step in a demonstration, seconds; the server must use the same
    #[arg(long, global = true, hide = true, value_name = "SECONDS")]
    demo_step: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key with a server
    #[command(after_help = "Example:\n  signer enrol --server https://signer.example")]
    Enrol(Enrol),
    /// Tell the state of this phone and its key
    #[command(after_help = "Example:\n  signer status --json")]
    Status,
    /// List the requests that wait for you
    #[command(after_help = "Example:\n  signer requests")]
    Requests,
    /// Show a request, ask for the PIN, sign
    #[command(
        after_help = "Example:\n  signer approve            asks for the PIN; it is never an argument\n  signer approve --pin-stdin < pin-file\n  signer approve --code 0417    where whoever asks shows a verification code"
    )]
    Approve(Approve),
    /// Take the request of a link that somebody shows, by the text of its QR
    #[command(
        after_help = "Example:\n  signer link 'https://signer.example/link?v=1&t=…'    then: signer approve"
    )]
    Link {
        /// The link, as it is shown now: it is good for three seconds
        link: String,
    },
    /// Say no to a request
    #[command(after_help = "Example:\n  signer decline")]
    Decline {
        /// The request; the only one that waits if left out
        request: Option<RequestId>,
    },
    /// The PIN
    #[command(after_help = "Example:\n  signer pin change")]
    #[command(subcommand)]
    Pin(PinCommand),
    /// Get fresh day credentials for showing a document
    #[command(after_help = "Example:\n  signer credentials --document driving-licence")]
    Credentials {
        /// Kind of document
        #[arg(long, value_enum, default_value_t)]
        document: DocumentArg,
    },
    /// Show a document as QR, bar code and number, which change every three minutes
    Show(Show),
    /// List the businesses that ask to see something of you now
    #[command(after_help = "Example:\n  signer checks")]
    Checks,
    /// Answer a business that asks; `signer show` asks by itself
    #[command(
        after_help = "Example:\n  signer answer --allow 05050505050505050505050505050505    after comparing the two digits"
    )]
    Answer(Answer),
    /// Print the certificate of the key, and write it to files
    #[command(
        after_help = "Example:\n  signer certificate --pem certificate.pem --ca-out ca.pem --csr request.csr\n  openssl verify -CAfile ca.pem certificate.pem"
    )]
    Certificate(Certificate),
    /// List who asked what of you, when, and with what result
    #[command(
        after_help = "Example:\n  signer history --most 20\n\nExit code 1 if the server's history is not the one this phone has seen."
    )]
    History(HistoryArgs),
    /// Report a lost phone, from any machine, with its lost code. It signs no more, and its codes are refused
    #[command(after_help = "Example:\n  signer report-lost --server https://signer.example")]
    ReportLost(ReportLost),
    /// Remove the key from this phone; the server is not told
    #[command(after_help = "Example:\n  signer forget")]
    Forget {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Check the code somebody shows you
    Verify(Verify),
    /// Ask a holder to show a document to this business, by QR
    Request(request::Request),
    /// The offline root, and the list of issuers and keys it signs
    #[command(after_help = "Example:\n  signer trust root-key --file root.json")]
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// Have codes made for the vehicles of an organisation, by its token
    Codes(codes::Codes),
    /// Ask a person to sign files, and wait for the signature
    Ask(Ask),
    /// Watch over the server's audit log, by a relying party's token
    #[command(after_help = "Example:\n  signer audit watch checkpoint.txt")]
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check a signature over files, without any server
    VerifySignature(VerifySignature),
}

#[derive(Debug, Args)]
struct PinInput {
    /// Read the PIN from standard input, one line, for scripts
    #[arg(long)]
    pin_stdin: bool,
}

#[derive(Debug, Args)]
struct Enrol {
    /// Origin of the server
    #[arg(long, env = "SIGNER_SERVER", value_name = "URL")]
    server: String,
    /// Enrolment code; asked for if left out
    #[arg(long)]
    code: Option<String>,
    /// Public key of the root of trust, base64url, as it is published; else that of the server's first trust list is believed
    #[arg(long, value_name = "KEY")]
    trust_root: Option<String>,
    /// Signature suite: es256 (ordinary ECDSA P-256 signatures) or frost-secp256k1-sha256
    #[arg(long, default_value = "es256")]
    suite: String,
    #[command(flatten)]
    pin: PinInput,
}

#[derive(Debug, Args)]
struct Certificate {
    /// Write the certificate to this file, PEM
    #[arg(long, value_name = "FILE")]
    pem: Option<PathBuf>,
    /// Write the authority's certificates to this file, PEM
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// Write the certification request that was signed at enrolment to this file, PEM
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    /// How many lines, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    most: usize,
    /// Compare with the server's history as it is now from here on, after its operator has explained the change
    #[arg(long)]
    accept: bool,
}

#[derive(Debug, Args)]
struct ReportLost {
    /// Origin of the server
    #[arg(long, env = "SIGNER_SERVER", value_name = "URL")]
    server: String,
    /// The lost code, as written down at enrolment; asked for if left out
    #[arg(long)]
    code: Option<String>,
}

#[derive(Debug, Args)]
struct Approve {
    /// The request; the only one that waits if left out
    request: Option<RequestId>,
    /// Do not ask whether to go on after showing the request
    #[arg(long)]
    yes: bool,
    /// The verification code that whoever asks shows, where there is one; asked for if left out
    #[arg(long, value_name = "DIGITS")]
    code: Option<VerificationCode>,
    #[command(flatten)]
    pin: PinInput,
}

#[derive(Debug, Subcommand)]
enum PinCommand {
    /// Change the PIN. The shares on both sides are renewed; the public key stays
    #[command(after_help = "Example:\n  signer pin change         asks for both; a PIN is never an argument")]
    Change {
        /// Read the old and the new PIN from standard input, one line each
        #[arg(long)]
        pin_stdin: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  signer show                                   age only, in the terminal, until Ctrl-C
  signer show --profile full --to-whoever-scans the whole document
  signer show --request 'DR1:…'                 what a business asks for, for it alone; offline too
  signer show --once --svg code.svg --bar-svg bar.svg --text code.txt
  signer show --spoken uk                       the number in Ukrainian words, for a screen reader

The QR works offline with the credentials at hand, for at most 26 hours; the bar code and the number need the server, and
end with this command. After the machine was switched on it must have been online once: the time of a code is the server's,
not that of a clock the holder can set.

When a business that scanned a code asks for more, its name, what it asks for and a number of two digits are shown:
compare the number with their screen, then type y and Enter to agree, or Enter alone to refuse.")]
struct Show {
    /// What is shown
    #[arg(long, value_enum, default_value_t = ProfileArg::Age)]
    profile: ProfileArg,
    /// Agree to show it to whoever scans: needed for the full document, unless a business asks
    #[arg(long)]
    to_whoever_scans: bool,
    /// Answer the request that a business shows: its name and what it asks for are printed, and you are asked
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["profile", "to_whoever_scans"])]
    request: Option<String>,
    /// Do not ask whether to answer the request
    #[arg(long, requires = "request")]
    yes: bool,
    /// Show the codes of this moment and end; bar code and number stay good for their three minutes
    #[arg(long)]
    once: bool,
    /// Which codes are printed: a list
    #[arg(long, value_enum, value_delimiter = ',', default_value = "qr,bar,number")]
    codes: Vec<CodeArg>,
    /// Print the number in words, once for each code, and draw nothing: for screen readers
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    spoken: Option<LanguageArg>,
    /// Write the QR as SVG to this file, anew with each code
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the QR as PNG to this file, anew with each code
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Write the bar code as SVG to this file, anew with each code; removed while there is none
    #[arg(long, value_name = "FILE")]
    bar_svg: Option<PathBuf>,
    /// Write the bar code as PNG to this file, anew with each code; removed while there is none
    #[arg(long, value_name = "FILE")]
    bar_png: Option<PathBuf>,
    /// Write the text of the QR to this file, anew with each code
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Use no network, even if there is one: nobody learns of the show but who scans it
    #[arg(long)]
    offline: bool,
    /// Kind of document
    #[arg(long, value_enum, default_value_t)]
    document: DocumentArg,
}

#[derive(Debug, Args)]
struct Answer {
    /// The check, from `signer checks`
    check: CheckId,
    /// Let the business learn what it asks for
    #[arg(long, required_unless_present = "deny")]
    allow: bool,
    /// Refuse
    #[arg(long, conflicts_with = "allow")]
    deny: bool,
}

#[derive(Debug, Args)]
struct Bank {
    /// Origin of the server
    #[arg(long, env = "SIGNER_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Bearer token of the relying party
    #[arg(long, env = "SIGNER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  signer verify --server https://signer.example - < code  online: uses the code up
  signer verify --sync --server https://signer.example --trust-root A2Zk…
                                                          fetches the lists; the root is given once
  signer verify --offline 'DQ1:…'                         without network, by the lists fetched before

Offline, green means that the lists are fresh; amber, that they are missing or old. The --state directory remembers for an
hour what was accepted: the same code again is red.

Exit code: 0 green, 1 red, 2 wrong use, 3 amber.")]
struct Verify {
    /// Text of the code, or `-` for standard input
    #[arg(required_unless_present_any = ["file", "sync", "trust_list", "status_list"])]
    code: Option<String>,
    /// Read the text of the code from this file
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    file: Option<PathBuf>,
    /// Check without network, by the lists kept in the --state directory
    #[arg(long)]
    offline: bool,
    /// Fetch the trust list and all status lists first; then as --offline
    #[arg(long)]
    sync: bool,
    /// Public key of the root of trust, base64url; kept, so given once
    #[arg(long, value_name = "KEY")]
    trust_root: Option<String>,
    /// Take the trust list from this file; then as --offline
    #[arg(long, value_name = "FILE")]
    trust_list: Option<PathBuf>,
    /// Take a status list from this file; then as --offline
    #[arg(long, value_name = "FILE")]
    status_list: Vec<PathBuf>,
    /// The code must answer the request that `signer request` made last
    #[arg(long)]
    request: bool,
    #[command(flatten)]
    bank: Bank,
}

impl Verify {
    const fn without_network(&self) -> bool {
        self.offline || self.sync || self.trust_list.is_some() || !self.status_list.is_empty()
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  SIGNER_TOKEN=… signer ask --server https://bank.example --person p-17 --text 'Loan 17' --out signature.json loan.pdf
  signer ask --link --text 'Loan 17' loan.pdf  ask whoever scans the QR, which is another one each second
  signer ask --person p-17 --text 'Loan 17' --format pdf loan.pdf terms.pdf
                                              loan.signed.pdf and terms.signed.pdf, by one approval
  signer ask --person p-17 --text 'Loan 17' --format cms,json --out signed loan.pdf
                                              signed/loan.pdf.p7s, and signed/signature.json with the approval record

Formats: json is the result with the evidence of the approval; pdf is the PDF with the signature in it (.signed.pdf);
cms (.p7s), jws and cose are signatures in containers, der is the signature alone. Several are one request, and one PIN
signs them all. jws and der do not hold the certificates: they are written beside them (.pem).

Ctrl-C takes the request back; if the holder was faster, the files are written.

Exit codes: 0 signed, 1 not signed (declined, expired, taken back by somebody else, refused), 2 wrong use: nobody was
asked, 130 stopped by Ctrl-C.")]
struct Ask {
    /// Files to be signed; only their digests are sent
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The person, by the operator's reference, or by the person_id of an earlier result
    #[arg(long, default_value = "", hide_default_value = true, required_unless_present = "link")]
    person: String,
    /// Ask whoever scans the QR that is drawn here, another each second; with --format json only
    #[arg(long, conflicts_with_all = ["person", "no_wait"])]
    link: bool,
    /// What the person is shown about the request
    #[arg(long)]
    text: String,
    /// A labelled value the person is shown below the text; may be given 16 times
    #[arg(long, value_name = "LABEL=VALUE", value_parser = field)]
    field: Vec<RequestField>,
    /// The person must pick a code of four digits out of three on the phone; the right one is printed here
    #[arg(long)]
    verification_code: bool,
    /// Life of the request, seconds
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// The same key and files give the same request for 24 hours; random if left out
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Your id, which the phone's record must name; a bearer token without an end says it itself
    #[arg(long, value_name = "ID")]
    relying_party: Option<RelyingPartyId>,
    /// What is made of the signature: a list, or given several times
    #[arg(long, value_enum, value_delimiter = ',', default_value = "json")]
    format: Vec<FormatArg>,
    /// Time of signing that cms, jws and pdf claim, Unix seconds; now if left out
    #[arg(long, value_name = "SECONDS")]
    signing_time: Option<u64>,
    /// For json alone, the file for the result; for other formats, the directory instead of the document's own
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Print the request's id and do not wait
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    bank: Bank,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  signer verify-signature signature.json contract.pdf
  signer verify-signature --signing-ca ca.pem --crl ca.crl contract.pdf.p7s contract.pdf
  signer verify-signature --certificate contract.pdf.pem contract.pdf.jws contract.pdf
  signer verify-signature --signing-ca ca.pem contract.signed.pdf")]
struct VerifySignature {
    /// Certificates of the authorities trusted to say who signed, in PEM or DER
    #[arg(long, value_name = "FILE")]
    signing_ca: Option<PathBuf>,
    /// The authority's revocation list, in PEM or DER
    #[arg(long, value_name = "FILE", requires = "signing_ca")]
    crl: Option<PathBuf>,
    /// The signer's certificate, for formats that do not hold it (jws, der)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// What `ask` wrote: a result, a CMS, JWS, COSE or DER signature, or a signed PDF
    signature: PathBuf,
    /// The files that were to be signed; none for a signed PDF
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum FormatArg {
    /// The result, with the evidence of the approval
    Json,
    /// The signature alone, in DER
    Der,
    /// CMS SignedData, detached (CAdES baseline B)
    Cms,
    /// JWS, compact, detached content
    Jws,
    /// COSE_Sign1, detached payload
    Cose,
    /// The PDF with the signature in it (PAdES baseline B-B)
    Pdf,
}

impl FormatArg {
    const fn container(self) -> Option<Format> {
        match self {
            Self::Json => None,
            Self::Der => Some(Format::Der),
            Self::Cms => Some(Format::Cms),
            Self::Jws => Some(Format::Jws),
            Self::Cose => Some(Format::Cose),
            Self::Pdf => Some(Format::Pdf),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CodeArg {
    /// Read by cameras, works offline
    Qr,
    /// Read by the scanners of tills
    Bar,
    /// Eight digits to be read out or typed
    Number,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LanguageArg {
    /// English
    En,
    /// Ukrainian
    Uk,
}

impl From<LanguageArg> for Language {
    fn from(language: LanguageArg) -> Self {
        match language {
            LanguageArg::En => Self::English,
            LanguageArg::Uk => Self::Ukrainian,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// Only that you are old enough
    Age,
    /// Initials, day and month of birth, of age or not
    Minimal,
    /// The whole document
    Full,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Age => Self::Age,
            ProfileArg::Minimal => Self::Minimal,
            ProfileArg::Full => Self::Full,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum DocumentArg {
    /// Identity card
    #[default]
    IdentityCard,
    /// Driving licence
    DrivingLicence,
}

impl From<DocumentArg> for DocumentType {
    fn from(document: DocumentArg) -> Self {
        match document {
            DocumentArg::IdentityCard => Self::IdentityCard,
            DocumentArg::DrivingLicence => Self::DrivingLicence,
        }
    }
}

fn field(text: &str) -> Result<RequestField, &'static str> {
    let (label, value) = text.split_once('=').ok_or("write LABEL=VALUE")?;
    Ok(RequestField { label: label.into(), value: value.into() })
}

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let output = Output { json: global.json };
    match run(&global, &output, command) {
        Ok(code) => code,
        Err(failure) => output.failure(&failure),
    }
}

fn run(global: &Global, output: &Output, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(args) => return counter::verify(global, output, &args),
        Command::Codes(args) => return codes::codes(global, output, &args),
        Command::Enrol(args) => holder::enrol(global, output, &args),
        Command::Status => holder::status(global, output),
        Command::Requests => holder::requests(global, output),
        Command::Approve(args) => holder::approve(global, output, &args),
        Command::Link { link } => holder::open_link(global, output, &link),
        Command::Decline { request } => holder::decline(global, output, request),
        Command::Pin(PinCommand::Change { pin_stdin }) => holder::change_pin(global, output, pin_stdin),
        Command::Credentials { document } => holder::credentials(global, output, document.into()),
        Command::Show(args) => show::show(global, output, &args),
        Command::Checks => checks::list(global, output),
        Command::Answer(args) => checks::answer(global, output, &args),
        Command::Certificate(args) => certificate::print(global, output, &args),
        Command::History(args) => history::history(global, output, &args),
        Command::ReportLost(args) => history::lost(global, output, &args),
        Command::Forget { yes } => holder::forget(global, output, yes),
        Command::Request(args) => request::run(global, output, &args),
        Command::Trust(command) => trust::run(output, &command),
        Command::Ask(args) => ask::ask(global, output, &args),
        Command::Audit(command) => audit::run(output, global, &command),
        Command::VerifySignature(args) => signature::verify_signature(output, &args),
    }?;
    Ok(ExitCode::SUCCESS)
}
