//! What is drawn is read back by another library's decoder.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

fn random_text(rng: &mut StdRng, length: usize) -> String {
    let tail = (4..length).map(|_| char::from(ALPHABET[rng.random_range(0..45)]));
    "DQ1:".chars().chain(tail).collect()
}

fn texts() -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(20_261_120);
    (340..=600).step_by(13).chain([600]).map(|length| random_text(&mut rng, length)).collect()
}

fn read(luma: Vec<u8>, width: usize) -> String {
    read_as(rxing::BarcodeFormat::QR_CODE, luma, width)
}

fn read_as(format: rxing::BarcodeFormat, luma: Vec<u8>, width: usize) -> String {
    let side = u32::try_from(width).unwrap();
    let height = u32::try_from(luma.len() / width).unwrap();
    rxing::helpers::detect_in_luma(luma, side, height, Some(format)).unwrap().getText().into()
}

/// Modules (dark is true) drawn large enough for the decoder.
fn read_modules(modules: &[Vec<bool>]) -> String {
    const SCALE: usize = 4;
    let luma = modules.iter().flat_map(|row| {
        let line: Vec<u8> =
            row.iter().flat_map(|dark| std::iter::repeat_n(if *dark { 0 } else { 255 }, SCALE)).collect();
        std::iter::repeat_n(line, SCALE).flatten()
    });
    read(luma.collect(), modules[0].len() * SCALE)
}

#[test]
fn crd_050_png_is_read_back() {
    for text in texts() {
        let image = image::load_from_memory(&png(&matrix(&text).unwrap(), 4).unwrap()).unwrap().to_luma8();
        let width = usize::try_from(image.width()).unwrap();
        assert_eq!(read(image.into_raw(), width), text);
    }
}

#[test]
fn cli_162_the_qr_of_a_link_is_read_back() {
    let (token, mac) =
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8");
    for (server, elapsed) in [("https://signer.example", 0), ("http://127.0.0.1:18991", 86_400)] {
        let link = format!("{server}/link?v=1&t={elapsed}&s={token}&a={mac}");
        let image =
            image::load_from_memory(&png(&link_matrix(&link).unwrap(), 4).unwrap()).unwrap().to_luma8();
        let width = usize::try_from(image.width()).unwrap();
        assert_eq!(read(image.into_raw(), width), link);
    }
    assert_eq!(link_matrix(&"x".repeat(3000)), Err(DrawError::TooLong));
}

#[test]
fn crd_050_svg_is_read_back() {
    for text in texts().iter().step_by(4) {
        let svg = svg(&matrix(text).unwrap(), "Code <1>", "for \"three\" minutes & no more");
        assert!(
            svg.contains("<title id=\"qr-title\">Code &lt;1&gt;</title>")
                && svg.contains("minutes &amp; no more")
        );
        assert_eq!(read_modules(&rasterised(&svg)), *text);
    }
}

/// Paints the one path of our own SVG.
fn rasterised(svg: &str) -> Vec<Vec<bool>> {
    let between = |from: &str| svg.split_once(from).unwrap().1.split('"').next().unwrap();
    let (width, height) = between("viewBox=\"0 0 ").split_once(' ').unwrap();
    let mut image = vec![vec![false; width.parse().unwrap()]; height.parse().unwrap()];
    for run in between("<path d=\"").split_terminator('z') {
        let (start, rest) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
        let (x, y) = start.split_once(' ').unwrap();
        let (length, back) = rest.split_once('v').unwrap();
        let (height, back) = back.split_once("h-").unwrap();
        assert_eq!(length, back);
        let [x, y, length, height] = [x, y, length, height].map(|number| number.parse::<usize>().unwrap());
        image[y..y + height].iter_mut().for_each(|row| row[x..x + length].fill(true));
    }
    image
}

#[test]
fn crd_050_terminal_is_read_back() {
    for text in texts().iter().step_by(4) {
        let matrix = matrix(text).unwrap();
        let (plain, ansi) = (terminal(&matrix, false), terminal(&matrix, true));
        let stripped = ansi.replace("\x1b[38;2;0;0;0;48;2;255;255;255m", "").replace("\x1b[0m", "");
        assert_eq!(stripped, plain, "colours are all that differs");
        let half =
            |line: &str, dark: [char; 2]| line.chars().map(|c| dark.contains(&c)).collect::<Vec<bool>>();
        let rows = plain.lines().flat_map(|line| [half(line, ['█', '▀']), half(line, ['█', '▄'])]);
        assert_eq!(read_modules(&rows.collect::<Vec<_>>()), *text);
    }
}

