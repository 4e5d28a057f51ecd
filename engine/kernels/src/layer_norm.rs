//! Layer normalisation (Ba, Kiros & Hinton 2016) of the rows of a matrix, and RMS normalisation.

#![allow(unsafe_code)]

use super::cpu::Isa;
use super::lanes::{Kernel, Lanes, dispatch};

/// Scale, shift and epsilon of one layer normalisation.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// What each normalised column is multiplied by.
    pub weight: Vec<f32>,
    /// What is added to it then.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether the mean is subtracted. RMS norm does not (Zhang & Sennrich 2019): its variance is the mean square.
    pub centred: bool,
}

impl LayerNorm {
    /// Normalises each row of `input` (`[rows, width]`) into `output`, of the same shape.
    ///
    /// # Panics
    /// If the two differ in length, or are not whole rows.
    pub fn apply(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        assert_eq!(input.len(), output.len(), "input and output of one shape");
        assert_eq!(input.len() % self.weight.len(), 0, "whole rows");
        dispatch(isa, NormalizeRows { norm: self, input: Some(input), output });
    }

    /// Normalises each row of `values` (`[rows, width]`) in place.
    ///
    /// # Panics
    /// If they are not whole rows.
    pub fn apply_in_place(&self, isa: Isa, values: &mut [f32]) {
        assert_eq!(values.len() % self.weight.len(), 0, "whole rows");
        dispatch(isa, NormalizeRows { norm: self, input: None, output: values });
    }
}

struct NormalizeRows<'a> {
    norm: &'a LayerNorm,
    /// None: what is in `output`.
    input: Option<&'a [f32]>,
    output: &'a mut [f32],
}

/// Rows that are worked on together: each sum of a row waits for a long chain, and other rows' need not.
const ROWS_AT_ONCE: usize = 4;

impl Kernel for NormalizeRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { norm, input, output } = self;
        let width = norm.weight.len();
        assert!(norm.bias.len() == width && input.is_none_or(|input| input.len() == output.len()));
        for (group, output) in output.chunks_mut(ROWS_AT_ONCE * width).enumerate() {
            let rows = output.len() / width;
            let from = match input {
                Some(input) => input[group * ROWS_AT_ONCE * width..][..output.len()].as_ptr(),
                None => output.as_ptr(),
            };
            let (mut means, mut scales) = ([0.0; ROWS_AT_ONCE], [0.0; ROWS_AT_ONCE]);
            // SAFETY: there are so many rows of `width` floats from both on.
            unsafe {
                for (i, mean) in means.iter_mut().enumerate().take(if norm.centred { rows } else { 0 }) {
                    *mean = sum::<L, false>(l, from.add(i * width), width, 0.0) / width as f32;
                }
                for (i, scale) in scales.iter_mut().enumerate().take(rows) {
                    let squares = sum::<L, true>(l, from.add(i * width), width, means[i]);
                    *scale = 1.0 / (squares / width as f32 + norm.epsilon).sqrt();
                }
                for i in 0..rows {
                    normalise(
                        l,
                        norm,
                        from.add(i * width),
                        means[i],
                        scales[i],
                        output.as_mut_ptr().add(i * width),
                    );
                }
            }
        }
    }
}

/// The sum of `width` floats, or of the squares of what they differ from `mean`.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn sum<L: Lanes, const SQUARES: bool>(l: L, p: *const f32, width: usize, mean: f32) -> f32 {
    let (whole, rest) = (width / L::LEN * L::LEN, width % L::LEN);
    let add = |sums, x| {
        if !SQUARES {
            return l.add(sums, x);
        }
        let d = l.sub(x, l.splat(mean));
        l.mul_add(d, d, sums)
    };
    // Four sums at once, or each addition would wait for the one before it.
    let mut sums = [l.splat(0.0); 4];
    let fours = whole / (4 * L::LEN) * 4 * L::LEN;
    // SAFETY: whole vectors lie below `whole`, and behind them `rest` floats.
    unsafe {
        for at in (0..fours).step_by(4 * L::LEN) {
            for (i, sums) in sums.iter_mut().enumerate() {
                *sums = add(*sums, l.load(p.add(at + i * L::LEN)));
            }
        }
        for at in (fours..whole).step_by(L::LEN) {
            sums[0] = add(sums[0], l.load(p.add(at)));
        }
        if rest > 0 {
            let nothing = if SQUARES { mean } else { 0.0 };
            sums[0] = add(sums[0], l.load_first(p.add(whole), rest, nothing));
        }
    }
    l.sum(l.add(l.add(sums[0], sums[1]), l.add(sums[2], sums[3])))
}

/// Writes a row whose mean and inverse of the deviation are known to `to`, which may be where it is.
///
/// # Safety
/// As many floats as `norm` has columns can be read, and written.
#[inline(always)]
unsafe fn normalise<L: Lanes>(l: L, norm: &LayerNorm, from: *const f32, mean: f32, scale: f32, to: *mut f32) {
    let width = norm.weight.len();
    let (whole, rest) = (width / L::LEN * L::LEN, width % L::LEN);
    let (weight, bias) = (norm.weight.as_ptr(), norm.bias.as_ptr());
    let (shift, scale) = (l.splat(-mean * scale), l.splat(scale));
    // SAFETY: as for `sum`; the bias is as long as the weights.
    unsafe {
        for at in (0..whole).step_by(L::LEN) {
            let normal = l.mul_add(l.load(from.add(at)), scale, shift);
            l.store(to.add(at), l.mul_add(normal, l.load(weight.add(at)), l.load(bias.add(at))));
        }
        if rest > 0 {
            let normal = l.mul_add(l.load_first(from.add(whole), rest, 0.0), scale, shift);
            let weight = l.load_first(weight.add(whole), rest, 0.0);
            let bias = l.load_first(bias.add(whole), rest, 0.0);
            l.store_first(to.add(whole), l.mul_add(normal, weight, bias), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rows_are_normalised_as_the_definition_says(
            width in 1usize..90,
            values in prop::collection::vec(-8f32..8.0, 3 * 90),
            weight in prop::collection::vec(-2f32..2.0, 90),
            centred in any::<bool>(),
        ) {
            let norm = LayerNorm {
                weight: weight[..width].to_vec(),
                bias: weight[..width].iter().map(|w| 1.0 - w).collect(),
                epsilon: 1e-5,
                centred,
            };
            let input = &values[..3 * width];
            for isa in Isa::available() {
                let mut output = vec![0.0; input.len()];
                norm.apply(isa, input, &mut output);
                let mut in_place = input.to_vec();
                norm.apply_in_place(isa, &mut in_place);
                prop_assert_eq!(&in_place, &output);
                for (x, y) in input.chunks(width).zip(output.chunks(width)) {
                    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
                    let mean = if centred { mean } else { 0.0 };
                    let variance =
                        x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / width as f64;
                    for i in 0..width {
                        let normal = (f64::from(x[i]) - mean) / (variance + 1e-5).sqrt();
                        let exact = normal * f64::from(norm.weight[i]) + f64::from(norm.bias[i]);
                        prop_assert!((f64::from(y[i]) - exact).abs() < 2e-3 / (variance + 1e-5).sqrt().min(1.0) * 1e-2,
                            "{:?} width {}: {} is not {}", isa, width, y[i], exact);
                    }
                }
            }
        }
    }
}
