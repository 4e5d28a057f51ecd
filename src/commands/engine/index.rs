//! `akin index` of an engine: brings its documents up to date with a corpus.

use std::num::NonZeroUsize;
use std::time::Instant;

use akin_encoder::{DEFAULT_MODEL, SentenceEncoder};
use akin_engines::{Address, Engine, Error};
use akin_index::{Document, ModelIdentity, PassageSize};
use akin_indexer::corpus::CorpusReader;
use akin_indexer::passages::PassageEncoder;
use akin_indexer::pipeline::{BATCH_BYTES, BATCH_DOCUMENTS};
use akin_indexer::shard::Shards;
use akin_query::json::passage_size;
use anyhow::bail;
use serde_json::json;

use super::{encoder_of, refuse};
use crate::commands::cli::IndexArguments;
use crate::commands::index::print_json;
use crate::commands::interrupt::{self, Clean};
use crate::commands::model;
use crate::commands::terminal::{Terminal, counted, duration, grouped};

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
    let documents = Shards::open(corpus, NonZeroUsize::MIN, &mut |surveyed| {
        bar.set_length(surveyed.of.unwrap_or(surveyed.bytes));
        bar.set_position(surveyed.bytes);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let documents = documents?;
    let (mut engine, encoder) = open_to_write(arguments, address)?;
    let _clean = Clean::begin();
    let mut run = Run { engine: &mut *engine, counts: Counts::default() };
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
    engine: &'a mut dyn Engine,
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
) -> anyhow::Result<(Box<dyn Engine>, SentenceEncoder)> {
    let options = arguments.prompts.with(arguments.compute.options());
    let found = match address.clone().open() {
        Ok(engine) => Some(engine),
        Err(Error::NoTable { .. } | Error::NoVectors { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(engine) = found {
        let of_table = engine.model().clone();
        let encoder = encoder_of(&*engine, arguments.model.as_deref(), &options)?;
        match arguments.passages {
            Some(asked) if asked != of_table.passages => bail!(
                "{} was begun with --passages {}, and its documents would be cut in two ways: leave --passages out, or \
                 name another place",
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
    Ok((address.open_or_create(&identity)?, encoder))
}
