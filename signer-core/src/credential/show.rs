//! Presenting: the phone's signature over the step, under a day credential, as the text of a QR code.

use alloc::{string::String, vec::Vec};
use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::{
    PREFIX, TEXT_MAX, TOKEN_BYTES_MAX, base45,
    cose::{self, Sign1, SignatureError},
    day::DayCredential,
    hex::Challenge,
    number::Digits,
    step::{Step, StepRule},
};
use crate::{
    codec::{self, CodecError},
    time::UnixSeconds,
    trust::Life,
};

/// Which code of its step this is: 0 at first, one more each time one is used up, at most 15. The format calls it `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Turn(u8);

/// More than 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step has 16 turns, 0 to 15")]
pub struct TurnError;

impl Turn {
    /// The first of a step.
    pub const FIRST: Self = Self(0);

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The turn after this one, or `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::try_from(self.0.saturating_add(1)).ok()
    }
}

impl TryFrom<u8> for Turn {
    type Error = TurnError;
    fn try_from(number: u8) -> Result<Self, TurnError> {
        if number < 16 { Ok(Self(number)) } else { Err(TurnError) }
    }
}

impl<C> Encode<C> for Turn {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u8(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Turn {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::try_from(d.u8()?).map_err(|_| DecodeError::message("n is over 15"))
    }
}

impl From<Turn> for u8 {
    fn from(turn: Turn) -> Self {
        turn.0
    }
}

/// What the phone signs for one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// The step it is for.
    pub step: Step,
    /// Which code of the step.
    pub turn: Turn,
    /// The eight digits shown with it.
    pub digits: Digits,
    /// The business's request, where there was one.
    pub challenge: Option<Challenge>,
}

/// Why the phone does not sign or finish a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShowError {
    /// The step is beyond the next one: nobody could check that it was made in its time.
    #[error("a code is signed for the current or the next step, not for a later one")]
    TooFarAhead,
    /// The credential ends before the step begins; take the next credential.
    #[error("the credential has expired")]
    Expired,
    /// The code would not fit: the credential was not made by [`DayClaims::prepare`](super::DayClaims::prepare).
    #[error("the code is longer than 600 characters")]
    TooLong,
    /// The signature that came back is not the day key's over these bytes.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl DayCredential {
    /// The bytes for the day key to sign, wherever it is, within the credential's 26 hours.
    ///
    /// # Errors
    /// [`ShowError::TooFarAhead`] or [`ShowError::Expired`], by the phone's anchored clock `now`.
    pub fn prepare(&self, show: &Show, now: UnixSeconds, rule: StepRule) -> Result<UnsignedShow, ShowError> {
        self.prepare_under(show, now, rule, Life::Standard)
    }

    /// The same within the life that the trust list gives.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_under(
        &self,
        show: &Show,
        now: UnixSeconds,
        rule: StepRule,
        life: Life,
    ) -> Result<UnsignedShow, ShowError> {
        if show.step > rule.step_at(now).next() {
            return Err(ShowError::TooFarAhead);
        }
        let end = self.claims().issued().plus(life.seconds());
        if rule.start(show.step) >= end || now >= end {
            return Err(ShowError::Expired);
        }
        let payload = codec::encode(show);
        let to_sign = cose::sig_structure(&cose::show_aad(&self.hash()), &payload);
        Ok(UnsignedShow {
            issuer: self.as_bytes().to_vec(),
            day_key: *self.claims().day_key(),
            payload,
            to_sign,
        })
    }

    /// Signs with a day key in memory.
    ///
    /// # Errors
    /// As [`Self::prepare`]; [`ShowError::Signature`] if `day_key` is another credential's.
    pub fn present(
        &self,
        show: &Show,
        now: UnixSeconds,
        rule: StepRule,
        day_key: &SigningKey,
    ) -> Result<Presentation, ShowError> {
        let unsigned = self.prepare(show, now, rule)?;
        // With the key at hand, comparing keys says as much as checking the signature, which takes four times as long as
        // making it.
        if *day_key.verifying_key() != unsigned.day_key {
            return Err(SignatureError::Wrong.into());
        }
        let signature = cose::sign(day_key, unsigned.to_sign());
        unsigned.finish(signature)
    }
}

/// A show that waits for the day key's signature.
pub struct UnsignedShow {
    issuer: Vec<u8>,
    day_key: VerifyingKey,
    payload: Vec<u8>,
    to_sign: Vec<u8>,
}

impl UnsignedShow {
    /// The exact bytes to sign: ECDSA with SHA-256 over them.
    #[must_use]
    pub fn to_sign(&self) -> &[u8] {
        &self.to_sign
    }

    /// Finishes with a signature (r ‖ s) made elsewhere: brings it to low-s and checks it before it is shown.
    ///
    /// # Errors
    /// [`ShowError::Signature`] if it is not the day key's.
    pub fn complete(self, signature: &[u8; 64]) -> Result<Presentation, ShowError> {
        let signature = cose::accept(&self.day_key, &self.to_sign, signature)?;
        self.finish(signature)
    }

    fn finish(self, signature: [u8; 64]) -> Result<Presentation, ShowError> {
        let device = codec::encode(&Sign1 { kid: None, payload: self.payload, signature });
        let token = [&[ARRAY_OF_2], &self.issuer[..], &device].concat();
        let text = text(&token);
        if text.len() > TEXT_MAX { Err(ShowError::TooLong) } else { Ok(Presentation(text)) }
    }
}

impl fmt::Debug for UnsignedShow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsignedShow(redacted)")
    }
}

/// A finished code: the text that is drawn as a QR. `Debug` hides it, as it is live and personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Presentation(String);

impl Presentation {
    /// The text of the QR.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presentation(redacted)")
    }
}

const ARRAY_OF_2: u8 = 0x82;

/// Both envelopes of a code, decoded, nothing of them checked.
pub(super) struct Token {
    pub(super) issuer: Sign1,
    pub(super) device: Sign1,
}

/// The text form of a token.
pub(super) fn text(token: &[u8]) -> String {
    [PREFIX, &base45::encode(token)].concat()
}

impl Token {
    /// Decodes the part of a text after the prefix.
    pub(super) fn from_base45(text: &str) -> Result<Self, CodecError> {
        codec::decode(&base45::decode(text).ok_or(CodecError::Malformed)?, TOKEN_BYTES_MAX)
    }
}

impl Encode<()> for Token {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?.encode_with(&self.issuer, ctx)?.encode_with(&self.device, ctx)?.ok()
    }
}

impl<'b> Decode<'b, ()> for Token {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message("a token is two envelopes"));
        }
        let (issuer, device) = (Sign1::decode(d, ctx)?, Sign1::decode(d, ctx)?);
        if issuer.kid.is_none() || device.kid.is_some() {
            return Err(DecodeError::message("the issuer has a kid, the phone has none"));
        }
        Ok(Self { issuer, device })
    }
}

impl Encode<()> for Show {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(if self.challenge.is_some() { 4 } else { 3 })?;
        e.u64(self.step.0)?.encode_with(self.turn, ctx)?.encode_with(self.digits, ctx)?;
        self.challenge.map_or(Ok(()), |challenge| challenge.encode(e, ctx))
    }
}

impl<'b> Decode<'b, ()> for Show {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        let challenged = match d.array()? {
            Some(3) => false,
            Some(4) => true,
            _ => return Err(DecodeError::message("a show has three or four fields")),
        };
        let step = Step(d.u64()?);
        let turn = Turn::decode(d, ctx)?;
        let digits = Digits::decode(d, ctx)?;
        let challenge = if challenged { Some(Challenge::decode(d, ctx)?) } else { None };
        Ok(Self { step, turn, digits, challenge })
    }
}
