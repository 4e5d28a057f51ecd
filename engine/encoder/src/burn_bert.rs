//! The BERT network as a burn module: the reference forward pass, and what training differentiates.
//!
//! Devlin et al. 2019; RoBERTa (Liu et al. 2019) differs only in where its positions begin.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use burn_store::{
    FloatCastAdapter, KeyRemapper, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore,
};

use crate::Result;

use super::config::BertConfig;
use super::model_dir::refuse;
use super::random::Random;
use super::weights::Weights;

/// BERT without a head: token ids to hidden states.
#[derive(Module, Debug)]
pub struct Bert {
    pub(super) embeddings: Embeddings,
    pub(super) layers: Vec<Layer>,
}

/// Sentences of several lengths as one rectangle, `[sentences, longest]`.
pub(crate) struct PaddedBatch {
    pub ids: Tensor<2, Int>,
    /// Where each token stands, as rows of the position embeddings.
    pub positions: Tensor<2, Int>,
    /// True where there is no token; nothing when all sentences are equally long.
    pub padding: Option<Tensor<2, Bool>>,
}

impl PaddedBatch {
    /// Pads `sentences` at their ends.
    pub(crate) fn new(sentences: &[&[u32]], config: &BertConfig, device: &Device) -> Self {
        let rows = sentences.len();
        let longest = sentences.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let mut ids = vec![0i64; rows * longest];
        let mut positions = vec![0i64; rows * longest];
        let mut padding = vec![true; rows * longest];
        for (row, sentence) in sentences.iter().enumerate() {
            let tokens = sentence.iter().zip(config.positions_of(sentence));
            for (at, (id, position)) in (row * longest..).zip(tokens) {
                ids[at] = i64::from(*id);
                positions[at] = position as i64;
                padding[at] = false;
            }
        }
        let shape = [rows, longest];
        let integers = |values| Tensor::from_data(TensorData::new(values, shape), device);
        Self {
            padding: padding
                .contains(&true)
                .then(|| Tensor::from_data(TensorData::new(padding, shape), device)),
            ids: integers(ids),
            positions: integers(positions),
        }
    }
}

impl Bert {
    /// A network of this shape, its weights not yet set.
    pub(crate) fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            embeddings: Embeddings::new(config, device),
            layers: (0..config.num_hidden_layers).map(|_| Layer::new(config, device)).collect(),
        }
    }

    /// Reads the weights, which have been checked, as f32.
    pub(crate) fn load(config: &BertConfig, weights: &Weights, device: &Device) -> Result<Self> {
        let mut bert = Self::new(config, device);
        let names = [
            (r"^(bert|roberta)\.", ""),
            (r"^encoder\.layer\.", "layers."),
            (r"attention\.self\.", "attention."),
            (r"attention\.output\.dense\.", "attention.output."),
            (r"attention\.output\.LayerNorm\.", "attention.norm."),
            (r"intermediate\.dense\.", "intermediate."),
            (r"output\.dense\.", "output."),
            (r"output\.LayerNorm\.", "norm."),
            (r"embeddings\.LayerNorm\.", "embeddings.norm."),
        ];
        let remapper =
            KeyRemapper::from_patterns(names.to_vec()).expect("the patterns are regular expressions");
        let mut store = SafetensorsStore::from_file(weights.path())
            .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)))
            .remap(remapper);
        bert.load_from(&mut store)
            .map_err(|error| refuse(weights.path(), format!("its tensors cannot be loaded: {error}")))?;
        Ok(bert)
    }

    /// Every weight under its name in Hugging Face's files, with its shape there: linear layers as `[out, in]`.
    pub(crate) fn named_weights(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut weights = Vec::new();
        let embeddings = &self.embeddings;
        for (name, table) in [
            ("word", &embeddings.word_embeddings),
            ("position", &embeddings.position_embeddings),
            ("token_type", &embeddings.token_type_embeddings),
        ] {
            weights.push(named(format!("embeddings.{name}_embeddings.weight"), table.weight.val()));
        }
        push_norm(&mut weights, "embeddings.LayerNorm", &embeddings.norm);
        for (number, layer) in self.layers.iter().enumerate() {
            let prefix = format!("encoder.layer.{number}");
            for (name, linear) in [
                ("attention.self.query", &layer.attention.query),
                ("attention.self.key", &layer.attention.key),
                ("attention.self.value", &layer.attention.value),
                ("attention.output.dense", &layer.attention.output),
                ("intermediate.dense", &layer.intermediate),
                ("output.dense", &layer.output),
            ] {
                weights.push(named(format!("{prefix}.{name}.weight"), linear.weight.val().transpose()));
                let bias = linear.bias.as_ref().expect("BERT's linear layers have a bias");
                weights.push(named(format!("{prefix}.{name}.bias"), bias.val()));
            }
            push_norm(&mut weights, &format!("{prefix}.attention.output.LayerNorm"), &layer.attention.norm);
            push_norm(&mut weights, &format!("{prefix}.output.LayerNorm"), &layer.norm);
        }
        weights
    }

    /// The same network, the linear layers and norms of its last `layers` layers random again: weights normal with
    /// deviation 0.02, biases 0, the scales of the norms 1. With `embeddings` these too.
    pub(crate) fn reinitialized(self, layers: usize, embeddings: bool, seed: u64) -> Self {
        let first = self.layers.len().saturating_sub(layers);
        self.map(&mut Reinitialize { first, embeddings, random: Random::new(seed), path: Vec::new() })
    }

    /// Hidden states of the last layer, `[sentences, longest, hidden]`; those of padding mean nothing.
    pub(crate) fn forward(&self, batch: &PaddedBatch) -> Tensor<3> {
        let [rows, longest] = batch.ids.dims();
        let mask = batch
            .padding
            .clone()
            .map(|padding| padding.reshape([rows, 1, 1, longest]).expand([rows, 1, longest, longest]));
        let embedded = self.embeddings.forward(batch);
        self.layers.iter().fold(embedded, |hidden, layer| layer.forward(hidden, mask.clone()))
    }
}

