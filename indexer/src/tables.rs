//! Brings a table or collection of an engine up to date with a corpus, as [`index_corpus`](crate::index_corpus) does an index.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_engines::{Engine, SyncRun};
use akin_index::{Cancelled, Document};

use crate::corpus::Skipped;
use crate::passages::PassageEncoder;
use crate::pipeline::{BATCH_BYTES, BATCH_DOCUMENTS, Observer};
use crate::shard::Shards;
use crate::{Error, IndexingReport, Phase, Progress, Result};

/// Brings an engine up to date with a corpus: adds what is new, replaces what has changed, passes over what is there already. With
/// the name of a `source` the engine remembers what the corpus brought, and what an earlier run over it brought and it no longer has
/// is removed.
///
/// `observer` hears after each batch, and may stop the run at any time. What was committed before stays.
///
/// # Errors
/// A fault of the corpus, or what the encoder or the engine report; [`akin_engines::Error::NotRemembered`] for a source where the
/// engine remembers none.
pub fn index_documents(
    engine: &mut dyn Engine,
    encoder: &SentenceEncoder,
    mut documents: Shards,
    source: Option<&str>,
    observer: Observer<'_>,
) -> Result<IndexingReport> {
    let begin = Instant::now();
    let sync = source.map(|source| engine.begin_sync(source)).transpose()?;
    let progress = Progress {
        phase: Phase::Encoding,
        documents: documents.documents(),
        done: 0,
        committed: 0,
        tokens: 0,
    };
    let report = IndexingReport { duplicates: documents.duplicates(), ..IndexingReport::default() };
    let encoder = PassageEncoder::new(encoder, engine.model().passages)?;
    let mut run = Run { engine, encoder, sync, report, progress, observer };
    run.commit_all(&mut documents)?;
    let skipped = documents.skipped();
    run.report.skipped = skipped.len();
    run.finish(&skipped)?;
    run.report.seconds = begin.elapsed().as_secs_f64();
    Ok(run.report)
}

/// A run that is not finished yet.
struct Run<'a, 'o> {
    engine: &'a mut dyn Engine,
    encoder: PassageEncoder<'a>,
    /// What the corpus brings is remembered.
    sync: Option<SyncRun>,
    report: IndexingReport,
    progress: Progress,
    observer: Observer<'o>,
}

impl Run<'_, '_> {
    fn commit_all(&mut self, documents: &mut Shards) -> Result<()> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for next in documents {
            let document = next?.document;
            bytes += document.text.len();
            batch.push(document);
            if batch.len() == BATCH_DOCUMENTS || bytes >= BATCH_BYTES {
                self.commit(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        self.commit(batch)
    }

    fn commit(&mut self, batch: Vec<Document>) -> Result<()> {
        self.tell()?;
        let read = batch.len();
        let ids: Vec<String> = match self.sync {
            Some(_) => batch.iter().map(|document| document.id.clone()).collect(),
            None => Vec::new(),
        };
        self.commit_changed(batch)?;
        if let Some(sync) = &self.sync {
            self.engine.brought(sync, &ids.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        self.report.read += read;
        self.progress.done += read;
        self.tell()
    }

    /// Commits the documents of a batch that the engine has not.
    fn commit_changed(&mut self, mut batch: Vec<Document>) -> Result<()> {
        let read = batch.len();
        let mut unchanged = self.engine.unchanged(&batch)?.into_iter();
        batch.retain(|_| !unchanged.next().unwrap_or(false));
        self.report.unchanged += read - batch.len();
        if batch.is_empty() {
            return Ok(());
        }
        let (observer, progress) = (&mut *self.observer, self.progress);
        let encoded = self.encoder.encode_with(&batch, &mut || observer(progress))?;
        let encoding = &encoded.encoding;
        let upserted = self.engine.upsert(&batch, encoded.passages.as_deref(), &encoding.embeddings)?;
        self.report.added += upserted.added;
        self.report.replaced += upserted.replaced;
        self.report.passages += encoding.embeddings.rows();
        self.report.encoded += encoding.encoded;
        self.report.truncated += encoding.truncated;
        self.report.tokens += encoding.tokens;
        self.progress.committed += batch.len();
        self.progress.tokens += encoding.tokens;
        Ok(())
    }

    /// Removes what has vanished, and has the engine build what searches need.
    fn finish(&mut self, skipped: &[Skipped]) -> Result<()> {
        if let Some(sync) = &self.sync {
            // A file that cannot be read now is not gone.
            let stays = |id: &str| skipped.iter().any(|skipped| is_of_file(id, &skipped.file));
            self.report.removed = self.engine.remove_vanished(sync, &stays)?;
        }
        let observer = Mutex::new(&mut *self.observer);
        let progress = self.progress;
        self.engine.finish(&|done, total| {
            let mut observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
            observer(Progress { phase: Phase::Sealing { done, total }, ..progress })
        })?;
        Ok(())
    }

    fn tell(&mut self) -> Result<()> {
        match (self.observer)(self.progress).is_break() {
            true => Err(akin_index::Error::from(Cancelled).into()),
            false => Ok(()),
        }
    }
}

/// The name of a corpus: its files and folders, from wherever they are named.
///
/// # Errors
/// [`Error::NoName`] for standard input.
pub fn source_of(paths: &[PathBuf]) -> Result<String> {
    let mut names = Vec::with_capacity(paths.len());
    for path in paths {
        if path.as_os_str() == "-" {
            return Err(Error::NoName);
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
