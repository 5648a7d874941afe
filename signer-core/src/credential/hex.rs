//! Short public byte strings: hexadecimal in text, byte strings in CBOR, one type per thing.

use alloc::string::String;
use core::fmt;

use minicbor::{Decode, Encode};
use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::domain::sha256;

/// Text that is not the lower-case hexadecimal form of the right number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected lower-case hexadecimal digits, two for each byte")]
pub struct HexError;

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
        #[cbor(transparent)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $length]);

        crate::openapi::text_schema!(
            $name,
            concat!("^([0-9a-f]{2}){", $length, "}$"),
            "Lower-case hexadecimal digits, two for each byte."
        );

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = HexError;
            fn try_from(text: String) -> Result<Self, HexError> {
                parse(&text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                alloc::format!("{value}")
            }
        }
    };
}

hex_bytes! {
    /// Hint at an issuer's key: the first 4 bytes of SHA-256 of its `SubjectPublicKeyInfo` in DER. Two keys may share it.
    Kid, 4
}
hex_bytes! {
    /// A business, as its credential names it.
    BusinessId, 16
}
hex_bytes! {
    /// Salt of the portrait digest of one credential.
    PortraitSalt, 16
}
hex_bytes! {
    /// Salted hash of the portrait: the first 16 bytes of SHA-256(salt ‖ portrait).
    PortraitDigest, 16
}
hex_bytes! {
    /// What a business asked the phone to sign: the first 16 bytes of SHA-256("DQ1/req" ‖ request).
    Challenge, 16
}

impl Kid {
    /// The hint at `key`.
    #[must_use]
    pub fn of(key: &VerifyingKey) -> Self {
        let [a, b, c, d, ..] = sha256(&spki(key));
        Self([a, b, c, d])
    }
}

impl PortraitDigest {
    /// The digest of `portrait` under `salt`.
    #[must_use]
    pub fn of(salt: &PortraitSalt, portrait: &[u8]) -> Self {
        Self(half(sha256(&[&salt.0, portrait].concat())))
    }
}

impl Challenge {
    /// The challenge that stands for the bytes of `request`.
    #[must_use]
    pub fn of(request: &[u8]) -> Self {
        Self(half(sha256(&[b"DQ1/req", request].concat())))
    }
}

/// `SubjectPublicKeyInfo` of a P-256 key in DER: a fixed head, then the uncompressed point.
pub(super) fn spki(key: &VerifyingKey) -> alloc::vec::Vec<u8> {
    const HEAD: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    [&HEAD, key.to_sec1_point(false).as_bytes()].concat()
}

fn half(hash: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    out
}

fn parse<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut out = [0; N];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(HexError);
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Ok(out)
}

const fn digit(c: u8) -> Result<u8, HexError> {
    match c {
        b'0'..=b'9' => Ok(c.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(c.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(HexError),
    }
}
