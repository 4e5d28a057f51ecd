//! What scores of attention get by the distance of two tokens (MPNet), as a table, with its gradient.

use std::sync::Arc;

use akin_encoder::burn::DistanceBuckets;
use burn::tensor::Tensor;

use super::operation::{FlexFloats, input, record, values};

/// `[heads, 2 * tokens - 1]` for sentences of up to `tokens` tokens, the key farthest before its query first. The numbers
/// are divided by `scale`, which scores are multiplied by after they were added.
pub(super) fn table(module: &DistanceBuckets, tokens: usize, scale: f32) -> Tensor<2> {
    let buckets = module.of_distances(tokens.max(1));
    let heads = module.heads;
    record([input(&module.weight)], |[weight]| {
        let weight = values(weight);
        let of_head = |head: usize| buckets.iter().map(move |bucket| weight[bucket * heads + head] / scale);
        let table: Vec<f32> = (0..heads).flat_map(of_head).collect();
        let shape = [heads, buckets.len()];
        let gradient = move |[weight]: &[FlexFloats; 1], upstream: &[f32], _: &[bool; 1]| {
            let mut sums = vec![0.0; values(weight).len()];
            for (head, row) in upstream.chunks_exact(buckets.len()).enumerate() {
                for (bucket, value) in buckets.iter().zip(row) {
                    sums[bucket * heads + head] += value / scale;
                }
            }
            [sums]
        };
        (table, shape, Arc::new(gradient))
    })
}
