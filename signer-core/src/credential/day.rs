//! Issuing: the day credential, signed by the issuer, that names the phone's day key.

use alloc::vec::Vec;
use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::{
    LIFE_SECONDS, SHOW_BYTES_MAX, TOKEN_BYTES_MAX,
    cose::{self, ISSUER_AAD, SignatureError, UnsignedEnvelope},
    document::{self, Document},
};
use crate::{
    codec::{self, CodecError},
    domain::sha256,
    time::UnixSeconds,
};

/// Where the credential stands in the issuer's status lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusIndex {
    /// Number of the list; its address comes from the trust list.
    #[n(0)]
    pub list: u32,
    /// Place in the list, drawn at random.
    #[n(1)]
    pub index: u32,
}

/// The payload of a day credential.
#[derive(Clone, PartialEq, Eq)]
pub struct DayClaims {
    issued: UnixSeconds,
    day_key: VerifyingKey,
    status: StatusIndex,
    document: Document,
    custody: bool,
}

/// Why a day credential is not made or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// The claims leave no room for a show in a code of 600 characters.
    #[error("the claims are too long for a code: {got} bytes, the limit is {max}")]
    TooLong {
        /// Bytes of the credential.
        got: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// A claim has no place in the format: a document that ended before 1970.
    #[error("a claim has no place in the format")]
    Unencodable,
    /// Not the canonical bytes of a credential.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The signature that came back is not the issuer's over these bytes.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl DayClaims {
    /// Claims for the phone's `day_key`, issued in the hour of `now`. `custody` where a server holds the day key: never of a
    /// person's document, whose code nobody would accept.
    #[must_use]
    pub const fn new(
        now: UnixSeconds,
        day_key: VerifyingKey,
        status: StatusIndex,
        document: Document,
        custody: bool,
    ) -> Self {
        Self { issued: now.hour(), day_key, status, document, custody }
    }

    /// When it was issued, rounded down to the hour so that it does not tell two holders apart.
    #[must_use]
    pub const fn issued(&self) -> UnixSeconds {
        self.issued
    }

    /// When it ends: 26 hours after [`Self::issued`].
    #[must_use]
    pub const fn expires(&self) -> UnixSeconds {
        self.issued.plus(LIFE_SECONDS)
    }

    /// The key that signs shows.
    #[must_use]
    pub const fn day_key(&self) -> &VerifyingKey {
        &self.day_key
    }

    /// Place in the status lists.
    #[must_use]
    pub const fn status(&self) -> StatusIndex {
        self.status
    }

    /// What it says of the document.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Whether a server holds the day key.
    #[must_use]
    pub const fn custody(&self) -> bool {
        self.custody
    }

    /// The bytes for `issuer` to sign, wherever its key is.
    ///
    /// # Errors
    /// [`DayError::TooLong`] or [`DayError::Unencodable`]: the claims do not fit the format.
    pub fn prepare(self, issuer: &VerifyingKey) -> Result<UnsignedDay, DayError> {
        document::encoded(&self.document).ok_or(DayError::Unencodable)?;
        let envelope = UnsignedEnvelope::named(issuer, ISSUER_AAD, codec::encode(&self));
        let (got, max) = (envelope.encoded_len(), TOKEN_BYTES_MAX.saturating_sub(SHOW_BYTES_MAX));
        if got > max {
            Err(DayError::TooLong { got, max })
        } else {
            Ok(UnsignedDay { claims: self, envelope })
        }
    }

    /// Signs with an issuer key in memory.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn sign(self, issuer: &SigningKey) -> Result<DayCredential, DayError> {
        let unsigned = self.prepare(issuer.verifying_key())?;
        let signature = cose::sign(issuer, unsigned.to_sign());
        unsigned.complete(&signature)
    }
}

/// Claims that wait for the issuer's signature.
pub struct UnsignedDay {
    claims: DayClaims,
    envelope: UnsignedEnvelope,
}

