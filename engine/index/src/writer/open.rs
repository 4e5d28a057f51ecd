//! Opening an index for changes, and creating one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::Index;
use super::ids::RecentIds;
use crate::catalogue::{Catalogue, refuses_writes};
use crate::error::Found;
use crate::folder::{Contents, contents};
use crate::manifest::{DIMENSION_LIMIT, FORMAT, Manifest};
use crate::reader::snapshot::{Opened, Snapshot, read_manifest};
use crate::reader::{QueryPool, Reload};
use crate::storage::folder::sync_folder;
use crate::storage::{Folder, Storage};
use crate::{Error, ModelIdentity, Reader, Result};

impl Index {
    /// Opens the index in the folder at `path` for changes.
    ///
    /// # Errors
    /// [`Error::NotAnIndex`] if there is none, [`Error::Locked`] while another writer holds it,
    /// [`Error::Format`] if it is of another version, [`Error::Damaged`] and [`Error::Catalogue`] if a checksum
    /// does not hold, [`Error::Write`] without permission to write.
    pub fn open(path: &Path) -> Result<Self> {
        crate::folder::require_index(path)?;
        // An upgrade that was interrupted when the new index was complete leaves the old one beside it.
        crate::upgrade::remove_leftovers(path)?;
        Self::open_in(Arc::new(Folder::new(path)))
    }

    /// Opens the index in the folder at `path`, or begins a new one there for embeddings of `model`. A missing
    /// or empty folder becomes an index. An index is told the new `location` of its model if that has moved.
    ///
    /// # Errors
    /// As [`Index::open`], and [`Error::OtherModel`] or [`Error::Dimension`] if it was built with another model.
    pub fn open_or_create(path: &Path, model: &ModelIdentity) -> Result<Self> {
        match contents(path)? {
            // An upgrade that was interrupted when the new index was complete leaves the old one beside it.
            Contents::Index => crate::upgrade::remove_leftovers(path)?,
            Contents::Older => {
                return Err(Error::Format { path: path.to_owned(), found: 3, known: FORMAT });
            }
            Contents::Other(Found::Nothing) => {
                create_folder(path).map_err(|error| Error::writing_at(path, &error))?;
            }
            Contents::Other(Found::EmptyFolder | Found::Interrupted) => {}
            Contents::Other(found) => return Err(Error::NotAnIndex { path: path.to_owned(), found }),
        }
        Self::open_or_create_in(Arc::new(Folder::new(path)), model)
    }

    /// Opens the index in a storage for changes.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_in(storage: Arc<dyn Storage>) -> Result<Self> {
        Self::claim(storage, None)
    }

    /// Opens the index in a storage, or begins a new one there.
    ///
    /// # Errors
    /// As [`Index::open_or_create`].
    pub fn open_or_create_in(storage: Arc<dyn Storage>, model: &ModelIdentity) -> Result<Self> {
        if !(1..=DIMENSION_LIMIT).contains(&(model.dimension as u64)) {
            return Err(Error::Invalid(format!(
                "an embedding has 1 to {DIMENSION_LIMIT} dimensions, not {}",
                model.dimension
            )));
        }
        let mut index = Self::claim(storage, Some(model))?;
        let snapshot = index.now();
        if snapshot.model().fingerprint != model.fingerprint {
            snapshot.require_model(&model.fingerprint)?;
        }
        if snapshot.model().dimension != model.dimension {
            return Err(Error::Dimension {
                path: snapshot.storage.path().to_owned(),
                expected: snapshot.model().dimension,
                found: model.dimension,
            });
        }
        if snapshot.model().location != model.location {
            let mut manifest = snapshot.manifest.clone();
            manifest.model.location.clone_from(&model.location);
            index.commit(manifest)?;
        }
        Ok(index)
    }

    fn claim(storage: Arc<dyn Storage>, create: Option<&ModelIdentity>) -> Result<Self> {
        let lock = storage.lock().map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Error::Locked { path: storage.path().to_owned() },
            kind if refuses_writes(kind) => Error::writing(&*storage, &error),
            _ => Error::Io { action: "lock", path: storage.path().to_owned(), source: error },
        })?;
        let mut catalogue = match Catalogue::open(&*storage) {
            Err(Error::Catalogue { .. }) if create.is_some() && is_unborn(&*storage)? => {
                crate::catalogue::remove(&*storage)?;
                Catalogue::open(&*storage)?
            }
            other => other?,
        };
        let manifest = settle(&*storage, &mut catalogue, create)?;
        let pool = Arc::new(QueryPool::new(None));
        let published = manifest.to_bytes();
        let snapshot = match Snapshot::of(&storage, &pool, None, manifest, published)? {
            Opened::Snapshot(snapshot) => Arc::new(*snapshot),
            Opened::Missing(name, _) => {
                return Err(Error::damaged(&*storage, format!("its file {name} is missing")));
            }
        };
        remove_unnamed(&*storage, &snapshot)?;
        let recent = RecentIds::of(&snapshot).map_err(|fault| snapshot.fault(fault))?;
        let next_segment = snapshot.manifest.next_segment;
        let reader = Reader::with(storage, pool, Reload::OnDemand, snapshot, Default::default());
        Ok(Self {
            reader,
            catalogue,
            recent,
            next_segment,
            unnamed: Vec::new(),
            failed: false,
            doubtful: Vec::new(),
            lock: lock.into(),
        })
    }
}

