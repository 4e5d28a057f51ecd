//! Reading an index, from any number of threads and processes, also while one writes.
//!
//! A [`Reader`] pins the [`Snapshot`] that it saw last and looks for newer ones when it is told to, or by
//! itself. A snapshot never changes: `search` asks it, `select` narrows it down by a filter, `selected` puts such
//! selections together, `verify` mistrusts it, `background` tells what is near by chance, `within` scores the passages of
//! one document, `likeness` texts by their words, `marks` tells the words of a query in a text. No call of a reader takes a
//! lock that a commit takes, and none waits for a writer.

mod background;
mod likeness;
mod marks;
mod pool;
mod search;
mod select;
mod select_words;
mod selected;
pub(crate) mod snapshot;
mod verify;
mod within;
mod words;
#[cfg(test)]
mod words_tests;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use self::background::Background;
pub use self::marks::Marker;
pub use self::select::Selection;
pub use self::snapshot::Snapshot;

pub(crate) use self::pool::QueryPool;
use crate::storage::{Folder, Stamp, Storage};
use crate::{Document, Hit, ModelIdentity, Neighbor, Result, SearchOptions, Stat, Verification};

/// When a reader looks for newer commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reload {
    /// When [`Reader::reload`] is called.
    #[default]
    OnDemand,
    /// Whenever it is asked for its snapshot: it looks at the manifest's file, which takes some microseconds.
    OnChange,
}

/// How to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReaderOptions {
    /// When to look for newer commits.
    pub reload: Reload,
    /// Threads that search, apart from those of rayon's global pool; as many as that has if none are named.
    pub threads: Option<usize>,
}

/// Reads an index. Its clones share what they read.
///
/// Opening one takes no lock, writes nothing, and reads no more than the manifest and the ends of the files
/// that it names: it works on read-only media, beside a writer, and for an index larger than memory.
#[derive(Clone)]
pub struct Reader {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a reader have in common, and the writer of the same process with them.
pub(crate) struct Shared {
    storage: Arc<dyn Storage>,
    pool: Arc<QueryPool>,
    reload: Reload,
    /// Held only while it is read or replaced, which are moves of a pointer.
    current: RwLock<Arc<Snapshot>>,
    /// The manifest's file when it was last looked at. Its lock lets one thread reload at a time.
    stamp: Mutex<Stamp>,
}

impl Reader {
    /// Reads the index in the folder at `path`.
    ///
    /// # Errors
    /// [`NotAnIndex`](crate::Error::NotAnIndex) if there is none, [`Format`](crate::Error::Format) if it is of
    /// another version, [`Damaged`](crate::Error::Damaged) if a checksum does not hold.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, ReaderOptions::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_with(path: &Path, options: ReaderOptions) -> Result<Self> {
        crate::folder::require_index(path)?;
        Self::of(Arc::new(Folder::new(path)), options)
    }

    /// Reads the index in a storage.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn of(storage: Arc<dyn Storage>, options: ReaderOptions) -> Result<Self> {
        let pool = Arc::new(QueryPool::new(options.threads));
        // Asked for first: a commit in between is noticed later.
        let stamp = storage.manifest_stamp().unwrap_or_default();
        let snapshot = Snapshot::open(&storage, &pool, None)?;
        Ok(Self::with(storage, pool, options.reload, snapshot, stamp))
    }

    pub(crate) fn with(
        storage: Arc<dyn Storage>,
        pool: Arc<QueryPool>,
        reload: Reload,
        snapshot: Arc<Snapshot>,
        stamp: Stamp,
    ) -> Self {
        let (current, stamp) = (RwLock::new(snapshot), Mutex::new(stamp));
        Self { shared: Arc::new(Shared { storage, pool, reload, current, stamp }) }
    }

    /// What the index holds, as of one commit. With [`Reload::OnChange`] that is the newest; where a newer one
    /// cannot be opened the older one stays.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        if self.shared.reload == Reload::OnChange
            && let Err(error) = self.reload()
        {
            tracing::warn!("a newer commit cannot be read: {error}");
        }
        self.pinned()
    }

    /// The snapshot that was opened last.
    pub(crate) fn pinned(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for a newer commit, and tells whether there was one.
    ///
    /// # Errors
    /// As [`Reader::open`]; the snapshot that was opened before stays.
    pub fn reload(&self) -> Result<bool> {
        let mut seen = self.shared.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let storage = &self.shared.storage;
        let stamp = storage.manifest_stamp().map_err(|error| crate::Error::reading(&**storage, error))?;
        if stamp == *seen {
            return Ok(false);
        }
        let before = self.pinned();
        let snapshot = Snapshot::open(storage, &self.shared.pool, Some(&before))?;
        *seen = stamp;
        let newer = !Arc::ptr_eq(&snapshot, &before);
        self.replace(snapshot);
        Ok(newer)
    }

    /// Shows a snapshot from now on.
    pub(crate) fn replace(&self, snapshot: Arc<Snapshot>) {
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.shared.storage
    }

    pub(crate) fn pool(&self) -> &Arc<QueryPool> {
        &self.shared.pool
    }

    /// The model it was built with.
    pub fn model(&self) -> ModelIdentity {
        self.pinned().model().clone()
    }

    /// How many live documents it holds.
    pub fn len(&self) -> usize {
        self.snapshot().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// [`Snapshot::search`] of the current snapshot.
    ///
    /// # Errors
    /// As there.
    pub fn search(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Hit>> {
        self.snapshot().search(query, options)
    }

    /// [`Snapshot::nearest`] of the current snapshot.
    ///
    /// # Errors
    /// As there.
    pub fn nearest(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Neighbor>> {
        self.snapshot().nearest(query, options)
    }

    /// [`Snapshot::get`] of the current snapshot.
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, id: &str) -> Result<Option<Document>> {
        self.snapshot().get(id)
    }

    /// [`Snapshot::select`] of the current snapshot.
    ///
    /// # Errors
    /// As there.
    pub fn select(&self, filter: &crate::Filter) -> Result<Selection> {
        self.snapshot().select(filter)
    }

    /// [`Snapshot::stat`] of the current snapshot.
    ///
    /// # Errors
    /// As there.
    pub fn stat(&self) -> Result<Stat> {
        self.snapshot().stat()
    }

    /// [`Snapshot::verify`] of the current snapshot.
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self) -> Result<Verification> {
        self.snapshot().verify()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.shared.storage.path())
            .field("documents", &self.pinned().len())
            .finish_non_exhaustive()
    }
}
