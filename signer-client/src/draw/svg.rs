//! SVG: one path, a run of dark modules to a stroke, so that it is small and has no seams.

use super::{Matrix, QUIET_ZONE};

/// The code as an SVG document. A screen reader says `title` and `description`.
#[must_use]
pub fn svg(matrix: &Matrix, title: &str, description: &str) -> String {
    let (title, description) = (escaped(title), escaped(description));
    let side = matrix.size() + 2 * QUIET_ZONE;
    let path = path(matrix);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\" \
         aria-labelledby=\"qr-title qr-desc\" shape-rendering=\"crispEdges\">\
         <title id=\"qr-title\">{title}</title><desc id=\"qr-desc\">{description}</desc>\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

/// `M x y h length v1 h-length z` for each run of dark modules.
fn path(matrix: &Matrix) -> String {
    // About a quarter of the modules begin a run, and a run takes about 18 characters.
    let mut path = String::with_capacity(matrix.size() * matrix.size() * 5);
    for (y, row) in (QUIET_ZONE..).zip(matrix.rows()) {
        let mut x = QUIET_ZONE;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&true) {
                for (text, number) in [("M", x), (" ", y), ("h", run.len()), ("v1h-", run.len())] {
                    path.push_str(text);
                    push_number(&mut path, number);
                }
                path.push('z');
            }
            x += run.len();
        }
    }
    path
}

/// In decimal, several times as fast as `write!`, which would take most of the time of drawing.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.extend(u32::try_from(number % 10).ok().and_then(|digit| char::from_digit(digit, 10)));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
