//! Entries under the phone's key: HPKE (RFC 9180 §6.1, base mode, single-shot) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256
//! and AES-256-GCM. Anyone can seal; only the phone opens.
//!
//! ```text
//! sealed    = enc (32) ‖ ciphertext ‖ tag (16)        info = label `history-seal` ‖ device id
//! plaintext = entry ‖ 0x80 ‖ zeros, up to the next multiple of 256: the length tells little of what happened
//! ```

use alloc::vec::Vec;

use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use minicbor::{Decode, Encode, Encoder, bytes::ByteVec};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{ENTRY_BYTES_MAX, Entry};
use crate::{codec, domain::Domain, ids::DeviceId, secret::SecretBytes};

type Suite = X25519HkdfSha256;

const ENC_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Plaintexts are a multiple of so many bytes.
const PADDING: usize = 256;
/// What ends the entry in a plaintext.
const END: u8 = 0x80;
/// Longest sealed entry, bytes.
pub const SEALED_BYTES_MAX: usize = ENC_BYTES + ENTRY_BYTES_MAX + 1 + TAG_BYTES;

/// The key is of no use, or the entry is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a history entry cannot be sealed to this key")]
pub struct SealError;

/// Public half of a phone's history key, X25519 (RFC 7748), as it travels.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct HistoryKeyBytes(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl core::fmt::Debug for HistoryKeyBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HistoryKeyBytes(..)")
    }
}

impl HistoryKeyBytes {
    /// Seals `entry` for the phone of this key.
    ///
    /// # Errors
    /// [`SealError`] if the key is a point of low order or the entry is longer than [`ENTRY_BYTES_MAX`].
    pub fn seal(
        &self,
        device: DeviceId,
        entry: &Entry,
        mut rng: &mut dyn CryptoRng,
    ) -> Result<SealedEntry, SealError> {
        let plain = padded(entry)?;
        let key = <Suite as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(|_| SealError)?;
        let sealed = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Suite>(
            &OpModeS::Base,
            &key,
            &info(device),
            &plain,
            &[],
            &mut rng,
        );
        let (enc, ciphertext) = sealed.map_err(|_| SealError)?;
        SealedEntry::new([enc.to_bytes().as_slice(), &ciphertext].concat()).ok_or(SealError)
    }
}

/// A phone's history key.
pub struct HistoryKey {
    secret: <Suite as hpke::Kem>::PrivateKey,
    public: HistoryKeyBytes,
    device: DeviceId,
}

impl core::fmt::Debug for HistoryKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HistoryKey(redacted)")
    }
}

impl HistoryKey {
    /// The key of a device, from a secret of its keystore (RFC 9180 §7.1.3, `DeriveKeyPair`).
    #[must_use]
    pub fn derive(secret: &SecretBytes<32>, device: DeviceId) -> Self {
        let (secret, public) = Suite::derive_keypair(secret.expose());
        Self { secret, public: HistoryKeyBytes(public.to_bytes().into()), device }
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> HistoryKeyBytes {
        self.public
    }

    /// The entry, or `None` if it was not sealed for this device, was changed, or is of a kind this program does not know.
    #[must_use]
    pub fn open(&self, sealed: &SealedEntry) -> Option<Entry> {
        let (enc, ciphertext) = sealed.0.split_at_checked(ENC_BYTES)?;
        let enc = <Suite as hpke::Kem>::EncappedKey::from_bytes(enc).ok()?;
        let plain = hpke::single_shot_open::<AesGcm256, HkdfSha256, Suite>(
            &OpModeR::Base,
            &self.secret,
            &enc,
            &info(self.device),
            ciphertext,
            &[],
        );
        let plain = Zeroizing::new(plain.ok()?);
        codec::decode(unpadded(&plain)?, ENTRY_BYTES_MAX).ok()
    }
}

/// An entry as the server keeps it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SealedEntry(Vec<u8>);

impl SealedEntry {
    /// The sealed entry with these bytes, or `None` if none is so short or long.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (ENC_BYTES.saturating_add(TAG_BYTES)..=SEALED_BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for SealedEntry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SealedEntry({} bytes)", self.0.len())
    }
}

impl<C> Encode<C> for SealedEntry {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SealedEntry {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = ByteVec::decode(d, ctx)?;
        Self::new(bytes.into())
            .ok_or_else(|| minicbor::decode::Error::message("no sealed entry has this length"))
    }
}

fn info(device: DeviceId) -> Vec<u8> {
    [Domain::HistorySeal.label().as_bytes(), device.as_bytes()].concat()
}

fn padded(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let entry = Zeroizing::new(codec::encode(entry));
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(SealError);
    }
    let length = entry.len().saturating_add(1).next_multiple_of(PADDING);
    let mut plain = Zeroizing::new(Vec::with_capacity(length));
    plain.extend_from_slice(&entry);
    plain.push(END);
    plain.resize(length, 0);
    Ok(plain)
}

fn unpadded(plain: &[u8]) -> Option<&[u8]> {
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    let (entry, rest) = plain.split_at_checked(end)?;
    let exact = plain.len() == end.saturating_add(1).next_multiple_of(PADDING);
    (exact && rest.first() == Some(&END)).then_some(entry)
}
