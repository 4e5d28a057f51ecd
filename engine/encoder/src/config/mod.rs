//! `config.json`: the shape of the network.

use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::families::{self, BiasForm, Form, Layout};
use crate::files::{read_json, refuse};
use crate::settings::NETWORK;

/// The families of networks, each described in `families`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Architecture {
    /// Lan et al. 2020.
    Albert,
    /// Devlin et al. 2019.
    Bert,
    /// Martin et al. 2020: RoBERTa's network.
    Camembert,
    /// He et al. 2021: versions 2 and 3.
    DebertaV2,
    /// Sanh et al. 2019.
    DistilBert,
    /// Clark et al. 2020.
    Electra,
    /// Gemma 3 in both directions, as EmbeddingGemma has it (Vera et al. 2025).
    Gemma3,
    /// Zhang et al. 2024.
    Gte,
    /// The second generation of Jina's models (Günther et al. 2023).
    JinaBert,
    /// The third generation of Jina's models (Sturua et al. 2024).
    JinaV3,
    /// Song et al. 2020.
    MpNet,
    /// Warner et al. 2024.
    ModernBert,
    /// Nussbaum et al. 2024.
    NomicBert,
    /// Yang et al. 2025.
    Qwen3,
    /// Liu et al. 2019.
    Roberta,
    /// The encoder of T5 (Raffel et al. 2020).
    T5,
    /// Conneau et al. 2020: RoBERTa's network.
    XlmRoberta,
}

impl Architecture {
    /// What stands before the names of the network's tensors in a file that has a head too; often nothing.
    pub fn prefix(self) -> &'static str {
        self.family().prefix
    }

    /// Whether padding before a text moves the places of its tokens.
    pub(crate) fn counts_padding(self) -> bool {
        matches!(self, Self::Albert | Self::Bert | Self::DebertaV2 | Self::DistilBert | Self::Electra)
    }
}

/// The shape of a network, in the names that BERT's `config.json` has.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BertConfig {
    /// Which family it is of.
    pub architecture: Architecture,
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// The length of a token's vector.
    pub hidden_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Heads of attention.
    pub num_attention_heads: usize,
    /// The inner width of the feed-forward network.
    pub intermediate_size: usize,
    /// Rows of the position embeddings, or the longest sequence where there are none.
    pub max_position_embeddings: usize,
    /// Types of tokens; 1 or none where the network does not know them.
    pub type_vocab_size: usize,
    /// Added to the variance in every layer normalisation.
    pub layer_norm_eps: f64,
    /// The position of the first token: 0 for BERT, `pad_token_id + 1` for RoBERTa.
    pub position_offset: usize,
    /// What it computes.
    pub(crate) form: Form,
    /// The settings that `form` is of, as they are written: embeddings depend on them. Empty where none is said that is
    /// not the same in BERT.
    pub(crate) beside: String,
}

impl BertConfig {
    /// Reads `config.json`. Every size is checked before anything is allocated by it.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let settings = Settings { path, values: read_json(path)? };
        let positions = settings.values.get("position_embedding_type").and_then(Value::as_str);
        let family = families::of(settings.text("model_type")?, positions)
            .map_err(|reason| settings.refusal(reason))?;
        NETWORK.check_beside(path, &settings.values, family.keys)?;
        let mut config = (family.describe)(&settings)?;
        config.beside = settings.beside(family.keys);
        config.check_together(path)?;
        Ok(config)
    }

    /// Where the weights are. `has` tells whether the file has a tensor of that name.
    pub(crate) fn layout(&self, has: &dyn Fn(&str) -> bool) -> Layout {
        (self.architecture.family().layout)(self, has)
    }

    /// Whether the network is given the type of each token.
    pub(crate) fn reads_types(&self) -> bool {
        self.position_offset == 0 && self.layout(&|_| true).types.is_some()
    }

    /// Whether the network is BERT's own, under whatever names, with or without types of tokens and learned numbers for
    /// distances (MPNet): training has a module for it. That of any other network is made of its description.
    pub fn is_bert_module(&self) -> bool {
        let bert = Form::bert(self.hidden_size, self.num_attention_heads);
        let bias = match self.form.bias {
            buckets @ BiasForm::Buckets { .. } => buckets,
            _ => bert.bias,
        };
        self.form == Form { bias, ..bert }
    }

    /// The longest sequence that the position embeddings reach, in tokens.
    pub fn positions(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.position_offset)
    }

    /// The position of each token of a sentence. A padding token of RoBERTa that the text itself spells
    /// out stands at the padding's own position, and the count goes on without it.
    pub fn positions_of(&self, ids: &[u32]) -> impl Iterator<Item = usize> {
        let padding = self.position_offset.checked_sub(1);
        let mut next = self.position_offset;
        ids.iter().map(move |id| match padding {
            Some(padding) if *id as usize == padding => padding,
            _ => {
                next += 1;
                next - 1
            }
        })
    }

    /// What the settings must be to one another.
    fn check_together(&self, path: &Path) -> Result<()> {
        if self.positions() == 0 {
            return Err(refuse(
                path,
                format!(
                    "max_position_embeddings is {}, and positions begin at {}, after pad_token_id",
                    self.max_position_embeddings, self.position_offset
                ),
            ));
        }
        let (heads, shared) = (self.num_attention_heads, self.form.key_value_heads);
        if !heads.is_multiple_of(shared) {
            return Err(refuse(
                path,
                format!("num_attention_heads {heads} is not a multiple of num_key_value_heads {shared}"),
            ));
        }
        for (name, rows) in [
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
            ("intermediate_size", self.intermediate_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads times head_dim", heads.saturating_mul(self.form.head_dim)),
            ("embedding_size", self.form.embedding_size),
        ] {
            if rows as u64 * self.hidden_size as u64 > MOST_WEIGHTS {
                return Err(refuse(
                    path,
                    format!(
                        "{name} {rows} times hidden_size {} is more than {MOST_WEIGHTS} weights in one matrix",
                        self.hidden_size
                    ),
                ));
            }
        }
        // The tables of angles and of distances, one for each position.
        let numbers = self.form.head_dim.max(2 * heads) as u64 * self.max_position_embeddings as u64;
        if !self.form.position_table && numbers > MOST_WEIGHTS / 16 {
            return Err(refuse(
                path,
                format!(
                    "max_position_embeddings {} is more than Akin has tables for",
                    self.max_position_embeddings
                ),
            ));
        }
        Ok(())
    }
}

/// The most layers: ten times as many as any encoder has.
pub(crate) const MOST_LAYERS: usize = 1 << 10;

/// The greatest width of a layer, and the most heads.
const MOST_WIDTH: usize = 1 << 20;

/// The most rows of a table of embeddings.
const MOST_ROWS: usize = 1 << 28;

/// The most weights in one matrix: 32 GiB of floats.
const MOST_WEIGHTS: u64 = 1 << 33;

mod read;

pub(crate) use read::{Names, Settings, activation_named};