#[test]
fn crd_051_smallest_version_at_level_m_is_drawn() {
    // Alphanumeric capacity at level M (ISO 18004): v9 262, v10 311, v12 419, v13 483, v15 600.
    for (length, version) in [
        (5, 1),
        (20, 1),
        (21, 2),
        (262, 9),
        (263, 10),
        (311, 10),
        (419, 12),
        (420, 13),
        (483, 13),
        (600, 15),
        (601, 16),
    ] {
        let size = matrix(&"A".repeat(length)).unwrap().size();
        assert_eq!(size, 17 + 4 * version, "{length}");
    }
    assert_eq!(matrix("dq1:abc"), Err(DrawError::NotAlphanumeric));
    assert_eq!(matrix(&"A".repeat(3392)), Err(DrawError::TooLong));
    assert!(matrix(&"A".repeat(3391)).is_ok());
}

#[test]
fn crd_052_code_has_a_white_zone_of_four_modules() {
    let matrix = matrix("DQ1:TEST").unwrap();
    let image = image::load_from_memory(&png(&matrix, 3).unwrap()).unwrap().to_luma8();
    let side = u32::try_from((matrix.size() + 8) * 3).unwrap();
    assert_eq!(image.dimensions(), (side, side));
    let zone = |p: u32| p < 12 || p >= side - 12;
    assert!(image.enumerate_pixels().all(|(x, y, p)| !(zone(x) || zone(y)) || p.0 == [255]));
    assert_eq!(image.get_pixel(12, 12).0, [0], "the finder pattern begins right after it");
}

fn bar_codes() -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(128);
    let random = (0..40).map(|_| format!("{:016}", rng.random_range(0..10_u64.pow(16))));
    ["0000000000000000", "9999999999999999", "0000000000000042"]
        .map(String::from)
        .into_iter()
        .chain(random)
        .collect()
}

fn read_bars(modules: &[Vec<bool>]) -> String {
    const SCALE: usize = 3;
    let luma = modules.iter().flat_map(|row| {
        let line: Vec<u8> =
            row.iter().flat_map(|dark| std::iter::repeat_n(if *dark { 0 } else { 255 }, SCALE)).collect();
        std::iter::repeat_n(line, SCALE).flatten()
    });
    read_as(rxing::BarcodeFormat::CODE_128, luma.collect(), modules[0].len() * SCALE)
}

#[test]
fn cli_100_bar_codes_are_read_back_from_png_svg_and_terminal() {
    for digits in bar_codes() {
        let bars = bars(&digits).unwrap();
        let image = image::load_from_memory(&bar_png(&bars, 2).unwrap()).unwrap().to_luma8();
        let width = usize::try_from(image.width()).unwrap();
        assert_eq!(read_as(rxing::BarcodeFormat::CODE_128, image.into_raw(), width), digits);

        let svg = bar_svg(&bars, "Bar code", "for <three> minutes");
        assert!(svg.contains("<desc id=\"bar-desc\">for &lt;three&gt; minutes</desc>"));
        assert_eq!(read_bars(&rasterised(&svg)), digits);

        let (plain, ansi) = (bar_terminal(&bars, false), bar_terminal(&bars, true));
        let stripped = ansi.replace("\x1b[38;2;0;0;0;48;2;255;255;255m", "").replace("\x1b[0m", "");
        assert_eq!(stripped, plain, "colours are all that differs");
        let halves = |line: &str| -> Vec<bool> {
            line.chars().flat_map(|c| [matches!(c, '█' | '▌'), matches!(c, '█' | '▐')]).collect()
        };
        let rows: Vec<_> = plain.lines().flat_map(|line| vec![halves(line); 4]).collect();
        assert_eq!(plain.lines().map(|line| line.chars().count()).max(), Some(72));
        assert_eq!(read_bars(&rows), digits);
    }
}

#[test]
fn cli_101_a_bar_code_is_set_c_with_ten_white_modules_on_either_side() {
    let bars = bars("0123456789012345").unwrap();
    // Start C, eight pairs, check character: 11 modules each; stop: 13.
    assert_eq!(bars.modules().len(), 10 * 11 + 13);
    let start_c = [2, 1, 1, 2, 3, 2];
    let widths: Vec<usize> = bars.modules().chunk_by(|a, b| a == b).take(6).map(<[bool]>::len).collect();
    assert_eq!(widths, start_c);
    let image = image::load_from_memory(&bar_png(&bars, 3).unwrap()).unwrap().to_luma8();
    assert_eq!(image.dimensions(), (3 * 143, 3 * 60));
    let white = |x: u32, y: u32| !(30..3 * 133).contains(&x) || !(30..150).contains(&y);
    assert!(image.enumerate_pixels().all(|(x, y, pixel)| !white(x, y) || pixel.0 == [255]));
    assert_eq!(image.get_pixel(30, 30).0, [0], "the first bar begins right after it");
    for bad in ["", "123", "012345678901234", "01234567890123456", "0123 4567 8901 23", "012345678901234x"] {
        assert_eq!(super::bars(bad), Err(DrawError::NotSixteenDigits), "{bad}");
    }
    assert_eq!(format!("{bars:?}"), "Bars(redacted)");
}
