//! SVG: one path, a run of dark modules to a stroke, so that it is small and has no seams.

use std::fmt::Write as _;

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
    let mut path = String::new();
    for (y, row) in matrix.rows().enumerate() {
        let mut x = QUIET_ZONE;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&true) {
                let written = write!(path, "M{x} {}h{1}v1h-{1}z", y + QUIET_ZONE, run.len());
                debug_assert!(written.is_ok(), "writing to memory does not fail");
            }
            x += run.len();
        }
    }
    path
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
