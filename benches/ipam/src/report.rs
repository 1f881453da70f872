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

/// One row.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    /// The peer's figure.
    pub(crate) peer: Option<f64>,
    pub(crate) limit: Limit,
}

impl Figure {
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
#[derive(Default)]
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
        writeln!(f, "{:58} {:>14} {:>14} {:>9}  limit", "figure", "Keryx", "peer", "ratio")?;
        for figure in &self.0 {
            let value = format!("{:.0} {}", figure.value, figure.unit);
            let peer = figure.peer.map_or("-".to_owned(), |peer| format!("{peer:.0} {}", figure.unit));
            let ratio = figure.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.4}"));
            let limit = match figure.limit {
                Limit::Value(limit) => format!("{limit:.0} {}", figure.unit),
                Limit::Ratio(limit) => format!("ratio {limit:.2}"),
                Limit::None => "-".to_owned(),
            };
            let exceeded = if figure.is_within() == Some(false) { "  EXCEEDED" } else { "" };
            writeln!(f, "{:58} {value:>14} {peer:>14} {ratio:>9}  {limit}{exceeded}", figure.name)?;
        }
        let (within, of) = self.verdict();
        writeln!(f, "bench ipam: {within} of {of} within limit")
    }
}
