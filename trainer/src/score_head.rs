//! The head of a cross-encoder, as the family of its network has it.

use std::sync::Arc;

use akin_encoder::Pooling;
use akin_encoder::burn::{NamedTensor, activate};
use akin_encoder::model::{HeadActivation, HeadForm};
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor};

use crate::base::BaseModel;
use crate::heads::{base_linear, linear, parameter};
use crate::random::Random;
use crate::{Error, Result};

/// A dense layer over the first token or the mean of all, an activation, in some families a norm, and the score.
#[derive(Module, Debug)]
pub struct ScoreHead {
    /// BERT's pooler, or what has its place.
    pub pooler: Linear,
    /// Of what the activation gives.
    pub norm: Option<LayerNorm>,
    /// One output.
    pub score: Linear,
    #[module(skip)]
    form: Arc<HeadForm>,
}

impl ScoreHead {
    /// A head for a base: the layers that it has, and others drawn anew.
    ///
    /// # Errors
    /// [`akin_encoder::Error::NoCrossEncoder`] for a family that has no such head, and when weights do not fit.
    pub(crate) fn new(base: &BaseModel, random: &mut Random, device: &Device) -> Result<Self> {
        let width = base.dimension();
        Self::of(base, device, |name, outputs, biased| {
            let drawn = linear(width, outputs, biased, random, device);
            Ok(base_linear(base, name, outputs, biased, device)?.unwrap_or(drawn))
        })
    }

    /// The head of a cross-encoder.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the base has none, and as [`new`](Self::new).
    pub(crate) fn open(base: &BaseModel, device: &Device) -> Result<Self> {
        Self::of(base, device, |name, outputs, biased| {
            base_linear(base, name, outputs, biased, device)?.ok_or_else(|| {
                Error::Invalid(format!(
                    "{}: the model has no layer {name}: it is no cross-encoder",
                    base.name()
                ))
            })
        })
    }

    fn of(
        base: &BaseModel,
        device: &Device,
        mut layer: impl FnMut(&str, usize, bool) -> Result<Linear>,
    ) -> Result<Self> {
        let form = base.head_form()?;
        let width = base.dimension();
        let norm = match form.norm_names() {
            None => None,
            Some((weight, bias)) => {
                let config = LayerNormConfig::new(width).with_epsilon(base.dir.config.layer_norm_eps);
                let mut norm = config.with_bias(bias.is_some()).init(device);
                if let Some(values) = base.vector(weight, width)? {
                    norm.gamma = parameter(values, [width], device);
                }
                if let Some(values) = bias.map(|bias| base.vector(bias, width)).transpose()?.flatten() {
                    norm.beta = Some(parameter(values, [width], device));
                }
                Some(norm)
            }
        };
        let pooler = layer(&form.dense, width, form.biased)?;
        let score = layer(form.score, 1, true)?;
        Ok(Self { pooler, norm, score, form: Arc::new(form) })
    }

    /// What of the last hidden states of a pair it reads.
    pub fn pooling(&self) -> Pooling {
        self.form.pooling
    }

    /// Its weights under the names of Hugging Face's sequence classifiers, with their shapes there.
    pub(crate) fn named_weights(&self) -> Vec<NamedTensor> {
        let mut weights = Vec::new();
        for (name, linear) in [(self.form.dense.as_str(), &self.pooler), (self.form.score, &self.score)] {
            let [inputs, outputs] = linear.weight.dims();
            let weight = values(linear.weight.val().transpose());
            weights.push((format!("{name}.weight"), vec![outputs, inputs], weight));
            if let Some(bias) = &linear.bias {
                weights.push((format!("{name}.bias"), vec![outputs], values(bias.val())));
            }
        }
        if let (Some((weight, bias)), Some(norm)) = (self.form.norm_names(), &self.norm) {
            let width = norm.gamma.val().dims().to_vec();
            weights.push((weight.to_owned(), width.clone(), values(norm.gamma.val())));
            if let (Some(name), Some(bias)) = (bias, &norm.beta) {
                weights.push((name.to_owned(), width, values(bias.val())));
            }
        }
        weights
    }

    /// The logits of pooled states, `[n, dimension]`: `[n, 1]`.
    pub fn forward(&self, pooled: Tensor<2>) -> Tensor<2> {
        let inner = self.pooler.forward(pooled);
        let inner = match self.form.activation {
            HeadActivation::Tanh => inner.tanh(),
            HeadActivation::Other(activation) => activate(activation, inner),
        };
        let inner = match &self.norm {
            Some(norm) => norm.forward(inner),
            None => inner,
        };
        self.score.forward(inner)
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec().expect("weights are f32")
}
