//! The way back to the client that sent a browser.

use super::{Fields, OauthRefusal, redirect};
use crate::store::OauthClientRow;

/// The way back to the client.
pub(super) struct Back {
    pub(super) uri: String,
    pub(super) state: Option<String>,
    pub(super) issuer: String,
}

impl Back {
    /// The redirect URI, if it is one the client is registered with.
    pub(super) fn of(client: &OauthClientRow, fields: &Fields, issuer: &str) -> Result<Self, OauthRefusal> {
        let uri = fields.get("redirect_uri").filter(|uri| client.redirect_uris.contains(uri));
        let uri = uri.ok_or_else(|| OauthRefusal::request("redirect_uri is none of the client's"))?;
        Ok(Self { uri: uri.clone(), state: None, issuer: issuer.to_owned() })
    }

    /// With `state`, and `iss` against mixing servers up (RFC 9207).
    pub(super) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.push(("iss", &self.issuer));
        redirect::with(&self.uri, &all)
    }

    pub(super) fn refused(&self, refusal: &OauthRefusal) -> String {
        let mut parameters =
            vec![("error", refusal.error), ("error_description", refusal.description.as_str())];
        parameters.extend(refusal.reason.map(|reason| ("reason", reason)));
        self.with(&parameters)
    }
}
