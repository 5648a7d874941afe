//! `credentials/authorize`, `credentials/authorizeCheck` and `signatures/signHash`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use signer_core::ids::RequestId;

use super::{ECDSA_SHA256, Version, call::Call, invalid, parameters::Parameters};
use crate::{
    http::{
        finished,
        oauth_error::OauthProblem,
        openapi::{CscAuthorize, CscHandle, CscSad, CscSign, CscSignatures},
    },
    service::{
        Authorised, Authorising, DESCRIPTION_CHARACTERS_MAX, MULTISIGN_MAX, OauthError, OauthRefusal,
        Service, ServiceError, Signing, WaitMs,
    },
};

/// How long the holder has, seconds: in version 1, which blocks; in version 2, which asks again.
const SECONDS: (u64, u64) = (60, 300);
/// How long one question of version 2 waits, milliseconds.
const CHECK_MS: u64 = 10_000;

/// Asks the holder to sign hashes.
///
/// Version 1 waits for the phone, version 2 answers with a handle. The same call again finds the question that the phone has.
#[utoipa::path(
    post, path = "/csc/{version}/credentials/authorize", operation_id = "csc_credentials_authorize", tag = "CSC API", security(("oauth2" = ["service"])),
    params(("version" = String, Path, pattern = "^v[12]$", description = "`v1` or `v2`.")),
    request_body = CscAuthorize,
    responses((status = 200, body = CscSad), (status = 202, body = CscHandle)),
    extensions(("x-errors" = json!(["400 access_denied", "403 insufficient_scope", "429 temporarily_unavailable"])))
)]
pub(super) async fn authorize(
    State(service): State<Arc<Service>>,
    call: Call,
) -> Result<Response, OauthProblem> {
    let Call { version, bearer, parameters, turn } = call;
    let seconds = if version == Version::V1 { SECONDS.0 } else { SECONDS.1 };
    let place = service.admit_request_poll(&bearer.party)?;
    let asked = authorising(&parameters, seconds)?;
    // To its end, though the caller hangs up: a question on the phone is one that the same call finds again.
    let (bearer, handle) = {
        let service = Arc::clone(&service);
        let ask = async move {
            let handle = service.authorise(&bearer, asked).await;
            drop(turn);
            (bearer, handle)
        };
        finished(ask).await.ok_or(OauthError::Failed(ServiceError::Bug("asking panicked")))?
    };
    let handle = handle?;
    if version == Version::V2 {
        return Ok(waits(handle));
    }
    // The request ends by itself first.
    let wait = WaitMs::new((SECONDS.0 + 5) * 1_000)?;
    let answer = answered(handle, service.authorised(&bearer, handle, wait).await?);
    drop(place);
    Ok(answer)
}

/// What became of an authorisation of version 2. Waits up to 10 s.
#[utoipa::path(
    post, path = "/csc/v2/credentials/authorizeCheck", operation_id = "csc_credentials_authorize_check", tag = "CSC API", security(("oauth2" = ["service"])),
    request_body = CscHandle,
    responses((status = 200, body = CscSad), (status = 202, body = CscHandle)),
    extensions(("x-errors" = json!(["400 access_denied", "403 insufficient_scope", "429 temporarily_unavailable"])))
)]
pub(super) async fn authorize_check(
    State(service): State<Arc<Service>>,
    call: Call,
) -> Result<Response, OauthProblem> {
    let Call { bearer, parameters, turn, .. } = call;
    let handle: RequestId = parameters.string("handle")?.parse().map_err(|_| invalid("handle"))?;
    let _place = service.admit_request_poll(&bearer.party)?;
    drop(turn);
    let wait = WaitMs::new(CHECK_MS)?;
    Ok(answered(handle, service.authorised(&bearer, handle, wait).await?))
}

/// Gives out the signatures that the phone made.
#[utoipa::path(
    post, path = "/csc/{version}/signatures/signHash", operation_id = "csc_sign_hash", tag = "CSC API", security(("oauth2" = ["service"])),
    params(("version" = String, Path, pattern = "^v[12]$", description = "`v1` or `v2`.")),
    request_body = CscSign,
    responses((status = 200, body = CscSignatures))
)]
pub(super) async fn sign_hash(
    State(service): State<Arc<Service>>,
    call: Call,
) -> Result<Json<Value>, OauthProblem> {
    let parameters = &call.parameters;
    let credential = parameters.string("credentialID")?.to_owned();
    let sad = match parameters.get("SAD") {
        Some(_) => Some(parameters.string("SAD")?.to_owned()),
        None => None,
    };
    let digests = parameters.hashes()?;
    parameters.check_hash_algorithm()?;
    if parameters.string("signAlgo")? != ECDSA_SHA256 {
        return Err(invalid("signAlgo"));
    }
    if parameters.optional("operationMode")?.is_some_and(|mode| mode != "S") {
        return Err(invalid("operationMode"));
    }
    let signatures = service.fetch_signatures(&call.bearer, Signing { credential, sad, digests }).await?;
    let signatures: Vec<_> = signatures.iter().map(|der| STANDARD.encode(der)).collect();
    Ok(Json(json!({ "signatures": signatures })))
}

fn authorising(parameters: &Parameters, seconds: u64) -> Result<Authorising, OauthProblem> {
    let credential = parameters.string("credentialID")?.to_owned();
    let count = parameters
        .get("numSignatures")
        .and_then(Value::as_u64)
        .ok_or_else(|| OauthRefusal::request("Missing (or invalid type) integer parameter numSignatures"))?;
    if count > MULTISIGN_MAX as u64 {
        return Err(OauthRefusal::request("Numbers of signatures is too high").into());
    }
    let digests = parameters.hashes()?;
    // What is signed is known now: there are no signatures to come.
    if count != digests.len() as u64 {
        return Err(OauthRefusal::request("Invalid value for parameter numSignatures").into());
    }
    parameters.check_hash_algorithm()?;
    let description = parameters.optional("description")?.filter(|text| !text.is_empty());
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_CHARACTERS_MAX) {
        return Err(invalid("description"));
    }
    Ok(Authorising { credential, digests, description: description.map(str::to_owned), seconds })
}

fn waits(handle: RequestId) -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "handle": handle.to_string() }))).into_response()
}

fn answered(handle: RequestId, answer: Authorised) -> Response {
    match answer {
        Authorised::Waits => waits(handle),
        Authorised::Yes(sad, seconds) => Json(json!({ "SAD": sad, "expiresIn": seconds })).into_response(),
    }
}
