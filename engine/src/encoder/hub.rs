//! Where a model is: a directory, Akin's own folder, the Hugging Face cache, or the hub.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The directory of `model`: a directory, or the id of a model on the hub.
///
/// # Errors
/// [`Error::ModelNotFound`] with the remedies.
pub fn locate(model: &str) -> Result<PathBuf> {
    if Path::new(model).is_dir() {
        return Ok(model.into());
    }
    installed(model).ok_or_else(|| {
        Error::ModelNotFound(format!(
            "there is no model {model}: name a directory with --model, or run `make model`"
        ))
    })
}

/// The model `id` in Akin's folder, `$XDG_DATA_HOME/akin/models`, if it is there.
pub fn installed(id: &str) -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".local/share")))?;
    Some(data.join("akin/models").join(id)).filter(|directory| directory.is_dir())
}
