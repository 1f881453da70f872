//! From samples to figures, and from figures to a verdict.

use std::fmt;

use keryx_benches::conclusion::Verdict;

use crate::samples::{Sample, Samples};
use keryx_benches::side::Side;

/// Largest ratio of Keryx' figure to the peer's.
const RATIO_MAX: f64 = 1.0;
const NANOS_PER_MS: f64 = 1e6;

/// The whole result: notes, table, verdict.
#[derive(Debug)]
pub(crate) struct Report {
    notes: Vec<String>,
    figures: Vec<Figure>,
}

/// One row of the table, in milliseconds.
#[derive(Debug)]
struct Figure {
    name: String,
    keryx: f64,
    peer: Option<f64>,
    /// Whether it may not be slower than the peer's. Parts of a figure that has the limit do not have it again.
    is_limited: bool,
}

/// From one time of a sample to another.
type Span = fn(&Sample) -> Option<(u64, u64)>;

/// A span, its name, and whether its figures are limited.
const OF_SERVICES: [(&str, Span, bool); 4] = [
    ("Service: POST alone", |s| Some((s.posted, s.accepted)), false),
    ("Service: create to status", |s| Some((s.posted, s.assigned)), true),
    ("Service: status to first ARP", |s| Some((s.assigned, s.announced)), false),
    ("Service: create to first ARP", |s| Some((s.posted, s.announced)), true),
];
const OF_GATEWAYS: [(&str, Span); 3] = [
    ("Gateway: create to status", |s| Some((s.posted, s.assigned))),
    ("Gateway: create to first ARP", |s| Some((s.posted, s.announced))),
    ("Gateway: create to first answer", |s| Some((s.posted, s.connected?))),
];

impl Report {
    pub(crate) fn new(samples: &Samples, notes: Vec<String>) -> Self {
        let (keryx, peer) = (samples.of(Side::KERYX.name), samples.of(Side::METALLB.name));
        let gateways: Vec<&Sample> = samples.gateways.iter().collect();
        let mut figures = Vec::new();
        for (name, span, is_limited) in OF_SERVICES {
            for (which, percent) in [("p50", 50), ("p99", 99)] {
                let peer = percentile(&lengths(&peer, span), percent);
                let keryx = percentile(&lengths(&keryx, span), percent);
                figures.extend(keryx.map(|keryx| Figure {
                    name: format!("{name}, {which}"),
                    keryx,
                    peer,
                    is_limited,
                }));
            }
        }
        for (name, span) in OF_GATEWAYS {
            for (which, percent) in [("p50", 50), ("max", 100)] {
                let keryx = percentile(&lengths(&gateways, span), percent);
                let name = format!("{name}, {which}");
                figures.extend(keryx.map(|keryx| Figure { name, keryx, peer: None, is_limited: false }));
            }
        }
        Self { notes, figures }
    }

    /// How many figures are within their limit, of how many that have one.
    fn verdict(&self) -> (usize, usize) {
        let verdicts: Vec<bool> = self.figures.iter().filter_map(Figure::is_within).collect();
        (verdicts.iter().filter(|within| **within).count(), verdicts.len())
    }
}

impl Figure {
    /// Keryx' figure by the peer's; `None` without a peer, and where a difference of two observers is not positive.
    fn ratio(&self) -> Option<f64> {
        let peer = self.peer.filter(|peer| *peer > 0.0 && self.keryx > 0.0)?;
        Some(self.keryx / peer)
    }

    /// `None` for a figure without a limit.
    fn is_within(&self) -> Option<bool> {
        let peer = self.peer.filter(|_| self.is_limited)?;
        Some(self.keryx <= RATIO_MAX * peer)
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
        let peer = format!("{} ms", Side::METALLB.name);
        writeln!(f, "\n{:36} {:>10} {peer:>10} {:>6}  limit", "figure", "Keryx ms", "ratio")?;
        for figure in &self.figures {
            let peer = figure.peer.map_or_else(|| "not given".to_owned(), |peer| format!("{peer:.2}"));
            let ratio = figure.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let limit = match figure.is_within() {
                Some(true) => format!("{RATIO_MAX:.2}"),
                Some(false) => format!("{RATIO_MAX:.2} MISSED"),
                None => "-".to_owned(),
            };
            writeln!(f, "{:36} {:>10.2} {peer:>10} {ratio:>6}  {limit}", figure.name, figure.keryx)?;
        }
        let (within, of) = self.verdict();
        writeln!(f, "\nbench latency: {within} of {of} within limit")
    }
}

/// Lengths of a span in milliseconds, shortest first. One observer may be later than the other: a length can be below
/// zero.
fn lengths(samples: &[&Sample], span: Span) -> Vec<f64> {
    let spans = samples.iter().filter_map(|sample| span(sample));
    let mut lengths: Vec<f64> =
        spans.map(|(from, to)| (i128::from(to) - i128::from(from)) as f64 / NANOS_PER_MS).collect();
    lengths.sort_by(f64::total_cmp);
    lengths
}

/// The smallest value that at least `percent` of the values do not exceed (nearest rank).
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests;
