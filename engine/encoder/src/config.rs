//! `config.json`: the shape of the network.

use std::path::Path;

use serde_json::Value;

use crate::files::{read_json, refuse};
use crate::settings::NETWORK;
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
    /// Reads `config.json`. Every size is checked before anything is allocated by it.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let settings = Settings { path, values: read_json(path)? };
        let architecture = match settings.text("model_type")? {
            Some("bert") => Architecture::Bert,
            Some("roberta") => Architecture::Roberta,
            Some(other) => {
                return Err(refuse(
                    path,
                    format!("model_type is {other:?}, and Akin runs \"bert\" and \"roberta\""),
                ));
            }
            None => {
                return Err(refuse(path, "model_type is missing, and Akin runs \"bert\" and \"roberta\""));
            }
        };
        NETWORK.check(path, &settings.values)?;
        let vocab_size = settings.size("vocab_size", MOST_ROWS)?;
        // A row of the word embeddings, whether the architecture counts positions from it or not.
        let padding = settings.whole_number("pad_token_id", 0, vocab_size - 1)?;
        let types = settings.whole_number("type_vocab_size", 1, MOST_ROWS)?;
        let (type_vocab_size, position_offset) = match architecture {
            Architecture::Bert => (types.unwrap_or(2), 0),
            Architecture::Roberta => (types.unwrap_or(1), padding.unwrap_or(1) + 1),
        };
        let config = Self {
            architecture,
            vocab_size,
            hidden_size: settings.size("hidden_size", MOST_WIDTH)?,
            num_hidden_layers: settings.size("num_hidden_layers", MOST_LAYERS)?,
            num_attention_heads: settings.size("num_attention_heads", MOST_WIDTH)?,
            intermediate_size: settings.size("intermediate_size", MOST_WIDTH)?,
            max_position_embeddings: settings.size("max_position_embeddings", MOST_ROWS)?,
            type_vocab_size,
            layer_norm_eps: settings.epsilon("layer_norm_eps", 1e-12)?,
            position_offset,
        };
        config.check_together(path)?;
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
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(refuse(
                path,
                format!(
                    "hidden_size {} is not a multiple of num_attention_heads {}",
                    self.hidden_size, self.num_attention_heads
                ),
            ));
        }
        for (name, rows) in [
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
            ("intermediate_size", self.intermediate_size),
            ("hidden_size", self.hidden_size),
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
        Ok(())
    }
}

/// The most layers: ten times as many as any encoder has.
const MOST_LAYERS: usize = 1 << 10;

/// The greatest width of a layer, and the most heads.
const MOST_WIDTH: usize = 1 << 20;

/// The most rows of a table of embeddings.
const MOST_ROWS: usize = 1 << 28;

/// The most weights in one matrix: 32 GiB of floats.
const MOST_WEIGHTS: u64 = 1 << 33;

/// `config.json` as it is written.
struct Settings<'a> {
    path: &'a Path,
    values: serde_json::Map<String, Value>,
}

impl Settings<'_> {
    /// A setting that is not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A size that every network has.
    fn size(&self, name: &str, most: usize) -> Result<usize> {
        self.whole_number(name, 1, most)?.ok_or_else(|| {
            refuse(self.path, format!("{name} is missing, and must be a whole number from 1 to {most}"))
        })
    }

    fn whole_number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(self.unlike(name, value, &format!("a whole number from {least} to {most}"))),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| self.unlike(name, value, "a text")))
            .transpose()
    }

    /// What is added to a variance: above 0 and finite as an f32, in which it is computed with.
    fn epsilon(&self, name: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = value.as_f64().filter(|number| (*number as f32) > 0.0 && (*number as f32).is_finite());
        number.ok_or_else(|| self.unlike(name, value, "a number above 0"))
    }

    fn unlike(&self, name: &str, value: &Value, expected: &str) -> Error {
        // A hostile value may be as long as the file.
        let found: String = value.to_string().chars().take(40).collect();
        refuse(self.path, format!("{name} is {found}, and must be {expected}"))
    }
}
