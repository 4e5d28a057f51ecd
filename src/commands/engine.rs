//! Commands whose INDEX is the address of an engine: `postgres://USER@HOST:PORT/DATABASE/TABLE`.
//!
//! Each does what its namesake does with a folder. What an engine does not do is refused by its option.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use akin_encoder::{DEFAULT_MODEL, Role, SentenceEncoder};
use akin_engines::postgres::{Address, PostgresEngine};
use akin_engines::{Ask, Engine, Error};
use akin_index::{Document, Embeddings, ModelIdentity, PassageSize};
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_indexer::passages::PassageEncoder;
use akin_indexer::pipeline::{BATCH_BYTES, BATCH_DOCUMENTS};
use akin_indexer::shard::Shards;
use akin_query::json::passage_size;
use akin_query::{Answer, AskOptions, Highlight, Mode, RankedHit};
use anyhow::{Context, bail};
use serde_json::json;

use crate::commands::answer;
use crate::commands::cli::{
    BatchArguments, DeleteArguments, ExportArguments, IndexArguments, QueryArguments, SearchArguments,
    StatArguments,
};
use crate::commands::corpus::write_line;
use crate::commands::filter;
use crate::commands::index::print_json;
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::output::write_whole;
use crate::commands::terminal::{Terminal, bytes, counted, duration, grouped};
use crate::commands::vectors::VectorsOutput;

/// Queries that are encoded together.
const QUERIES: usize = 256;

/// The engines that there are not.
const UNKNOWN: [&str; 3] = ["milvus://", "s3://", "http://"];

/// The address that a path is, if it is one.
pub fn address(path: &Path) -> anyhow::Result<Option<Address>> {
    let Some(text) = path.to_str() else { return Ok(None) };
    if let Some(scheme) = UNKNOWN.iter().find(|scheme| text.starts_with(**scheme)) {
        bail!(
            "{scheme} is no engine that this release knows: name a folder, or postgres://USER@HOST:PORT/DATABASE/TABLE"
        );
    }
    Ok(if Address::is_one(text) { Some(Address::parse(text)?) } else { None })
}

/// A text without the passwords of addresses in it.
pub fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let server = part.split(['/', ' ']).next().unwrap_or_default();
        match server.rsplit_once('@').map(|(login, _)| login) {
            Some(login) => {
                shown.push_str(login.split(':').next().unwrap_or_default());
                shown.push_str(&part[login.len()..]);
            }
            None => shown.push_str(part),
        }
    }
    shown
}

/// `akin index`.
pub fn index(arguments: &IndexArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    refuse(&[
        ("--sync", arguments.sync, "delete documents with `akin delete`"),
        ("--watch", arguments.watch, "run the command again when files have changed"),
        ("--recall", arguments.recall.is_some(), "choose --ef when you query"),
    ])?;
    let begin = Instant::now();
    let corpus = CorpusReader::open(&arguments.corpus.paths, &arguments.corpus.options())?;
    let bar = terminal.bytes_bar();
    let documents = Shards::open(corpus, std::num::NonZeroUsize::MIN, &mut |surveyed| {
        bar.set_length(surveyed.of.unwrap_or(surveyed.bytes));
        bar.set_position(surveyed.bytes);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let documents = documents?;
    let (mut engine, encoder) = open_to_write(arguments, address)?;
    let _clean = Clean::begin();
    let mut run = Run { engine: &mut engine, counts: Counts::default() };
    let done = run.index(documents, &encoder, terminal);
    let committed = run.counts.added + run.counts.replaced;
    let kept = || format!("{} kept; the same command goes on", counted(committed, "document"));
    interrupt::with_kept(done, kept)?;
    let (counts, seconds) = (run.counts, begin.elapsed().as_secs_f64());
    terminal.note(format_args!(
        "{} in {}: {} added, {} replaced, {} unchanged",
        counted(counts.read, "document"),
        duration(seconds),
        grouped(counts.added),
        grouped(counts.replaced),
        grouped(counts.unchanged)
    ));
    if arguments.json {
        print_json(&json!({
            "read": counts.read,
            "added": counts.added,
            "replaced": counts.replaced,
            "unchanged": counts.unchanged,
            "passages": counts.passages,
            "seconds": seconds,
        }))?;
    }
    Ok(())
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    read: usize,
    added: usize,
    replaced: usize,
    unchanged: usize,
    passages: usize,
}

struct Run<'a> {
    engine: &'a mut PostgresEngine,
    counts: Counts,
}

impl Run<'_> {
    fn index(
        &mut self,
        documents: Shards,
        encoder: &SentenceEncoder,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let bar = terminal.documents_bar(documents.documents());
        let mut encoder = PassageEncoder::new(encoder, self.engine.model().passages)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for next in documents {
            let document = next?.document;
            bytes += document.text.len();
            batch.push(document);
            if batch.len() == BATCH_DOCUMENTS || bytes >= BATCH_BYTES {
                self.commit(std::mem::take(&mut batch), &mut encoder, terminal)?;
                bytes = 0;
                bar.set_position(self.counts.read as u64);
            }
        }
        self.commit(batch, &mut encoder, terminal)?;
        bar.finish_and_clear();
        self.engine.finish(&|_, _| interrupt::flow())?;
        Ok(())
    }

    fn commit(
        &mut self,
        mut batch: Vec<Document>,
        encoder: &mut PassageEncoder<'_>,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        interrupt::check()?;
        self.counts.read += batch.len();
        let mut unchanged = self.engine.unchanged(&batch)?.into_iter();
        batch.retain(|_| !unchanged.next().unwrap_or(false));
        self.counts.unchanged = self.counts.read - self.counts.added - self.counts.replaced - batch.len();
        if batch.is_empty() {
            return Ok(());
        }
        let encoded = encoder.encode_with(&batch, &mut interrupt::flow)?;
        let upserted =
            self.engine.upsert(&batch, encoded.passages.as_deref(), &encoded.encoding.embeddings)?;
        self.counts.added += upserted.added;
        self.counts.replaced += upserted.replaced;
        self.counts.passages += encoded.encoding.embeddings.rows();
        let committed = self.counts.added + self.counts.replaced;
        terminal.step(format_args!("committed {committed} documents"));
        Ok(())
    }
}