impl Index {
    /// Goes on after a write that failed, as if the index were opened again: whatever is true of the last commit is seen by all
    /// readers, and changes are taken. The lock is kept meanwhile. Nothing happens where no write has failed.
    ///
    /// # Errors
    /// As [`Index::open`]: [`Error::Write`] while the disk takes no more. It may be tried again.
    pub fn recover(&mut self) -> Result<()> {
        if !self.failed {
            return Ok(());
        }
        let storage = Arc::clone(self.reader.storage());
        self.catalogue.reopen(&*storage)?;
        let manifest = settle(&*storage, &mut self.catalogue, None)?;
        let (before, published) = (self.now(), manifest.to_bytes());
        let opened = Snapshot::of(&storage, self.reader.pool(), Some(&before), manifest, published)?;
        let snapshot = match opened {
            Opened::Snapshot(snapshot) => Arc::new(*snapshot),
            Opened::Missing(name, _) => {
                return Err(Error::damaged(&*storage, format!("its file {name} is missing")));
            }
        };
        self.recent = RecentIds::of(&snapshot).map_err(|fault| snapshot.fault(fault))?;
        self.next_segment = self.next_segment.max(snapshot.manifest.next_segment);
        let named = snapshot.manifest.files();
        for name in std::mem::take(&mut self.doubtful).iter().filter(|name| !named.contains(*name)) {
            if let Err(error) = storage.remove(name) {
                tracing::warn!("cannot remove {name}: {error}");
            }
        }
        self.reader.replace(snapshot);
        self.failed = false;
        Ok(())
    }
}

/// Makes a folder and those above it, durably: what is committed in it must not vanish with its name.
fn create_folder(path: &Path) -> std::io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(&path)?;
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(sync_folder)
}

/// Whether creating the index was interrupted: nothing was published, so that no document was added.
fn is_unborn(storage: &dyn Storage) -> Result<bool> {
    let reading = |error| Error::reading(storage, error);
    Ok(storage.manifest().map_err(reading)?.is_none() && storage.list().map_err(reading)?.is_empty())
}

/// Brings the catalogue and the published manifest to the same commit, the newer of the two: its files were on
/// the disk before either named them.
fn settle(
    storage: &dyn Storage,
    catalogue: &mut Catalogue,
    create: Option<&ModelIdentity>,
) -> Result<Manifest> {
    let published = storage.manifest().map_err(|error| Error::reading(storage, error))?;
    if published.is_some() {
        // Files of the commit before it are removed below, so a loss of power must not bring that one back.
        storage.sync_manifest().map_err(|error| Error::writing(storage, &error))?;
    }
    let committed = catalogue.manifest(storage)?;
    match (published, committed) {
        (None, None) if !is_unborn(storage)? => {
            Err(Error::damaged(storage, "its manifest is missing, and its catalogue is empty"))
        }
        (None, None) => {
            let not_an_index =
                || Error::NotAnIndex { path: storage.path().to_owned(), found: Found::Interrupted };
            let manifest = Manifest::begin(create.ok_or_else(not_an_index)?);
            catalogue.commit(storage, &manifest.to_bytes())?;
            publish(storage, &manifest.to_bytes(), None)?;
            Ok(manifest)
        }
        (None, Some(committed)) => {
            let manifest = committed_manifest(storage, &committed)?;
            publish(storage, &committed, None)?;
            Ok(manifest)
        }
        (Some(published), None) => {
            let manifest = read_manifest(storage, &published)?;
            tracing::warn!("the catalogue of {} was empty: begun anew", storage.path().display());
            catalogue.commit(storage, &published)?;
            Ok(manifest)
        }
        (Some(published), Some(committed)) => {
            let shown = read_manifest(storage, &published)?;
            let known = committed_manifest(storage, &committed)?;
            let other = |what: &str| Error::Catalogue { path: storage.path().to_owned(), what: what.into() };
            match known.generation.cmp(&shown.generation) {
                _ if known.index != shown.index => Err(other("it belongs to another index")),
                std::cmp::Ordering::Greater => {
                    publish(storage, &committed, Some(&published))?;
                    Ok(known)
                }
                std::cmp::Ordering::Less => {
                    tracing::warn!("the catalogue of {} had lost commits", storage.path().display());
                    catalogue.commit(storage, &published)?;
                    Ok(shown)
                }
                std::cmp::Ordering::Equal if known != shown => {
                    Err(other("it has another commit of the same number than the manifest"))
                }
                std::cmp::Ordering::Equal => Ok(shown),
            }
        }
    }
}

fn committed_manifest(storage: &dyn Storage, committed: &[u8]) -> Result<Manifest> {
    read_manifest(storage, committed).map_err(|error| match error {
        Error::Damaged { path, what } => Error::Catalogue { path, what },
        other => other,
    })
}

fn publish(storage: &dyn Storage, manifest: &[u8], expected: Option<&[u8]>) -> Result<()> {
    storage.publish(manifest, expected).map_err(|error| Error::writing(storage, &error))
}

/// Removes files that the manifest does not name: those of interrupted commits and of segments that were merged.
fn remove_unnamed(storage: &dyn Storage, snapshot: &Snapshot) -> Result<()> {
    let named = snapshot.manifest.files();
    let files = storage.list().map_err(|error| Error::reading(storage, error))?;
    for (name, _) in files.iter().filter(|(name, _)| !named.contains(name)) {
        // What another process holds open on a system that forbids it goes later.
        if let Err(error) = storage.remove(name) {
            tracing::warn!("cannot remove {name}: {error}");
        }
    }
    Ok(())
}
