//! An index whose segments another takes over: it is read, and never written to.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalogue::notes_of_copy;
use crate::reader::Reader;
use crate::storage::{CatalogueHome, Folder, Storage};
use crate::{Error, ModelIdentity, ReaderOptions, Result, Snapshot};

/// A key and its value.
type Note = (Vec<u8>, Vec<u8>);

/// An index that another may [adopt](crate::Index::adopt). Nobody changes it while this is open, unless it lies where this process
/// may not write.
pub struct Part {
    pub(super) snapshot: Arc<Snapshot>,
    storage: Arc<dyn Storage>,
    _lock: Option<Box<dyn Send + Sync>>,
}

impl Part {
    /// Opens the index in the folder at `path`.
    ///
    /// # Errors
    /// As [`Reader::open`], and [`Error::Locked`] while a writer holds it.
    pub fn open(path: &Path) -> Result<Self> {
        crate::folder::require_index(path)?;
        Self::open_in(Arc::new(Folder::new(path)))
    }

    /// Opens the index in a storage.
    ///
    /// # Errors
    /// As [`Part::open`].
    pub fn open_in(storage: Arc<dyn Storage>) -> Result<Self> {
        let lock = match storage.lock() {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(Error::Locked { path: storage.path().to_owned() });
            }
            // Media that cannot be written to have no writer here either.
            Err(_) => None,
        };
        let reader = Reader::of(Arc::clone(&storage), ReaderOptions::default())?;
        Ok(Self { snapshot: reader.snapshot(), storage, _lock: lock })
    }

    /// What it holds.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Refuses it where its vectors or texts were made in another way than those of the index at `path`, which has this `model`.
    ///
    /// # Errors
    /// [`Error::OtherPart`], which says what differs.
    pub fn require_like(&self, path: &Path, model: &ModelIdentity) -> Result<()> {
        match model.difference(self.snapshot.model()) {
            None => Ok(()),
            Some(what) => Err(Error::OtherPart { part: self.path().to_owned(), path: path.to_owned(), what }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.storage.path()
    }

    /// Its notes of where documents are from, read from a copy of its catalogue in `scratch`, which is removed again. None where the
    /// catalogue is not there or cannot be read: notes may be lost.
    pub(super) fn notes(&self, scratch: &Path) -> Vec<Note> {
        match self.storage.catalogue() {
            CatalogueHome::Memory(records) => crate::catalogue::notes_in(&records, b""),
            CatalogueHome::Folder(folder) if !folder.is_dir() => Vec::new(),
            CatalogueHome::Folder(folder) => notes_of_copy(&folder, scratch).unwrap_or_else(|why| {
                tracing::warn!("what {} knows of its sources cannot be read: {why}", self.path().display());
                Vec::new()
            }),
        }
    }
}

/// Where an index puts the copy of a part's catalogue.
pub(super) fn scratch_of(storage: &dyn Storage) -> PathBuf {
    match storage.catalogue() {
        CatalogueHome::Folder(folder) => folder.with_extension("adopting"),
        CatalogueHome::Memory(_) => {
            std::env::temp_dir().join(format!("akin-adopting-{}", std::process::id()))
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.snapshot).finish()
    }
}
