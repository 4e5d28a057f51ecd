//! Encodes the documents of a corpus and commits them to an index, batch by batch.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_index::{Document, Index};

use crate::corpus::{CorpusReader, Survey};
use crate::merging::Merging;
use crate::own_ids::OwnIds;
use crate::passages::PassageEncoder;
use crate::sources::Sources;
use crate::{Error, Result, trust};

/// Documents of a batch, which are encoded together and committed together.
pub const BATCH_DOCUMENTS: usize = 1024;

/// A batch ends before [`BATCH_DOCUMENTS`] when its texts have this many bytes. With a batch being encoded, one
/// waiting and one being read, texts in memory stay below three times this and the longest line.
pub const BATCH_BYTES: usize = 4 << 20;

/// Segments are merged at the end of a run if they have at most so many times the documents that it brought.
const MERGE_FACTOR: usize = 8;

/// Documents that a run brings at least that ends with an estimate of the trust in the model: a run that adds a few is not
/// held up.
const TRUSTED_DOCUMENTS: usize = 64;

/// The outcome of indexing a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct IndexingReport {
    /// Documents read.
    pub read: usize,
    /// Documents whose id was new.
    pub added: usize,
    /// Documents that replaced one in the index.
    pub replaced: usize,
    /// Documents that the index already had with the same text and metadata.
    pub unchanged: usize,
    /// Documents that a later one of the corpus replaces.
    pub duplicates: usize,
    /// Documents that their file or folder no longer has.
    pub removed: usize,
    /// Files of which no document could be made: [`CorpusReader::skipped`] lists them.
    pub skipped: usize,
    /// Passages of the documents that were added or replaced.
    pub passages: usize,
    /// Passages that went through the model: of equal ones about one.
    pub encoded: usize,
    /// Of these, passages longer than the model reads, whose end was left out.
    pub truncated: usize,
    /// Tokens encoded.
    pub tokens: usize,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the corpus through for faults, before anything is encoded.
    Surveying,
    /// Encoding and committing.
    Encoding,
    /// Building the graph of a segment.
    Sealing {
        /// Vectors in the graph so far.
        done: usize,
        /// Vectors of the segment.
        total: usize,
    },
    /// Building the graph of a segment that several become.
    Merging {
        /// Vectors in the graph so far.
        done: usize,
        /// Vectors of the segment.
        total: usize,
    },
}

/// How far indexing has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Documents of the corpus; while it is surveyed, those read so far.
    pub documents: usize,
    /// Documents that are done: committed, unchanged, or replaced by a later one.
    pub done: usize,
    /// Of these, documents that were encoded and committed in this run.
    pub committed: usize,
    /// Tokens encoded in this run.
    pub tokens: usize,
}

/// Called with the progress of a run: after each commit, and within longer work. It may stop the run: the batches that
/// were reported before stay in the index.
pub type Observer<'a> = &'a mut (dyn FnMut(Progress) -> ControlFlow<()> + Send);

/// Brings `index` up to date with `corpus`: adds what is new, replaces what has changed, skips what is
/// there already. The corpus is surveyed first, so that a fault anywhere in it leaves the index as it was.
/// `observer` may stop the run at any time.
///
/// # Errors
/// A fault of the corpus, or what the encoder or the index report. Batches that were reported to the observer stay in
/// the index.
pub fn index_corpus(
    index: &mut Index,
    encoder: &SentenceEncoder,
    corpus: &mut CorpusReader,
    observer: Observer<'_>,
) -> Result<IndexingReport> {
    let survey = corpus.survey_with(&mut |surveyed| {
        observer(Progress {
            phase: Phase::Surveying,
            documents: surveyed.documents,
            done: 0,
            committed: 0,
            tokens: 0,
        })
    })?;
    index_surveyed(index, encoder, corpus, &survey, observer)
}

