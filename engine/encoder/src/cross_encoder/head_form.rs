//! What the head of a cross-encoder computes, and where its weights are, for each family of networks: as the classes
//! `…ForSequenceClassification` of transformers.

use akin_kernels::activation::Activation;
use akin_kernels::cpu::isa;
use serde_json::{Map, Value};

use crate::config::{Architecture, activation_named};
use crate::families::NormRef;
use crate::files::{read_json, refuse};
use crate::model::ModelDir;
use crate::pooling::Pooling;
use crate::settings::shortened;
use crate::{Error, Result};

/// The families whose cross-encoders are run, for an error to name.
pub(super) const FAMILIES: &str =
    "BERT, RoBERTa, XLM-R, CamemBERT, DistilBERT, ELECTRA, MPNet, ALBERT, DeBERTa v2 and v3, and ModernBERT";

/// The form of a head.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeadForm {
    /// What of the last hidden states it reads: the first token, or the mean of all.
    pub pooling: Pooling,
    /// The linear layer before the activation.
    pub dense: String,
    /// Whether that has a bias.
    pub biased: bool,
    /// What is applied to its output.
    pub activation: HeadActivation,
    /// Of what the activation gives.
    pub(super) norm: Option<NormRef>,
    /// The linear layer with one output.
    pub score: &'static str,
}

/// What is applied between the two linear layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HeadActivation {
    /// The hyperbolic tangent.
    Tanh,
    /// One that networks have too.
    Other(Activation),
}

impl HeadActivation {
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
            Self::Other(activation) => activation.apply(isa(), values),
        }
    }
}

impl HeadForm {
    /// That of a model, whose tensors have names after `prefix`.
    ///
    /// # Errors
    /// [`Error::NoCrossEncoder`] for a family of which no cross-encoder is run, [`Error::Model`] for a setting of the head
    /// that is not known.
    pub fn of(model: &ModelDir, prefix: &str) -> Result<Self> {
        let tanh = |dense: String, score| Self {
            pooling: Pooling::Cls,
            dense,
            biased: true,
            activation: HeadActivation::Tanh,
            norm: None,
            score,
        };
        let classifier = || tanh("classifier.dense".into(), "classifier.out_proj");
        match model.config.architecture {
            Architecture::Bert => Ok(tanh(format!("{prefix}pooler.dense"), "classifier")),
            Architecture::Albert => Ok(tanh(format!("{prefix}pooler"), "classifier")),
            Architecture::Roberta
            | Architecture::XlmRoberta
            | Architecture::Camembert
            | Architecture::MpNet => Ok(classifier()),
            Architecture::Electra => {
                Ok(Self { activation: HeadActivation::Other(Activation::Gelu), ..classifier() })
            }
            Architecture::DistilBert => {
                let activation = HeadActivation::Other(Activation::Relu);
                Ok(Self { activation, ..tanh("pre_classifier".into(), "classifier") })
            }
            Architecture::DebertaV2 => {
                let activation = named(model, "pooler_hidden_act")?;
                Ok(Self { activation, ..tanh("pooler.dense".into(), "classifier") })
            }
            Architecture::ModernBert => Self::of_modern_bert(model),
            other => Err(Error::NoCrossEncoder {
                path: model.root.clone(),
                reason: format!("its network is {other:?}, and Akin runs cross-encoders of {FAMILIES}"),
            }),
        }
    }

    /// The names of weight and bias of the norm, where there are any.
    pub fn norm_names(&self) -> Option<(&str, Option<&str>)> {
        self.norm.as_ref().map(|norm| (norm.weight.as_str(), norm.bias.as_deref()))
    }

    fn of_modern_bert(model: &ModelDir) -> Result<Self> {
        let pooling = match setting(model, "classifier_pooling")? {
            None => Pooling::Cls,
            Some(value) if value == "cls" => Pooling::Cls,
            Some(value) if value == "mean" => Pooling::Mean,
            Some(other) => return Err(unlike(model, "classifier_pooling", &other, "\"cls\" or \"mean\"")),
        };
        let biased = match setting(model, "classifier_bias")? {
            None => false,
            Some(Value::Bool(biased)) => biased,
            Some(other) => return Err(unlike(model, "classifier_bias", &other, "true or false")),
        };
        let width = model.config.hidden_size;
        let norm = match model.config.form.norm_bias {
            true => NormRef::new("head.norm", width),
            false => NormRef::unbiased("head.norm", width),
        };
        Ok(Self {
            pooling,
            dense: "head.dense".into(),
            biased,
            activation: named(model, "classifier_activation")?,
            norm: Some(norm),
            score: "classifier",
        })
    }
}

/// The activation that `config.json` names; GELU where it names none.
fn named(model: &ModelDir, key: &str) -> Result<HeadActivation> {
    match setting(model, key)? {
        None => Ok(HeadActivation::Other(Activation::Gelu)),
        Some(value) if value == "tanh" => Ok(HeadActivation::Tanh),
        Some(value) => match value.as_str().and_then(activation_named) {
            Some(activation) => Ok(HeadActivation::Other(activation)),
            None => Err(unlike(model, key, &value, "tanh or an activation of the network")),
        },
    }
}

/// A value of `config.json`.
fn setting(model: &ModelDir, key: &str) -> Result<Option<Value>> {
    let mut config: Map<String, Value> = read_json(&model.transformer.join("config.json"))?;
    Ok(config.remove(key).filter(|value| !value.is_null()))
}

fn unlike(model: &ModelDir, key: &str, value: &Value, expected: &str) -> Error {
    let reason = format!("{key} is {}, and must be {expected}", shortened(value));
    refuse(&model.transformer.join("config.json"), reason)
}
