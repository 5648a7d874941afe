//! A terminal: two rows of modules to a line of half blocks.

use super::{BAR_QUIET_ZONE, Bars, Matrix, QUIET_ZONE};

/// Sets black on white.
const ANSI: (&str, &str) = ("\x1b[38;2;0;0;0;48;2;255;255;255m", "\x1b[0m\n");
const PLAIN: (&str, &str) = ("", "\n");
/// Lines of a bar code, with one white line above and below.
const BAR_LINES: usize = 3;

/// The code in half blocks, quiet zone included. `ansi` sets black on white, which dark terminals need to be scanned;
/// without it the blocks are the dark modules and the terminal must be dark on light.
#[must_use]
pub fn terminal(matrix: &Matrix, ansi: bool) -> String {
    let side = matrix.size() + 2 * QUIET_ZONE;
    let dark = |y: usize, x: usize| {
        y.checked_sub(QUIET_ZONE)
            .zip(x.checked_sub(QUIET_ZONE))
            .is_some_and(|(row, column)| matrix.dark(row, column))
    };
    let (start, end) = if ansi { ANSI } else { PLAIN };
    let mut out = String::new();
    for y in (0..side).step_by(2) {
        out.push_str(start);
        out.extend((0..side).map(|x| match (dark(y, x), dark(y + 1, x)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        out.push_str(end);
    }
    out
}

/// The bar code in half blocks, two modules to a column, so that with its quiet zone it fits 72 columns. `ansi` as for
/// [`terminal`].
#[must_use]
pub fn bar_terminal(bars: &Bars, ansi: bool) -> String {
    let (start, end) = if ansi { ANSI } else { PLAIN };
    let quiet = [false; BAR_QUIET_ZONE];
    let modules = [&quiet[..], bars.modules(), &quiet[..]].concat();
    let half_blocks = modules.chunks(2).map(|pair| match (pair.first(), pair.get(1)) {
        (Some(true), Some(true)) => '█',
        (Some(true), _) => '▌',
        (_, Some(true)) => '▐',
        _ => ' ',
    });
    let line: String = half_blocks.collect();
    let white = " ".repeat(modules.len().div_ceil(2));
    let lines = std::iter::once(&white).chain(std::iter::repeat_n(&line, BAR_LINES)).chain([&white]);
    lines.map(|line| [start, line, end].concat()).collect()
}
