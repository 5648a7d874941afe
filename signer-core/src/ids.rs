//! Identifiers: 16 opaque bytes each, one type per thing, so that swapping two of them does not compile.
//!
//! In CBOR an id is a byte string of 16; in text (JSON, logs, command line) it is 32 lower-case hex digits.

use alloc::string::String;
use core::{fmt, str::FromStr};

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// Text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lower-case hexadecimal digits")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
        #[cbor(transparent)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// A fresh random id.
            pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        crate::openapi::text_schema!($name, "^[0-9a-f]{32}$", "32 lower-case hexadecimal digits.");

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

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                hex16(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                alloc::format!("{id}")
            }
        }
    };
}

id! {
    /// One installation of the app: the first 16 bytes of a hash of its device key, so both sides know it unasked.
    DeviceId
}
id! {
    /// One split key. Refreshing its shares keeps the id and raises its [`Epoch`].
    KeyId
}
id! {
    /// One request for signatures, made by a relying party.
    RequestId
}
id! {
    /// One run of key generation or share refresh.
    CeremonyId
}
id! {
    /// A relying party: a bank that asks for signatures, a shop that verifies codes, or both.
    RelyingPartyId
}
id! {
    /// A verifier's question that waits for the holder.
    CheckId
}
id! {
    /// A browser's stay at the authorisation page.
    VisitId
}
id! {
    /// An installation as the audit log names it: random, so that it leads to nobody once its installation is forgotten.
    AuditName
}
id! {
    /// What an entry of the audit log is about: the bytes of a [`RequestId`] or of another id.
    AuditObject
}

/// How often the shares of a key have been renewed; 0 after enrolment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Epoch(#[n(0)] pub u32);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

fn hex16(text: &str) -> Result<[u8; 16], IdError> {
    let mut out = [0; 16];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != out.len() || !rest.is_empty() {
        return Err(IdError);
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Ok(out)
}

const fn digit(c: u8) -> Result<u8, IdError> {
    match c {
        b'0'..=b'9' => Ok(c.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(c.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(IdError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_form_round_trips_and_is_strict() {
        let id = KeyId::from_bytes(core::array::from_fn(|i| u8::try_from(i * 17).unwrap_or(255)));
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "00", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33), &"g".repeat(32)] {
            assert_eq!(bad.parse::<KeyId>(), Err(IdError), "{bad}");
        }
    }
}
