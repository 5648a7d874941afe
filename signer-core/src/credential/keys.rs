//! The issuers a verifier trusts: which key signs which documents, and when.
//!
//! In JSON (`issuer-keys.json`) each key is a JWK with three members more. Until the signed trust list exists, this
//! file comes with the software or from the server's answer key.

use alloc::{string::String, vec::Vec};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::{document::DocumentType, hex::Kid};
use crate::{time::UnixSeconds, trust::IssuerId};

/// One key of an issuer for credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "IssuerKeyJson", into = "IssuerKeyJson")]
pub struct IssuerKey {
    /// Whose: places in status lists and what may be used once are the issuer's own.
    pub issuer: IssuerId,
    /// The public key.
    pub key: VerifyingKey,
    /// The kinds of document it may sign.
    pub document_types: Vec<DocumentType>,
    /// From when it signs.
    pub not_before: UnixSeconds,
    /// Until when it signs; what it signed lives on for its 26 hours.
    pub not_after: UnixSeconds,
}

impl IssuerKey {
    /// Whether it may have signed a credential for `kind` in the hour of `issued`.
    #[must_use]
    pub fn may_sign(&self, kind: DocumentType, issued: UnixSeconds) -> bool {
        self.document_types.contains(&kind) && self.not_before.hour() <= issued && issued < self.not_after
    }
}

/// The keys of every issuer a verifier trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKeys {
    keys: Vec<IssuerKey>,
}

impl IssuerKeys {
    /// These keys and no other.
    #[must_use]
    pub const fn new(keys: Vec<IssuerKey>) -> Self {
        Self { keys }
    }

    /// The keys.
    #[must_use]
    pub fn as_slice(&self) -> &[IssuerKey] {
        &self.keys
    }

    /// All keys that `kid` may mean.
    pub(super) fn matching(&self, kid: Kid) -> impl Iterator<Item = &IssuerKey> {
        self.keys.iter().filter(move |key| Kid::of(&key.key) == kid)
    }
}

/// Why an entry of `issuer-keys.json` is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerKeyError {
    /// Another kind of key than EC on P-256.
    #[error("an issuer key has \"kty\": \"EC\" and \"crv\": \"P-256\"")]
    Kind,
    /// `x` and `y` are not a point of the curve in base64url.
    #[error("x and y are not a point of P-256 in base64url without padding")]
    Point,
    /// `kid` is another key's.
    #[error("kid is not the first 4 bytes of the key's SHA-256")]
    Kid,
    /// The key signs nothing or never.
    #[error("document_types is empty, or not_after is not after not_before")]
    Empty,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerKeyJson {
    issuer: IssuerId,
    kty: String,
    crv: String,
    x: String,
    y: String,
    kid: Kid,
    document_types: Vec<DocumentType>,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl TryFrom<IssuerKeyJson> for IssuerKey {
    type Error = IssuerKeyError;
    fn try_from(json: IssuerKeyJson) -> Result<Self, IssuerKeyError> {
        if (json.kty.as_str(), json.crv.as_str()) != ("EC", "P-256") {
            return Err(IssuerKeyError::Kind);
        }
        let key = point(&json.x, &json.y).ok_or(IssuerKeyError::Point)?;
        if json.kid != Kid::of(&key) {
            return Err(IssuerKeyError::Kid);
        }
        if json.document_types.is_empty() || json.not_after <= json.not_before {
            return Err(IssuerKeyError::Empty);
        }
        Ok(Self {
            issuer: json.issuer,
            key,
            document_types: json.document_types,
            not_before: json.not_before,
            not_after: json.not_after,
        })
    }
}

impl From<IssuerKey> for IssuerKeyJson {
    fn from(key: IssuerKey) -> Self {
        let point = key.key.to_sec1_point(false);
        let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        Self {
            issuer: key.issuer,
            kty: "EC".into(),
            crv: "P-256".into(),
            x: BASE64_URL_SAFE_NO_PAD.encode(x),
            y: BASE64_URL_SAFE_NO_PAD.encode(y),
            kid: Kid::of(&key.key),
            document_types: key.document_types,
            not_before: key.not_before,
            not_after: key.not_after,
        }
    }
}

fn point(x: &str, y: &str) -> Option<VerifyingKey> {
    let coordinate = |text: &str| <[u8; 32]>::try_from(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let sec1 = [&[4][..], &coordinate(x)?, &coordinate(y)?].concat();
    VerifyingKey::from_sec1_bytes(&sec1).ok()
}
