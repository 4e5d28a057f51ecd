//! The derivative of GELU: Φ(x) + x φ(x).

use crate::cpu::Isa;
use crate::lanes::{Kernel, Lanes, dispatch};
use crate::vecmath::{erf, exp};

/// Multiplies each value of `gradient` by the derivative of GELU at the value of `inputs`.
///
/// # Panics
/// If the slices differ in length.
pub fn backward(isa: Isa, inputs: &[f32], gradient: &mut [f32]) {
    assert_eq!(inputs.len(), gradient.len(), "a gradient for each value");
    dispatch(isa, Backward { inputs, gradient });
}

struct Backward<'a> {
    inputs: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<L: Lanes>(self, l: L) {
        let (half, one) = (l.splat(0.5), l.splat(1.0));
        let density = l.splat(0.398_942_3);
        for (x, d) in self.inputs.chunks(L::LEN).zip(self.gradient.chunks_mut(L::LEN)) {
            // SAFETY: both chunks have that many floats, at most a vector of them.
            unsafe {
                let v = l.load_first(x.as_ptr(), x.len(), 0.0);
                let below =
                    l.mul(half, l.add(one, erf(l, l.mul(v, l.splat(std::f32::consts::FRAC_1_SQRT_2)))));
                let bell = exp(l, l.mul(l.mul(v, v), l.splat(-0.5)));
                let slope = l.mul_add(l.mul(v, density), bell, below);
                let upstream = l.load_first(d.as_ptr(), d.len(), 0.0);
                l.store_first(d.as_mut_ptr(), l.mul(upstream, slope), d.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vecmath::erf_reference;

    #[test]
    fn the_derivative_is_within_its_bound_on_every_instruction_set() {
        let inputs: Vec<f32> = (-8001..=8000).map(|i| i as f32 * 1e-3).collect();
        for isa in Isa::available() {
            let mut gradient = vec![2.0; inputs.len()];
            backward(isa, &inputs, &mut gradient);
            for (x, d) in inputs.iter().zip(&gradient) {
                let x = f64::from(*x);
                let below = 0.5 * (1.0 + erf_reference(x / 2f64.sqrt()));
                let exact = 2.0 * (below + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt());
                assert!((f64::from(*d) - exact).abs() < 4e-6, "{isa:?}: at {x} {d} is not {exact}");
            }
        }
    }
}
