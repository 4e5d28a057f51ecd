//! Layer normalisation with its gradient: y = w x̂ + b, where x̂ = (x - mean) / deviation.

use super::sum_pairs;
use crate::cpu::Isa;
use crate::lanes::{Kernel, Lanes, dispatch};

/// Normalises each row of `values` in place to x̂, puts y into `output`, and 1 / deviation of each row into `scales`.
///
/// # Panics
/// If the slices do not have one length, or there is not a scale for each row.
pub fn forward(
    isa: Isa,
    (weight, bias, epsilon): (&[f32], &[f32], f32),
    values: &mut [f32],
    scales: &mut [f32],
    output: &mut [f32],
) {
    assert_eq!(values.len(), scales.len() * weight.len(), "a scale for each row");
    assert_eq!(values.len(), output.len(), "input and output of one shape");
    assert_eq!(weight.len(), bias.len(), "a weight and a bias for each column");
    dispatch(isa, Forward { weight, bias, epsilon, values, scales, output });
}

/// Replaces the gradient of y by that of x, and adds to those of weight and bias.
///
/// # Panics
/// As [`forward`].
pub fn backward(
    isa: Isa,
    weight: &[f32],
    (normal, scales): (&[f32], &[f32]),
    gradient: &mut [f32],
    (of_weight, of_bias): (&mut [f32], &mut [f32]),
) {
    assert_eq!(normal.len(), scales.len() * weight.len(), "a scale for each row");
    assert_eq!(normal.len(), gradient.len(), "a gradient for each value");
    assert!(of_weight.len() == weight.len() && of_bias.len() == weight.len(), "gradients as wide as a row");
    dispatch(isa, Backward { weight, normal, scales, gradient, of_weight, of_bias });
}

struct Forward<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    values: &'a mut [f32],
    scales: &'a mut [f32],
    output: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let width = self.weight.len();
        let rows = self.values.chunks_exact_mut(width).zip(self.output.chunks_exact_mut(width));
        for ((row, output), scale) in rows.zip(self.scales) {
            let mean = sum_pairs(row, row, |x, _| x) / width as f32;
            let squares = sum_pairs(row, row, |x, _| (x - mean) * (x - mean));
            *scale = 1.0 / (squares / width as f32 + self.epsilon).sqrt();
            for ((x, y), (w, b)) in row.iter_mut().zip(output).zip(self.weight.iter().zip(self.bias)) {
                *x = (*x - mean) * *scale;
                *y = *x * w + b;
            }
        }
    }
}

struct Backward<'a> {
    weight: &'a [f32],
    normal: &'a [f32],
    scales: &'a [f32],
    gradient: &'a mut [f32],
    of_weight: &'a mut [f32],
    of_bias: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let width = self.weight.len();
        let rows = self.gradient.chunks_exact_mut(width).zip(self.normal.chunks_exact(width));
        for ((row, normal), scale) in rows.zip(self.scales) {
            for ((dy, x), (dw, db)) in
                row.iter_mut().zip(normal).zip(self.of_weight.iter_mut().zip(self.of_bias.iter_mut()))
            {
                *dw += *dy * x;
                *db += *dy;
            }
            for (dy, w) in row.iter_mut().zip(self.weight) {
                *dy *= w;
            }
            let mean = sum_pairs(row, row, |d, _| d) / width as f32;
            let slope = sum_pairs(row, normal, |d, x| d * x) / width as f32;
            for (d, x) in row.iter_mut().zip(normal) {
                *d = (*d - mean - x * slope) * scale;
            }
        }
    }
}
