//! Numbers that look random and follow from a seed: jitter, and discriminators that need only differ and be hard to
//! guess by chance.

/// SplitMix64 (Steele, Lea, Flood 2014). No secret is made with it.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, each of 64 bits as likely set as not.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number, of 32 bits.
    pub(crate) fn draw_u32(&mut self) -> u32 {
        // The shift leaves 32 bits.
        (self.draw() >> 32) as u32
    }
}
