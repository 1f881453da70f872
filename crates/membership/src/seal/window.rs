//! Which counters of a sender have been seen.

/// How far a datagram may be overtaken by later ones of its sender and still be taken.
pub(crate) const WINDOW_LEN: u64 = 1024;
const WORDS: usize = (WINDOW_LEN / 64) as usize;

/// A sliding window over counters (RFC 6479, without its lazy part): 128 bytes per sender, and no clock.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The highest counter seen.
    top: u64,
    /// Bit `counter % WINDOW_LEN`: seen, for the counters from `top - WINDOW_LEN + 1` to `top`.
    seen: [u64; WORDS],
}

/// Why a counter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Seen,
    TooOld,
}

impl Window {
    /// Begins with one counter seen; those shortly before it are still welcome.
    pub(crate) fn starting_at(counter: u64) -> Self {
        let mut window = Self { top: counter, seen: [0; WORDS] };
        window.mark(counter);
        window
    }

    /// Marks `counter` as seen, unless it is already or lies before the window.
    pub(crate) fn take(&mut self, counter: u64) -> Result<(), Refused> {
        if counter > self.top {
            let ahead = counter - self.top;
            if ahead >= WINDOW_LEN {
                self.seen = [0; WORDS];
            } else {
                for passed in 1..=ahead {
                    self.clear(self.top + passed);
                }
            }
            self.top = counter;
        } else if self.top - counter >= WINDOW_LEN {
            return Err(Refused::TooOld);
        } else if self.is_seen(counter) {
            return Err(Refused::Seen);
        }
        self.mark(counter);
        Ok(())
    }

    fn mark(&mut self, counter: u64) {
        self.seen[word(counter)] |= bit(counter);
    }

    fn clear(&mut self, counter: u64) {
        self.seen[word(counter)] &= !bit(counter);
    }

    fn is_seen(&self, counter: u64) -> bool {
        self.seen[word(counter)] & bit(counter) != 0
    }
}

fn word(counter: u64) -> usize {
    (counter % WINDOW_LEN / 64) as usize
}

fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_is_taken_once() {
        let mut window = Window::starting_at(5);
        assert_eq!(window.take(5), Err(Refused::Seen));
        assert_eq!(window.take(7), Ok(()));
        assert_eq!(window.take(6), Ok(()));
        assert_eq!(window.take(6), Err(Refused::Seen));
        assert_eq!(window.take(7 + WINDOW_LEN), Ok(()));
        assert_eq!(window.take(8), Ok(()));
        assert_eq!(window.take(7), Err(Refused::TooOld));
        assert_eq!(window.take(u64::MAX), Ok(()));
        assert_eq!(window.take(u64::MAX), Err(Refused::Seen));
    }

    proptest! {
        /// Against a model that remembers all.
        #[test]
        fn behaves_like_a_set_with_a_limit(counters in prop::collection::vec(0_u64..5_000, 1..400)) {
            let mut window = Window::starting_at(counters[0]);
            let mut seen = BTreeSet::from([counters[0]]);
            for counter in &counters[1..] {
                let top = *seen.last().unwrap();
                let expected = if counter + WINDOW_LEN <= top {
                    Err(Refused::TooOld)
                } else if seen.insert(*counter) {
                    Ok(())
                } else {
                    Err(Refused::Seen)
                };
                prop_assert_eq!(window.take(*counter), expected);
            }
        }
    }
}
