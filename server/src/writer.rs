//! Changes an index: one writer, whose commits are on the disk when a request is acknowledged.

use std::collections::HashSet;
use std::ops::{ControlFlow, Deref, DerefMut};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use akin_encoder::Role;
use akin_index::{Document, Embeddings, Index, Passage, Reader, Selection, Snapshot};
use akin_indexer::corpus::Skipped;
use akin_indexer::passages::Cutter;

use crate::error::{ApiError, Kind};
use crate::patience::Waiting;
use crate::room::Room;

/// The writer of an index.
pub struct Writer {
    /// Taken for a commit, not while texts are encoded. None while it cannot be opened for want of room.
    index: Mutex<Option<Index>>,
    /// Its folder.
    folder: PathBuf,
    /// The reader that sees each commit at once, when the index is open.
    reader: OnceLock<Reader>,
    /// Whether segments are being merged.
    merging: AtomicBool,
}

/// What a request changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Documents whose id was new.
    pub added: usize,
    /// Documents that took the place of one with the same id.
    pub replaced: usize,
    /// Documents that were there already as they are.
    pub unchanged: usize,
}

impl Writer {
    /// The writer of an index that is open, in the folder at `path`.
    pub fn new(index: Index, folder: PathBuf) -> Self {
        let reader = OnceLock::from(index.reader());
        Self { index: Mutex::new(Some(index)), folder, reader, merging: AtomicBool::new(false) }
    }

    /// The writer of the index in a folder, on a disk without room: opening an index for changes writes to it. Each change tries
    /// that again, and is refused until there is room.
    pub fn waiting_for_room(folder: PathBuf) -> Self {
        Self { index: Mutex::new(None), folder, reader: OnceLock::new(), merging: AtomicBool::new(false) }
    }

    /// The reader that sees each commit at once, when the index is open.
    pub fn reader(&self) -> Option<&Reader> {
        self.reader.get()
    }

    /// Adds documents, or replaces those of the same ids. All of them are on the disk when it returns, or none. Their
    /// texts are encoded in the engine room beside those of other clients.
    pub fn write(
        &self,
        room: &Room,
        documents: Vec<Document>,
        waiting: &Waiting,
    ) -> Result<Written, ApiError> {
        refuse_repeated(&documents)?;
        let snapshot = self.lock()?.reader().snapshot();
        let before = documents.len();
        let mut changed = Vec::with_capacity(before);
        for document in documents {
            if !snapshot.is_unchanged(&document)? {
                changed.push(document);
            }
        }
        let unchanged = before - changed.len();
        if changed.is_empty() {
            return Ok(Written { unchanged, ..Written::default() });
        }
        let cutter = Cutter::new(room.encoder(), snapshot.model().passages)?;
        let passages: Vec<Vec<Passage>> =
            changed.iter().map(|document| cutter.cut_document(document)).collect::<Result<_, _>>()?;
        let texts: Vec<String> = changed
            .iter()
            .zip(&passages)
            .flat_map(|(document, passages)| passages.iter().map(|passage| part(&document.text, passage)))
            .collect();
        let several = texts.len() > changed.len();
        let texts = room.measure(texts)?;
        let embeddings = room.encode(Some(Role::Document), texts, waiting.clone())?.wait()?;
        let mut index = self.lock()?;
        if waiting.is_gone() {
            return Err(gone());
        }
        let upserted =
            index.upsert_passages(&changed, several.then_some(passages.as_slice()), &embeddings)?;
        Ok(Written { added: upserted.added, replaced: upserted.replaced, unchanged })
    }

    /// Adds documents with vectors that were made elsewhere, a row each, or replaces those of the same ids. All of them are
    /// on the disk when it returns, or none.
    pub fn put(
        &self,
        documents: &[Document],
        embeddings: &Embeddings,
        waiting: &Waiting,
    ) -> Result<Written, ApiError> {
        let mut index = self.lock()?;
        if waiting.is_gone() {
            return Err(gone());
        }
        let upserted = index.upsert(documents, embeddings)?;
        Ok(Written { added: upserted.added, replaced: upserted.replaced, unchanged: 0 })
    }

    /// Replaces documents by what `make` makes of the newest commit. All of them are on the disk when it returns, or none.
    pub fn rewrite(
        &self,
        make: impl FnOnce(&Snapshot) -> Result<(Vec<Document>, Embeddings), ApiError>,
        waiting: &Waiting,
    ) -> Result<(), ApiError> {
        // Locked first: nothing is committed between the reading and the writing.
        let mut index = self.lock()?;
        let snapshot = index.snapshot();
        let (documents, embeddings) = make(&snapshot)?;
        if waiting.is_gone() {
            return Err(gone());
        }
        if !documents.is_empty() {
            index.upsert(&documents, &embeddings)?;
        }
        Ok(())
    }

