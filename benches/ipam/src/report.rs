//! The table and the verdict.

use std::fmt;

/// What a figure is held against.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// The figure itself.
    Value(f64),
    /// Its ratio to the peer's.
    Ratio(f64),
    /// Shown only.
    None,
}

/// What one round measured.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    /// The peer's figure.
    pub(crate) peer: Option<f64>,
    pub(crate) limit: Limit,
}

/// One row.
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    /// The least of all rounds.
    value: f64,
    /// The peer's figure of the same round.
    peer: Option<f64>,
    median: f64,
    limit: Limit,
}

impl Figure {
    /// The row of what each round measured of one thing; `None` without a round.
    pub(crate) fn new(mut rounds: Vec<Sample>) -> Option<Self> {
        rounds.sort_by(|a, b| a.value.total_cmp(&b.value));
        let median = rounds.get(rounds.len() / 2)?.value;
        let Sample { name, unit, value, peer, limit } = rounds.into_iter().next()?;
        Some(Self { name, unit, value, peer, median, limit })
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.map(|peer| self.value / peer)
    }

    /// Whether it is within its limit; `None` if it has none.
    fn is_within(&self) -> Option<bool> {
        match self.limit {
            Limit::Value(limit) => Some(self.value <= limit),
            Limit::Ratio(limit) => self.ratio().map(|ratio| ratio <= limit),
            Limit::None => None,
        }
    }
}

/// All rows.
pub(crate) struct Report(pub(crate) Vec<Figure>);

impl Report {
    /// How many figures are within their limit, of how many that have one.
    pub(crate) fn verdict(&self) -> (usize, usize) {
        let verdicts: Vec<bool> = self.0.iter().filter_map(Figure::is_within).collect();
        (verdicts.iter().filter(|within| **within).count(), verdicts.len())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:64} {:>9} {:>9} {:>11} {:>7}  limit", "figure", "least", "median", "peer", "ratio")?;
        for figure in &self.0 {
            let value = format!("{:.0} {}", figure.value, figure.unit);
            let median = format!("{:.0} {}", figure.median, figure.unit);
            let peer = figure.peer.map_or("-".to_owned(), |peer| format!("{peer:.0} {}", figure.unit));
            let ratio = figure.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.4}"));
            let limit = match figure.limit {
                Limit::Value(limit) => format!("{limit:.0} {}", figure.unit),
                Limit::Ratio(limit) => format!("ratio {limit:.2}"),
                Limit::None => "-".to_owned(),
            };
            let exceeded = if figure.is_within() == Some(false) { "  EXCEEDED" } else { "" };
            writeln!(
                f,
                "{:64} {value:>9} {median:>9} {peer:>11} {ratio:>7}  {limit}{exceeded}",
                figure.name
            )?;
        }
        let (within, of) = self.verdict();
        writeln!(f, "bench ipam: {within} of {of} within limit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_least_of_its_rounds_and_the_peer_of_that_round() {
        let sample = |(value, peer)| Sample {
            name: "allocate".to_owned(),
            unit: "ns",
            value,
            peer: Some(peer),
            limit: Limit::Ratio(2.0),
        };
        let rounds = [(900.0, 1.0), (700.0, 500.0), (800.0, 2.0)].map(sample);
        let figure = Figure::new(rounds.into()).unwrap();
        assert_eq!((figure.value, figure.peer, figure.median), (700.0, Some(500.0), 800.0));
        assert_eq!(figure.is_within(), Some(true));
        assert!(Figure::new(Vec::new()).is_none());
    }
}
