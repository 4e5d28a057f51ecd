//! A sentence-transformers directory, as it is found on a disk or a hub.
//!
//! What is in it is honoured or refused by name: a model that is read wrong would answer, badly.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::config::BertConfig;
use crate::files::{read_json, read_optional, refuse};
use crate::pooling::Pooling;

/// The names that `max_seq_length` has been kept under.
pub(super) const SENTENCE_CONFIGS: [&str; 3] =
    ["sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"];

/// A model directory whose settings have been read and understood.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelDir {
    /// The directory.
    pub root: PathBuf,
    /// Where the network is: `root`, or a folder of it.
    pub transformer: PathBuf,
    /// The shape of the network.
    pub config: BertConfig,
    /// How token vectors become the vector of a sentence.
    pub pooling: Pooling,
    /// Whether embeddings are divided by their length.
    pub normalize: bool,
    /// The longest sequence, special tokens included.
    pub max_tokens: usize,
    /// Whether texts are lower-cased before they are tokenised.
    pub lower_case: bool,
}

impl ModelDir {
    /// Reads every setting of the model in `root`.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) with the file and the setting at fault.
    pub fn open(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            return Err(refuse(
                root,
                "there is no such directory; a model is a directory in sentence-transformers form",
            ));
        }
        Self::read(root, Some(Modules::read(&root.join("modules.json"))?))
    }

    /// The same for a model to be trained, which may be a bare Hugging Face directory: it pools by the mean.
    ///
    /// # Errors
    /// As [`ModelDir::open`].
    pub fn open_base(root: &Path) -> Result<Self> {
        if root.join("modules.json").exists() {
            return Self::open(root);
        }
        if !root.join("config.json").is_file() {
            return Err(refuse(
                root,
                "there is no model: a base is a directory with config.json, tokenizer.json and model.safetensors",
            ));
        }
        Self::read(root, None)
    }

    fn read(root: &Path, modules: Option<Modules>) -> Result<Self> {
        let transformer = root.join(modules.as_ref().map_or("", |modules| &modules.transformer));
        let config = BertConfig::read(&transformer.join("config.json"))?;
        let pooling = match &modules {
            Some(modules) => {
                read_pooling(&root.join(&modules.pooling).join("config.json"), config.hidden_size)?
            }
            None => Pooling::Mean,
        };
        refuse_prompts(&root.join("config_sentence_transformers.json"))?;
        let settings = read_sentence_config(&transformer, config.positions())?;
        check_tokenizer_config(&transformer)?;
        let max_tokens = match settings.max_seq_length {
            Some(length) => length,
            None => common_length(&transformer, config.positions())?,
        };
        Ok(Self {
            root: root.into(),
            max_tokens,
            lower_case: settings.do_lower_case,
            normalize: modules.is_some_and(|modules| modules.normalize),
            transformer,
            config,
            pooling,
        })
    }

    /// The file of the weights.
    pub fn weights(&self) -> PathBuf {
        self.transformer.join("model.safetensors")
    }

    /// The file of the tokenizer.
    pub fn tokenizer(&self) -> PathBuf {
        self.transformer.join("tokenizer.json")
    }

    /// `config.json` as it is written.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) when it is missing or not JSON.
    pub fn config_json(&self) -> Result<serde_json::Value> {
        read_json(&self.transformer.join("config.json"))
    }

    /// Everything but weights and tokenizer that an embedding depends on, in one line.
    pub fn settings(&self) -> String {
        let c = &self.config;
        let mut line = String::new();
        write!(
            line,
            "{:?} vocab {} hidden {} layers {} heads {} intermediate {} positions {}+{} types {} eps {:e} pooling {:?} normalize {} max_tokens {} lower_case {}",
            c.architecture, c.vocab_size, c.hidden_size, c.num_hidden_layers, c.num_attention_heads,
            c.intermediate_size, c.max_position_embeddings, c.position_offset, c.type_vocab_size,
            c.layer_norm_eps, self.pooling, self.normalize, self.max_tokens, self.lower_case,
        )
        .expect("a string takes what is written to it");
        line
    }
}

/// The modules that a text passes through: where each is.
#[derive(Debug, PartialEq)]
pub(super) struct Modules {
    pub transformer: String,
    pub pooling: String,
    pub normalize: bool,
}

impl Modules {
    /// Reads `modules.json`: a Transformer, a Pooling, and perhaps a Normalize.
    pub(super) fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Module {
            path: String,
            #[serde(rename = "type")]
            kind: String,
        }
        let modules: Vec<Module> = read_json(path)?;
        let kinds: Vec<&str> =
            modules.iter().map(|m| m.kind.rsplit('.').next().unwrap_or_default()).collect();
        for (module, kind) in modules.iter().zip(&kinds) {
            if !matches!(*kind, "Transformer" | "Pooling" | "Normalize") {
                return Err(refuse(
                    path,
                    format!(
                        "it has a {kind} module ({:?}), and Akin runs Transformer, Pooling and Normalize",
                        module.path
                    ),
                ));
            }
            if Path::new(&module.path).is_absolute()
                || module.path.split(['/', '\\']).any(|part| part == "..")
            {
                return Err(refuse(
                    path,
                    format!("the module path {:?} leads out of the model", module.path),
                ));
            }
        }
        match kinds.as_slice() {
            ["Transformer", "Pooling", rest @ ..] if matches!(rest, [] | ["Normalize"]) => Ok(Self {
                transformer: modules[0].path.clone(),
                pooling: modules[1].path.clone(),
                normalize: !rest.is_empty(),
            }),
            _ => Err(refuse(
                path,
                format!(
                    "its modules are {}, and Akin runs Transformer, Pooling and an optional Normalize, in this order",
                    kinds.join(", ")
                ),
            )),
        }
    }
}

