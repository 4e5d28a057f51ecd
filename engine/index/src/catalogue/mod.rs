//! The catalogue: the writer's database (sled). Readers never open it.
//!
//! It has the manifest as it was committed. A commit writes it here first and publishes it then; whichever of
//! the two is ahead after a crash, the next writer brings the other up to it. Beside it are notes (`notes.rs`): where the
//! sources of documents are, and what state they were in when they were indexed.
//!
//! The ids of documents are not here but in the segments, since readers look for them as well.

mod notes;
mod shield;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use self::notes::{notes_in, notes_of_copy};
pub use self::shield::catches_panics;
pub(crate) use self::shield::refuses_writes;
use self::shield::{Failure, shield};
use crate::storage::folder::sync_folder;
use crate::storage::memory::Records;
use crate::storage::{CatalogueHome, Storage};
use crate::{Error, Result};

/// What sled keeps of its pages in memory.
const CACHE_BYTES: u64 = 8 << 20;

/// The pieces that sled writes its log in. A value longer than a quarter of one would go into a file of its
/// own, which sled does not sync.
const LOG_SEGMENT_BYTES: usize = 1 << 20;

/// The longest value that is kept in one piece.
const VALUE_BYTES: usize = 128 << 10;

/// How long sled's log may be locked after the index was dropped: background threads of sled in this process drop
/// their handles a moment later.
const RELEASE_WAIT: Duration = Duration::from_secs(5);

/// The record of the committed manifest, in pieces: each key ends in the number of its piece.
const MANIFEST: &[u8] = b"manifest/";

/// The catalogue of an index.
pub(crate) enum Catalogue {
    Sled(Database),
    Memory(Arc<Records>),
}

/// The handles into sled; none after a panic, when nothing more may be written through them.
pub(crate) struct Database {
    folder: PathBuf,
    open: Option<Open>,
}

struct Open {
    db: sled::Db,
    /// Sled's log, to have it on the disk itself and not in a cache of the system.
    log: File,
}

impl Catalogue {
    /// Opens the catalogue, or makes it.
    ///
    /// # Errors
    /// [`Error::Catalogue`] if it is damaged, [`Error::Write`] without permission to write,
    /// [`Error::Locked`] while another holds it.
    pub(crate) fn open(storage: &dyn Storage) -> Result<Self> {
        match storage.catalogue() {
            CatalogueHome::Memory(records) => Ok(Self::Memory(records)),
            CatalogueHome::Folder(folder) => {
                if let Some(name) = strange_file(&folder) {
                    return Err(damaged(storage, format!("{} is not a file", name.display())));
                }
                // What an earlier process left of one that sled gave up on.
                let _ = std::fs::remove_dir_all(failed(&folder));
                let open = open_database(&folder).map_err(|failure| opening(storage, &failure))?;
                storage.catalogue_synced();
                Ok(Self::Sled(Database { folder, open: Some(open) }))
            }
        }
    }

    /// Closes it and opens it again: what a write that failed has left in the handles is gone.
    ///
    /// # Errors
    /// As [`Catalogue::open`].
    pub(crate) fn reopen(&mut self, storage: &dyn Storage) -> Result<()> {
        if let Self::Sled(database) = self {
            database.close();
            *self = Self::open(storage)?;
        }
        Ok(())
    }

    /// The manifest that was committed last, if there is one.
    pub(crate) fn manifest(&self, storage: &dyn Storage) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        for piece in 0u32.. {
            match self.get(storage, &key(piece))? {
                Some(part) => bytes.extend_from_slice(&part),
                None => break,
            }
        }
        let Some((content, checksum)) = bytes.split_last_chunk::<4>() else {
            return match bytes.is_empty() {
                true => Ok(None),
                false => Err(damaged(storage, "its manifest is cut short")),
            };
        };
        if crc32fast::hash(content).to_le_bytes() != *checksum {
            return Err(damaged(storage, "its manifest fails its checksum"));
        }
        Ok(Some(content.to_vec()))
    }

    /// Replaces the committed manifest; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more: which of the two is committed is known at the next open.
    pub(crate) fn commit(&mut self, storage: &dyn Storage, manifest: &[u8]) -> Result<()> {
        let mut bytes = manifest.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(manifest).to_le_bytes());
        match self {
            Self::Memory(records) => {
                let mut records = records.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                records.retain(|key, _| !key.starts_with(MANIFEST));
                records.extend(
                    bytes.chunks(VALUE_BYTES).zip(0..).map(|(part, piece)| (key(piece), part.to_vec())),
                );
                Ok(())
            }
            Self::Sled(database) => {
                let written = database.call(|open| {
                    let mut batch = sled::Batch::default();
                    let mut pieces = 0;
                    for part in bytes.chunks(VALUE_BYTES) {
                        batch.insert(key(pieces), part);
                        pieces += 1;
                    }
                    for stale in open.db.range(key(pieces)..=key(u32::MAX)).keys() {
                        batch.remove(stale?);
                    }
                    open.db.apply_batch(batch)?;
                    open.db.flush()?;
                    Ok(open.log.sync_data()?)
                });
                written.map_err(|failure| match &failure {
                    Failure::Sled(sled::Error::Io(error)) => Error::writing(storage, error),
                    _ => damaged(storage, failure.describe()),
                })?;
                storage.catalogue_synced();
                Ok(())
            }
        }
    }

    fn get(&self, storage: &dyn Storage, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Memory(records) => {
                let records = records.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Ok(records.get(key).cloned())
            }
            Self::Sled(database) => {
                let value = database.read(|db| db.get(key));
                let value = value.map_err(|failure| damaged(storage, failure.describe()))?;
                Ok(value.map(|value| value.to_vec()))
            }
        }
    }
}

