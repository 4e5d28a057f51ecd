//! A network that is not BERT's as training runs it: burn's operations under its autodiff, and operations of our own
//! where burn has many small ones.
//!
//! Tokens lie end to end, so products of matrices, norms and activations compute nothing for padding. Only the attention
//! sees the sentences as a rectangle.

use std::cell::Cell;
use std::ops::Range;

use akin_encoder::burn::{Norm, Pass, Transformer, activate};
use akin_kernels::activation::Activation;
use akin_kernels::gradient::dropout::Dropout;
use burn::nn::Embedding;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::elementwise::{dropped, gelu, normalized};
use super::rows::{look_up, spread};
use super::{RaggedBatch, Randomness, SparseGradient};

/// The score of a key that is not seen: finite, so that no row is without a number.
const UNSEEN: f32 = -1e30;

/// Hidden states of the last layer, `[tokens, hidden]`.
pub(super) fn forward(
    network: &Transformer,
    batch: &RaggedBatch,
    randomness: &Randomness,
    words: Option<&SparseGradient>,
) -> Tensor<2> {
    let device = network.words.weight.val().device();
    let [sentences, longest] = [batch.sentences(), batch.longest()];
    let spans = batch.spans();
    let mask = spans.iter().any(|span| span.len() < longest).then(|| {
        let padded = spans.iter().flat_map(|span| (0..longest).map(|at| at >= span.len()));
        let padded = TensorData::new(padded.collect::<Vec<bool>>(), [sentences, 1, 1, longest]);
        Tensor::from_data(padded, &device)
    });
    network.forward(&TrainingPass {
        batch,
        randomness,
        words,
        spans,
        longest,
        mask,
        device,
        places: Cell::new(0),
    })
}

/// A step of training.
struct TrainingPass<'a> {
    batch: &'a RaggedBatch,
    randomness: &'a Randomness,
    words: Option<&'a SparseGradient>,
    spans: Vec<Range<usize>>,
    longest: usize,
    mask: Option<Tensor<4, Bool>>,
    device: Device,
    /// How many places of the network have dropped values so far.
    places: Cell<usize>,
}

impl TrainingPass<'_> {
    fn integers(&self, values: &[u32]) -> Tensor<1, Int> {
        let values: Vec<i64> = values.iter().map(|value| i64::from(*value)).collect();
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &self.device)
    }

    /// The dropout of the next place.
    fn dropout(&self, probability: f64) -> Dropout {
        let place = self.places.get();
        self.places.set(place + 1);
        Dropout::new(probability, self.randomness.seed).at(place)
    }
}

impl Pass for TrainingPass<'_> {
    fn dims(&self) -> [usize; 2] {
        [self.spans.len(), self.longest]
    }

    fn words(&self, table: &Embedding) -> Tensor<2> {
        look_up(table, &self.batch.ids, self.words)
    }

    fn positions(&self) -> Tensor<1, Int> {
        self.integers(&self.batch.positions)
    }

    fn types(&self) -> Option<Tensor<1, Int>> {
        self.batch.types.iter().any(|kind| *kind > 0).then(|| self.integers(&self.batch.types))
    }

    fn mask(&self) -> Option<Tensor<4, Bool>> {
        self.mask.clone()
    }

    fn by_sentence(&self, tokens: Tensor<2>) -> Tensor<2> {
        match self.mask {
            Some(_) => spread(tokens, &self.spans, self.longest, true),
            None => tokens,
        }
    }

    fn by_token(&self, sentences: Tensor<2>) -> Tensor<2> {
        match self.mask {
            Some(_) => spread(sentences, &self.spans, self.longest, false),
            None => sentences,
        }
    }

    fn dropped(&self, hidden: Tensor<2>) -> Tensor<2> {
        dropped(hidden, self.dropout(self.randomness.hidden_dropout))
    }

    fn normalized(&self, norm: &Norm, rows: Tensor<2>) -> Tensor<2> {
        if norm.centred { normalized(norm, rows) } else { norm.forward(rows) }
    }

    fn activated(&self, activation: Activation, values: Tensor<2>) -> Tensor<2> {
        match activation {
            Activation::Gelu => gelu(values),
            other => activate(other, values),
        }
    }

    fn attend(&self, heads: [Tensor<4>; 3], bias: Option<Tensor<4>>, scale: f32) -> Tensor<4> {
        let [query, key, value] = heads;
        let mut scores = query.matmul(key.swap_dims(2, 3)) * scale;
        if let Some(bias) = bias {
            scores = scores + bias;
        }
        let [rows, count, longest, _] = scores.dims();
        if let Some(mask) = self.mask() {
            scores = scores.mask_fill(mask.expand([rows, count, longest, longest]), UNSEEN);
        }
        let shares = softmax(scores, 3).reshape([rows * count * longest, longest]);
        let shares = dropped(shares, self.dropout(self.randomness.attention_dropout));
        shares.reshape([rows, count, longest, longest]).matmul(value)
    }
}