/// Reads the pooling mode, from the flags of each mode or from its name.
fn read_pooling(path: &Path, hidden_size: usize) -> Result<Pooling> {
    let settings: serde_json::Map<String, serde_json::Value> = read_json(path)?;
    let mut modes: Vec<&str> = settings
        .iter()
        .filter(|(_, value)| value.as_bool() == Some(true))
        .filter_map(|(name, _)| name.strip_prefix("pooling_mode_"))
        .collect();
    match settings.get("pooling_mode") {
        Some(serde_json::Value::String(mode)) => modes.push(mode),
        Some(serde_json::Value::Array(several)) => {
            modes.extend(several.iter().filter_map(|mode| mode.as_str()))
        }
        _ => {}
    }
    for name in ["word_embedding_dimension", "embedding_dimension"] {
        let width = settings.get(name).filter(|width| !width.is_null());
        if let Some(width) = width.filter(|width| width.as_u64() != Some(hidden_size as u64)) {
            return Err(refuse(
                path,
                format!("{name} is {width}, and config.json says hidden_size {hidden_size}"),
            ));
        }
    }
    match modes.as_slice() {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::Cls),
        ["max_tokens" | "max"] => Ok(Pooling::Max),
        [] => Err(refuse(
            path,
            "it names no pooling mode, and Akin pools by mean_tokens, cls_token or max_tokens",
        )),
        other => Err(refuse(
            path,
            format!(
                "its pooling mode is {}, and Akin pools by one of mean_tokens, cls_token and max_tokens",
                other.join(" and ")
            ),
        )),
    }
}

/// `sentence_bert_config.json`.
#[derive(Default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

fn read_sentence_config(transformer: &Path, positions: usize) -> Result<SentenceConfig> {
    let path = SENTENCE_CONFIGS.iter().map(|name| transformer.join(name)).find(|path| path.is_file());
    let Some(path) = path else { return Ok(SentenceConfig::default()) };
    let settings = read_optional(&path)?;
    let get = |name: &str| settings.get(name).filter(|value| !value.is_null());
    let max_seq_length = match get("max_seq_length") {
        None => None,
        Some(value) => {
            let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| (1..=positions).contains(length)).ok_or_else(|| {
                refuse(
                    &path,
                    format!(
                        "max_seq_length is {value}, and the position embeddings reach {positions} tokens"
                    ),
                )
            })?;
            Some(length)
        }
    };
    let do_lower_case = match get("do_lower_case") {
        None => false,
        Some(value) => value
            .as_bool()
            .ok_or_else(|| refuse(&path, format!("do_lower_case is {value}, and must be true or false")))?,
    };
    Ok(SentenceConfig { max_seq_length, do_lower_case })
}

/// The length that network and tokenizer agree on, for a model that has no `max_seq_length`.
fn common_length(transformer: &Path, positions: usize) -> Result<usize> {
    let tokenizer = read_optional(&transformer.join("tokenizer_config.json"))?;
    // Written as 1e30 where there is no limit; the conversion saturates.
    let limit =
        tokenizer.get("model_max_length").and_then(|limit| limit.as_f64()).map(|limit| limit as usize);
    Ok(limit.unwrap_or(usize::MAX).min(positions))
}

/// Where `tokenizer_config.json` and `tokenizer.json` disagree on case, Python follows the one and we the other.
fn check_tokenizer_config(transformer: &Path) -> Result<()> {
    let path = transformer.join("tokenizer_config.json");
    let Some(says) = read_optional(&path)?.get("do_lower_case").and_then(|flag| flag.as_bool()) else {
        return Ok(());
    };
    #[derive(Deserialize)]
    struct TokenizerFile {
        normalizer: Option<serde_json::Value>,
    }
    let file: TokenizerFile = read_json(&transformer.join("tokenizer.json"))?;
    let does = file
        .normalizer
        .filter(|normalizer| normalizer["type"] == "BertNormalizer")
        .and_then(|normalizer| normalizer["lowercase"].as_bool());
    match does {
        Some(does) if does != says => Err(refuse(
            &path,
            format!("do_lower_case is {says}, and the normalizer of tokenizer.json has lowercase {does}"),
        )),
        _ => Ok(()),
    }
}

/// A prompt put before every text, or embeddings cut short, would have to be honoured.
fn refuse_prompts(path: &Path) -> Result<()> {
    let settings = read_optional(path)?;
    for name in ["default_prompt_name", "truncate_dim"] {
        if let Some(value) = settings.get(name).filter(|value| !value.is_null()) {
            return Err(refuse(path, format!("{name} is {value}, which Akin does not apply")));
        }
    }
    Ok(())
}
