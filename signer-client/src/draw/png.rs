//! PNG: one bit a pixel, compressed for speed.

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use super::{BAR_HEIGHT, BAR_QUIET_ZONE, Bars, Matrix, QUIET_ZONE};

/// The code as a PNG with `pixels_per_module` (1 to 64) and the quiet zone.
///
/// # Errors
/// None that writing to memory can cause; the encoder's type has them.
pub fn png(matrix: &Matrix, pixels_per_module: u8) -> Result<Vec<u8>, EncodingError> {
    let mut image =
        Image::white(matrix.size() + 2 * QUIET_ZONE, matrix.size() + 2 * QUIET_ZONE, pixels_per_module);
    for (y, modules) in matrix.rows().enumerate() {
        image.draw(y + QUIET_ZONE, 1, QUIET_ZONE, modules);
    }
    image.encode()
}

/// The bar code as a PNG with `pixels_per_module` (1 to 64), the quiet zone, and a margin as wide above and below.
///
/// # Errors
/// None that writing to memory can cause; the encoder's type has them.
pub fn bar_png(bars: &Bars, pixels_per_module: u8) -> Result<Vec<u8>, EncodingError> {
    let (margin, width) = (2 * BAR_QUIET_ZONE, bars.modules().len());
    let mut image = Image::white(width + margin, BAR_HEIGHT + margin, pixels_per_module);
    image.draw(BAR_QUIET_ZONE, BAR_HEIGHT, BAR_QUIET_ZONE, bars.modules());
    image.encode()
}

/// Rows of whole bytes, a set bit is white.
struct Image {
    bytes: Vec<u8>,
    width: usize,
    height: usize,
    scale: usize,
}

impl Image {
    /// So many modules, each `scale` pixels wide and high.
    fn white(columns: usize, rows: usize, scale: u8) -> Self {
        let scale = usize::from(scale.clamp(1, 64));
        let (width, height) = (columns * scale, rows * scale);
        Self { bytes: vec![0xFF; width.div_ceil(8) * height], width, height, scale }
    }

    /// Draws a row of modules, `rows` rows high, dark is true.
    fn draw(&mut self, top: usize, rows: usize, left: usize, modules: &[bool]) {
        let (scale, stride) = (self.scale, self.width.div_ceil(8));
        let mut line = vec![0xFF_u8; stride];
        for x in (0..modules.len()).filter(|x| modules[*x]) {
            let left = (x + left) * scale;
            for pixel in left..left + scale {
                line[pixel / 8] &= !(0x80 >> (pixel % 8));
            }
        }
        self.bytes[top * scale * stride..(top + rows) * scale * stride]
            .chunks_mut(stride)
            .for_each(|row| row.copy_from_slice(&line));
    }

    fn encode(&self) -> Result<Vec<u8>, EncodingError> {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, side(self.width), side(self.height));
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        encoder.set_compression(Compression::Fastest);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.bytes)?;
        writer.finish()?;
        Ok(bytes)
    }
}
