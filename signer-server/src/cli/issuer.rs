//! The operator as an issuer: keys and their rotation, the trust list, credentials of businesses.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use signer_core::{
    ids::RelyingPartyId,
    trust::TrustList,
    wire::{CreateBusinessCredential, CreatedBusinessCredential, Profile, PutTrustList},
};

use super::{AdminClient, print};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make the key that is to follow; with --activate, put it to use.
    Rotate {
        /// `issuer` (credentials), `list` (status lists), `business` (credentials of businesses) or `webhook` (deliveries to
        /// webhooks, which trust lists do not name: it waits a day).
        purpose: String,
        /// Sign with the key that waits from now on. The trust list given out must have named it for 30 days.
        #[arg(long)]
        activate: bool,
        /// Do not wait the 30 days. Verifiers that have not fetched the list since call documents of the new key unknown: only
        /// for a key that is compromised.
        #[arg(long, requires = "activate")]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TrustListCommand {
    /// Give out a list that your root has signed.
    Put {
        /// The signed list: trust-list.cose.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct BusinessArgs {
    /// The name phones show: up to 96 bytes.
    #[arg(long)]
    name: String,
    /// Public key of the business: 33 bytes of a compressed point of P-256, base64url.
    #[arg(long, value_name = "BASE64URL")]
    key: String,
    /// What it may ask for: age, minimal, full.
    #[arg(long, value_delimiter = ',', required = true)]
    profiles: Vec<String>,
    /// Life of the credential, days, at most 30. It cannot be withdrawn by itself: renew it often.
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// Id of the business as a relying party (`relying-party add NAME --verify`): online its answers go to that token alone.
    #[arg(long, value_name = "ID")]
    relying_party: RelyingPartyId,
}

pub(super) fn keys(admin: &AdminClient, json: bool, command: Option<KeysCommand>) -> Result<(), String> {
    let Some(KeysCommand::Rotate { purpose, activate, force }) = command else {
        let list: TrustList = admin.send("GET", "/admin/v1/keys", None)?;
        // Always JSON: it is input for `signer trust sign`.
        println!("{}", serde_json::to_string_pretty(&list).map_err(|error| error.to_string())?);
        return Ok(());
    };
    let act = if activate { "activate" } else { "next" };
    let query = if force { "?force=true" } else { "" };
    admin.send::<Value>("POST", &format!("/admin/v1/keys/{purpose}/{act}{query}"), None)?;
    let text = if purpose == "webhook" {
        if activate {
            "The next key is in use. The one before is given out for an hour still."
        } else {
            "The next key waits. Receivers see it at /v1/webhook-keys; wait a day, then: keys rotate webhook --activate"
        }
    } else if activate {
        "The next key is in use. The one before stays listed until nothing it signed can be shown any more."
    } else {
        "The next key waits. Put it on the trust list (`signer-server keys` prints it), wait 30 days, then: keys rotate … --activate"
    };
    print(json, &json!({ "purpose": purpose, "done": act }), text);
    Ok(())
}

pub(super) fn trust_list(admin: &AdminClient, json: bool, command: TrustListCommand) -> Result<(), String> {
    let TrustListCommand::Put { file } = command;
    let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let put = admin.text_of("PUT", "/admin/v1/trust-list", "application/cose", bytes)?;
    let put: PutTrustList = serde_json::from_str(&put).map_err(|error| error.to_string())?;
    let notes: String = put.notes.iter().map(|note| format!("\nNOTE: {note}")).collect();
    print(json, &put, &format!("Trust list {} is given out.{notes}", put.number));
    Ok(())
}

pub(super) fn business_credential(admin: &AdminClient, json: bool, args: BusinessArgs) -> Result<(), String> {
    let profile = |name: &String| {
        let found = Profile::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| format!("{name} is no profile: age, minimal or full"))
    };
    let profiles = args.profiles.iter().map(profile).collect::<Result<_, _>>()?;
    let asked = CreateBusinessCredential {
        name: args.name,
        key: args.key,
        profiles,
        days: Some(args.days),
        relying_party: args.relying_party,
    };
    let made: CreatedBusinessCredential = admin.post("/admin/v1/business-credentials", &asked)?;
    let text = format!(
        "Business {}\nCredential: {}\nIt ends at {} (Unix time).",
        made.id, made.credential, made.expires
    );
    print(json, &made, &text);
    Ok(())
}
