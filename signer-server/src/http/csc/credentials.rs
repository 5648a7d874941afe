//! `credentials/list` and `credentials/info`.

use std::sync::Arc;

use axum::{Json, extract::State};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{ECDSA_SHA256, P256, Version, call::Call, invalid, parameters::Parameters};
use crate::{
    http::{
        oauth_error::OauthProblem,
        openapi::{CscCredentialInfo, CscInfoOf, CscList, CscListRequest},
    },
    service::{CredentialState, CscCredential, MULTISIGN_MAX, Service},
};

/// Names a person's credentials.
#[utoipa::path(
    post, path = "/csc/{version}/credentials/list", operation_id = "csc_credentials_list", tag = "CSC API", security(("oauth2" = ["service"])),
    params(("version" = String, Path, pattern = "^v[12]$", description = "`v1` or `v2`.")),
    request_body = CscListRequest,
    responses((status = 200, body = CscList))
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    call: Call,
) -> Result<Json<Value>, OauthProblem> {
    let parameters = &call.parameters;
    let person = parameters.string("userID")?;
    if parameters.get("pageToken").is_some() {
        // No list has a second page.
        return Err(invalid("pageToken"));
    }
    let detail = Detail::of(parameters)?;
    let only_valid = parameters.flag("onlyValid")?;
    let mut found = service.credentials(&call.bearer, person).await?;
    found.retain(|credential| !only_valid || credential.state == CredentialState::Valid);
    let ids: Vec<_> = found.iter().map(|credential| &credential.id).collect();
    let mut answer = json!({ "credentialIDs": ids });
    if call.version == Version::V2
        && parameters.flag("credentialInfo")?
        && let Some(answer) = answer.as_object_mut()
    {
        let infos = found.iter().map(|credential| {
            let mut info = describe(credential, call.version, &detail);
            if let Some(info) = info.as_object_mut() {
                info.insert("credentialID".into(), credential.id.clone().into());
            }
            info
        });
        answer.insert("credentialInfos".into(), infos.collect());
    }
    Ok(Json(answer))
}

/// Describes a credential.
#[utoipa::path(
    post, path = "/csc/{version}/credentials/info", operation_id = "csc_credentials_info", tag = "CSC API", security(("oauth2" = ["service"])),
    params(("version" = String, Path, pattern = "^v[12]$", description = "`v1` or `v2`.")),
    request_body = CscInfoOf,
    responses((status = 200, body = CscCredentialInfo))
)]
pub(super) async fn info(
    State(service): State<Arc<Service>>,
    call: Call,
) -> Result<Json<Value>, OauthProblem> {
    let id = call.parameters.string("credentialID")?;
    let detail = Detail::of(&call.parameters)?;
    let credential = service.credential(&call.bearer, id).await?;
    Ok(Json(describe(&credential, call.version, &detail)))
}

/// How much a caller wants to know.
struct Detail {
    certificates: usize,
    fields: bool,
    auth: bool,
}

impl Detail {
    fn of(parameters: &Parameters) -> Result<Self, OauthProblem> {
        let certificates = match parameters.optional("certificates")? {
            Some("none") => 0,
            None | Some("single") => 1,
            Some("chain") => usize::MAX,
            Some(_) => return Err(invalid("certificates")),
        };
        Ok(Self { certificates, fields: parameters.flag("certInfo")?, auth: parameters.flag("authInfo")? })
    }
}

fn describe(credential: &CscCredential, version: Version, detail: &Detail) -> Value {
    let mut cert = json!({ "status": credential.state.name() });
    if let Some(cert) = cert.as_object_mut() {
        if detail.certificates > 0 {
            let chain = credential.chain.iter().take(detail.certificates);
            cert.insert("certificates".into(), chain.map(|der| STANDARD.encode(der)).collect());
        }
        if detail.fields {
            let fields = &credential.certificate;
            cert.insert("issuerDN".into(), fields.issuer.clone().into());
            cert.insert("serialNumber".into(), fields.serial.clone().into());
            cert.insert("subjectDN".into(), fields.subject.clone().into());
            cert.insert("validFrom".into(), fields.from.clone().into());
            cert.insert("validTo".into(), fields.to.clone().into());
        }
    }
    let enabled = credential.state == CredentialState::Valid;
    let mut info = json!({
        "description": "Split key: phone and server",
        "key": {
            "status": if enabled { "enabled" } else { "disabled" },
            "algo": [ECDSA_SHA256],
            "len": 256,
            "curve": P256,
        },
        "cert": cert,
        "SCAL": "2",
        "multisign": MULTISIGN_MAX,
        "lang": "en",
    });
    if let Some(info) = info.as_object_mut() {
        match version {
            Version::V1 => info.insert("authMode".into(), "implicit".into()),
            Version::V2 => info.insert("auth".into(), auth(detail)),
        };
    }
    info
}

/// The phone decides, out of band: version 2 says so with an object that takes no value.
fn auth(detail: &Detail) -> Value {
    let mut auth = json!({ "mode": "explicit", "expression": "phone" });
    if let (true, Some(auth)) = (detail.auth, auth.as_object_mut()) {
        let phone = json!([{ "type": "PasswordOOB", "id": "phone", "label": "Approval on the phone" }]);
        auth.insert("objects".into(), phone);
    }
    auth
}
