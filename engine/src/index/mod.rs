//! The index: documents and their embeddings in segments, searched by meaning, kept on the disk.

mod build;
mod exact;
mod graph;
mod nearest;
mod walk;

pub use exact::exact_search;
pub use graph::FrozenGraph;

use std::path::Path;

use crate::{Document, Embeddings, Result};

/// The model an index was built with: queries must be encoded by the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIdentity {
    /// 64 hex digits: SHA-256 over weights, tokenizer and pooling.
    pub fingerprint: String,
    /// Where a query finds the model again: an absolute directory or a hub id.
    pub location: String,
    /// The length of its embeddings.
    pub dimension: usize,
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upserted {
    /// Documents whose id was new.
    pub added: usize,
    /// Documents that took the place of one with the same id.
    pub replaced: usize,
}

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// How many hits to return at most.
    pub k: usize,
    /// How many candidates the walk through a graph keeps (HNSW's `ef`): more finds more and takes
    /// longer. [`DEFAULT_EF`] if `None`.
    pub ef: Option<usize>,
    /// Compare with every document instead of walking the graphs.
    pub exact: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { k: 10, ef: None, exact: false }
    }
}

/// The `ef` of a search that names none.
pub const DEFAULT_EF: usize = 96;

/// A document that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Cosine similarity of query and document.
    pub score: f32,
    /// The document.
    pub document: Document,
}

/// The figures of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Live documents.
    pub documents: usize,
    /// Documents that were deleted or replaced and still take room.
    pub deleted: usize,
    /// The sealed segments, oldest first.
    pub segments: Vec<SegmentStat>,
    /// Documents that wait for a graph and are searched exactly (live ones).
    pub pending: usize,
    /// The length of an embedding.
    pub dimension: usize,
    /// The model it was built with.
    pub model: ModelIdentity,
    /// The version of the format on the disk.
    pub format: u32,
    /// Bytes of all files of the index.
    pub bytes_on_disk: u64,
}

/// The figures of a sealed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentStat {
    /// Its id, unique in the index.
    pub id: u64,
    /// Live documents in it.
    pub documents: usize,
    /// Deleted or replaced documents in it.
    pub deleted: usize,
    /// Directed edges of its graph.
    pub graph_edges: usize,
}

/// What a verification went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verification {
    /// Live documents, each with its vector, text and id.
    pub documents: usize,
    /// Records whose checksum was compared.
    pub chunks: usize,
    /// Bytes of those records.
    pub bytes: u64,
}

/// A persistent index of embedded documents.
#[derive(Debug)]
pub struct Index {
    model: ModelIdentity,
}

#[allow(unused_variables)]
impl Index {
    /// Opens the index at `path`, which must exist.
    pub fn open(path: &Path) -> Result<Self> {
        todo!()
    }

    /// Opens the index at `path`, or begins a new one there for embeddings of `model`.
    pub fn open_or_create(path: &Path, model: &ModelIdentity) -> Result<Self> {
        todo!()
    }

    /// The model it was built with.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// Refuses a model with another fingerprint.
    pub fn require_model(&self, fingerprint: &str) -> Result<()> {
        todo!()
    }

    /// How many live documents it holds.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a document with this id and exactly this content is in the index.
    pub fn is_unchanged(&self, document: &Document) -> Result<bool> {
        todo!()
    }

    /// Adds documents, or replaces those of the same id; on the disk when it returns.
    pub fn upsert(&mut self, documents: &[Document], embeddings: &Embeddings) -> Result<Upserted> {
        todo!()
    }

    /// Builds the graph of the pending documents if there are enough of them.
    pub fn seal(&mut self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<()> {
        todo!()
    }

    /// Deletes documents by id; tells which of them existed.
    pub fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        todo!()
    }

    /// The document of an id.
    pub fn get(&self, id: &str) -> Result<Option<Document>> {
        todo!()
    }

    /// The documents nearest to `query`, best first.
    pub fn search(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Hit>> {
        todo!()
    }

    /// The figures of the index.
    pub fn stat(&self) -> Result<Stat> {
        todo!()
    }

    /// Reads everything and checks it; an error on the first fault.
    pub fn verify(&self) -> Result<Verification> {
        todo!()
    }
}
