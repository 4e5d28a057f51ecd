//! Akin finds what means the same: a semantic search engine with a persistent index, as a library.
//!
//! ```no_run
//! use akin::{Document, SemanticIndex};
//!
//! # fn main() -> akin::Result<()> {
//! let mut notes = SemanticIndex::open_or_create("notes".as_ref(), "all-MiniLM-L6-v2")?;
//! notes.add(&[Document { id: "1".into(), text: "A man is eating food.".into(), ..Document::default() }])?;
//! let answer = notes.search("someone has a meal", 10)?;
//! println!("{} {}", answer.hits[0].score, answer.hits[0].text);
//! notes.delete(&["1"])?;
//! # Ok(())
//! # }
//! ```
//!
//! [`SemanticIndex`] is an index with its model, open for changes; there is one at a time. Any number of
//! [`Searcher`]s read it meanwhile, in this process and in others. Both are `Send` and `Sync`. For more than these
//! verbs use the crates below: [`index`] (vectors in, documents out), [`encoder`] (texts in, vectors out),
//! [`indexer`] (files of documents), [`query`] (answers, batches, measurements).
//!
//! A library leaves the process alone: it installs no hooks, changes no allocator, and its searches have threads of
//! their own.

#[doc(hidden)]
pub mod commands;

pub use akin_encoder as encoder;
pub use akin_index as index;
pub use akin_indexer as indexer;
pub use akin_query as query;

pub use akin_encoder::{CrossEncoder, Device, EncoderOptions, Precision, Prompts, Role};
pub use akin_index::{
    Compaction, Document, Filter, Metadata, ReaderOptions, Reload, SearchOptions, Selection, Snapshot, Stat,
    Upserted,
};
pub use akin_indexer::pipeline::{IndexingReport, Phase, Progress};
pub use akin_query::{Answer, AskOptions, Error, RankedHit, Result, Searcher};

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use akin_encoder::SentenceEncoder;
use akin_index::{Index, ModelIdentity, PassageSize};
use akin_indexer::corpus::{CorpusOptions, CorpusReader};
use akin_indexer::passages::PassageEncoder;

/// An index together with its model, open for changes.
pub struct SemanticIndex {
    index: Index,
    searcher: Searcher,
}

impl SemanticIndex {
    /// Opens the index in the folder at `path`, or begins one there for the model of a name: a
    /// sentence-transformers directory or a hub id.
    ///
    /// # Errors
    /// [`Error::Encoder`] if the model cannot be found or used; [`Error::Index`] if the index was built with another
    /// model, is held by another writer, or cannot be read.
    pub fn open_or_create(path: &Path, model: &str) -> Result<Self> {
        Self::open_or_create_with(path, model, &EncoderOptions::default())
    }

    /// The same, with options for the encoder. The index remembers the prompts and the dimensions among them, and uses
    /// those it remembers where none are given.
    ///
    /// # Errors
    /// As [`SemanticIndex::open_or_create`]; [`Error::OtherPrompt`] if the index was built with other prompts.
    pub fn open_or_create_with(path: &Path, model: &str, options: &EncoderOptions) -> Result<Self> {
        let encoder = akin_query::model::load(model, options)?;
        let encoder = akin_query::remembered::cut_as_index(encoder, path)?;
        let identity = akin_query::model::identity(model, &encoder)?;
        let identity = ModelIdentity { passages: PassageSize::Window, ..identity };
        Self::with(Index::open_or_create(path, &identity)?, encoder)
    }

    /// Opens the index in the folder at `path` with the model that it was built with.
    ///
    /// # Errors
    /// As [`SemanticIndex::open_or_create`], and [`Error::ModelMoved`] if the model is not where it was.
    pub fn open(path: &Path) -> Result<Self> {
        let index = Index::open(path)?;
        index.snapshot().require_known_model()?;
        let ModelIdentity { location, .. } = index.model();
        let encoder = akin_query::model::load(&location, &EncoderOptions::default());
        Self::with(index, encoder.map_err(akin_query::model::moved)?)
    }

