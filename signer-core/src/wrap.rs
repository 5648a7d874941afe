//! How secrets rest in a store: AES-256-GCM (NIST SP 800-38D) under a key-encryption key, bound to their place.
//!
//! ```text
//! version (1) ‖ KEK id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
//! associated data = canonical CBOR [version, KEK id, table, row, column, epoch]
//! ```
//!
//! A value moved to another row, column or epoch does not unwrap. An older value put back in its own place does: that
//! is what the witness outside the database is for.
//!
//! Nonces are random. SP 800-38D §8.3 allows 2³² of them under one key; at 1 000 values a second that is 49 days, so
//! count them and change the KEK in time.

use alloc::vec::Vec;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use minicbor::Encode;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec,
    domain::{Domain, Hasher},
    secret::SecretBytes,
};

/// Longest secret that is wrapped, bytes. The longest there is: an `es256` server share.
pub const PLAINTEXT_BYTES_MAX: usize = 64 * 1024;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 4 + 12;
const TAG_BYTES: usize = 16;

/// Why a secret could not be wrapped or unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// Wrapped under another key than the one given.
    #[error("wrapped under the unknown key-encryption key {0}")]
    UnknownKek(KekId),
    /// The right key, but the bytes were changed, or come from another row, column or epoch.
    #[error("wrapped bytes are altered or in the wrong place")]
    Altered,
    /// Too short or too long, or of a version this program does not know.
    #[error("not a wrapped secret")]
    Malformed,
    /// The secret is longer than [`PLAINTEXT_BYTES_MAX`].
    #[error("secret is too long to be wrapped")]
    TooLong,
}

/// Names a key-encryption key: 4 bytes of a hash of it, or random ones for a key that nobody can hash, in a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KekId([u8; 4]);

impl KekId {
    /// The id with these bytes, as it is stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The 4 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl core::fmt::Display for KekId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for KekId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KekId({self})")
    }
}

/// A key that wraps keys and nothing else.
#[derive(Debug)]
pub struct Kek {
    id: KekId,
    key: SecretBytes<32>,
}

impl Kek {
    /// The key with these bytes; its id follows from them.
    #[must_use]
    pub fn new(key: SecretBytes<32>) -> Self {
        let [a, b, c, d, ..] = Hasher::new(Domain::KekId).field(key.expose()).finish();
        Self { id: KekId([a, b, c, d]), key }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> KekId {
        self.id
    }
}

/// Where a secret rests. Two secrets never have the same place.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    /// Table.
    pub table: &'a str,
    /// Primary key of the row.
    pub row: &'a [u8],
    /// Column.
    pub column: &'a str,
    /// Epoch of the key that the secret belongs to, or 0.
    pub epoch: u32,
}

/// A secret as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl core::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

impl Wrapped {
    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`WrapError::Malformed`] if their length or version is not one of ours.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, WrapError> {
        let wrapped = Self(bytes);
        wrapped.parts().ok_or(WrapError::Malformed)?;
        Ok(wrapped)
    }

    /// The bytes to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What a key elsewhere, in a token, made: AES-256-GCM under `kek` with this nonce over [`associated_data`].
    ///
    /// # Errors
    /// [`WrapError::TooLong`]; [`WrapError::Malformed`] if `body` is shorter than a tag.
    pub fn from_parts(kek: KekId, nonce: &[u8; 12], body: &[u8]) -> Result<Self, WrapError> {
        if body.len() > PLAINTEXT_BYTES_MAX.saturating_add(TAG_BYTES) {
            return Err(WrapError::TooLong);
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES.saturating_add(body.len()));
        bytes.push(VERSION);
        bytes.extend_from_slice(&kek.0);
        bytes.extend_from_slice(nonce);
        bytes.extend_from_slice(body);
        Self::from_bytes(bytes)
    }

    /// The key it is wrapped under.
    #[must_use]
    pub fn kek_id(&self) -> Option<KekId> {
        self.parts().map(|(id, ..)| id)
    }

    /// KEK id, nonce, ciphertext with tag.
    #[must_use]
    pub fn parts(&self) -> Option<(KekId, [u8; 12], &[u8])> {
        let (version, rest) = self.0.split_first()?;
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, body) = rest.split_first_chunk::<12>()?;
        let fits = (TAG_BYTES..=PLAINTEXT_BYTES_MAX.saturating_add(TAG_BYTES)).contains(&body.len());
        (*version == VERSION && fits).then_some((KekId(*id), *nonce, body))
    }
}

/// Wraps `plaintext` for its place.
///
/// # Errors
/// [`WrapError::TooLong`].
pub fn wrap(
    kek: &Kek,
    location: &Location<'_>,
    plaintext: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<Wrapped, WrapError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(WrapError::TooLong);
    }
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    let aad = associated_data(kek.id, location);
    let body = Aes256Gcm::new(kek.key.expose().into())
        .encrypt(&nonce.into(), Payload { msg: plaintext, aad: &aad })
        .map_err(|_| WrapError::TooLong)?;
    Wrapped::from_parts(kek.id, &nonce, &body)
}

/// Takes a secret back from its place.
///
/// # Errors
/// [`WrapError::UnknownKek`], [`WrapError::Altered`], [`WrapError::Malformed`].
pub fn unwrap(
    kek: &Kek,
    location: &Location<'_>,
    wrapped: &Wrapped,
) -> Result<Zeroizing<Vec<u8>>, WrapError> {
    let (id, nonce, body) = wrapped.parts().ok_or(WrapError::Malformed)?;
    if id != kek.id {
        return Err(WrapError::UnknownKek(id));
    }
    let aad = associated_data(id, location);
    Aes256Gcm::new(kek.key.expose().into())
        .decrypt(&nonce.into(), Payload { msg: body, aad: &aad })
        .map(Zeroizing::new)
        .map_err(|_| WrapError::Altered)
}

