//! Random numbers that depend on a seed and a place alone, so that threads need not share any.

/// A sequence of random bits (SplitMix64: Steele, Lea & Flood 2014).
pub(super) struct Random(u64);

impl Random {
    /// The sequence of a seed and two numbers, such as an epoch and a point.
    pub(super) fn of(seed: u64, one: u64, other: u64) -> Self {
        let mut random = Self(seed ^ one.rotate_left(40) ^ other.wrapping_mul(0xd134_2543_de82_ef95));
        random.bits();
        random
    }

    #[inline]
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A number below `end`, which is below 2^32.
    #[inline]
    pub(super) fn below(&mut self, end: usize) -> usize {
        (((self.bits() >> 32) * end as u64) >> 32) as usize
    }

    /// A number from 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}
