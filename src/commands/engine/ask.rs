//! `akin query` and `akin batch` of an engine.

use std::io::{self, Write};
use std::sync::Arc;

use akin_encoder::EncoderOptions;
use akin_engines::{Address, Engine};
use akin_index::Filter;
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_query::rerank::RerankModel;
use akin_query::{Answer, AskOptions, EngineSearcher, Highlight, Mode, RankedHit};
use anyhow::{Context, bail};

use super::{encoder_of, refuse};
use crate::commands::answer;
use crate::commands::cli::{BatchArguments, QueryArguments, RerankArguments, SearchArguments};
use crate::commands::filter;
use crate::commands::interrupt::{self, Clean};
use crate::commands::keywords;
use crate::commands::output::write_whole;
use crate::commands::terminal::Terminal;

/// Queries that are encoded together.
const QUERIES: usize = 256;

/// Asks an engine, whose model is loaded once.
struct Asking {
    searcher: EngineSearcher<Box<dyn Engine>>,
    filter: Option<Filter>,
    options: AskOptions,
}

impl Asking {
    fn open(
        address: Address,
        search: &SearchArguments,
        named: Option<&str>,
        encoding: &EncoderOptions,
        rerank: &RerankArguments,
    ) -> anyhow::Result<Self> {
        let filter = filter::parse(search.filter.as_deref())?;
        let options = search.options();
        refuse(&[
            (
                "--like and --unlike",
                !options.like.is_empty() || !options.unlike.is_empty(),
                "ask with a text",
            ),
            ("--diverse", options.diverse, "leave it out"),
            ("--per-document", options.per_document > 1, "leave it out"),
            ("--facet", !options.facets.is_empty(), "leave it out"),
        ])?;
        let engine = address.open()?;
        let mode = search.mode();
        if mode.is_some_and(Mode::needs_words) && !engine.has_words() {
            return Err(akin_engines::Error::NoWords { place: engine.place() }.into());
        }
        let encoder = match mode {
            Some(Mode::Keyword) => None,
            _ => Some(Arc::new(encoder_of(&*engine, named, encoding)?)),
        };
        let mut searcher = EngineSearcher::new(engine, encoder, mode)?;
        if let Some(name) = &rerank.model {
            let model = RerankModel::load(name, encoding.precision).context("cannot rank hits again")?;
            searcher = searcher.with_reranker(model, rerank.depth.get(), rerank.weight);
        }
        Ok(Self { searcher, filter, options })
    }

    /// The answers to queries, in their order; a blank one has no hits.
    fn answers(&mut self, texts: &[String]) -> anyhow::Result<Vec<Answer>> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Ok(self.searcher.ask_all(&texts, &self.options, self.filter.as_ref())?)
    }
}

/// `akin query`.
pub fn query(arguments: &QueryArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    let model = &arguments.model;
    let mut asking = Asking::open(
        address,
        &arguments.search,
        model.model.as_deref(),
        &model.options(),
        &arguments.rerank,
    )?;
    let mut ask = |text: String| -> anyhow::Result<()> {
        for answer in asking.answers(&[text])? {
            let shown = || Ok(answer.hits.iter().map(whole).collect());
            answer::print(&answer, arguments.json, shown, terminal)?;
        }
        Ok(())
    };
    if let Some(text) = &arguments.text {
        if text.trim().is_empty() {
            bail!("the query is blank: say what to look for, or leave it out to answer the lines of stdin");
        }
        keywords::note_pointless(arguments.search.mode(), text, terminal);
        return ask(text.clone());
    }
    for line in io::stdin().lines() {
        ask(line.context("cannot read the queries from stdin")?)?;
    }
    Ok(())
}

/// A hit of which no sentence stands out.
fn whole(hit: &RankedHit) -> Highlight {
    let all = 0..hit.text.len();
    Highlight {
        passage: hit.passage.as_ref().map_or(all, |found| found.start..found.end),
        ..Highlight::default()
    }
}

/// `akin batch`.
pub fn batch(arguments: &BatchArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    let format =
        CorpusOptions { keep_blank_lines: true, require_ids: false, ..arguments.format.options("id") };
    let mut queries = CorpusReader::open(std::slice::from_ref(&arguments.queries), &format)?;
    let model = &arguments.model;
    let mut asking = Asking::open(
        address,
        &arguments.search,
        model.model.as_deref(),
        &model.options(),
        &arguments.rerank,
    )?;
    let bar = terminal.count_bar(None, "queries");
    let _clean = Clean::begin();
    let mut answer_all = |output: &mut dyn Write| -> anyhow::Result<()> {
        loop {
            interrupt::check()?;
            let texts = queries.by_ref().take(QUERIES).map(|query| Ok(query?.text));
            let texts = texts.collect::<anyhow::Result<Vec<String>>>()?;
            if texts.is_empty() {
                return Ok(());
            }
            for answer in asking.answers(&texts)? {
                answer.write_json_line(output)?;
            }
            output.flush()?;
            bar.inc(texts.len() as u64);
        }
    };
    let outcome = write_whole(arguments.output.as_deref(), &mut answer_all);
    bar.finish_and_clear();
    outcome
}
