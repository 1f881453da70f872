//! Figures, their limits, and the table.

use std::borrow::Cow;
use std::fmt;

use crate::conclusion::Verdict;

/// One row of the table.
#[derive(Debug)]
pub struct Figure {
    /// What was measured.
    pub name: Cow<'static, str>,
    /// Of Keryx, in `unit`.
    pub value: f64,
    /// Behind the value, such as `s`.
    pub unit: &'static str,
    /// Of whom Keryx is compared with, if anybody is.
    pub peer: Option<f64>,
    /// What the value must keep.
    pub limit: Limit,
}

/// What a figure must keep.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Shown only.
    None,
    /// At most so much.
    AtMost(f64),
    /// At most so many times the peer's.
    Ratio(f64),
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.peer.filter(|peer| *peer > 0.0).map(|peer| self.value / peer)
    }

    /// `None` for a figure without a limit. What could not be measured is not within it.
    fn is_within(&self) -> Option<bool> {
        match self.limit {
            Limit::None => None,
            Limit::AtMost(most) => Some(self.value <= most),
            Limit::Ratio(most) => Some(self.ratio().is_some_and(|ratio| ratio <= most)),
        }
    }
}

/// The whole result: notes, table, verdict.
#[derive(Debug)]
pub struct Report {
    /// Name of the benchmark, as in its last line.
    pub bench: &'static str,
    /// Lines before the table.
    pub notes: Vec<String>,
    /// The table.
    pub figures: Vec<Figure>,
}

impl Report {
    fn verdict(&self) -> (usize, usize) {
        let verdicts: Vec<bool> = self.figures.iter().filter_map(Figure::is_within).collect();
        (verdicts.iter().filter(|within| **within).count(), verdicts.len())
    }
}

impl Verdict for Report {
    fn is_met(&self) -> bool {
        let (within, of) = self.verdict();
        within == of
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        writeln!(f, "\n{:60} {:>12} {:>12} {:>6}  limit", "figure", "Keryx", "peer", "ratio")?;
        for figure in &self.figures {
            let shown = |value: f64| format!("{value:.2} {}", figure.unit).trim_end().to_owned();
            let peer = figure.peer.map_or_else(|| "-".to_owned(), shown);
            let ratio = figure.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let limit = match figure.limit {
                Limit::None => "-".to_owned(),
                Limit::AtMost(most) => shown(most),
                Limit::Ratio(most) => format!("ratio {most:.2}"),
            };
            let missed = if figure.is_within() == Some(false) { " MISSED" } else { "" };
            let value = shown(figure.value);
            writeln!(f, "{:60} {value:>12} {peer:>12} {ratio:>6}  {limit}{missed}", figure.name)?;
        }
        let (within, of) = self.verdict();
        writeln!(f, "\nbench {}: {within} of {of} within limit", self.bench)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, peer: Option<f64>, limit: Limit) -> Figure {
        Figure { name: "a".into(), value, unit: "s", peer, limit }
    }

    #[test]
    fn a_limit_is_kept_up_to_its_very_value() {
        let cases = [
            (figure(2.0, None, Limit::AtMost(2.0)), Some(true)),
            (figure(2.1, None, Limit::AtMost(2.0)), Some(false)),
            (figure(f64::NAN, None, Limit::AtMost(2.0)), Some(false)),
            (figure(3.0, Some(2.0), Limit::Ratio(1.5)), Some(true)),
            (figure(3.1, Some(2.0), Limit::Ratio(1.5)), Some(false)),
            (figure(3.1, None, Limit::Ratio(1.5)), Some(false)),
            (figure(9.0, Some(1.0), Limit::None), None),
        ];
        for (figure, wanted) in cases {
            assert_eq!(figure.is_within(), wanted, "{figure:?}");
        }
    }

    #[test]
    fn the_last_line_counts_what_has_a_limit_only() {
        let figures = vec![
            figure(1.0, None, Limit::AtMost(2.0)),
            figure(3.0, None, Limit::AtMost(2.0)),
            figure(3.0, None, Limit::None),
        ];
        let report = Report { bench: "any", notes: vec!["a note".into()], figures };
        let text = report.to_string();
        assert!(text.starts_with("a note\n"), "{text}");
        assert!(text.ends_with("\nbench any: 1 of 2 within limit\n"), "{text}");
        assert_eq!(text.matches("MISSED").count(), 1, "{text}");
        assert!(!report.is_met());
    }
}
