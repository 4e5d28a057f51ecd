//! Where a model is: a directory, Akin's own folder, the Hugging Face cache, or the hub.

use std::env;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo};

use crate::{Error, Result};

use super::DEFAULT_MODEL;
use super::model_dir::{Modules, SENTENCE_CONFIGS};

/// The directory of `model`, which is a directory, or the id of a model on the hub: `org/name`, or the
/// name alone for an original one of sentence-transformers. A model that is not on this machine is
/// downloaded, as `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` and `HF_HUB_OFFLINE` say.
///
/// # Errors
/// [`Error::ModelNotFound`] with the remedies.
pub fn locate(model: &str) -> Result<PathBuf> {
    Hub::from_env().locate(model)
}

/// The model `id` in Akin's folder, `$XDG_DATA_HOME/akin/models`, if it is there.
pub fn installed(id: &str) -> Option<PathBuf> {
    Hub::from_env().installed(id)
}

/// The places where models are looked for, in this order.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Akin's own folder of models: `org/name` under it.
    pub models: PathBuf,
    /// The cache that Hugging Face's libraries share; downloads go there.
    pub cache: PathBuf,
    /// The address of the hub.
    pub endpoint: String,
    /// The token for models that are not public.
    pub token: Option<String>,
    /// Whether nothing is downloaded.
    pub offline: bool,
}

impl Hub {
    /// The places that the environment names.
    pub fn from_env() -> Self {
        let home = env::home_dir().unwrap_or_default();
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let hf_home = folder("HF_HOME").unwrap_or_else(|| {
            folder("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("huggingface")
        });
        Self {
            models: folder("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share")).join("akin/models"),
            cache: folder("HF_HUB_CACHE").unwrap_or_else(|| hf_home.join("hub")),
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()),
            token: text("HF_TOKEN"),
            offline: text("HF_HUB_OFFLINE")
                .is_some_and(|flag| matches!(flag.to_lowercase().as_str(), "1" | "true" | "yes" | "on")),
        }
    }

    /// As [`locate`], in these places.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] with the remedies.
    pub fn locate(&self, model: &str) -> Result<PathBuf> {
        if Path::new(model).is_dir() {
            return Ok(model.into());
        }
        let id = hub_id(model)?;
        if let Some(directory) = self.installed(&id) {
            return Ok(directory);
        }
        if let Some(directory) = cached(&Cache::new(self.cache.clone()).model(id.clone())) {
            return Ok(directory);
        }
        if self.offline {
            return Err(not_found(&id, "is not on this machine, and HF_HUB_OFFLINE forbids to download it"));
        }
        self.download(&id)
    }

    /// As [`installed`], in these places.
    pub fn installed(&self, id: &str) -> Option<PathBuf> {
        let directory = self.models.join(hub_id(id).ok()?);
        directory.join("modules.json").is_file().then_some(directory)
    }

    /// Downloads what the encoder reads, weights last: a snapshot with weights is a whole one.
    fn download(&self, id: &str) -> Result<PathBuf> {
        let failed = |error: ApiError| {
            not_found(id, &format!("cannot be downloaded from {}: {}", self.endpoint, reason(error)))
        };
        let mut hub = ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.trim_end_matches('/').into())
            .with_retries(2);
        if self.token.is_some() {
            hub = hub.with_token(self.token.clone());
        }
        let repo = hub.build().map_err(failed)?.model(id.into());
        let modules_path = repo.get("modules.json").map_err(failed)?;
        let modules = Modules::read(&modules_path)?;
        for file in optional_files(&modules) {
            fetch_optional(&repo, &file).map_err(failed)?;
        }
        for file in required_files(&modules) {
            repo.get(&file).map_err(failed)?;
        }
        Ok(parent(modules_path))
    }
}

fn required_files(modules: &Modules) -> [String; 4] {
    [
        join(&modules.pooling, "config.json"),
        join(&modules.transformer, "config.json"),
        join(&modules.transformer, "tokenizer.json"),
        join(&modules.transformer, "model.safetensors"),
    ]
}

fn optional_files(modules: &Modules) -> Vec<String> {
    let mut files =
        vec!["config_sentence_transformers.json".into(), join(&modules.transformer, "tokenizer_config.json")];
    files.extend(SENTENCE_CONFIGS.iter().map(|name| join(&modules.transformer, name)));
    files
}

fn join(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.into() } else { format!("{folder}/{file}") }
}

/// The snapshot in the cache, if it has every file that is needed.
fn cached(repo: &CacheRepo) -> Option<PathBuf> {
    let modules_path = repo.get("modules.json")?;
    let modules = Modules::read(&modules_path).ok()?;
    let whole = required_files(&modules).iter().all(|file| repo.get(file).is_some());
    whole.then(|| parent(modules_path))
}

fn parent(file: PathBuf) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A file that the hub does not have is not an error.
fn fetch_optional(repo: &ApiRepo, file: &str) -> Result<(), ApiError> {
    match repo.get(file) {
        Err(error) if status(&error).as_deref() == Some("404") => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The HTTP status of a failed request; the client's own error type says it only in its text.
fn status(error: &ApiError) -> Option<String> {
    match error {
        ApiError::RequestError(request) => {
            let text = request.to_string();
            let (_, code) = text.rsplit_once("status code ")?;
            Some(code.chars().take_while(char::is_ascii_digit).collect())
        }
        _ => None,
    }
}

fn reason(error: ApiError) -> String {
    match status(&error).as_deref() {
        Some("404") => "the hub has no such model in sentence-transformers form".into(),
        Some("401" | "403") => "the hub does not let it be read (wrong name, or HF_TOKEN must be set)".into(),
        // Without a status nobody answered; what the system says of it is the end of a long chain.
        None if matches!(error, ApiError::RequestError(_)) => {
            let chain = error.to_string();
            format!("it is out of reach ({})", chain.rsplit(": ").next().unwrap_or(&chain))
        }
        _ => error.to_string(),
    }
}

/// `org/name` for what was given, if it can be the id of a model.
fn hub_id(model: &str) -> Result<String> {
    let name = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match model.split('/').collect::<Vec<_>>().as_slice() {
        [one] if name(one) => Ok(format!("sentence-transformers/{one}")),
        [org, one] if name(org) && name(one) => Ok(model.into()),
        _ => Err(Error::ModelNotFound(format!(
            "{model} is neither a directory nor the id of a model, as {DEFAULT_MODEL} is: give one of them with --model"
        ))),
    }
}

fn not_found(id: &str, why: &str) -> Error {
    let make = if id == DEFAULT_MODEL { ", run `make model`" } else { "" };
    Error::ModelNotFound(format!(
        "the model {id} {why}; give the directory of a model with --model DIR{make}, or set HF_ENDPOINT to a hub within reach"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_one_of_sentence_transformers() {
        assert_eq!(hub_id("all-MiniLM-L6-v2").unwrap(), DEFAULT_MODEL);
        assert_eq!(hub_id("org/name").unwrap(), "org/name");
    }

    #[test]
    fn a_path_that_is_not_there_is_not_an_id() {
        for path in ["/no/such", "./model", "../up", "a/b/c", "org/..", "", "org/", "~/model"] {
            let error = hub_id(path).unwrap_err().to_string();
            assert!(error.contains("neither a directory nor the id"), "{error}");
        }
    }
}
