//! Sets of numbers as disjoint intervals in a B-tree: memory follows the number of gaps, never the number of members.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::family::{Family, number};

#[cfg(test)]
mod tests;

/// The numbers from `first` to `last`, both included; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Lowest number.
    pub(crate) first: u128,
    /// Highest number.
    pub(crate) last: u128,
}

impl Span {
    /// Every number of `family`. To look things up with; of IPv6 too many to count or to keep in a set.
    pub(crate) fn all(family: Family) -> Self {
        let last = match family {
            Family::V4 => u128::from(u32::MAX),
            Family::V6 => u128::MAX,
        };
        Self { first: 0, last }
    }

    /// `number` alone.
    pub(crate) fn single(number: u128) -> Self {
        Self { first: number, last: number }
    }

    /// Every address of `network`, its ends included, host bits ignored.
    pub(crate) fn of_network(network: IpNet) -> Self {
        Self { first: number(network.network()), last: number(network.broadcast()) }
    }

    /// How many numbers.
    pub(crate) fn count(self) -> u128 {
        self.last - self.first + 1
    }

    /// What both spans have.
    pub(crate) fn intersection(self, other: Self) -> Option<Self> {
        let both = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        (both.first <= both.last).then_some(both)
    }
}

/// A set of numbers. Finding the lowest or highest member, adding and removing a number cost O(log intervals).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet {
    /// First number of each interval to its last; intervals neither overlap nor touch.
    intervals: BTreeMap<u128, u128>,
}

impl IntervalSet {
    /// Lowest member.
    pub(crate) fn first(&self) -> Option<u128> {
        self.intervals.first_key_value().map(|(&first, _)| first)
    }

    /// Highest member.
    pub(crate) fn last(&self) -> Option<u128> {
        self.intervals.last_key_value().map(|(_, &last)| last)
    }

    /// Whether `number` is a member.
    pub(crate) fn contains(&self, number: u128) -> bool {
        self.intervals.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// The intervals, ascending.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        self.intervals.iter().map(|(&first, &last)| Span { first, last })
    }

    /// The members that lie in `span`, as intervals, ascending.
    pub(crate) fn overlapping(&self, span: Span) -> impl Iterator<Item = Span> {
        let start = self.intervals.range(..=span.first).next_back().map_or(span.first, |(&first, _)| first);
        let found = self.intervals.range(start..=span.last);
        found.filter_map(move |(&first, &last)| Span { first, last }.intersection(span))
    }

    /// The numbers of `span` that are no members, as intervals, ascending.
    pub(crate) fn gaps(&self, span: Span) -> impl Iterator<Item = Span> {
        let ends = self.overlapping(span).map(Some).chain([None]);
        let mut next = Some(span.first);
        ends.filter_map(move |member| {
            let first = next?;
            let before = match member {
                Some(member) => {
                    next = member.last.checked_add(1);
                    member.first.checked_sub(1)?
                }
                None => span.last,
            };
            (first <= before).then_some(Span { first, last: before })
        })
    }

    /// Adds every number of `span`; those already there stay.
    pub(crate) fn insert(&mut self, span: Span) {
        let mut merged = span;
        // Touching intervals join: look one below and one above.
        while let Some((&first, &last)) = self.intervals.range(..=merged.last.saturating_add(1)).next_back() {
            if last < merged.first.saturating_sub(1) {
                break;
            }
            self.intervals.remove(&first);
            merged = Span { first: merged.first.min(first), last: merged.last.max(last) };
        }
        self.intervals.insert(merged.first, merged.last);
    }

    /// Takes every number of `span` out; those not there are ignored.
    pub(crate) fn remove(&mut self, span: Span) {
        while let Some((&first, &last)) = self.intervals.range(..=span.last).next_back() {
            if last < span.first {
                break;
            }
            self.intervals.remove(&first);
            if last > span.last {
                self.intervals.insert(span.last + 1, last);
            }
            if first < span.first {
                self.intervals.insert(first, span.first - 1);
                break;
            }
        }
    }
}