    fn with(index: Index, encoder: SentenceEncoder) -> Result<Self> {
        index.snapshot().require_model(encoder.fingerprint())?;
        let encoder = akin_query::remembered::adopt(encoder, &index.model())?;
        let searcher = Searcher::new(index.reader(), encoder)?;
        Ok(Self { index, searcher })
    }

    /// Encodes documents and adds them, or replaces those of the same ids; on the disk when it returns. A text that is
    /// longer than the model reads is cut into passages. What is there already, unchanged, is not encoded again. A call takes some milliseconds for the disk whatever it
    /// holds: add documents by the hundred.
    ///
    /// # Errors
    /// [`Error::Index`] with [`Invalid`](akin_index::Error::Invalid) for an empty or repeated id, or with
    /// [`Write`](akin_index::Error::Write) if the disk takes no more. All of them are added then or none.
    pub fn add(&mut self, documents: &[Document]) -> Result<Upserted> {
        let mut changed = Vec::with_capacity(documents.len());
        for document in documents {
            if !self.index.is_unchanged(document)? {
                changed.push(document.clone());
            }
        }
        let mut encoder = PassageEncoder::new(self.encoder()?, self.index.model().passages)?;
        let encoded = encoder.encode(&changed)?;
        Ok(encoded.upsert(&mut self.index, &changed)?)
    }

    /// Brings the index up to date with files of documents: text (a document a line), JSON lines, CSV or TSV.
    /// `progress` hears of each batch when it is on the disk, and may stop the run: what it heard of stays.
    ///
    /// # Errors
    /// [`Error::Queries`] for a fault of the files, which leaves the index as it was; what the encoder or the index
    /// report, [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
    pub fn add_files(
        &mut self,
        files: &[PathBuf],
        options: &CorpusOptions,
        progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
    ) -> Result<IndexingReport> {
        let mut corpus = CorpusReader::open(files, options)?;
        let encoder = self.searcher.encoder().ok_or(Error::NoEncoder)?;
        Ok(akin_indexer::index_corpus(&mut self.index, encoder, &mut corpus, progress)?)
    }

    fn encoder(&self) -> Result<&SentenceEncoder> {
        self.searcher.encoder().ok_or(Error::NoEncoder)
    }

    /// Deletes documents by id and tells which of them existed; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Index`] if the disk takes no more: all of them are deleted then or none.
    pub fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        Ok(self.index.delete(ids)?)
    }

    /// The `k` documents that mean most nearly what `text` means, best first.
    ///
    /// # Errors
    /// What the encoder or the index report.
    pub fn search(&self, text: &str, k: usize) -> Result<Answer> {
        self.searcher.ask(text, &SearchOptions { k, ..SearchOptions::default() }.into())
    }

    /// Builds the graph of the documents that have none yet, and merges segments that are many: searches are
    /// faster then. Until then new documents are searched one by one. If the index has doubled, it is estimated anew how well
    /// the model understands its documents, which searches by meaning and words together go by. `progress` hears how many passages of a graph
    /// are done and how many there will be, and may stop the work.
    ///
    /// # Errors
    /// [`Error::Index`] if the disk takes no more, or with [`Cancelled`](akin_index::Error::Cancelled): the last
    /// commit stands.
    pub fn optimize(&mut self, progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync)) -> Result<()> {
        self.index.seal(progress)?;
        self.index.merge(progress)?;
        let (encoder, documents) = (self.searcher.encoder().ok_or(Error::NoEncoder)?, self.index.len());
        Ok(akin_indexer::pipeline::estimate_trust(&mut self.index, encoder, documents)?)
    }

    /// Makes one segment of all, without what was deleted.
    ///
    /// # Errors
    /// As [`SemanticIndex::optimize`].
    pub fn compact(
        &mut self,
        progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync),
    ) -> Result<Compaction> {
        Ok(self.index.compact(progress)?)
    }

    /// What answers from this index: by filters, in batches, of a pinned commit. It sees each commit at once.
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// The index below: vectors in, documents out.
    pub fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }
}
