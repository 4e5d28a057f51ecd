//! The BERT network as a burn module: what training differentiates, and its reference forward pass.
//!
//! Devlin et al. 2019; RoBERTa (Liu et al. 2019), XLM-R and CamemBERT differ only in where their positions begin,
//! DistilBERT (Sanh et al. 2019) has no types of tokens, and MPNet (Song et al. 2020) adds a number to each score by the
//! distance of the two tokens (`distances`).

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::{Bool, Device, Tensor};

use super::PaddedBatch;
use super::distances::DistanceBuckets;
use super::load::Loader;
use crate::Result;
use crate::config::BertConfig;
use crate::executors::cpu::TensorReader;
use crate::families::Layout;
use crate::files::refuse;
use crate::weights::ModelWeights;

/// Why weights are not those of the module.
const NOT_BERT: &str = "the network is not BERT's";

/// BERT without a head: token ids to hidden states.
#[derive(Module, Debug)]
pub struct Bert {
    /// What the first layer is given.
    pub embeddings: BertEmbeddings,
    /// The transformer layers, the first first.
    pub layers: Vec<BertLayer>,
    /// What all layers add to scores by distance; none in most networks.
    pub distances: Option<DistanceBuckets>,
}

impl Bert {
    /// A network of this shape, its weights not yet set.
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            embeddings: BertEmbeddings::new(config, device),
            layers: (0..config.num_hidden_layers).map(|_| BertLayer::new(config, device)).collect(),
            distances: DistanceBuckets::new(config, device),
        }
    }

    /// Reads the weights, which have been checked, as f32.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) when they are those of another network than BERT's
    /// ([`BertConfig::is_bert_module`]).
    pub fn load(config: &BertConfig, weights: &ModelWeights, device: &Device) -> Result<Self> {
        let tensors = weights.tensors()?;
        let reader = TensorReader { tensors: &tensors, prefix: weights.prefix() };
        let loader = Loader { reader: Some(reader), config, device };
        let mut bert = Self::new(config, device);
        bert.fill(&loader, weights.layout()).map_err(|reason| refuse(weights.path(), reason))?;
        Ok(bert)
    }

    fn fill(&mut self, loader: &Loader<'_>, layout: &Layout) -> std::result::Result<(), String> {
        let (config, embeddings) = (loader.config, &mut self.embeddings);
        let (Some(positions), Some(norm)) = (&layout.positions, &layout.embedding_norm) else {
            return Err(NOT_BERT.into());
        };
        embeddings.word_embeddings = loader.table(&layout.words, config.vocab_size)?;
        embeddings.position_embeddings = loader.table(positions, config.max_position_embeddings)?;
        if let Some(types) = &layout.types {
            embeddings.token_type_embeddings = loader.table(types, config.type_vocab_size)?;
        }
        embeddings.norm = loader.norm(norm)?;
        if let Some(distances) = &mut self.distances {
            distances.weight = loader.buckets(layout)?;
        }
        for (layer, tensors) in self.layers.iter_mut().zip(&layout.layers) {
            let (Some(attention_norm), Some(norm)) = (&tensors.after_attention, &tensors.after_feed_forward)
            else {
                return Err(NOT_BERT.into());
            };
            layer.attention.query = loader.linear(&tensors.query)?;
            layer.attention.key = loader.linear(&tensors.key)?;
            layer.attention.value = loader.linear(&tensors.value)?;
            layer.attention.output = loader.linear(&tensors.attention_output)?;
            layer.attention.norm = loader.norm(attention_norm)?;
            layer.intermediate = loader.linear(&tensors.up)?;
            layer.output = loader.linear(&tensors.down)?;
            layer.norm = loader.norm(norm)?;
        }
        Ok(())
    }

    /// Hidden states of the last layer, `[sentences, longest, hidden]`; those of padding mean nothing.
    pub fn forward(&self, batch: &PaddedBatch) -> Tensor<3> {
        let mask = batch.attention_mask();
        let embedded = self.embeddings.forward(batch);
        let [rows, longest, _] = embedded.dims();
        let bias = self.distances.as_ref().map(|distances| distances.added(rows, longest));
        self.layers.iter().fold(embedded, |hidden, layer| layer.forward(hidden, mask.clone(), bias.clone()))
    }
}

