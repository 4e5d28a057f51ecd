//! The index: documents and their embeddings in segments, searched by meaning, kept on the disk.
//!
//! New documents collect in a *pending* segment that is searched exactly. When it is large enough it
//! is *sealed*: it gets an HNSW graph (Malkov & Yashunin 2016), built once, stored, and never changed
//! after. Deleting or replacing a document sets a bit among the tombstones. Sealed segments are *merged*
//! when they are many or half dead. A [`Reader`] answers questions (`read`, `state`), the one [`Index`]
//! changes things (`commit`, `merge`, `compact`); `open` brings it back, `verify` mistrusts it.

mod beam;
mod build;
mod codes;
mod commit;
mod compact;
mod connect;
mod document;
mod error;
pub mod exact;
pub mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod graph;
mod merge;
mod nearest;
mod open;
mod pages;
mod read;
mod reorder;
mod segment;
mod select;
mod selection;
mod state;
mod store;
mod terms;
mod tombstones;
mod verify;
mod walk;

use std::fmt;
use std::ops::Deref;

pub use self::commit::{SEAL_DOCUMENTS, SEGMENT_DOCUMENTS};
pub use self::compact::Compaction;
pub use self::document::{Document, Metadata};
pub use self::error::{Error, Result};
pub use self::filter::Filter;
pub use self::merge::{MERGED_DOCUMENTS, Merge, Merged};
pub use self::read::Reader;
pub use self::selection::Selection;
pub use self::terms::{
    DEFAULT_EF, DocId, Hit, ModelIdentity, Neighbor, SearchOptions, SegmentStat, Stat, Upserted, Verification,
};
pub use akin_kernels::Embeddings;

/// A persistent index of embedded documents, held by this value and its readers until they are dropped.
///
/// It is a [`Reader`], and the only one who changes anything.
pub struct Index {
    reader: Reader,
}

impl Index {
    /// Another who may read, on another thread, while this one writes.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }
}

impl Deref for Index {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Index").field(&self.reader).finish()
    }
}
