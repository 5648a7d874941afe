//! The request of the shop: its key, its credential, and the QR that asks.

use std::{io::IsTerminal as _, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Args;
use rand_core::Rng as _;
use serde_json::json;
use signer_client::{
    ClientError,
    desk::{FileStorage, SystemClock, system_rng},
    draw,
    lists::point,
    ports::{Clock as _, Storage as _},
};
use signer_core::{
    credential::{Ask, BusinessCredential},
    wire::Profile,
};

use crate::{
    DocumentArg, Global, ProfileArg,
    input::text_of,
    key_file,
    memory::Memory,
    output::{Failure, Output, moment},
    setup::step_rule,
};

const KEY: &str = "business-key.json";
const CREDENTIAL: &str = "business.cose";
const WARNING: &str = "Key of a business. Whoever has this file asks people for their documents in its name.";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  signer request --new-key                        a key; give what it prints to the issuer
  signer request --credential business.txt        take what the issuer gave you
  signer request --profile full                   show this QR; the holder scans it and shows a code
  signer verify --offline --request 'DQ1:…'       which must be the answer

A request is good for its three minutes and half a minute more, and for one answer.")]
pub(crate) struct Request {
    /// Make the key of this business and print its public half
    #[arg(long, conflicts_with_all = ["credential", "profile"])]
    new_key: bool,
    /// Take the credential that an issuer has made for the key, base64url in this file
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    credential: Option<PathBuf>,
    /// What is asked for
    #[arg(long, value_enum, required_unless_present_any = ["new_key", "credential"])]
    profile: Option<ProfileArg>,
    /// The kind of document; any if left out
    #[arg(long, value_enum)]
    document: Option<DocumentArg>,
    /// Write the text of the request to this file
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Write the QR as SVG to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, output: &Output, args: &Request) -> Result<(), Failure> {
    let memory = Memory::open(global)?;
    match (&args.credential, args.profile) {
        (Some(file), _) => take_credential(output, &memory, &text_of(file)?),
        (None, Some(profile)) => ask(global, output, args, memory, profile.into()),
        (None, None) => new_key(output, &memory),
    }
}

fn new_key(output: &Output, memory: &Memory) -> Result<(), Failure> {
    let key = key_file::make(&memory.directory().join(KEY), WARNING)?;
    let public = point(key.verifying_key());
    output.print(&json!({ "key": public }), &public);
    Ok(())
}

fn take_credential(output: &Output, memory: &Memory, text: &str) -> Result<(), Failure> {
    let wrong = |why: String| {
        Failure::usage(why, "Ask the issuer for a credential of the key that --new-key printed.")
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim()).map_err(|error| wrong(error.to_string()))?;
    let credential = BusinessCredential::from_bytes(&bytes).map_err(|error| wrong(error.to_string()))?;
    let key = key_file::read(&memory.directory().join(KEY))?;
    if credential.claims().key() != key.verifying_key() {
        return Err(wrong("the credential is of another key".into()));
    }
    FileStorage::new(memory.directory().join(CREDENTIAL)).store(&bytes).map_err(ClientError::from)?;
    let claims = credential.claims();
    let value = json!({ "name": claims.name(), "id": claims.id(), "expires": claims.expires() });
    output.print(&value, &format!("{} may ask until {}.", claims.name(), moment(claims.expires())));
    Ok(())
}

fn ask(
    global: &Global,
    output: &Output,
    args: &Request,
    mut memory: Memory,
    profile: Profile,
) -> Result<(), Failure> {
    let credential =
        FileStorage::new(memory.directory().join(CREDENTIAL)).load().map_err(ClientError::from)?;
    let none = || Failure::usage("this business has no credential", "See `signer request --help`.");
    let credential = BusinessCredential::from_bytes(&credential.ok_or_else(none)?).map_err(|_| none())?;
    let now = SystemClock.wall();
    if !credential.claims().profiles().contains(&profile) || credential.claims().expires() <= now {
        return Err(Failure::usage(
            "the credential of this business has ended, or does not allow this profile",
            "Ask the issuer for another one.",
        ));
    }
    let key = key_file::read(&memory.directory().join(KEY))?;
    let mut nonce = [0; 16];
    system_rng().fill_bytes(&mut nonce);
    let rule = step_rule(global)?;
    let step = rule.step_at(now);
    let ask = Ask { step, nonce, profile, document_type: args.document.map(Into::into) };
    let request = credential.request(&ask, &key).map_err(|_| none())?;
    memory.ask(&request)?;
    write_files(args, request.as_str())?;
    let value = json!({
        "request": request.as_str(),
        "challenge": request.challenge(),
        "until": rule.end(step),
    });
    let matrix = draw::matrix(request.as_str()).map_err(drawing)?;
    let picture = draw::terminal(&matrix, std::io::stdout().is_terminal());
    let name = credential.claims().name();
    output.print(
        &value,
        &format!("{picture}\n  {name} asks for: {}, until {}", profile.name(), moment(rule.end(step))),
    );
    Ok(())
}

fn write_files(args: &Request, text: &str) -> Result<(), Failure> {
    if let Some(path) = &args.text {
        crate::holder::replace(path, text.as_bytes())?;
    }
    if let Some(path) = &args.svg {
        let matrix = draw::matrix(text).map_err(drawing)?;
        let svg = draw::svg(&matrix, "Request", "QR code of a business's request, good for three minutes");
        crate::holder::replace(path, svg.as_bytes())?;
    }
    Ok(())
}

fn drawing(error: impl std::fmt::Display) -> Failure {
    Failure::new("draw", error.to_string(), "Shorten the name of the business.")
}
