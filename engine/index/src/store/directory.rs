//! The folder of an index: what makes a folder one, who holds it, how a new one begins.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::{reason, refuses_writes};
use crate::{Error, Result};

/// The file that makes a folder an index, and its text.
const MARKER: &str = "akin-index";
const MARKER_TEXT: &str = "This folder is an index of akin; its files belong together.\n";

/// The folder of the database, and its name until it is complete.
const STORE: &str = "store";
const STORE_BEGUN: &str = "store.begun";

/// The folder of a database whose successor is taking its place.
const STORE_OLD: &str = "store.old";

/// How long a lock is asked for. A program that the process starts holds copies of its files until it
/// begins: an index that was let go may stay locked for that moment.
const LOCK_WAIT: Duration = Duration::from_millis(250);

/// The file that holds the number of the last commit.
const GENERATION: &str = "generation";

/// The folder of an index, held by this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Locked; the system unlocks it when the process ends, however it ends.
    marker: File,
    complete: bool,
}

impl Directory {
    /// Takes the index at `path`; with `create`, a missing or empty folder becomes one.
    ///
    /// # Errors
    /// [`Error::NotAnIndex`], [`Error::Locked`], [`Error::Write`] without permission, [`Error::Io`].
    pub(crate) fn claim(path: &Path, create: bool) -> Result<Self> {
        let not_an_index = |reason: &str| Error::NotAnIndex { path: path.to_owned(), reason: reason.into() };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(not_an_index("it is a file; an index is a folder")),
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                fs::create_dir_all(path).map_err(|error| write_error(path, error))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(not_an_index("there is nothing there; `akin index` makes one"));
            }
            Err(source) => {
                return Err(Error::Io { action: "read", path: path.to_owned(), source });
            }
        }
        let marker_path = path.join(MARKER);
        if !marker_path.exists() {
            let mut entries = fs::read_dir(path).map_err(|source| Error::Io {
                action: "read",
                path: path.to_owned(),
                source,
            })?;
            match entries.next() {
                Some(_) => {
                    return Err(not_an_index(
                        "it is a folder of other things; name a new or an empty folder",
                    ));
                }
                None if !create => {
                    return Err(not_an_index("it is an empty folder; `akin index` makes one"));
                }
                None => {}
            }
        }
        let marker = File::options()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(&marker_path)
            .map_err(|error| write_error(path, error))?;
        lock(&marker, path, &marker_path)?;
        let mut text = Vec::new();
        (&marker).take(MARKER_TEXT.len() as u64 + 1).read_to_end(&mut text).map_err(|source| Error::Io {
            action: "read",
            path: marker_path,
            source,
        })?;
        // A process that was killed while it wrote the marker leaves its beginning.
        if !MARKER_TEXT.as_bytes().starts_with(&text) {
            return Err(not_an_index("its file akin-index is not of akin"));
        }
        end_replacement(path).map_err(|error| write_error(path, error))?;
        let complete = path.join(STORE).is_dir();
        if !complete && !create {
            return Err(not_an_index("its creation was interrupted; `akin index` completes it"));
        }
        if text.len() < MARKER_TEXT.len() {
            rewrite(&marker, MARKER_TEXT.as_bytes()).map_err(|error| write_error(path, error))?;
        }
        Ok(Self { path: path.to_owned(), marker, complete })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the database is there and was complete once.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The folder of the database.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// Makes the database by `begin`, which is given the folder to make it in; it is the index's own
    /// only when that succeeded, so a process killed meanwhile leaves nothing half made.
    pub(crate) fn begin(&mut self, begin: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.generation()? > 0 {
            return Err(Error::Damaged {
                path: self.path.clone(),
                what: "its folder `store` is missing".into(),
            });
        }
        let begun = self.path.join(STORE_BEGUN);
        remove_folder(&begun).map_err(|error| write_error(&self.path, error))?;
        begin(&begun)?;
        fs::rename(&begun, self.store()).map_err(|error| write_error(&self.path, error))?;
        self.sync().map_err(|error| write_error(&self.path, error))?;
        self.complete = true;
        Ok(())
    }

    /// Replaces the database by the one that `write` makes in the folder it is given. `write` must have
    /// let go of the old one when it returns. A process killed meanwhile leaves the old one or the new one.
    pub(crate) fn replace(&mut self, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (old, begun) = (self.path.join(STORE_OLD), self.path.join(STORE_BEGUN));
        let store = self.store();
        let write_error = |error| write_error(&self.path, error);
        remove_folder(&begun).map_err(write_error)?;
        if let Err(error) = write(&begun) {
            // The room it took is needed: the disk may be full.
            let _ = remove_folder(&begun);
            return Err(error);
        }
        for folder in [&store, &begun] {
            super::wait_until_closed(folder);
        }
        sync_below(&begun).map_err(write_error)?;
        fs::rename(&store, &old).map_err(write_error)?;
        fs::rename(&begun, &store).map_err(write_error)?;
        self.sync().map_err(write_error)?;
        remove_folder(&old).map_err(write_error)
    }

    /// The number of the last commit that was acknowledged, as far as the disk knows: at most the
    /// manifest's own. 0 before the first.
    pub(crate) fn generation(&self) -> Result<u64> {
        let path = self.path.join(GENERATION);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(source) => {
                return Err(Error::Io { action: "read", path, source });
            }
        };
        let number = bytes.first_chunk::<8>().map(|number| u64::from_le_bytes(*number));
        match number {
            _ if bytes.is_empty() => Ok(0),
            Some(number) if bytes == generation_bytes(number) => Ok(number),
            _ => Err(Error::Damaged {
                path: self.path.clone(),
                what: "its file `generation` fails its checksum".into(),
            }),
        }
    }

    /// Notes the number of a commit that is on the disk. Twelve bytes in one write: a process killed
    /// here leaves the old number or the new one, and the old one is no less true.
    pub(crate) fn note_generation(&self, number: u64) -> Result<()> {
        let noted = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join(GENERATION))
            .and_then(|file| rewrite(&file, &generation_bytes(number)));
        noted.map_err(|error| write_error(&self.path, error))
    }

    /// Bytes of all files of the index.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64> {
        bytes_below(&self.path).map_err(|source| Error::Io {
            action: "read",
            path: self.path.clone(),
            source,
        })
    }

    #[cfg(unix)]
    fn sync(&self) -> std::io::Result<()> {
        self.marker.sync_all()?;
        File::open(&self.path)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync(&self) -> std::io::Result<()> {
        self.marker.sync_all()
    }
}

