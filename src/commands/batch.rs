//! `akin batch`: answers a file of queries, one JSON line for each.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use akin_index::Snapshot;
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_query::batch::{BatchReport, answer_lines};
use akin_query::{AskOptions, Searcher};
use anyhow::Context;

use crate::commands::cli::BatchArguments;
use crate::commands::engine;
use crate::commands::filter;
use crate::commands::interrupt::{self, Clean};
use crate::commands::keywords;
use crate::commands::model;
use crate::commands::output::{self, OutputFile};
use crate::commands::terminal::{Terminal, counted};

/// Answers all queries, to stdout or to a file that appears when it is complete.
pub fn run(arguments: &BatchArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(address) = engine::address(&arguments.index)? {
        return engine::batch(arguments, address, terminal);
    }
    let filter = filter::parse(arguments.search.filter.as_deref())?;
    let format =
        CorpusOptions { keep_blank_lines: true, require_ids: false, ..arguments.format.options("id") };
    let queries = CorpusReader::open(std::slice::from_ref(&arguments.queries), &format)?;
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
    let queries = read_ahead(queries);
    let asked = Asked { searcher: &searcher, snapshot: &snapshot, options: &options };
    let report = match &arguments.output {
        None => answer_all(&asked, queries, &mut BufWriter::new(io::stdout().lock()), true, terminal)
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
        return answer_all(asked, queries, &mut device, true, terminal);
    }
    let mut file = OutputFile::create(path)?;
    let report = answer_all(asked, queries, &mut file, false, terminal)?;
    file.finish()?;
    Ok(report)
}

fn answer_all(
    asked: &Asked<'_>,
    queries: impl Iterator<Item = akin_query::Result<String>>,
    output: &mut dyn Write,
    to_stdout: bool,
    terminal: &Terminal,
) -> anyhow::Result<BatchReport> {
    let bar = terminal.count_bar(None, "queries");
    let _clean = Clean::begin();
    let mut answered = 0;
    let Asked { searcher, snapshot, options } = *asked;
    let report = answer_lines(searcher, snapshot, queries, options, output, &mut |done| {
        bar.set_position(done as u64);
        answered = done;
        interrupt::flow()
    });
    bar.finish_and_clear();
    let kept = || match to_stdout {
        true => format!("{} answered", are(answered, "query")),
        false => "no answer was written".into(),
    };
    interrupt::with_kept(report.map_err(Into::into), kept)
}

/// `1 query is`, `2 queries are`.
fn are(count: usize, noun: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { "is" } else { "are" })
}

/// Queries that are read before they are answered.
const AHEAD: usize = 256;

/// While it waits for a query it looks so often whether the command is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Reads the queries on a thread of their own: Ctrl-C ends the command also while nothing comes.
fn read_ahead(queries: CorpusReader) -> impl Iterator<Item = akin_query::Result<String>> {
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::spawn(move || {
        for query in queries {
            if sender.send(query).is_err() {
                // The command is ending.
                return;
            }
        }
    });
    std::iter::from_fn(move || {
        loop {
            if interrupt::asked() {
                return Some(Err(akin_index::Error::Cancelled.into()));
            }
            match receiver.recv_timeout(LOOK) {
                Ok(query) => return Some(query.map(|document| document.text).map_err(Into::into)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    })
}