impl Database {
    /// A call that only reads. After a panic the handles stay: nothing was written.
    fn read<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Failure> {
        let open = self.open.as_ref().ok_or_else(|| Failure::Panic("it failed before".into()))?;
        shield(|| call(&open.db))
    }

    fn call<T>(&mut self, call: impl FnOnce(&Open) -> sled::Result<T>) -> Result<T, Failure> {
        let Some(open) = &self.open else {
            return Err(Failure::Panic("it failed before".into()));
        };
        let outcome = shield(|| call(open));
        if let Err(Failure::Panic(_)) = &outcome {
            // Dropping flushes, and what a panic left behind must not reach the disk. So sled holds its lock for
            // as long as the process lives: out of the way of the next open, which begins a new catalogue.
            std::mem::forget(self.open.take());
            let _ = std::fs::rename(&self.folder, failed(&self.folder));
        }
        outcome
    }
}

impl Database {
    fn close(&mut self) {
        let open = self.open.take();
        let _ = shield(|| {
            drop(open);
            Ok(())
        });
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where a catalogue goes that sled gave up on.
fn failed(folder: &Path) -> PathBuf {
    folder.with_extension("failed")
}

/// The key of a piece of the manifest.
fn key(piece: u32) -> Vec<u8> {
    [MANIFEST, &piece.to_be_bytes()].concat()
}

fn open_database(folder: &Path) -> Result<Open, Failure> {
    remove_unfinished_snapshots(folder).map_err(|error| Failure::Sled(error.into()))?;
    let asked = Instant::now();
    let mut has_new_log = false;
    let config = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .segment_size(LOG_SEGMENT_BYTES)
        .use_compression(false)
        .mode(sled::Mode::LowSpace)
        .flush_every_ms(None);
    loop {
        match shield(|| config.open()) {
            Ok(db) => {
                let log = sync_opened(folder).map_err(|error| Failure::Sled(error.into()))?;
                return Ok(Open { db, log });
            }
            Err(failure) if failure.is_lock() && asked.elapsed() < RELEASE_WAIT => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(failure) if failure.is_lock() && !has_new_log && replace_locked_log(folder).is_ok() => {
                has_new_log = true;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Removes the snapshots of the log that sled was writing when its process was killed. It leaves them under another name until
/// they are whole, but takes them for the newest snapshot when it opens, and refuses them. The log and the snapshot before have all
/// that they have.
fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_unfinished =
            name.to_str().is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating"));
        if is_unfinished && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Puts a copy of the log in its place, which nobody has locked.
///
/// A writer has the lock of the index, so the lock of the log can only be held by this process: by a database that a
/// panic in sled left open. It holds that lock, of a file without a name from now on, until the process ends.
fn replace_locked_log(folder: &Path) -> io::Result<()> {
    let (log, copy) = (folder.join("db"), folder.join("db.copy"));
    std::fs::copy(&log, &copy)?;
    File::open(&copy)?.sync_all()?;
    std::fs::rename(copy, log)?;
    sync_folder(folder)
}

/// Has on the disk what opening wrote: sled never syncs its settings, nor the names of its files, and it may
/// have gone by a log that is only in the system's cache. Gives the log.
fn sync_opened(folder: &Path) -> io::Result<File> {
    let log = File::options().read(true).write(true).open(folder.join("db"))?;
    log.sync_data()?;
    File::open(folder.join("conf"))?.sync_all()?;
    sync_folder(folder)?;
    Ok(log)
}

/// Something in the folder that is neither a file nor a folder: opening a pipe would wait for ever.
fn strange_file(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()))
}

fn opening(storage: &dyn Storage, failure: &Failure) -> Error {
    if failure.is_lock() {
        return Error::Locked { path: storage.path().to_owned() };
    }
    match failure.refused_write() {
        // Opening brings the log to a clean end: it writes.
        Some(error) => Error::writing(storage, error),
        None => damaged(storage, failure.describe()),
    }
}

fn damaged(storage: &dyn Storage, what: impl Into<String>) -> Error {
    Error::Catalogue { path: storage.path().to_owned(), what: what.into() }
}

/// Removes the catalogue, so that the next writer begins a new one.
pub(crate) fn remove(storage: &dyn Storage) -> Result<()> {
    match storage.catalogue() {
        CatalogueHome::Memory(records) => {
            records.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
            Ok(())
        }
        CatalogueHome::Folder(folder) => match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::writing(storage, &error)),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Folder;

    #[test]
    fn after_a_panic_in_sled_the_same_process_opens_a_new_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path());
        let mut catalogue = Catalogue::open(&storage).unwrap();
        catalogue.commit(&storage, b"a manifest").unwrap();
        let Catalogue::Sled(database) = &mut catalogue else { panic!("it is in a folder") };
        let failure = database.call(|_| -> sled::Result<()> { panic!("a page is damaged") }).unwrap_err();
        assert!(failure.describe().contains("a page is damaged"));
        assert!(matches!(catalogue.commit(&storage, b"another"), Err(Error::Catalogue { .. })));
        let mut again = Catalogue::open(&storage).unwrap();
        assert_eq!(again.manifest(&storage).unwrap(), None);
        again.commit(&storage, b"another").unwrap();
        drop(again);
        assert!(!folder.path().join("catalogue.failed").exists());
        assert_eq!(
            Catalogue::open(&storage).unwrap().manifest(&storage).unwrap().as_deref(),
            Some(&b"another"[..])
        );
    }

    #[test]
    fn a_database_that_sled_never_closes_does_not_keep_this_process_from_opening_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path());
        let mut catalogue = Catalogue::open(&storage).unwrap();
        catalogue.commit(&storage, b"a manifest").unwrap();
        let Catalogue::Sled(database) = &mut catalogue else { panic!("it is in a folder") };
        // As a panic in sled leaves it: nobody has the handle, and it holds its lock.
        std::mem::forget(database.open.take());
        let mut again = Catalogue::open(&storage).unwrap();
        assert_eq!(again.manifest(&storage).unwrap().as_deref(), Some(&b"a manifest"[..]));
        again.commit(&storage, b"another").unwrap();
        drop(again);
        let again = Catalogue::open(&storage).unwrap();
        assert_eq!(again.manifest(&storage).unwrap().as_deref(), Some(&b"another"[..]));
    }