/// What is authenticated beside a secret: its place, and the key. For keys elsewhere; [`wrap`] and [`unwrap`] do it themselves.
#[must_use]
pub fn associated_data(kek: KekId, location: &Location<'_>) -> Vec<u8> {
    #[derive(Encode)]
    struct Data<'a> {
        #[n(0)]
        version: u8,
        #[cbor(n(1), with = "minicbor::bytes")]
        kek: [u8; 4],
        #[n(2)]
        table: &'a str,
        #[cbor(n(3), with = "minicbor::bytes")]
        row: &'a [u8],
        #[n(4)]
        column: &'a str,
        #[n(5)]
        epoch: u32,
    }
    let Location { table, row, column, epoch } = *location;
    codec::encode(&Data { version: VERSION, kek: kek.0, table, row, column, epoch })
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::secret::Secret;

    const HERE: Location<'static> = Location { table: "key_share", row: b"row-1", column: "share", epoch: 3 };

    fn wrapped() -> (Kek, Wrapped) {
        let kek = Kek::new(Secret::new([7; 32]));
        let mut rng = StdRng::seed_from_u64(1);
        let wrapped = wrap(&kek, &HERE, b"the share", &mut rng).unwrap();
        (kek, wrapped)
    }

    #[test]
    fn wrp_001_a_secret_comes_back_only_from_its_place() {
        let (kek, wrapped) = wrapped();
        assert_eq!(wrapped.as_bytes().len(), HEADER_BYTES + 9 + TAG_BYTES);
        assert_eq!(wrapped.kek_id(), Some(kek.id()));
        let stored = Wrapped::from_bytes(wrapped.as_bytes().to_vec()).unwrap();
        assert_eq!(unwrap(&kek, &HERE, &stored).unwrap().as_slice(), b"the share");
        for elsewhere in [
            Location { table: "key_shar", row: b"erow-1", ..HERE },
            Location { row: b"row-2", ..HERE },
            Location { column: "seed", ..HERE },
            Location { epoch: 4, ..HERE },
            Location { row: b"row-1share", column: "", ..HERE },
        ] {
            assert_eq!(unwrap(&kek, &elsewhere, &stored), Err(WrapError::Altered), "{elsewhere:?}");
        }
    }

    #[test]
    fn wrp_002_every_flipped_bit_is_found() {
        let (kek, wrapped) = wrapped();
        for bit in 0..wrapped.as_bytes().len() * 8 {
            let mut bytes = wrapped.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let result = Wrapped::from_bytes(bytes).and_then(|wrapped| unwrap(&kek, &HERE, &wrapped));
            match (bit / 8, result) {
                (0, Err(WrapError::Malformed))
                | (1..=4, Err(WrapError::UnknownKek(_)))
                | (5.., Err(WrapError::Altered)) => {}
                (_, other) => panic!("bit {bit}: {other:?}"),
            }
        }
    }

    #[test]
    fn wrp_003_lengths_are_bounded() {
        let (kek, wrapped) = wrapped();
        for length in 0..HEADER_BYTES + TAG_BYTES {
            assert_eq!(Wrapped::from_bytes(wrapped.as_bytes()[..length].to_vec()), Err(WrapError::Malformed));
        }
        let mut rng = StdRng::seed_from_u64(2);
        let largest = wrap(&kek, &HERE, &vec![0; PLAINTEXT_BYTES_MAX], &mut rng).unwrap();
        assert_eq!(unwrap(&kek, &HERE, &largest).unwrap().len(), PLAINTEXT_BYTES_MAX);
        let longer = [largest.as_bytes(), &[0]].concat();
        assert_eq!(Wrapped::from_bytes(longer), Err(WrapError::Malformed));
        assert_eq!(wrap(&kek, &HERE, &vec![0; PLAINTEXT_BYTES_MAX + 1], &mut rng), Err(WrapError::TooLong));
        assert_eq!(unwrap(&kek, &HERE, &wrap(&kek, &HERE, b"", &mut rng).unwrap()).unwrap().len(), 0);
    }

    #[test]
    fn wrp_004_another_key_is_named_not_tried() {
        let (kek, wrapped) = wrapped();
        let other = Kek::new(Secret::new([8; 32]));
        assert_ne!(other.id(), kek.id());
        assert_eq!(unwrap(&other, &HERE, &wrapped), Err(WrapError::UnknownKek(kek.id())));
        insta::assert_snapshot!(alloc::format!("{kek:?}"), @"Kek { id: KekId(7f4da5d1), key: Secret(redacted) }");
    }

    proptest! {
        #[test]
        fn wrp_005_places_do_not_share_their_associated_data(
            a in ("[ab]{0,3}", prop::collection::vec(97u8..99, 0..3), "[ab]{0,3}", 0u32..3),
            b in ("[ab]{0,3}", prop::collection::vec(97u8..99, 0..3), "[ab]{0,3}", 0u32..3),
        ) {
            let data = |(table, row, column, epoch): &(alloc::string::String, Vec<u8>, alloc::string::String, u32)| {
                associated_data(KekId([0; 4]), &Location { table, row, column, epoch: *epoch })
            };
            prop_assert_eq!(data(&a) == data(&b), a == b);
        }
    }
}
