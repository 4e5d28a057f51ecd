//! `akin bench`: measures recall and speed of an index at each `ef`.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use akin_index::{SearchOptions, Selection};
use akin_indexer::npy::NpyReader;
use akin_query::measure::{Bench, Measurement};
use anyhow::{Context, bail};

use crate::commands::cli::BenchArguments;
use crate::commands::filter;
use crate::commands::model;
use crate::commands::terminal::{Style, Terminal, counted};

/// Prints a line an `ef`, as soon as it is measured.
pub fn run(arguments: &BenchArguments, threads: usize, terminal: &Terminal) -> anyhow::Result<()> {
    let filter = filter::parse(arguments.filter.as_deref())?;
    let mut file = NpyReader::open(&arguments.vectors)?;
    if file.rows() == 0 {
        bail!("{} has no rows: a query is a row", arguments.vectors.display());
    }
    let index = model::open_reader(&arguments.index)?.snapshot();
    if index.is_empty() {
        bail!("the index {} is empty: there is nothing to find", arguments.index.display());
    }
    let queries = file.read(file.rows())?;
    let select = |filter| terminal.with_bar("selecting", |progress| index.select_with(&filter, progress));
    let selection = filter.map(select).transpose()?;
    let options =
        SearchOptions { k: arguments.k.get(), among: selection.clone(), ..SearchOptions::default() };
    let bench =
        terminal.with_bar("exact", |progress| Bench::new_with(&index, &queries, options, progress))?;
    terminal.note(format_args!(
        "{} in {}, {}",
        counted(queries.rows(), "query").replace("querys", "queries"),
        counted(selection.as_ref().map_or(index.len(), Selection::len), "document"),
        counted(threads, "thread")
    ));
    if !arguments.json {
        let heading = format!(
            "{:>6} {:>8} {:>8} {:>8} {:>10} {:>9} {:>9}",
            "ef", "recall", "p1", "p10", "queries/s", "p50 ms", "p99 ms"
        );
        print(&terminal.paint(Style::Dim, &heading))?;
    }
    for ef in arguments.ef.iter().copied().map(NonZeroUsize::get) {
        let measurement = terminal.with_bar("queries", |progress| bench.run_with(ef, threads, progress))?;
        print(&if arguments.json { serde_json::to_string(&measurement)? } else { row(&measurement) })?;
    }
    Ok(())
}

fn print(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("cannot write to stdout")
}

fn row(measurement: &Measurement) -> String {
    let Measurement { ef, recall, recall_p1, recall_p10, qps, p50_ms, p99_ms } = measurement;
    format!(
        "{ef:>6} {recall:>8.4} {recall_p1:>8.4} {recall_p10:>8.4} {qps:>10.0} {p50_ms:>9.3} {p99_ms:>9.3}"
    )
}
