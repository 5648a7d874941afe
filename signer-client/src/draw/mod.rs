//! Drawing the text of a code as a QR: [`matrix()`] once, then [`svg`], [`png`] or [`terminal`].
//!
//! Smallest version at level M, alphanumeric, a fixed mask: choosing the best of eight takes 98 % of an encoder's time
//! and reads no better (`spec/credential.md`, "Drawing").

mod matrix;
mod png;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;

pub use matrix::{DrawError, Matrix, matrix};
pub use png::png;
pub use svg::svg;
pub use terminal::terminal;

/// White modules around the code, which scanners need.
pub const QUIET_ZONE: usize = 4;
