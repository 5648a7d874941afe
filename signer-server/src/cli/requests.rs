//! Signing requests and how they ended.

use clap::Args;
use signer_core::{
    ids::RelyingPartyId,
    wire::{RequestSummary, SUMMARIES_MAX},
};

use super::{AdminClient, print};

/// Which requests are shown.
#[derive(Debug, Args)]
pub(super) struct RequestsArgs {
    /// Of this relying party only.
    #[arg(long, value_name = "ID")]
    relying_party: Option<RelyingPartyId>,
    /// At most so many, newest first.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(SUMMARIES_MAX)))]
    limit: u32,
}

pub(super) fn show(admin: &AdminClient, json: bool, args: &RequestsArgs) -> Result<(), String> {
    let party = args.relying_party.map_or(String::new(), |id| format!("&relying_party={id}"));
    let path = format!("/admin/v1/requests?limit={}{party}", args.limit);
    let all: Vec<RequestSummary> = admin.send("GET", &path, None)?;
    let text = if all.is_empty() {
        "None in the last 7 days.".into()
    } else {
        all.iter().map(line).collect::<Result<Vec<_>, _>>()?.join("\n")
    };
    print(json, &all, &text);
    Ok(())
}

/// Request, relying party, documents, when it was made (Unix seconds), status.
fn line(request: &RequestSummary) -> Result<String, String> {
    let status = serde_json::to_value(request.status).map_err(|error| error.to_string())?;
    let RequestSummary { id, relying_party, documents, created, .. } = request;
    Ok(format!("{id}  {relying_party}  {documents:>2}  {created}  {}", status.as_str().unwrap_or_default()))
}
