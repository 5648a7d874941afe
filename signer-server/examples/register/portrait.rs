//! Portraits: a head and shoulders of flat colours, drawn from a number. Nobody's face.

/// Width and height, pixels.
const SIDE: u32 = 64;

/// The portrait with this number, PNG.
pub(crate) fn draw(number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap_or_default();
    let colour = |salt: u32| {
        let mixed =
            (number + 1).wrapping_mul(0x9E37_79B1).rotate_left(salt * 7) ^ salt.wrapping_mul(0x85EB_CA6B);
        let [a, b, c, _] = mixed.to_be_bytes();
        [a | 0x40, b | 0x40, c | 0x40]
    };
    let [wall, skin, hair, shirt] = [1, 2, 3, 4].map(colour);
    let head = 13 + number % 5;
    let mut pixels = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            // Twice the distance from the middle column, so that it is a whole number.
            let across = (2 * x).abs_diff(SIDE - 1);
            let within = |middle: u32, radius: u32| {
                let down = (2 * y).abs_diff(2 * middle);
                across * across + down * down < 4 * radius * radius
            };
            pixels.extend(match () {
                () if within(26, head) && y < 18 + number % 4 => hair,
                () if within(26, head) => skin,
                () if within(68, 26) => shirt,
                () => wall,
            });
        }
    }
    encode(&pixels).unwrap_or_default()
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(out)
}
