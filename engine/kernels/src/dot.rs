//! The dot product: the inner loop of every search.
#![allow(unsafe_code)]

use super::cpu::{Isa, isa};
use super::lanes::{Kernel, Lanes, dispatch};

/// The dot product of `a` and `b`.
///
/// Sums in another order than a plain loop does: it differs from the exact sum by at most
/// `n * EPSILON * sum |a_i * b_i|`. NaN and infinities go through it as IEEE 754 says.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_on(isa(), a, b)
}

#[inline]
fn dot_on(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "a dot product of vectors of different lengths");
    dispatch(isa, Dot { a, b })
}

/// Two vectors of one length.
struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let length = self.a.len().min(self.b.len());
        let (a, b) = (self.a.as_ptr(), self.b.as_ptr());
        // As many sums as a processor has multiply-adds under way at once.
        let mut sums = [lanes.splat(0.0); 8];
        let mut at = 0;
        while at + sums.len() * L::LEN <= length {
            for sum in &mut sums {
                // SAFETY: `at + LEN` is at most `length`, which both vectors have.
                let (x, y) = unsafe { (lanes.load(a.add(at)), lanes.load(b.add(at))) };
                *sum = lanes.mul_add(x, y, *sum);
                at += L::LEN;
            }
        }
        while at + L::LEN <= length {
            // SAFETY: as above.
            let (x, y) = unsafe { (lanes.load(a.add(at)), lanes.load(b.add(at))) };
            sums[0] = lanes.mul_add(x, y, sums[0]);
            at += L::LEN;
        }
        let rest = length - at;
        if rest > 0 {
            // SAFETY: `rest` floats, fewer than `LEN`, lie between `at` and `length`.
            let (x, y) =
                unsafe { (lanes.load_first(a.add(at), rest, 0.0), lanes.load_first(b.add(at), rest, 0.0)) };
            sums[1] = lanes.mul_add(x, y, sums[1]);
        }
        let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
        let low = lanes.add(lanes.add(s0, s1), lanes.add(s2, s3));
        let high = lanes.add(lanes.add(s4, s5), lanes.add(s6, s7));
        lanes.sum(lanes.add(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_exact_sum_within_the_stated_bound(
            pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..900),
            skip in 0usize..17,
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            // Whatever the alignment.
            let (a, b) = (&a[skip.min(a.len())..], &b[skip.min(b.len())..]);
            let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
            let exact: f64 = products.clone().sum();
            let magnitude: f64 = products.map(f64::abs).sum();
            let bound = a.len() as f64 * f64::from(f32::EPSILON) * magnitude;
            for isa in Isa::available() {
                let error = (f64::from(dot_on(isa, a, b)) - exact).abs();
                prop_assert!(error <= bound, "{isa:?}: {error} > {bound}");
            }
        }
    }

    #[test]
    fn each_element_counts_once_at_every_length() {
        for isa in Isa::available() {
            for length in 0..400 {
                let ones = vec![1.0; length];
                assert_eq!(dot_on(isa, &ones, &ones), length as f32, "{isa:?}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for isa in Isa::available() {
            for at in [0, 100, 386] {
                let mut a = vec![1.0; 387];
                a[at] = f32::NAN;
                assert!(dot_on(isa, &a, &vec![1.0; 387]).is_nan());
            }
        }
    }

    #[test]
    #[should_panic(expected = "different lengths")]
    fn vectors_of_different_lengths_are_refused() {
        dot(&[1.0; 16], &[1.0; 17]);
    }
}
