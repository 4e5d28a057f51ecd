//! The encoder's view of this executor: whole texts in, pooled vectors out.

use super::{CpuBert, TensorReader, Tokens};
use crate::cross_encoder::PairTokens;
use crate::files::refuse;
use crate::model_dir::ModelDir;
use crate::pooling::{Pooling, pool_joined};
use crate::weights::ModelWeights;
use crate::{Precision, Result};
use akin_kernels::cpu::isa;

/// The network on processors: sentences end to end, with nothing padded.
pub(crate) struct CpuNetwork {
    bert: CpuBert,
    poolings: Vec<Pooling>,
    hidden_size: usize,
}

impl CpuNetwork {
    pub(crate) fn load(model: &ModelDir, weights: &ModelWeights, precision: Precision) -> Result<Self> {
        let tensors = weights.tensors()?;
        let reader = TensorReader { tensors: &tensors, prefix: weights.prefix() };
        let numbers = (isa(), precision);
        let place = weights.packed(&model.config, numbers.0, precision);
        let bert = CpuBert::load(&model.config, weights.layout(), reader, numbers, place.as_ref())
            .map_err(|reason| refuse(weights.path(), reason))?;
        Ok(Self { bert, poolings: model.poolings.clone(), hidden_size: model.config.hidden_size })
    }

    /// The pooled vectors of `sentences` in their order, `[sentences, poolings, hidden]`, pooled without the first `skipped` tokens.
    pub(crate) fn embed(&self, sentences: &[&[u32]], skipped: usize) -> Result<Vec<f32>> {
        let order = by_length(sentences.len(), |row| sentences[row].len());
        let mut ids = Vec::with_capacity(sentences.iter().map(|ids| ids.len()).sum());
        let mut offsets = vec![0];
        for row in &order {
            ids.extend_from_slice(sentences[*row]);
            offsets.push(ids.len());
        }
        let width = self.hidden_size * self.poolings.len();
        let pooled = match (self.poolings.as_slice(), skipped) {
            ([Pooling::Cls], 0) => self.bert.first_tokens(&ids[..], &offsets)?,
            (poolings, _) => self.bert.embed(&ids[..], &offsets, width, &|hidden, out| {
                pool_joined(hidden, out, poolings, skipped);
            })?,
        };
        Ok(in_order(&order, &pooled, sentences.len(), width))
    }

    /// The last hidden states of all tokens of `sentences`, in their order, `[tokens, hidden]`.
    pub(crate) fn token_states(&self, sentences: &[&[u32]]) -> Result<Vec<f32>> {
        let ends = sentences.iter().scan(0, |end, ids| {
            *end += ids.len();
            Some(*end)
        });
        let offsets: Vec<usize> = std::iter::once(0).chain(ends).collect();
        self.bert.forward(&sentences.concat()[..], &offsets)
    }

    /// The pooled hidden states of each pair, in their order, `[pairs, hidden]`.
    pub(crate) fn pool_pairs(&self, pairs: &[PairTokens], pooling: Pooling) -> Result<Vec<f32>> {
        let order = by_length(pairs.len(), |row| pairs[row].ids.len());
        let (mut ids, mut types, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        for row in &order {
            ids.extend_from_slice(&pairs[*row].ids);
            types.extend_from_slice(&pairs[*row].types);
            offsets.push(ids.len());
        }
        // Type 0 is that of tokens without types, also for a network that has none.
        let types = if types.iter().any(|kind| *kind > 0) { &types[..] } else { &[] };
        let (tokens, width) = (Tokens { ids: &ids, types }, self.hidden_size);
        let pooled = match pooling {
            Pooling::Cls => self.bert.first_tokens(tokens, &offsets)?,
            pooling => self.bert.embed(tokens, &offsets, width, &|hidden, out| {
                pool_joined(hidden, out, &[pooling], 0);
            })?,
        };
        Ok(in_order(&order, &pooled, pairs.len(), width))
    }
}

/// The vectors, each `width` long, of the rows that `order` names, in the order of the rows; zeros for rows that it does
/// not name.
fn in_order(order: &[usize], vectors: &[f32], count: usize, width: usize) -> Vec<f32> {
    let mut rows = vec![0.0; count * width];
    for (row, vector) in order.iter().zip(vectors.chunks_exact(width)) {
        rows[row * width..][..width].copy_from_slice(vector);
    }
    rows
}

/// The rows that have a token, longest first: sentences of like length make groups of like work.
fn by_length(rows: usize, length: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).filter(|row| length(*row) > 0).collect();
    order.sort_by_key(|row| std::cmp::Reverse(length(*row)));
    order
}
