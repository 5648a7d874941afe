//! What an authorization request asks for: its parameters (RFC 6749 §4.1.1, RFC 7636, RFC 9396, CSC API §8.3), checked.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signer_core::{
    approval::{NAME_BYTES_MAX, TEXT_BYTES_MAX},
    codec::{Label, Text},
};

use super::OauthRefusal;
use crate::{
    service::csc::{Asking, DESCRIPTION_CHARACTERS_MAX, MULTISIGN_MAX, SHA256, digest},
    store::Holder,
};

/// Parameters, each once.
pub type Fields = BTreeMap<String, String>;

/// Types of the one authorization detail: of version 2.0, and of later ones.
pub const DETAIL_TYPES: [&str; 2] = ["credential", "https://cloudsignatureconsortium.org/2025/credential"];
/// Longest `state`, bytes.
const STATE_BYTES_MAX: usize = 1_024;

/// What is asked for, as it is kept with a visit.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Asked {
    /// To see whose certificate it is: scope `service`.
    Service {
        /// Who is meant, if the client says.
        person: Option<String>,
    },
    /// Signatures: scope `credential`.
    Credential(AskedCredential),
}

/// Signatures over hashes, as they are asked for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AskedCredential {
    /// The client's name of the credential.
    pub(super) id: String,
    pub(super) digests: Vec<[u8; 32]>,
    /// What the phone calls them, in the same order; none for "1 of 3" and so on.
    pub(super) names: Option<Vec<String>>,
    pub(super) description: Option<String>,
    /// Whether the token is told to be of the type `SAD`: so does version 1.
    pub(super) sad: bool,
    /// The authorization details granted, if they were asked for in this form.
    pub(super) details: Option<Value>,
}

impl AskedCredential {
    /// As the phone is asked.
    pub(super) fn asking(&self) -> Asking<'_> {
        Asking {
            digests: &self.digests,
            names: self.names.as_deref(),
            description: self.description.as_deref(),
        }
    }
}

impl Asked {
    pub(super) const fn scope(&self) -> &'static str {
        match self {
            Self::Service { .. } => "service",
            Self::Credential(_) => "credential",
        }
    }

    /// Reads what is asked for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(fields: &Fields) -> Result<Self, OauthRefusal> {
        let details = fields.get("authorization_details").map(|text| detail(text)).transpose()?;
        let default = if details.is_some() { "credential" } else { "service" };
        match fields.get("scope").map_or(default, String::as_str) {
            "service" if details.is_none() => {
                let person = fields.get("login_hint").cloned();
                if person.as_deref().is_some_and(|person| Holder::new(person).is_none()) {
                    return Err(OauthRefusal::request("login_hint is 1 to 64 visible ASCII characters"));
                }
                Ok(Self::Service { person })
            }
            "credential" => {
                let mut asked = match details {
                    Some(detail) => of_detail(&detail, fields)?,
                    None => of_fields(fields)?,
                };
                asked.description = description(fields)?;
                Ok(Self::Credential(asked))
            }
            _ => Err(OauthRefusal::new(400, "invalid_scope", "scope is service or credential, one of them")),
        }
    }
}

/// The PKCE challenge (RFC 7636 §4.3), after the parameters that have one value only.
///
/// # Errors
/// What is wrong with them.
pub(super) fn challenge(fields: &Fields) -> Result<[u8; 32], OauthRefusal> {
    if fields.contains_key("request") {
        // RFC 9101 §7.
        let text = "request objects are not taken: push the parameters";
        return Err(OauthRefusal::new(400, "request_not_supported", text));
    }
    let is = |name: &str, wanted: &str| fields.get(name).map(|value| value == wanted);
    match is("response_type", "code") {
        Some(true) => {}
        Some(false) => {
            return Err(OauthRefusal::new(400, "unsupported_response_type", "response_type is code"));
        }
        None => return Err(OauthRefusal::request("response_type is missing")),
    }
    if is("response_mode", "query") == Some(false) {
        return Err(OauthRefusal::request("response_mode is query"));
    }
    if is("code_challenge_method", "S256") != Some(true) {
        return Err(OauthRefusal::request("code_challenge_method is S256: PKCE is needed"));
    }
    let challenge = fields.get("code_challenge").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    challenge
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| OauthRefusal::request("code_challenge is SHA-256 in base64url: 43 characters"))
}

