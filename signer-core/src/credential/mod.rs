//! The document code that lives three minutes. Format and rules: `spec/credential.md`.
//!
//! In reading order:
//!
//! 1. [`DocumentRecord`] is what a register knows; [`Document`] is what one credential shows of it: age, minimal or full.
//! 2. [`DayClaims`]: issuing. The issuer signs them, with the phone's day key in them, into a [`DayCredential`] for 26 hours.
//! 3. [`Show`]: presenting. The day key signs the [`Step`] and the eight [`Digits`] into a [`Presentation`], the text of a QR.
//! 4. [`verify`]: checking, with no more than [`IssuerKeys`] and a clock, into [`Verified`] or a [`Refusal`].
//! 5. [`VerificationResult`]: what a clerk is told.
//!
//! Signing is in two steps, `prepare` and `complete`, so that keys may stay in hardware.

mod bar;
mod base45;
mod cose;
mod date;
mod day;
mod document;
mod hex;
mod keys;
mod number;
mod refusal;
mod result;
mod show;
mod step;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails the test")]
mod tests;
mod verify;

pub use bar::{BarCode, BarCodeError};
pub use cose::SignatureError;
pub use date::{Date, DateError};
pub use day::{DayClaims, DayCredential, DayError, StatusIndex, UnsignedDay};
pub use document::{
    Age, Document, DocumentRecord, DocumentType, Full, Line, LineError, Minimal, Name, Short,
};
pub use hex::{Challenge, HexError, Kid, PortraitDigest};
pub use keys::{IssuerKey, IssuerKeyError, IssuerKeys};
pub use number::{Digits, DigitsError, digits};
pub use refusal::{ClockFault, Reason, Refusal};
pub use result::{Colour, Note, VerificationResult};
pub use show::{Presentation, Show, ShowError, Turn, TurnError, UnsignedShow};
pub use step::{GRACE_SECONDS, STEP_SECONDS, Step, StepRule};
pub use verify::{Once, Verified, VerifyOptions, verify};

/// What the text of every code begins with.
pub const PREFIX: &str = "DQ1:";
/// Most characters of a code: what QR version 15 holds at level M.
pub const TEXT_MAX: usize = 600;
/// Life of a day credential: 26 hours.
pub const LIFE_SECONDS: u64 = 93_600;

/// Bytes in [`TEXT_MAX`] characters after the prefix: 198 groups of three, and one of two.
const TOKEN_BYTES_MAX: usize = 397;
/// Largest device envelope, with a challenge and a step under 2³², and the head of the token.
const SHOW_BYTES_MAX: usize = 104;
