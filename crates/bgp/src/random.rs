//! Numbers that look random, from a seed: a run with the same seed and the same inputs is the same run.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014). Good enough to spread timers; no secret is made with it.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between three quarters of `interval` and all of it (RFC 4271 §10).
    pub(crate) fn jitter(&mut self, interval: Duration) -> Duration {
        let permille = 750 + u32::try_from(self.draw() % 251).unwrap_or(250);
        interval * permille / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_takes_up_to_a_quarter_and_adds_nothing() {
        let mut random = Random::new(1);
        let drawn: Vec<_> = (0..1_000).map(|_| random.jitter(Duration::from_secs(40))).collect();
        assert!(drawn.iter().all(|drawn| (30_000..=40_000).contains(&drawn.as_millis())));
        assert!(
            drawn.iter().any(|drawn| drawn.as_secs() < 31) && drawn.iter().any(|drawn| drawn.as_secs() >= 39)
        );
    }
}
