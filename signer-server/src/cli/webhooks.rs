//! The operator's side of webhooks: the addresses of a relying party.

use signer_core::{ids::RelyingPartyId, wire::Webhooks};

use super::{AdminClient, print};

/// Prints the addresses of a relying party; sets them first, if there are any or it is to have none.
pub(super) fn webhooks(
    admin: &AdminClient,
    json: bool,
    id: RelyingPartyId,
    urls: Vec<String>,
    none: bool,
) -> Result<(), String> {
    let path = format!("/admin/v1/relying-parties/{id}/webhooks");
    let webhooks: Webhooks = if urls.is_empty() && !none {
        admin.send("GET", &path, None)?
    } else {
        let body = serde_json::to_vec(&Webhooks { urls }).map_err(|error| error.to_string())?;
        admin.send("PUT", &path, Some(body))?
    };
    let text = if webhooks.urls.is_empty() { "No webhooks.".into() } else { webhooks.urls.join("\n") };
    print(json, &webhooks, &text);
    Ok(())
}
