//! Records of a sled database, each under a checksum.
//!
//! Sled panics on some damaged pages. Every call into it runs behind [`shield`], and a database that has
//! panicked is neither used again nor closed: closing flushes what the panic left.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sled::{Db, IVec};

use super::folder::write_error;
use super::{arrays, damaged};
use crate::{Error, Result};

/// Sizes of the segments of sled's log: of format 3, and of formats 1 and 2, which are opened to read
/// their version. Sled refuses a database whose size is another.
const LOG_SEGMENT_BYTES: usize = 1 << 20;
const OLDER_LOG_SEGMENT_BYTES: usize = 512 << 10;

/// Pages that sled keeps in memory.
const CACHE_BYTES: u64 = 4 << 20;

/// How long sled's lock is asked for: its threads release it a moment after a database is dropped.
const RELEASE_WAIT: Duration = Duration::from_secs(5);

/// A collection of records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tree {
    /// Format version and model.
    Meta,
    /// The manifest.
    Manifest,
    /// Chunks of the records of documents and of their lengths.
    Documents,
    /// Chunks of vectors and pages of tombstones.
    Segments,
}

const TREES: [&str; 4] = ["meta", "manifest", "documents", "segments"];

/// The database of an index of format 3.
pub(super) struct Database {
    open: Option<Open>,
    store: PathBuf,
    index: PathBuf,
    panicked: AtomicBool,
}

/// The handles into sled. The trees come first: they are dropped before the database.
struct Open {
    trees: [Option<sled::Tree>; 4],
    _db: Db,
}

impl Database {
    /// Opens the database in the folder `store` of the index at `index`.
    pub(super) fn open(store: &Path, index: &Path) -> Result<Self> {
        let db = open_sled(store).map_err(|failure| failure.opening(index))?;
        let trees = shield(|| {
            let names = db.tree_names();
            // Sled makes a tree that is not there.
            let open =
                |name: &str| names.iter().any(|found| found == name.as_bytes()).then(|| db.open_tree(name));
            let [meta, manifest, documents, segments] = TREES.map(open);
            Ok([meta.transpose()?, manifest.transpose()?, documents.transpose()?, segments.transpose()?])
        });
        match trees {
            Ok(trees) => Ok(Self {
                open: Some(Open { trees, _db: db }),
                store: store.to_owned(),
                index: index.to_owned(),
                panicked: AtomicBool::new(false),
            }),
            Err(failure) => {
                std::mem::forget(db);
                Err(failure.opening(index))
            }
        }
    }

    /// The payload of a record that must be there, its checksum held.
    pub(super) fn require(&self, tree: Tree, key: &[u8]) -> Result<IVec> {
        let value = self.call(|tree| tree.get(key), tree)?.flatten();
        let value = value.ok_or_else(|| self.damaged(format!("{} is missing", name(tree, key))))?;
        let payload = value.len().checked_sub(4).map(|bytes| value.subslice(0, bytes));
        match payload {
            Some(payload) if value[payload.len()..] == checksum(key, &payload).to_le_bytes() => Ok(payload),
            _ => Err(self.damaged(format!("{} fails its checksum", name(tree, key)))),
        }
    }

    /// Touches a record 7 times so that sled's access queue fills and evicts. Sled looks at the size of its
    /// cache every 16 thousand touches; chunks that are read once would take 130 MB until then.
    pub(super) fn touch_to_evict(&self, tree: Tree, key: &[u8]) -> Result<()> {
        self.call(|tree| (0..7).try_for_each(|_| tree.contains_key(key).map(drop)), tree).map(drop)
    }

    /// The error of an index whose stored bytes cannot be right.
    pub(super) fn damaged(&self, what: impl Into<String>) -> Error {
        damaged(&self.index, what)
    }

