//! Which of several overlapping things cover an address: pools, reserved networks.

use std::collections::{BTreeMap, BTreeSet};

use crate::interval::Span;

/// Numbers cut into stretches that the same things cover; a look-up costs O(log stretches).
#[derive(Clone, Debug)]
pub(crate) struct Coverage<T> {
    /// Stretches that something covers, ascending, and what covers each, ascending.
    stretches: Vec<(Span, Vec<T>)>,
}

impl<T> Default for Coverage<T> {
    fn default() -> Self {
        Self { stretches: Vec::new() }
    }
}

impl<T: Copy + Ord> Coverage<T> {
    /// Builds the stretches. Spans of different things may overlap, spans of one thing may not.
    pub(crate) fn new(spans: impl IntoIterator<Item = (Span, T)>) -> Self {
        let mut edges: BTreeMap<u128, (Vec<T>, Vec<T>)> = BTreeMap::new();
        for (span, thing) in spans {
            edges.entry(span.first).or_default().0.push(thing);
            if let Some(after) = span.last.checked_add(1) {
                edges.entry(after).or_default().1.push(thing);
            }
        }
        let mut stretches = Vec::new();
        let mut active = BTreeSet::new();
        let ends: Vec<u128> = edges.keys().skip(1).map(|next| next - 1).chain([u128::MAX]).collect();
        for ((first, (starting, ending)), last) in edges.into_iter().zip(ends) {
            for thing in ending {
                active.remove(&thing);
            }
            active.extend(starting);
            if !active.is_empty() {
                stretches.push((Span { first, last }, active.iter().copied().collect()));
            }
        }
        Self { stretches }
    }

    /// Whether nothing covers anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// What covers `number`, ascending.
    pub(crate) fn at(&self, number: u128) -> &[T] {
        match self.stretches.get(self.place(number)) {
            Some((span, things)) if span.first <= number => things,
            _ => &[],
        }
    }

    /// The covered stretches within `span`, ascending, and what covers each.
    pub(crate) fn overlapping(&self, span: Span) -> impl Iterator<Item = (Span, &[T])> {
        let stretches = self.stretches[self.place(span.first)..].iter();
        stretches.map_while(move |(stretch, things)| Some((stretch.intersection(span)?, things.as_slice())))
    }

    /// Place of the first stretch that does not end before `number`.
    fn place(&self, number: u128) -> usize {
        self.stretches.partition_point(|(span, _)| span.last < number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_covers_each_number() {
        let spans = [
            (Span { first: 10, last: 20 }, 'a'),
            (Span { first: 15, last: 30 }, 'b'),
            (Span { first: 31, last: 31 }, 'a'),
            (Span { first: u128::MAX - 1, last: u128::MAX }, 'c'),
        ];
        let coverage = Coverage::new(spans);
        for number in (0..40).chain([u128::MAX - 2, u128::MAX - 1, u128::MAX]) {
            let expected: Vec<char> = ['a', 'b', 'c']
                .into_iter()
                .filter(|thing| spans.iter().any(|(s, t)| t == thing && (s.first..=s.last).contains(&number)))
                .collect();
            assert_eq!(coverage.at(number), expected, "{number}");
        }
    }

    #[test]
    fn clips_stretches_to_the_span_asked_for() {
        let coverage =
            Coverage::new([(Span { first: 10, last: 20 }, 'a'), (Span { first: 15, last: 30 }, 'b')]);
        let found: Vec<(u128, u128, String)> = coverage
            .overlapping(Span { first: 12, last: 22 })
            .map(|(span, things)| (span.first, span.last, things.iter().collect()))
            .collect();
        assert_eq!(found, [(12, 14, "a".into()), (15, 20, "ab".into()), (21, 22, "b".into())]);
        assert_eq!(coverage.overlapping(Span { first: 31, last: 99 }).count(), 0);
        assert_eq!(coverage.overlapping(Span { first: 0, last: 9 }).count(), 0);
    }
}
