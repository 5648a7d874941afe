//! How a PIN masks the device's share so that only the server can tell a right PIN from a wrong one.
//!
//! ```text
//! PIN, salt ─Argon2id─▶ Stretched ─phone's hardware key─▶ bound ─HKDF─▶ PinMask
//! FreshKey + PinMask ─▶ MaskedKey (stored)        MaskedKey − PinMask ─▶ UnlockedKey (in memory, one use)
//! ```
//!
//! What is stored holds no check value of the PIN: every PIN unmasks to a share and a seed that look like any other.
//! Only the gate key made of them tells, and only the server knows the right one. **A share is masked exactly once**: two
//! masks of one share, from two images of a phone, would give away both PINs. So a [`FreshKey`] is consumed by masking,
//! and an [`UnlockedKey`] cannot be masked, only moved to a new share.

mod common;
mod masked;

#[cfg(test)]
mod tests;

use core::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use minicbor::{Decode, Decoder, Encode, decode::Error as DecodeError};
use rand_core::CryptoRng;

pub use masked::{FreshKey, GateKey, MaskedKey, UnlockedKey};

use crate::{
    domain::{Domain, Hasher, expand},
    secret::{Secret, SecretBytes},
    suite::KeyContext,
};

/// Fewest digits of a PIN.
pub const PIN_DIGITS_MIN: usize = 6;
/// Most digits of a PIN.
pub const PIN_DIGITS_MAX: usize = 12;

/// Why a PIN, or a use of it, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Too short, too long, or something other than the digits 0 to 9. The holder corrects it.
    #[error("a PIN is {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")]
    Form,
    /// One that many people choose. The holder takes another.
    #[error("this PIN is too easy to guess")]
    Common,
    /// The phone has not the memory that stretching takes. Worth another try.
    #[error("not enough memory to stretch the PIN")]
    Memory,
}

/// A PIN: 6 to 12 ASCII digits, wiped on drop.
pub struct Pin {
    digits: SecretBytes<PIN_DIGITS_MAX>,
    length: usize,
}

impl Pin {
    /// A PIN the holder chooses: [`Pin::entered`], and not one that is too common.
    ///
    /// # Errors
    /// [`PinError::Form`] or [`PinError::Common`].
    pub fn new(text: &str) -> Result<Self, PinError> {
        let pin = Self::entered(text)?;
        if common::is_common(pin.digits()) { Err(PinError::Common) } else { Ok(pin) }
    }

    /// A PIN the holder chose before. What counts as common may have grown since, and must not lock anybody out.
    ///
    /// # Errors
    /// [`PinError::Form`].
    pub fn entered(text: &str) -> Result<Self, PinError> {
        let digits = text.as_bytes();
        let fits = (PIN_DIGITS_MIN..=PIN_DIGITS_MAX).contains(&digits.len());
        if !fits || !digits.iter().all(u8::is_ascii_digit) {
            return Err(PinError::Form);
        }
        let mut kept = SecretBytes::new([0; PIN_DIGITS_MAX]);
        kept.expose_mut().iter_mut().zip(digits).for_each(|(to, from)| *to = *from);
        Ok(Self { digits: kept, length: digits.len() })
    }

    fn digits(&self) -> &[u8] {
        self.digits.expose().get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(redacted)")
    }
}

/// Salt of one key's PIN: 16 random bytes, public, never used for a second share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Salt(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

impl Salt {
    /// A fresh salt.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The salt with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// What stretching a PIN costs. Below the floor (OWASP's 19 MiB and 2 passes) it cannot be written down, nor decoded
/// (pitfall 7); nor above the ceiling, so that a forged state file cannot exhaust the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
pub struct PinCost {
    #[n(0)]
    memory_kib: u32,
    #[n(1)]
    passes: u32,
}

impl PinCost {
    /// 19 MiB, 2 passes.
    pub const FLOOR: Self = Self { memory_kib: 19_456, passes: 2 };
    /// 256 MiB, 16 passes.
    pub const CEILING: Self = Self { memory_kib: 262_144, passes: 16 };

    /// The cost, or `None` if it is below the floor or above the ceiling.
    #[must_use]
    pub const fn new(memory_kib: u32, passes: u32) -> Option<Self> {
        let fits = Self::FLOOR.memory_kib <= memory_kib
            && memory_kib <= Self::CEILING.memory_kib
            && Self::FLOOR.passes <= passes
            && passes <= Self::CEILING.passes;
        if fits { Some(Self { memory_kib, passes }) } else { None }
    }

    /// Memory, KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Next to nothing, so that tests can stretch many PINs. Builds for use have no debug assertions and know it not.
    #[cfg(debug_assertions)]
    pub const TEST: Self = Self { memory_kib: 8, passes: 1 };
}

impl<'b, C> Decode<'b, C> for PinCost {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        #[derive(Decode)]
        struct Plain(#[n(0)] u32, #[n(1)] u32);
        let Plain(memory_kib, passes) = Plain::decode(d, ctx)?;
        #[cfg(debug_assertions)]
        if (Self { memory_kib, passes }) == Self::TEST {
            return Ok(Self::TEST);
        }
        Self::new(memory_kib, passes).ok_or_else(|| DecodeError::message("cost is out of bounds"))
    }
}

/// A PIN after Argon2id. It goes to the phone's hardware key, which binds it to this phone.
#[derive(Debug)]
pub struct Stretched(SecretBytes<32>);

impl Stretched {
    /// What the hardware key is asked to authenticate: its answer, HMAC-SHA-256 or another PRF of 32 bytes, is `bound` in
    /// [`PinMask::derive`].
    #[must_use]
    pub fn message(&self) -> SecretBytes<32> {
        Secret::new(Hasher::new(Domain::PinStretch).field(self.0.expose()).finish())
    }
}

/// Argon2id version 1.3 (RFC 9106), one lane, 32 bytes.
///
/// # Errors
/// [`PinError::Memory`] if the memory cannot be had.
pub fn stretch(pin: &Pin, salt: &Salt, cost: PinCost) -> Result<Stretched, PinError> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(|_| PinError::Memory)?;
    let mut out = SecretBytes::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pin.digits(), &salt.0, out.expose_mut())
        .map_err(|_| PinError::Memory)?;
    Ok(Stretched(out))
}

/// The masks of one key's share and seed. Used once.
pub struct PinMask {
    share: SecretBytes<64>,
    seed: SecretBytes<32>,
}

impl PinMask {
    /// From the hardware key's answer to [`Stretched::message`]. Another key, epoch or device gives other masks.
    #[must_use]
    pub fn derive(bound: &SecretBytes<32>, context: &KeyContext) -> Self {
        let (suite, epoch) = ([context.suite.number()], context.epoch.0.to_be_bytes());
        let fields: [&[u8]; 4] = [&suite, context.key.as_bytes(), &epoch, context.device.as_bytes()];
        Self {
            share: expand(bound.expose(), Domain::ShareMask, &fields),
            seed: expand(bound.expose(), Domain::SeedMask, &fields),
        }
    }
}

impl fmt::Debug for PinMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinMask(redacted)")
    }
}
