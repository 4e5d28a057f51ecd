//! What the distance of two tokens adds to their score where it depends on the tokens themselves (He et al. 2021).

use akin_kernels::cpu::Isa;
use akin_kernels::matmul::{Matrix, multiply};

use super::weights::TensorReader;
use crate::config::BertConfig;
use crate::families::{BiasForm, LayerTensors, Layout, LinearRef, relative_bucket};

/// What queries and keys of a layer are multiplied by for each bucket of distances.
pub(crate) struct Relative {
    /// For the queries, and for the keys: `[buckets, heads * head_dim]`; empty where they are not asked.
    vectors: [Vec<f32>; 2],
    width: usize,
    /// The bucket of each distance from `1 - positions` to `positions - 1`, of the query from the key. They rise.
    buckets: Vec<u32>,
}

/// Buffers for one sentence.
#[derive(Default)]
pub(super) struct RelativeScratch {
    /// `[heads, tokens, tokens]`
    pub scores: Vec<f32>,
    /// `[tokens, buckets]`, for the queries and for the keys.
    products: [Vec<f32>; 2],
}

impl Relative {
    /// That of a layer; none where scores depend on no such thing.
    pub fn load(
        isa: Isa,
        config: &BertConfig,
        weights: TensorReader<'_>,
        layout: &Layout,
        tensors: &LayerTensors,
    ) -> Result<Option<Self>, String> {
        let (Some(name), BiasForm::Disentangled { .. }) = (&layout.relative, config.form.bias) else {
            return Ok(None);
        };
        let (hidden, rows) = (config.hidden_size, config.form.bias.relative_rows());
        let mut distances = weights.get(name, &[rows, hidden])?.into_owned();
        if let Some(norm) = &layout.relative_norm {
            weights.norm(norm, config)?.apply_in_place(isa, &mut distances);
        }
        let project = |linear: &Option<LinearRef>| -> Result<Vec<f32>, String> {
            let Some(linear) = linear else { return Ok(Vec::new()) };
            let (weight, bias) = weights.linear(linear)?;
            let mut vectors = bias.iter().copied().cycle().take(rows * linear.out).collect::<Vec<f32>>();
            let (distances, weight) = (Matrix::new(&distances, hidden), Matrix::new(&weight, hidden));
            multiply(distances, weight.transposed(), true, &mut vectors);
            Ok(vectors)
        };
        let [for_queries, for_keys] = &tensors.relative;
        let reach = config.positions() as isize;
        let buckets = ((1 - reach)..reach).map(|distance| relative_bucket(config.form.bias, distance) as u32);
        Ok(Some(Self {
            vectors: [project(for_queries)?, project(for_keys)?],
            width: config.num_attention_heads * config.form.head_dim,
            buckets: buckets.collect(),
        }))
    }

    /// The vectors for the queries, and for the keys: `[buckets, heads * head_dim]` each; empty where they are not asked.
    #[cfg(feature = "burn")]
    pub fn vectors(&self) -> &[Vec<f32>; 2] {
        &self.vectors
    }

    /// The buckets of the distances of the query from the key, for sentences of `tokens` tokens: the distance
    /// `1 - tokens` first.
    pub fn buckets(&self, tokens: usize) -> &[u32] {
        let middle = self.buckets.len() / 2;
        &self.buckets[middle + 1 - tokens..middle + tokens]
    }

    /// Writes what is added to the scores of some heads, before they are multiplied by their scale: the first, their
    /// number, and their width are given. `projected` are queries, keys and values of the tokens of a sentence, `stride` numbers each.
    pub(super) fn score(
        &self,
        projected: &[f32],
        stride: usize,
        (first_head, heads, dim): (usize, usize, usize),
        scratch: &mut RelativeScratch,
    ) {
        let tokens = projected.len() / stride;
        let distances = self.buckets(tokens);
        let (Some(&low), Some(&high)) = (distances.first(), distances.last()) else { return };
        let (low, count) = (low as usize, (high - low) as usize + 1);
        scratch.scores.clear();
        scratch.scores.resize(heads * tokens * tokens, 0.0);
        for (head, scores) in scratch.scores.chunks_exact_mut(tokens * tokens).enumerate() {
            for (which, (vectors, products)) in self.vectors.iter().zip(&mut scratch.products).enumerate() {
                if vectors.is_empty() {
                    continue;
                }
                products.clear();
                products.resize(tokens * count, 0.0);
                // Queries are before the keys in a row.
                let column = (which * heads + head) * dim;
                let tokens_of = Matrix::new(projected, stride).transposed().rows(column..column + dim);
                let column = (first_head + head) * dim;
                let vectors = Matrix::new(vectors, self.width).rows(low..low + count);
                let vectors = vectors.transposed().rows(column..column + dim);
                multiply(tokens_of.transposed(), vectors, false, products);
            }
            let [of_queries, of_keys] = &scratch.products;
            let asked = self.vectors.each_ref().map(|vectors| !vectors.is_empty());
            for (query, row) in scores.chunks_exact_mut(tokens).enumerate() {
                for (key, score) in row.iter_mut().enumerate() {
                    let bucket = distances[tokens - 1 + query - key] as usize - low;
                    if asked[0] {
                        *score += of_queries[query * count + bucket];
                    }
                    if asked[1] {
                        *score += of_keys[key * count + bucket];
                    }
                }
            }
        }
    }
}
