//! The head of a cross-encoder: the first token's last hidden state to a logit.

use akin_kernels::dot;
use rayon::prelude::*;

use crate::config::Architecture;
use crate::executors::cpu::TensorReader;
use crate::families::LinearRef;
use crate::files::refuse;
use crate::model::{ModelDir, ModelWeights};
use crate::{Error, Result};

/// A dense layer with tanh, and a linear layer with one output.
///
/// BERT calls the first its pooler, RoBERTa a part of its classifier; they compute the same.
pub(super) struct ScoreHead {
    /// `[hidden, hidden]`, a row for each output.
    dense: Vec<f32>,
    dense_bias: Vec<f32>,
    /// `[hidden]`
    score: Vec<f32>,
    score_bias: f32,
}

impl ScoreHead {
    /// Takes the head of the model from its weights.
    pub(super) fn load(model: &ModelDir, weights: &ModelWeights) -> Result<Self> {
        let width = model.config.hidden_size;
        let no_cross_encoder = |reason| Error::NoCrossEncoder { path: model.root.clone(), reason };
        let (dense, score) = match model.config.architecture {
            Architecture::Bert => (format!("{}pooler.dense", weights.prefix()), "classifier"),
            Architecture::Roberta | Architecture::XlmRoberta | Architecture::Camembert => {
                ("classifier.dense".into(), "classifier.out_proj")
            }
            other => {
                return Err(no_cross_encoder(format!(
                    "its network is {other:?}, and Akin runs cross-encoders of BERT, RoBERTa, XLM-R and CamemBERT"
                )));
            }
        };
        let tensors = weights.tensors()?;
        let rows = |name: &str| {
            let tensor = tensors.tensor(&format!("{name}.weight")).map_err(|_| {
                no_cross_encoder(format!("its weights have no {name}, which makes the score of a pair"))
            });
            Ok(tensor?.shape().first().copied().unwrap_or_default())
        };
        rows(&dense)?;
        match rows(score)? {
            1 => {}
            labels => {
                return Err(no_cross_encoder(format!("it gives a pair {labels} labels, and a score is one")));
            }
        }
        let reader = TensorReader { tensors: &tensors, prefix: "" };
        let read = |name: &str, outputs: usize| {
            weights.check(&format!("{name}.weight"), &[outputs, width])?;
            weights.check(&format!("{name}.bias"), &[outputs])?;
            let linear = LinearRef::new(name, outputs, width);
            reader.linear(&linear).map_err(|reason| refuse(weights.path(), reason))
        };
        let ((dense, dense_bias), (score, score_bias)) = (read(&dense, width)?, read(score, 1)?);
        Ok(Self {
            dense: dense.into_owned(),
            dense_bias: dense_bias.into_owned(),
            score: score.into_owned(),
            score_bias: score_bias[0],
        })
    }

    /// The logit of each pair, of whose first tokens `states` are the last hidden states, `[pairs, hidden]`.
    pub(super) fn logits(&self, states: &[f32]) -> Vec<f32> {
        states.par_chunks_exact(self.score.len()).map(|state| self.logit(state)).collect()
    }

    fn logit(&self, state: &[f32]) -> f32 {
        let rows = self.dense.chunks_exact(state.len()).zip(&self.dense_bias);
        let inner = rows.map(|(row, bias)| (dot(row, state) + bias).tanh());
        inner.zip(&self.score).map(|(x, weight)| x * weight).sum::<f32>() + self.score_bias
    }
}
