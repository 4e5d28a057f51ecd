//! Distances of vectors: what a model may want its embeddings compared by instead of a product.
#![allow(unsafe_code)]

use super::cpu::{Isa, isa};
use super::lanes::{Kernel, Lanes, dispatch};

/// The square of the Euclidean distance of `a` and `b`. Rounded as [`dot`](crate::dot) is.
///
/// # Panics
/// If the lengths differ.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    distance_on::<true>(isa(), a, b)
}

/// The sum of the distances of `a` and `b` in each dimension. Rounded as [`dot`](crate::dot) is.
///
/// # Panics
/// If the lengths differ.
pub fn manhattan_distance(a: &[f32], b: &[f32]) -> f32 {
    distance_on::<false>(isa(), a, b)
}

fn distance_on<const SQUARED: bool>(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "a distance of vectors of different lengths");
    dispatch(isa, Distance::<SQUARED> { a, b })
}

/// Two vectors of one length, whose differences are summed: their squares if `SQUARED`, else their magnitudes.
struct Distance<'a, const SQUARED: bool> {
    a: &'a [f32],
    b: &'a [f32],
}

impl<const SQUARED: bool> Kernel for Distance<'_, SQUARED> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let length = self.a.len().min(self.b.len());
        let (a, b) = (self.a.as_ptr(), self.b.as_ptr());
        let add = |x: L::V, y: L::V, sum: L::V| {
            let difference = lanes.sub(x, y);
            match SQUARED {
                true => lanes.mul_add(difference, difference, sum),
                false => lanes.add(sum, lanes.max(difference, lanes.sub(lanes.splat(0.0), difference))),
            }
        };
        // As many sums as hide the time that an addition takes.
        let mut sums = [lanes.splat(0.0); 4];
        let mut at = 0;
        while at + sums.len() * L::LEN <= length {
            for sum in &mut sums {
                // SAFETY: `at + LEN` is at most `length`, which both vectors have.
                let (x, y) = unsafe { (lanes.load(a.add(at)), lanes.load(b.add(at))) };
                *sum = add(x, y, *sum);
                at += L::LEN;
            }
        }
        while at < length {
            let rest = (length - at).min(L::LEN);
            // SAFETY: `rest` floats, at most `LEN`, lie between `at` and `length`.
            let (x, y) =
                unsafe { (lanes.load_first(a.add(at), rest, 0.0), lanes.load_first(b.add(at), rest, 0.0)) };
            sums[0] = add(x, y, sums[0]);
            at += rest;
        }
        let [s0, s1, s2, s3] = sums;
        lanes.sum(lanes.add(lanes.add(s0, s1), lanes.add(s2, s3)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_exact_distances_within_rounding(
            pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..300),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let differences = || a.iter().zip(&b).map(|(x, y)| f64::from(*x) - f64::from(*y));
            let exact: [f64; 2] = [differences().map(|d| d * d).sum(), differences().map(f64::abs).sum()];
            for isa in Isa::available() {
                let found = [distance_on::<true>(isa, &a, &b), distance_on::<false>(isa, &a, &b)];
                for (found, exact) in found.into_iter().zip(exact) {
                    let bound = (a.len() + 2) as f64 * f64::from(f32::EPSILON) * exact;
                    prop_assert!((f64::from(found) - exact).abs() <= bound, "{isa:?}: {found} is not {exact}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for isa in Isa::available() {
            let mut a = vec![1.0; 387];
            a[100] = f32::NAN;
            assert!(distance_on::<true>(isa, &a, &vec![1.0; 387]).is_nan(), "{isa:?}");
        }
    }

    #[test]
    #[should_panic(expected = "different lengths")]
    fn vectors_of_different_lengths_are_refused() {
        squared_distance(&[1.0; 16], &[1.0; 17]);
    }
}
