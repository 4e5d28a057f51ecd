//! What the distance of two tokens adds to their score where it depends on the tokens themselves (He et al. 2021).

use akin_kernels::attention::BucketBias;
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

/// Buffers for one head of a sentence: they grow with its length, not with the square of it.
#[derive(Default)]
pub(super) struct RelativeScratch {
    /// `[tokens, buckets]`, for the queries and for the keys.
    products: [Vec<f32>; 2],
    /// The bucket of each distance, counted from the first that the sentence has.
    buckets: Vec<u32>,
}

#[cfg(test)]
impl RelativeScratch {
    /// How many numbers they hold.
    pub fn numbers(&self) -> usize {
        self.products.iter().map(Vec::capacity).sum::<usize>() + self.buckets.capacity()
    }
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

    /// The buckets of the distances of the query from the key, for sentences of `tokens` tokens: the distance
    /// `1 - tokens` first.
    pub fn buckets(&self, tokens: usize) -> &[u32] {
        let middle = self.buckets.len() / 2;
        &self.buckets[middle + 1 - tokens..middle + tokens]
    }

    /// What is added to the scores of a head. `projected` are queries, keys and values of the tokens of a sentence,
    /// `stride` numbers each, those of this head from `columns` on. It is head `head` of the layer, `dim` numbers wide.
    pub(super) fn of_head<'a>(
        &self,
        projected: &[f32],
        stride: usize,
        columns: [usize; 2],
        (head, dim): (usize, usize),
        scratch: &'a mut RelativeScratch,
    ) -> BucketBias<'a> {
        let tokens = projected.len() / stride;
        let distances = self.buckets(tokens);
        let low = distances.first().map_or(0, |low| *low as usize);
        let count = distances.last().map_or(0, |high| *high as usize + 1 - low);
        scratch.buckets.clear();
        scratch.buckets.extend(distances.iter().map(|bucket| bucket - low as u32));
        for ((vectors, products), column) in self.vectors.iter().zip(&mut scratch.products).zip(columns) {
            products.clear();
            if vectors.is_empty() {
                continue;
            }
            products.resize(tokens * count, 0.0);
            let tokens_of = Matrix::new(projected, stride).transposed().rows(column..column + dim);
            let vectors = Matrix::new(vectors, self.width).rows(low..low + count);
            let vectors = vectors.transposed().rows(head * dim..(head + 1) * dim);
            multiply(tokens_of.transposed(), vectors, false, products);
        }
        let [of_queries, of_keys] = &scratch.products;
        BucketBias { of_queries, of_keys, count, buckets: &scratch.buckets }
    }
}
