//! The JSON view of a trust list: what an operator writes before the root signs, and reads afterwards.

use alloc::{string::String, vec::Vec};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::{
    entry::{Issuer, IssuerId, KeyUse, Life, StatusUri, TrustedKey, compressed, point},
    list::{TrustList, TrustListFault},
};
use crate::{codec::Label, credential::DocumentType, time::UnixSeconds};

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct ListJson {
    number: u64,
    issued: UnixSeconds,
    emergency: bool,
    issuers: Vec<IssuerJson>,
    keys: Vec<KeyJson>,
    roots: Vec<Point>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct IssuerJson {
    id: IssuerId,
    name: String,
    status_uri: String,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct KeyJson {
    issuer: IssuerId,
    #[serde(rename = "use")]
    key_use: KeyUse,
    key: Point,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    document_types: Vec<TypeJson>,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

/// A kind of document by its name, or by its number where the name is not known.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
enum TypeJson {
    Known(DocumentType),
    Number(u32),
}

/// A compressed point in base64url without padding.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Point(VerifyingKey);

crate::openapi::text_schema!(
    Point,
    "^[A-Za-z0-9_-]{44}$",
    "A compressed point of P-256 in base64url without padding."
);

impl TryFrom<String> for Point {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let key = point(&bytes).filter(|key| compressed(key) == bytes);
        key.map(Self)
            .ok_or("a key is the 33 bytes of a compressed point of P-256 in base64url without padding")
    }
}

impl From<Point> for String {
    fn from(point: Point) -> Self {
        BASE64_URL_SAFE_NO_PAD.encode(compressed(&point.0))
    }
}

#[derive(Debug, thiserror::Error)]
enum JsonFault {
    #[error(
        "an issuer's name is 1 to 96 bytes on one line, its status_uri http or https without a slash at the end"
    )]
    Issuer,
    #[error(transparent)]
    List(#[from] TrustListFault),
}

impl TryFrom<ListJson> for TrustList {
    type Error = JsonFault;
    fn try_from(json: ListJson) -> Result<Self, JsonFault> {
        let issuer = |issuer: IssuerJson| {
            let name = Label::new(issuer.name)?;
            Some(Issuer { id: issuer.id, name, status_uri: StatusUri::new(issuer.status_uri)? })
        };
        let number = |kind: &TypeJson| match kind {
            TypeJson::Known(kind) => kind.number().into(),
            TypeJson::Number(number) => *number,
        };
        let key = |key: KeyJson| TrustedKey {
            issuer: key.issuer,
            key_use: key.key_use,
            key: key.key.0,
            document_types: key.document_types.iter().map(number).collect(),
            not_before: key.not_before,
            not_after: key.not_after,
        };
        let issuers: Option<_> = json.issuers.into_iter().map(issuer).collect();
        let life = if json.emergency { Life::Emergency } else { Life::Standard };
        Ok(Self::new(
            json.number,
            json.issued,
            life,
            issuers.ok_or(JsonFault::Issuer)?,
            json.keys.into_iter().map(key).collect(),
            json.roots.into_iter().map(|root| root.0).collect(),
        )?)
    }
}

impl From<&TrustList> for ListJson {
    fn from(list: &TrustList) -> Self {
        let issuer = |issuer: &Issuer| IssuerJson {
            id: issuer.id,
            name: issuer.name.as_str().into(),
            status_uri: issuer.status_uri.as_str().into(),
        };
        let kind = |number: &u32| {
            let known = u8::try_from(*number).ok().and_then(DocumentType::from_number);
            known.map_or(TypeJson::Number(*number), TypeJson::Known)
        };
        let key = |key: &TrustedKey| KeyJson {
            issuer: key.issuer,
            key_use: key.key_use,
            key: Point(key.key),
            document_types: key.document_types.iter().map(kind).collect(),
            not_before: key.not_before,
            not_after: key.not_after,
        };
        Self {
            number: list.number,
            issued: list.issued,
            emergency: list.life == Life::Emergency,
            issuers: list.issuers.iter().map(issuer).collect(),
            keys: list.keys.iter().map(key).collect(),
            roots: list.roots.iter().copied().map(Point).collect(),
        }
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for TrustList {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        ListJson::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for TrustList {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        ListJson::schemas(schemas);
    }
}

impl Serialize for TrustList {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ListJson::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TrustList {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ListJson::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}