/// The client's own value, which comes back with the browser.
///
/// # Errors
/// If it is too long or not visible ASCII.
pub(super) fn state(fields: &Fields) -> Result<Option<String>, OauthRefusal> {
    let state = fields.get("state").cloned();
    let fits = |state: &String| {
        state.len() <= STATE_BYTES_MAX && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    if state.as_ref().is_none_or(fits) {
        Ok(state)
    } else {
        Err(OauthRefusal::request("state is at most 1024 visible ASCII characters"))
    }
}

fn of_fields(fields: &Fields) -> Result<AskedCredential, OauthRefusal> {
    let id = fields.get("credentialID").cloned();
    let id = id.ok_or_else(|| OauthRefusal::request(missing("string", "credentialID")))?;
    let sad = fields.contains_key("hash");
    let name = if sad { "hash" } else { "hashes" };
    if sad && fields.contains_key("hashes") {
        return Err(OauthRefusal::request("hash and hashes stand both"));
    }
    let list = fields.get(name).ok_or_else(|| OauthRefusal::request(missing("string", name)))?;
    // Where a client forgot to encode a plus sign, it came as a space.
    let digests = list.split(',').map(|text| digest(&text.replace(' ', "+")));
    let digests = digests.collect::<Result<Vec<_>, _>>()?;
    check_count(digests.len(), fields.get("numSignatures").map(|text| text.parse().unwrap_or(0)))?;
    if fields.get("numSignatures").is_none() {
        return Err(OauthRefusal::request(missing("integer", "numSignatures")));
    }
    check_algorithm(fields.get("hashAlgorithmOID").map(String::as_str))?;
    Ok(AskedCredential { id, digests, names: None, description: None, sad, details: None })
}

/// The one authorization detail (RFC 9396 §2).
fn detail(text: &str) -> Result<Value, OauthRefusal> {
    match serde_json::from_str(text) {
        Ok(Value::Array(mut all)) if all.len() == 1 && all.iter().all(Value::is_object) => Ok(all.remove(0)),
        _ => Err(wrong_detail("authorization_details is a JSON array of one object")),
    }
}

fn of_detail(detail: &Value, fields: &Fields) -> Result<AskedCredential, OauthRefusal> {
    if ["credentialID", "hash", "hashes", "numSignatures"].iter().any(|name| fields.contains_key(*name)) {
        return Err(OauthRefusal::request("what is to be signed stands in authorization_details alone"));
    }
    let text = |name: &str| detail.get(name).and_then(Value::as_str);
    let kind = text("type").filter(|kind| DETAIL_TYPES.contains(kind));
    let kind = kind.ok_or_else(|| wrong_detail("type is none of authorization_details_types_supported"))?;
    let id = text("credentialID").ok_or_else(|| wrong_detail(&missing("string", "credentialID")))?;
    let entries = detail.get("documentDigests").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| wrong_detail(&missing("array", "documentDigests")))?;
    let count = detail.get("numSignatures").filter(|count| !count.is_null());
    check_count(entries.len(), count.map(|count| count.as_u64().unwrap_or(0)))?;
    check_algorithm(text("hashAlgorithmOID"))?;
    let (mut digests, mut names, mut granted) = (Vec::new(), Vec::new(), Vec::new());
    for (n, entry) in (1..).zip(entries) {
        let member = |name: &str| entry.get(name).and_then(Value::as_str);
        if member("hashType").is_some_and(|kind| kind != "DTBSR") {
            return Err(wrong_detail("hashType is DTBSR"));
        }
        let digest = digest(member("hash").unwrap_or_default())?;
        let label = member("label").filter(|label| !label.is_empty());
        let name = label.map_or_else(|| format!("{n} of {}", entries.len()), str::to_owned);
        if Label::<NAME_BYTES_MAX>::new(name.clone()).is_none() {
            return Err(wrong_detail(
                "label is one line of at most 200 bytes of NFC text without hidden characters",
            ));
        }
        granted.push(json!({ "hash": STANDARD.encode(digest), "label": name }));
        digests.push(digest);
        names.push(name);
    }
    let details = json!([{
        "type": kind,
        "credentialID": id,
        "numSignatures": digests.len(),
        "documentDigests": granted,
        "hashAlgorithmOID": SHA256,
    }]);
    let id = id.to_owned();
    Ok(AskedCredential {
        id,
        digests,
        names: Some(names),
        description: None,
        sad: false,
        details: Some(details),
    })
}

fn description(fields: &Fields) -> Result<Option<String>, OauthRefusal> {
    let Some(text) = fields.get("description") else { return Ok(None) };
    if text.chars().count() > DESCRIPTION_CHARACTERS_MAX
        || Text::<TEXT_BYTES_MAX>::new(text.clone()).is_none()
    {
        return Err(OauthRefusal::request("Invalid parameter description"));
    }
    Ok(Some(text.clone()))
}

fn check_count(hashes: usize, told: Option<u64>) -> Result<(), OauthRefusal> {
    if hashes == 0 {
        return Err(OauthRefusal::request("Empty hash array"));
    }
    if hashes > MULTISIGN_MAX || told.is_some_and(|told| told > MULTISIGN_MAX as u64) {
        return Err(OauthRefusal::request("Numbers of signatures is too high"));
    }
    if told.is_some_and(|told| told != hashes as u64) {
        return Err(OauthRefusal::request("Invalid value for parameter numSignatures"));
    }
    Ok(())
}

fn check_algorithm(oid: Option<&str>) -> Result<(), OauthRefusal> {
    if oid.is_none_or(|oid| oid == SHA256) {
        Ok(())
    } else {
        Err(OauthRefusal::request("Invalid parameter hashAlgorithmOID"))
    }
}

fn missing(kind: &str, name: &str) -> String {
    format!("Missing (or invalid type) {kind} parameter {name}")
}

/// RFC 9396 §5.
fn wrong_detail(text: &str) -> OauthRefusal {
    OauthRefusal::new(400, "invalid_authorization_details", text)
}
