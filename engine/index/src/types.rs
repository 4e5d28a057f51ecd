//! What an index is asked, and what it answers.

use crate::{Document, Passage, Selection, Similarity};

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
    /// The text that was put before each query; the model's own prompt if `None`.
    pub query_prompt: Option<String>,
    /// The text that was put before each document; the model's own prompt if `None`.
    pub document_prompt: Option<String>,
    /// How its embeddings are compared. Those of the cosine are brought to length one, others kept as they are. By a
    /// distance the index compares with every passage, for a graph is walked by products.
    pub similarity: Similarity,
    /// How the texts of documents are cut before they are encoded.
    pub passages: PassageSize,
}

/// How long the passages are that the text of a document is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PassageSize {
    /// Nothing is cut: each document is one passage. So are those of indexes that say nothing about it.
    #[default]
    Whole,
    /// As long as the model reads.
    Window,
    /// So many tokens at most.
    Tokens(u32),
}

impl PassageSize {
    /// The number that stands for it on the disk.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Whole => 0,
            Self::Tokens(tokens) => tokens.clamp(1, u32::MAX - 1),
            Self::Window => u32::MAX,
        }
    }

    /// What a number on the disk stands for.
    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Whole,
            u32::MAX => Self::Window,
            tokens => Self::Tokens(tokens),
        }
    }
}

impl ModelIdentity {
    /// In what `theirs` differs that must be alike for vectors of both to be compared, if in anything, as in "its model is …, and not
    /// …". Where a model's files are does not matter.
    pub fn difference(&self, theirs: &Self) -> Option<String> {
        let name = |model: &Self| match model.is_known() {
            true => format!(
                "{} (fingerprint {}…)",
                model.location,
                &model.fingerprint.chars().take(12).collect::<String>()
            ),
            false => "none, but vectors from elsewhere".into(),
        };
        let differ = |what: &str, ours: String, theirs: String| {
            Some(format!("its {what} is {theirs}, and not {ours}"))
        };
        if self.fingerprint != theirs.fingerprint {
            return differ("model", name(self), name(theirs));
        }
        if self.dimension != theirs.dimension {
            return differ("number of dimensions", self.dimension.to_string(), theirs.dimension.to_string());
        }
        if self.similarity != theirs.similarity {
            return differ("similarity", self.similarity.name().into(), theirs.similarity.name().into());
        }
        let quoted = |prompt: &Option<String>| {
            prompt.as_ref().map_or("that of the model".into(), |prompt| format!("{prompt:?}"))
        };
        for (what, ours, others) in [
            ("prompt of queries", &self.query_prompt, &theirs.query_prompt),
            ("prompt of documents", &self.document_prompt, &theirs.document_prompt),
        ] {
            if ours != others {
                return differ(what, quoted(ours), quoted(others));
            }
        }
        let length = |size: PassageSize| match size {
            PassageSize::Whole => "that of whole texts".to_owned(),
            PassageSize::Window => "what the model reads".to_owned(),
            PassageSize::Tokens(tokens) => format!("{tokens} tokens"),
        };
        if self.passages != theirs.passages {
            return differ("size of passages", length(self.passages), length(theirs.passages));
        }
        None
    }

    /// That of a model without further prompts, whose embeddings are compared by their cosine.
    pub fn new(fingerprint: impl Into<String>, location: impl Into<String>, dimension: usize) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            location: location.into(),
            dimension,
            query_prompt: None,
            document_prompt: None,
            similarity: Similarity::default(),
            passages: PassageSize::default(),
        }
    }

    /// That of vectors that came from elsewhere.
    pub fn unknown(dimension: usize) -> Self {
        Self::new("", "", dimension)
    }

    /// Whether texts can be encoded by it.
    pub fn is_known(&self) -> bool {
        !self.fingerprint.is_empty()
    }
}

/// A document of a snapshot: its segment, and its place there. Older documents are less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId {
    /// The place of the segment in the snapshot.
    pub(crate) segment: u32,
    /// The place of the document in the segment.
    pub(crate) document: u32,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchOptions {
    /// How many documents to return at most.
    pub k: usize,
    /// How many candidates the walk through a graph keeps (HNSW's `ef`): more finds more and takes
    /// longer. That of the index if `None`, and never fewer than `k`.
    pub ef: Option<usize>,
    /// Compare with every passage instead of walking the graphs.
    pub exact: bool,
    /// The documents to search among: all if `None`. `k` of them are found wherever there are so many.
    pub among: Option<Selection>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { k: 10, ef: None, exact: false, among: None }
    }
}

/// The `ef` of a search that names none in an index that names none.
pub const DEFAULT_EF: usize = 96;

/// A document that is near, without its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// How similar the query and the document's nearest passage are, by the model's [`Similarity`].
    pub score: f32,
    /// Which document it is.
    pub doc: DocId,
    /// Which passage of its segment: a row of its vectors.
    pub(crate) passage: u32,
}

/// A document that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// How similar the query and the document's nearest passage are, by the model's [`Similarity`].
    pub score: f32,
    /// The document.
    pub document: Document,
    /// The passage that was found, where the document has parts.
    pub passage: Option<Passage>,
}

/// The figures of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Live documents.
    pub documents: usize,
    /// Their passages.
    pub passages: usize,
    /// Documents that were deleted or replaced and whose vectors still take room.
    pub deleted: usize,
    /// The segments that have a graph, oldest first.
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

/// The figures of a segment with a graph.
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
    /// Live documents, each with its vectors, text and id.
    pub documents: usize,
    /// Blocks whose checksum was compared.
    pub chunks: usize,
    /// Bytes of those blocks.
    pub bytes: u64,
}

/// What a compaction came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Live documents, all of which stay.
    pub documents: usize,
    /// Deleted documents that are gone for good.
    pub removed: usize,
    /// Bytes on the disk before.
    pub bytes_before: u64,
    /// Bytes on the disk after.
    pub bytes_after: u64,
}
