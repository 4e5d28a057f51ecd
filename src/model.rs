//! Finds and loads the model that a user names, and opens an index with its model.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_encoder::{EncoderOptions, hub};
use akin_index::Index;
use akin_index::ModelIdentity;
use akin_query::Searcher;
use anyhow::Context;

/// Finds and loads the model that a user named: a directory or a hub id.
pub fn load(name: &str, options: &EncoderOptions) -> anyhow::Result<SentenceEncoder> {
    let started = Instant::now();
    let directory = hub::locate(name)?;
    let encoder = SentenceEncoder::load_with(&directory, options)?;
    tracing::info!("loaded the model {} in {:.1?}", directory.display(), started.elapsed());
    Ok(encoder)
}

/// What an index notes about the model it is built with. A directory is noted by its full path, so
/// that the index can be asked from any folder.
pub fn identity(name: &str, encoder: &SentenceEncoder) -> anyhow::Result<ModelIdentity> {
    let path = Path::new(name);
    let location = if path.is_dir() {
        let full = fs::canonicalize(path).with_context(|| format!("cannot read {name}"))?;
        full.to_str()
            .with_context(|| format!("the path of the model is not UTF-8: {}", full.display()))?
            .to_owned()
    } else if name.contains('/') {
        name.to_owned()
    } else {
        format!("sentence-transformers/{name}")
    };
    Ok(ModelIdentity {
        fingerprint: encoder.fingerprint().to_owned(),
        location,
        dimension: encoder.dimension(),
    })
}

/// Opens an index.
pub fn open_index(path: &Path) -> anyhow::Result<Index> {
    let started = Instant::now();
    let index = Index::open(path)?;
    tracing::info!("opened the index {} in {:.1?}", path.display(), started.elapsed());
    Ok(index)
}

/// Opens an index and loads the model to ask it with.
pub fn open_searcher(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
) -> anyhow::Result<Searcher> {
    let (index, encoder) = open_searchable(index, model, options)?;
    Ok(Searcher::new(index, encoder)?)
}

/// Opens an index and loads the model named, else the one it was built with. With a name both happen
/// at once.
pub fn open_searchable(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
) -> anyhow::Result<(Index, SentenceEncoder)> {
    match model {
        Some(name) => thread::scope(|scope| {
            let encoder = scope.spawn(|| load(name, options));
            let index = open_index(index);
            let encoder = encoder.join().expect("loading a model does not panic");
            Ok((index?, encoder?))
        }),
        None => {
            let index = open_index(index)?;
            index.require_known_model()?;
            let location = index.model().location.clone();
            let encoder = load(&location, options).context(
                "the model that the index was built with is not where it was (--model says where it is now)",
            )?;
            index.require_model(encoder.fingerprint())?;
            Ok((index, encoder))
        }
    }
}
