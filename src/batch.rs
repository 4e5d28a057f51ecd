//! `akin batch`: answers a file of queries, one JSON line for each.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use akin_index::Snapshot;
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_query::batch::{BatchReport, answer_lines};
use akin_query::{AskOptions, Searcher};
use anyhow::Context;

use crate::cli::BatchArguments;
use crate::filter;
use crate::keywords;
use crate::model;
use crate::output::{self, OutputFile};
use crate::terminal::{Terminal, counted};

/// Answers all queries, to stdout or to a file that appears when it is complete.
pub fn run(arguments: &BatchArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let filter = filter::parse(arguments.search.filter.as_deref())?;
    let format =
        CorpusOptions { keep_blank_lines: true, require_ids: false, ..arguments.format.options("id") };
    let queries = CorpusReader::open(std::slice::from_ref(&arguments.queries), &format)?;
    let queries = queries.map(|document| Ok(document?.text));
    let named = arguments.model.model.as_deref();
    let (mode, compute) = (arguments.search.mode(), arguments.model.options());
    let searcher = model::open_searcher(&arguments.index, named, &compute, mode)?;
    let searcher = model::with_reranker(searcher, &arguments.rerank, &compute)?;
    // One commit answers all queries, whatever is written meanwhile.
    let snapshot = searcher.snapshot();
    keywords::note_missing(mode, &snapshot, &arguments.index, terminal)?;
    let among = filter::select(&searcher, &snapshot, filter.as_ref(), terminal)?;
    let mut options = arguments.search.options();
    options.search.among = among;
    let asked = Asked { searcher: &searcher, snapshot: &snapshot, options: &options };
    let report = match &arguments.output {
        None => answer_all(&asked, queries, &mut BufWriter::new(io::stdout().lock()), terminal)
            .context("cannot answer to stdout")?,
        Some(path) => answer_to_file(&asked, queries, path, terminal)?,
    };
    if report.truncated > 0
        && let Some(encoder) = searcher.encoder()
    {
        terminal.note(format_args!(
            "{} longer than the {} tokens that the model reads: the end was left out",
            counted(report.truncated, "query"),
            encoder.max_tokens()
        ));
    }
    Ok(())
}

/// What all queries are asked of, and how.
struct Asked<'a> {
    searcher: &'a Searcher,
    snapshot: &'a Snapshot,
    options: &'a AskOptions,
}

fn answer_to_file(
    asked: &Asked<'_>,
    queries: impl Iterator<Item = akin_query::Result<String>>,
    path: &Path,
    terminal: &Terminal,
) -> anyhow::Result<BatchReport> {
    if let Some(mut device) = output::open_special(path)? {
        return Ok(answer_all(asked, queries, &mut device, terminal)?);
    }
    let mut file = OutputFile::create(path)?;
    let report = answer_all(asked, queries, &mut file, terminal)?;
    file.finish()?;
    Ok(report)
}

fn answer_all(
    asked: &Asked<'_>,
    queries: impl Iterator<Item = akin_query::Result<String>>,
    output: &mut dyn Write,
    terminal: &Terminal,
) -> akin_query::Result<BatchReport> {
    let bar = terminal.count_bar(None, "queries");
    let Asked { searcher, snapshot, options } = *asked;
    let report = answer_lines(searcher, snapshot, queries, options, output, &mut |done| {
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    report
}
