//! PNG: one bit a pixel, compressed for speed.

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use super::{Matrix, QUIET_ZONE};

/// The code as a PNG with `pixels_per_module` (1 to 64) and the quiet zone.
///
/// # Errors
/// None that writing to memory can cause; the encoder's type has them.
pub fn png(matrix: &Matrix, pixels_per_module: u8) -> Result<Vec<u8>, EncodingError> {
    let scale = usize::from(pixels_per_module.clamp(1, 64));
    let side = (matrix.size() + 2 * QUIET_ZONE) * scale;
    let width = u32::try_from(side).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, width);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    encoder.set_compression(Compression::Fastest);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels(matrix, side, scale))?;
    writer.finish()?;
    Ok(bytes)
}

/// Rows of whole bytes, a set bit is white.
fn pixels(matrix: &Matrix, side: usize, scale: usize) -> Vec<u8> {
    let stride = side.div_ceil(8);
    let mut image = vec![0xFF; stride * side];
    for (y, modules) in matrix.rows().enumerate() {
        let top = (y + QUIET_ZONE) * scale;
        let mut row = vec![0xFF_u8; stride];
        for x in (0..modules.len()).filter(|x| modules[*x]) {
            let left = (x + QUIET_ZONE) * scale;
            for pixel in left..left + scale {
                row[pixel / 8] &= !(0x80 >> (pixel % 8));
            }
        }
        image[top * stride..(top + scale) * stride]
            .chunks_mut(stride)
            .for_each(|line| line.copy_from_slice(&row));
    }
    image
}
