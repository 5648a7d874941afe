//! The sixteen digits of the bar code: drawn at random by the server, and nothing but a name for a live display.

use core::{fmt, str::FromStr};

use alloc::string::String;
use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

const LENGTH: usize = 16;
const END: u64 = 10_000_000_000_000_000;

/// Sixteen decimal digits, drawn as Code 128 in set C. `Debug` hides them, as they are a live code.
#[derive(Clone, Copy)]
pub struct BarCode(u64);

/// Text that is not sixteen digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected sixteen digits without spaces")]
pub struct BarCodeError;

impl BarCode {
    /// A fresh one, all equally likely.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        // Numbers at and above the last multiple of `END` would favour the small ones: draw again, once in 2,900 times.
        const FAIR: u64 = (u64::MAX / END) * END;
        loop {
            let drawn = rng.next_u64();
            if drawn < FAIR {
                return Self(drawn % END);
            }
        }
    }

    /// The digits of `value`, or `None` if there are more than sixteen.
    #[must_use]
    pub fn new(value: u64) -> Option<Self> {
        (value < END).then_some(Self(value))
    }

    /// Their value, below 10¹⁶.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// In constant time.
impl PartialEq for BarCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for BarCode {}

impl fmt::Debug for BarCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarCode(redacted)")
    }
}

impl fmt::Display for BarCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}", self.0)
    }
}

impl FromStr for BarCode {
    type Err = BarCodeError;
    fn from_str(text: &str) -> Result<Self, BarCodeError> {
        if text.len() != LENGTH || !text.bytes().all(|c| c.is_ascii_digit()) {
            return Err(BarCodeError);
        }
        text.parse().ok().and_then(Self::new).ok_or(BarCodeError)
    }
}

impl TryFrom<String> for BarCode {
    type Error = BarCodeError;
    fn try_from(text: String) -> Result<Self, BarCodeError> {
        text.parse()
    }
}

impl<C> Encode<C> for BarCode {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u64(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for BarCode {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.u64()?).ok_or_else(|| DecodeError::message("more than sixteen digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn dis_001_a_bar_code_is_sixteen_digits_and_is_not_printed() {
        let bar = BarCode::new(42).unwrap();
        assert_eq!(bar.to_string(), "0000000000000042");
        assert_eq!(bar.to_string().parse(), Ok(bar));
        assert_eq!(format!("{bar:?}"), "BarCode(redacted)");
        for bad in [
            "",
            "42",
            "000000000000042",
            "00000000000000042",
            "0000 0000 0000 0042",
            "+000000000000042",
            "000000000000004x",
        ] {
            assert_eq!(bad.parse::<BarCode>(), Err(BarCodeError), "{bad}");
        }
        assert_eq!(BarCode::new(END), None);
        assert_eq!(BarCode::new(END - 1).unwrap().to_string(), "9".repeat(16));
        assert!(minicbor::decode::<BarCode>(&minicbor::to_vec(END).unwrap()).is_err());
    }

    #[test]
    fn dis_005_bar_codes_are_drawn_evenly_over_all_their_digits() {
        let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
        let mut first = [0_u32; 10];
        for _ in 0..10_000 {
            let digit = BarCode::random(&mut rng).to_string().as_bytes()[0] - b'0';
            first[usize::from(digit)] += 1;
        }
        // 1,000 expected, with a standard deviation of 30.
        assert!(first.iter().all(|count| (850..1_150).contains(count)), "{first:?}");
    }
}
