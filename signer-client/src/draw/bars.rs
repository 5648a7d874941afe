//! From sixteen digits to bars: Code 128 (ISO/IEC 15417) in set C, two digits to a character.

use barcoders::sym::code128::Code128;

use super::DrawError;

/// The prefix by which the encoder is told to use set C.
const SET_C: char = '\u{106}';
const DIGITS: usize = 16;

/// The modules of a bar code without quiet zone, dark is true: 123 of them for sixteen digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Bars(Vec<bool>);

impl Bars {
    /// The modules from the left, dark is true.
    #[must_use]
    pub fn modules(&self) -> &[bool] {
        &self.0
    }
}

/// They are a live code.
impl std::fmt::Debug for Bars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bars(redacted)")
    }
}

/// The bars of a bar code's text: start, eight pairs of digits, check character, stop.
///
/// # Errors
/// [`DrawError::NotSixteenDigits`]
pub fn bars(digits: &str) -> Result<Bars, DrawError> {
    if digits.len() != DIGITS || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(DrawError::NotSixteenDigits);
    }
    let code = Code128::new(format!("{SET_C}{digits}")).map_err(|_| DrawError::NotSixteenDigits)?;
    Ok(Bars(code.encode().into_iter().map(|module| module == 1).collect()))
}
