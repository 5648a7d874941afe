//! From text to dark and light modules.

use qrcode::{
    Color, EcLevel, Version,
    bits::Bits,
    canvas::{Canvas, MaskPattern},
    ec::construct_codewords,
    types::{Mode, QrError},
};

const LEVEL: EcLevel = EcLevel::M;
const MASK: MaskPattern = MaskPattern::Checkerboard;

/// Why a text is not drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// Characters outside the alphanumeric set, which would need a larger code.
    #[error("the text has characters outside 0-9, A-Z, space and $%*+-./:")]
    NotAlphanumeric,
    /// More than any QR code holds.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// Not the text of a bar code.
    #[error("a bar code is sixteen digits without spaces")]
    NotSixteenDigits,
}

/// The modules of a QR code without quiet zone, at most 177 by 177.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    size: usize,
    /// One row after the other, dark is true.
    modules: Vec<bool>,
}

impl Matrix {
    /// Modules in a row, and rows.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Rows from the top, dark is true.
    pub fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.modules.chunks(self.size)
    }

    /// Whether the module in `row` and `column` is dark; light outside.
    #[must_use]
    pub fn dark(&self, row: usize, column: usize) -> bool {
        column < self.size && self.modules.get(row * self.size + column).copied().unwrap_or_default()
    }
}

/// The smallest code at level M that holds `text`.
///
/// # Errors
/// [`DrawError`] if the text is not one a QR holds in alphanumeric mode.
pub fn matrix(text: &str) -> Result<Matrix, DrawError> {
    let plain = |c: u8| c.is_ascii_digit() || c.is_ascii_uppercase() || b" $%*+-./:".contains(&c);
    if !text.bytes().all(plain) {
        return Err(DrawError::NotAlphanumeric);
    }
    smallest(text, Mode::Alphanumeric)
}

/// The smallest code at level M that holds `link`, whose letters are small ones too: in byte mode.
///
/// # Errors
/// [`DrawError::TooLong`].
pub fn link_matrix(link: &str) -> Result<Matrix, DrawError> {
    smallest(link, Mode::Byte)
}

fn smallest(text: &str, mode: Mode) -> Result<Matrix, DrawError> {
    let version = (1..=40).map(Version::Normal).find(|version| holds(*version, mode, text.len()));
    version.and_then(|version| draw(text, version, mode).ok()).ok_or(DrawError::TooLong)
}

/// Whether so many characters fit: mode (4 bits), their number, and they.
fn holds(version: Version, mode: Mode, characters: usize) -> bool {
    let bits = 4 + mode.length_bits_count(version) + mode.data_bits_count(characters);
    Bits::new(version).max_len(LEVEL).is_ok_and(|max| bits <= max)
}

fn draw(text: &str, version: Version, mode: Mode) -> Result<Matrix, QrError> {
    let mut bits = Bits::new(version);
    match mode {
        Mode::Byte => bits.push_byte_data(text.as_bytes())?,
        _ => bits.push_alphanumeric_data(text.as_bytes())?,
    }
    bits.push_terminator(LEVEL)?;
    let (data, correction) = construct_codewords(&bits.into_bytes(), version, LEVEL)?;
    let mut canvas = Canvas::new(version, LEVEL);
    canvas.draw_all_functional_patterns();
    canvas.draw_data(&data, &correction);
    canvas.apply_mask(MASK);
    let size = usize::try_from(version.width()).map_err(|_| QrError::InvalidVersion)?;
    Ok(Matrix { size, modules: canvas.into_colors().into_iter().map(|color| color == Color::Dark).collect() })
}
