//! The eight digits: TOTP (RFC 6238) with SHA-256, under a key of its own for each credential and turn.
//!
//! They let a server find a live display and a clerk compare what is on the screen. They prove nothing by themselves.

use core::{fmt, str::FromStr};

use alloc::string::ToString;
use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, Builder};

use super::{day::StatusIndex, show::Turn, step::Step};
use crate::{
    domain::{Domain, expand},
    secret::SecretBytes,
};

const DIGITS: u8 = 8;
const END: u32 = 100_000_000;

/// Eight decimal digits. Shown as `1234 5678`; `Debug` hides them, as they are a live code.
#[derive(Clone, Copy)]
pub struct Digits(u32);

/// Text that is not eight digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected eight digits, with or without a space in the middle")]
pub struct DigitsError;

impl Digits {
    /// The digits of `value`, or `None` if there are more than eight.
    #[must_use]
    pub fn new(value: u32) -> Option<Self> {
        (value < END).then_some(Self(value))
    }

    /// Their value, 0 to 99 999 999.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

/// The digits of one credential in one step and turn. `secret` is the phone's for this document and batch.
#[must_use]
pub fn digits(secret: &SecretBytes<32>, status: StatusIndex, step: Step, turn: Turn) -> Digits {
    let fields =
        [u64::from(status.list), u64::from(status.index), u64::from(turn.number())].map(u64::to_be_bytes);
    let [list, index, turn] = &fields;
    let key: SecretBytes<32> = expand(secret.expose(), Domain::CredentialOtp, &[list, index, turn]);
    // The step is already counted, so that the counter of HOTP is the step itself.
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA256)
        .with_digits(DIGITS)
        .with_skew(0)
        .with_step_duration(1)
        .with_secret(key.expose().as_slice())
        .build_noncompliant();
    let text = totp.generate(step.0).to_string();
    let value =
        text.chars().filter_map(|c| c.to_digit(10)).fold(0_u32, |n, d| n.wrapping_mul(10).wrapping_add(d));
    Digits(value)
}

impl ConstantTimeEq for Digits {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

/// In constant time.
impl PartialEq for Digits {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Digits {}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(redacted)")
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04} {:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

impl FromStr for Digits {
    type Err = DigitsError;
    fn from_str(text: &str) -> Result<Self, DigitsError> {
        let (left, right) = text.split_at_checked(4).ok_or(DigitsError)?;
        let right = right.strip_prefix(' ').unwrap_or(right);
        let four = |part: &str| part.len() == 4 && part.bytes().all(|c| c.is_ascii_digit());
        if !four(left) || !four(right) {
            return Err(DigitsError);
        }
        let half = |part: &str| part.parse::<u32>().map_err(|_| DigitsError);
        Self::new(half(left)?.saturating_mul(10_000).saturating_add(half(right)?)).ok_or(DigitsError)
    }
}

impl<C> Encode<C> for Digits {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u32(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Digits {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.u32()?).ok_or_else(|| DecodeError::message("more than eight digits"))
    }
}