/// Ends what an interrupted [`Directory::replace`] left: the old database comes back if the new one is not
/// in its place yet.
fn end_replacement(path: &Path) -> std::io::Result<()> {
    let (store, old) = (path.join(STORE), path.join(STORE_OLD));
    if !old.is_dir() {
        return Ok(());
    }
    match store.is_dir() {
        true => remove_folder(&old),
        false => fs::rename(&old, &store),
    }
}

/// Removes a folder, if it is there.
fn remove_folder(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Has every file below a folder on the disk.
fn sync_below(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_below(&entry.path())?,
            false => File::open(entry.path())?.sync_all()?,
        }
    }
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn generation_bytes(number: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn rewrite(mut file: &File, bytes: &[u8]) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)
}

fn write_error(index: &Path, error: std::io::Error) -> Error {
    if refuses_writes(error.kind()) {
        Error::Write { path: index.to_owned(), reason: reason(&error) }
    } else {
        Error::Io { action: "write", path: index.to_owned(), source: error }
    }
}

fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // The database may remove a file of its own meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Locks the marker, or tells that another holds it.
fn lock(marker: &File, path: &Path, marker_path: &Path) -> Result<()> {
    let asked = Instant::now();
    loop {
        match marker.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_WAIT => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { action: "lock", path: marker_path.to_owned(), source });
            }
        }
    }
}
