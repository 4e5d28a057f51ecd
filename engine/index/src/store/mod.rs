//! Everything an index keeps, in an embedded database, each record under a checksum.
//!
//! [`Directory`] says which folder is an index and who holds it, [`Store`] reads and writes records,
//! [`records`] gives them their fields, and [`chunks`] cuts arrays into records of one size.
//! `engine/index/FORMAT.md` draws every byte.

pub(crate) mod chunks;
mod directory;
mod failure;
pub(crate) mod records;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sled::{Db, IVec};

use self::chunks::Place;
pub(crate) use self::directory::Directory;
use self::failure::{Failure, shield};
use crate::{Error, Result};

/// What the database keeps of its pages in memory: vectors and graphs live outside it, so this
/// serves the documents of hits and the ids of an indexing run.
const CACHE_BYTES: u64 = 32 << 20;

/// How long an earlier holder within this process may take to let go of the database's file: its
/// background threads drop the last handle a moment after the index itself is dropped.
const RELEASE_WAIT: Duration = Duration::from_secs(5);

/// The pieces that the database writes its log in. What is longer than a quarter of one it would put into a
/// file of its own, and not sync that: see [`chunks`].
const LOG_SEGMENT_BYTES: usize = 1 << 20;

/// What they were in formats 1 and 2.
const OLDER_LOG_SEGMENT_BYTES: usize = 512 << 10;

/// A collection of records within the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tree {
    /// Format version and model.
    Meta,
    /// Segment, part, chunk → records of documents, and how long they are.
    Documents,
    /// External id → internal id.
    Ids,
    /// Segment, part, chunk → vectors, graphs and tombstones.
    Segments,
    /// The one record that says what exists.
    Manifest,
}

const TREES: [Tree; 5] = [Tree::Meta, Tree::Documents, Tree::Ids, Tree::Segments, Tree::Manifest];

impl Tree {
    fn name(self) -> &'static str {
        match self {
            Tree::Meta => "meta",
            Tree::Documents => "documents",
            Tree::Ids => "ids",
            Tree::Segments => "segments",
            Tree::Manifest => "manifest",
        }
    }
}

/// A record whose checksum held: key and payload.
pub(crate) type Record = (IVec, IVec);

/// The database of an index.
pub(crate) struct Store {
    open: Option<Open>,
    index: PathBuf,
    /// For arrays that this process writes, up to which key places are reserved.
    reserved: Mutex<HashMap<Place, u32>>,
    refused: AtomicBool,
    panicked: AtomicBool,
}

/// The handles into the database. The trees come first: they are dropped before it.
struct Open {
    trees: [sled::Tree; 5],
    db: Db,
    /// The database's log, to have it on the disk itself and not in a cache of the system.
    log: File,
}

impl Store {
    /// Opens the database in `folder` of the index at `index`, making it if it is not there.
    pub(crate) fn open(folder: &Path, index: &Path) -> Result<Self> {
        let db = open_database(folder, index)?;
        let trees = shield(|| {
            let open = |tree: Tree| db.open_tree(tree.name());
            Ok([open(TREES[0])?, open(TREES[1])?, open(TREES[2])?, open(TREES[3])?, open(TREES[4])?])
        })
        .map_err(|failure| failure.opening(index))?;
        let log_path = folder.join("db");
        let log = File::options().read(true).write(true).open(&log_path).map_err(|source| Error::Io {
            action: "open",
            path: log_path,
            source,
        })?;
        Ok(Self {
            open: Some(Open { trees, db, log }),
            index: index.to_owned(),
            reserved: Mutex::default(),
            refused: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        })
    }

    /// The folder of the index, for messages.
    pub(crate) fn index(&self) -> &Path {
        &self.index
    }

    /// The payload of a record, or `None` if there is no such key.
    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<IVec>> {
        let value = self.read(|open| open.trees[tree as usize].get(key))?;
        value.map(|value| self.checked(tree, key, &value)).transpose()
    }

    /// The payload of a record that must be there.
    pub(crate) fn require(&self, tree: Tree, key: &[u8]) -> Result<IVec> {
        self.get(tree, key)?.ok_or_else(|| self.damaged(format!("{} is missing", describe(tree, key))))
    }

