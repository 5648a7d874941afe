//! OAuth 2 for relying parties: token endpoint, revocation, metadata (RFC 6749, RFC 7009, RFC 8414); the authorisation page's
//! side in [`visit`].

mod form;
mod visit;

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::form::Form;
pub(super) use self::visit::long_poll_routes;
use super::{
    oauth_error::OauthProblem,
    openapi::{OauthMetadata, RevocationForm, TokenForm, TokenReply},
};
use crate::service::{CodeClaim, DETAIL_TYPES, OauthRefusal, Service};

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .routes(routes!(revoke))
        .routes(routes!(metadata))
        .merge(visit::routes())
}

/// An access token, for a relying party itself or for a code that a browser brought.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "OAuth 2", security(("client_basic" = []), ()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenReply)),
    extensions(("x-errors" = json!(["401 invalid_client", "400 invalid_grant", "400 unsupported_grant_type", "400 invalid_scope", "429 temporarily_unavailable"])))
)]
async fn token(State(service): State<Arc<Service>>, form: Form) -> Result<Json<Value>, OauthProblem> {
    let _turn = service.admit()?;
    match form.get("grant_type") {
        Some("client_credentials") => for_client(&service, &form).await,
        Some("authorization_code") => for_code(&service, &form).await,
        Some(_) => {
            let text = "grant_type is client_credentials or authorization_code";
            Err(OauthRefusal::new(400, "unsupported_grant_type", text).into())
        }
        None => Err(OauthRefusal::request("grant_type is missing").into()),
    }
}

async fn for_client(service: &Service, form: &Form) -> Result<Json<Value>, OauthProblem> {
    if form.get("scope").is_some_and(|scope| scope != "service") {
        let text = "scope is service: credential comes by the authorisation page";
        return Err(OauthRefusal::new(400, "invalid_scope", text).into());
    }
    let made = service.access_token(form.client()?).await?;
    Ok(Json(json!({
        "access_token": made.token,
        "token_type": "Bearer",
        "expires_in": made.expires_in,
        "scope": "service",
    })))
}

async fn for_code(service: &Service, form: &Form) -> Result<Json<Value>, OauthProblem> {
    let client = form.client()?;
    let (code, redirect_uri) = (form.need("code")?, form.need("redirect_uri")?);
    let given = CodeClaim { code, redirect_uri, verifier: form.need("code_verifier")? };
    let made = service.exchange(client, given).await?;
    let mut answer = json!({
        "access_token": made.token,
        "token_type": made.token_type,
        "expires_in": made.expires_in,
        "scope": made.scope,
    });
    if let Some(answer) = answer.as_object_mut() {
        answer.extend(made.credential.map(|id| ("credentialID".into(), id.into())));
        answer.extend(made.details.map(|details| ("authorization_details".into(), details)));
    }
    Ok(Json(answer))
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
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "pushed_authorization_request_endpoint": format!("{issuer}/oauth2/pushed_authorize"),
        "authorization_response_iss_parameter_supported": true,
        "authorization_details_types_supported": DETAIL_TYPES,
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": ["service", "credential"],
    }))
}
