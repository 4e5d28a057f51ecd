//! A sentence-transformers directory, as it is found on a disk or a hub.
//!
//! What is in it is honoured or refused by name: a model that is read wrong would answer, badly.

mod modules;
mod pooling_settings;
mod sentence_settings;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use akin_kernels::Similarity;

pub(crate) use self::modules::{AfterKind, First, Module, Modules, read_modules};
pub(crate) use self::pooling_settings::PoolingSettings;
pub(crate) use self::sentence_settings::SENTENCE_CONFIGS;
use self::sentence_settings::SentenceSettings;
use crate::after_pooling::AfterPooling;
use crate::config::BertConfig;
use crate::cross_encoder::settings::{SCORING_SENTENCE, SCORING_TEXTS, is_cross_encoder, transformer_of};
use crate::files::{read_json, refuse};
use crate::pooling::Pooling;
use crate::prompts::TextSettings;
use crate::settings::{SENTENCE, SENTENCE_TRANSFORMERS};
use crate::tokenizer_config::TokenizerConfig;
use crate::tokenizer_files::TokenizerFile;
use crate::weights::TensorFile;
use crate::{Error, Result};

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
    /// How token vectors become the vector of a sentence: each makes a vector, and the vectors are joined.
    pub poolings: Vec<Pooling>,
    /// The modules after the pooling.
    pub(crate) after: AfterPooling,
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
        let path = root.join("modules.json");
        if !path.is_file() && root.join("config.json").is_file() {
            tracing::warn!(
                "{}: there is no modules.json: the vectors of the tokens are pooled by their mean, as sentence-transformers does",
                root.display()
            );
            return Self::read(root, None);
        }
        Self::read(root, Some(&Modules::read(&path)?))
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
                SentenceSettings::read(&transformer, config.positions(), SCORING_SENTENCE)?,
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
            return Ok(Self { poolings: vec![Pooling::Mean], ..Self::open_cross_encoder(root)? });
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

    /// Reads the model with these modules; without any it pools by the mean.
    fn read(root: &Path, modules: Option<&Modules>) -> Result<Self> {
        let (folder, pooling) = match modules.map(|modules| &modules.first) {
            Some(First::Transformer { folder, pooling }) => (folder.as_str(), Some(pooling)),
            Some(First::StaticEmbedding { .. }) => return Err(without_layers(root, "StaticEmbedding")),
            Some(First::WordEmbeddings { .. }) => return Err(without_layers(root, "WordEmbeddings")),
            None => ("", None),
        };
        let transformer = root.join(folder);
        let config = BertConfig::read(&transformer.join("config.json"))?;
        let settings = match pooling {
            Some(pooling) => {
                PoolingSettings::read(&root.join(pooling).join("config.json"), config.hidden_size)?
            }
            None => PoolingSettings { poolings: vec![Pooling::Mean], include_prompt: true },
        };
        let pooled = config.hidden_size.saturating_mul(settings.poolings.len());
        let after = match modules {
            Some(modules) => AfterPooling::read(root, pooled, &modules.after)?,
            None => AfterPooling::none(pooled),
        };
        let texts =
            TextSettings::read(&root.join("config_sentence_transformers.json"), SENTENCE_TRANSFORMERS)?;
        let sentence = SentenceSettings::read(&transformer, config.positions(), SENTENCE)?;
        let PoolingSettings { poolings, include_prompt } = settings;
        Ok(Self {
            poolings,
            include_prompt,
            after,
            ..Self::assemble(root, transformer, config, texts, sentence)?
        })
    }

    /// Reads the settings of the tokenizer beside those that are read. Pools by the first token.
    fn assemble(
        root: &Path,
        transformer: PathBuf,
        config: BertConfig,
        texts: TextSettings,
        settings: SentenceSettings,
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
            after: AfterPooling::none(config.hidden_size),
            transformer,
            config,
            poolings: vec![Pooling::Cls],
            include_prompt: true,
            texts,
            tokenizer_config,
        })
    }

    /// The file of the weights, or of the list of the files that they are in.
    pub fn weights(&self) -> PathBuf {
        TensorFile::of_folder(&self.transformer)
    }

    /// The file of the tokenizer, or of its vocabulary.
    pub fn tokenizer(&self) -> PathBuf {
        TokenizerFile::find(&self.transformer).path().to_path_buf()
    }

    /// The content of the files that the tokenizer is made of.
    pub(crate) fn tokenizer_bytes(&self) -> Result<Vec<Vec<u8>>> {
        TokenizerFile::find(&self.transformer).bytes()
    }

    /// `config.json` as it is written.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) when it is missing or not JSON.
    pub fn config_json(&self) -> Result<serde_json::Value> {
        read_json(&self.transformer.join("config.json"))
    }

    /// Whether embeddings are divided by their length, at the end.
    pub fn normalizes(&self) -> bool {
        self.after.normalizes()
    }

    /// What of the model is more than a network, one pooling and a Normalize: the names of its further parts.
    pub fn further_parts(&self) -> Vec<&'static str> {
        let mut parts = self.after.weighted();
        if self.poolings.len() > 1 {
            parts.insert(0, "several poolings");
        }
        parts
    }

    /// The same model with one pooling in place of its own.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) where modules with weights follow several joined poolings.
    pub fn with_pooling(self, pooling: Pooling) -> Result<Self> {
        let after = match self.poolings.len() {
            1 => self.after,
            _ if self.after.weighted().is_empty() => self.after.with_pooled(self.config.hidden_size),
            _ => {
                let reason =
                    "the modules after its pooling take several poolings joined, and one was asked for";
                return Err(refuse(&self.root, reason));
            }
        };
        Ok(Self { poolings: vec![pooling], after, ..self })
    }

    /// How embeddings are to be compared. The dot product of embeddings of length one is their cosine.
    pub fn similarity(&self) -> Similarity {
        self.texts.similarity_of(&self.after)
    }

    /// Everything but weights and tokenizer that an embedding depends on, in one line. Settings that most models do not
    /// have are in it only where they are set: an index remembers a hash of this line.
    pub fn settings(&self) -> String {
        let c = &self.config;
        let mut line = String::new();
        write!(
            line,
            "{:?} vocab {} hidden {} layers {} heads {} intermediate {} positions {}+{} types {} eps {:e} pooling {} normalize {} max_tokens {} lower_case {}",
            c.architecture, c.vocab_size, c.hidden_size, c.num_hidden_layers, c.num_attention_heads,
            c.intermediate_size, c.max_position_embeddings, c.position_offset, c.type_vocab_size,
            c.layer_norm_eps, pooling_names(&self.poolings), self.normalizes(), self.max_tokens, self.lower_case,
        )
        .expect("a string takes what is written to it");
        line += &c.beside;
        if !self.include_prompt {
            line += " without prompts";
        }
        line += &self.after.described();
        line += &self.texts.described(self.after.width());
        line
    }
}

/// Poolings by the names of their variants: an index remembers a hash of this text.
fn pooling_names(poolings: &[Pooling]) -> String {
    poolings.iter().map(|pooling| format!("{pooling:?}")).collect::<Vec<_>>().join("+")
}

/// The error for a model that is no network, where a network is wanted.
fn without_layers(root: &Path, kind: &str) -> Error {
    refuse(root, format!("it is a {kind}, which has no layers: what is asked for needs a Transformer"))
}