    /// Closes the database and waits until sled's threads have let go of its files.
    pub(super) fn close(self) {
        let log = self.store.join("db");
        drop(self);
        let asked = Instant::now();
        while asked.elapsed() < RELEASE_WAIT
            && let Ok(file) = File::open(&log)
            && let Err(TryLockError::WouldBlock) = file.try_lock()
        {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs a call on a tree; none if the database does not have the tree.
    fn call<T>(&self, call: impl FnOnce(&sled::Tree) -> sled::Result<T>, tree: Tree) -> Result<Option<T>> {
        if self.panicked.load(Ordering::Acquire) {
            return Err(self.damaged("the database failed before"));
        }
        let Some(tree) = self.open.as_ref().and_then(|open| open.trees[tree as usize].as_ref()) else {
            return Ok(None);
        };
        let outcome = shield(|| call(tree));
        if let Err(Failure::Panic(_)) = &outcome {
            self.panicked.store(true, Ordering::Release);
        }
        outcome.map(Some).map_err(|failure| failure.reading(&self.index))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let open = self.open.take();
        if self.panicked.load(Ordering::Acquire) {
            std::mem::forget(open);
        } else {
            let _ = shield(|| {
                drop(open);
                Ok(())
            });
        }
    }
}

fn open_sled(store: &Path) -> Result<Db, Failure> {
    let asked = Instant::now();
    let mut log_segment = LOG_SEGMENT_BYTES;
    loop {
        let config = sled::Config::new()
            .path(store)
            .cache_capacity(CACHE_BYTES)
            .segment_size(log_segment)
            .use_compression(false)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None);
        match shield(|| config.open()) {
            Err(failure) if failure.is_lock() && asked.elapsed() < RELEASE_WAIT => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(Failure::Sled(sled::Error::Unsupported(_))) if log_segment != OLDER_LOG_SEGMENT_BYTES => {
                log_segment = OLDER_LOG_SEGMENT_BYTES;
            }
            outcome => return outcome,
        }
    }
}

/// A call into sled that did not succeed.
enum Failure {
    Sled(sled::Error),
    /// The first line of the message: what follows are dumps of sled's own structures.
    Panic(String),
}

/// Runs a call into sled; a panic within becomes a [`Failure`].
fn shield<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Failure> {
    let panic = match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => return outcome.map_err(Failure::Sled),
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Err(Failure::Panic(text.and_then(|text| text.lines().next()).unwrap_or("no message").to_owned()))
}

impl Failure {
    fn is_lock(&self) -> bool {
        matches!(self, Failure::Sled(sled::Error::Io(error))
            if error.kind() == ErrorKind::WouldBlock
                || error.to_string().starts_with("could not acquire lock"))
    }

    /// The error of a database that cannot be opened, for which sled writes.
    fn opening(self, index: &Path) -> Error {
        if self.is_lock() {
            return Error::Locked { path: index.to_owned() };
        }
        match self {
            Failure::Sled(sled::Error::Io(error)) => match write_error(index, error) {
                Error::Io { source, .. } => Failure::Sled(sled::Error::Io(source)).reading(index),
                write => write,
            },
            other => other.reading(index),
        }
    }

    /// The error of a record that cannot be read.
    fn reading(self, index: &Path) -> Error {
        match self {
            // A page that ends early or is not there is damage, not a failing disk.
            Failure::Sled(sled::Error::Io(source))
                if !matches!(source.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) =>
            {
                Error::Io { action: "read", path: index.to_owned(), source }
            }
            Failure::Sled(sled::Error::Corruption { .. }) => {
                damaged(index, "a page of the database fails its checksum")
            }
            Failure::Sled(error) => damaged(index, format!("the database cannot be read ({error})")),
            Failure::Panic(message) => damaged(index, format!("the database gave up ({message})")),
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
fn name(tree: Tree, key: &[u8]) -> String {
    let chunk = arrays::name(key).filter(|_| matches!(tree, Tree::Documents | Tree::Segments));
    chunk.unwrap_or_else(|| format!("{:?} of {}", String::from_utf8_lossy(key), TREES[tree as usize]))
}