    /// The records from key `from` on, until `until` says that one is too far.
    pub(crate) fn scan(&self, tree: Tree, from: &[u8]) -> Result<impl Iterator<Item = Result<Record>> + '_> {
        let mut records = self.read(|open| Ok(open.trees[tree as usize].range(from..)))?;
        Ok(std::iter::from_fn(move || {
            let next = self.read(|_| records.next().transpose());
            match next {
                Ok(None) => None,
                Ok(Some((key, value))) => {
                    let payload = self.wear(tree, &key).and_then(|()| self.checked(tree, &key, &value));
                    Some(payload.map(|payload| (key, payload)))
                }
                Err(error) => Some(Err(error)),
            }
        }))
    }

    /// The first key from `from` on, whatever is stored under it.
    pub(crate) fn first_key(&self, tree: Tree, from: &[u8]) -> Result<Option<IVec>> {
        self.read(|open| open.trees[tree as usize].range(from..).keys().next().transpose())
    }

    /// Puts a record. Not on the disk before the next [`Self::flush`].
    pub(crate) fn put(&self, tree: Tree, key: &[u8], payload: &[u8]) -> Result<()> {
        let mut value = Vec::with_capacity(payload.len() + 4);
        value.extend_from_slice(payload);
        value.extend_from_slice(&checksum(key, payload).to_le_bytes());
        self.write(|open| open.trees[tree as usize].insert(key, value).map(drop))
    }

    /// Removes a record. Not on the disk before the next [`Self::flush`].
    pub(crate) fn remove(&self, tree: Tree, key: &[u8]) -> Result<()> {
        self.write(|open| open.trees[tree as usize].remove(key).map(drop))
    }

    /// Uses a record some more times, for nothing: the database looks for what is too much in its cache only
    /// when some sixteen thousand uses have come together. Read once or written once, a hundred thousand
    /// vectors would stay in it: 130 MB, which take longer to come by than these uses.
    pub(crate) fn wear(&self, tree: Tree, key: &[u8]) -> Result<()> {
        const USES: usize = 7;
        self.read(|open| (0..USES).try_for_each(|_| open.trees[tree as usize].contains_key(key).map(drop)))
    }

    /// Has everything that was put on the disk when it returns.
    pub(crate) fn flush(&self) -> Result<()> {
        self.write(|open| {
            open.db.flush()?;
            Ok(open.log.sync_data()?)
        })
    }

    /// An error that says a record is not what it must be.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged { path: self.index.clone(), what: what.into() }
    }

    fn checked(&self, tree: Tree, key: &[u8], value: &IVec) -> Result<IVec> {
        let payload_len = value.len().checked_sub(4);
        let payload = payload_len.map(|len| value.subslice(0, len));
        match payload {
            Some(payload) if value[payload.len()..] == checksum(key, &payload).to_le_bytes() => Ok(payload),
            _ => Err(self.damaged(format!("{} fails its checksum", describe(tree, key)))),
        }
    }

    fn read<T>(&self, operation: impl FnOnce(&Open) -> sled::Result<T>) -> Result<T> {
        self.guarded(operation).map_err(|failure| failure.reading(&self.index))
    }

    fn write<T>(&self, operation: impl FnOnce(&Open) -> sled::Result<T>) -> Result<T> {
        if self.refused.load(Ordering::Acquire) {
            return Err(Error::Write {
                path: self.index.clone(),
                reason: "an earlier write failed, so nothing more is written until it is opened again".into(),
            });
        }
        self.guarded(operation).map_err(|failure| {
            self.refused.store(true, Ordering::Release);
            failure.writing(&self.index)
        })
    }

    fn guarded<T>(
        &self,
        operation: impl FnOnce(&Open) -> sled::Result<T>,
    ) -> std::result::Result<T, Failure> {
        let open = self.open.as_ref().expect("the database is open until the store is dropped");
        if self.panicked.load(Ordering::Acquire) {
            return Err(Failure::Panic("it failed before".into()));
        }
        let outcome = shield(|| operation(open));
        if let Err(Failure::Panic(_)) = &outcome {
            self.panicked.store(true, Ordering::Release);
        }
        outcome
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let open = self.open.take();
        if self.panicked.load(Ordering::Acquire) {
            // Dropping flushes, and what a panic left behind must not reach the disk.
            std::mem::forget(open);
        } else {
            let _ = shield(|| {
                drop(open);
                Ok(())
            });
        }
    }
}

fn open_database(folder: &Path, index: &Path) -> Result<Db> {
    let asked = Instant::now();
    let mut log_segment = LOG_SEGMENT_BYTES;
    loop {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .segment_size(log_segment)
            .use_compression(false)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None);
        match shield(|| config.open()) {
            Ok(db) => return Ok(db),
            Err(failure) if failure.is_lock() && asked.elapsed() < RELEASE_WAIT => {
                std::thread::sleep(Duration::from_millis(2));
            }
            // Of an older format, which is asked for next.
            Err(failure) if failure.is_other_log() && log_segment != OLDER_LOG_SEGMENT_BYTES => {
                log_segment = OLDER_LOG_SEGMENT_BYTES;
            }
            Err(failure) => return Err(failure.opening(index)),
        }
    }
}

/// Waits until the last handle of a database within this process is closed: its background threads drop
/// theirs a moment later than the store is dropped.
fn wait_until_closed(folder: &Path) {
    let asked = Instant::now();
    while asked.elapsed() < RELEASE_WAIT {
        match File::open(folder.join("db")).map(|file| file.try_lock()) {
            Ok(Err(std::fs::TryLockError::WouldBlock)) => std::thread::sleep(Duration::from_millis(2)),
            _ => return,
        }
    }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

/// A record by name, for messages.
fn describe(tree: Tree, key: &[u8]) -> String {
    match (tree, chunks::named(key)) {
        (Tree::Segments | Tree::Documents, Some(name)) => name,
        (Tree::Manifest, _) => "the manifest".into(),
        _ => format!("{:?} of {}", String::from_utf8_lossy(key), tree.name()),
    }
}
