//! Models by name: finding and loading them, and what an index records of the model it is built with.

use std::path::Path;
use std::time::Instant;

use akin_encoder::{CrossEncoder, EncoderOptions, Precision, Prompts, SentenceEncoder, hub};
use akin_index::ModelIdentity;

use crate::{Error, Result};

/// Finds and loads the model of a name: a directory or a hub id.
///
/// # Errors
/// [`Error::Encoder`] if it cannot be found or used.
pub fn load(name: &str, options: &EncoderOptions) -> Result<SentenceEncoder> {
    let started = Instant::now();
    let directory = hub::locate(name)?;
    let encoder = SentenceEncoder::load_with(&directory, options)?;
    tracing::info!("loaded the model {} in {:.1?}", directory.display(), started.elapsed());
    Ok(encoder)
}

/// Finds and loads the cross-encoder of a name: a directory or a hub id.
///
/// # Errors
/// [`Error::Encoder`] if it cannot be found or used, or is no cross-encoder.
pub fn load_cross_encoder(name: &str, precision: Precision) -> Result<CrossEncoder> {
    let started = Instant::now();
    let directory = hub::locate_cross_encoder(name)?;
    let encoder = CrossEncoder::load(&directory, precision)?;
    tracing::info!("loaded the cross-encoder {} in {:.1?}", directory.display(), started.elapsed());
    Ok(encoder)
}

/// What an index notes about the model it is built with. A directory is noted by its full path, so that the
/// index can be asked from any folder. The prompts are those that were given to the encoder.
///
/// # Errors
/// [`Error::ModelPath`] if that path cannot be told or is not UTF-8.
pub fn identity(name: &str, encoder: &SentenceEncoder) -> Result<ModelIdentity> {
    let path = Path::new(name);
    let location = if path.is_dir() {
        let full = std::fs::canonicalize(path)
            .map_err(|error| Error::ModelPath { path: path.to_owned(), reason: error.to_string() })?;
        let text = full.to_str().map(str::to_owned);
        text.ok_or_else(|| Error::ModelPath { path: full, reason: "the path is not UTF-8".into() })?
    } else if name.contains('/') {
        name.to_owned()
    } else {
        format!("sentence-transformers/{name}")
    };
    let Prompts { query, document } = encoder.prompts().clone();
    Ok(ModelIdentity {
        query_prompt: query,
        document_prompt: document,
        similarity: encoder.similarity(),
        ..ModelIdentity::new(encoder.fingerprint(), location, encoder.dimension())
    })
}

/// The error of a model that cannot be loaded from where it was when an index was built with it.
pub fn moved(error: Error) -> Error {
    match error {
        Error::Encoder(error) => Error::ModelMoved(error),
        other => other,
    }
}
