//! From rounds to rows.

use std::time::Duration;

use keryx_benches::figures::{Figure, Limit};

use crate::events::{EVENTS, Event};
use crate::scene::Round;

/// Two announcers at most so long after any event, in milliseconds.
const OVERLAP_MAX_MS: f64 = 200.0;

/// What the rounds of one event have shown.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    outages: Vec<Duration>,
    silences: Vec<Duration>,
    new_clients: Vec<Duration>,
    overlaps: Vec<Duration>,
    failure: Option<String>,
}

impl Rounds {
    pub(crate) fn push(&mut self, round: &Round) {
        self.outages.push(round.outage.unanswered);
        self.silences.push(round.outage.silence);
        self.new_clients.push(round.new_clients);
        self.overlaps.push(round.overlap);
    }

    /// After what was measured, a round did not come to its end.
    pub(crate) fn fail(&mut self, why: String) {
        self.failure = Some(why);
    }

    /// Every round, in lines.
    pub(crate) fn notes(&self, name: &str, event: &Event) -> Vec<String> {
        let failed = self.failure.iter().map(|why| format!("  FAILED in {why}"));
        [
            format!("{name}, {}, outages in ms: {}", event.name, listed(&self.outages)),
            format!("  longest waits for any answer, in ms: {}", listed(&self.silences)),
            format!("  new clients, in ms: {}", listed(&self.new_clients)),
            format!("  two announcers, in ms: {}", listed(&self.overlaps)),
        ]
        .into_iter()
        .chain(failed)
        .collect()
    }
}

/// The figures of all events, of one contender. `None` where an event does not concern it.
type Measured = Vec<Option<Rounds>>;

/// What is taken from the rounds of one event.
type Of = fn(&Rounds) -> &Vec<Duration>;

/// What is made of them, in milliseconds.
type Take = fn(&[Duration]) -> f64;

/// The table: each figure beside the first peer that has it, and again, without a limit, beside the next.
pub(crate) fn figures(keryx: &Measured, peers: &[(&'static str, Measured)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (number, event) in EVENTS.iter().enumerate() {
        let of_event =
            |measured: &Measured, of: Of| measured.get(number)?.as_ref().map(|rounds| of(rounds).clone());
        let rows: [(&str, Of, Take, Limit); 4] = [
            ("p50", |rounds| &rounds.outages, p50, Limit::None),
            ("max", |rounds| &rounds.outages, max, Limit::AtMost(event.most_ms)),
            ("new clients, p50", |rounds| &rounds.new_clients, p50, Limit::None),
            ("new clients, max", |rounds| &rounds.new_clients, max, Limit::AtMost(event.most_new_ms)),
        ];
        for (which, of, take, limit) in rows {
            let Some(own) = of_event(keryx, of) else { continue };
            let beside =
                peers.iter().filter_map(|(peer, measured)| Some((*peer, take(&of_event(measured, of)?))));
            figures.extend(rows_of(&format!("{}, {which}", event.name), take(&own), limit, beside));
        }
    }
    let overlap = |measured: &Measured| {
        let all: Vec<Duration> =
            measured.iter().flatten().flat_map(|rounds| rounds.overlaps.iter().copied()).collect();
        max(&all)
    };
    let beside = peers.iter().map(|(peer, measured)| (*peer, overlap(measured)));
    let name = "two announcers on the wire, longest";
    figures.extend(rows_of(name, overlap(keryx), Limit::AtMost(OVERLAP_MAX_MS), beside));
    figures
}

/// One row without a peer, or one for each.
fn rows_of(
    name: &str,
    value: f64,
    limit: Limit,
    peers: impl Iterator<Item = (&'static str, f64)>,
) -> Vec<Figure> {
    let row = |name: String, peer, limit| Figure { name: name.into(), value, unit: "ms", peer, limit };
    let mut rows: Vec<Figure> = peers
        .enumerate()
        .map(|(number, (peer, theirs))| {
            row(format!("{name} ({peer})"), Some(theirs), if number == 0 { limit } else { Limit::None })
        })
        .collect();
    if rows.is_empty() {
        rows.push(row(name.to_owned(), None, limit));
    }
    rows
}

fn p50(outages: &[Duration]) -> f64 {
    let mut sorted = outages.to_vec();
    sorted.sort_unstable();
    millis(sorted.get(sorted.len() / 2).copied().unwrap_or_default())
}

fn max(outages: &[Duration]) -> f64 {
    millis(outages.iter().max().copied().unwrap_or_default())
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn listed(outages: &[Duration]) -> String {
    outages.iter().map(|outage| format!("{:.0}", millis(*outage))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_a_row_and_the_first_has_the_limit() {
        let rows =
            |peers: &[(&'static str, f64)]| rows_of("a", 1.0, Limit::AtMost(2.0), peers.iter().copied());
        let limited = |rows: &[Figure]| rows.iter().filter(|row| !matches!(row.limit, Limit::None)).count();
        let alone = rows(&[]);
        assert_eq!((alone.len(), limited(&alone), &*alone[0].name), (1, 1, "a"));
        let two = rows(&[("b", 9.0), ("c", 8.0)]);
        assert_eq!((two.len(), limited(&two)), (2, 1));
        assert_eq!(
            two.iter().map(|row| (&*row.name, row.peer)).collect::<Vec<_>>(),
            [("a (b)", Some(9.0)), ("a (c)", Some(8.0))]
        );
    }

    #[test]
    fn the_median_is_the_upper_of_two() {
        let of = |all: &[u64]| p50(&all.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>());
        assert_eq!((of(&[3, 1, 2]), of(&[4, 1]), of(&[])), (2.0, 4.0, 0.0));
    }
}
