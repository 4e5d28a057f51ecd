//! Changing an index: every change is whole on the disk when its call returns, or it never was.
//!
//! `open` finishes or undoes what a crash interrupted. `commit` is the one place where a change becomes true;
//! `upsert` and `delete` make changes, `adopt` takes the segments of other indexes, `part` reads such an index and `meeting` finds
//! the documents that both have, `flat` and `merge` put segments together, `compact` makes one of all, and
//! `repair` rebuilds what is lost from what is there.

mod adopt;
mod commit;
mod compact;
mod delete;
mod flat;
mod ids;
mod invert;
mod join;
mod meeting;
mod merge;
mod open;
mod part;
mod repair;
mod upsert;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use self::adopt::{Adopted, Adoption, Keep};
pub use self::flat::{SEAL_PASSAGES, SEGMENT_PASSAGES};
use self::ids::RecentIds;
pub use self::merge::{MERGED_PASSAGES, Merge, Merged};
pub use self::part::Part;
pub use self::repair::{Repaired, RepairedFrom};
use crate::catalogue::Catalogue;
use crate::{Error, Reader, Result, Snapshot};

/// A persistent index of embedded documents, open for changes. There is one at a time; it is a [`Reader`], too.
pub struct Index {
    reader: Reader,
    catalogue: Catalogue,
    /// The ids of documents in segments without a graph.
    recent: RecentIds,
    /// The id of the next segment: above that of the manifest while a merge is under way.
    next_segment: u64,
    /// Files that the last commits no longer name. A reader of another process may be about to open them, so
    /// that each is kept for one commit more.
    unnamed: Vec<String>,
    /// Whether a commit failed when it could not be undone: what is on the disk is known when it is opened again, or recovered.
    failed: bool,
    /// Files of such a commit: it may name them.
    doubtful: Vec<String>,
    /// Dropped last: another may write then.
    lock: Arc<WriterLock>,
}

/// The right to write. A merge has it, too: it writes a file, and the next writer would use the same name.
type WriterLock = dyn Send + Sync;

impl Index {
    /// A reader of this index, for other threads. It sees each commit at once.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Notes of sources of documents, those whose keys begin with `prefix`, in the order of their keys. See
    /// [`write_notes`](Self::write_notes).
    ///
    /// # Errors
    /// [`Error::Catalogue`] if they cannot be read.
    pub fn notes(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.catalogue.notes(&**self.reader.storage(), prefix)
    }

    /// Keeps notes, in place of those with their keys, and removes others: where documents came from, and in what state
    /// it was. They are on the disk with the next commit or when the index is closed. A crash may lose the last ones, and
    /// a repair all. Readers do not see them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key or a value beyond 64 KiB, [`Error::Write`] if the disk takes no more.
    pub fn write_notes(&mut self, written: &[(Vec<u8>, Vec<u8>)], removed: &[Vec<u8>]) -> Result<()> {
        self.require_sound()?;
        let storage = Arc::clone(self.reader.storage());
        self.catalogue.write_notes(&*storage, written, removed)
    }

    /// What the index holds now.
    pub(crate) fn now(&self) -> Arc<Snapshot> {
        self.reader.pinned()
    }

    /// Whether it takes changes. After a write that failed it may not be known whether a commit is true: see [`Index::recover`].
    pub fn is_sound(&self) -> bool {
        !self.failed
    }

    /// Refuses changes after a commit of unknown outcome.
    fn require_sound(&self) -> Result<()> {
        match self.failed {
            false => Ok(()),
            true => Err(Error::Write {
                path: self.reader.storage().path().to_owned(),
                reason: "an earlier write failed, so nothing more is written until it is opened again".into(),
                is_full: false,
            }),
        }
    }

    /// Finds the ids of documents in segments without a graph again, after a commit that put such segments together.
    /// Without them a document could be added a second time, so that nothing more is written if that fails.
    fn find_recent_ids(&mut self) -> Result<()> {
        let now = self.now();
        self.recent = RecentIds::of(&now).map_err(|fault| {
            self.failed = true;
            now.fault(fault)
        })?;
        Ok(())
    }

    /// The id of a new segment.
    fn new_segment(&mut self) -> u64 {
        self.next_segment += 1;
        self.next_segment - 1
    }
}

impl Deref for Index {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // What cannot be removed now goes at the next open.
        for name in std::mem::take(&mut self.unnamed) {
            let _ = self.reader.storage().remove(&name);
        }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Index").field(&self.reader).finish()
    }
}
