//! Relying parties as OAuth clients.

use std::fs;

use clap::ValueEnum;
use signer_core::wire::{CscAuth, OauthClient, PublicJwk, PutOauthClient};

use super::{AdminClient, PagesArgs, ProofArgs};

/// [`CscAuth`] as an argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Way {
    /// By `credentials/authorize`.
    Implicit,
    /// By the authorisation page.
    Oauth2code,
}

/// What the arguments say, with the key read from its file.
pub(super) fn read(args: &ProofArgs, pages: PagesArgs) -> Result<PutOauthClient, String> {
    let csc_auth = pages.csc_auth.map(|way| match way {
        Way::Implicit => CscAuth::Implicit,
        Way::Oauth2code => CscAuth::Oauth2code,
    });
    let redirect_uris = (!pages.redirect_uri.is_empty()).then_some(pages.redirect_uri);
    Ok(PutOauthClient { key: key(args)?, redirect_uris, csc_auth })
}

fn key(args: &ProofArgs) -> Result<Option<PublicJwk>, String> {
    let Some(path) = &args.oauth_key else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Without the reader's own text: it may quote a private part.
    let key = serde_json::from_str(&text).map_err(|_| {
        format!("{}: not a public JWK with kty, crv, x, y and at most alg, use, kid beside", path.display())
    })?;
    Ok(Some(key))
}

pub(super) fn put(admin: &AdminClient, id: &str, asked: &PutOauthClient) -> Result<OauthClient, String> {
    let body = serde_json::to_vec(asked).map_err(|error| error.to_string())?;
    admin.send("PUT", &format!("/admin/v1/relying-parties/{id}/oauth-client"), Some(body))
}

pub(super) fn told(client: &OauthClient) -> String {
    let mut text = format!("OAuth client_id: {}", client.client_id);
    for uri in &client.redirect_uris {
        text.push_str(&format!("\nSent back to: {uri}"));
    }
    match &client.client_secret {
        Some(secret) => format!("{text}\nOAuth client_secret: {secret}\nIt is not shown again."),
        None => text,
    }
}
