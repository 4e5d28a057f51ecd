//! Which directories hold a model without layers, and what they say of it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::Result;
use crate::after_pooling::AfterPooling;
use crate::cross_encoder::settings::is_cross_encoder;
use crate::files::{read_optional, refuse};
use crate::model_dir::{AfterKind, First, Modules};
use crate::prompts::TextSettings;
use crate::settings::{MODEL2VEC, SENTENCE_TRANSFORMERS, shortened};

/// The most tokens of a text, for a directory of model2vec that does not say.
const MODEL2VEC_TOKENS: usize = 512;

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Unknown tokens count, and a text is as long as `tokenizer.json` says.
    SentenceTransformers,
    /// Unknown tokens are left out, and the end of a long text.
    Model2Vec { max_tokens: Option<usize>, normalize: bool },
}

/// A directory whose settings have been read.
#[derive(Debug)]
pub(crate) struct StaticDir {
    /// The directory.
    pub root: PathBuf,
    /// Where weights and tokenizer are: `root`, or a folder of it.
    pub folder: PathBuf,
    /// Prompts, and what is done with embeddings.
    pub texts: TextSettings,
    pub(super) kind: Kind,
    modules: Vec<(AfterKind, String)>,
}

impl StaticDir {
    /// Reads the settings of the model in `root`; nothing where it is a model of another kind.
    pub(crate) fn find(root: &Path) -> Result<Option<Self>> {
        let modules = root.join("modules.json");
        if is_cross_encoder(root) {
            return Ok(None);
        }
        let (folder, kind, after) = if modules.is_file() {
            match Modules::read(&modules)? {
                Modules { first: First::StaticEmbedding { folder }, after } => {
                    (root.join(folder), Kind::SentenceTransformers, after)
                }
                Modules { first: First::Transformer { .. } | First::WordEmbeddings { .. }, .. } => {
                    return Ok(None);
                }
            }
        } else {
            let path = root.join("config.json");
            let config = read_optional(&path)?;
            if !is_model2vec(&config) {
                return Ok(None);
            }
            let kind = read_model2vec(&path, &config)?;
            let after = match kind {
                Kind::Model2Vec { normalize: true, .. } => {
                    vec![(AfterKind::Normalize, "1_Normalize".to_owned())]
                }
                _ => Vec::new(),
            };
            (root.into(), kind, after)
        };
        let texts =
            TextSettings::read(&root.join("config_sentence_transformers.json"), SENTENCE_TRANSFORMERS)?;
        Ok(Some(Self { root: root.into(), folder, texts, kind, modules: after }))
    }

    /// The modules that follow vectors of `width` numbers.
    pub(super) fn after(&self, width: usize) -> Result<AfterPooling> {
        AfterPooling::read(&self.root, width, &self.modules)
    }
}

fn is_model2vec(config: &Map<String, Value>) -> bool {
    let is = |key: &str, name: &str| config.get(key).is_some_and(|value| value == name);
    let first = config.get("architectures").and_then(|names| names.get(0));
    is("model_type", "model2vec") || first.is_some_and(|name| name == "StaticModel")
}

fn read_model2vec(path: &Path, config: &Map<String, Value>) -> Result<Kind> {
    MODEL2VEC.check(path, config)?;
    let unlike = |name: &str, value: &Value, expected: &str| {
        Err(refuse(path, format!("{name} is {}, and must be {expected}", shortened(value))))
    };
    let normalize = match config.get("normalize") {
        None => false,
        Some(Value::Bool(normalize)) => *normalize,
        Some(value) => return unlike("normalize", value, "true or false"),
    };
    let max_tokens = match config.get("max_length") {
        None => Some(MODEL2VEC_TOKENS),
        Some(Value::Null) => None,
        Some(value) => match value.as_u64().and_then(|length| usize::try_from(length).ok()) {
            Some(length) if length > 0 => Some(length),
            _ => return unlike("max_length", value, "a whole number from 1 on"),
        },
    };
    Ok(Kind::Model2Vec { max_tokens, normalize })
}
