//! Forms of the endpoints, with the client's proof.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    http::oauth_error::OauthProblem,
    service::{ClientClaim, Fields, OauthRefusal, Service},
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Parameters that prove the client.
const PROOF: [&str; 3] = ["client_assertion", "client_assertion_type", "client_secret"];
/// Time to send a body.
const BODY_TIME: Duration = Duration::from_secs(5);

/// A form, each parameter once, and what the headers say of the client.
pub(super) struct Form {
    fields: BTreeMap<String, Zeroizing<String>>,
    authorization: Option<Zeroizing<String>>,
}

impl FromRequest<Arc<Service>> for Form {
    type Rejection = OauthProblem;
    async fn from_request(request: Request, state: &Arc<Service>) -> Result<Self, OauthProblem> {
        let authorization = authorization(request.headers())?;
        let body = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state)).await;
        let body = body.map_err(|_| OauthRefusal::request("the body came too slowly"))??;
        let fields = once(&body)?.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        Ok(Self { fields, authorization })
    }
}

/// Parameters of a form or a query. RFC 6749 §3.1: one without a value counts as left out, one that stands twice is an error.
pub(super) fn once(text: &[u8]) -> Result<Fields, OauthRefusal> {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(text) {
        if !value.is_empty() && fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(OauthRefusal::request("a parameter stands twice"));
        }
    }
    Ok(fields)
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
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.as_str())
    }

    /// A parameter that must be there.
    pub(super) fn need(&self, name: &str) -> Result<String, OauthRefusal> {
        let value = self.get(name).map(str::to_owned);
        value.ok_or_else(|| OauthRefusal::request(format!("{name} is missing")))
    }

    /// Every parameter that is not part of the client's proof.
    pub(super) fn others(&self) -> Fields {
        let others = self.fields.iter().filter(|(name, _)| !PROOF.contains(&name.as_str()));
        others.map(|(name, value)| (name.clone(), value.to_string())).collect()
    }

    /// How the client claims to be one. Two ways at once are an error (RFC 6749 §2.3).
    pub(super) fn client(&self) -> Result<ClientClaim, OauthRefusal> {
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
