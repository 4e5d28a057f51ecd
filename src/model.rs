//! Opens an index, and the model to ask it with.

use std::path::Path;

use akin_encoder::EncoderOptions;
use akin_index::{Reader, ReaderOptions, Reload};
use akin_query::{Mode, Searcher};

pub use akin_query::model::{identity, load, moved};
pub use akin_query::remembered::adopt;

/// Opens an index to read it.
pub fn open_reader(path: &Path) -> anyhow::Result<Reader> {
    Ok(Reader::open(path)?)
}

/// Opens an index, and loads the model to ask it with if the mode needs one.
pub fn open_searcher(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
    mode: Mode,
) -> anyhow::Result<Searcher> {
    open(index, model, options, mode, ReaderOptions::default())
}

/// The same for a session, which sees what is committed while it is open.
pub fn open_session(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
    mode: Mode,
) -> anyhow::Result<Searcher> {
    open(index, model, options, mode, ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() })
}

fn open(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
    mode: Mode,
    reading: ReaderOptions,
) -> anyhow::Result<Searcher> {
    match mode.needs_model() {
        true => Ok(Searcher::open(index, model, options, reading)?.with_mode(mode)?),
        false => Ok(Searcher::without_model(Reader::open_with(index, reading)?, mode)),
    }
}
