//! `akin query` asks a server of the index that runs already, which answers with the same bytes in a few milliseconds.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use akin_encoder::EncoderOptions;
use akin_query::Highlight;
use akin_server::local::{self, Ask, Shown, Surroundings};
use anyhow::Context;

use crate::commands::cli::QueryArguments;
use crate::commands::terminal::Terminal;
use crate::commands::{answer, keywords};

/// Prints the answer of a server, and tells whether there was one.
pub fn answer(
    arguments: &QueryArguments,
    threads: Option<NonZeroUsize>,
    terminal: &Terminal,
) -> anyhow::Result<bool> {
    let Some(ask) = question(arguments, threads) else { return Ok(false) };
    let Some(bytes) = local::ask(&arguments.index, &ask) else { return Ok(false) };
    if !ask.json {
        let Ok(Shown { answer, highlights }) = serde_json::from_slice(&bytes) else { return Ok(false) };
        if highlights.len() != if ask.highlights { answer.hits.len() } else { 0 }
            || answer.hits.iter().zip(&highlights).any(|(hit, highlight)| !fits(&hit.text, highlight))
        {
            return Ok(false);
        }
        note(arguments, terminal);
        answer::print(&answer, false, || Ok(highlights), terminal)?;
        return Ok(true);
    }
    note(arguments, terminal);
    let mut output = io::stdout().lock();
    output.write_all(&bytes).and_then(|()| output.flush()).context("cannot write to stdout")?;
    Ok(true)
}

/// What to ask a server; none where its answer could be another one.
fn question(arguments: &QueryArguments, threads: Option<NonZeroUsize>) -> Option<Ask> {
    let QueryArguments { index, text, search, rerank, model, no_server, json } = arguments;
    let text = text.as_deref().filter(|text| !text.trim().is_empty());
    let is_asked = text.is_some() || !search.like.is_empty();
    let compute: EncoderOptions = model.options();
    if *no_server
        || !is_asked
        || rerank.model.is_some()
        || model.model.is_some()
        || !local::is_plain(&compute)
    {
        return None;
    }
    let threads = threads.map_or_else(default_threads, NonZeroUsize::get);
    let here = Surroundings::new(compute.precision, compute.device, threads);
    let mut ask = Ask::new(index, here, text.unwrap_or_default(), search.mode(), &search.options())?;
    ask.filter.clone_from(&search.filter);
    ask.json = *json;
    ask.highlights = !json && answer::screen_width().is_some();
    Some(ask)
}

/// How many threads rayon would start, without starting them.
fn default_threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    let there = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    asked.filter(|number| *number > 0).unwrap_or_else(there)
}

/// Says what the text alone gives cause to, as without a server.
fn note(arguments: &QueryArguments, terminal: &Terminal) {
    if let Some(text) = arguments.text.as_deref().filter(|text| !text.trim().is_empty()) {
        keywords::note_pointless(arguments.search.mode(), text, terminal);
    }
}

/// Whether all that is highlighted is in the text.
fn fits(text: &str, highlight: &Highlight) -> bool {
    let Highlight { passage, sentence, words } = highlight;
    std::iter::once(passage).chain(sentence).chain(words).all(|range| text.get(range.clone()).is_some())
}
