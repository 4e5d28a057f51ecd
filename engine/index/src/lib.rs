//! A persistent index of embedded documents, searched by meaning.
//!
//! An index is a list of immutable *segments*. A commit writes a new one, and bits among the tombstones for what
//! it deletes or replaces; it counts when the *manifest* names it. Segments of thousands of passages get an HNSW
//! graph (Malkov & Yashunin 2018), and are merged when they are many or half deleted. What the user gave is a
//! *document*; what has a vector is a *passage* of it; what a reader sees is a *snapshot*, which never changes.
//!
//! ```
//! use akin_index::{Document, Embeddings, Index, ModelIdentity, Reader, SearchOptions};
//!
//! # fn main() -> akin_index::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("index");
//! let mut index = Index::open_or_create(&path, &ModelIdentity::unknown(2))?;
//! let document = |id: &str| Document { id: id.into(), ..Document::default() };
//! index.upsert(&[document("east"), document("north")], &Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0]))?;
//!
//! let reader = Reader::open(&path)?; // any number of them, in any process, while the index is written
//! let hits = reader.search(&[0.9, 0.1], &SearchOptions { k: 1, ..SearchOptions::default() })?;
//! assert_eq!(hits[0].document.id, "east");
//! # Ok(())
//! # }
//! ```
//!
//! The rooms, in the order of the data: [`storage`] keeps files, `catalogue` is the writer's database, [`graph`]
//! knows vectors and neighbors, `segment` is one file of documents, passages, vectors and graph, `writer` commits
//! and merges, `reader` searches. `FORMAT.md` beside this crate has every byte.

#[cfg(target_endian = "big")]
compile_error!("segment files are mapped as they are, and their numbers are little-endian");

mod catalogue;
mod columns;
mod document;
mod error;
mod files;
pub mod filter;
mod folder;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod graph;
mod manifest;
mod progress;
mod reader;
pub mod recall;
mod segment;
pub mod storage;
mod types;
mod upgrade;
mod words;
mod writer;

pub use akin_kernels::{Embeddings, Similarity};

pub use self::catalogue::catches_panics;
pub use self::document::{Document, Metadata, Passage};
pub use self::error::{Error, Found, Result};
pub use self::files::{CommitFile, CommitFiles};
pub use self::filter::{Filter, field};
pub use self::progress::{Cancelled, Counter, Progress};
pub use self::reader::{Background, Marker, Reader, ReaderOptions, Reload, Selection, Snapshot};
pub use self::storage::explain_lost_files;
pub use self::types::{
    Compaction, DEFAULT_EF, DocId, Hit, ModelIdentity, Neighbor, PassageSize, SearchOptions, SegmentStat,
    Stat, Upserted, Verification,
};
pub use self::words::each_word;
pub use self::words::query::{Pointless, WordKind, WordPart, WordQuery};
pub use self::words::terms::{SoughtTerms, TermReader, TextTerms};
pub use self::writer::{
    Adopted, Adoption, Index, Keep, MERGED_PASSAGES, Merge, Merged, Part, Repaired, RepairedFrom,
    SEAL_PASSAGES, SEGMENT_PASSAGES,
};