/// The table and the model for it: the one named, else that of the table, else the default.
fn open_to_write(
    arguments: &IndexArguments,
    address: Address,
) -> anyhow::Result<(PostgresEngine, SentenceEncoder)> {
    let options = arguments.prompts.with(arguments.compute.options());
    let found = match PostgresEngine::open(address.clone()) {
        Ok(engine) => Some(engine),
        Err(Error::NoTable { .. } | Error::NoVectors { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(engine) = found {
        let of_table = engine.model().clone();
        let encoder = encoder_of(&engine, arguments.model.as_deref(), &options)?;
        match arguments.passages {
            Some(asked) if asked != of_table.passages => bail!(
                "{} was begun with --passages {}, and its documents would be cut in two ways: leave --passages out, or \
                 name another table",
                engine.place(),
                passage_size(of_table.passages)
            ),
            _ => return Ok((engine, encoder)),
        }
    }
    let name = arguments.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let encoder = model::load(name, &options)?;
    let passages = arguments.passages.unwrap_or(PassageSize::Window);
    let identity = ModelIdentity { passages, ..model::identity(name, &encoder)? };
    // A size that the model cannot read is refused before a table is made.
    PassageEncoder::new(&encoder, passages)?;
    Ok((PostgresEngine::open_or_create(address, &identity)?, encoder))
}

/// The model named, else that of the table, with the prompts and dimensions of the table.
fn encoder_of(
    engine: &PostgresEngine,
    named: Option<&str>,
    options: &akin_encoder::EncoderOptions,
) -> anyhow::Result<SentenceEncoder> {
    let of_table = engine.model();
    let encoder = match named {
        Some(name) => model::load(name, options)?,
        None => model::load(&of_table.location, options).map_err(model::moved)?,
    };
    if encoder.fingerprint() != of_table.fingerprint {
        bail!(
            "{} was built with the model {}, and this is another: use that model, or name another table",
            engine.place(),
            of_table.location
        );
    }
    Ok(model::adopt(encoder, of_table)?)
}

/// Asks a table, whose model is loaded once.
struct Asking {
    engine: PostgresEngine,
    encoder: SentenceEncoder,
    ask: Ask,
    options: AskOptions,
}

impl Asking {
    fn open(
        address: Address,
        search: &SearchArguments,
        named: Option<&str>,
        encoding: &akin_encoder::EncoderOptions,
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
        let engine = PostgresEngine::open(address)?;
        let encoder = encoder_of(&engine, named, encoding)?;
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

/// `akin delete`.
pub fn delete(arguments: &DeleteArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    let mut engine = PostgresEngine::open(address)?;
    let mut ids: Vec<&str> = arguments.ids.iter().map(String::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    let existed = engine.delete(&ids)?;
    for (id, _) in ids.iter().zip(&existed).filter(|(_, existed)| !**existed) {
        terminal.note(format_args!("not in the table: {id}"));
    }
    let deleted = existed.iter().filter(|existed| **existed).count();
    let left = engine.figures()?.documents;
    terminal.note(format_args!("deleted {}, {} left", counted(deleted, "document"), grouped(left)));
    Ok(())
}

/// `akin stat`.
pub fn stat(arguments: &StatArguments, address: Address) -> anyhow::Result<()> {
    let mut engine = PostgresEngine::open(address)?;
    let figures = engine.figures()?;
    let model = engine.model();
    let mut output = BufWriter::new(io::stdout().lock());
    let written = if arguments.json {
        let line = json!({
            "engine": engine.place(),
            "documents": figures.documents,
            "passages": figures.passages,
            "passage_size": passage_size(model.passages),
            "graph": figures.has_graph,
            "dimension": model.dimension,
            "similarity": model.similarity.name(),
            "model": {
                "location": model.location,
                "fingerprint": model.fingerprint,
                "query_prompt": model.query_prompt,
                "document_prompt": model.document_prompt,
            },
            "bytes_on_disk": figures.bytes,
        });
        writeln!(output, "{line}")
    } else {
        let lines = [
            ("engine", engine.place()),
            ("documents", grouped(figures.documents)),
            (
                "passages",
                format!("{} (--passages {})", grouped(figures.passages), passage_size(model.passages)),
            ),
            ("graph", if figures.has_graph { "yes" } else { "no, a query is compared with all" }.into()),
            ("dimension", grouped(model.dimension)),
            ("similarity", model.similarity.name().into()),
            ("model", model.location.clone()),
            ("fingerprint", model.fingerprint.clone()),
            ("on disk", bytes(figures.bytes)),
        ];
        lines.iter().try_for_each(|(name, figure)| writeln!(output, "{name:11}  {figure}"))
    };
    written.and_then(|()| output.flush()).context("cannot write to stdout")
}

/// `akin export`.
pub fn export(arguments: &ExportArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    if arguments.id_field == arguments.text_field {
        bail!("--id-field and --text-field are both {:?}: a document has both", arguments.id_field);
    }
    let mut engine = PostgresEngine::open(address)?;
    let figures = engine.figures()?;
    if arguments.vectors.is_some() && figures.passages > figures.documents {
        bail!(
            "documents of {} have several passages, whose vectors are not exported from there: export --documents alone",
            engine.place()
        );
    }
    let bar = terminal.documents_bar(figures.documents);
    if let Some(path) = &arguments.vectors {
        let mut output = VectorsOutput::create(path, engine.model().dimension)?;
        let dimension = engine.model().dimension;
        engine.each(&mut |stored| {
            interrupted()?;
            let mut rows = Embeddings::empty(dimension);
            stored.vectors.iter().for_each(|vector| rows.push(vector));
            bar.inc(1);
            output.write(&rows).map_err(|error| Error::Shown(format!("{error:#}")))
        })?;
        output.finish()?;
    }
    bar.set_position(0);
    if let Some(path) = &arguments.documents {
        let (id_field, text_field) = (&arguments.id_field, &arguments.text_field);
        write_whole(Some(path), &mut |output| {
            let each = engine.each(&mut |stored| {
                interrupted()?;
                bar.inc(1);
                write_line(output, stored.document, id_field, text_field)
                    .map_err(|error| Error::Shown(format!("{error:#}")))
            });
            Ok(each?)
        })?;
    }
    bar.finish_and_clear();
    terminal.note(format_args!("{} exported", counted(figures.documents, "document")));
    Ok(())
}

fn interrupted() -> Result<(), Error> {
    match interrupt::flow() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(akin_index::Error::Cancelled.into()),
    }
}

/// Refuses what an engine does not do.
fn refuse(options: &[(&str, bool, &str)]) -> anyhow::Result<()> {
    for (option, is_given, instead) in options {
        if *is_given {
            bail!("{option}: a table of PostgreSQL has no such thing: {instead}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_to_nobody() {
        let said =
            without_passwords("cannot open postgres://me:se@cret@host:1/d/t: see https://example.org/a@b:c");
        assert_eq!(said, "cannot open postgres://me@host:1/d/t: see https://example.org/a@b:c");
        assert_eq!(without_passwords("nothing"), "nothing");
    }
}
