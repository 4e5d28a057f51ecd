//! Engines that keep documents and find them by meaning, behind one trait.
//!
//! - [`Address`]: where an engine is.
//! - [`Source`]: what can be shown whole, and [`Engine`]: what a program may ask of any of them.
//! - [`copy`]: brings the documents of one into another.
//! - [`folder`]: the index of this house, in a folder.
//! - [`milvus`]: a collection of Milvus.
//! - [`postgres`]: a table of PostgreSQL with pgvector.
//!
//! An engine knows vectors and documents, and no model: it remembers which model its vectors are of.

mod address;
pub mod copy;
mod error;
pub mod folder;
pub mod milvus;
pub mod postgres;

use std::ops::ControlFlow;

use akin_index::{Document, Filter, Hit, ModelIdentity, Passage, Upserted};
use akin_kernels::Embeddings;

pub use address::Address;
pub use error::{Error, Result};

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
pub trait Engine: Source {
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
}
