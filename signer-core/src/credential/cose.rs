//! COSE_Sign1 (RFC 9052) as narrow as the formats: ES256, one kid in the header or nothing, and no other shape.

use alloc::vec::Vec;
use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};

use super::hex::Kid;
use crate::{
    codec::{self, CodecError},
    domain::sha256,
    ecdsa,
};

/// `{1: -7}`: ES256.
pub(crate) const ES256: &[u8] = &[0xA1, 0x01, 0x26];

/// A signed envelope. A key from the trust list, or a root, is named by its [`Kid`]; a key inside an envelope by none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sign1 {
    pub(crate) kid: Option<Kid>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

/// Why a signature from outside is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not two numbers of the curve's order.
    #[error("not a P-256 signature")]
    Malformed,
    /// A signature of other bytes or by another key.
    #[error("the signature does not match the key and the bytes to sign")]
    Wrong,
}

/// What a signature is made over: `["Signature1", {1: -7}, external_aad, payload]`.
pub(crate) fn sig_structure(aad: &[u8], payload: &[u8]) -> Vec<u8> {
    sig_structure_under(ES256, aad, payload)
}

/// The same under another protected header.
pub(crate) fn sig_structure_under(protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    codec::encode(&("Signature1", Bytes(protected), Bytes(aad), Bytes(payload)))
}

/// `external_aad` of the issuer's envelope.
pub(crate) const ISSUER_AAD: &[u8] = b"DQ1/issuer";

/// `external_aad` of the phone's envelope: it binds the bytes of the issuer's, kid included, by their SHA-256.
pub(crate) fn show_aad(issuer_element: &[u8; 32]) -> Vec<u8> {
    [&b"DQ1/show"[..], issuer_element].concat()
}

/// Whether `signature` is by `key` over `message`, in its low-s form (of the two that verify).
pub(crate) fn verifies(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
    let low = Signature::from_slice(signature).is_ok_and(|signature| signature.normalize_s() == signature);
    low && ecdsa::verify(key.to_sec1_point(false).as_bytes(), &sha256(message), signature)
}

/// The low-s form of a signature made elsewhere, after checking it.
pub(crate) fn accept(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<[u8; 64], SignatureError> {
    let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?.normalize_s();
    key.verify(message, &signature).map_err(|_| SignatureError::Wrong)?;
    Ok(signature.to_bytes().into())
}

/// Signs with a key in memory, low-s, without randomness (RFC 6979).
pub(crate) fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    let signature: Signature = key.sign(message);
    signature.normalize_s().to_bytes().into()
}

/// The claims in an envelope of at most `max` bytes that names its key. The signature is not looked at.
pub(super) fn unchecked_claims<T>(bytes: &[u8], max: usize) -> Result<T, CodecError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let envelope: Sign1 = codec::decode(bytes, max)?;
    envelope.kid.ok_or(CodecError::Malformed)?;
    codec::decode(&envelope.payload, max)
}

/// An envelope that waits for its signature, so that the key may be in hardware or offline.
pub struct UnsignedEnvelope {
    key: VerifyingKey,
    kid: Option<Kid>,
    payload: Vec<u8>,
    to_sign: Vec<u8>,
    encode: fn(Sign1) -> Vec<u8>,
}

impl UnsignedEnvelope {
    /// `payload` for `key`, which the header names.
    pub(crate) fn named(key: &VerifyingKey, aad: &[u8], payload: Vec<u8>) -> Self {
        let to_sign = sig_structure(aad, &payload);
        Self { key: *key, kid: Some(Kid::of(key)), payload, to_sign, encode: |sign1| codec::encode(&sign1) }
    }

    /// `payload` for `key`, which is inside what `aad` names.
    pub(crate) fn unnamed(key: &VerifyingKey, aad: &[u8], payload: Vec<u8>) -> Self {
        Self { kid: None, ..Self::named(key, aad, payload) }
    }

    /// The same with another protected header and another outer form.
    pub(crate) fn under(
        key: &VerifyingKey,
        protected: &[u8],
        payload: Vec<u8>,
        encode: fn(Sign1) -> Vec<u8>,
    ) -> Self {
        let to_sign = sig_structure_under(protected, &[], &payload);
        Self { key: *key, kid: Some(Kid::of(key)), payload, to_sign, encode }
    }

    /// The exact bytes to sign: ECDSA with SHA-256 over them.
    #[must_use]
    pub fn to_sign(&self) -> &[u8] {
        &self.to_sign
    }

    /// Bytes of the envelope once it is signed.
    pub(crate) fn encoded_len(&self) -> usize {
        (self.encode)(Sign1 { kid: self.kid, payload: self.payload.clone(), signature: [0; 64] }).len()
    }

    /// The envelope with a signature (r ‖ s) made elsewhere, which is checked and brought to low-s.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not the key's.
    pub fn complete(self, signature: &[u8; 64]) -> Result<Vec<u8>, SignatureError> {
        let signature = accept(&self.key, &self.to_sign, signature)?;
        Ok((self.encode)(Sign1 { kid: self.kid, payload: self.payload, signature }))
    }

    /// The envelope, signed with a key in memory.
    ///
    /// # Errors
    /// [`SignatureError::Wrong`] if `key` is another one.
    pub fn sign(self, key: &SigningKey) -> Result<Vec<u8>, SignatureError> {
        if *key.verifying_key() != self.key {
            return Err(SignatureError::Wrong);
        }
        let signature = sign(key, &self.to_sign);
        Ok((self.encode)(Sign1 { kid: self.kid, payload: self.payload, signature }))
    }
}

impl fmt::Debug for UnsignedEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsignedEnvelope(redacted)")
    }
}

impl Sign1 {
    pub(crate) fn encode_under<W: Write>(
        &self,
        protected: &[u8],
        e: &mut Encoder<W>,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(4)?.bytes(protected)?;
        match &self.kid {
            Some(kid) => e.map(1)?.u8(4)?.encode(kid)?,
            None => e.map(0)?,
        };
        e.bytes(&self.payload)?.bytes(&self.signature)?.ok()
    }

    pub(crate) fn decode_under(protected: &[u8], d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let refuse = |why| Err(DecodeError::message(why));
        if d.array()? != Some(4) || d.bytes()? != protected {
            return refuse("not an envelope of this kind");
        }
        let kid = match d.map()? {
            Some(0) => None,
            Some(1) if d.u8()? == 4 => Some(d.decode()?),
            _ => return refuse("unknown header"),
        };
        let payload = d.bytes()?.to_vec();
        let signature = d.bytes()?.try_into().map_err(|_| DecodeError::message("a signature is 64 bytes"))?;
        Ok(Self { kid, payload, signature })
    }
}

impl Encode<()> for Sign1 {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut ()) -> Result<(), EncodeError<W::Error>> {
        self.encode_under(ES256, e)
    }
}

impl<'b> Decode<'b, ()> for Sign1 {
    fn decode(d: &mut Decoder<'b>, _: &mut ()) -> Result<Self, DecodeError> {
        Self::decode_under(ES256, d)
    }
}

struct Bytes<'a>(&'a [u8]);

impl Encode<()> for Bytes<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.bytes(self.0)?.ok()
    }
}
