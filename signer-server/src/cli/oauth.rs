//! Relying parties as OAuth clients.

use std::fs;

use signer_core::wire::{OauthClient, PutOauthClient};

use super::{AdminClient, ProofArgs};

/// What the arguments say, with the key read from its file.
pub(super) fn read(args: &ProofArgs) -> Result<PutOauthClient, String> {
    let Some(path) = &args.oauth_key else { return Ok(PutOauthClient { key: None }) };
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Without the reader's own text: it may quote a private part.
    let key = serde_json::from_str(&text).map_err(|_| {
        format!("{}: not a public JWK with kty, crv, x, y and at most alg, use, kid beside", path.display())
    })?;
    Ok(PutOauthClient { key: Some(key) })
}

pub(super) fn put(admin: &AdminClient, id: &str, asked: &PutOauthClient) -> Result<OauthClient, String> {
    let body = serde_json::to_vec(asked).map_err(|error| error.to_string())?;
    admin.send("PUT", &format!("/admin/v1/relying-parties/{id}/oauth-client"), Some(body))
}

pub(super) fn told(client: &OauthClient) -> String {
    let text = format!("OAuth client_id: {}", client.client_id);
    match &client.client_secret {
        Some(secret) => format!("{text}\nOAuth client_secret: {secret}\nIt is not shown again."),
        None => text,
    }
}
