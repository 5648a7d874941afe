//! The document code that lives three minutes. Format and rules: `spec/credential.md`.
//!
//! In reading order:
//!
//! 1. [`DocumentRecord`] is what a register knows; [`Document`] is what one credential shows of it: age, minimal or full.
//! 2. [`DayClaims`]: issuing. The issuer signs them, with the phone's day key in them, into a [`DayCredential`] for 26 hours.
//! 3. [`Show`]: presenting. The day key signs the [`Step`] and the eight [`Digits`] into a [`Presentation`], the text of a QR.
//! 4. [`BusinessCredential`]: asking. A business signs what it wants to see; the show answers it.
//! 5. [`verify`]: checking, with no more than [`IssuerKeys`] and a clock, into [`Verified`] or a [`Refusal`];
//!    [`verify_offline`] with the trust list and the status lists besides.
//! 6. [`VerificationResult`]: what a clerk is told.
//!
//! Signing is in two steps, `prepare` and `complete`, so that keys may stay in hardware.

mod bar;
mod base45;
pub(crate) mod cose;
mod date;
mod day;
mod document;
mod hex;
mod keys;
mod number;
mod offline;
mod portrait;
mod refusal;
mod request;
mod result;
mod show;
mod step;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong sum fails the test")]
pub(crate) mod tests;
mod vehicle;
mod verify;

pub use bar::{BarCode, BarCodeError};
pub use cose::{SignatureError, UnsignedEnvelope};
pub use date::{Date, DateError};
pub use day::{DayClaims, DayCredential, DayError, StatusIndex, UnsignedDay};
pub use document::{
    Age, Document, DocumentRecord, DocumentType, Full, Line, LineError, Minimal, Name, Short,
};
pub use hex::{BusinessId, Challenge, HexError, Kid, PortraitDigest, PortraitSalt};
pub use keys::{IssuerKey, IssuerKeys};
pub use number::{Digits, DigitsError, digits};
pub use offline::verify_offline;
pub use portrait::{Portrait, PortraitError, portrait_salt};
pub use refusal::{ClockFault, Reason, Refusal};
pub use request::{
    Ask, BusinessClaims, BusinessCredential, BusinessError, Request, RequestRefusal, UnsignedRequest,
    VerifiedRequest, verify_answered_request, verify_request,
};
pub use result::{Colour, Known, Note, VerificationResult};
pub use show::{Presentation, Show, ShowError, Turn, TurnError, UnsignedShow};
pub use step::{GRACE_SECONDS, STEP_SECONDS, Step, StepRule};
pub use vehicle::{Model, Vehicle};
pub use verify::{Once, Received, Verified, VerifyOptions, verify};

/// What the text of every code begins with.
pub const PREFIX: &str = "DQ1:";
/// Most characters of a code: what QR version 15 holds at level M.
pub const TEXT_MAX: usize = 600;
/// What the text of every business's request begins with.
pub const REQUEST_PREFIX: &str = "DR1:";
/// Life of a day credential: 26 hours.
pub const LIFE_SECONDS: u64 = 93_600;

/// Bytes in [`TEXT_MAX`] characters after the prefix: 198 groups of three, and one of two.
const TOKEN_BYTES_MAX: usize = 397;
/// Largest device envelope, with a challenge and a step under 2³², and the head of the token.
const SHOW_BYTES_MAX: usize = 104;
