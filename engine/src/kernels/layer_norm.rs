//! Layer normalisation (Ba, Kiros & Hinton 2016) of the rows of a matrix.

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
}

impl LayerNorm {
    /// Normalises each row of `input` (`[rows, width]`) into `output`, of the same shape.
    ///
    /// # Panics
    /// If the two differ in length, or are not whole rows.
    pub fn apply(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        assert_eq!(input.len(), output.len(), "input and output of one shape");
        assert_eq!(input.len() % self.weight.len(), 0, "whole rows");
        dispatch(isa, Rows { norm: self, input: Some(input), output });
    }

    /// Normalises each row of `values` (`[rows, width]`) in place.
    ///
    /// # Panics
    /// If they are not whole rows.
    pub fn apply_in_place(&self, isa: Isa, values: &mut [f32]) {
        assert_eq!(values.len() % self.weight.len(), 0, "whole rows");
        dispatch(isa, Rows { norm: self, input: None, output: values });
    }
}

struct Rows<'a> {
    norm: &'a LayerNorm,
    /// None: what is in `output`.
    input: Option<&'a [f32]>,
    output: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let width = self.norm.weight.len();
        for (r, output) in self.output.chunks_exact_mut(width).enumerate() {
            if let Some(input) = self.input {
                output.copy_from_slice(&input[r * width..][..width]);
            }
            row(l, self.norm, output);
        }
    }
}

#[inline(always)]
fn row<L: Lanes>(l: L, norm: &LayerNorm, row: &mut [f32]) {
    let (width, vectors) = (row.len(), row.len() / L::LEN);
    let rest = width % L::LEN;
    assert!(norm.weight.len() == width && norm.bias.len() == width);
    let (p, weight, bias) = (row.as_mut_ptr(), norm.weight.as_ptr(), norm.bias.as_ptr());
    // SAFETY: every vector below lies within the `width` floats of a slice that long: whole ones
    // start at multiples of LEN up to `vectors`, and of the last only `rest` lanes are touched.
    unsafe {
        let zero = l.splat(0.0);
        // Four sums at once, or each addition would wait for the one before it.
        let mut sums = [zero; 4];
        for i in 0..vectors {
            sums[i % 4] = l.add(sums[i % 4], l.load(p.add(i * L::LEN)));
        }
        let mut sum = l.sum(l.add(l.add(sums[0], sums[1]), l.add(sums[2], sums[3])));
        if rest > 0 {
            sum += l.sum(l.load_first(p.add(vectors * L::LEN), rest, 0.0));
        }
        let mean = sum / width as f32;

        let mut sums = [zero; 4];
        for i in 0..vectors {
            let d = l.sub(l.load(p.add(i * L::LEN)), l.splat(mean));
            sums[i % 4] = l.mul_add(d, d, sums[i % 4]);
        }
        let mut squares = l.sum(l.add(l.add(sums[0], sums[1]), l.add(sums[2], sums[3])));
        if rest > 0 {
            let d = l.sub(l.load_first(p.add(vectors * L::LEN), rest, mean), l.splat(mean));
            squares += l.sum(l.mul(d, d));
        }
        let scale = 1.0 / (squares / width as f32 + norm.epsilon).sqrt();

        let (shift, scale) = (l.splat(-mean * scale), l.splat(scale));
        for i in 0..vectors {
            let at = i * L::LEN;
            let normal = l.mul_add(l.load(p.add(at)), scale, shift);
            l.store(p.add(at), l.mul_add(normal, l.load(weight.add(at)), l.load(bias.add(at))));
        }
        if rest > 0 {
            let at = vectors * L::LEN;
            let normal = l.mul_add(l.load_first(p.add(at), rest, 0.0), scale, shift);
            let weight = l.load_first(weight.add(at), rest, 0.0);
            let bias = l.load_first(bias.add(at), rest, 0.0);
            l.store_first(p.add(at), l.mul_add(normal, weight, bias), rest);
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
        ) {
            let norm = LayerNorm {
                weight: weight[..width].to_vec(),
                bias: weight[..width].iter().map(|w| 1.0 - w).collect(),
                epsilon: 1e-5,
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
