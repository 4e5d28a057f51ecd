//! `config.json`: the shape of the network.

use std::path::Path;

use serde::Deserialize;

use crate::files::{read_json, refuse};
use crate::{Error, Result};

/// The two architectures of the paper (section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Devlin et al. 2019.
    Bert,
    /// Liu et al. 2019.
    Roberta,
}

/// The shape of a BERT or RoBERTa network, in the names of its `config.json`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BertConfig {
    /// Which of the two it is.
    pub architecture: Architecture,
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// The length of a token's vector.
    pub hidden_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Heads of attention; they divide `hidden_size`.
    pub num_attention_heads: usize,
    /// The inner width of the feed-forward network.
    pub intermediate_size: usize,
    /// Rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// Rows of the token type embeddings.
    pub type_vocab_size: usize,
    /// Added to the variance in every layer normalisation.
    pub layer_norm_eps: f64,
    /// The position of the first token: 0 for BERT, `pad_token_id + 1` for RoBERTa.
    pub position_offset: usize,
}

impl BertConfig {
    /// Reads `config.json`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file: ConfigFile = read_json(path)?;
        file.check(path)?;
        let architecture = match file.model_type.as_str() {
            "bert" => Architecture::Bert,
            "roberta" => Architecture::Roberta,
            other => {
                return Err(refuse(
                    path,
                    format!("model_type is {other:?}, and Akin runs \"bert\" and \"roberta\""),
                ));
            }
        };
        let (type_vocab_size, position_offset) = match architecture {
            Architecture::Bert => (file.type_vocab_size.unwrap_or(2), 0),
            Architecture::Roberta => (file.type_vocab_size.unwrap_or(1), file.pad_token_id.unwrap_or(1) + 1),
        };
        let config = Self {
            architecture,
            vocab_size: file.vocab_size,
            hidden_size: file.hidden_size,
            num_hidden_layers: file.num_hidden_layers,
            num_attention_heads: file.num_attention_heads,
            intermediate_size: file.intermediate_size,
            max_position_embeddings: file.max_position_embeddings,
            type_vocab_size,
            layer_norm_eps: file.layer_norm_eps,
            position_offset,
        };
        config.check_sizes(path)?;
        Ok(config)
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

    fn check_sizes(&self, path: &Path) -> Result<()> {
        for (name, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", self.type_vocab_size),
            ("max_position_embeddings less the padding offset", self.positions()),
        ] {
            if size == 0 {
                return Err(refuse(path, format!("{name} is 0, and a network needs at least 1")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(refuse(
                path,
                format!(
                    "hidden_size {} is not a multiple of num_attention_heads {}",
                    self.hidden_size, self.num_attention_heads
                ),
            ));
        }
        Ok(())
    }
}

/// `config.json` as it is written; defaults are those of transformers.
#[derive(Deserialize)]
struct ConfigFile {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    #[serde(default = "layer_norm_eps")]
    layer_norm_eps: f64,
    pad_token_id: Option<usize>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn layer_norm_eps() -> f64 {
    1e-12
}

impl ConfigFile {
    /// Refuses by name what would need another forward pass.
    fn check(&self, path: &Path) -> Result<(), Error> {
        if let Some(act) = self.hidden_act.as_deref().filter(|act| *act != "gelu") {
            return Err(refuse(path, format!("hidden_act is {act:?}, and Akin computes \"gelu\" only")));
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(refuse(
                path,
                format!("position_embedding_type is {kind:?}, and Akin computes \"absolute\" only"),
            ));
        }
        if self.is_decoder {
            return Err(refuse(path, "is_decoder is true, and Akin runs encoders only"));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps.is_finite()) {
            return Err(refuse(
                path,
                format!("layer_norm_eps is {}, and must be above 0", self.layer_norm_eps),
            ));
        }
        Ok(())
    }
}
