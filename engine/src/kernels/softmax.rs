//! The shares that attention gives to each token.

#![allow(unsafe_code)]

use super::lanes::Lanes;
use super::vecmath::exp;

/// Replaces each score s with e^(factor (s - greatest)), `factor` positive, and returns their sum: divided by it they
/// are the softmax of the scaled scores. The caller divides, later and less often.
#[inline(always)]
pub(super) fn softmax_row<L: Lanes>(l: L, scores: &mut [f32], factor: f32) -> f32 {
    let (whole, rest) = (scores.len() / L::LEN, scores.len() % L::LEN);
    let p = scores.as_mut_ptr();
    // SAFETY: whole vectors start at multiples of LEN below `whole`; of the last one only the `rest`
    // lanes that the slice has are touched.
    unsafe {
        let last = p.add(whole * L::LEN);
        let mut most = l.splat(f32::NEG_INFINITY);
        for i in 0..whole {
            most = l.max(most, l.load(p.add(i * L::LEN)));
        }
        if rest > 0 {
            most = l.max(most, l.load_first(last, rest, f32::NEG_INFINITY));
        }
        let factor_lanes = l.splat(factor);
        let shift = l.splat(-factor * l.greatest(most));
        let mut sum = l.splat(0.0);
        for i in 0..whole {
            let share = exp(l, l.mul_add(l.load(p.add(i * L::LEN)), factor_lanes, shift));
            l.store(p.add(i * L::LEN), share);
            sum = l.add(sum, share);
        }
        let mut total = l.sum(sum);
        if rest > 0 {
            let share = exp(l, l.mul_add(l.load_first(last, rest, 0.0), factor_lanes, shift));
            l.store_first(last, share, rest);
            // Zeros in the lanes past the last score, or they would count.
            total += l.sum(l.load_first(last, rest, 0.0));
        }
        total
    }
}
