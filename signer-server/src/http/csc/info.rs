//! `info`: what this service is and can do.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{ECDSA_SHA256, Version, call::OpenCall};
use crate::{
    http::openapi::{CscInfo, CscInfoRequest},
    service::Service,
};

/// What this service is and can do.
#[utoipa::path(
    post, path = "/csc/{version}/info", operation_id = "csc_info", tag = "CSC API",
    params(("version" = String, Path, pattern = "^v[12]$", description = "`v1` or `v2`.")),
    request_body = Option<CscInfoRequest>,
    responses((status = 200, body = CscInfo))
)]
pub(super) async fn info(State(service): State<Arc<Service>>, call: OpenCall) -> Json<Value> {
    let url = service.oauth_issuer();
    let mut methods = vec!["credentials/list", "credentials/info", "credentials/authorize"];
    if call.version == Version::V2 {
        methods.push("credentials/authorizeCheck");
    }
    methods.extend(["signatures/signHash", "oauth2/token", "oauth2/revoke"]);
    let mut info = json!({
        "name": service.name(),
        "logo": format!("{url}/verify/icon.svg"),
        "region": service.country(),
        "lang": "en",
        "description": "Split-key signatures: the holder approves each on the phone",
        "authType": ["oauth2client"],
        "methods": methods,
        // Others refuse an answer without it: hashes are of the data to be signed, as the client has formatted it.
        "supportedHashTypes": ["DTBSR"],
    });
    let own = match call.version {
        Version::V1 => json!({ "specs": "1.0.4.0", "oauth2": format!("{url}/") }),
        Version::V2 => json!({
            "specs": "2.0.0.2",
            "oauth2Issuer": url,
            "asynchronousOperationMode": false,
            "signAlgorithms": { "algos": [ECDSA_SHA256] },
            "signature_formats": { "formats": [], "envelope_properties": [] },
            "conformance_levels": [],
        }),
    };
    if let (Some(info), Value::Object(own)) = (info.as_object_mut(), own) {
        info.extend(own);
    }
    Json(info)
}
