//! Rows of matrices moved to other places, with their gradients.

use std::ops::Range;
use std::sync::Arc;

use burn::nn::Embedding;
use burn::tensor::Tensor;

use super::SparseGradient;
use super::operation::{FlexFloats, input, record, values};

/// The row of each id, `[ids, width]`. With `sparse` the gradient of the table goes there.
pub(super) fn look_up(table: &Embedding, ids: &[u32], sparse: Option<&SparseGradient>) -> Tensor<2> {
    let table = input(&table.weight);
    let [_, width] = table.dims();
    let (ids, sparse) = (ids.to_vec(), sparse.cloned());
    // What has no gradient in burn's graph still has to be passed on to: one number, which nothing else reads.
    let passed = Tensor::<2>::zeros([1, 1], &table.device());
    let [table, passed] = match sparse {
        Some(_) => [Tensor::from_inner(table.inner()), passed.require_grad()],
        None => [table, passed],
    };
    record([table, passed], |[table, _]| {
        let table = values(table);
        let rows = ids.iter().flat_map(|id| &table[*id as usize * width..][..width]);
        let (found, shape) = (rows.copied().collect(), [ids.len(), width]);
        let gradient = move |[table, _]: &[FlexFloats; 2], upstream: &[f32], wanted: &[bool; 2]| {
            if let Some(sparse) = &sparse {
                sparse.add(&ids, upstream, width);
            }
            let mut sums = Vec::new();
            if wanted[0] {
                sums.resize(values(table).len(), 0.0);
                for (id, row) in ids.iter().zip(upstream.chunks_exact(width)) {
                    let place = &mut sums[*id as usize * width..][..width];
                    place.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            }
            [sums, vec![0.0]]
        };
        (found, shape, Arc::new(gradient))
    })
}

/// Sentences that lie end to end, `[tokens, width]`, to a rectangle, `[sentences * longest, width]`, with zeros for what
/// is padded; without `forth` the reverse.
pub(super) fn spread(rows: Tensor<2>, spans: &[Range<usize>], longest: usize, forth: bool) -> Tensor<2> {
    let [_, width] = rows.dims();
    let spans = spans.to_vec();
    let tokens = spans.last().map_or(0, |span| span.end);
    let counts = [spans.len() * longest, tokens];
    let moved = move |rows: &[f32], forth: bool| {
        let mut moved = vec![0.0; counts[usize::from(!forth)] * width];
        for (sentence, span) in spans.iter().enumerate() {
            let padded = sentence * longest * width..(sentence * longest + span.len()) * width;
            let ragged = span.start * width..span.end * width;
            match forth {
                true => moved[padded].copy_from_slice(&rows[ragged]),
                false => moved[ragged].copy_from_slice(&rows[padded]),
            }
        }
        moved
    };
    record([rows], |[rows]| {
        let found = moved(values(rows), forth);
        let gradient = move |_: &[FlexFloats; 1], upstream: &[f32], _: &[bool; 1]| [moved(upstream, !forth)];
        (found, [counts[usize::from(!forth)], width], Arc::new(gradient))
    })
}
