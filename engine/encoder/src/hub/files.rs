//! Which files a model needs, and which it may have.

use std::path::Path;

use super::client::{Download, Failure};
use crate::model_dir::{AfterKind, First, Modules, SENTENCE_CONFIGS};
use crate::settings::WORD_EMBEDDINGS;
use crate::tokenizer_files::{TOKENIZER_FILES, TokenizerFile};
use crate::weights::{TensorFile, WEIGHT_FILES, shards};
use crate::word_embeddings::TOKENIZER_SETTINGS;

/// The files of a model.
pub(super) struct ModelFiles {
    /// Files of settings that must be there.
    required: Vec<String>,
    /// Files of settings that not every model has.
    optional: Vec<String>,
    /// The folder of the tokenizer, where it has files of its own kind.
    tokenizer: Option<String>,
    /// The folders with weights.
    weights: Vec<String>,
}

impl ModelFiles {
    /// The files of a model with these modules.
    pub(super) fn of(modules: &Modules) -> Self {
        let mut files = match &modules.first {
            First::Transformer { folder, pooling } => {
                let mut files = Self::of_network(folder);
                files.required.push(join(pooling, "config.json"));
                files
            }
            First::StaticEmbedding { folder } => Self {
                required: Vec::new(),
                optional: Vec::new(),
                tokenizer: Some(folder.clone()),
                weights: vec![folder.clone()],
            },
            First::WordEmbeddings { folder, pooling } => Self {
                required: vec![
                    join(folder, WORD_EMBEDDINGS.file),
                    join(folder, TOKENIZER_SETTINGS),
                    join(pooling, "config.json"),
                ],
                optional: Vec::new(),
                tokenizer: None,
                weights: vec![folder.clone()],
            },
        };
        files.optional.push("config_sentence_transformers.json".into());
        for (kind, folder) in &modules.after {
            let config = join(folder, "config.json");
            match kind {
                AfterKind::Normalize => files.optional.push(config),
                AfterKind::Dense | AfterKind::LayerNorm => {
                    files.required.push(config);
                    files.weights.push(folder.clone());
                }
            }
        }
        files
    }

    /// The files of a network alone.
    pub(super) fn of_network(folder: &str) -> Self {
        let beside = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
        Self {
            required: vec![join(folder, "config.json")],
            optional: beside.iter().chain(&SENTENCE_CONFIGS).map(|name| join(folder, name)).collect(),
            tokenizer: Some(folder.into()),
            weights: vec![folder.into()],
        }
    }

    /// The same, with a further file that not every model has.
    pub(super) fn with_optional(mut self, file: &str) -> Self {
        self.optional.push(file.into());
        self
    }

    /// Whether a directory has every file that is needed.
    pub(super) fn are_in(&self, directory: &Path) -> bool {
        self.required.iter().all(|file| directory.join(file).is_file())
            && self
                .tokenizer
                .iter()
                .all(|folder| TokenizerFile::find(&directory.join(folder)).path().is_file())
            && self.weights.iter().all(|folder| has_weights(&directory.join(folder)))
    }

    /// Downloads the files, weights last: a snapshot with weights is complete.
    pub(super) fn fetch(&self, download: &mut Download<'_>) -> Result<(), Failure> {
        for file in &self.optional {
            download.fetch_optional(file)?;
        }
        for file in &self.required {
            download.fetch(file)?;
        }
        if let Some(folder) = &self.tokenizer {
            fetch_tokenizer(download, folder)?;
        }
        // The network's own weights are first in the list, and the largest.
        for folder in self.weights.iter().rev() {
            fetch_weights(download, folder)?;
        }
        Ok(())
    }
}

fn has_weights(folder: &Path) -> bool {
    let file = TensorFile::of_folder(folder);
    file.is_file()
        && shards(&file).is_ok_and(|shards| shards.iter().all(|shard| folder.join(shard).is_file()))
}

/// Fetches `tokenizer.json`, or else the vocabularies that there are.
fn fetch_tokenizer(download: &mut Download<'_>, folder: &str) -> Result<(), Failure> {
    let mut files = TOKENIZER_FILES.iter().map(|name| join(folder, name));
    let whole = files.next().unwrap_or_default();
    let absent = match download.fetch(&whole) {
        Err(failure) if failure.is_absence() => failure,
        other => return other.map(drop),
    };
    let mut found = false;
    for file in files {
        match download.fetch(&file) {
            Ok(_) => found = true,
            Err(failure) if failure.is_absence() => {}
            Err(failure) => return Err(failure),
        }
    }
    if found { Ok(()) } else { Err(absent) }
}

/// Fetches the first file of weights that there is, and what it names.
fn fetch_weights(download: &mut Download<'_>, folder: &str) -> Result<(), Failure> {
    let mut absent = None;
    for name in WEIGHT_FILES {
        match download.fetch(&join(folder, name)) {
            Ok(path) => {
                for shard in shards(&path).map_err(|error| Failure::Broken(error.to_string()))? {
                    download.fetch(&join(folder, &shard))?;
                }
                return Ok(());
            }
            Err(failure) if failure.is_absence() => absent = absent.or(Some(failure)),
            Err(failure) => return Err(failure),
        }
    }
    absent.map_or(Ok(()), Err)
}

fn join(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.into() } else { format!("{folder}/{file}") }
}