/// [`index_corpus`] for a corpus that has been surveyed already.
///
/// # Errors
/// As [`index_corpus`].
pub fn index_surveyed(
    index: &mut Index,
    encoder: &SentenceEncoder,
    corpus: &mut CorpusReader,
    survey: &Survey,
    observer: Observer<'_>,
) -> Result<IndexingReport> {
    let begin = Instant::now();
    let sources = Sources::open(index, corpus)?;
    let own_ids = OwnIds::of(corpus);
    let mut run = Run {
        encoder: PassageEncoder::new(encoder, index.model().passages)?,
        index,
        report: IndexingReport::default(),
        progress: Progress {
            phase: Phase::Encoding,
            documents: survey.documents,
            done: 0,
            committed: 0,
            tokens: 0,
        },
        observer,
    };
    run.tell(Phase::Encoding)?;
    sources.remember_vanished(run.index, &mut run.encoder)?;
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(1);
        let (corpus, sources, own_ids) = (&mut *corpus, &sources, &own_ids);
        scope.spawn(move || read_batches(corpus, survey, sources, own_ids, &sender));
        // A large merge that an earlier run left is made meanwhile.
        let merging = run.index.due_merge().map(|merge| Merging::begin(scope, merge));
        run.commit_all(&batches, merging)
    })?;
    run.report.removed = sources.finish(run.index, corpus)?;
    run.report.removed += own_ids.finish(run.index, corpus.is_synced())?;
    run.report.skipped = corpus.skipped().len();
    run.finish()?;
    run.report.seconds = begin.elapsed().as_secs_f64();
    Ok(run.report)
}

/// A run of indexing that is not finished yet.
struct Run<'a, 'o> {
    index: &'a mut Index,
    encoder: PassageEncoder<'a>,
    report: IndexingReport,
    progress: Progress,
    observer: Observer<'o>,
}

impl Run<'_, '_> {
    /// Reports the progress to the observer; an error if that stops the run.
    fn tell(&mut self, phase: Phase) -> Result<()> {
        self.progress.phase = phase;
        match (self.observer)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Index(akin_index::Error::Cancelled)),
        }
    }

    /// Commits all batches, and the merge that runs beside them. If the merge fails, the run ends at once. If a batch
    /// fails, a finished merge is committed and an unfinished one is stopped.
    fn commit_all(
        &mut self,
        batches: &Receiver<Result<Batch>>,
        mut merging: Option<Merging<'_>>,
    ) -> Result<()> {
        for batch in batches {
            let committed = batch.and_then(|batch| self.commit(batch));
            if let Some(merging) =
                merging.take_if(|merging| committed.is_err() || merging.thread.is_finished())
            {
                merging.stop.store(committed.is_err(), Ordering::Relaxed);
                match (merging.join(), committed.is_err()) {
                    (Ok(merged), failed) => {
                        let taken = self.index.take_merged(merged);
                        if !failed {
                            taken?;
                        }
                    }
                    (Err(error), false) => return Err(error),
                    (Err(_), true) => {}
                }
            }
            committed?;
        }
        let Some(merging) = merging else { return Ok(()) };
        while let Ok((done, total)) = merging.progress.recv() {
            if let Err(stopped) = self.tell(Phase::Merging { done, total }) {
                merging.stop.store(true, Ordering::Relaxed);
                let _ = merging.join();
                return Err(stopped);
            }
        }
        let merged = merging.join()?;
        self.index.take_merged(merged).map_err(Error::Index)
    }

    /// Encodes and commits what is new in a batch.
    fn commit(&mut self, batch: Batch) -> Result<()> {
        let Batch { mut documents, duplicates, unchanged, place } = batch;
        let read = documents.len() + duplicates + unchanged;
        let mut failure = None;
        documents.retain(|document| match self.index.is_unchanged(document) {
            Ok(unchanged) => !unchanged,
            Err(error) => {
                failure.get_or_insert(error);
                false
            }
        });
        if let Some(error) = failure {
            return Err(Error::Index(error));
        }
        let report = &mut self.report;
        report.read += read;
        report.duplicates += duplicates;
        report.unchanged += read - duplicates - documents.len();

        if !documents.is_empty() {
            self.remember_replaced(&documents)?;
            let (observer, progress) = (&mut *self.observer, self.progress);
            let encoded = self.encoder.encode_with(&documents, &mut || observer(progress))?;
            let observer = Mutex::new(observer);
            let upserted = encoded.upsert_with(self.index, &documents, &|done, total| {
                tell(&observer, Progress { phase: Phase::Sealing { done, total }, ..progress })
            })?;
            let (encoding, report) = (&encoded.encoding, &mut self.report);
            report.passages += encoding.embeddings.rows();
            report.added += upserted.added;
            report.replaced += upserted.replaced;
            report.encoded += encoding.encoded;
            report.truncated += encoding.truncated;
            report.tokens += encoding.tokens;
        }
        self.progress.done = place;
        self.progress.committed += documents.len();
        self.progress.tokens = self.report.tokens;
        self.tell(Phase::Encoding)
    }

    /// Has the passages of documents that will be replaced remembered: an edited document is mostly what it was, and
    /// where a line is taken out of a file the text of each later one is that of its neighbor.
    fn remember_replaced(&mut self, documents: &[Document]) -> Result<()> {
        let snapshot = self.index.snapshot();
        for document in documents {
            if let Some(doc) = snapshot.find(&document.id)? {
                self.encoder.remember(&snapshot, doc)?;
            }
        }
        Ok(())
    }

    /// Builds the graph of what came in, and merges what is small beside it.
    fn finish(&mut self) -> Result<()> {
        let (progress, committed) = (self.progress, self.progress.committed);
        let observer = Mutex::new(&mut *self.observer);
        let tell = |phase| tell(&observer, Progress { phase, ..progress });
        self.index.seal(&|done, total| tell(Phase::Sealing { done, total }))?;
        // Segments that are large compared with the new documents are merged by the next run.
        while let Some(merge) =
            self.index.due_merge().filter(|merge| merge.documents() <= MERGE_FACTOR * committed)
        {
            let merged = merge.run(&|done, total| tell(Phase::Merging { done, total }))?;
            self.index.take_merged(merged)?;
        }
        estimate_trust(self.index, self.encoder.encoder(), committed)
    }
}

