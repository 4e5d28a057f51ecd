//! `tokenizer_config.json` and its companions: what transformers makes of `tokenizer.json`.
//!
//! Some tokenizer classes of transformers take only the vocabulary from `tokenizer.json` and build everything else from
//! their own settings (`BertTokenizer`, `RobertaTokenizer`, `XLMRobertaTokenizer`, `MPNetTokenizer`, in transformers 5;
//! those of transformers 4 rewrite what disagrees). All others use `tokenizer.json` as it is written. Both then add the
//! tokens that the settings name and the file lacks.

mod added_tokens;
mod build;
mod class;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer, TruncationDirection};

use self::added_tokens::read_listed;
pub(crate) use self::build::lower_case;
use self::class::Class;
use crate::Result;
use crate::config::Architecture;
use crate::files::{read_optional, refuse};
use crate::settings::{SPECIAL_TOKENS, TOKENIZER, shortened};
use crate::tokenizer_files::TokenizerFile;

/// The names of the class of transformers that takes every setting from the files of the tokenizer.
const PLAIN_CLASSES: [&str; 2] = ["PreTrainedTokenizerFast", "TokenizersBackend"];

/// The settings of a tokenizer beside `tokenizer.json`.
#[derive(Debug, Clone)]
pub(crate) struct TokenizerConfig {
    path: PathBuf,
    class: Class,
    /// Whether the class is the one of transformers that takes every setting from the files of the tokenizer.
    is_plain: bool,
    values: Map<String, Value>,
    /// The added tokens by id, where `tokenizer_config.json` lists them.
    listed: Option<BTreeMap<u32, AddedToken>>,
    /// The tokens of `added_tokens.json`, which releases before such lists wrote.
    earlier: Vec<(u32, String)>,
}

impl TokenizerConfig {
    /// Reads the settings in the folder of the network. `class` is `tokenizer_class` of `config.json`.
    pub(crate) fn read(folder: &Path, architecture: Architecture, class: Option<&str>) -> Result<Self> {
        let path = folder.join(TOKENIZER.file);
        let mut values = read_optional(&path)?;
        TOKENIZER.check(&path, &values)?;
        let name = values.get("tokenizer_class").and_then(Value::as_str).or(class);
        let is_plain = name.is_some_and(|name| PLAIN_CLASSES.contains(&name));
        let class = match (name, architecture) {
            (Some(name), _) => Class::of(name),
            (None, Architecture::Bert | Architecture::DistilBert | Architecture::Electra) => Class::Bert,
            (None, Architecture::MpNet) => Class::MpNet,
            (None, Architecture::Roberta) => Class::Roberta,
            (None, Architecture::XlmRoberta) => Class::XlmRoberta,
            (None, _) => Class::AsWritten,
        };
        let listed = match values.get("added_tokens_decoder") {
            Some(Value::Object(tokens)) => Some(read_listed(&path, tokens)?),
            _ => None,
        };
        let mut earlier = Vec::new();
        if listed.is_none() {
            let map_path = folder.join(SPECIAL_TOKENS.file);
            let map = read_optional(&map_path)?;
            SPECIAL_TOKENS.check(&map_path, &map)?;
            values.extend(map);
            let tokens = read_optional(&folder.join("added_tokens.json"))?;
            let numbered = tokens.iter().filter_map(|(token, id)| Some((id.as_u64()? as u32, token.clone())));
            earlier = numbered.collect();
            earlier.sort_unstable();
        }
        let config = Self { path, class, is_plain, values, listed, earlier };
        config.check(architecture)?;
        Ok(config)
    }

    /// Refuses what would make the vector of a text depend on the texts beside it.
    fn check(&self, architecture: Architecture) -> Result<()> {
        if self.side("padding_side")? == Some(TruncationDirection::Left) && architecture.counts_padding() {
            let reason = "padding_side is \"left\", which moves the positions of a text that is padded: its embedding \
                          would depend on the texts beside it";
            return Err(refuse(&self.path, reason));
        }
        if let Some(names) = self.get("model_input_names") {
            let has =
                |name: &str| names.as_array().is_some_and(|names| names.iter().any(|known| known == name));
            if !has("input_ids") || !has("attention_mask") {
                let reason = format!(
                    "model_input_names is {}, and Akin gives the network input_ids and attention_mask",
                    shortened(names)
                );
                return Err(refuse(&self.path, reason));
            }
        }
        Ok(())
    }

    /// Refuses a vocabulary alone that is not of the class: nothing says how texts are cut then.
    pub(crate) fn check_vocabulary(&self, file: &TokenizerFile, tokenizer: &Tokenizer) -> Result<()> {
        let is_whole_model = file.is_whole_model(tokenizer);
        if is_whole_model && self.is_plain {
            return self.check_whole_model(tokenizer);
        }
        let builds = self.class != Class::AsWritten && self.class.takes(tokenizer.get_model());
        if file.is_vocabulary() && (is_whole_model || !builds) {
            let name = self.get("tokenizer_class").map_or("of the network".into(), shortened);
            let reason = format!(
                "tokenizer.json is missing, and Akin makes no tokenizer of this vocabulary alone for the class {name}"
            );
            return Err(refuse(file.path(), reason));
        }
        Ok(())
    }

    /// Refuses settings beside a model of sentencepiece that Akin does not follow there.
    fn check_whole_model(&self, tokenizer: &Tokenizer) -> Result<()> {
        if self.flag("legacy")? == Some(false) {
            let reason =
                "legacy is false, and Akin puts a space before each part of a text between special tokens";
            return Err(refuse(&self.path, reason));
        }
        for (id, token) in self.listed.iter().flatten() {
            if tokenizer.token_to_id(&token.content) != Some(*id) || token.normalized {
                let reason = format!(
                    "added_tokens_decoder has the token {:?} under {id}, which the model of sentencepiece has not, or which is normalized",
                    token.content
                );
                return Err(refuse(&self.path, reason));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        let unlike = |value: &Value| {
            refuse(&self.path, format!("{name} is {}, and must be true or false", shortened(value)))
        };
        self.get(name).map(|value| value.as_bool().ok_or_else(|| unlike(value))).transpose()
    }

    fn side(&self, name: &str) -> Result<Option<TruncationDirection>> {
        match self.get(name).map(|value| (value.as_str(), value)) {
            None => Ok(None),
            Some((Some("right"), _)) => Ok(Some(TruncationDirection::Right)),
            Some((Some("left"), _)) => Ok(Some(TruncationDirection::Left)),
            Some((_, value)) => {
                Err(refuse(&self.path, format!("{name} is {}, and must be left or right", shortened(value))))
            }
        }
    }

    /// The longest sequence it names; none where there is no limit.
    pub(crate) fn max_length(&self) -> Option<usize> {
        let limit = self.get("model_max_length").or_else(|| self.get("max_len"))?;
        // Written as 1e30 where there is no limit; the conversion saturates.
        limit.as_f64().map(|limit| limit as usize)
    }

    /// Which end of a text that is too long is left out, if it says.
    pub(crate) fn truncation_side(&self) -> Result<Option<TruncationDirection>> {
        self.side("truncation_side")
    }

    /// The content of a named token.
    fn token(&self, name: &str) -> Option<&str> {
        let given =
            self.get(name).and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
        given.or_else(|| self.class.default_token(name))
    }

    /// Whether the network is told which of two texts a token is of.
    pub(crate) fn gives_types(&self) -> bool {
        match self.get("model_input_names").and_then(Value::as_array) {
            Some(names) => names.iter().any(|name| name == "token_type_ids"),
            None => matches!(self.class, Class::Bert | Class::AsWritten),
        }
    }
}
