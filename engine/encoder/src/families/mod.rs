//! The families of networks: one description each, which both executors compute from.
//!
//! A family says what its `config.json` means (`describe`: sizes, and a [`Form`] with all that differs from BERT) and
//! where the weights of each part are (`layout`). No executor asks which family a network is of.

mod albert;
mod bert;
mod deberta;
mod distilbert;
mod form;
mod gemma;
mod jina_bert;
mod layout;
mod modernbert;
mod mpnet;
mod positions;
mod qwen;
mod rotary_bert;
mod t5;

pub(crate) use form::{BiasForm, Form, LayerForm, NormOrder};
pub(crate) use layout::{LayerTensors, Layout, LinearRef, NormRef};
#[cfg(feature = "burn")]
pub(crate) use positions::bucket;
pub(crate) use positions::{bias_of_layer, relative_bucket, rotary_of_layer};

use crate::Result;
use crate::config::{Architecture, BertConfig, Settings};
use crate::settings::Effect;

/// Tells whether a file has a tensor of that name.
pub(crate) type HasTensor<'a> = dyn Fn(&str) -> bool + 'a;

/// A family of networks.
pub(crate) struct Family {
    pub architecture: Architecture,
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// Keys of `config.json` that mean something else than in BERT, or nothing there.
    pub keys: &'static [(&'static str, Effect)],
    /// Reads the sizes and the form of a network.
    pub describe: fn(&Settings<'_>) -> Result<BertConfig>,
    /// Where the weights are: some families have been published under two sets of names.
    pub layout: fn(&BertConfig, &HasTensor<'_>) -> Layout,
    /// What exports put before the names.
    pub prefix: &'static str,
}

/// Every family.
pub(crate) static FAMILIES: [&Family; 17] = [
    &albert::ALBERT,
    &bert::BERT,
    &bert::CAMEMBERT,
    &deberta::DEBERTA_V2,
    &distilbert::DISTILBERT,
    &bert::ELECTRA,
    &gemma::GEMMA3,
    &rotary_bert::GTE,
    &rotary_bert::JINA_V3,
    &jina_bert::JINA_BERT,
    &modernbert::MODERNBERT,
    &mpnet::MPNET,
    &rotary_bert::NOMIC_BERT,
    &qwen::QWEN3,
    &bert::ROBERTA,
    &t5::T5,
    &bert::XLM_ROBERTA,
];

impl Architecture {
    /// The description of the family.
    pub(crate) fn family(self) -> &'static Family {
        FAMILIES.iter().find(|family| family.architecture == self).expect("each architecture has a family")
    }
}

/// The family of a `model_type` and `position_embedding_type`; an error that names the families there are where it is
/// none of them.
pub(crate) fn of(model_type: Option<&str>, positions: Option<&str>) -> Result<&'static Family, String> {
    if model_type == Some(bert::BERT.model_type) && positions == Some("alibi") {
        return Ok(&jina_bert::JINA_BERT);
    }
    let known: Vec<&str> = FAMILIES.iter().map(|family| family.model_type).collect();
    let known = known.join(", ");
    match model_type {
        None => Err(format!("model_type is missing, and Akin runs {known}")),
        Some(name) => FAMILIES.into_iter().find(|family| family.model_type == name).ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            format!("model_type is {name:?}, and Akin runs {known}")
        }),
    }
}