/// Word, position and token type embeddings, summed and normalised.
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    /// `[vocab_size, hidden]`
    pub word_embeddings: Embedding,
    /// `[max_position_embeddings, hidden]`
    pub position_embeddings: Embedding,
    /// `[type_vocab_size, hidden]`; not read where the network has no types.
    pub token_type_embeddings: Embedding,
    /// Whether tokens have types.
    pub has_types: bool,
    /// The layer normalisation at its end.
    pub norm: LayerNorm,
    /// Added to the variance in the layer normalisations.
    pub layer_norm_eps: f64,
}

impl BertEmbeddings {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, config.hidden_size).init(device);
        Self {
            word_embeddings: table(config.vocab_size),
            position_embeddings: table(config.max_position_embeddings),
            token_type_embeddings: table(config.type_vocab_size),
            has_types: config.layout(&|_| true).types.is_some(),
            norm: layer_norm(config, device),
            layer_norm_eps: config.layer_norm_eps,
        }
    }

    fn forward(&self, batch: &PaddedBatch) -> Tensor<3> {
        let words = self.word_embeddings.forward(batch.ids.clone());
        let positions = self.position_embeddings.forward(batch.positions.clone());
        if !self.has_types {
            return self.norm.forward(words + positions);
        }
        // One sentence at a time, so every token is of type 0.
        let types = self.token_type_embeddings.weight.val().narrow(0, 0, 1);
        self.norm.forward(words + positions + types.unsqueeze())
    }
}

/// One transformer layer: self-attention, then a feed-forward network, each with a residual and a norm.
#[derive(Module, Debug)]
pub struct BertLayer {
    /// The attention of the tokens of a sentence to one another.
    pub attention: SelfAttention,
    /// The first product of the feed-forward network, before its GELU.
    pub intermediate: Linear,
    /// The product that leads back to the hidden states.
    pub output: Linear,
    /// The layer normalisation at its end.
    pub norm: LayerNorm,
    /// Added to the variance in the layer normalisations.
    pub layer_norm_eps: f64,
}

impl BertLayer {
    fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            attention: SelfAttention::new(config, device),
            intermediate: LinearConfig::new(config.hidden_size, config.intermediate_size).init(device),
            output: LinearConfig::new(config.intermediate_size, config.hidden_size).init(device),
            norm: layer_norm(config, device),
            layer_norm_eps: config.layer_norm_eps,
        }
    }

    fn forward(
        &self,
        hidden: Tensor<3>,
        mask: Option<Tensor<4, Bool>>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let hidden = self.attention.forward(hidden, mask, bias);
        let inner = gelu(self.intermediate.forward(hidden.clone()));
        self.norm.forward(self.output.forward(inner) + hidden)
    }
}

/// Self-attention (Vaswani et al. 2017) with its output product, residual and norm.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// The queries of all heads.
    pub query: Linear,
    /// The keys of all heads.
    pub key: Linear,
    /// The values of all heads.
    pub value: Linear,
    /// The product that leads back to the hidden states.
    pub output: Linear,
    /// The layer normalisation at its end.
    pub norm: LayerNorm,
    /// The number of heads.
    pub heads: usize,
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

    fn forward(
        &self,
        hidden: Tensor<3>,
        mask: Option<Tensor<4, Bool>>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let [rows, longest, width] = hidden.dims();
        let by_head = |linear: &Linear| {
            linear
                .forward(hidden.clone())
                .reshape([rows, longest, self.heads, width / self.heads])
                .swap_dims(1, 2)
        };
        let (query, key, value) = (by_head(&self.query), by_head(&self.key), by_head(&self.value));
        let attended = attention(query, key, value, mask, bias, Default::default());
        let attended = attended.swap_dims(1, 2).reshape([rows, longest, width]);
        self.norm.forward(self.output.forward(attended) + hidden)
    }
}

fn layer_norm(config: &BertConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device)
}
