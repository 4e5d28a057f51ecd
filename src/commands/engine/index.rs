//! `akin index` of an engine: brings its documents up to date with a corpus.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use akin_encoder::{DEFAULT_MODEL, SentenceEncoder};
use akin_engines::milvus::MilvusEngine;
use akin_engines::postgres::PostgresEngine;
use akin_engines::{Address, Engine, Error, SyncRun};
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
    let remembers = matches!(address, Address::Postgres(_));
    refuse(&[
        ("--sync", arguments.sync && !remembers, "delete documents with `akin delete`"),
        ("--watch", arguments.watch, "run the command again when files have changed"),
        ("--recall", arguments.recall.is_some(), "choose --ef when you query"),
    ])?;
    let source = arguments.sync.then(|| source_of(&arguments.corpus.paths)).transpose()?;
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
    let sync = source.map(|source| engine.begin_sync(&source)).transpose()?;
    let mut run = Run { engine: &mut *engine, counts: Counts::default(), sync };
    let done = run.index(documents, &encoder, terminal);
    let committed = run.counts.added + run.counts.replaced;
    let kept = || format!("{} kept; the same command goes on", counted(committed, "document"));
    interrupt::with_kept(done, kept)?;
    let (counts, seconds) = (run.counts, begin.elapsed().as_secs_f64());
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

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    read: usize,
    added: usize,
    replaced: usize,
    unchanged: usize,
    removed: usize,
    passages: usize,
}

struct Run<'a> {
    engine: &'a mut dyn Engine,
    counts: Counts,
    /// With --sync: what the corpus brings is remembered.
    sync: Option<SyncRun>,
}

impl Run<'_> {
    fn index(
        &mut self,
        mut documents: Shards,
        encoder: &SentenceEncoder,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let bar = terminal.documents_bar(documents.documents());
        let mut encoder = PassageEncoder::new(encoder, self.engine.model().passages)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for next in documents.by_ref() {
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
        if let Some(sync) = &self.sync {
            let skipped = documents.skipped();
            // A file that cannot be read now is not gone.
            let stays = |id: &str| skipped.iter().any(|skipped| is_of_file(id, &skipped.file));
            self.counts.removed = self.engine.remove_vanished(sync, &stays)?;
        }
        self.engine.finish(&|_, _| interrupt::flow())?;
        Ok(())
    }

    fn commit(
        &mut self,
        batch: Vec<Document>,
        encoder: &mut PassageEncoder<'_>,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        interrupt::check()?;
        self.counts.read += batch.len();
        let ids: Vec<String> = match self.sync {
            Some(_) => batch.iter().map(|document| document.id.clone()).collect(),
            None => Vec::new(),
        };
        let committed = self.commit_changed(batch, encoder, terminal);
        if let (Ok(()), Some(sync)) = (&committed, &self.sync) {
            self.engine.brought(sync, &ids.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        committed
    }

    /// Commits the documents of a batch that the table has not.
    fn commit_changed(
        &mut self,
        mut batch: Vec<Document>,
        encoder: &mut PassageEncoder<'_>,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
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
    let text_config = text_config(&arguments.engine_option)?;
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
                engine.keep_words(text_config)?;
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
    let engine: Box<dyn Engine> = match address {
        Address::Postgres(address) => {
            Box::new(PostgresEngine::open_or_create_with(*address, &identity, text_config)?)
        }
        Address::Milvus(address) => {
            Box::new(MilvusEngine::open_or_create_with(address, &identity, text_config)?)
        }
    };
    Ok((engine, encoder))
}

/// The name of a corpus: its files and folders, from wherever they are named.
fn source_of(paths: &[PathBuf]) -> anyhow::Result<String> {
    let mut names = Vec::with_capacity(paths.len());
    for path in paths {
        if path.as_os_str() == "-" {
            bail!(
                "--sync: what comes by a pipe has no name by which the table could remember it: name files or folders"
            );
        }
        let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        names.push(whole.display().to_string());
    }
    names.sort();
    Ok(names.join("\n"))
}

/// Whether a document is a file, or one of those in it, which are numbered.
fn is_of_file(id: &str, path: &str) -> bool {
    let ends = |name: &str| {
        path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(['/', '\\']))
    };
    ends(id) || id.rsplit_once(':').is_some_and(|(file, _)| ends(file))
}

/// The text configuration among the options of the engine.
fn text_config(options: &[(String, String)]) -> anyhow::Result<Option<&str>> {
    let mut found = None;
    for (name, value) in options {
        match name.as_str() {
            "text_config" => found = Some(value.as_str()),
            _ => bail!(
                "--engine-option {name}: there is no such option; tables of PostgreSQL and collections of Milvus have text_config"
            ),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_known_by_the_file_that_it_came_from() {
        for (id, path) in [("a/b.pdf", "/x/a/b.pdf"), ("in.mbox:17", "mail/in.mbox"), ("b.pdf", "b.pdf")] {
            assert!(is_of_file(id, path), "{id} {path}");
        }
        for (id, path) in [("b.pdf", "/x/ab.pdf"), ("c/b.pdf", "/x/b.pdf"), ("b.pdf:x:1", "b.pdf")] {
            assert!(!is_of_file(id, path), "{id} {path}");
        }
    }
}
