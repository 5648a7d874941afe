//! Drawing: the text of a code as a QR, [`matrix()`] once, then [`svg`], [`png`] or [`terminal`]; the digits of a bar code as
//! Code 128, [`bars()`] once, then [`bar_svg`], [`bar_png`] or [`bar_terminal`].
//!
//! The QR: smallest version at level M, alphanumeric, a fixed mask: choosing the best of eight takes 98 % of an encoder's time
//! and reads no better (`spec/credential.md`, "Drawing").

mod bars;
mod matrix;
mod png;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;

pub use bars::{Bars, bars};
pub use matrix::{DrawError, Matrix, link_matrix, matrix};
pub use png::{bar_png, png};
pub use svg::{bar_svg, svg};
pub use terminal::{bar_terminal, terminal};

/// White modules around the code, which scanners need.
pub const QUIET_ZONE: usize = 4;
/// White modules on either side of a bar code, which scanners need.
pub const BAR_QUIET_ZONE: usize = 10;
/// Height of the bars in modules: enough for a scan line that is not level, and over the 15 % of the width that the standard
/// asks for.
pub const BAR_HEIGHT: usize = 40;
