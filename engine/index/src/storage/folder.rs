//! An index in a folder of the file system.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::mapping::Map;
use super::{Blob, CatalogueHome, Content, Output, Stamp, Storage, bytes_below};

/// The published manifest: the file that makes a folder an index.
pub(crate) const MANIFEST: &str = "manifest";
/// Where the next manifest is written before it takes that name.
const NEXT_MANIFEST: &str = "manifest.next";
/// The folder of immutable files.
pub(crate) const SEGMENTS: &str = "segments";
/// The folder of the writer's database.
pub(crate) const CATALOGUE: &str = "catalogue";
/// The file that a writer locks.
pub(crate) const LOCK: &str = "writer.lock";

/// The socket on which a server of the index answers programs of its user. No reader or writer of the index touches it.
pub const SOCKET: &str = "query.sock";

/// How long a lock is asked for. A program that this process starts holds copies of its files until it
/// begins, so that an index that was let go may stay locked for that moment.
const LOCK_WAIT: Duration = Duration::from_millis(250);

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 18;

/// An index in a folder of the file system.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, whatever is there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn segment(&self, name: &str) -> PathBuf {
        self.path.join(SEGMENTS).join(name)
    }
}

impl Storage for Folder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn manifest(&self) -> io::Result<Option<Vec<u8>>> {
        let path = self.path.join(MANIFEST);
        // Anything but a file would be read without an end, or wait for a writer.
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(io::Error::other("`manifest` is not a file")),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn manifest_stamp(&self) -> io::Result<Stamp> {
        let path = self.path.join(MANIFEST);
        let metadata = fs::metadata(&path)?;
        // Length, time and number of the file are not enough: two commits later a file may have the number of
        // the first again, within one tick of the clock of file times. The beginning has a checksum of the rest.
        let mut beginning = [0; 24];
        if metadata.is_file() {
            let _ = File::open(&path)?.read(&mut beginning)?;
        }
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |time| time.as_nanos() as u64);
        let beginning = u64::from(crc32fast::hash(&beginning));
        Ok(Stamp([metadata.len(), changed, inode(&metadata), beginning]))
    }

    fn publish(&self, manifest: &[u8], expected: Option<&[u8]>) -> io::Result<()> {
        if self.manifest()?.as_deref() != expected {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let next = self.path.join(NEXT_MANIFEST);
        let written = File::create(&next).and_then(|mut file| {
            file.write_all(manifest)?;
            file.sync_all()
        });
        let published = written.and_then(|()| fs::rename(&next, self.path.join(MANIFEST)));
        if let Err(error) = published {
            // The disk may be full: leave nothing behind.
            let _ = fs::remove_file(&next);
            return Err(error);
        }
        sync_folder(&self.path)
    }

    fn sync_manifest(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    fn open(&self, name: &str) -> io::Result<Blob> {
        let path = self.segment(name);
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        Ok(Blob(Content::Mapped(Map::of(File::open(path)?)?.into())))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        let path = self.segment(name);
        // Another process may still map a file of this name: it keeps the old one.
        self.remove(name)?;
        let file = match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(self.path.join(SEGMENTS))?;
                sync_folder(&self.path)?;
                File::create_new(&path)?
            }
            other => other?,
        };
        Ok(Box::new(Written { file, buffer: Vec::with_capacity(BUFFER) }))
    }

    fn link(&self, name: &str, from: &dyn Storage, of: &str) -> io::Result<()> {
        let original = from.file(of).ok_or(ErrorKind::Unsupported)?;
        // Whoever brought the other index here may not have synced it.
        File::open(&original)?.sync_all()?;
        self.remove(name)?;
        let path = self.segment(name);
        match fs::hard_link(&original, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(self.path.join(SEGMENTS))?;
                sync_folder(&self.path)?;
                fs::hard_link(&original, &path)
            }
            other => other,
        }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.segment(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        match sync_folder(&self.path.join(SEGMENTS)) {
            // An index without documents has no such folder yet.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(self.path.join(SEGMENTS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata())
                && metadata.is_file()
            {
                files.push((name, metadata.len()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.segment(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let path = self.path.join(LOCK);
        // Opening a pipe would wait for somebody who reads it.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("`writer.lock` is not a file"));
        }
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        let asked = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Box::new(file)),
                Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_WAIT => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn catalogue(&self) -> CatalogueHome {
        CatalogueHome::Folder(self.path.join(CATALOGUE))
    }

    fn bytes(&self) -> io::Result<u64> {
        bytes_below(&self.path)
    }
}

/// A file that is being written.
struct Written {
    file: File,
    buffer: Vec<u8>,
}

impl Output for Written {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.file.write_all(&self.buffer)?;
            self.buffer.clear();
            if bytes.len() >= BUFFER {
                return self.file.write_all(bytes);
            }
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.file.sync_all()
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelIdentity;
    use crate::manifest::Manifest;

    #[test]
    fn a_manifest_that_has_only_its_content_changed_has_another_stamp() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        let manifest = Manifest::begin(&ModelIdentity::unknown(4));
        folder.publish(&manifest.to_bytes(), None).unwrap();
        let stamp = folder.manifest_stamp().unwrap();
        assert_eq!(folder.manifest_stamp().unwrap(), stamp);
        // As two commits within one tick leave it: the file has the number, length and time of the first.
        let path = temporary.path().join(MANIFEST);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        (&file).write_all(&Manifest { generation: 3, ..manifest }.to_bytes()).unwrap();
        file.set_modified(time).unwrap();
        assert_ne!(folder.manifest_stamp().unwrap(), stamp);
    }
}
