//! What stands in a trust list: issuers, and keys with their one use.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::{string::String, vec::Vec};
use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::{
    codec::Label,
    credential::{DocumentType, Kid, LIFE_SECONDS},
    time::UnixSeconds,
};

/// Number of an issuer: lists, indexes and keys belong to one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cbor(transparent)]
#[serde(transparent)]
pub struct IssuerId(#[n(0)] pub u32);

/// An issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its number, not 0.
    pub id: IssuerId,
    /// Its name, shown to people.
    pub name: Label<96>,
    /// Where its status lists are.
    pub status_uri: StatusUri,
}

/// Address of an issuer's status lists: http or https, without a slash at its end. List `n` is at `/n` under it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusUri(String);

impl StatusUri {
    /// The address, or `None` if it is over 200 characters, of another scheme, or ends in a slash.
    #[must_use]
    pub fn new(uri: impl Into<String>) -> Option<Self> {
        let uri = uri.into();
        let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
        let fits = uri.len() <= 200
            && !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.ends_with('/')
            && rest.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'?' | b'#'));
        fits.then_some(Self(uri))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Address of list `number`.
    #[must_use]
    pub fn of_list(&self, number: u32) -> String {
        alloc::format!("{}/{number}", self.0)
    }
}

impl fmt::Display for StatusUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one thing a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum KeyUse {
    /// Day credentials of its kinds of document.
    #[n(1)]
    Credentials,
    /// Status lists.
    #[n(2)]
    StatusLists,
    /// Answers of a server.
    #[n(3)]
    Answers,
    /// Credentials of businesses, which sign requests.
    #[n(4)]
    Businesses,
}

/// A key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Whose.
    pub issuer: IssuerId,
    /// What it signs.
    pub key_use: KeyUse,
    /// The public key.
    pub key: VerifyingKey,
    /// Numbers of the kinds of document, ascending; only for credentials. A number that is not known yet is kept and means
    /// nothing, so that a list with a new kind does not stop older verifiers.
    pub document_types: Vec<u32>,
    /// From when it signs.
    pub not_before: UnixSeconds,
    /// Until when it signs.
    pub not_after: UnixSeconds,
}

impl TrustedKey {
    /// Whether it may have signed something dated `time`, which may be rounded down to the hour.
    #[must_use]
    pub fn signs_at(&self, time: UnixSeconds) -> bool {
        self.not_before.hour() <= time && time < self.not_after
    }

    /// Hint at the key.
    #[must_use]
    pub fn kid(&self) -> Kid {
        Kid::of(&self.key)
    }

    /// The kinds of document that are known.
    pub(super) fn known_types(&self) -> Vec<DocumentType> {
        let known = |number: &u32| u8::try_from(*number).ok().and_then(DocumentType::from_number);
        self.document_types.iter().filter_map(known).collect()
    }

    /// SEC1, compressed: 33 bytes.
    pub(super) fn point(&self) -> Vec<u8> {
        compressed(&self.key)
    }
}

/// How long after its hour of issue a day credential is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Life {
    /// 26 hours, as the credential itself says.
    #[default]
    Standard,
    /// 72 hours: servers or registers are down for long, and the root says to go on.
    Emergency,
}

impl Life {
    /// The seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Standard => LIFE_SECONDS,
            Self::Emergency => 259_200,
        }
    }

    /// How much longer than by its own word a credential is accepted, seconds.
    #[must_use]
    pub const fn longer(self) -> u64 {
        self.seconds().saturating_sub(LIFE_SECONDS)
    }

    pub(super) fn from_seconds(seconds: u64) -> Option<Self> {
        [Self::Standard, Self::Emergency].into_iter().find(|life| life.seconds() == seconds)
    }
}

pub(super) fn compressed(key: &VerifyingKey) -> Vec<u8> {
    key.to_sec1_point(true).as_bytes().to_vec()
}

/// A compressed point; that it is not one of the other forms shows when it is encoded again.
pub(super) fn point(bytes: &[u8]) -> Option<VerifyingKey> {
    (bytes.len() == 33).then(|| VerifyingKey::from_sec1_bytes(bytes).ok())?
}

pub(super) fn decode_point(d: &mut Decoder<'_>) -> Result<VerifyingKey, DecodeError> {
    point(d.bytes()?).ok_or_else(|| DecodeError::message("not a compressed point of P-256"))
}

impl Encode<()> for Issuer {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(3)?
            .encode_with(self.id, ctx)?
            .encode_with(&self.name, ctx)?
            .str(self.status_uri.as_str())?
            .ok()
    }
}

impl<'b> Decode<'b, ()> for Issuer {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.array()? != Some(3) {
            return Err(DecodeError::message("an issuer has three fields"));
        }
        let (id, name) = (IssuerId::decode(d, ctx)?, Label::decode(d, ctx)?);
        let status_uri = StatusUri::new(d.str()?)
            .ok_or_else(|| DecodeError::message("not the address of status lists"))?;
        Ok(Self { id, name, status_uri })
    }
}

impl Encode<()> for TrustedKey {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(6)?.encode_with(self.issuer, ctx)?.encode_with(self.key_use, ctx)?.bytes(&self.point())?;
        e.encode_with(&self.document_types, ctx)?;
        e.u64(self.not_before.0)?.u64(self.not_after.0)?.ok()
    }
}

impl<'b> Decode<'b, ()> for TrustedKey {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.array()? != Some(6) {
            return Err(DecodeError::message("a key has six fields"));
        }
        Ok(Self {
            issuer: IssuerId::decode(d, ctx)?,
            key_use: KeyUse::decode(d, ctx)?,
            key: decode_point(d)?,
            document_types: Vec::decode(d, ctx)?,
            not_before: UnixSeconds(d.u64()?),
            not_after: UnixSeconds(d.u64()?),
        })
    }
}
