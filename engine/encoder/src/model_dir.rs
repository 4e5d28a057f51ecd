//! A sentence-transformers directory, as it is found on a disk or a hub.
//!
//! What is in it is honoured or refused by name: a model that is read wrong would answer, badly.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use akin_kernels::Similarity;

use crate::config::BertConfig;
use crate::cross_encoder::settings::{SCORING_SENTENCE, SCORING_TEXTS, is_cross_encoder, transformer_of};
use crate::files::{read_json, read_optional, refuse};
use crate::pooling::Pooling;
use crate::prompts::{Role, TextSettings};
use crate::settings::{FileKeys, NORMALIZE, POOLING, SENTENCE, SENTENCE_TRANSFORMERS, shortened};
use crate::tokenizer_config::TokenizerConfig;
use crate::{Error, Result};

/// The names that `max_seq_length` has been kept under.
pub(super) const SENTENCE_CONFIGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

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
    /// Whether the tokens of a prompt take part in pooling.
    pub include_prompt: bool,
    /// Prompts, and what is done with embeddings.
    pub(crate) texts: TextSettings,
    /// What changes `tokenizer.json`.
    pub(crate) tokenizer_config: TokenizerConfig,
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
        if is_cross_encoder(root) {
            return Err(Error::IsCrossEncoder { path: root.into() });
        }
        Self::read(root, Some(Modules::read(&root.join("modules.json"))?))
    }

    /// Reads every setting of the cross-encoder in `root`, apart from its head.
    ///
    /// Only releases of sentence-transformers from 6 on write `modules.json`. Where there is none they read nothing
    /// but the files of transformers.
    pub(crate) fn open_cross_encoder(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            return Err(refuse(root, "there is no such directory; a model is a directory"));
        }
        let folder = transformer_of(root)?;
        let transformer = root.join(folder.as_deref().unwrap_or(""));
        let config = BertConfig::read(&transformer.join("config.json"))?;
        let (texts, settings) = match folder {
            Some(_) => (
                TextSettings::read(&root.join("config_sentence_transformers.json"), SCORING_TEXTS)?,
                read_sentence_config(&transformer, config.positions(), SCORING_SENTENCE)?,
            ),
            None => Default::default(),
        };
        Self::assemble(root, transformer, config, texts, settings)
    }

    /// The same for a model to be trained, which may be a bare Hugging Face directory: it pools by the mean.
    ///
    /// # Errors
    /// As [`ModelDir::open`].
    pub fn open_base(root: &Path) -> Result<Self> {
        if is_cross_encoder(root) {
            return Ok(Self { pooling: Pooling::Mean, ..Self::open_cross_encoder(root)? });
        }
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
        let (pooling, include_prompt) = match &modules {
            Some(modules) => {
                read_pooling(&root.join(&modules.pooling).join("config.json"), config.hidden_size)?
            }
            None => (Pooling::Mean, true),
        };
        if let Some(normalize) = modules.as_ref().and_then(|modules| modules.normalize.as_ref()) {
            let path = root.join(normalize).join("config.json");
            NORMALIZE.check(&path, &read_optional(&path)?)?;
        }
        let texts =
            TextSettings::read(&root.join("config_sentence_transformers.json"), SENTENCE_TRANSFORMERS)?;
        let settings = read_sentence_config(&transformer, config.positions(), SENTENCE)?;
        let normalize = modules.is_some_and(|modules| modules.normalize.is_some());
        Ok(Self {
            pooling,
            include_prompt,
            normalize,
            ..Self::assemble(root, transformer, config, texts, settings)?
        })
    }

    /// Reads the settings of the tokenizer beside those that are read. Pools by the first token.
    fn assemble(
        root: &Path,
        transformer: PathBuf,
        config: BertConfig,
        texts: TextSettings,
        settings: SentenceConfig,
    ) -> Result<Self> {
        let written: serde_json::Map<String, serde_json::Value> =
            read_json(&transformer.join("config.json"))?;
        let class = written.get("tokenizer_class").and_then(|class| class.as_str());
        let tokenizer_config = TokenizerConfig::read(&transformer, config.architecture, class)?;
        // The length that network and tokenizer agree on, for a model that has no `max_seq_length`.
        let max_tokens = settings
            .max_seq_length
            .unwrap_or_else(|| tokenizer_config.max_length().unwrap_or(usize::MAX).min(config.positions()));
        Ok(Self {
            root: root.into(),
            max_tokens,
            lower_case: settings.do_lower_case,
            normalize: false,
            transformer,
            config,
            pooling: Pooling::Cls,
            include_prompt: true,
            texts,
            tokenizer_config,
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

    /// The length of an embedding.
    pub fn dimension(&self) -> usize {
        self.texts.truncate_dim.unwrap_or(usize::MAX).min(self.config.hidden_size)
    }

    /// How embeddings are to be compared. The dot product of embeddings of length one is their cosine.
    pub fn similarity(&self) -> Similarity {
        match self.texts.similarity {
            Similarity::Dot if self.normalize && self.dimension() == self.config.hidden_size => {
                Similarity::Cosine
            }
            similarity => similarity,
        }
    }

    /// Everything but weights and tokenizer that an embedding depends on, in one line. Settings that most models do not
    /// have are in it only where they are set: an index remembers a hash of this line.
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
        line += &c.beside;
        if !self.include_prompt {
            line += " without prompts";
        }
        if self.dimension() != c.hidden_size {
            line += &format!(" cut to {}", self.dimension());
        }
        for role in [None, Some(Role::Query), Some(Role::Document)] {
            let prompt = self.texts.prompt(role);
            if !prompt.is_empty() {
                line += &format!(" prompt {role:?} {prompt:?}");
            }
        }
        line
    }
}

/// The modules that a text passes through: where each is.
#[derive(Debug, PartialEq)]
pub(super) struct Modules {
    pub transformer: String,
    pub pooling: String,
    /// Where Normalize is, if there is one.
    pub normalize: Option<String>,
}

impl Modules {
    /// Reads `modules.json`: a Transformer, a Pooling, and perhaps a Normalize. Dropout does nothing but in training.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let modules = read_modules(path)?;
        let kinds: Vec<&str> = modules.iter().map(Module::name).collect();
        for (module, kind) in modules.iter().zip(&kinds) {
            if !matches!(*kind, "Transformer" | "Pooling" | "Normalize" | "Dropout") {
                return Err(refuse(
                    path,
                    format!(
                        "it has a {kind} module ({:?}), and Akin runs Transformer, Pooling and Normalize",
                        module.path
                    ),
                ));
            }
        }
        let acting: Vec<(&str, &str)> =
            kinds.iter().zip(&modules).map(|(kind, m)| (*kind, &*m.path)).collect();
        let after_pooling = |(at, (kind, _)): &(usize, (&str, &str))| *kind != "Dropout" || *at < 2;
        let acting: Vec<(&str, &str)> =
            acting.into_iter().enumerate().filter(after_pooling).map(|(_, module)| module).collect();
        match acting.as_slice() {
            [("Transformer", transformer), ("Pooling", pooling), rest @ ..]
                if matches!(rest, [] | [("Normalize", _)]) =>
            {
                Ok(Self {
                    transformer: (*transformer).to_owned(),
                    pooling: (*pooling).to_owned(),
                    normalize: rest.first().map(|(_, path)| (*path).to_owned()),
                })
            }
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

/// A module as `modules.json` lists it.
#[derive(Deserialize)]
pub(crate) struct Module {
    /// The folder of its settings.
    pub path: String,
    /// Its class, with the Python module that it is in.
    #[serde(rename = "type")]
    kind: String,
}

impl Module {
    /// Its class.
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }
}

/// Reads `modules.json`. A folder outside of the model is refused.
pub(crate) fn read_modules(path: &Path) -> Result<Vec<Module>> {
    let modules: Vec<Module> = read_json(path)?;
    let leads_out = |module: &&Module| {
        Path::new(&module.path).is_absolute() || module.path.split(['/', '\\']).any(|part| part == "..")
    };
    match modules.iter().find(leads_out) {
        Some(module) => {
            Err(refuse(path, format!("the module path {:?} leads out of the model", module.path)))
        }
        None => Ok(modules),
    }
}

/// Reads the pooling mode, from the flags of each mode or from its name, and whether prompts take part.
fn read_pooling(path: &Path, hidden_size: usize) -> Result<(Pooling, bool)> {
    let settings: serde_json::Map<String, serde_json::Value> = read_json(path)?;
    POOLING.check(path, &settings)?;
    let include_prompt = match settings.get("include_prompt").filter(|value| !value.is_null()) {
        None => true,
        Some(value) => value.as_bool().ok_or_else(|| {
            refuse(path, format!("include_prompt is {}, and must be true or false", shortened(value)))
        })?,
    };
    let is_flag = |(name, value): &(&String, &serde_json::Value)| {
        !name.starts_with("pooling_mode_") || value.is_boolean() || value.is_null()
    };
    if let Some((name, value)) = settings.iter().find(|setting| !is_flag(setting)) {
        return Err(refuse(path, format!("{name} is {}, and must be true or false", shortened(value))));
    }
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
        ["mean_tokens" | "mean"] => Ok((Pooling::Mean, include_prompt)),
        ["cls_token" | "cls"] => Ok((Pooling::Cls, include_prompt)),
        ["max_tokens" | "max"] => Ok((Pooling::Max, include_prompt)),
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

fn read_sentence_config(transformer: &Path, positions: usize, keys: FileKeys) -> Result<SentenceConfig> {
    let path = SENTENCE_CONFIGS.iter().map(|name| transformer.join(name)).find(|path| path.is_file());
    let Some(path) = path else { return Ok(SentenceConfig::default()) };
    let settings = read_optional(&path)?;
    keys.check(&path, &settings)?;
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
