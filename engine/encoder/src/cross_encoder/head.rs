//! The head of a cross-encoder: the last hidden states of a pair to a logit.

use akin_kernels::cpu::isa;
use akin_kernels::dot;
use akin_kernels::layer_norm::LayerNorm;
use rayon::prelude::*;

use super::head_form::{HeadActivation, HeadForm};
use crate::executors::cpu::TensorReader;
use crate::families::LinearRef;
use crate::files::refuse;
use crate::model::{ModelDir, ModelWeights};
use crate::pooling::Pooling;
use crate::{Error, Result};

/// A dense layer with an activation, and a linear layer with one output.
pub(super) struct ScoreHead {
    pooling: Pooling,
    /// `[hidden, hidden]`, a row for each output.
    dense: Vec<f32>,
    /// Empty where there is none.
    dense_bias: Vec<f32>,
    activation: HeadActivation,
    /// Of what the activation gives.
    norm: Option<LayerNorm>,
    /// `[hidden]`
    score: Vec<f32>,
    score_bias: f32,
}

impl ScoreHead {
    /// Takes the head of the model from its weights.
    pub(super) fn load(model: &ModelDir, weights: &ModelWeights) -> Result<Self> {
        let width = model.config.hidden_size;
        let form = HeadForm::of(model, weights.prefix())?;
        let no_cross_encoder = |reason| Error::NoCrossEncoder { path: model.root.clone(), reason };
        let tensors = weights.tensors()?;
        let rows = |name: &str| {
            let tensor = tensors.tensor(&format!("{name}.weight")).map_err(|_| {
                no_cross_encoder(format!("its weights have no {name}, which makes the score of a pair"))
            });
            Ok(tensor?.shape().first().copied().unwrap_or_default())
        };
        rows(&form.dense)?;
        match rows(form.score)? {
            1 => {}
            labels => {
                return Err(no_cross_encoder(format!("it gives a pair {labels} labels, and a score is one")));
            }
        }
        let reader = TensorReader { tensors: &tensors, prefix: "" };
        let read = |name: &str, outputs: usize, biased: bool| {
            weights.check(&format!("{name}.weight"), &[outputs, width])?;
            if biased {
                weights.check(&format!("{name}.bias"), &[outputs])?;
            }
            let linear = LinearRef::new(name, outputs, width).biased(biased);
            reader.linear(&linear).map_err(|reason| refuse(weights.path(), reason))
        };
        let (dense, dense_bias) = read(&form.dense, width, form.biased)?;
        let (score, score_bias) = read(form.score, 1, true)?;
        let norm = form.norm.map(|norm| {
            weights.check(&norm.weight, &[width])?;
            norm.bias.iter().try_for_each(|bias| weights.check(bias, &[width]))?;
            reader.norm(&norm, &model.config).map_err(|reason| refuse(weights.path(), reason))
        });
        Ok(Self {
            pooling: form.pooling,
            dense: dense.into_owned(),
            dense_bias: dense_bias.into_owned(),
            activation: form.activation,
            norm: norm.transpose()?,
            score: score.into_owned(),
            score_bias: score_bias[0],
        })
    }

    /// What of the last hidden states of a pair it reads.
    pub(super) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// The logit of each pair, from the pooled states, `[pairs, hidden]`.
    pub(super) fn logits(&self, states: &[f32]) -> Vec<f32> {
        states.par_chunks_exact(self.score.len()).map(|state| self.logit(state)).collect()
    }

    fn logit(&self, state: &[f32]) -> f32 {
        let rows = self.dense.chunks_exact(state.len());
        let mut inner: Vec<f32> = rows.map(|row| dot(row, state)).collect();
        inner.iter_mut().zip(&self.dense_bias).for_each(|(x, bias)| *x += bias);
        self.activation.apply(&mut inner);
        if let Some(norm) = &self.norm {
            norm.apply_in_place(isa(), &mut inner);
        }
        inner.iter().zip(&self.score).map(|(x, weight)| x * weight).sum::<f32>() + self.score_bias
    }
}
