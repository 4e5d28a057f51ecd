//! What an index holds as of one commit: immutable, and kept for as long as anybody has it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::background::Sample;
use super::pool::QueryPool;
use crate::document::{content_hash, id_hash};
use crate::graph::Fault;
use crate::manifest::{FORMAT, Manifest, SegmentRecord, Unreadable};
use crate::segment::{Deleted, Segment, Unopened};
use crate::storage::Storage;
use crate::types::{DEFAULT_EF, SegmentStat};
use crate::{DocId, Document, Error, ModelIdentity, Passage, Result, Stat};

/// How often a manifest is read again because files that it names were merged away meanwhile.
const TRIES: usize = 100;

/// What an index holds as of one commit.
///
/// Files that it has opened stay readable for as long as it lives, whatever a writer does.
pub struct Snapshot {
    pub(crate) storage: Arc<dyn Storage>,
    pub(super) pool: Arc<QueryPool>,
    pub(crate) manifest: Manifest,
    /// The bytes of the published manifest.
    pub(crate) published: Vec<u8>,
    model: ModelIdentity,
    /// Oldest first, as the manifest names them.
    pub(crate) segments: Vec<SegmentView>,
    /// What a query's background is told by, once one was asked for.
    pub(super) sample: OnceLock<Sample>,
}

/// A segment and what is deleted of it.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView {
    pub(crate) segment: Arc<Segment>,
    pub(crate) deleted: Option<Arc<Deleted>>,
}

impl SegmentView {
    /// Whether a passage is not deleted.
    #[inline]
    pub(crate) fn is_live(&self, passage: usize) -> bool {
        !self.deleted.as_ref().is_some_and(|deleted| deleted.contains(passage as u32))
    }

    /// How many documents are not deleted.
    pub(crate) fn live(&self) -> usize {
        self.segment.documents() - self.deleted.as_ref().map_or(0, |deleted| deleted.documents())
    }

    /// How many passages are not deleted.
    pub(crate) fn live_passages(&self) -> usize {
        self.segment.passages() - self.deleted.as_ref().map_or(0, |deleted| deleted.passages())
    }

    /// The live documents: their places in the segment.
    pub(crate) fn documents(&self) -> impl Iterator<Item = Result<usize, Fault>> + '_ {
        (0..self.segment.documents()).filter_map(|document| match self.is_live_document(document) {
            Ok(true) => Some(Ok(document)),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        })
    }

    pub(crate) fn is_live_document(&self, document: usize) -> Result<bool, Fault> {
        if self.deleted.is_none() {
            return Ok(true);
        }
        Ok(self.is_live(self.segment.passages_of(document)?.start))
    }
}