/// Word, position and token type embeddings, summed and normalised.
#[derive(Module, Debug)]
pub(super) struct Embeddings {
    pub(super) word_embeddings: Embedding,
    pub(super) position_embeddings: Embedding,
    pub(super) token_type_embeddings: Embedding,
    pub(super) norm: LayerNorm,
    pub(super) layer_norm_eps: f64,
}

impl Embeddings {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, config.hidden_size).init(device);
        Self {
            word_embeddings: table(config.vocab_size),
            position_embeddings: table(config.max_position_embeddings),
            token_type_embeddings: table(config.type_vocab_size),
            norm: layer_norm(config, device),
            layer_norm_eps: config.layer_norm_eps,
        }
    }

    fn forward(&self, batch: &PaddedBatch) -> Tensor<3> {
        let words = self.word_embeddings.forward(batch.ids.clone());
        let positions = self.position_embeddings.forward(batch.positions.clone());
        // One sentence at a time, so every token is of type 0.
        let types = self.token_type_embeddings.weight.val().narrow(0, 0, 1);
        self.norm.forward(words + positions + types.unsqueeze())
    }
}

/// One transformer layer: self-attention, then a feed-forward network, each with a residual and a norm.
#[derive(Module, Debug)]
pub(super) struct Layer {
    pub(super) attention: SelfAttention,
    pub(super) intermediate: Linear,
    pub(super) output: Linear,
    pub(super) norm: LayerNorm,
    pub(super) layer_norm_eps: f64,
}

impl Layer {
    fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            attention: SelfAttention::new(config, device),
            intermediate: LinearConfig::new(config.hidden_size, config.intermediate_size).init(device),
            output: LinearConfig::new(config.intermediate_size, config.hidden_size).init(device),
            norm: layer_norm(config, device),
            layer_norm_eps: config.layer_norm_eps,
        }
    }

    fn forward(&self, hidden: Tensor<3>, mask: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let hidden = self.attention.forward(hidden, mask);
        let inner = gelu(self.intermediate.forward(hidden.clone()));
        self.norm.forward(self.output.forward(inner) + hidden)
    }
}

#[derive(Module, Debug)]
pub(super) struct SelfAttention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    pub(super) norm: LayerNorm,
    pub(super) heads: usize,
}

impl SelfAttention {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let square = || LinearConfig::new(config.hidden_size, config.hidden_size).init(device);
        Self {
            query: square(),
            key: square(),
            value: square(),
            output: square(),
            norm: layer_norm(config, device),
            heads: config.num_attention_heads,
        }
    }

    fn forward(&self, hidden: Tensor<3>, mask: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let [rows, longest, width] = hidden.dims();
        let by_head = |linear: &Linear| {
            linear
                .forward(hidden.clone())
                .reshape([rows, longest, self.heads, width / self.heads])
                .swap_dims(1, 2)
        };
        let (query, key, value) = (by_head(&self.query), by_head(&self.key), by_head(&self.value));
        let attended = attention(query, key, value, mask, None, Default::default());
        let attended = attended.swap_dims(1, 2).reshape([rows, longest, width]);
        self.norm.forward(self.output.forward(attended) + hidden)
    }
}

fn layer_norm(config: &BertConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device)
}

fn named<const D: usize>(name: String, tensor: Tensor<D>) -> (String, Vec<usize>, Vec<f32>) {
    let shape = tensor.dims().to_vec();
    let values = tensor.inner().into_data().try_into_vec().expect("weights are f32");
    (name, shape, values)
}

fn push_norm(weights: &mut Vec<(String, Vec<usize>, Vec<f32>)>, name: &str, norm: &LayerNorm) {
    let bias = norm.beta.as_ref().expect("BERT's layer norms have a bias");
    weights.push(named(format!("{name}.weight"), norm.gamma.val()));
    weights.push(named(format!("{name}.bias"), bias.val()));
}

/// Draws parameters anew.
struct Reinitialize {
    /// The first layer that is drawn.
    first: usize,
    embeddings: bool,
    random: Random,
    path: Vec<String>,
}

impl ModuleMapper for Reinitialize {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let chosen = match self.path.iter().position(|name| name == "layers") {
            Some(at) => self.path[at + 1].parse::<usize>().is_ok_and(|number| number >= self.first),
            None => self.embeddings,
        };
        if !chosen {
            return param;
        }
        let shape = param.val().dims();
        let count = shape.iter().product();
        let values: Vec<f32> = match self.path.last().map(String::as_str) {
            Some("gamma") => vec![1.0; count],
            Some("beta" | "bias") => vec![0.0; count],
            _ => (0..count).map(|_| (0.02 * self.random.normal()) as f32).collect(),
        };
        let device = param.val().device();
        param.map(|old| {
            let new = Tensor::from_data(TensorData::new(values, shape), &device);
            if old.is_require_grad() { new.require_grad() } else { new }
        })
    }
}
