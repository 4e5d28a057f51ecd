//! Folders of the user's cache with the files of indexes in buckets, for readers.
//!
//! `$XDG_CACHE_HOME/akin/buckets`, or `~/.cache/akin/buckets`, has a folder for each index that was read:
//!
//! | name | what it is |
//! | --- | --- |
//! | `place` | the address, for people |
//! | `in-use` | a lock that each reader shares for as long as it lives; its time is that of the last use |
//! | `fetching` | a lock that one process holds while it fetches |
//! | `NAME/` | the index: `manifest` and `segments/`, as [any reader](akin_index::Reader) opens it |
//!
//! What is fetched is compared with its checksums before it gets its name. All folders together are at most 32 GiB: the ones that
//! were not used for the longest time are removed, but none that is in use.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use akin_index::storage::{Folder, Storage};
use akin_index::{CommitFile, CommitFiles};
use sha2::{Digest, Sha256};

use super::fetch::fetch;
use super::store::Store;
use super::{BucketAddress, BucketError, Watch};
use crate::Result;

/// All folders together are no larger.
const MOST_OF_ALL: u64 = 32 << 30;

/// How long to wait before a lock is asked for again.
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// What is believed of files that were fetched before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A file of the right length and end is the right one.
    Kept,
    /// Nothing: everything is fetched again, to know that it can be.
    Anew,
}

/// A folder with the files of an index in a bucket. It is not removed while this lives.
pub struct CachedIndex {
    store: Store,
    home: PathBuf,
    _in_use: File,
}

impl std::fmt::Debug for CachedIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedIndex").field("place", &self.store.place).finish_non_exhaustive()
    }
}

impl CachedIndex {
    /// Fetches what the cache lacks of the published commit.
    ///
    /// # Errors
    /// [`BucketError::NoIndex`] if there is none, [`BucketError::NoCache`] if the user has no cache folder, what the object store
    /// or the disk reports, [`Damaged`](akin_index::Error::Damaged) for an object that fails its checksum.
    pub fn open(place: &BucketAddress, freshness: Freshness, watch: Watch<'_>) -> Result<Self> {
        let buckets = cache_folder()?;
        let store = Store::open(place)?;
        let home = buckets.join(store.key());
        let in_use = use_home(&home, place).map_err(|error| writing(&home, &error))?;
        let cached = Self { store, home, _in_use: in_use };
        if cached.update(freshness, watch)?
            && let Err(error) = trim(&buckets, &cached.home, MOST_OF_ALL)
        {
            tracing::debug!("{} cannot be trimmed: {error}", buckets.display());
        }
        Ok(cached)
    }

    /// The folder of the index, which any reader can open.
    pub fn folder(&self) -> PathBuf {
        self.home.join(self.store.place.name())
    }

    /// Where the index is.
    pub fn place(&self) -> &BucketAddress {
        &self.store.place
    }

    /// Fetches what is new, and tells whether there was a newer commit. Readers of the folder that follow commits see it then.
    /// From the first call on, a request that has no answer is not made again: the next call does.
    ///
    /// # Errors
    /// As [`CachedIndex::open`]; the folder stays as it was.
    pub fn refresh(&self) -> Result<bool> {
        self.store.be_impatient();
        self.update(Freshness::Kept, &|_, _| std::ops::ControlFlow::Continue(()))
    }

    fn update(&self, freshness: Freshness, watch: Watch<'_>) -> Result<bool> {
        let path = self.folder();
        let failed = |error: io::Error| writing(&path, &error);
        let _fetching = lock(&self.home.join("fetching"), watch)?;
        make_private(&path.join("segments")).map_err(failed)?;
        let folder = Folder::new(&path);
        let before = folder.manifest().map_err(failed)?;
        let (commit, _) = fetch(&self.store, &path, freshness == Freshness::Kept, watch)?;
        if before.as_deref() == Some(commit.manifest()) {
            return Ok(false);
        }
        folder.publish(commit.manifest(), before.as_deref()).map_err(failed)?;
        remove_unnamed(&folder, &commit).map_err(failed)?;
        Ok(true)
    }
}

fn writing(path: &Path, error: &io::Error) -> crate::Error {
    akin_index::Error::writing_at(path, error).into()
}

