//! The shares that attention gives to each token.

#![allow(unsafe_code)]

use super::lanes::Lanes;
use super::vecmath::exp;
#[cfg(target_arch = "x86_64")]
use super::vecmath::exp2_for_bf16;

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

/// Writes e^(factor (s - greatest)) of the first `count` scores s, `factor` positive, as bf16, two to a word, and returns
/// their sum. There is room behind the scores and the words for whole vectors, in which shares are nothing.
///
/// # Panics
/// If there is not, or no score.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn softmax_row_bf16<L: Lanes>(
    l: L,
    scores: &[f32],
    count: usize,
    factor: f32,
    shares: &mut [u32],
) -> f32 {
    let vectors = count.div_ceil(L::LEN);
    assert!(count > 0 && vectors * L::LEN <= scores.len() && scores.len() == 2 * shares.len());
    let (p, last) = (scores.as_ptr(), (vectors - 1) * L::LEN);
    // SAFETY: there are so many vectors of scores, and of shares half as many words.
    unsafe {
        // Beyond the last score its lanes are far below all others: their shares are 1e-36.
        let tail = l.load_first(p.add(last), count - last, f32::NEG_INFINITY);
        let mut most = tail;
        for at in (0..last).step_by(L::LEN) {
            most = l.max(most, l.load(p.add(at)));
        }
        let factor = factor * std::f32::consts::LOG2_E;
        let (shift, factor) = (l.splat(-factor * l.greatest(most)), l.splat(factor));
        let to = shares.as_mut_ptr().cast::<u16>();
        let mut sum = exp2_for_bf16(l, l.mul_add(tail, factor, shift));
        l.store_bf16(to.add(last), sum);
        for at in (0..last).step_by(L::LEN) {
            let share = exp2_for_bf16(l, l.mul_add(l.load(p.add(at)), factor, shift));
            l.store_bf16(to.add(at), share);
            sum = l.add(sum, share);
        }
        for at in (vectors * L::LEN..scores.len()).step_by(L::LEN) {
            l.store_bf16(to.add(at), l.splat(0.0));
        }
        l.sum(sum)
    }
}