    /// Deletes the documents that `select` chooses of the newest commit, and tells how many there were.
    pub fn delete_selected(
        &self,
        select: impl FnOnce(&Snapshot) -> Result<Selection, ApiError>,
        waiting: &Waiting,
    ) -> Result<usize, ApiError> {
        // Locked first: nothing is committed between the choice and the deletion.
        let mut index = self.lock()?;
        let snapshot = index.reader().snapshot();
        let docs = snapshot.docs_among(&select(&snapshot)?)?;
        let ids: Vec<String> =
            docs.into_iter().map(|doc| Ok(snapshot.document(doc)?.id)).collect::<Result<_, ApiError>>()?;
        if waiting.is_gone() {
            return Err(gone());
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Ok(index.delete(&ids)?.into_iter().filter(|existed| *existed).count())
    }

    /// Deletes documents, and tells how many there were.
    pub fn delete(&self, ids: &[String], waiting: &Waiting) -> Result<usize, ApiError> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut index = self.lock()?;
        if waiting.is_gone() {
            return Err(gone());
        }
        Ok(index.delete(&ids)?.into_iter().filter(|existed| *existed).count())
    }

    /// Files of which no document could be made when they were indexed; none while nobody can tell for want of room.
    pub fn skipped_files(&self) -> Result<Option<Vec<Skipped>>, ApiError> {
        let held = self.held()?;
        Ok(held.as_ref().map(akin_indexer::skipped_files).transpose()?)
    }

    /// Merges segments that are many. Only the moment in which a merged one takes its place holds up a commit.
    pub fn merge(&self) {
        if self.reader.get().is_none() || self.merging.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.merge_due() {
            tracing::warn!("segments could not be merged, and stay as they are: {error}");
        }
        self.merging.store(false, Ordering::Release);
    }

    fn merge_due(&self) -> Result<(), ApiError> {
        loop {
            let due = self.lock()?.due_merge();
            let Some(merge) = due else { return Ok(()) };
            let merged = merge.run(&|_, _| ControlFlow::Continue(()))?;
            self.lock()?.take_merged(merged)?;
        }
    }

    /// The index, to change it: after a write that failed it goes on once the disk takes it.
    fn lock(&self) -> Result<Held<'_>, ApiError> {
        let mut held = self.held()?;
        match &mut *held {
            Some(index) => index.recover()?,
            None => {
                let index = Index::open(&self.folder)?;
                self.reader.get_or_init(|| index.reader());
                *held = Some(index);
                tracing::info!("{} takes changes again", self.folder.display());
            }
        }
        Ok(Held(held))
    }

    /// The index, if it is open. A writer that panicked is not trusted with more.
    fn held(&self) -> Result<MutexGuard<'_, Option<Index>>, ApiError> {
        self.index.lock().map_err(|_: PoisonError<_>| {
            ApiError::new(
                Kind::Unavailable,
                "the writer of this index has failed: what was acknowledged is on the disk",
            )
        })
    }
}

/// An index that is open, and held by one change.
struct Held<'a>(MutexGuard<'a, Option<Index>>);

impl Deref for Held<'_> {
    type Target = Index;
    fn deref(&self) -> &Index {
        self.0.as_ref().expect("it is held only when it is open")
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Index {
        self.0.as_mut().expect("it is held only when it is open")
    }
}

/// The work of a request that nobody waits for is not committed: it was never acknowledged.
pub fn gone() -> ApiError {
    ApiError::new(Kind::Timeout, "the client is gone, and nothing was changed")
}

/// The text of a passage.
pub fn part(text: &str, passage: &Passage) -> String {
    text.get(passage.start as usize..passage.end as usize).unwrap_or("").to_owned()
}

/// Refuses documents of which two have the same id.
pub fn refuse_repeated(documents: &[Document]) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    match documents.iter().find(|document| !seen.insert(&document.id)) {
        Some(twice) => {
            let id = crate::app::quoted(&twice.id);
            Err(ApiError::field(
                "documents",
                format!("the id {id} comes twice among the documents of a request"),
            ))
        }
        None => Ok(()),
    }
}

/// Merges on a thread of its own when a request is answered.
pub fn merge_later(writer: &Arc<Writer>) {
    let writer = Arc::clone(writer);
    drop(tokio::task::spawn_blocking(move || writer.merge()));
}
