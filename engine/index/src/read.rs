//! Reading an index: what is nearest, and what is there.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::state::State;
use super::{DocId, Hit, ModelIdentity, Neighbor, SearchOptions, SegmentStat, Stat};
use crate::store::records::{DocumentRecord, FORMAT, content_hash};
use crate::store::{Directory, Store};
use crate::{Document, Error, Result};

/// Reads an index, on any thread, while its [`Index`](super::Index) may be changing it.
///
/// Every call sees the index as one commit left it: a writer waits with the next one for the few
/// milliseconds that a search takes. The folder is held until the last reader is dropped.
#[derive(Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

/// What readers and the writer have in common.
pub(super) struct Shared {
    pub(super) model: ModelIdentity,
    pub(super) state: RwLock<State>,
    pub(super) store: Store,
    /// Last: it is let go when the store is closed.
    pub(super) directory: Directory,
}

impl Reader {
    /// What is there now, unchanged while it is borrowed.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        // A state is only ever changed by moves, which do not panic half way.
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The model it was built with.
    pub fn model(&self) -> &ModelIdentity {
        &self.shared.model
    }

    /// Refuses a model with another fingerprint: its embeddings mean something else.
    ///
    /// # Errors
    /// [`Error::OtherModel`].
    pub fn require_model(&self, fingerprint: &str) -> Result<()> {
        let model = self.model();
        if fingerprint == model.fingerprint {
            return Ok(());
        }
        self.require_known_model()?;
        let short = |fingerprint: &str| fingerprint.chars().take(12).collect::<String>();
        Err(Error::OtherModel(format!(
            "the index {} was built with the model {} (fingerprint {}…), and this model has \
             fingerprint {}…: use that model, or build another index with this one",
            self.store().index().display(),
            model.location,
            short(&model.fingerprint),
            short(fingerprint),
        )))
    }

    /// Refuses an index of vectors that came from elsewhere: it cannot be asked in words.
    ///
    /// # Errors
    /// [`Error::OtherModel`].
    pub fn require_known_model(&self) -> Result<()> {
        if self.model().is_known() {
            return Ok(());
        }
        Err(Error::OtherModel(format!(
            "the index {} was imported as vectors and knows no model: search it with vectors (`akin bench`), \
             or index the texts in another folder with `akin index`",
            self.store().index().display(),
        )))
    }

    /// How many live documents it holds.
    pub fn len(&self) -> usize {
        self.state().live()
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
        let state = self.state();
        let Some(doc) = state.live_doc(self.store(), &document.id)? else {
            return Ok(false);
        };
        let Some((segment, row)) = state.locate(doc) else {
            return Ok(false);
        };
        let hash = DocumentRecord::hash(&segment.record_bytes(self.store(), row)?)
            .map_err(|why| self.store().damaged(format!("document {doc}: {why}")))?;
        Ok(hash == content_hash(document))
    }

    /// The document of an id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn get(&self, id: &str) -> Result<Option<Document>> {
        let state = self.state();
        let doc = state.live_doc(self.store(), id)?;
        doc.map(|doc| state.document_of(self.store(), doc, id)).transpose()
    }

    /// The documents nearest to `query` by cosine similarity, best first; of equal ones the older
    /// comes first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the query has another dimension than the index or is not finite, or if the
    /// documents to search among were selected before the index changed; [`Error::Damaged`] if what is stored
    /// cannot be trusted.
    pub fn search(&self, query: &[f32], options: &SearchOptions<'_>) -> Result<Vec<Hit>> {
        let state = self.state();
        let found = state.nearest(query, options)?.into_iter();
        let hit = |near: Neighbor| {
            Ok(Hit { score: near.score, document: state.document(self.store(), near.doc.0)? })
        };
        found.map(hit).collect()
    }

    /// The same without their texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`Reader::search`].
    pub fn nearest(&self, query: &[f32], options: &SearchOptions<'_>) -> Result<Vec<Neighbor>> {
        self.state().nearest(query, options)
    }

    /// The live documents, oldest first.
    pub fn docs(&self) -> Vec<DocId> {
        self.state().docs().map(DocId).collect()
    }

    /// A document that this index named.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted, or the document was deleted since and its
    /// segment merged.
    pub fn document(&self, doc: DocId) -> Result<Document> {
        self.state().document(self.store(), doc.0)
    }

    /// The unit vector of a document that this index named; none if it was deleted since and its segment
    /// merged.
    pub fn vector(&self, doc: DocId) -> Option<Vec<f32>> {
        let state = self.state();
        let (segment, row) = state.locate(doc.0)?;
        Some(segment.vectors.row(row).to_vec())
    }

    /// The `ef` of a search that names none.
    pub fn default_ef(&self) -> usize {
        self.state().default_ef()
    }

    /// The figures of the index.
    ///
    /// # Errors
    /// [`Error::Io`] if its files cannot be listed.
    pub fn stat(&self) -> Result<Stat> {
        let state = self.state();
        let segments = state.segments.iter().filter_map(|segment| {
            segment.graph.as_ref().map(|graph| SegmentStat {
                id: segment.record.id,
                documents: segment.live(),
                deleted: segment.deleted(),
                graph_edges: graph.edges(),
            })
        });
        Ok(Stat {
            documents: state.live(),
            deleted: state.segments.iter().map(|segment| segment.deleted()).sum(),
            segments: segments.collect(),
            pending: state.pending().live(),
            dimension: self.model().dimension,
            model: self.model().clone(),
            format: FORMAT,
            ef: state.default_ef(),
            bytes_on_disk: self.shared.directory.bytes_on_disk()?,
        })
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.store().index())
            .field("documents", &self.len())
            .finish_non_exhaustive()
    }
}
