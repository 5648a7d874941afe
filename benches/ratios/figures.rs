//! What is printed.

use signer_benches::alternate::Compared;

/// Rounds of each comparison of computations.
pub(crate) const ROUNDS: usize = 101;

/// On which side of a number a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
}

struct Figure {
    name: &'static str,
    value: f64,
    goal: Goal,
    measured: String,
}

/// Figures with goals, and lines without.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    information: Vec<String>,
}

impl Report {
    /// A figure with a goal; `measured` says what is behind it.
    pub(crate) fn add(&mut self, name: &'static str, value: f64, goal: Goal, measured: String) {
        self.figures.push(Figure { name, value, goal, measured });
    }

    /// A line without a goal.
    pub(crate) fn inform(&mut self, line: String) {
        self.information.push(line);
    }

    pub(crate) fn print(&self) {
        for figure in &self.figures {
            println!("ratio {} {:.3} goal {}", figure.name, figure.value, figure.goal.text());
        }
        for line in &self.information {
            println!("{line}");
        }
        println!();
        for figure in &self.figures {
            let missed = if figure.goal.is_met(figure.value) { "" } else { "  MISSED" };
            let goal = figure.goal.text();
            println!("{:<41} {:>8.3}  {goal:<8} {}{missed}", figure.name, figure.value, figure.measured);
        }
    }
}

/// Both medians behind a ratio.
pub(crate) fn micros(compared: Compared, baseline: &str, subject: &str) -> String {
    format!("{subject} {:.1} us, {baseline} {:.1} us", compared.subject, compared.baseline)
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
        }
    }

    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}
