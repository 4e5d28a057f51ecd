//! The words that an index is asked and answers in.

use super::Selection;
use crate::Document;

/// The model an index was built with: queries must be encoded by the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIdentity {
    /// 64 hex digits: SHA-256 over weights, tokenizer and pooling; empty where the vectors are of no
    /// model that is known.
    pub fingerprint: String,
    /// Where a query finds the model again: an absolute directory or a hub id.
    pub location: String,
    /// The length of its embeddings.
    pub dimension: usize,
}

impl ModelIdentity {
    /// That of vectors that came from elsewhere.
    pub fn unknown(dimension: usize) -> Self {
        Self { fingerprint: String::new(), location: String::new(), dimension }
    }

    /// Whether texts can be encoded by it.
    pub fn is_known(&self) -> bool {
        !self.fingerprint.is_empty()
    }
}

/// A document of an index by its place: from 0 in the order of indexing, and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(pub(super) u64);

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
pub struct SearchOptions<'a> {
    /// How many hits to return at most.
    pub k: usize,
    /// How many candidates the walk through a graph keeps (HNSW's `ef`): more finds more and takes
    /// longer. That of the index if `None`, and never fewer than `k`.
    pub ef: Option<usize>,
    /// Compare with every document instead of walking the graphs.
    pub exact: bool,
    /// The documents to search among: all if `None`. `k` of them are found wherever there are so many.
    pub among: Option<&'a Selection>,
}

impl Default for SearchOptions<'_> {
    fn default() -> Self {
        Self { k: 10, ef: None, exact: false, among: None }
    }
}

/// The `ef` of a search that names none in an index that names none.
pub const DEFAULT_EF: usize = 96;

/// A document that is near, without its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Cosine similarity of query and document.
    pub score: f32,
    /// Which document it is.
    pub doc: DocId,
}

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
    /// Documents that were deleted or replaced and whose vectors still take room.
    pub deleted: usize,
    /// The sealed segments, oldest first.
    pub segments: Vec<SegmentStat>,
    /// Live documents that wait for a graph and are searched exactly.
    pub pending: usize,
    /// The length of an embedding.
    pub dimension: usize,
    /// The model it was built with.
    pub model: ModelIdentity,
    /// The version of the format on the disk.
    pub format: u32,
    /// How many candidates a search keeps that does not say.
    pub ef: usize,
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
