//! The network that is trained: one encoder for all sentences of an example, and the head of the objective.

use std::path::Path;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::autodiff::{self, RaggedBatch, Randomness, SparseGradient};
use crate::base::BaseModel;
use crate::encoder::Encoder;
use crate::example::{Example, Target, check_sides, scores, sentences_of, teacher_rows, wrong_kind};
use crate::heads::linear;
use crate::lora::{Adapters, LoraSettings};
use crate::losses::{
    binary_cross_entropy, cosent_loss, cross_entropy, distillation_loss, margin_loss, not_negatives,
    ranking_loss, regression_loss, triplet_loss, unit_rows,
};
use crate::objective::{Goal, Objective, logits};
use crate::random::Random;
use crate::score_head::ScoreHead;
use crate::{Error, Result};

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
    encoder: Encoder,
    classifier: Option<Linear>,
    score: Option<ScoreHead>,
    adapters: Option<Adapters>,
}

impl Network {
    /// `encoder` with the head that `objective` needs, drawn from `seed`; a cross-encoder begins with the pooler of the
    /// base, or its whole head, where there is one.
    ///
    /// # Errors
    /// When the weights of the base do not fit its config.
    pub fn new(
        encoder: Encoder,
        base: &BaseModel,
        objective: Objective,
        labels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut random = Random::new(seed ^ 0x6865_6164);
        let width = base.dimension();
        let mut network = Self { encoder, classifier: None, score: None, adapters: None };
        match objective {
            Objective::Classification(concatenation) => {
                let wide = concatenation.parts() * width;
                network.classifier = Some(linear(wide, labels, false, &mut random, device));
            }
            Objective::CrossEncoder => {
                network.score = Some(ScoreHead::new(base, &mut random, device)?);
            }
            _ => {}
        }
        Ok(network)
    }

    /// The same, whose encoder stays as it is apart from adapters, drawn from `seed`. A head is trained whole.
    pub fn with_adapters(self, settings: &LoraSettings, seed: u64) -> Self {
        let adapters = Adapters::new(&self.encoder, settings, seed, &self.device());
        Self { encoder: self.encoder.no_grad(), adapters: Some(adapters), ..self }
    }

    /// Whether the encoder stays as it is, apart from adapters.
    pub fn is_adapted(&self) -> bool {
        self.adapters.is_some()
    }

    /// Reads a cross-encoder from a directory.
    ///
    /// # Errors
    /// When the directory is not that of a cross-encoder.
    pub fn open_cross_encoder(base: &BaseModel, device: &Device) -> Result<Self> {
        let score = Some(ScoreHead::open(base, device)?);
        Ok(Self { encoder: base.network(device)?, classifier: None, score, adapters: None })
    }

    /// Writes the model as a directory: a sentence-transformers one, or a cross-encoder with its head.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, base: &BaseModel, to: &Path) -> Result<()> {
        let merged = self.adapters.as_ref().map(|adapters| adapters.merged(&self.encoder));
        let encoder = merged.as_ref().unwrap_or(&self.encoder);
        match &self.score {
            None => Ok(base.save(encoder, to)?),
            Some(head) => Ok(base.save_cross_encoder(encoder, &head.named_weights(), to)?),
        }
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The head of a cross-encoder.
    pub fn score_head(&self) -> Option<&ScoreHead> {
        self.score.as_ref()
    }

    /// The loss of some examples, a tensor of one value.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the examples are not of the kind that the objective learns from.
    pub fn loss(
        &self,
        base: &BaseModel,
        goal: Goal<'_>,
        examples: &[&Example],
        conditions: &Conditions<'_>,
    ) -> Result<Tensor<1>> {
        if goal.objective == Objective::CrossEncoder {
            let scores = column(&scores(examples)?, &self.device());
            return Ok(binary_cross_entropy(self.score_logits(base, examples, conditions)?, scores));
        }
        check_sides(goal.objective, examples)?;
        self.loss_of_embeddings(goal, examples, self.embed(base, &sentences_of(examples), conditions))
    }

