//! The network that is trained: one encoder for all sentences of an example, and the head of the objective.

use std::path::Path;

use akin_encoder::Pooling;
use akin_encoder::burn::Bert;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::autodiff::{self, RaggedBatch, Randomness, SparseGradient};
use crate::base::BaseModel;
use crate::objective::{
    Objective, ScoreHead, binary_cross_entropy, cross_entropy, head_names, logits, regression_loss,
    triplet_loss,
};
use crate::random::Random;
use crate::{Error, Result};

/// An example as the network reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Its sentences, tokenised: two, or the three of a triplet.
    pub sentences: Vec<Vec<u32>>,
    /// Their score, label or order.
    pub target: Target,
}

/// What the network is to learn from an example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// How alike its two sentences are, from 0 to 1.
    Score(f32),
    /// The number of its label.
    Label(usize),
    /// Its first sentence is closer to the second than to the third.
    Order,
}

/// What a pass through the network depends on apart from its examples.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// The dropout.
    pub randomness: Randomness,
    /// Where the gradient of the word embeddings goes, if not into burn's graph.
    pub words: Option<&'a SparseGradient>,
}

impl Conditions<'_> {
    /// For a trained network: no dropout.
    pub fn plain() -> Self {
        Self { randomness: Randomness::none(), words: None }
    }
}

/// The encoder and its head.
#[derive(Module, Debug)]
pub struct Network {
    bert: Bert,
    classifier: Option<Linear>,
    score: Option<ScoreHead>,
}

impl Network {
    /// `bert` with the head that `objective` needs, drawn from `seed`; a cross-encoder begins with the pooler of the
    /// base, or its whole head, where there is one.
    ///
    /// # Errors
    /// When the weights of the base do not fit its config.
    pub fn new(
        bert: Bert,
        base: &BaseModel,
        objective: Objective,
        labels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut random = Random::new(seed ^ 0x6865_6164);
        let width = base.dimension();
        let mut network = Self { bert, classifier: None, score: None };
        match objective {
            Objective::Classification(concatenation) => {
                let wide = concatenation.parts() * width;
                network.classifier = Some(linear(wide, labels, false, &mut random, device));
            }
            Objective::CrossEncoder => {
                let [dense, score] = head_names(base.architecture());
                let mut layer = |name: &str, outputs: usize| -> Result<Linear> {
                    let drawn = linear(width, outputs, true, &mut random, device);
                    Ok(base_linear(base, name, outputs, device)?.unwrap_or(drawn))
                };
                network.score = Some(ScoreHead { pooler: layer(dense, width)?, score: layer(score, 1)? });
            }
            Objective::Regression | Objective::Triplet => {}
        }
        Ok(network)
    }

    /// Reads a cross-encoder from a directory.
    ///
    /// # Errors
    /// When the directory is not that of a cross-encoder.
    pub fn open_cross_encoder(base: &BaseModel, device: &Device) -> Result<Self> {
        let width = base.dimension();
        let [dense, score] = head_names(base.architecture());
        let layer = |name: &str, outputs: usize| -> Result<Linear> {
            base_linear(base, name, outputs, device)?.ok_or_else(|| {
                Error::Invalid(format!(
                    "{}: the model has no layer {name}: it is no cross-encoder",
                    base.name()
                ))
            })
        };
        let score = Some(ScoreHead { pooler: layer(dense, width)?, score: layer(score, 1)? });
        Ok(Self { bert: base.network(device)?, classifier: None, score })
    }