    #[test]
    fn a_snapshot_that_a_kill_left_unfinished_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path());
        let mut manifests = Vec::new();
        for round in 0..6u8 {
            let mut catalogue = Catalogue::open(&storage).unwrap();
            assert_eq!(catalogue.manifest(&storage).unwrap(), manifests.last().cloned(), "round {round}");
            manifests.push(vec![round; 300]);
            catalogue.commit(&storage, manifests.last().unwrap()).unwrap();
            drop(catalogue);
            // As a kill leaves it: after nothing, the first bytes, and all but the checksum.
            let CatalogueHome::Folder(home) = storage.catalogue() else { panic!("it is in a folder") };
            let files = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
            let whole = files.into_iter().filter(|path| path.to_str().unwrap().contains("snap.")).max();
            let bytes = whole.map_or(vec![9; 40], |path| std::fs::read(path).unwrap());
            let length = [0, 1, 12, 20, bytes.len() - 4, bytes.len()][usize::from(round)].min(bytes.len());
            std::fs::write(home.join(format!("snap.{:016X}.generating", i64::MAX)), &bytes[..length])
                .unwrap();
        }
    }

    #[test]
    fn an_index_whose_catalogue_makes_sled_panic_is_repaired_and_opened_by_the_same_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let model = crate::ModelIdentity::unknown(2);
        drop(crate::Index::open_or_create(&path, &model).unwrap());
        // Opened again it has a file that says where the log ends.
        drop(crate::Index::open(&path).unwrap());
        let files = std::fs::read_dir(path.join("catalogue")).unwrap().map(|entry| entry.unwrap().path());
        let snapshot = files.into_iter().find(|path| path.extension().is_some() && path.is_file()).unwrap();
        let mut bytes = std::fs::read(&snapshot).unwrap();
        // The log is said to end in a segment that is not there, under a checksum that holds.
        bytes[2] = 250;
        let end = bytes.len() - 12;
        let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
        bytes[end + 8..].copy_from_slice(&checksum);
        std::fs::write(&snapshot, bytes).unwrap();
        for _ in 0..2 {
            let error = crate::Index::open(&path).unwrap_err();
            assert!(matches!(&error, Error::Catalogue { what, .. } if what.contains("gave up")), "{error}");
        }
        crate::Index::repair(&path).unwrap();
        assert!(crate::Index::open(&path).unwrap().is_empty());
    }
}
