//! Opens an index, and the model to ask it with.

use std::path::Path;

use akin_encoder::EncoderOptions;
use akin_index::{Reader, ReaderOptions, Reload};
use akin_query::rerank::RerankModel;
use akin_query::{Mode, Searcher};

pub use akin_query::model::{identity, load, moved};
pub use akin_query::remembered::{adopt, cut_as_index};
use anyhow::Context;

use crate::commands::cli::RerankArguments;

/// Opens an index to read it.
pub fn open_reader(path: &Path) -> anyhow::Result<Reader> {
    Ok(Reader::open(path)?)
}

/// Opens an index, and loads the model to ask it with if the mode needs one. Where no mode is named it is the one that finds
/// most in the index, and queries are plain texts: a hyphen in one excludes nothing.
pub fn open_searcher(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
    mode: Option<Mode>,
) -> anyhow::Result<Searcher> {
    open(index, model, options, mode, ReaderOptions::default())
}

/// The same for a session, which sees what is committed while it is open.
pub fn open_session(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
    mode: Option<Mode>,
) -> anyhow::Result<Searcher> {
    open(index, model, options, mode, ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() })
}

/// Has the model that was asked for, if one was, rank again what `searcher` finds.
pub fn with_reranker(
    searcher: Searcher,
    rerank: &RerankArguments,
    compute: &EncoderOptions,
) -> anyhow::Result<Searcher> {
    let Some(name) = &rerank.model else { return Ok(searcher) };
    let model = RerankModel::load(name, compute.precision).context("cannot rank hits again")?;
    let searcher = searcher.with_reranker(model, rerank.depth.get());
    Ok(match rerank.weight {
        Some(weight) => searcher.with_rerank_weight(weight),
        None => searcher,
    })
}

fn open(
    index: &Path,
    model: Option<&str>,
    options: &EncoderOptions,
    mode: Option<Mode>,
    reading: ReaderOptions,
) -> anyhow::Result<Searcher> {
    match mode {
        Some(Mode::Keyword) => Ok(Searcher::without_model(Reader::open_with(index, reading)?, Mode::Keyword)),
        Some(mode) => Ok(Searcher::open(index, model, options, reading)?.with_mode(mode)?),
        None => {
            let searcher = Searcher::open(index, model, options, reading)?;
            let mode = Mode::best_of(&searcher.snapshot())?;
            Ok(searcher.with_mode(mode)?.with_plain_texts())
        }
    }
}
