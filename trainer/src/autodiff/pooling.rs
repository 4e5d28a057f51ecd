//! Pooling of sentences that lie end to end (section 3 of the paper), with its gradient.

use std::ops::Range;
use std::sync::Arc;

use akin_encoder::Pooling;
use akin_encoder::model::pool_tokens;
use burn::tensor::Tensor;

use super::operation::{record, values};

/// `[tokens, hidden]` to `[sentences, hidden]`.
pub(super) fn pool(hidden: Tensor<2>, spans: Vec<Range<usize>>, pooling: Pooling) -> Tensor<2> {
    let [tokens, width] = hidden.dims();
    assert_eq!(spans.last().map_or(0, |span| span.end), tokens, "hidden states of this batch");
    record([hidden], |[hidden]| {
        let hidden = values(hidden);
        let mut pooled = vec![0.0; spans.len() * width];
        for (span, pooled) in spans.iter().zip(pooled.chunks_exact_mut(width)) {
            pool_tokens(&hidden[span.start * width..span.end * width], pooled, pooling);
        }
        let shape = [spans.len(), width];
        let gradient = move |[hidden]: &[_; 1], upstream: &[f32], _: &[bool; 1]| {
            [unpool(values(hidden), &spans, width, pooling, upstream)]
        };
        (pooled, shape, Arc::new(gradient))
    })
}

/// The gradient of the hidden states from that of the pooled vectors.
fn unpool(
    hidden: &[f32],
    spans: &[Range<usize>],
    width: usize,
    pooling: Pooling,
    upstream: &[f32],
) -> Vec<f32> {
    let mut gradient = vec![0.0; hidden.len()];
    for (span, upstream) in spans.iter().zip(upstream.chunks_exact(width)) {
        let place = span.start * width..span.end * width;
        let (hidden, gradient) = (&hidden[place.clone()], &mut gradient[place]);
        match pooling {
            Pooling::Max => {
                for (column, upstream) in upstream.iter().enumerate() {
                    let greatest = (0..span.len()).reduce(|best, row| {
                        // The first of equals, as the pooling keeps it.
                        if hidden[row * width + column] > hidden[best * width + column] { row } else { best }
                    });
                    if let Some(row) = greatest {
                        gradient[row * width + column] = *upstream;
                    }
                }
            }
            pooling => {
                let shares = pooling.shares(span.len(), 0).unwrap_or_default();
                for (row, share) in gradient.chunks_exact_mut(width).zip(shares) {
                    for (value, upstream) in row.iter_mut().zip(upstream) {
                        *value = share * upstream;
                    }
                }
            }
        }
    }
    gradient
}