/// Removes files that the published commit does not name. Readers that have them open can go on reading them.
fn remove_unnamed(folder: &Folder, commit: &CommitFiles) -> io::Result<()> {
    let named = commit.files();
    let is_named = |name: &str| named.iter().any(|file| file.name == name);
    let listed = folder.list()?;
    let mut unnamed = listed.iter().filter(|(name, _)| CommitFile::is_name(name) && !is_named(name));
    unnamed.try_for_each(|(name, _)| folder.remove(name))
}

/// The folder of the folders.
fn cache_folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let none = || BucketError::NoCache("neither XDG_CACHE_HOME nor HOME names a folder".into());
    Ok(cache.ok_or_else(none)?.join("akin").join("buckets"))
}

/// Makes a folder that nobody else may look into: it holds texts.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes the folder for an index, and shares the lock that keeps it.
fn use_home(home: &Path, place: &BucketAddress) -> io::Result<File> {
    loop {
        make_private(home)?;
        let path = home.join("in-use");
        let file = File::options().write(true).create(true).truncate(false).open(&path)?;
        file.lock_shared()?;
        // Another process may have removed the folder between these steps.
        if path.exists() {
            file.set_modified(SystemTime::now())?;
            fs::write(home.join("place"), format!("{place}\n"))?;
            return Ok(file);
        }
    }
}

/// Takes a lock, and waits for whoever has it.
fn lock(path: &Path, watch: Watch<'_>) -> Result<File> {
    let failed = |error: io::Error| writing(path, &error);
    let file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if watch(0, 0).is_break() => {
                return Err(akin_index::Error::Cancelled.into());
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_WAIT),
        }
    }
}

/// Removes the folders that were not used for the longest time until all have at most so many bytes; never `kept`, and none that
/// is in use.
fn trim(buckets: &Path, kept: &Path, most: u64) -> io::Result<()> {
    let mut homes = Vec::new();
    for entry in fs::read_dir(buckets)? {
        let path = entry?.path();
        let Ok(used) = fs::metadata(path.join("in-use")).and_then(|metadata| metadata.modified()) else {
            continue;
        };
        homes.push((used, bytes_below(&path)?, path));
    }
    homes.sort();
    let mut held: u64 = homes.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, path) in homes.iter().filter(|(.., path)| path != kept) {
        if held <= most {
            break;
        }
        let file = File::options().write(true).open(path.join("in-use"))?;
        if file.try_lock().is_ok() {
            fs::remove_dir_all(path)?;
            held -= bytes;
        }
    }
    Ok(())
}

fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()).unwrap_or(0),
            Ok(metadata) => metadata.len(),
            // Another process may remove files meanwhile.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

impl Store {
    /// Names the folder of an index: the same for the same place of the same object store.
    fn key(&self) -> String {
        let whole = format!("{}\n{}", self.server(), self.place);
        Sha256::digest(whole)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(buckets: &Path, name: &str, bytes: usize, age: u64) -> PathBuf {
        let home = buckets.join(name);
        let place = BucketAddress::parse(&format!("s3://bucket/{name}")).unwrap();
        let file = use_home(&home, &place).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        fs::create_dir_all(home.join(name).join("segments")).unwrap();
        fs::write(home.join(name).join("segments/a"), vec![0; bytes]).unwrap();
        home
    }

    #[test]
    fn the_folders_that_were_not_used_for_long_make_room_but_none_in_use() {
        let temporary = tempfile::tempdir().unwrap();
        let buckets = temporary.path();
        let homes =
            [("a", 40), ("b", 30), ("c", 20), ("d", 10)].map(|(name, age)| home(buckets, name, 1000, age));
        trim(buckets, &homes[3], 10_000).unwrap();
        assert!(homes.iter().all(|home| home.exists()), "there is room for all");
        let place = BucketAddress::parse("s3://bucket/a").unwrap();
        let used = use_home(&homes[0], &place).unwrap();
        used.set_modified(SystemTime::now() - Duration::from_secs(50)).unwrap();
        trim(buckets, &homes[3], 2500).unwrap();
        assert_eq!(homes.each_ref().map(|home| home.exists()), [true, false, false, true]);
        drop(used);
        trim(buckets, &homes[3], 0).unwrap();
        assert_eq!(homes.map(|home| home.exists()), [false, false, false, true]);
    }
}
