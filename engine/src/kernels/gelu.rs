//! The Gaussian error linear unit (Hendrycks & Gimpel 2016), by erf and not by its tanh likeness.

use super::cpu::Isa;
use super::lanes::{Lanes, dispatch};
use super::vecmath::{Function, Map, erf};

/// x Φ(x) = x (1 + erf(x / √2)) / 2, within 5e-7 max(1, |x|).
#[inline(always)]
pub(crate) fn gelu<L: Lanes>(l: L, x: L::V) -> L::V {
    let half = l.mul(x, l.splat(0.5));
    let erf = erf(l, l.mul(x, l.splat(std::f32::consts::FRAC_1_SQRT_2)));
    l.mul_add(half, erf, half)
}

/// [`gelu`] for whole slices.
pub(super) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn of<L: Lanes>(l: L, x: L::V) -> L::V {
        gelu(l, x)
    }
}

/// Replaces every value x with gelu(x), within 5e-7 max(1, |x|).
pub fn gelu_in_place(isa: Isa, values: &mut [f32]) {
    let function = std::marker::PhantomData::<Gelu>;
    dispatch(isa, Map { values, function });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::vecmath::erf_reference;

    #[test]
    fn gelu_is_within_its_stated_bound_on_every_instruction_set() {
        for isa in Isa::available() {
            let x: Vec<f32> = (-120_001..=120_000).map(|i| i as f32 * 1e-3).collect();
            let mut y = x.clone();
            gelu_in_place(isa, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let x = f64::from(*x);
                let exact = x * 0.5 * (1.0 + erf_reference(x / 2f64.sqrt()));
                let error = (f64::from(*y) - exact).abs();
                assert!(error <= 5e-7 * x.abs().max(1.0), "{isa:?}: gelu({x}) = {y}, {error:e}");
            }
        }
    }
}
