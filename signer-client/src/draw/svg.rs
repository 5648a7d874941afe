//! SVG: one path, a run of dark modules to a stroke, so that it is small and has no seams.

use super::{BAR_HEIGHT, BAR_QUIET_ZONE, Bars, Matrix, QUIET_ZONE};

/// The code as an SVG document. A screen reader says `title` and `description`.
#[must_use]
pub fn svg(matrix: &Matrix, title: &str, description: &str) -> String {
    let side = matrix.size() + 2 * QUIET_ZONE;
    // About a quarter of the modules begin a run, and a run takes about 18 characters.
    let mut path = String::with_capacity(matrix.size() * matrix.size() * 5);
    for (y, row) in (QUIET_ZONE..).zip(matrix.rows()) {
        push_row(&mut path, QUIET_ZONE, y, 1, row);
    }
    document("qr", (side, side), &path, title, description)
}

/// The bar code as an SVG document, with a margin above and below as wide as the quiet zone. A screen reader says `title` and
/// `description`.
#[must_use]
pub fn bar_svg(bars: &Bars, title: &str, description: &str) -> String {
    let size = (bars.modules().len() + 2 * BAR_QUIET_ZONE, BAR_HEIGHT + 2 * BAR_QUIET_ZONE);
    let mut path = String::new();
    push_row(&mut path, BAR_QUIET_ZONE, BAR_QUIET_ZONE, BAR_HEIGHT, bars.modules());
    document("bar", size, &path, title, description)
}

/// `name` keeps the ids of two pictures on one page apart.
fn document(
    name: &str,
    (width, height): (usize, usize),
    path: &str,
    title: &str,
    description: &str,
) -> String {
    let (title, description) = (escaped(title), escaped(description));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"{name}-title {name}-desc\" shape-rendering=\"crispEdges\">\
         <title id=\"{name}-title\">{title}</title><desc id=\"{name}-desc\">{description}</desc>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

/// `M x y h length v height h-length z` for each run of dark modules.
fn push_row(path: &mut String, left: usize, y: usize, height: usize, modules: &[bool]) {
    let mut x = left;
    for run in modules.chunk_by(|a, b| a == b) {
        if run.first() == Some(&true) {
            for (text, number) in [("M", x), (" ", y), ("h", run.len()), ("v", height), ("h-", run.len())] {
                path.push_str(text);
                push_number(path, number);
            }
            path.push('z');
        }
        x += run.len();
    }
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
