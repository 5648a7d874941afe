//! A terminal: two rows of modules to a line of half blocks.

use super::{Matrix, QUIET_ZONE};

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
    let (start, end) = if ansi { ("\x1b[38;2;0;0;0;48;2;255;255;255m", "\x1b[0m\n") } else { ("", "\n") };
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
