//! Smart batching (section 7 of the paper): texts of like length together, so that little is padded.

use burn::tensor::{Bool, Device as BurnDevice, Int, Tensor, TensorData};

use crate::Device;
use crate::config::BertConfig;

/// How texts are grouped into batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batching {
    /// The most tokens in a batch, padding included.
    tokens: usize,
    /// The most pairs of tokens in a batch, padding included: attention keeps a score for each of them and each head.
    pairs: usize,
    /// A batch of so many tokens takes no text that is much shorter than its longest.
    even_from: usize,
    /// How long such a text must be, in quarters of the longest.
    even_quarters: usize,
    /// The least number of batches, where there are texts enough: one for each thread.
    shares: usize,
    /// Texts are padded to a multiple of so many tokens.
    multiple: usize,
}

impl Batching {
    /// What suits a device.
    pub fn of(device: Device) -> Self {
        match device {
            // The activations of a batch stay in the cache of a core. Without padding there is nothing to mask, and attention
            // without a mask is faster than a larger batch.
            Device::Cpu => Self {
                tokens: 1024,
                pairs: usize::MAX,
                even_from: 512,
                even_quarters: 4,
                shares: rayon::current_num_threads(),
                multiple: 1,
            },
            // A batch fills the device, its scores take some hundred MB, and few lengths need few kernels.
            Device::Cuda(_) | Device::Wgpu(_) => Self {
                tokens: 16 << 10,
                pairs: 4 << 20,
                even_from: 2 << 10,
                even_quarters: 3,
                shares: 1,
                multiple: 8,
            },
        }
    }

    /// The length that texts of at most `longest` tokens are padded to, by a network of so many positions.
    pub fn padded(&self, longest: usize, positions: usize) -> usize {
        longest.next_multiple_of(self.multiple).min(positions.max(longest))
    }

    /// Whether a batch of `texts` texts, the longest of them `longest` tokens, takes one of `length` tokens more.
    fn takes(&self, texts: usize, longest: usize, length: usize, tokens: usize) -> bool {
        let padded = (texts + 1) * longest;
        padded <= tokens
            && padded.saturating_mul(longest) <= self.pairs
            && (texts * longest < self.even_from || 4 * length >= self.even_quarters * longest)
    }
}

/// Groups texts of like length, longest first, small enough that every thread has work. Texts without a token are in no
/// group.
pub(super) fn smart_batches(lengths: &[usize], batching: &Batching) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|text| lengths[*text] > 0).collect();
    order.sort_by_key(|text| std::cmp::Reverse(lengths[*text]));
    let share = lengths.iter().sum::<usize>().div_ceil(batching.shares.max(1));
    let tokens = share.min(batching.tokens);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match batches.last_mut() {
            // The first text of a batch is its longest.
            Some(batch) if batching.takes(batch.len(), lengths[batch[0]], lengths[text], tokens) => {
                batch.push(text);
            }
            _ => batches.push(vec![text]),
        }
    }
    batches
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
    /// The tokens of each sentence.
    pub lengths: Vec<usize>,
}

impl PaddedBatch {
    /// Pads `sentences` at their ends to the longest of them.
    pub fn new(sentences: &[&[u32]], config: &BertConfig, device: &BurnDevice) -> Self {
        Self::padded_to(0, sentences, config, device)
    }

    /// Pads `sentences` at their ends to `length` tokens, or to the longest of them where that is more.
    pub(super) fn padded_to(
        length: usize,
        sentences: &[&[u32]],
        config: &BertConfig,
        device: &BurnDevice,
    ) -> Self {
        let rows = sentences.len();
        let lengths: Vec<usize> = sentences.iter().map(|ids| ids.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0).max(length);
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
            lengths,
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

    /// Batches for the processor, by so many threads.
    fn on_threads(threads: usize) -> Batching {
        Batching { shares: threads, ..Batching::of(Device::Cpu) }
    }

    #[test]
    fn batches_hold_every_text_once_and_stay_within_the_budget() {
        let lengths: Vec<usize> = (0..500).map(|i| 2 + (i * 37) % 255).collect();
        for batching in [on_threads(1), Batching::of(Device::Cuda(0))] {
            let batches = smart_batches(&lengths, &batching);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..500).collect::<Vec<_>>());
            for batch in &batches {
                let longest = batch.iter().map(|text| lengths[*text]).max().unwrap();
                assert!(batch.len() * longest <= batching.tokens);
            }
        }
    }

    #[test]
    fn few_texts_are_shared_among_the_threads() {
        assert_eq!(smart_batches(&[10; 8], &on_threads(4)).len(), 4);
        assert_eq!(smart_batches(&[0, 7, 0], &on_threads(4)), [[1]]);
    }

    #[test]
    fn a_gpu_gets_large_batches_of_like_length() {
        let batching = Batching::of(Device::Wgpu(0));
        let lengths: Vec<usize> = (0..4096).map(|i| 8 + i % 64).collect();
        let batches = smart_batches(&lengths, &batching);
        assert!(batches.len() < 20, "{}", batches.len());
        let padded: usize = batches.iter().map(|batch| batch.len() * lengths[batch[0]]).sum();
        assert!(padded * 3 < lengths.iter().sum::<usize>() * 4);
        // A long text is alone, and so are its scores.
        assert_eq!(smart_batches(&[4096, 4096], &batching).len(), 2);
    }

    #[test]
    fn texts_are_padded_to_few_lengths_and_never_beyond_the_positions() {
        let gpu = Batching::of(Device::Cuda(0));
        assert_eq!([1, 8, 9, 511, 514].map(|longest| gpu.padded(longest, 512)), [8, 8, 16, 512, 514]);
        assert_eq!(on_threads(1).padded(9, 512), 9);
    }
}
