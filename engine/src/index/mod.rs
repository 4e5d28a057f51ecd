//! The index: documents and their embeddings in segments, searched by meaning, kept on the disk.
//!
//! New documents collect in a *pending* segment that is searched exactly. When it is large enough it
//! is *sealed*: it gets an HNSW graph (Malkov & Yashunin 2016), built once, stored, and never changed
//! after. Deleting or replacing a document sets a bit among the tombstones. [`Index`] in this file
//! answers questions; `commit` changes it, `open` brings it back, `verify` mistrusts it.

mod beam;
mod build;
mod codes;
mod commit;
mod connect;
pub mod exact;
pub mod graph;
mod nearest;
mod open;
mod pages;
mod read;
mod reorder;
mod segment;
mod select;
mod terms;
mod tombstones;
mod verify;
mod walk;

use std::fmt;

use self::segment::Segment;
use self::tombstones::Tombstones;
use crate::store::records::{FORMAT, Manifest, content_hash};
use crate::store::{Directory, Store};
use crate::{Document, Error, Result};

pub use self::commit::{SEAL_DOCUMENTS, SEGMENT_DOCUMENTS};
pub use self::terms::{
    DEFAULT_EF, DocId, Hit, ModelIdentity, Neighbor, SearchOptions, SegmentStat, Stat, Upserted, Verification,
};

/// A persistent index of embedded documents, held by this value until it is dropped.
///
/// Searches take `&self` and may run on many threads at once.
pub struct Index {
    model: ModelIdentity,
    manifest: Manifest,
    /// In the order of the manifest; the last one is pending.
    segments: Vec<Segment>,
    tombstones: Tombstones,
    store: Store,
    /// Last: it is let go when the store is closed.
    directory: Directory,
}

impl Index {
    /// The model it was built with.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// Refuses a model with another fingerprint: its embeddings mean something else.
    ///
    /// # Errors
    /// [`Error::OtherModel`].
    pub fn require_model(&self, fingerprint: &str) -> Result<()> {
        if fingerprint == self.model.fingerprint {
            return Ok(());
        }
        self.require_known_model()?;
        let short = |fingerprint: &str| fingerprint.chars().take(12).collect::<String>();
        Err(Error::OtherModel(format!(
            "the index {} was built with the model {} (fingerprint {}…), and this model has \
             fingerprint {}…: use that model, or build another index with this one",
            self.store.index().display(),
            self.model.location,
            short(&self.model.fingerprint),
            short(fingerprint),
        )))
    }

    /// Refuses an index of vectors that came from elsewhere: it cannot be asked in words.
    ///
    /// # Errors
    /// [`Error::OtherModel`].
    pub fn require_known_model(&self) -> Result<()> {
        if self.model.is_known() {
            return Ok(());
        }
        Err(Error::OtherModel(format!(
            "the index {} was imported as vectors and knows no model: search it with vectors (`akin bench`), \
             or index the texts in another folder with `akin index`",
            self.store.index().display(),
        )))
    }

    /// How many live documents it holds.
    pub fn len(&self) -> usize {
        self.segments.iter().map(Segment::live).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a document with this id and exactly this text and metadata is in the index.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn is_unchanged(&self, document: &Document) -> Result<bool> {
        match self.live_doc(&document.id)? {
            Some(doc) => Ok(self.store.content_hash(doc)? == content_hash(document)),
            None => Ok(false),
        }
    }

    /// The document of an id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn get(&self, id: &str) -> Result<Option<Document>> {
        let doc = self.live_doc(id)?;
        doc.map(|doc| self.document_of(doc, id)).transpose()
    }

    /// The documents nearest to `query` by cosine similarity, best first; of equal ones the older
    /// comes first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the query has another dimension than the index or is not finite,
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn search(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Hit>> {
        let found = self.nearest(query, options)?.into_iter();
        found.map(|near| Ok(Hit { score: near.score, document: self.document(near.doc)? })).collect()
    }

    /// The figures of the index.
    ///
    /// # Errors
    /// [`Error::Io`] if its files cannot be listed.
    pub fn stat(&self) -> Result<Stat> {
        let segments = self.segments.iter().filter_map(|segment| {
            segment.graph.as_ref().map(|graph| SegmentStat {
                id: segment.record.id,
                documents: segment.live(),
                deleted: segment.deleted,
                graph_edges: graph.edges(),
            })
        });
        Ok(Stat {
            documents: self.len(),
            deleted: self.segments.iter().map(|segment| segment.deleted).sum(),
            segments: segments.collect(),
            pending: self.pending().live(),
            dimension: self.model.dimension,
            model: self.model.clone(),
            format: FORMAT,
            bytes_on_disk: self.directory.bytes_on_disk()?,
        })
    }

    fn pending(&self) -> &Segment {
        self.segments.last().expect("an index has a pending segment")
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("path", &self.store.index())
            .field("documents", &self.len())
            .finish_non_exhaustive()
    }
}
