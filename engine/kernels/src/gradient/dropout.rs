//! Dropout (Srivastava et al. 2014) without a stored mask: whether a value stays follows from the seed and its place.

use crate::cpu::Isa;
use crate::lanes::{Kernel, Lanes, dispatch};

/// A dropout of one place in the network and one step of training.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    threshold: u32,
    factor: f32,
    seed: u32,
}

impl Dropout {
    /// Drops each value with `probability`, by the random numbers of `seed`.
    ///
    /// # Panics
    /// Unless the probability is at least 0 and below 1.
    pub fn new(probability: f64, seed: u64) -> Self {
        assert!((0.0..1.0).contains(&probability), "a probability below 1");
        Self {
            threshold: (probability * 2f64.powi(32)) as u32,
            factor: (1.0 / (1.0 - probability)) as f32,
            seed: mix(seed as u32 ^ mix((seed >> 32) as u32)),
        }
    }

    /// None at all.
    pub fn none() -> Self {
        Self::new(0.0, 0)
    }

    /// Whether it does nothing.
    pub fn is_none(&self) -> bool {
        self.threshold == 0
    }

    /// The same with other random numbers, for the `place`-th of several parts.
    pub fn at(self, place: usize) -> Self {
        Self { seed: mix(self.seed.wrapping_add((place as u32).wrapping_mul(0x9e37_79b9))), ..self }
    }

    /// What value `index` is multiplied by: 0 where it is dropped.
    #[inline(always)]
    pub(super) fn factor(&self, index: u32) -> f32 {
        if mix(self.seed ^ index) >= self.threshold { self.factor } else { 0.0 }
    }

    /// Drops from `values`, the first of which stands at `first`. The gradient of this is the same call.
    pub fn apply(&self, isa: Isa, first: usize, values: &mut [f32]) {
        if !self.is_none() {
            dispatch(isa, Apply { dropout: *self, first: first as u32, values });
        }
    }
}

/// A bijection of 32 bits after which neighbours have nothing in common (the finaliser of MurmurHash3).
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 13;
    x = x.wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

struct Apply<'a> {
    dropout: Dropout,
    first: u32,
    values: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        for (index, value) in self.values.iter_mut().enumerate() {
            *value *= self.dropout.factor(self.first.wrapping_add(index as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa;

    #[test]
    fn as_many_values_are_dropped_as_asked_and_the_mean_stays() {
        for probability in [0.1, 0.5] {
            let mut values = vec![1.0; 100_000];
            Dropout::new(probability, 7).apply(isa(), 0, &mut values);
            let dropped = values.iter().filter(|value| **value == 0.0).count() as f64 / 1e5;
            assert!((dropped - probability).abs() < 0.01, "{dropped}");
            let mean = values.iter().sum::<f32>() / 1e5;
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
        }
    }

    #[test]
    fn a_mask_depends_on_seed_and_place_only() {
        let mask = |dropout: Dropout, first, length| {
            let mut values = vec![1.0; length];
            dropout.apply(isa(), first, &mut values);
            values
        };
        let dropout = Dropout::new(0.5, 1);
        let whole = mask(dropout, 0, 100);
        assert_eq!(mask(dropout, 40, 60), whole[40..]);
        assert_ne!(mask(Dropout::new(0.5, 2), 0, 100), whole);
        assert_ne!(mask(dropout.at(1), 0, 100), whole);
        assert_eq!(mask(Dropout::none(), 0, 3), [1.0; 3]);
    }
}
