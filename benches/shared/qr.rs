//! Drawing one code: our `draw`, and the crate `qrcode` as its own documentation shows it.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Luma};
use qrcode::{QrCode, render::svg};
use signer_client::draw;

/// Pixels in a module of the PNG, on both sides.
const PIXELS: u8 = 8;

/// Ours: text to modules.
///
/// # Panics
/// If the text cannot be drawn.
#[must_use]
pub fn matrix(text: &str) -> draw::Matrix {
    draw::matrix(text).unwrap()
}

/// Ours: text to SVG.
#[must_use]
pub fn svg(text: &str) -> String {
    draw::svg(&matrix(text), "Document code", "Valid for three minutes")
}

/// Ours: text to PNG.
///
/// # Panics
/// If the text cannot be drawn.
#[must_use]
pub fn png(text: &str) -> Vec<u8> {
    draw::png(&matrix(text), PIXELS).unwrap()
}

/// Out of the box: text to modules.
///
/// # Panics
/// If the text cannot be drawn.
#[must_use]
pub fn their_matrix(text: &str) -> QrCode {
    QrCode::new(text).unwrap()
}

/// Out of the box: text to SVG.
#[must_use]
pub fn their_svg(text: &str) -> String {
    their_matrix(text).render::<svg::Color<'_>>().build()
}

/// Out of the box: text to PNG, through the crate `image`.
///
/// # Panics
/// If the text cannot be drawn.
#[must_use]
pub fn their_png(text: &str) -> Vec<u8> {
    let side = u32::from(PIXELS);
    let picture = their_matrix(text).render::<Luma<u8>>().module_dimensions(side, side).build();
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(picture).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}
