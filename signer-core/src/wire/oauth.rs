//! JSON bodies about relying parties as OAuth clients.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::ids::RelyingPartyId;

/// `PUT /admin/v1/relying-parties/{id}/oauth-client`: how the relying party proves itself at the token endpoint. Ends its
/// access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "key": { "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" } }))))]
pub struct PutOauthClient {
    /// Its public key, for `private_key_jwt`. Without one the server draws a secret, if it is a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicJwk>,
}

/// Reply to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OauthClient {
    /// The `client_id`.
    pub client_id: RelyingPartyId,
    /// The secret, shown this once, if the client has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

impl core::fmt::Debug for OauthClient {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OauthClient({}, redacted)", self.client_id)
    }
}

/// A public P-256 key as a JWK (RFC 7517, RFC 7518 §6.2). One with a private part (`d`) is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublicJwk {
    /// `EC`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^EC$"))]
    pub kty: String,
    /// `P-256`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^P-256$"))]
    pub crv: String,
    /// First coordinate, 32 bytes in base64url without padding.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub x: String,
    /// Second coordinate, likewise.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub y: String,
    /// `ES256`, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^ES256$"))]
    pub alg: Option<String>,
    /// `sig`, if it is there.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^sig$"))]
    pub key_use: Option<String>,
    /// Not used: a client has one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}
