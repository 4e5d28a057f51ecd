//! The sum of word, position and token type embeddings, with layer norm and dropout, and its gradients.

use std::sync::Arc;

use akin_encoder::burn::BertEmbeddings;
use akin_kernels::cpu::isa;
use akin_kernels::gradient::dropout::Dropout;
use akin_kernels::gradient::norm;
use burn::tensor::Tensor;

use super::operation::{FlexFloats, input, record, values};
use super::{RaggedBatch, Randomness, SparseGradient};

/// The input of the first layer: `[tokens, hidden]`.
pub(super) fn embed(
    module: &BertEmbeddings,
    batch: &RaggedBatch,
    randomness: &Randomness,
    sparse: Option<&SparseGradient>,
) -> Tensor<2> {
    let words = input(&module.word_embeddings.weight);
    let sparse = sparse.cloned();
    let inputs = [
        // Burn computes no gradient for a constant.
        if sparse.is_some() { Tensor::from_inner(words.inner()) } else { words },
        input(&module.position_embeddings.weight),
        match module.has_types {
            true => input(&module.token_type_embeddings.weight),
            // Zeros, which nothing learns.
            false => Tensor::from_inner(module.token_type_embeddings.weight.val().inner().zeros_like()),
        },
        input(&module.norm.gamma),
        input(module.norm.beta.as_ref().expect("BERT's layer norms have a bias")),
    ];
    let epsilon = module.layer_norm_eps as f32;
    let dropout = Dropout::new(randomness.hidden_dropout, randomness.seed).at(0);
    let rows = [batch.ids.clone(), batch.positions.clone(), batch.types.clone()];
    record(inputs, |inputs| {
        let [words, positions, types, weight, bias] = inputs.each_ref().map(values);
        let (tokens, width) = (rows[0].len(), weight.len());
        let mut normal = vec![0.0; tokens * width];
        for (token, sum) in normal.chunks_exact_mut(width).enumerate() {
            let part = |table: &[f32], row: u32, at: usize| table[row as usize * width + at];
            for (at, sum) in sum.iter_mut().enumerate() {
                *sum = part(words, rows[0][token], at)
                    + part(positions, rows[1][token], at)
                    + part(types, rows[2][token], at);
            }
        }
        let (mut scales, mut output) = (vec![0.0; tokens], vec![0.0; tokens * width]);
        norm::forward(isa(), (weight, bias, epsilon), &mut normal, &mut scales, &mut output);
        dropout.apply(isa(), 0, &mut output);
        let gradient = move |inputs: &[FlexFloats; 5], upstream: &[f32], _: &[bool; 5]| {
            let weight = values(&inputs[3]);
            let mut gradient = upstream.to_vec();
            dropout.apply(isa(), 0, &mut gradient);
            let (mut of_weight, mut of_bias) = (vec![0.0; width], vec![0.0; width]);
            let kept = (normal.as_slice(), scales.as_slice());
            norm::backward(isa(), weight, kept, &mut gradient, (&mut of_weight, &mut of_bias));
            let [words, positions, types] = [0, 1, 2].map(|table| {
                if let Some(sparse) = sparse.as_ref().filter(|_| table == 0) {
                    sparse.add(&rows[0], &gradient, width);
                    return Vec::new();
                }
                let mut sums = vec![0.0; values(&inputs[table]).len()];
                for (row, gradient) in rows[table].iter().zip(gradient.chunks_exact(width)) {
                    let place = &mut sums[*row as usize * width..][..width];
                    place.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
                }
                sums
            });
            [words, positions, types, of_weight, of_bias]
        };
        (output, [tokens, width], Arc::new(gradient))
    })
}
