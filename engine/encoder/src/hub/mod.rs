//! Where a model is: a directory, Akin's own folder, the Hugging Face cache (`cache`), or the hub (`client`).

mod cache;
mod client;
mod files;

use std::env;
use std::path::{Path, PathBuf};

use self::cache::CachedModel;
use self::client::{Download, Failure};
use self::files::ModelFiles;
use crate::cross_encoder::settings::transformer_of;
use crate::model_dir::Modules;
use crate::{DEFAULT_MODEL, Error, Result};

/// The directory of `model`, which is a directory, or the id of a model on the hub: `org/name`, or the
/// name alone for an original one of sentence-transformers. A model that is not on this machine is
/// downloaded, as `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` and `HF_HUB_OFFLINE` say.
///
/// # Errors
/// [`Error::ModelNotFound`] with the reason; [`Error::Io`] when the cache cannot be written.
pub fn locate(model: &str) -> Result<PathBuf> {
    Hub::from_env().locate(model)
}

/// The directory of the cross-encoder `model`, as [`locate`] finds that of an encoder. A name alone is one of the
/// organisation `cross-encoder`.
///
/// # Errors
/// As [`locate`]; [`Error::NoCrossEncoder`] for a model of the hub that is none, before its weights are downloaded.
pub fn locate_cross_encoder(model: &str) -> Result<PathBuf> {
    Hub::from_env().locate_cross_encoder(model)
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
    /// [`Error::ModelNotFound`] with the reason; [`Error::Io`] when the cache cannot be written.
    pub fn locate(&self, model: &str) -> Result<PathBuf> {
        if Path::new(model).is_dir() {
            return Ok(model.into());
        }
        let id = hub_id(model, "sentence-transformers")?;
        match self.installed(&id).or_else(|| self.cached(&id)) {
            Some(directory) => Ok(directory),
            None => self.online(&id, Self::download),
        }
    }

    /// As [`locate_cross_encoder`], in these places.
    ///
    /// # Errors
    /// As [`locate_cross_encoder`].
    pub fn locate_cross_encoder(&self, model: &str) -> Result<PathBuf> {
        if Path::new(model).is_dir() {
            return Ok(model.into());
        }
        let id = hub_id(model, "cross-encoder")?;
        // An encoder of that name is told from a model that is not there.
        let encoder = hub_id(model, "sentence-transformers")?;
        for id in [&id, &encoder] {
            let places = [Some(self.models.join(id)), CachedModel::of(&self.cache, id).main()];
            for place in places.into_iter().flatten().filter(|place| place.join("config.json").is_file()) {
                let folder = transformer_of(&place)?.unwrap_or_default();
                if ModelFiles::of_network(&folder).are_in(&place) {
                    return Ok(place);
                }
            }
        }
        self.online(&id, Self::download_cross_encoder)
    }

    /// Downloads a model, if that is allowed.
    fn online(&self, id: &str, download: impl Fn(&Self, &str) -> Result<PathBuf>) -> Result<PathBuf> {
        if self.offline {
            let reason = "is not on this machine, and HF_HUB_OFFLINE forbids to download it".to_owned();
            return Err(Error::ModelNotFound { model: id.into(), reason });
        }
        download(self, id)
    }

    /// As [`installed`], in these places.
    pub fn installed(&self, id: &str) -> Option<PathBuf> {
        let directory = self.models.join(hub_id(id, "sentence-transformers").ok()?);
        directory.join("modules.json").is_file().then_some(directory)
    }

    /// The snapshot in the cache, if it has every file that is needed.
    fn cached(&self, id: &str) -> Option<PathBuf> {
        let snapshot = CachedModel::of(&self.cache, id).main()?;
        let modules = Modules::read(&snapshot.join("modules.json")).ok()?;
        ModelFiles::of(&modules).are_in(&snapshot).then_some(snapshot)
    }

    /// Downloads the files that the encoder reads.
    fn download(&self, id: &str) -> Result<PathBuf> {
        let failed = |failure| self.failed(id, failure);
        let mut download = Download::new(self, id);
        let modules_path = download.fetch("modules.json").map_err(failed)?;
        let modules = Modules::read(&modules_path)?;
        ModelFiles::of(&modules).fetch(&mut download).map_err(failed)?;
        Ok(modules_path.parent().map(Path::to_path_buf).unwrap_or_default())
    }

    /// The same for a cross-encoder. Most have no `modules.json`.
    fn download_cross_encoder(&self, id: &str) -> Result<PathBuf> {
        let failed = |failure| self.failed(id, failure);
        let mut download = Download::new(self, id);
        download.fetch_optional("modules.json").map_err(failed)?;
        let config = download.fetch("config.json").map_err(failed)?;
        let directory = config.parent().map(Path::to_path_buf).unwrap_or_default();
        let folder = transformer_of(&directory)?.unwrap_or_default();
        let files = ModelFiles::of_network(&folder).with_optional("config_sentence_transformers.json");
        files.fetch(&mut download).map_err(failed)?;
        Ok(directory)
    }

    fn failed(&self, id: &str, failure: Failure) -> Error {
        match failure {
            Failure::Disk(error) => error,
            failure => {
                let reason = format!("cannot be downloaded from {}: {}", self.endpoint, reason(&failure));
                Error::ModelNotFound { model: id.into(), reason }
            }
        }
    }
}

fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Status(status) => match status.as_u16() {
            404 => "the hub has no such model in sentence-transformers form".into(),
            401 | 403 => "the hub does not let it be read (wrong name, or HF_TOKEN must be set)".into(),
            _ => format!("the hub answers {status}"),
        },
        Failure::Unreachable(error) => format!("it is out of reach ({error})"),
        Failure::Broken(error) => error.clone(),
        Failure::Disk(error) => error.to_string(),
    }
}

/// `org/name` for what was given, if it can be the id of a model. A name alone is one of `organization`.
fn hub_id(model: &str, organization: &str) -> Result<String> {
    let name = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match model.split('/').collect::<Vec<_>>().as_slice() {
        [one] if name(one) => Ok(format!("{organization}/{one}")),
        [org, one] if name(org) && name(one) => Ok(model.into()),
        _ => Err(Error::ModelNotFound {
            model: model.into(),
            reason: format!("is neither a directory nor the id of a model, as {DEFAULT_MODEL} is"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_one_of_sentence_transformers() {
        assert_eq!(hub_id("all-MiniLM-L6-v2", "sentence-transformers").unwrap(), DEFAULT_MODEL);
        assert_eq!(hub_id("org/name", "cross-encoder").unwrap(), "org/name");
    }

    #[test]
    fn a_path_that_is_not_there_is_not_an_id() {
        for path in ["/no/such", "./model", "../up", "a/b/c", "org/..", "", "org/", "~/model"] {
            let error = hub_id(path, "cross-encoder").unwrap_err().to_string();
            assert!(error.contains("neither a directory nor the id"), "{error}");
        }
    }
}
