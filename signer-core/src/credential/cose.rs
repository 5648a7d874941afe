//! COSE_Sign1 (RFC 9052) as narrow as the format: ES256, untagged, two shapes of header and no other.

use alloc::vec::Vec;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};

use super::{TOKEN_BYTES_MAX, hex::Kid};
use crate::{codec, domain::sha256, ecdsa};

/// `{1: -7}`: ES256.
const PROTECTED: [u8; 3] = [0xA1, 0x01, 0x26];

/// A signed envelope; the issuer's carries a [`Kid`], the phone's carries none.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sign1 {
    pub(super) kid: Option<Kid>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: [u8; 64],
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

/// What both signatures are made over: `["Signature1", protected, external_aad, payload]`.
pub(super) fn sig_structure(aad: &[u8], payload: &[u8]) -> Vec<u8> {
    codec::encode(&("Signature1", Bytes(&PROTECTED), Bytes(aad), Bytes(payload)))
}

/// `external_aad` of the issuer's envelope.
pub(super) const ISSUER_AAD: &[u8] = b"DQ1/issuer";

/// `external_aad` of the phone's envelope: it binds the bytes of the issuer's, kid included.
pub(super) fn show_aad(issuer_element: &[u8]) -> Vec<u8> {
    [&b"DQ1/show"[..], &sha256(issuer_element)].concat()
}

/// Whether `signature` is by `key` over `message`, in its low-s form (of the two that verify).
pub(super) fn verifies(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
    let low = Signature::from_slice(signature).is_ok_and(|signature| signature.normalize_s() == signature);
    low && ecdsa::verify(key.to_sec1_point(false).as_bytes(), &sha256(message), signature)
}

/// The low-s form of a signature made elsewhere, after checking it.
pub(super) fn accept(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<[u8; 64], SignatureError> {
    let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?.normalize_s();
    key.verify(message, &signature).map_err(|_| SignatureError::Wrong)?;
    Ok(signature.to_bytes().into())
}

/// Signs with a key in memory, low-s, without randomness (RFC 6979).
pub(super) fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    let signature: Signature = key.sign(message);
    signature.normalize_s().to_bytes().into()
}

impl Encode<()> for Sign1 {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(4)?.bytes(&PROTECTED)?;
        match &self.kid {
            Some(kid) => e.map(1)?.u8(4)?.encode_with(kid, ctx)?,
            None => e.map(0)?,
        };
        e.bytes(&self.payload)?.bytes(&self.signature)?.ok()
    }
}

impl<'b> Decode<'b, ()> for Sign1 {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        let refuse = |why| Err(DecodeError::message(why));
        if d.array()? != Some(4) || d.bytes()? != PROTECTED {
            return refuse("not an ES256 envelope");
        }
        let kid = match d.map()? {
            Some(0) => None,
            Some(1) if d.u8()? == 4 => Some(Kid::decode(d, ctx)?),
            _ => return refuse("unknown header"),
        };
        let payload = d.bytes()?;
        if payload.len() > TOKEN_BYTES_MAX {
            return refuse("payload is too long");
        }
        let signature = d.bytes()?.try_into().map_err(|_| DecodeError::message("a signature is 64 bytes"))?;
        Ok(Self { kid, payload: payload.to_vec(), signature })
    }
}

struct Bytes<'a>(&'a [u8]);

impl Encode<()> for Bytes<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.bytes(self.0)?.ok()
    }
}
