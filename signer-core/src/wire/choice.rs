//! The verification code of a request: four digits that the relying party shows where the holder began. The phone shows them
//! among two others in random order, and the holder picks. Whoever was sent a request by somebody else does not see the
//! digits, and a phone that is tapped without a look signs nothing.

use alloc::string::String;
use core::{fmt, str::FromStr};

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::ids::RequestId;

/// How many codes the holder chooses from.
pub const CODES_SHOWN: usize = 3;

/// Four decimal digits. In JSON a string, for a leading zero is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerificationCode(u16);

crate::openapi::text_schema!(VerificationCode, "^[0-9]{4}$", "Four digits.");

/// Text that is not four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected four digits")]
pub struct VerificationCodeError;

impl VerificationCode {
    /// The code, or `None` if it has more than four digits.
    #[must_use]
    pub fn new(value: u16) -> Option<Self> {
        (value < 10_000).then_some(Self(value))
    }

    /// A fresh one, all equally likely.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            let [low, high, ..] = rng.next_u32().to_le_bytes();
            let drawn = u16::from_le_bytes([low, high]);
            if drawn < 60_000 {
                return Self(drawn % 10_000);
            }
        }
    }

    /// Its value, 0 to 9999.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// The three codes of a request, all different, in the order in which they are shown. The phone does not learn which is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawnCodes {
    /// In the order shown.
    pub codes: [VerificationCode; CODES_SHOWN],
    /// The one the relying party shows.
    pub right: VerificationCode,
}

impl DrawnCodes {
    /// Draws three codes; each place is equally likely to be the right one.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let codes = loop {
            let [a, b, c] = core::array::from_fn(|_| VerificationCode::random(rng));
            if a != b && b != c && a != c {
                break [a, b, c];
            }
        };
        let [a, b, c] = codes;
        let right = loop {
            match rng.next_u32() & 3 {
                0 => break a,
                1 => break b,
                2 => break c,
                _ => {}
            }
        };
        Self { codes, right }
    }
}

/// The codes of one pending request, as its holder's phone gets them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CodeChoice {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// What to show, in this order.
    #[n(1)]
    pub codes: [VerificationCode; CODES_SHOWN],
    /// Whether the right one was chosen already.
    #[n(2)]
    pub chosen: bool,
}

/// The holder's choice. The first one decides; any later one is told what it was.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChooseCode {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// One of its codes.
    #[n(1)]
    pub code: VerificationCode,
}

/// Reply to [`ChooseCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CodeChosen {
    /// The request may be approved.
    #[n(0)]
    Right {},
    /// The request has ended.
    #[n(1)]
    Wrong {},
}

impl fmt::Display for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl FromStr for VerificationCode {
    type Err = VerificationCodeError;
    fn from_str(text: &str) -> Result<Self, VerificationCodeError> {
        let digits = text.len() == 4 && text.bytes().all(|c| c.is_ascii_digit());
        text.parse().ok().filter(|_| digits).and_then(Self::new).ok_or(VerificationCodeError)
    }
}

impl TryFrom<String> for VerificationCode {
    type Error = VerificationCodeError;
    fn try_from(text: String) -> Result<Self, VerificationCodeError> {
        text.parse()
    }
}

impl From<VerificationCode> for String {
    fn from(code: VerificationCode) -> Self {
        alloc::format!("{code}")
    }
}

impl<C> Encode<C> for VerificationCode {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u16(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for VerificationCode {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.u16()?).ok_or_else(|| DecodeError::message("more than four digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    #[test]
    fn codes_differ_and_every_place_is_right_about_as_often() {
        let mut rng = StdRng::from_seed([7; 32]);
        let mut places = [0_u32; CODES_SHOWN];
        for _ in 0..3000 {
            let DrawnCodes { codes: [a, b, c], right } = DrawnCodes::random(&mut rng);
            assert!(a != b && b != c && a != c);
            for (place, code) in places.iter_mut().zip([a, b, c]) {
                *place += u32::from(code == right);
            }
        }
        assert_eq!(places.iter().sum::<u32>(), 3000);
        assert!(places.iter().all(|count| (900..1100).contains(count)), "{places:?}");
    }

    #[test]
    fn a_code_is_four_digits_and_keeps_its_zeros() {
        let code: VerificationCode = "0042".parse().unwrap();
        assert_eq!((code.value(), alloc::format!("{code}").as_str()), (42, "0042"));
        for wrong in ["", "42", "042", "00042", "+042", "004a", " 042", "٠٠٤٢"] {
            assert_eq!(wrong.parse::<VerificationCode>(), Err(VerificationCodeError), "{wrong:?}");
        }
        assert_eq!(VerificationCode::new(10_000), None);
    }
}
