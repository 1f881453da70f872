//! Numbers that look random, from a seed: a run with the same seed and the same inputs is the same run.

/// SplitMix64 (Steele, Lea, Flood 2014). Good enough to choose whom to tell; no secret is made with it.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, each of 64 bits as likely set as not.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Up to `count` of `from`, each as likely as any other, in no special order.
    pub(crate) fn choose<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(from.len());
        for taken in 0..count {
            let left = (from.len() - taken) as u64;
            // The remainder is below `left`, which came from a `usize`.
            let other = taken + (self.draw() % left) as usize;
            from.swap(taken, other);
        }
        from.truncate(count);
        from
    }
}

/// The finalizer of SplitMix64: a bijection whose output bits all depend on all input bits.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_no_double_and_no_stranger() {
        let mut random = Random::new(1);
        for count in 0..12 {
            let mut chosen = random.choose((0..8).collect(), count);
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), count.min(8));
            assert!(chosen.iter().all(|chosen| *chosen < 8));
        }
    }

    #[test]
    fn every_element_is_chosen_about_as_often() {
        let mut random = Random::new(2);
        let mut hits = [0_u32; 5];
        for _ in 0..5_000 {
            for chosen in random.choose((0..5).collect(), 2) {
                hits[chosen] += 1;
            }
        }
        assert!(hits.iter().all(|hits| (1_800..2_200).contains(hits)), "{hits:?}");
    }
}
