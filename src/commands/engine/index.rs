//! `akin index` of an engine: brings its documents up to date with a corpus.

use std::num::NonZeroUsize;
use std::time::Instant;

use akin_encoder::{DEFAULT_MODEL, SentenceEncoder};
use akin_engines::{Address, Engine, EngineOptions, Error};
use akin_index::{ModelIdentity, PassageSize};
use akin_indexer::corpus::CorpusReader;
use akin_indexer::passages::PassageEncoder;
use akin_indexer::shard::Shards;
use akin_indexer::tables;
use akin_query::json::passage_size;
use anyhow::{Context, bail};
use serde_json::json;

use super::{encoder_of, refuse};
use crate::commands::cli::IndexArguments;
use crate::commands::index::print_json;
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::terminal::{Terminal, counted, duration, grouped};

/// `akin index`.
pub fn index(arguments: &IndexArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    let remembers = matches!(address, Address::Postgres(_));
    refuse(&[
        ("--sync", arguments.sync && !remembers, "delete documents with `akin delete`"),
        ("--watch", arguments.watch, "run the command again when files have changed"),
        ("--recall", arguments.recall.is_some(), "choose --ef when you query"),
    ])?;
    let source =
        arguments.sync.then(|| tables::source_of(&arguments.corpus.paths)).transpose().context("--sync")?;
    let begin = Instant::now();
    let corpus = CorpusReader::open(&arguments.corpus.paths, &arguments.corpus.options())?;
    let bar = terminal.bytes_bar();
    let documents = Shards::open(corpus, NonZeroUsize::MIN, &mut |surveyed| {
        bar.set_length(surveyed.of.unwrap_or(surveyed.bytes));
        bar.set_position(surveyed.bytes);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let documents = documents?;
    let (mut engine, encoder) = open_to_write(arguments, address)?;
    let _clean = Clean::begin();
    let bar = terminal.documents_bar(documents.documents());
    let mut committed = 0;
    let done =
        tables::index_documents(&mut *engine, &encoder, documents, source.as_deref(), &mut |progress| {
            bar.set_position(progress.done as u64);
            if progress.committed > committed {
                committed = progress.committed;
                terminal.step(format_args!("committed {committed} documents"));
            }
            interrupt::flow()
        });
    bar.finish_and_clear();
    let kept = || format!("{} kept; the same command goes on", counted(committed, "document"));
    let counts = interrupt::with_kept(done.map_err(Into::into), kept)?;
    let seconds = begin.elapsed().as_secs_f64();
    terminal.note(format_args!(
        "{} in {}: {} added, {} replaced, {} unchanged{}",
        counted(counts.read, "document"),
        duration(seconds),
        grouped(counts.added),
        grouped(counts.replaced),
        grouped(counts.unchanged),
        if arguments.sync { format!(", {} removed", grouped(counts.removed)) } else { String::new() }
    ));
    if arguments.json {
        print_json(&json!({
            "read": counts.read,
            "added": counts.added,
            "replaced": counts.replaced,
            "unchanged": counts.unchanged,
            "removed": counts.removed,
            "passages": counts.passages,
            "seconds": seconds,
        }))?;
    }
    Ok(())
}

/// The table and the model for it: the one named, else that of the table, else the default.
fn open_to_write(
    arguments: &IndexArguments,
    address: Address,
) -> anyhow::Result<(Box<dyn Engine>, SentenceEncoder)> {
    let options = arguments.prompts.with(arguments.compute.options());
    let given = arguments.engine_option.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let chosen = EngineOptions::read(given)?;
    let found = match address.clone().open() {
        Ok(engine) => Some(engine),
        Err(Error::NoTable { .. } | Error::NoVectors { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(mut engine) = found {
        let of_table = engine.model().clone();
        let encoder = encoder_of(&*engine, arguments.model.as_deref(), &options)?;
        match arguments.passages {
            Some(asked) if asked != of_table.passages => bail!(
                "{} was begun with --passages {}, and its documents would be cut in two ways: leave --passages out, or \
                 name another place",
                engine.place(),
                passage_size(of_table.passages)
            ),
            _ => {
                engine.choose(&chosen)?;
                return Ok((engine, encoder));
            }
        }
    }
    let name = arguments.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let encoder = model::load(name, &options)?;
    let passages = arguments.passages.unwrap_or(PassageSize::Window);
    let identity = ModelIdentity { passages, ..model::identity(name, &encoder)? };
    // A size that the model cannot read is refused before a table is made.
    PassageEncoder::new(&encoder, passages)?;
    let engine = address.open_or_create_with(&identity, &chosen)?;
    Ok((engine, encoder))
}