impl UnsignedDay {
    /// The exact bytes to sign: ECDSA with SHA-256 over them.
    #[must_use]
    pub fn to_sign(&self) -> &[u8] {
        self.envelope.to_sign()
    }

    /// Finishes with a signature (r ‖ s) made elsewhere: brings it to low-s and checks it before it leaves.
    ///
    /// # Errors
    /// [`DayError::Signature`] if it is not the issuer's.
    pub fn complete(self, signature: &[u8; 64]) -> Result<DayCredential, DayError> {
        Ok(DayCredential { bytes: self.envelope.complete(signature)?, claims: self.claims })
    }
}

/// A day credential as the phone keeps it: well-formed, its issuer's signature not looked at (the verifier does).
#[derive(Clone, PartialEq, Eq)]
pub struct DayCredential {
    bytes: Vec<u8>,
    claims: DayClaims,
}

impl DayCredential {
    /// Reads a credential as it came from the server.
    ///
    /// # Errors
    /// [`DayError::Codec`] if the bytes are not the one encoding of a credential.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DayError> {
        Ok(Self { bytes: bytes.to_vec(), claims: cose::unchecked_claims(bytes, TOKEN_BYTES_MAX)? })
    }

    /// Its bytes: the issuer's envelope.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of its bytes: shows are bound to it, and it tells [`Received::verify_known`](super::Received::verify_known)
    /// that this credential is known.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.bytes)
    }

    /// What it claims.
    #[must_use]
    pub const fn claims(&self) -> &DayClaims {
        &self.claims
    }
}

impl fmt::Debug for DayClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DayClaims({:?}, issued {})", self.document, self.issued.0)
    }
}

impl fmt::Debug for UnsignedDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnsignedDay({:?})", self.claims)
    }
}

impl fmt::Debug for DayCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DayCredential({:?})", self.claims)
    }
}

impl Encode<()> for DayClaims {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.map(if self.custody { 6 } else { 5 })?;
        e.u8(4)?.u64(self.expires().0)?;
        e.u8(6)?.u64(self.issued.0)?;
        e.i8(-1)?.bytes(self.day_key.to_sec1_point(true).as_bytes())?;
        e.i8(-2)?.encode_with(self.status, ctx)?;
        e.i8(-3)?.encode_with(&self.document, ctx)?;
        if self.custody {
            e.i8(-4)?.u8(1)?;
        }
        Ok(())
    }
}

impl<'b> Decode<'b, ()> for DayClaims {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        let custody = match d.map()? {
            Some(5) => false,
            Some(6) => true,
            _ => return Err(DecodeError::message("not the claims of a credential")),
        };
        key(d, 4)?;
        let expires = UnixSeconds(d.u64()?);
        key(d, 6)?;
        let issued = UnixSeconds(d.u64()?);
        key(d, -1)?;
        let day_key = day_key(d.bytes()?)?;
        key(d, -2)?;
        let status = StatusIndex::decode(d, ctx)?;
        key(d, -3)?;
        let document = Document::decode(d, ctx)?;
        if custody {
            key(d, -4)?;
            if d.u8()? != 1 {
                return Err(DecodeError::message("custody is 1 or absent"));
            }
        }
        if issued.hour() != issued || expires.0 != issued.0.checked_add(LIFE_SECONDS).unwrap_or_default() {
            return Err(DecodeError::message("life is not 26 hours from a full hour"));
        }
        Ok(Self { issued, day_key, status, document, custody })
    }
}

fn key(d: &mut Decoder<'_>, expected: i8) -> Result<(), DecodeError> {
    if d.i8()? == expected { Ok(()) } else { Err(DecodeError::message("unknown or misplaced claim")) }
}

fn day_key(bytes: &[u8]) -> Result<VerifyingKey, DecodeError> {
    if bytes.len() != 33 {
        return Err(DecodeError::message("a day key is a compressed point"));
    }
    VerifyingKey::from_sec1_bytes(bytes).map_err(|_| DecodeError::message("day key is not on the curve"))
}
