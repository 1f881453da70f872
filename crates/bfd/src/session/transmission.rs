//! When the next packet leaves, and what is owed (RFC 5880 §6.8.7).

use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use crate::random::Random;

/// A packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The answer to a poll; never counts as a periodic one (§6.5).
    Final,
    /// Any other.
    Regular,
}

/// What is owed is noted once, however often it falls due, so a caller that sends nothing piles up nothing.
#[derive(Debug)]
pub(super) struct Transmission {
    random: Random,
    /// What the jitter of the interval after `last` follows from. Kept, so that an interval that changes is not drawn
    /// anew.
    drawn: u32,
    /// When the last regular packet fell due.
    last: Instant,
    is_final_owed: bool,
    is_change_owed: bool,
    is_periodic_owed: bool,
}

impl Transmission {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed);
        let drawn = random.draw_u32();
        Self {
            random,
            drawn,
            last: now,
            is_final_owed: false,
            is_change_owed: false,
            is_periodic_owed: false,
        }
    }

    /// When the next periodic packet is due, `interval` being the negotiated one. Counted from the packet before and
    /// never made up for, so a late caller sends one packet, not a burst.
    pub(super) fn due(&self, interval: Duration, multiplier: NonZeroU8) -> Instant {
        self.last + jittered(interval, multiplier, self.drawn)
    }

    pub(super) fn owe_periodic(&mut self, now: Instant) {
        self.is_periodic_owed = true;
        self.begin_interval(now);
    }

    pub(super) fn owe_change(&mut self, now: Instant) {
        self.is_change_owed = true;
        self.begin_interval(now);
    }

    pub(super) fn owe_final(&mut self) {
        self.is_final_owed = true;
    }

    pub(super) fn is_owed(&self) -> bool {
        self.is_final_owed || self.is_change_owed || self.is_periodic_owed
    }

    /// What to send next. The answer to a poll tells of a change as well as a packet of its own would.
    pub(super) fn take(&mut self) -> Option<Kind> {
        if self.is_final_owed {
            self.is_final_owed = false;
            self.is_change_owed = false;
            return Some(Kind::Final);
        }
        let is_owed = self.is_change_owed || self.is_periodic_owed;
        self.is_change_owed = false;
        self.is_periodic_owed = false;
        is_owed.then_some(Kind::Regular)
    }

    pub(super) fn last(&self) -> Instant {
        self.last
    }

    fn begin_interval(&mut self, now: Instant) {
        self.last = now;
        self.drawn = self.random.draw_u32();
    }
}

/// Takes 0 to 25 % off the interval, or 10 to 25 % if a single missing packet takes the session down: then the next one
/// must not come in the last moment.
fn jittered(interval: Duration, multiplier: NonZeroU8, drawn: u32) -> Duration {
    let least_percent = if multiplier == NonZeroU8::MIN { 10 } else { 0 };
    let most = interval * (100 - least_percent) / 100;
    let least = interval * 75 / 100;
    let span = u64::try_from((most - least).as_nanos()).unwrap_or(u64::MAX);
    // A part of 2^32; the product fits, since no span has 2^96 nanoseconds.
    let part = (u128::from(span) * u128::from(drawn)) >> 32;
    least + Duration::from_nanos(u64::try_from(part).unwrap_or(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn extremes(multiplier: u8) -> (Duration, Duration) {
        let multiplier = NonZeroU8::new(multiplier).unwrap();
        let mut random = Random::new(7);
        let drawn: Vec<_> = (0..10_000).map(|_| jittered(INTERVAL, multiplier, random.draw_u32())).collect();
        (*drawn.iter().min().unwrap(), *drawn.iter().max().unwrap())
    }

    #[test]
    fn jitter_takes_off_up_to_a_quarter() {
        let (least, most) = extremes(3);
        assert!((Duration::from_millis(75)..Duration::from_millis(76)).contains(&least), "{least:?}");
        assert!((Duration::from_millis(99)..=INTERVAL).contains(&most), "{most:?}");
    }

    #[test]
    fn with_multiplier_one_jitter_takes_off_a_tenth_at_least() {
        let (least, most) = extremes(1);
        assert!((Duration::from_millis(75)..Duration::from_millis(76)).contains(&least), "{least:?}");
        assert!((Duration::from_millis(89)..=Duration::from_millis(90)).contains(&most), "{most:?}");
    }

    #[test]
    fn the_limits_of_jitter_are_exact_for_the_shortest_and_the_longest_interval() {
        for interval in [Duration::from_micros(1), Duration::from_micros(u32::MAX.into())] {
            for (multiplier, most_percent) in [(1, 90), (2, 100), (255, 100)] {
                let multiplier = NonZeroU8::new(multiplier).unwrap();
                assert_eq!(jittered(interval, multiplier, 0), interval * 75 / 100);
                let most = jittered(interval, multiplier, u32::MAX);
                assert!(most <= interval * most_percent / 100 && most >= interval * (most_percent - 1) / 100);
            }
        }
    }

    #[test]
    fn what_is_owed_several_times_is_sent_once() {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
        let now = Instant::now();
        let mut transmission = Transmission::new(0, now);
        for _ in 0..3 {
            transmission.owe_final();
            transmission.owe_periodic(now);
            transmission.owe_change(now);
        }
        assert_eq!([transmission.take(), transmission.take()], [Some(Kind::Final), Some(Kind::Regular)]);
        assert_eq!(transmission.take(), None);
    }
}
