//! Norms, activations and dropout as one operation each, with their gradients.

use std::sync::Arc;

use akin_encoder::burn::Norm;
use akin_kernels::cpu::isa;
use akin_kernels::gelu::gelu_in_place;
use akin_kernels::gradient::dropout::Dropout;
use akin_kernels::gradient::{gelu as gelu_gradient, norm as norm_kernels};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::operation::{FlexFloats, input, record, values};

/// Values that one thread computes at a time.
const VALUES: usize = 1 << 14;

/// Rows that one thread normalises at a time. Sums over rows are made in this order, whatever the number of threads.
const ROWS: usize = 64;

/// Layer normalisation of each row (Ba et al. 2016).
pub(super) fn normalized(norm: &Norm, rows: Tensor<2>) -> Tensor<2> {
    let weight = input(&norm.weights.gamma);
    let bias = match &norm.weights.beta {
        Some(bias) => input(bias),
        // Zeros, which nothing learns.
        None => Tensor::from_inner(weight.clone().inner().zeros_like()),
    };
    let epsilon = norm.epsilon as f32;
    let shape = rows.dims();
    record([rows, weight, bias], |inputs| {
        let [rows, weight, bias] = inputs.each_ref().map(values);
        let width = weight.len();
        let mut normal = rows.to_vec();
        let (mut scales, mut output) = (vec![0.0; normal.len() / width.max(1)], vec![0.0; normal.len()]);
        let chunks = normal.par_chunks_mut(ROWS * width).zip(scales.par_chunks_mut(ROWS));
        chunks.zip(output.par_chunks_mut(ROWS * width)).for_each(|((normal, scales), output)| {
            norm_kernels::forward(isa(), (weight, bias, epsilon), normal, scales, output);
        });
        let gradient = move |inputs: &[FlexFloats; 3], upstream: &[f32], _: &[bool; 3]| {
            let weight = values(&inputs[1]);
            let mut gradient = upstream.to_vec();
            let chunks = gradient.par_chunks_mut(ROWS * width);
            let kept = normal.par_chunks(ROWS * width).zip(scales.par_chunks(ROWS));
            let parts: Vec<[Vec<f32>; 2]> = chunks
                .zip(kept)
                .map(|(gradient, kept)| {
                    let [mut of_weight, mut of_bias] = [vec![0.0; width], vec![0.0; width]];
                    norm_kernels::backward(isa(), weight, kept, gradient, (&mut of_weight, &mut of_bias));
                    [of_weight, of_bias]
                })
                .collect();
            let mut sums = [vec![0.0; width], vec![0.0; width]];
            for part in &parts {
                for (sums, part) in sums.iter_mut().zip(part) {
                    sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
                }
            }
            let [of_weight, of_bias] = sums;
            [gradient, of_weight, of_bias]
        };
        (output, shape, Arc::new(gradient))
    })
}

/// GELU.
pub(super) fn gelu(rows: Tensor<2>) -> Tensor<2> {
    let shape = rows.dims();
    record([rows], |[rows]| {
        let mut output = values(rows).to_vec();
        output.par_chunks_mut(VALUES).for_each(|chunk| gelu_in_place(isa(), chunk));
        let gradient = |[rows]: &[FlexFloats; 1], upstream: &[f32], _: &[bool; 1]| {
            let mut gradient = upstream.to_vec();
            let chunks = gradient.par_chunks_mut(VALUES).zip(values(rows).par_chunks(VALUES));
            chunks.for_each(|(gradient, inputs)| gelu_gradient::backward(isa(), inputs, gradient));
            [gradient]
        };
        (output, shape, Arc::new(gradient))
    })
}

/// The values that a dropout leaves.
pub(super) fn dropped(rows: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    if dropout.is_none() {
        return rows;
    }
    let shape = rows.dims();
    let apply = move |values: &[f32]| {
        let mut values = values.to_vec();
        let chunks = values.par_chunks_mut(VALUES).enumerate();
        chunks.for_each(|(number, chunk)| dropout.apply(isa(), number * VALUES, chunk));
        values
    };
    record([rows], |[rows]| {
        let output = apply(values(rows));
        let gradient = move |_: &[FlexFloats; 1], upstream: &[f32], _: &[bool; 1]| [apply(upstream)];
        (output, shape, Arc::new(gradient))
    })
}
