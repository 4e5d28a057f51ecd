//! `akin query` and `akin batch` of an engine.

use std::io::{self, Write};

use akin_encoder::{EncoderOptions, Role, SentenceEncoder};
use akin_engines::{Address, Ask, Engine};
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_query::{Answer, AskOptions, Highlight, Mode, RankedHit};
use anyhow::{Context, bail};

use super::{encoder_of, refuse};
use crate::commands::answer;
use crate::commands::cli::{BatchArguments, QueryArguments, SearchArguments};
use crate::commands::filter;
use crate::commands::interrupt::{self, Clean};
use crate::commands::output::write_whole;
use crate::commands::terminal::Terminal;

/// Queries that are encoded together.
const QUERIES: usize = 256;

/// Asks an engine, whose model is loaded once.
struct Asking {
    engine: Box<dyn Engine>,
    encoder: SentenceEncoder,
    ask: Ask,
    options: AskOptions,
}

impl Asking {
    fn open(
        address: Address,
        search: &SearchArguments,
        named: Option<&str>,
        encoding: &EncoderOptions,
        reranks: bool,
    ) -> anyhow::Result<Self> {
        let filter = filter::parse(search.filter.as_deref())?;
        let (options, mode) = (search.options(), search.mode());
        let of_words = matches!(mode, Some(Mode::Keyword | Mode::Hybrid));
        refuse(&[
            ("--mode keyword and hybrid", of_words, "leave --mode out to find by meaning"),
            ("--rerank", reranks, "leave it out"),
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
        let encoder = encoder_of(&*engine, named, encoding)?;
        let k = options.search.k.saturating_add(options.offset);
        let ask = Ask { k, ef: options.search.ef, exact: options.search.exact, filter };
        Ok(Self { engine, encoder, ask, options })
    }

    /// The answers to queries, in their order; a blank one has no hits.
    fn answers(&mut self, texts: &[String]) -> anyhow::Result<Vec<Answer>> {
        let is_asked = |text: &&str| !text.trim().is_empty();
        let asked: Vec<&str> = texts.iter().map(String::as_str).filter(is_asked).collect();
        let encoded = self.encoder.encode_as(Role::Query, &asked)?.embeddings;
        let mut rows = encoded.iter();
        let mut answers = Vec::with_capacity(texts.len());
        for text in texts {
            let query = if is_asked(&text.as_str()) { rows.next() } else { None };
            let hits = query.map_or(Ok(Vec::new()), |query| self.engine.nearest(query, &self.ask))?;
            let mut answer = Answer::new(text, hits);
            let least = self.options.min_score.unwrap_or(f32::NEG_INFINITY);
            answer.hits.retain(|hit| hit.score >= least);
            answer.hits.drain(..self.options.offset.min(answer.hits.len()));
            answers.push(answer);
        }
        Ok(answers)
    }
}

/// `akin query`.
pub fn query(arguments: &QueryArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    let reranks = arguments.rerank.model.is_some();
    let model = &arguments.model;
    let mut asking =
        Asking::open(address, &arguments.search, model.model.as_deref(), &model.options(), reranks)?;
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
    let reranks = arguments.rerank.model.is_some();
    let model = &arguments.model;
    let mut asking =
        Asking::open(address, &arguments.search, model.model.as_deref(), &model.options(), reranks)?;
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
