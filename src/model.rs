//! Opens an index, and the model to ask it with.

use std::path::Path;

use akin_encoder::EncoderOptions;
use akin_index::{Reader, ReaderOptions, Reload};
use akin_query::Searcher;

pub use akin_query::model::{identity, load, moved};
pub use akin_query::remembered::adopt;

/// Opens an index to read it.
pub fn open_reader(path: &Path) -> anyhow::Result<Reader> {
    Ok(Reader::open(path)?)
}

/// Opens an index and loads the model to ask it with.
pub fn open_searcher(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
) -> anyhow::Result<Searcher> {
    Ok(Searcher::open(index, model, options, ReaderOptions::default())?)
}

/// The same for a session, which sees what is committed while it is open.
pub fn open_session(index: &Path, model: Option<&str>, options: &EncoderOptions) -> anyhow::Result<Searcher> {
    let reading = ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() };
    Ok(Searcher::open(index, model, options, reading)?)
}