impl Snapshot {
    /// Opens what the published manifest names. Segments that `before` has open are shared with it.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        pool: &Arc<QueryPool>,
        before: Option<&Arc<Snapshot>>,
    ) -> Result<Arc<Self>> {
        let mut last = None;
        for _ in 0..TRIES {
            let published = storage.manifest().map_err(|error| Error::reading(&**storage, error))?;
            let published = published.ok_or_else(|| Error::damaged(&**storage, "its manifest is missing"))?;
            if let Some(before) = before.filter(|before| before.published == published) {
                return Ok(Arc::clone(before));
            }
            let manifest = read_manifest(&**storage, &published)?;
            match Self::of(storage, pool, before.map(Arc::as_ref), manifest, published)? {
                Opened::Snapshot(snapshot) => return Ok(Arc::new(*snapshot)),
                // A commit has replaced both meanwhile, or it is lost.
                Opened::Missing(name, published) if last.as_ref() == Some(&published) => {
                    return Err(Error::damaged(&**storage, format!("its file {name} is missing")));
                }
                Opened::Missing(_, published) => last = Some(published),
            }
        }
        Err(Error::damaged(&**storage, "its manifest names files that are not there"))
    }

    /// Opens what a manifest names.
    pub(crate) fn of(
        storage: &Arc<dyn Storage>,
        pool: &Arc<QueryPool>,
        before: Option<&Snapshot>,
        manifest: Manifest,
        published: Vec<u8>,
    ) -> Result<Opened> {
        let before = before.filter(|before| before.manifest.index == manifest.index);
        let mut segments = Vec::with_capacity(manifest.segments.len());
        for record in &manifest.segments {
            match open_segment(&**storage, &manifest, record, before)? {
                Ok(view) => segments.push(view),
                Err(missing) => return Ok(Opened::Missing(missing, published)),
            }
        }
        let model = manifest.model.identity();
        let (storage, pool) = (Arc::clone(storage), Arc::clone(pool));
        let sample = OnceLock::new();
        Ok(Opened::Snapshot(Box::new(Self { storage, pool, manifest, published, model, segments, sample })))
    }

    /// The number of the commit that it is of.
    pub fn generation(&self) -> u64 {
        self.manifest.generation
    }

    /// The model it was built with.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// Refuses a model with another fingerprint: its embeddings mean something else.
    ///
    /// # Errors
    /// [`Error::OtherModel`], or [`Error::UnknownModel`] where the index has none.
    pub fn require_model(&self, fingerprint: &str) -> Result<()> {
        self.require_known_model()?;
        if fingerprint == self.model.fingerprint {
            return Ok(());
        }
        Err(Error::OtherModel {
            path: self.storage.path().to_owned(),
            built_with: Box::new(self.model.clone()),
            fingerprint: fingerprint.to_owned(),
        })
    }

    /// Refuses an index of vectors that came from elsewhere: it cannot be asked in words.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub fn require_known_model(&self) -> Result<()> {
        match self.model.is_known() {
            true => Ok(()),
            false => Err(Error::UnknownModel { path: self.storage.path().to_owned() }),
        }
    }

    /// How many live documents it holds.
    pub fn len(&self) -> usize {
        self.manifest.live() as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `ef` of a search that names none.
    pub fn default_ef(&self) -> usize {
        match self.manifest.ef {
            0 => DEFAULT_EF,
            ef => ef as usize,
        }
    }

    /// How well the model understands what is in the index, beside its words: from -1, where the words say more, to 1; 0
    /// where it was never estimated.
    pub fn trust(&self) -> f32 {
        self.manifest.trust.map_or(0.0, |record| record.trust)
    }

    /// How many live passages there were when [`trust`](Self::trust) was estimated; 0 if it never was.
    pub fn trusted_passages(&self) -> usize {
        self.manifest.trust.map_or(0, |record| record.passages as usize)
    }

    /// How many passages the live documents have.
    pub fn live_passages(&self) -> usize {
        self.manifest.segments.iter().map(|record| record.live_passages() as usize).sum()
    }

    /// Whether a document with this id and exactly this text and metadata is there.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn is_unchanged(&self, document: &Document) -> Result<bool> {
        match self.find(&document.id)? {
            Some(doc) => Ok(self.content_hash(doc)? == content_hash(document)),
            None => Ok(false),
        }
    }

    pub(crate) fn content_hash(&self, doc: DocId) -> Result<[u8; 16]> {
        let segment = &self.segments[doc.segment as usize].segment;
        segment.content_hash(doc.document as usize).map_err(|fault| self.fault(fault))
    }

    /// The document of an id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn get(&self, id: &str) -> Result<Option<Document>> {
        self.find(id)?.map(|doc| self.document(doc)).transpose()
    }

    /// The live document of an id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn find(&self, id: &str) -> Result<Option<DocId>> {
        self.find_among(id, &|_| true)
    }

    /// The same, in those segments whose place `within` approves of.
    pub(crate) fn find_among(&self, id: &str, within: &dyn Fn(usize) -> bool) -> Result<Option<DocId>> {
        let hash = id_hash(id);
        let find = || {
            for (at, view) in self.segments.iter().enumerate().rev().filter(|(at, _)| within(*at)) {
                if let Some(document) = view.segment.find(id, hash)?
                    && view.is_live_document(document)?
                {
                    return Ok(Some(DocId { segment: at as u32, document: document as u32 }));
                }
            }
            Ok(None)
        };
        find().map_err(|fault| self.fault(fault))
    }

    /// The live documents, oldest first.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn docs(&self) -> Result<Vec<DocId>> {
        let mut docs = Vec::with_capacity(self.len());
        for (at, view) in self.segments.iter().enumerate() {
            for document in view.documents() {
                let document = document.map_err(|fault| self.fault(fault))? as u32;
                docs.push(DocId { segment: at as u32, document });
            }
        }
        Ok(docs)
    }

    /// A document that this snapshot named.
    ///
    /// # Errors
    /// [`Error::Stale`] if another one named it, [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn document(&self, doc: DocId) -> Result<Document> {
        let view = self.view_of(doc)?;
        view.segment.document(doc.document as usize).map_err(|fault| self.fault(fault))
    }

    /// The unit vectors of a document that this snapshot named, one a passage.
    ///
    /// # Errors
    /// As [`Snapshot::document`].
    pub fn vectors(&self, doc: DocId) -> Result<Vec<Vec<f32>>> {
        let view = self.view_of(doc)?;
        let passages = view.segment.passages_of(doc.document as usize).map_err(|fault| self.fault(fault))?;
        passages.map(|passage| view.segment.vector(passage).map_err(|fault| self.fault(fault))).collect()
    }

    /// The passages of a document that this snapshot named, in the order of its vectors; `None` where the whole text is
    /// one.
    ///
    /// # Errors
    /// As [`Snapshot::document`].
    pub fn passages(&self, doc: DocId) -> Result<Option<Vec<Passage>>> {
        let view = self.view_of(doc)?;
        let segment = &view.segment;
        let spans = || {
            let passages = segment.passages_of(doc.document as usize)?;
            passages.map(|passage| segment.span(passage)).collect::<std::result::Result<Option<_>, _>>()
        };
        spans().map_err(|fault| self.fault(fault))
    }

    pub(super) fn view_of(&self, doc: DocId) -> Result<&SegmentView> {
        let view = self.segments.get(doc.segment as usize);
        view.filter(|view| (doc.document as usize) < view.segment.documents())
            .ok_or(Error::Stale("the document is one of another snapshot"))
    }

    /// The figures of the index. Reads no more than was read when it was opened.
    ///
    /// # Errors
    /// [`Error::Io`] if its files cannot be listed.
    pub fn stat(&self) -> Result<Stat> {
        let records = &self.manifest.segments;
        let deleted = |record: &SegmentRecord| record.deleted.map_or(0, |deleted| deleted.documents as usize);
        let sealed = records.iter().filter_map(|record| {
            Some(SegmentStat {
                id: record.id,
                documents: record.live() as usize,
                deleted: deleted(record),
                graph_edges: record.edges? as usize,
            })
        });
        Ok(Stat {
            documents: self.len(),
            passages: self.live_passages(),
            deleted: records.iter().map(deleted).sum(),
            segments: sealed.collect(),
            pending: records
                .iter()
                .filter(|record| !record.is_sealed())
                .map(|record| record.live() as usize)
                .sum(),
            dimension: self.model.dimension,
            model: self.model.clone(),
            format: FORMAT,
            ef: self.default_ef(),
            bytes_on_disk: self.bytes_on_disk().map_err(|error| Error::reading(&*self.storage, error))?,
        })
    }

    /// Bytes of all files but those that a commit under way, or one that was killed, has not named.
    fn bytes_on_disk(&self) -> io::Result<u64> {
        let named = self.manifest.files();
        let unnamed = self.storage.list()?.into_iter().filter(|(name, _)| !named.contains(name));
        let unnamed: u64 = unnamed.map(|(_, bytes)| bytes).sum();
        Ok(self.storage.bytes()?.saturating_sub(unnamed))
    }

    /// Copies graphs and vectors into memory where there is room for them: for servers and measurements, which
    /// search again and again. The graphs alone a snapshot copies by itself once walks have taken as long as the copy would;
    /// the vectors, three times as large, it otherwise reads from the files, some ten for a query.
    pub fn load(&self) {
        for view in &self.segments {
            view.segment.load_graph();
            view.segment.load_vectors();
        }
    }

    pub(crate) fn fault(&self, fault: Fault) -> Error {
        Error::fault(&*self.storage, fault)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("path", &self.storage.path())
            .field("generation", &self.generation())
            .field("documents", &self.len())
            .finish_non_exhaustive()
    }
}

