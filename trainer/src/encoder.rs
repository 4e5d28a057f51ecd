//! The encoder that is trained: BERT's network by operations of our own, any other one by those of burn.

use akin_encoder::burn::{Bert, NamedTensor, Transformer};
use akin_encoder::model::{Architecture, BertConfig, ModelWeights};
use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::Device;

use crate::Result;
use crate::named_weights::{name_in, named_weights};

/// Token ids to hidden states.
#[derive(Module, Debug)]
// There is one in a run, and burn makes no module of a box.
#[allow(clippy::large_enum_variant)]
pub enum Encoder {
    /// BERT's network, under whatever names, with or without types of tokens and numbers for distances.
    Bert(Bert),
    /// Any other network, as its family describes it.
    Described(Transformer),
}

impl Encoder {
    /// The network with the weights of a model.
    ///
    /// # Errors
    /// [`akin_encoder::Error::Model`] when they do not fit.
    pub(crate) fn load(config: &BertConfig, weights: &ModelWeights, device: &Device) -> Result<Self> {
        Ok(match config.is_bert_module() {
            true => Self::Bert(Bert::load(config, weights, device)?),
            false => Self::Described(Transformer::load(config, weights, device)?),
        })
    }

    /// A network of this shape, its weights not yet set.
    pub(crate) fn new(config: &BertConfig, device: &Device) -> Result<Self> {
        Ok(match config.is_bert_module() {
            true => Self::Bert(Bert::new(config, device)),
            false => Self::Described(Transformer::new(config, device)?),
        })
    }

    /// The table of words.
    pub fn words(&self) -> &Embedding {
        match self {
            Self::Bert(bert) => &bert.embeddings.word_embeddings,
            Self::Described(network) => &network.words,
        }
    }

    /// The table of words, to be changed.
    pub(crate) fn words_mut(&mut self) -> &mut Embedding {
        match self {
            Self::Bert(bert) => &mut bert.embeddings.word_embeddings,
            Self::Described(network) => &mut network.words,
        }
    }

    /// BERT's module, where the network is one.
    pub fn bert(&self) -> Option<&Bert> {
        match self {
            Self::Bert(bert) => Some(bert),
            Self::Described(_) => None,
        }
    }

    /// The network of another family.
    pub fn described(&self) -> Option<&Transformer> {
        match self {
            Self::Described(network) => Some(network),
            Self::Bert(_) => None,
        }
    }

    /// How many sets of weights of layers there are: layers may share one.
    pub(crate) fn sets(&self) -> usize {
        match self {
            Self::Bert(bert) => bert.layers.len(),
            Self::Described(network) => network.layers.len(),
        }
    }

    /// The linear layers of each set: query, key and value first.
    pub(crate) fn linears(&self) -> Vec<Vec<&Linear>> {
        match self {
            Self::Described(network) => network.layers.iter().map(|layer| layer.linears()).collect(),
            Self::Bert(bert) => {
                let of_layer = bert.layers.iter().map(|layer| {
                    let attention = &layer.attention;
                    let own = [&attention.query, &attention.key, &attention.value, &attention.output];
                    own.into_iter().chain([&layer.intermediate, &layer.output]).collect()
                });
                of_layer.collect()
            }
        }
    }

    /// The same, to be changed.
    pub(crate) fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        match self {
            Self::Described(network) => network.layers.iter_mut().map(|layer| layer.linears_mut()).collect(),
            Self::Bert(bert) => {
                let of_layer = bert.layers.iter_mut().map(|layer| {
                    let attention = &mut layer.attention;
                    let own = [
                        &mut attention.query,
                        &mut attention.key,
                        &mut attention.value,
                        &mut attention.output,
                    ];
                    own.into_iter().chain([&mut layer.intermediate, &mut layer.output]).collect()
                });
                of_layer.collect()
            }
        }
    }

    /// Every weight under its name in the files of its family, without a prefix, and with its shape there.
    pub(crate) fn named_weights(&self, architecture: Architecture) -> Vec<NamedTensor> {
        match self {
            Self::Described(network) => network.named_weights(),
            Self::Bert(bert) => {
                let own = named_weights(bert).into_iter();
                own.filter_map(|(name, shape, values)| Some((name_in(architecture, &name)?, shape, values)))
                    .collect()
            }
        }
    }
}
