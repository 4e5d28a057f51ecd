//! Engines that keep documents and find them by meaning, behind one trait.
//!
//! - [`Address`]: where an engine is.
//! - [`Source`]: what can be shown whole, and [`Engine`]: what a program may ask of any of them.
//! - [`EngineOptions`]: what may be chosen of a table or collection.
//! - [`Pool`]: connections to one engine that several threads use.
//! - [`copy`]: brings the documents of one into another.
//! - [`bucket`]: the files of an index in an object store, to be copied and read.
//! - [`folder`]: the index of this house, in a folder.
//! - [`milvus`]: a collection of Milvus.
//! - [`postgres`]: a table of PostgreSQL with pgvector.
//!
//! An engine knows vectors and documents, and no model: it remembers which model its vectors are of.

mod address;
mod boxed;
pub mod bucket;
pub mod copy;
mod error;
pub mod folder;
pub mod milvus;
mod options;
mod pool;
pub mod postgres;

use std::ops::ControlFlow;

use akin_index::{Background, Document, Filter, Hit, ModelIdentity, Passage, Upserted, WordQuery};
use akin_kernels::Embeddings;

pub use address::Address;
pub use error::{Error, Result};
pub use options::EngineOptions;
pub use pool::Pool;

/// Hears how much of some work is done and how much there is, and may stop it.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) -> ControlFlow<()> + Sync);

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// How many documents are wanted.
    pub k: usize,
    /// How many candidates an approximate search keeps; the engine's own choice if none is given.
    pub ef: Option<usize>,
    /// Whether the query is compared with every document.
    pub exact: bool,
    /// Which documents may be found.
    pub filter: Option<Filter>,
}

impl Default for Ask {
    fn default() -> Self {
        Self { k: 10, ef: None, exact: false, filter: None }
    }
}

/// What a query finds by meaning and by words, each best first, and how the other way scores what was found: what a fusion of
/// both needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Both {
    /// The documents that are nearest in meaning.
    pub by_meaning: Vec<Hit>,
    /// The scores by words of the passages found by meaning.
    pub words_of_near: Vec<f32>,
    /// The documents that have the words of the query.
    pub by_words: Vec<Hit>,
    /// The similarities of the passages found by words.
    pub similarities_of_found: Vec<f32>,
    /// The similarities of the query with passages from all over the engine.
    pub background: Background,
    /// How well the model understands the documents; 0 where nobody has estimated it.
    pub trust: f32,
}

/// A run over a corpus, of which an engine remembers what it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRun {
    source: String,
    number: i64,
}

/// The figures of what an engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Documents.
    pub documents: usize,
    /// Their passages.
    pub passages: usize,
    /// Whether searches go by a graph, and do not compare with everything.
    pub has_graph: bool,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// A document with its vectors, one for each passage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The document.
    pub document: Document,
    /// Its passages, in the order of the vectors; none where the whole text is one.
    pub passages: Option<Vec<Passage>>,
    /// Its vectors.
    pub vectors: Vec<Vec<f32>>,
}

/// Documents with their vectors that can be shown.
pub trait Source {
    /// Names it in messages, without a password.
    fn place(&self) -> String;

    /// The model that its vectors are of, with prompts, similarity and size of passages.
    fn model(&self) -> &ModelIdentity;

    /// Its figures.
    ///
    /// # Errors
    /// What the engine reports.
    fn figures(&mut self) -> Result<Figures>;

    /// Shows each document, oldest first. `show` may stop it.
    ///
    /// # Errors
    /// What the engine reports, or `show`.
    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()>;
}

/// Keeps documents with their vectors, and finds the nearest.
pub trait Engine: Source + Send {
    /// Which of these documents it has with the same text and metadata.
    ///
    /// # Errors
    /// What the engine reports.
    fn unchanged(&mut self, documents: &[Document]) -> Result<Vec<bool>>;

    /// Adds documents, or replaces those of the same id: all of them or none. `embeddings` has a row for each passage, or for each
    /// document where no passages are given. They are kept when it returns.
    ///
    /// # Errors
    /// What the engine reports.
    fn upsert(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted>;

    /// Deletes documents by id: all of them or none. Which of them there were.
    ///
    /// # Errors
    /// What the engine reports.
    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>>;

    /// Builds what searches need, after documents were added.
    ///
    /// # Errors
    /// What the engine reports.
    fn finish(&mut self, progress: Progress<'_>) -> Result<()>;

    /// The documents whose nearest passage is nearest to a query, best first.
    ///
    /// # Errors
    /// What the engine reports; [`Error::Filter`] for a filter that it cannot answer.
    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>>;

    /// The documents of these ids, which differ; none for an id that is not there.
    ///
    /// # Errors
    /// What the engine reports.
    fn get(&mut self, ids: &[&str]) -> Result<Vec<Option<Document>>> {
        let mut found = vec![None; ids.len()];
        self.each(&mut |stored| {
            if let Some(at) = ids.iter().position(|id| *id == stored.document.id) {
                found[at] = Some(stored.document);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Keeps words and builds its graph as is chosen from now on, and by the engine's own choice where nothing is. What is so already
    /// changes nothing.
    ///
    /// # Errors
    /// [`Error::Option`] for what the engine cannot choose, or cannot choose any more; [`Error::TextConfig`].
    fn choose(&mut self, options: &EngineOptions) -> Result<()> {
        match *options == EngineOptions::default() {
            true => Ok(()),
            false => Err(Error::Option {
                name: "text_config".into(),
                reason: "an index in a folder has none".into(),
            }),
        }
    }

    /// What is chosen, as the names and values of options.
    fn chosen(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// In which way the engine keeps words, where it has a name for that.
    fn text_config(&self) -> Option<&str> {
        None
    }

    /// Begins a run over the corpus of a name.
    ///
    /// # Errors
    /// What the engine reports; [`Error::NotRemembered`] if it does not remember what a corpus brought.
    fn begin_sync(&mut self, source: &str) -> Result<SyncRun> {
        let _ = source;
        Err(Error::NotRemembered { place: self.place() })
    }

    /// Remembers documents that a run has brought or found unchanged.
    ///
    /// # Errors
    /// As [`Engine::begin_sync`].
    fn brought(&mut self, run: &SyncRun, ids: &[&str]) -> Result<()> {
        let _ = (run, ids);
        Err(Error::NotRemembered { place: self.place() })
    }

    /// Removes the documents that earlier runs over the corpus brought and this one did not, all of them or none, and tells how
    /// many. Those that `stays` says stay, and so do those that another corpus brought.
    ///
    /// # Errors
    /// As [`Engine::begin_sync`].
    fn remove_vanished(&mut self, run: &SyncRun, stays: &dyn Fn(&str) -> bool) -> Result<usize> {
        let _ = (run, stays);
        Err(Error::NotRemembered { place: self.place() })
    }

    /// Whether documents are found by their words, too.
    fn has_words(&self) -> bool {
        false
    }

    /// The documents that have the words of a query, best first. A score says how much of the query a passage has; it is
    /// comparable with others of the same query alone.
    ///
    /// # Errors
    /// What the engine reports; [`Error::NoWords`] if it keeps no words.
    fn by_words(&mut self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        let _ = (query, ask);
        Err(Error::NoWords { place: self.place() })
    }

    /// The documents that are nearest in meaning, and those that have the words of a query. Documents found by meaning have
    /// the phrases of the query, and nothing that it excludes.
    ///
    /// # Errors
    /// As [`Engine::nearest`] and [`Engine::by_words`].
    fn by_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        let _ = (query, vector, ask);
        Err(Error::NoWords { place: self.place() })
    }
}
