//! OAuth 2 for relying parties: token endpoint, revocation, metadata (RFC 6749, RFC 7009, RFC 8414).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::{
    oauth_error::OauthProblem,
    openapi::{OauthMetadata, RevocationForm, TokenForm, TokenReply},
};
use crate::service::{ClientClaim, OauthRefusal, Service};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Time to send a body.
const BODY_TIME: Duration = Duration::from_secs(5);

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(token)).routes(routes!(revoke)).routes(routes!(metadata))
}

/// An access token for a relying party.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "OAuth 2", security(("client_basic" = []), ()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenReply)),
    extensions(("x-errors" = json!(["401 invalid_client", "400 unsupported_grant_type", "400 invalid_scope", "429 temporarily_unavailable"])))
)]
async fn token(State(service): State<Arc<Service>>, form: Form) -> Result<Json<Value>, OauthProblem> {
    let _turn = service.admit()?;
    match form.get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            let text = "grant_type is client_credentials";
            return Err(OauthRefusal::new(400, "unsupported_grant_type", text).into());
        }
        None => return Err(OauthRefusal::request("grant_type is missing").into()),
    }
    if form.get("scope").is_some_and(|scope| scope != "service") {
        return Err(OauthRefusal::new(400, "invalid_scope", "scope is service").into());
    }
    let made = service.access_token(form.client()?).await?;
    Ok(Json(json!({
        "access_token": made.token,
        "token_type": "Bearer",
        "expires_in": made.expires_in,
        "scope": "service",
    })))
}

/// Ends an access token of the calling client.
#[utoipa::path(
    post, path = "/oauth2/revoke", tag = "OAuth 2", security(("client_basic" = []), ()),
    request_body(content = RevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200)),
    extensions(("x-errors" = json!(["401 invalid_client"])))
)]
async fn revoke(State(service): State<Arc<Service>>, form: Form) -> Result<StatusCode, OauthProblem> {
    let _turn = service.admit()?;
    let token = form.get("token").ok_or_else(|| OauthRefusal::request("token is missing"))?;
    service.revoke_access_token(form.client()?, token).await?;
    Ok(StatusCode::OK)
}

/// What this authorization server can do.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", operation_id = "oauth_metadata", tag = "OAuth 2",
    responses((status = 200, body = OauthMetadata))
)]
async fn metadata(State(service): State<Arc<Service>>) -> Json<Value> {
    let issuer = service.oauth_issuer();
    let mut methods = vec!["private_key_jwt"];
    if service.is_sandbox() {
        methods.extend(["client_secret_basic", "client_secret_post"]);
    }
    Json(json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": ["service"],
    }))
}

/// A form, each parameter once, and what the headers say of the client.
struct Form {
    fields: BTreeMap<String, Zeroizing<String>>,
    authorization: Option<Zeroizing<String>>,
}

impl FromRequest<Arc<Service>> for Form {
    type Rejection = OauthProblem;
    async fn from_request(request: Request, state: &Arc<Service>) -> Result<Self, OauthProblem> {
        let authorization = authorization(request.headers())?;
        let body = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state)).await;
        let body = body.map_err(|_| OauthRefusal::request("the body came too slowly"))??;
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(&body) {
            // RFC 6749 §3.2: one without a value counts as left out, one that stands twice is an error.
            if !value.is_empty()
                && fields.insert(name.into_owned(), Zeroizing::new(value.into_owned())).is_some()
            {
                return Err(OauthRefusal::request("a parameter stands twice").into());
            }
        }
        Ok(Self { fields, authorization })
    }
}

/// What stands in the `Authorization` header, after a look at the content type.
fn authorization(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, OauthRefusal> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let bare = media_type.and_then(|value| value.split(';').next()).map(str::trim);
    if bare.is_none_or(|bare| !bare.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return Err(OauthRefusal::request("send application/x-www-form-urlencoded"));
    }
    let header = headers.get(header::AUTHORIZATION).map(|value| value.to_str());
    let header =
        header.transpose().map_err(|_| OauthRefusal::client("the Authorization header is malformed"))?;
    Ok(header.map(|value| Zeroizing::new(value.to_owned())))
}

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.as_str())
    }

    /// How the client claims to be one. Two ways at once are an error (RFC 6749 §2.3).
    fn client(&self) -> Result<ClientClaim, OauthRefusal> {
        let own = |name| self.get(name).map(str::to_owned);
        let assertion = (self.get("client_assertion_type"), own("client_assertion"));
        match (assertion, own("client_secret"), &self.authorization) {
            ((Some(ASSERTION_TYPE), Some(assertion)), None, None) => {
                Ok(ClientClaim::Assertion(assertion, own("client_id")))
            }
            ((None, None), Some(secret), None) => {
                let id = own("client_id").ok_or_else(|| OauthRefusal::request("client_id is missing"))?;
                Ok(ClientClaim::Secret(id, secret))
            }
            ((None, None), None, Some(header)) => basic(header),
            ((None, None), None, None) => Err(OauthRefusal::client(
                "the client must prove itself: client_assertion and client_assertion_type",
            )),
            ((Some(_), _) | (_, Some(_)), None, None) => Err(OauthRefusal::request(format!(
                "client_assertion goes with client_assertion_type {ASSERTION_TYPE}"
            ))),
            _ => Err(OauthRefusal::request("the client proves itself in one way")),
        }
    }
}

/// RFC 6749 §2.3.1: id and secret, each encoded as in a form. Neither of ours has a character that needs it.
fn basic(header: &str) -> Result<ClientClaim, OauthRefusal> {
    let malformed = || OauthRefusal::client("the Authorization header is malformed");
    let (scheme, value) = header.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = Zeroizing::new(STANDARD.decode(value).map_err(|_| malformed())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    Ok(ClientClaim::Secret(id.to_owned(), secret.to_owned()))
}