/// Tells an observer from any thread.
fn tell<F: FnMut(Progress) -> ControlFlow<()> + ?Sized>(
    observer: &Mutex<&mut F>,
    progress: Progress,
) -> ControlFlow<()> {
    match observer.lock() {
        Ok(mut observer) => observer(progress),
        // Only a panic in the observer poisons the mutex; it is not called again then.
        Err(_) => ControlFlow::Break(()),
    }
}

/// Estimates how well the model understands the documents, where a run has brought enough of them and the index has doubled
/// since that was estimated. It takes 128 to 512 short encodings.
///
/// # Errors
/// What the encoder or the index report.
pub fn estimate_trust(index: &mut Index, encoder: &SentenceEncoder, committed: usize) -> Result<()> {
    let snapshot = index.snapshot();
    if committed < TRUSTED_DOCUMENTS || snapshot.live_passages() < 2 * snapshot.trusted_passages() {
        return Ok(());
    }
    let started = Instant::now();
    if let Some(trust) = trust::estimate(&snapshot, encoder)? {
        tracing::info!("estimated a trust of {trust:.2} in the model in {:.1?}", started.elapsed());
        index.set_trust(trust)?;
    }
    Ok(())
}

/// Documents that are to be in the index, and what was read beside them.
#[derive(Default)]
struct Batch {
    documents: Vec<Document>,
    /// Documents that a later one replaces.
    duplicates: usize,
    /// Files that are what they were.
    unchanged: usize,
    /// How many documents and files were read or passed over when it ended.
    place: usize,
}

/// Reads ahead of the encoder. Ends early when nobody takes the batches any more.
fn read_batches(
    corpus: &mut CorpusReader,
    survey: &Survey,
    sources: &Sources,
    own_ids: &OwnIds,
    sender: &SyncSender<Result<Batch>>,
) {
    let mut batch = Batch::default();
    let mut bytes = 0;
    while let Some(read) = corpus.next_placed() {
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                // If the receiver is gone, reading ends here anyway.
                let _ = sender.send(Err(error));
                return;
            }
        };
        batch.place = read.place + 1;
        own_ids.note(read.source, &read.document.id);
        if !survey.counts(&read) {
            batch.duplicates += 1;
            continue;
        }
        let mut document = read.document;
        document.id = sources.id_of(read.source, document.id);
        bytes += document.text.len();
        batch.documents.push(document);
        if batch.documents.len() == BATCH_DOCUMENTS || bytes >= BATCH_BYTES {
            bytes = 0;
            if sender.send(Ok(std::mem::take(&mut batch))).is_err() {
                return;
            }
        }
    }
    batch.place = corpus.place();
    batch.unchanged = corpus.unchanged();
    let _ = sender.send(Ok(batch));
}
