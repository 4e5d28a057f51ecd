//! Compacting: one segment of all, without a byte that nothing needs; and bringing an older format up to this one.

use std::path::Path;
use std::sync::Arc;

use super::Index;
use super::flat::SEAL_PASSAGES;
use super::invert::lacks_words;
use super::join::join;
use crate::folder::{Contents, contents};
use crate::progress::Progress;
use crate::reader::snapshot::SegmentView;
use crate::storage::{Folder, Storage};
use crate::upgrade::OlderIndex;
use crate::{Compaction, Embeddings, Error, ModelIdentity, Result};

/// Documents of an older index that are committed together.
const BATCH: usize = 4096;

impl Index {
    /// Makes one segment of all, without what was deleted, and with words where an earlier release wrote none. Readers go on meanwhile, and whenever the process
    /// ends, the index is the old one or the new one. While it works it takes as much room again on the disk.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more, [`Error::Cancelled`] if `progress` stopped it: the index is
    /// the old one then, and can be used.
    pub fn compact(&mut self, progress: Progress<'_>) -> Result<Compaction> {
        self.require_sound()?;
        let snapshot = self.now();
        let reading = |error| Error::reading(&*snapshot.storage, error);
        let bytes_before = snapshot.storage.bytes().map_err(reading)?;
        let documents = snapshot.len();
        let passages: usize = snapshot.segments.iter().map(SegmentView::live_passages).sum();
        let removed = snapshot.segments.iter().map(|view| view.segment.documents() - view.live()).sum();
        let graph = passages >= SEAL_PASSAGES && snapshot.model().similarity.is_product();
        let is_compact = match &snapshot.segments[..] {
            [] => true,
            [only] => {
                let lacks = || Ok(!only.segment.has_columns()? || lacks_words(only)?);
                let lacks = || lacks().map_err(|fault| snapshot.fault(fault));
                only.deleted.is_none() && only.segment.has_graph() == graph && !lacks()?
            }
            _ => false,
        };
        if !is_compact {
            let id = self.new_segment();
            let record = join(&snapshot, &snapshot.segments, id, graph, progress)?;
            self.replace(&snapshot, &snapshot.segments, record)?;
            self.find_recent_ids()?;
        }
        // What cannot be removed now goes with the next commit, or at the next open.
        self.unnamed.retain(|name| snapshot.storage.remove(name).is_err());
        let bytes_after = snapshot.storage.bytes().map_err(reading)?;
        Ok(Compaction { documents, removed, bytes_before, bytes_after })
    }

    /// Opens the index at `path`, and brings it up to this format first if it is of format 3. Whenever the
    /// process ends, the index is the old one or the new one. Tells the bytes before, if it was older.
    ///
    /// # Errors
    /// As [`Index::open`], and [`Error::Format`] for formats 1 and 2, which cannot be read.
    pub fn open_or_upgrade(path: &Path, progress: Progress<'_>) -> Result<(Self, Option<u64>)> {
        if contents(path)? != Contents::Older {
            return Ok((Self::open(path)?, None));
        }
        let storage: Arc<dyn Storage> = Arc::new(Folder::new(path));
        let bytes = storage.bytes().map_err(|error| Error::reading(&*storage, error))?;
        let older = OlderIndex::open(path)?;
        let index = upgrade(&older, &storage, progress)?;
        older.remove()?;
        Ok((index, Some(bytes)))
    }
}

/// Writes the documents of an older index as one of this format beside it, and publishes it when it is whole.
fn upgrade(older: &OlderIndex, storage: &Arc<dyn Storage>, progress: Progress<'_>) -> Result<Index> {
    let (fingerprint, location, dimension) = older.model();
    let model = ModelIdentity::new(fingerprint, location, dimension);
    let unpublished = Arc::new(super::repair::Unpublished::new(Arc::clone(storage)));
    // What an interrupted upgrade left is begun anew.
    unpublished.clear()?;
    let mut index = Index::open_or_create_in(unpublished.clone(), &model)?;
    older.each_batch(BATCH, &mut |documents, values| {
        if progress(0, older.documents()).is_break() {
            return Err(Error::Cancelled);
        }
        index.upsert(&documents, &Embeddings::from_values(dimension, values)).map(drop)
    })?;
    index.seal(progress)?;
    if older.ef() > 0 {
        index.set_default_ef(older.ef() as usize)?;
    }
    drop(index);
    unpublished.publish_now()?;
    Index::open_in(Arc::clone(storage))
}
