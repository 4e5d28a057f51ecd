//! How a model is trained.

use serde::Serialize;

use crate::lora::LoraSettings;
use crate::objective::{Goal, Objective};
use crate::optimizer::AdamWSettings;
use crate::{Error, Result};

/// How a model is trained. The defaults are the paper's, or sentence-transformers' where the paper gives none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingSettings {
    /// What the model is trained towards.
    pub objective: Objective,
    /// How often every example is seen.
    pub epochs: usize,
    /// Examples a step.
    pub batch_size: usize,
    /// The learning rate at the end of the warm-up.
    pub learning_rate: f64,
    /// The share of the steps that the learning rate rises over.
    pub warmup: f64,
    /// Weight decay: the share of a weight, times the learning rate, that each step subtracts.
    pub weight_decay: f64,
    /// The norm that gradients are clipped to.
    pub clip_norm: f64,
    /// Whether there is dropout.
    pub dropout: bool,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Steps between evaluations; none for one after each epoch.
    pub evaluate_every: Option<usize>,
    /// Evaluations without a better score after which training ends; none to go on to the end.
    pub patience: Option<usize>,
    /// What the cosines of ranking and CoSENT are multiplied by.
    pub scale: f64,
    /// The dimensions that embeddings are cut to, the loss being the sum over them; none for whole embeddings.
    pub dimensions: Vec<usize>,
    /// Sentences whose activations are kept at a time, at the price of a second forward pass; none for those of a batch.
    pub cached: Option<usize>,
    /// The adapters that are trained in place of the encoder; none to train all of it.
    pub lora: Option<LoraSettings>,
}

impl TrainingSettings {
    /// The defaults, for an objective.
    pub fn new(objective: Objective) -> Self {
        let adamw = AdamWSettings::default();
        Self {
            objective,
            epochs: 1,
            batch_size: 16,
            learning_rate: 2e-5,
            warmup: 0.1,
            weight_decay: adamw.weight_decay,
            clip_norm: adamw.clip_norm,
            dropout: true,
            seed: 42,
            evaluate_every: None,
            patience: None,
            scale: Goal::of(objective).scale,
            dimensions: Vec::new(),
            cached: None,
            lora: None,
        }
    }

    /// What the loss is computed for.
    pub fn goal(&self) -> Goal<'_> {
        Goal { objective: self.objective, scale: self.scale, dimensions: &self.dimensions }
    }

    /// Refuses settings that do not go together, for a model whose embeddings have `dimension` numbers.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the setting.
    pub fn check(&self, dimension: usize) -> Result<()> {
        let invalid = |reason: String| Err(Error::Invalid(reason));
        if !self.dimensions.is_empty() && !self.objective.is_headless() {
            return invalid(
                "an objective with a head is trained for one dimension, and not for several".into(),
            );
        }
        if let Some(wrong) = self.dimensions.iter().find(|cut| **cut == 0 || **cut > dimension) {
            return invalid(format!(
                "embeddings of {dimension} numbers cannot be cut to {wrong}: choose from 1 to {dimension}"
            ));
        }
        if self.cached.is_some() && self.objective == Objective::CrossEncoder {
            return invalid("a cross-encoder has no embeddings, and so none to cache".into());
        }
        Ok(())
    }

    pub(super) fn adamw(&self) -> AdamWSettings {
        AdamWSettings {
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            ..AdamWSettings::default()
        }
    }
}
