//! The free addresses of a pool. Stretches that are wholly free are intervals; where some of 64 neighbours are taken, a word
//! says which. So memory follows what is taken, 64 to a word, and however addresses come and go, finding the lowest
//! or highest free one and changing one costs a look-up among the words.

use std::collections::BTreeMap;

use crate::interval::{IntervalSet, Span};

/// Numbers in a word.
const WORD: u128 = 64;

/// A set of fewer than 2^128 numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FreeSet {
    /// Words whose members stand in `partial`, or else are all 64.
    whole: IntervalSet,
    /// Words of which some numbers are members and some are not, whether or not `whole` has them.
    partial: BTreeMap<u128, u64>,
    count: u128,
}

impl FreeSet {
    /// How many numbers are in the set.
    pub(crate) fn count(&self) -> u128 {
        self.count
    }

    /// Lowest member.
    pub(crate) fn first(&self) -> Option<u128> {
        let partial = self.partial.first_key_value().map(|(&word, &members)| (word, members));
        let (word, members) = match (partial, self.whole.first()) {
            (Some((word, members)), Some(whole)) if word <= whole => (word, members),
            (Some(partial), None) => partial,
            (_, whole) => (whole?, u64::MAX),
        };
        Some(word * WORD + u128::from(members.trailing_zeros()))
    }

    /// Highest member.
    pub(crate) fn last(&self) -> Option<u128> {
        let partial = self.partial.last_key_value().map(|(&word, &members)| (word, members));
        let (word, members) = match (partial, self.whole.last()) {
            (Some((word, members)), Some(whole)) if word >= whole => (word, members),
            (Some(partial), None) => partial,
            (_, whole) => (whole?, u64::MAX),
        };
        Some(word * WORD + u128::from(63 - members.leading_zeros()))
    }

    /// Adds every number of `span`; those already there stay.
    pub(crate) fn insert(&mut self, span: Span) {
        self.change(span, true);
    }

    /// Takes every number of `span` out; those not there are ignored.
    pub(crate) fn remove(&mut self, span: Span) {
        self.change(span, false);
    }

    /// Adds or takes out one number.
    pub(crate) fn set(&mut self, number: u128, member: bool) {
        self.change_word(number / WORD, 1 << (number % WORD), member);
    }

    fn change(&mut self, span: Span, add: bool) {
        let (first, last) = (span.first / WORD, span.last / WORD);
        let from = u64::MAX << (span.first % WORD);
        let to = u64::MAX >> (WORD - 1 - span.last % WORD);
        if first == last {
            self.change_word(first, from & to, add);
            return;
        }
        self.change_word(first, from, add);
        self.change_word(last, to, add);
        if last - first > 1 {
            self.change_words(Span { first: first + 1, last: last - 1 }, add);
        }
    }

    fn change_word(&mut self, word: u128, numbers: u64, add: bool) {
        let change = |before: u64| if add { before | numbers } else { before & !numbers };
        let (before, after) = if let Some(members) = self.partial.get_mut(&word) {
            let before = *members;
            *members = change(before);
            (before, *members)
        } else {
            let before = if self.whole.contains(word) { u64::MAX } else { 0 };
            let after = change(before);
            if before == after {
                return;
            }
            self.partial.insert(word, after);
            (before, after)
        };
        self.count += u128::from(after.count_ones());
        self.count -= u128::from(before.count_ones());
        if after == 0 || after == u64::MAX {
            self.partial.remove(&word);
            let word = Span::single(word);
            if add { self.whole.insert(word) } else { self.whole.remove(word) }
        }
    }

    /// The same for words from end to end.
    fn change_words(&mut self, words: Span, add: bool) {
        let mut before: u128 = self.whole.overlapping(words).map(|span| span.count() * WORD).sum();
        for (word, members) in self.partial.extract_if(words.first..=words.last, |_, _| true) {
            before += u128::from(members.count_ones());
            if self.whole.contains(word) {
                before -= WORD;
            }
        }
        self.count -= before;
        if add {
            self.whole.insert(words);
            self.count += words.count() * WORD;
        } else {
            self.whole.remove(words);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            steps in prop::collection::vec((0..400_u128, 0..200_u128, any::<bool>(), any::<bool>()), 1..60),
        ) {
            let mut set = FreeSet::default();
            let mut plain = BTreeSet::new();
            for (first, more, add, single) in steps {
                let span = Span { first, last: if single { first } else { first + more } };
                if single {
                    set.set(first, add);
                    if add { plain.insert(first) } else { plain.remove(&first) };
                } else if add {
                    set.insert(span);
                    plain.extend(span.first..=span.last);
                } else {
                    set.remove(span);
                    plain.retain(|number| !(span.first..=span.last).contains(number));
                }
                prop_assert_eq!(set.count(), plain.len() as u128);
                prop_assert_eq!(set.first(), plain.first().copied());
                prop_assert_eq!(set.last(), plain.last().copied());
            }
            // Emptied from below, every member turns up once.
            let emptied = std::iter::from_fn(|| {
                let lowest = set.first()?;
                set.remove(Span::single(lowest));
                Some(lowest)
            });
            prop_assert!(emptied.eq(plain));
            prop_assert_eq!(set, FreeSet::default());
        }
    }

    #[test]
    fn takes_the_widest_spans() {
        let mut set = FreeSet::default();
        set.insert(Span { first: 1, last: u128::MAX });
        assert_eq!((set.count(), set.first(), set.last()), (u128::MAX, Some(1), Some(u128::MAX)));
        set.remove(Span { first: 0, last: u128::MAX - 1 });
        assert_eq!((set.count(), set.first(), set.last()), (1, Some(u128::MAX), Some(u128::MAX)));
    }
}