/// What opening a manifest's files came to.
pub(crate) enum Opened {
    /// All of them.
    Snapshot(Box<Snapshot>),
    /// This file is not there; and the manifest.
    Missing(String, Vec<u8>),
}

/// Reads a published manifest.
pub(crate) fn read_manifest(storage: &dyn Storage, published: &[u8]) -> Result<Manifest> {
    read_manifest_at(storage.path(), published)
}

/// Reads a published manifest. `path` names its index in messages.
pub(crate) fn read_manifest_at(path: &Path, published: &[u8]) -> Result<Manifest> {
    Manifest::from_bytes(published).map_err(|unreadable| match unreadable {
        Unreadable::Format(found) => Error::Format { path: path.to_owned(), found, known: FORMAT },
        Unreadable::Damaged(why) => {
            Error::Damaged { path: path.to_owned(), what: format!("manifest: {why}") }
        }
    })
}

/// Opens a segment and its tombstones, or says which file is missing.
fn open_segment(
    storage: &dyn Storage,
    manifest: &Manifest,
    record: &SegmentRecord,
    before: Option<&Snapshot>,
) -> Result<Result<SegmentView, String>> {
    let open_before = before.and_then(|before| {
        let at = before.manifest.segments.iter().position(|held| held.id == record.id)?;
        Some((&before.manifest.segments[at], &before.segments[at]))
    });
    let segment = match open_before {
        Some((held, view)) if held.checksum == record.checksum => Arc::clone(&view.segment),
        _ => match Segment::open(storage, manifest.index, &manifest.model, record) {
            Ok(segment) => segment,
            Err(Unopened::Missing) => return Ok(Err(crate::segment::write::file_name(record.id))),
            Err(Unopened::Failed(error)) => return Err(error),
        },
    };
    let Some(named) = &record.deleted else {
        return Ok(Ok(SegmentView { segment, deleted: None }));
    };
    if let Some((held, view)) = open_before
        && held.deleted.as_ref() == Some(named)
    {
        return Ok(Ok(SegmentView { segment, deleted: view.deleted.clone() }));
    }
    let (id, generation) = (record.id, named.generation);
    match Deleted::read(storage, manifest.index, id, generation, segment.passages())? {
        Some((deleted, found)) if found == *named => Ok(Ok(SegmentView { segment, deleted: Some(deleted) })),
        Some(_) => {
            let name = crate::segment::deleted_file_name(id, generation);
            Err(Error::damaged(storage, format!("{name}: it is not the file that the manifest names")))
        }
        None => Ok(Err(crate::segment::deleted_file_name(id, generation))),
    }
}
