//! The folder of an index of format 3: its files, its lock, and what an interrupted compaction leaves.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::damaged;
use crate::{Error, Found, Result};

/// The file that makes a folder an index, and its text.
const MARKER: &str = "akin-index";
const MARKER_TEXT: &[u8] = b"This folder is an index of akin; its files belong together.\n";

/// The folder of the database; of one that is not complete; of one that is being replaced.
const STORE: &str = "store";
const STORE_BEGUN: &str = "store.begun";
const STORE_OLD: &str = "store.old";

/// The file with the number of the last commit.
const GENERATION: &str = "generation";

/// The file that formats from 4 on have, and older ones do not.
const NEWER_MANIFEST: &str = "manifest";

/// How long a lock is asked for: a process that is being started holds copies of its parent's files for a
/// moment.
const LOCK_WAIT: Duration = Duration::from_millis(250);

/// Whether `path` holds an index of format 3 or of one before it. Opens nothing.
pub(crate) fn is_older(path: &Path) -> bool {
    let has_database = [STORE, STORE_BEGUN, STORE_OLD].iter().any(|name| path.join(name).is_dir());
    has_database && path.join(MARKER).is_file() && !path.join(NEWER_MANIFEST).exists()
}

/// Removes the files of an index of format 3 from the folder `path`, `akin-index` last. Files that are not
/// there are no error, so that a removal that was interrupted can be repeated.
///
/// # Errors
/// [`Error::Write`] and [`Error::Io`].
pub(crate) fn remove_files(path: &Path) -> Result<()> {
    for name in [STORE, STORE_BEGUN, STORE_OLD] {
        missing_is_fine(fs::remove_dir_all(path.join(name))).map_err(|error| write_error(path, error))?;
    }
    for name in [GENERATION, MARKER] {
        missing_is_fine(fs::remove_file(path.join(name))).map_err(|error| write_error(path, error))?;
    }
    sync(path).map_err(|error| write_error(path, error))
}

/// Removes what is left of an index of format 3 beside one of this format.
///
/// # Errors
/// As [`remove_files`], and [`Error::Locked`] while the program that upgrades it still holds it.
pub(crate) fn remove_leftovers(path: &Path) -> Result<()> {
    let marker = match File::options().read(true).open(path.join(MARKER)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        marker => marker.map_err(|error| write_error(path, error))?,
    };
    lock(&marker, path)?;
    remove_files(path)
}

/// The folder of an index of format 3, locked until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// Locked by `flock`, as programs of format 3 do it.
    _marker: File,
}

impl Folder {
    /// Locks the folder `path`, and completes a replacement of its database that was interrupted.
    pub(super) fn claim(path: &Path) -> Result<Self> {
        let not_an_index = |found: Found| Error::NotAnIndex { path: path.to_owned(), found };
        let marker_path = path.join(MARKER);
        if !marker_path.is_file() {
            return Err(not_an_index(Found::OtherFolder));
        }
        // With permission to write: without it sled fails later, in words that say less.
        let marker = File::options().read(true).write(true).open(&marker_path);
        let marker = marker.map_err(|error| write_error(path, error))?;
        lock(&marker, path)?;
        let mut text = Vec::new();
        let read = (&marker).take(MARKER_TEXT.len() as u64 + 1).read_to_end(&mut text);
        read.map_err(|source| Error::Io { action: "read", path: marker_path, source })?;
        // A process that was killed while it wrote the marker leaves its beginning.
        if !MARKER_TEXT.starts_with(&text) {
            return Err(not_an_index(Found::OtherFolder));
        }
        end_replacement(path).map_err(|error| write_error(path, error))?;
        let folder = Self { path: path.to_owned(), _marker: marker };
        if folder.store().is_dir() {
            return Ok(folder);
        }
        match folder.generation()? {
            0 => Err(not_an_index(Found::Interrupted)),
            _ => Err(damaged(path, "its folder `store` is missing")),
        }
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the database.
    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The number of the last commit that the file `generation` knows of, 0 if it is not there or empty.
    pub(super) fn generation(&self) -> Result<u64> {
        let path = self.path.join(GENERATION);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(13).read_to_end(&mut bytes));
        if let Err(source) = missing_is_fine(read.map(drop)) {
            return Err(Error::Io { action: "read", path, source });
        }
        match bytes.split_first_chunk::<8>() {
            None if bytes.is_empty() => Ok(0),
            Some((number, sum)) if sum == crc32fast::hash(number).to_le_bytes() => {
                Ok(u64::from_le_bytes(*number))
            }
            _ => Err(damaged(&self.path, "its file `generation` fails its checksum")),
        }
    }
}

/// Completes a replacement of the database: the old one is renamed back if the new one is not in its place
/// yet, and else removed.
fn end_replacement(path: &Path) -> io::Result<()> {
    let (store, old) = (path.join(STORE), path.join(STORE_OLD));
    match (old.is_dir(), store.is_dir()) {
        (false, _) => Ok(()),
        (true, true) => missing_is_fine(fs::remove_dir_all(&old)),
        (true, false) => fs::rename(&old, &store),
    }
}

fn lock(marker: &File, index: &Path) -> Result<()> {
    let asked = Instant::now();
    loop {
        match marker.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_WAIT => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: index.to_owned() }),
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { action: "lock", path: index.join(MARKER), source });
            }
        }
    }
}

fn missing_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Has the names in a folder on the disk.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The error of a write that failed.
pub(super) fn write_error(index: &Path, source: io::Error) -> Error {
    match crate::catalogue::refuses_writes(source.kind()) {
        true => Error::writing_at(index, &source),
        false => Error::Io { action: "write", path: index.to_owned(), source },
    }
}
