//! Makes an index in a folder of one in a bucket.

use std::fs;
use std::path::Path;

use akin_index::storage::{Folder, Storage};
use akin_index::{Found, Index, Reader};

use super::fetch::fetch;
use super::store::Store;
use super::{BucketAddress, Watch};
use crate::Result;

/// What a copy out of a bucket came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// The number of the commit.
    pub generation: u64,
    /// Its live documents.
    pub documents: usize,
    /// Files that were fetched.
    pub fetched: usize,
    /// Their bytes.
    pub fetched_bytes: u64,
}

/// Brings the index at `from` to the folder `to`, which must be missing, empty, or one where this was interrupted. It is an index
/// when all of its files are there and hold their checksums, and can be changed as any other.
///
/// # Errors
/// [`NotAnIndex`](akin_index::Error::NotAnIndex) if something else is in the folder, [`Invalid`](akin_index::Error::Invalid) if an index is,
/// [`BucketError::NoIndex`](super::BucketError::NoIndex) if there is none at `from`, what the object store reports.
pub fn restore(from: &BucketAddress, to: &Path, watch: Watch<'_>) -> Result<Restored> {
    use akin_index::Error;
    match Reader::open(to) {
        Err(Error::NotAnIndex {
            found: Found::Nothing | Found::EmptyFolder | Found::Interrupted, ..
        }) => {}
        Ok(_) => return Err(Error::Invalid(format!("{} is an index already", to.display())).into()),
        Err(error) => return Err(error.into()),
    }
    let store = Store::open(from)?;
    let writing = |error: std::io::Error| Error::writing_at(to, &error);
    // Nothing is made for an index that is not there.
    if store.commit()?.is_none() {
        return Err(super::BucketError::NoIndex { place: from.to_string() }.into());
    }
    fs::create_dir_all(to).map_err(writing)?;
    let folder = Folder::new(to);
    let lock = folder.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { path: to.to_owned() },
        _ => writing(error),
    })?;
    let (commit, fetched) = fetch(&store, to, true, watch)?;
    folder.publish(commit.manifest(), None).map_err(writing)?;
    drop(lock);
    Index::repair(to)?;
    Ok(Restored {
        generation: commit.generation(),
        documents: commit.documents(),
        fetched: fetched.files,
        fetched_bytes: fetched.bytes,
    })
}
