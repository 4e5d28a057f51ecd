//! An index in memory, gone with the process.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Blob, CatalogueHome, Output, Stamp, Storage};

/// Records of a catalogue in memory.
pub type Records = Mutex<BTreeMap<Vec<u8>, Vec<u8>>>;

/// An index in memory, gone with the process. Its clones are the same index.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: Arc<Mutex<Files>>,
    catalogue: Arc<Records>,
    locked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Files {
    manifest: Option<Vec<u8>>,
    published: u64,
    segments: BTreeMap<String, Blob>,
}

impl Memory {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // Every change is one assignment: a panic leaves none half made.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn path(&self) -> &Path {
        Path::new("(in memory)")
    }

    fn manifest(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files().manifest.clone())
    }

    fn manifest_stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp([self.files().published, 0, 0, 0]))
    }

    fn publish(&self, manifest: &[u8], expected: Option<&[u8]>) -> io::Result<()> {
        let mut files = self.files();
        if files.manifest.as_deref() != expected {
            return Err(ErrorKind::AlreadyExists.into());
        }
        files.manifest = Some(manifest.to_vec());
        files.published += 1;
        Ok(())
    }

    fn sync_manifest(&self) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<Blob> {
        let found = self.files().segments.get(name).cloned();
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        Ok(Box::new(Written { files: self.files.clone(), name: name.to_owned(), bytes: Vec::new() }))
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let files = self.files();
        Ok(files.segments.iter().map(|(name, bytes)| (name.clone(), bytes.bytes().len() as u64)).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().segments.remove(name);
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Unlock(self.locked.clone())))
    }

    fn catalogue(&self) -> CatalogueHome {
        CatalogueHome::Memory(self.catalogue.clone())
    }

    fn bytes(&self) -> io::Result<u64> {
        let files = self.files();
        let manifest = files.manifest.as_ref().map_or(0, Vec::len);
        Ok((manifest + files.segments.values().map(|bytes| bytes.bytes().len()).sum::<usize>()) as u64)
    }
}

/// Lets the next writer in.
struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

struct Written {
    files: Arc<Mutex<Files>>,
    name: String,
    bytes: Vec<u8>,
}

impl Output for Written {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.segments.insert(self.name, Blob::owned(&self.bytes));
        Ok(())
    }
}
