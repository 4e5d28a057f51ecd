//! Files of a model directory: read, or refused with the file's name.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// What every model directory has, for the sentence that says a file is missing.
const EXPECTED: &str = "a sentence-transformers model has modules.json, config.json, tokenizer.json, model.safetensors and 1_Pooling/config.json";

/// The settings in a file that not every model has: none where it is missing.
pub(crate) fn read_optional(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>> {
    if path.is_file() { read_json(path) } else { Ok(serde_json::Map::new()) }
}

/// Reads a file of the model; a missing one is named with what is expected.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        _ => Error::Io { action: "read", path: path.into(), source },
    })
}

/// The error for a file that a model needs and has not.
pub(crate) fn missing(path: &Path) -> Error {
    refuse(path, format!("the file is missing; {EXPECTED}"))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read_file(path)?)
        .map_err(|error| refuse(path, format!("not the JSON that belongs here: {error}")))
}

/// The error for something that cannot be honoured.
pub(crate) fn refuse(path: &Path, reason: impl Into<String>) -> Error {
    Error::Model { path: path.into(), reason: reason.into() }
}
