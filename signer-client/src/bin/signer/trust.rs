//! The offline root: its key, and the trust list it signs.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use signer_client::{
    ClientError,
    desk::FileStorage,
    lists::{ListsError, point, read_point},
    ports::Storage as _,
};
use signer_core::trust::{SignedTrustList, TrustList, TrustListError};

use crate::{
    input::{bytes_of, text_of},
    key_file,
    output::{Failure, Output, warning},
};

const WARNING: &str =
    "Root of trust. Whoever has this file decides which documents are believed. Keep it offline.";

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Make the root's key in a new file, or print the public key of one
    #[command(after_help = "Example:\n  signer trust root-key --file root.json")]
    RootKey {
        /// The key file, mode 0600
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Sign a trust list
    #[command(
        after_help = "Example:\n  signer-server keys > list.json\n  signer trust sign --root root.json --out trust-list.cose list.json"
    )]
    Sign {
        /// The root's key file
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
        /// Where the signed list goes; the list that is there must have a lower number
        #[arg(long, value_name = "FILE", default_value = "trust-list.cose")]
        out: PathBuf,
        /// The list as JSON
        list: PathBuf,
    },
    /// Check a signed list and print it as JSON
    #[command(after_help = "Example:\n  signer trust show --root A2Zk… trust-list.cose")]
    Show {
        /// The root's public key, base64url
        #[arg(long, value_name = "KEY")]
        root: String,
        /// The signed list
        list: PathBuf,
    },
}

pub(crate) fn run(output: &Output, command: &TrustCommand) -> Result<(), Failure> {
    match command {
        TrustCommand::RootKey { file } => root_key(output, file),
        TrustCommand::Sign { root, out, list } => sign(output, root, out, list),
        TrustCommand::Show { root, list } => show(root, list),
    }
}

fn root_key(output: &Output, file: &Path) -> Result<(), Failure> {
    let key = if file.exists() {
        key_file::read(file)?
    } else {
        warning(
            "the root's key decides which documents are believed: keep its file offline, and a copy elsewhere.",
        );
        key_file::make(file, WARNING)?
    };
    let root = point(key.verifying_key());
    output.print(&json!({ "root": root }), &root);
    Ok(())
}

fn sign(output: &Output, root: &Path, out: &Path, list: &Path) -> Result<(), Failure> {
    let key = key_file::read(root)?;
    let json = text_of(list)?;
    let list: TrustList = serde_json::from_str(&json)
        .map_err(|error| Failure::usage(format!("{}: {error}", list.display()), "Correct the list."))?;
    let too_long = |error| Failure::usage(format!("the list is too long: {error}"), "Shorten it.");
    let signed = list.prepare(key.verifying_key()).map_err(too_long)?.sign(&key);
    let signed =
        signed.map_err(|error| Failure::usage(error.to_string(), "Give the root's own key file."))?;
    let roots = [&[*key.verifying_key()], list.roots()].concat();
    if let Some(before) = FileStorage::new(out).load().map_err(ClientError::from)? {
        let mut before = SignedTrustList::verify(&before, &roots).map_err(ListsError::from)?;
        match before.update(&signed, &roots).map_err(ListsError::from)? {
            true => {}
            false => return Err(ListsError::from(TrustListError::Conflict).into()),
        }
    }
    if !list.roots().contains(key.verifying_key()) {
        warning("the list does not name this root: the next one must be signed by another.");
    }
    FileStorage::new(out).store(&signed).map_err(ClientError::from)?;
    let value = json!({ "number": list.number(), "file": out, "bytes": signed.len() });
    output.print(&value, &format!("Trust list {} is in {}.", list.number(), out.display()));
    Ok(())
}

/// Always JSON: it is input for the next list.
fn show(root: &str, list: &Path) -> Result<(), Failure> {
    let root = read_point(root).ok_or_else(|| {
        Failure::usage("--root is no key", "Give its 33 bytes in base64url, as `root-key` prints them.")
    })?;
    let signed = SignedTrustList::verify(&bytes_of(list)?, &[root]).map_err(ListsError::from)?;
    println!("{}", serde_json::to_string_pretty(signed.list()).unwrap_or_default());
    Ok(())
}