    /// The loss of some examples of which the sentences have these embeddings, in the order of [`sentences_of`]. With
    /// dimensions in the goal it is the sum of the losses of embeddings that are cut to each (Kusupati et al. 2022).
    ///
    /// # Errors
    /// As [`loss`](Self::loss), and for a cross-encoder, which has no embeddings.
    pub fn loss_of_embeddings(
        &self,
        goal: Goal<'_>,
        examples: &[&Example],
        embeddings: Tensor<2>,
    ) -> Result<Tensor<1>> {
        if goal.dimensions.is_empty() {
            return self.loss_at(goal, examples, embeddings, false);
        }
        if !goal.objective.is_headless() {
            return Err(Error::Invalid("a model with a head is trained for one dimension".into()));
        }
        let cut = |dimension: &usize| embeddings.clone().narrow(1, 0, *dimension);
        let losses: Vec<Tensor<1>> = (goal.dimensions.iter())
            .map(|dimension| self.loss_at(goal, examples, unit_rows(cut(dimension)), true))
            .collect::<Result<_>>()?;
        Ok(Tensor::cat(losses, 0).sum())
    }

    /// The loss for embeddings of one dimension; `is_cut` says that they were cut and made of length one.
    fn loss_at(
        &self,
        goal: Goal<'_>,
        examples: &[&Example],
        embeddings: Tensor<2>,
        is_cut: bool,
    ) -> Result<Tensor<1>> {
        let (n, device) = (examples.len(), self.device());
        let [rows, width] = embeddings.dims();
        let side = |number: usize| embeddings.clone().narrow(0, number * n, n);
        match goal.objective {
            Objective::Regression => {
                Ok(regression_loss(side(0), side(1), column(&scores(examples)?, &device)))
            }
            Objective::Cosent => Ok(cosent_loss(side(0), side(1), &scores(examples)?, goal.scale)),
            Objective::Triplet => Ok(triplet_loss(side(0), side(1), side(2))),
            Objective::Ranking => {
                let candidates = embeddings.clone().narrow(0, n, rows - n);
                Ok(ranking_loss(side(0), candidates, not_negatives(examples, &device), goal.scale))
            }
            Objective::Margin => {
                let margin = |example: &&Example| match example.target {
                    Target::Margin(margin) => Ok(margin),
                    _ => Err(wrong_kind()),
                };
                let margins = examples.iter().map(margin).collect::<Result<Vec<f32>>>()?;
                Ok(margin_loss(side(0), side(1), side(2), column(&margins, &device)))
            }
            Objective::Distillation => {
                let teacher = teacher_rows(examples, width)?;
                let teacher = Tensor::from_data(TensorData::new(teacher, [rows, width]), &device);
                Ok(distillation_loss(embeddings, if is_cut { unit_rows(teacher) } else { teacher }))
            }
            Objective::Classification(concatenation) => {
                let label = |example: &&Example| match example.target {
                    Target::Label(label) => Ok(label as i64),
                    _ => Err(wrong_kind()),
                };
                let labels = examples.iter().map(label).collect::<Result<Vec<i64>>>()?;
                let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [n, 1]), &device);
                let classifier = self.classifier.as_ref().ok_or_else(wrong_kind)?;
                Ok(cross_entropy(logits(classifier, concatenation, side(0), side(1)), labels))
            }
            Objective::CrossEncoder => Err(wrong_kind()),
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
        check_sides(objective, examples)?;
        let embeddings = self.embed(base, &sentences_of(examples), conditions);
        let side = |number: usize| embeddings.clone().narrow(0, number * examples.len(), examples.len());
        Ok(logits(classifier, concatenation, side(0), side(1)))
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
        let hidden = self.hidden(&batch, conditions);
        Ok(head.forward(autodiff::pool(hidden, &batch, head.pooling())))
    }

    /// The embeddings of some sentences, in one batch: `[sentences, dimension]`.
    pub fn embed(&self, base: &BaseModel, sentences: &[&[u32]], conditions: &Conditions<'_>) -> Tensor<2> {
        let batch: RaggedBatch = base.batch(sentences);
        let pooled = autodiff::pool(self.hidden(&batch, conditions), &batch, base.pooling());
        if base.normalizes() { unit_rows(pooled) } else { pooled }
    }

    fn hidden(&self, batch: &RaggedBatch, conditions: &Conditions<'_>) -> Tensor<2> {
        // The word embeddings of an adapted network have no gradient.
        let words = conditions.words.filter(|_| !self.is_adapted());
        autodiff::forward(&self.encoder, self.adapters.as_ref(), batch, &conditions.randomness, words)
    }

    fn device(&self) -> Device {
        self.devices().first().cloned().unwrap_or_default()
    }
}

fn column(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len(), 1]), device)
}
