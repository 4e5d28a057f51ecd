//! The network as training runs it on processors: burn's autodiff over four operations of our own, each with its
//! gradient, in place of some two hundred small ones.
//!
//! The sentences of a batch lie end to end in one `[tokens, hidden]` matrix, so nothing is padded. `embedding` looks up
//! and normalises, `layer` is a whole transformer layer, `pooling` makes one vector of each sentence, `distances` spreads
//! the numbers that MPNet adds to scores; `operation` adds them to burn's graph. Heads, losses and their gradients are ordinary burn code. The module
//! and its parameters are those of the reference ([`Bert`]), which the tests compare this with. Networks that are not
//! BERT's go through burn's operations for most of a layer (`described`).

mod described;
mod distances;
mod elementwise;
mod embedding;
mod layer;
mod operation;
mod pooling;
mod rows;
mod sparse;
#[cfg(test)]
mod tests;

pub use sparse::SparseGradient;

use std::ops::Range;

use akin_encoder::Pooling;
use akin_encoder::burn::Bert;
use akin_encoder::model::BertConfig;
use burn::module::ParamId;
use burn::tensor::Tensor;

use crate::encoder::Encoder;
use crate::lora::Adapters;

/// Sentences of token ids, end to end.
#[derive(Debug, Clone, Default)]
pub struct RaggedBatch {
    ids: Vec<u32>,
    positions: Vec<u32>,
    types: Vec<u32>,
    /// Where each sentence begins, and where the last one ends.
    offsets: Vec<usize>,
}

impl RaggedBatch {
    /// Single sentences, not pairs: every token is of type 0.
    pub(crate) fn of_sentences(sentences: &[&[u32]], config: &BertConfig) -> Self {
        let mut batch = Self { offsets: vec![0], ..Self::default() };
        for ids in sentences {
            batch.push(ids, &vec![0; ids.len()], config);
        }
        batch
    }

    /// Adds a sentence, with the type of each token.
    pub(crate) fn push(&mut self, ids: &[u32], types: &[u32], config: &BertConfig) {
        debug_assert_eq!(ids.len(), types.len());
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.ids.extend_from_slice(ids);
        self.types.extend_from_slice(types);
        self.positions.extend(config.positions_of(ids).map(|position| position as u32));
        self.offsets.push(self.ids.len());
    }

    /// How many sentences there are.
    pub fn sentences(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// How many tokens they have together.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    #[cfg(test)]
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    #[cfg(test)]
    pub(crate) fn types(&self) -> &[u32] {
        &self.types
    }

    /// The rows of each sentence.
    fn spans(&self) -> Vec<Range<usize>> {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    /// The tokens of the longest sentence.
    fn longest(&self) -> usize {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    /// The sentences in as many groups as rayon has threads, of about as many tokens each.
    fn groups(&self) -> Vec<Vec<Range<usize>>> {
        let share = self.tokens().div_ceil(rayon::current_num_threads()).max(1);
        let mut groups: Vec<Vec<Range<usize>>> = Vec::new();
        for span in self.spans() {
            match groups.last_mut() {
                Some(group) if span.end - group[0].start <= share + span.len() / 2 => group.push(span),
                _ => groups.push(vec![span]),
            }
        }
        groups
    }
}

/// The dropout of a training step.
#[derive(Debug, Clone, Copy)]
pub struct Randomness {
    /// The probability that a hidden value is dropped (`hidden_dropout_prob`).
    pub hidden_dropout: f64,
    /// The probability that a share of attention is dropped (`attention_probs_dropout_prob`).
    pub attention_dropout: f64,
    /// The seed of the random numbers: a different one in every step.
    pub seed: u64,
}

impl Randomness {
    /// Nothing is dropped.
    pub fn none() -> Self {
        Self { hidden_dropout: 0.0, attention_dropout: 0.0, seed: 0 }
    }
}

/// Hidden states of the last layer, `[tokens, hidden]`, differentiable on Flex's autodiff device. With `words` the
/// gradient of the word embeddings goes there, and not into burn's graph. `adapters` are added to the weights.
///
/// # Panics
/// If the module is on another device.
pub fn forward(
    encoder: &Encoder,
    adapters: Option<&Adapters>,
    batch: &RaggedBatch,
    randomness: &Randomness,
    words: Option<&SparseGradient>,
) -> Tensor<2> {
    match encoder {
        Encoder::Bert(bert) => forward_bert(bert, adapters, batch, randomness, words),
        Encoder::Described(network) => match adapters {
            None => described::forward(network, batch, randomness, words),
            Some(adapters) => described::forward(&adapters.attached(network), batch, randomness, words),
        },
    }
}

fn forward_bert(
    bert: &Bert,
    adapters: Option<&Adapters>,
    batch: &RaggedBatch,
    randomness: &Randomness,
    words: Option<&SparseGradient>,
) -> Tensor<2> {
    let embedded = embedding::embed(&bert.embeddings, batch, randomness, words);
    let groups = batch.groups();
    let [_, width] = embedded.dims();
    let distances = bert.distances.as_ref().map(|distances| {
        let scale = akin_kernels::gradient::attention::scale(width, distances.heads);
        distances::table(distances, batch.longest(), scale)
    });
    bert.layers.iter().enumerate().fold(embedded, |hidden, (number, module)| {
        let adapters = adapters.and_then(|adapters| adapters.layer(number));
        layer::forward(module, adapters, hidden, distances.clone(), &groups, randomness, number)
    })
}

/// The parameter of the word embeddings.
pub fn word_embeddings(encoder: &Encoder) -> ParamId {
    encoder.words().weight.id
}

/// Pools hidden states `[tokens, hidden]` of a batch to `[sentences, hidden]`.
///
/// # Panics
/// If the tensor is not on Flex's autodiff device, or of another batch.
pub fn pool(hidden: Tensor<2>, batch: &RaggedBatch, pooling: Pooling) -> Tensor<2> {
    pooling::pool(hidden, batch.spans(), pooling)
}
