//! Where the files of an index are kept: one trait of few verbs.
//!
//! [`Folder`] keeps them in a folder of the file system, [`Memory`] in memory; the tests have one that loses
//! what was not synced. Files are written once, front to back, and are immutable from then on. The one file
//! that changes is the published manifest, which is replaced whole.
//!
//! | name | holds |
//! | --- | --- |
//! | `manifest` | the published manifest |
//! | `segments/…` | everything that a manifest names |
//! | `catalogue/` | the writer's database, which is not kept through this trait |

pub(crate) mod folder;
mod mapping;
pub(crate) mod memory;

pub use self::folder::{Folder, SOCKET};
pub use self::mapping::explain_lost_files;
pub use self::memory::Memory;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::mapping::Map;

/// Where the files of an index are kept.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Names the place in messages.
    fn path(&self) -> &Path;

    /// The published manifest, if there is one.
    ///
    /// # Errors
    /// What the system reports.
    fn manifest(&self) -> io::Result<Option<Vec<u8>>>;

    /// Something that changes whenever a manifest is published; cheap to ask for.
    ///
    /// # Errors
    /// What the system reports.
    fn manifest_stamp(&self) -> io::Result<Stamp>;

    /// Replaces the published manifest, at once and durably.
    ///
    /// `expected` is the one that it replaces. Where another was published meanwhile nothing is changed.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the published manifest is not `expected`; what the system reports.
    fn publish(&self, manifest: &[u8], expected: Option<&[u8]>) -> io::Result<()>;

    /// Makes the published manifest durable: a writer that ended while it published may have left it to the
    /// system's cache.
    ///
    /// # Errors
    /// What the system reports.
    fn sync_manifest(&self) -> io::Result<()>;

    /// Opens a file of `segments/`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none; what the system reports.
    fn open(&self, name: &str) -> io::Result<Blob>;

    /// Begins a file of `segments/`, in the place of any of that name.
    ///
    /// # Errors
    /// What the system reports.
    fn create(&self, name: &str) -> io::Result<Box<dyn Output>>;

    /// Gives a file of `segments/` in another storage a name in this one too, in the place of any of that name. The file's
    /// content is on the disk when it returns, its name after [`Storage::sync_names`].
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where it can only be copied; what the system reports, as of files on two disks.
    fn link(&self, _name: &str, _from: &dyn Storage, _of: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where a file of `segments/` is in the file system, if it is there.
    fn file(&self, _name: &str) -> Option<PathBuf> {
        None
    }

    /// Makes the names of finished files durable, and the removal of others.
    ///
    /// # Errors
    /// What the system reports.
    fn sync_names(&self) -> io::Result<()>;

    /// The files of `segments/` and their lengths.
    ///
    /// # Errors
    /// What the system reports.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// Removes a file of `segments/`. What others have opened they can go on reading.
    ///
    /// # Errors
    /// What the system reports; a file that is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Takes the right to write, until the value is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] while another has it; what the system reports.
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>>;

    /// Where the catalogue is kept.
    fn catalogue(&self) -> CatalogueHome;

    /// The catalogue has written to its folder and synced it: nothing to do but in tests.
    fn catalogue_synced(&self) {}

    /// Bytes of all files.
    ///
    /// # Errors
    /// What the system reports.
    fn bytes(&self) -> io::Result<u64>;
}

/// Where the catalogue of an index is kept.
#[derive(Debug, Clone)]
pub enum CatalogueHome {
    /// In this folder, which the database makes if it is not there.
    Folder(PathBuf),
    /// In memory only.
    Memory(Arc<memory::Records>),
}

/// Changes whenever a manifest is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp(pub [u64; 4]);

/// A file that is being written, front to back.
pub trait Output: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// What the system reports.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Has everything on the disk. The file's name is durable after [`Storage::sync_names`].
    ///
    /// # Errors
    /// What the system reports.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// An immutable file that is open for reading.
#[derive(Clone, Debug)]
pub struct Blob(Content);

#[derive(Clone, Debug)]
enum Content {
    Mapped(Arc<Map>),
    Owned(Arc<Words>),
}

/// Bytes that begin where a number of 64 bits may.
#[derive(Debug)]
struct Words {
    words: Vec<u64>,
    bytes: usize,
}

impl Blob {
    /// A file of a copy of these bytes.
    pub fn owned(bytes: &[u8]) -> Self {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self(Content::Owned(Arc::new(Words { words, bytes: bytes.len() })))
    }

    /// Its bytes. Pages of a mapped file are read as they are touched, and count as memory of this process.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Content::Mapped(map) => map.bytes(),
            Content::Owned(owned) => &bytemuck::cast_slice(&owned.words)[..owned.bytes],
        }
    }

    /// Copies bytes from `offset` on, without mapping them.
    ///
    /// # Errors
    /// What the system reports; [`io::ErrorKind::UnexpectedEof`] beyond the end.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &self.0 {
            Content::Mapped(map) => map.read_at(offset, out),
            Content::Owned(_) => {
                let from = usize::try_from(offset).ok().and_then(|offset| self.bytes().get(offset..));
                let source = from.and_then(|bytes| bytes.get(..out.len()));
                out.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Copies bytes from `offset` on if they are in the system's cache; tells whether they were.
    ///
    /// # Errors
    /// As [`Blob::read_at`].
    pub fn read_cached(&self, offset: u64, out: &mut [u8]) -> io::Result<bool> {
        match &self.0 {
            Content::Mapped(map) => map.read_cached(offset, out),
            Content::Owned(_) => self.read_at(offset, out).map(|()| true),
        }
    }

    /// Tells the system that bytes are about to be [read](Self::read_at).
    pub fn will_need(&self, offset: u64, length: usize) {
        if let Content::Mapped(map) = &self.0 {
            map.will_need(offset, length);
        }
    }

    /// Lets go of the pages of a range: they are read again if they are touched.
    pub fn forget(&self, range: std::ops::Range<usize>) {
        if let Content::Mapped(map) = &self.0 {
            map.forget(range);
        }
    }
}

/// Bytes of all files below a folder.
pub(crate) fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let metadata = match entry.and_then(|entry| Ok((entry.metadata()?, entry.path()))) {
            Ok((metadata, path)) if metadata.is_dir() => {
                bytes += bytes_below(&path)?;
                continue;
            }
            // A writer may remove files meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?.0,
        };
        bytes += metadata.len();
    }
    Ok(bytes)
}