    /// Writes the model as a directory: a sentence-transformers one, or a cross-encoder with its head.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, base: &BaseModel, to: &Path) -> Result<()> {
        match &self.score {
            None => Ok(base.save(&self.bert, to)?),
            Some(head) => {
                Ok(base.save_cross_encoder(&self.bert, &head.named_weights(base.architecture()), to)?)
            }
        }
    }

    /// The encoder.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }

    /// The head of a cross-encoder.
    pub fn score_head(&self) -> Option<&ScoreHead> {
        self.score.as_ref()
    }

    /// The mean loss of some examples, a tensor of one value.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the examples are not of the kind that the objective learns from.
    pub fn loss(
        &self,
        base: &BaseModel,
        objective: Objective,
        examples: &[&Example],
        conditions: &Conditions<'_>,
    ) -> Result<Tensor<1>> {
        let device = self.device();
        let n = examples.len();
        let wrong =
            || Error::Invalid("the examples are not of the kind that the objective learns from".into());
        let scores = || -> Result<Tensor<2>> {
            let scores = examples.iter().map(|example| match example.target {
                Target::Score(score) => Ok(score),
                _ => Err(wrong()),
            });
            Ok(Tensor::from_data(TensorData::new(scores.collect::<Result<Vec<f32>>>()?, [n, 1]), &device))
        };
        match objective {
            Objective::Regression => {
                let [u, v] = self.embed_sides(base, examples, conditions);
                Ok(regression_loss(u, v, scores()?))
            }
            Objective::Classification(_) => {
                let labels = examples.iter().map(|example| match example.target {
                    Target::Label(label) => Ok(label as i64),
                    _ => Err(wrong()),
                });
                let labels = TensorData::new(labels.collect::<Result<Vec<i64>>>()?, [n, 1]);
                let logits = self.label_logits(base, objective, examples, conditions)?;
                Ok(cross_entropy(logits, Tensor::<2, Int>::from_data(labels, &device)))
            }
            Objective::Triplet => {
                if examples.iter().any(|example| example.sentences.len() != 3) {
                    return Err(wrong());
                }
                let [a, p, n] = self.embed_sides(base, examples, conditions);
                Ok(triplet_loss(a, p, n))
            }
            Objective::CrossEncoder => {
                Ok(binary_cross_entropy(self.score_logits(base, examples, conditions)?, scores()?))
            }
        }
    }

    /// The logits of the labels of some pairs: `[n, labels]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the objective is classification.
    pub fn label_logits(
        &self,
        base: &BaseModel,
        objective: Objective,
        examples: &[&Example],
        conditions: &Conditions<'_>,
    ) -> Result<Tensor<2>> {
        let (Objective::Classification(concatenation), Some(classifier)) = (objective, &self.classifier)
        else {
            return Err(Error::Invalid("only a classifier has labels".into()));
        };
        let [u, v] = self.embed_sides(base, examples, conditions);
        Ok(logits(classifier, concatenation, u, v))
    }

    /// The logits of the scores of some pairs by a cross-encoder: `[n, 1]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless this is a cross-encoder.
    pub fn score_logits(
        &self,
        base: &BaseModel,
        examples: &[&Example],
        conditions: &Conditions<'_>,
    ) -> Result<Tensor<2>> {
        let Some(head) = &self.score else {
            return Err(Error::Invalid("only a cross-encoder scores pairs".into()));
        };
        let pairs: Vec<[&[u32]; 2]> =
            examples.iter().map(|example| [0, 1].map(|side| example.sentences[side].as_slice())).collect();
        let batch = base.pair_batch(&pairs);
        let hidden = autodiff::forward(&self.bert, &batch, &conditions.randomness, conditions.words);
        Ok(head.forward(autodiff::pool(hidden, &batch, Pooling::Cls)))
    }

    /// The embeddings of each side of the examples. All sentences are one batch.
    fn embed_sides<const N: usize>(
        &self,
        base: &BaseModel,
        examples: &[&Example],
        conditions: &Conditions<'_>,
    ) -> [Tensor<2>; N] {
        let sentences: Vec<&[u32]> = (0..N)
            .flat_map(|side| examples.iter().map(move |example| example.sentences[side].as_slice()))
            .collect();
        let batch: RaggedBatch = base.batch(&sentences);
        let hidden = autodiff::forward(&self.bert, &batch, &conditions.randomness, conditions.words);
        let pooled = autodiff::pool(hidden, &batch, base.pooling());
        let embeddings = if base.normalizes() { normalized(pooled) } else { pooled };
        let n = examples.len();
        std::array::from_fn(|side| embeddings.clone().narrow(0, side * n, n))
    }

    fn device(&self) -> Device {
        self.devices().first().cloned().unwrap_or_default()
    }
}

/// Each row divided by its length.
fn normalized(rows: Tensor<2>) -> Tensor<2> {
    let lengths = (rows.clone() * rows.clone()).sum_dim(1).sqrt().clamp_min(1e-12);
    rows / lengths
}

/// A linear layer of the base over a token's vector, where it has one with so many outputs.
fn base_linear(base: &BaseModel, name: &str, outputs: usize, device: &Device) -> Result<Option<Linear>> {
    let width = base.dimension();
    let Some((weight, bias)) = base.dense(name, width, outputs)? else { return Ok(None) };
    let mut linear = LinearConfig::new(width, outputs).init(device);
    linear.weight = parameter(weight, [width, outputs], device);
    linear.bias = Some(parameter(bias, [outputs], device));
    Ok(Some(linear))
}

/// A linear layer, uniform within 1 / sqrt(inputs), as PyTorch draws one.
fn linear(inputs: usize, outputs: usize, bias: bool, random: &mut Random, device: &Device) -> Linear {
    let bound = 1.0 / (inputs as f64).sqrt();
    let mut draw =
        |count: usize| (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect();
    let weight = draw(inputs * outputs);
    let mut linear = LinearConfig::new(inputs, outputs).with_bias(bias).init(device);
    linear.weight = parameter(weight, [inputs, outputs], device);
    if bias {
        linear.bias = Some(parameter(draw(outputs), [outputs], device));
    }
    linear
}

fn parameter<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_data(TensorData::new(values, shape), device)
}
