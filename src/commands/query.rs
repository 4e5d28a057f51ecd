//! `akin query`: answers one query, the lines of stdin, or an interactive session.

use std::io::{self, BufRead, IsTerminal, Write};

use akin_index::Filter;
use akin_query::{Mode, Searcher};
use anyhow::{Context, bail};

use crate::commands::answer;
use crate::commands::asking::Asking;
use crate::commands::cli::QueryArguments;
use crate::commands::engine;
use crate::commands::filter;
use crate::commands::interactive::Session;
use crate::commands::keywords;
use crate::commands::model;
use crate::commands::terminal::{Style, Terminal, on_one_line};

/// Asks once, or for as long as there are queries.
pub fn run(arguments: &QueryArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(address) = engine::address(&arguments.index)? {
        return engine::query(arguments, address, terminal);
    }
    let filter = filter::parse(arguments.search.filter.as_deref())?;
    let is_blank = arguments.text.as_ref().is_none_or(|text| text.trim().is_empty());
    if is_blank && !arguments.search.like.is_empty() {
        return ask_by_example(arguments, filter, terminal);
    }
    if arguments.text.is_some() && is_blank {
        bail!("the query is blank: say what to look for, or leave it out to open a session");
    }
    let named = arguments.model.model.as_deref();
    let compute = arguments.model.options();
    let mode = arguments.search.mode();
    let Some(text) = &arguments.text else {
        let searcher = model::open_session(&arguments.index, named, &compute, mode)?;
        let searcher = model::with_reranker(searcher, &arguments.rerank, &compute)?;
        keywords::note_missing(mode, &searcher.snapshot(), &arguments.index, terminal)?;
        let asking = Asking::new(&searcher, arguments.search.options(), filter, terminal)?;
        return match io::stdin().is_terminal() {
            true => Session::new(asking, arguments.json, terminal).run(),
            false => answer_stdin(asking, arguments.json, terminal),
        };
    };
    let searcher = model::open_searcher(&arguments.index, named, &compute, mode)?;
    let searcher = model::with_reranker(searcher, &arguments.rerank, &compute)?;
    keywords::note_missing(mode, &searcher.snapshot(), &arguments.index, terminal)?;
    keywords::note_pointless(mode, text, terminal);
    let mut asking = Asking::new(&searcher, arguments.search.options(), filter, terminal)?;
    let answer = asking.ask(text)?;
    answer::print(&answer, arguments.json, || asking.highlights(&answer), terminal)
}

/// Answers with what is like the example documents, without a text and so without the model.
fn ask_by_example(
    arguments: &QueryArguments,
    filter: Option<Filter>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mode = match arguments.search.mode() {
        Some(Mode::Keyword) => Mode::Keyword,
        _ => Mode::Semantic,
    };
    let searcher = Searcher::without_model(model::open_reader(&arguments.index)?, mode);
    let mut asking = Asking::new(&searcher, arguments.search.options(), filter, terminal)?;
    let answer = asking.ask("")?;
    answer::print(&answer, arguments.json, || asking.highlights(&answer), terminal)
}

/// Answers each line at once, so that a program may ask, read, and ask again.
fn answer_stdin(mut asking: Asking<'_>, json: bool, terminal: &Terminal) -> anyhow::Result<()> {
    let mut input = io::stdin().lock();
    let mut bytes = Vec::new();
    let mut number = 0;
    loop {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes).context("cannot read the queries from stdin")? == 0 {
            return Ok(());
        }
        number += 1;
        let Ok(line) = std::str::from_utf8(&bytes) else {
            bail!("-:{number}: the query is not UTF-8");
        };
        let query = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
        let answer = asking.ask(query)?;
        if !json {
            let heading = terminal.paint(Style::Bold, &on_one_line(query));
            writeln!(io::stdout(), "{}> {heading}", if number > 1 { "\n" } else { "" })
                .context("cannot write to stdout")?;
        }
        answer::print(&answer, json, || asking.highlights(&answer), terminal)?;
    }
}
