//! Smart batching (section 7 of the paper): texts of like length together, so that little is padded.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::config::BertConfig;

/// The most tokens in a batch, padding included: its activations stay in the cache of a core.
const BATCH_TOKENS: usize = 1024;

/// A batch of this many tokens ends where the length changes: without padding there is nothing to mask, and
/// attention without a mask is faster than a larger batch.
const PADDED_TOKENS: usize = 512;

/// Groups texts of like length, longest first: each group at most [`BATCH_TOKENS`] with its padding, and
/// small enough that every one of `threads` has work. Texts without a token are in no group.
pub(super) fn smart_batches(lengths: &[usize], threads: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|text| lengths[*text] > 0).collect();
    order.sort_by_key(|text| std::cmp::Reverse(lengths[*text]));
    let share = lengths.iter().sum::<usize>().div_ceil(threads.max(1));
    let budget = share.min(BATCH_TOKENS);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match batches.last_mut() {
            // The first text of a batch is its longest.
            Some(batch) if fits(batch.len(), lengths[batch[0]], lengths[text], budget) => batch.push(text),
            _ => batches.push(vec![text]),
        }
    }
    batches
}

/// Whether a batch of `texts` texts, the longest of them `longest` tokens, takes one of `length` tokens more.
fn fits(texts: usize, longest: usize, length: usize, budget: usize) -> bool {
    (texts + 1) * longest <= budget && (length == longest || texts * longest < PADDED_TOKENS)
}

/// Sentences of several lengths as one rectangle, `[sentences, longest]`.
#[derive(Debug)]
pub struct PaddedBatch {
    /// The tokens; 0 where there is none.
    pub ids: Tensor<2, Int>,
    /// Where each token stands, as rows of the position embeddings.
    pub positions: Tensor<2, Int>,
    /// True where there is no token; nothing when all sentences are equally long.
    pub padding: Option<Tensor<2, Bool>>,
}

impl PaddedBatch {
    /// Pads `sentences` at their ends.
    pub fn new(sentences: &[&[u32]], config: &BertConfig, device: &Device) -> Self {
        let rows = sentences.len();
        let longest = sentences.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let mut ids = vec![0i64; rows * longest];
        let mut positions = vec![0i64; rows * longest];
        let mut padding = vec![true; rows * longest];
        for (row, sentence) in sentences.iter().enumerate() {
            let tokens = sentence.iter().zip(config.positions_of(sentence));
            for (at, (id, position)) in (row * longest..).zip(tokens) {
                ids[at] = i64::from(*id);
                positions[at] = position as i64;
                padding[at] = false;
            }
        }
        let shape = [rows, longest];
        let integers = |values| Tensor::from_data(TensorData::new(values, shape), device);
        Self {
            padding: padding
                .contains(&true)
                .then(|| Tensor::from_data(TensorData::new(padding, shape), device)),
            ids: integers(ids),
            positions: integers(positions),
        }
    }

    /// True where a token must not look, `[sentences, 1, longest, longest]`; nothing where there is no padding.
    pub(super) fn attention_mask(&self) -> Option<Tensor<4, Bool>> {
        let [rows, longest] = self.ids.dims();
        let padding = self.padding.clone()?;
        Some(padding.reshape([rows, 1, 1, longest]).expand([rows, 1, longest, longest]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_stay_within_the_budget() {
        let lengths: Vec<usize> = (0..500).map(|i| 2 + (i * 37) % 255).collect();
        let batches = smart_batches(&lengths, 1);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|text| lengths[*text]).max().unwrap();
            assert!(batch.len() * longest <= BATCH_TOKENS);
        }
    }

    #[test]
    fn few_texts_are_shared_among_the_threads() {
        assert_eq!(smart_batches(&[10; 8], 4).len(), 4);
        assert_eq!(smart_batches(&[0, 7, 0], 4), [[1]]);
    }
}
