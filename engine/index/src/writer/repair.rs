//! Repairing an index whose catalogue or manifest is lost or damaged, from what is there.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Index;
use crate::catalogue::{self, Catalogue};
use crate::error::Found;
use crate::manifest::{IndexId, Manifest, SegmentRecord};
use crate::progress::{Counter, Progress};
use crate::reader::QueryPool;
use crate::reader::snapshot::{Opened, Snapshot, read_manifest};
use crate::segment::sections::Trailer;
use crate::segment::write::segment_of;
use crate::segment::{Deleted, Segment, segment_of_deleted};
use crate::storage::{Blob, CatalogueHome, Folder, Output, Stamp, Storage};
use crate::{Error, Result};

/// What an index was rebuilt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairedFrom {
    /// The published manifest, all of whose files are there: only the catalogue was made anew.
    Manifest,
    /// The manifest that the catalogue has.
    Catalogue,
    /// The segment files alone.
    Segments,
}

/// What a repair came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// What it was made from.
    pub from: RepairedFrom,
    /// Live documents.
    pub documents: usize,
    /// Files that cannot be used, and why. Their documents are lost.
    pub lost: Vec<String>,
}

impl Index {
    /// Rebuilds the catalogue of the index at `path`, and its manifest where that is lost or damaged, from the
    /// newest of what can be read.
    ///
    /// # Errors
    /// [`Error::NotAnIndex`] if there is nothing of an index, [`Error::Locked`] while a writer holds it,
    /// [`Error::Write`] if the disk takes no more.
    pub fn repair(path: &Path) -> Result<Repaired> {
        Self::repair_with(path, &|_, _| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how many files of segments and tombstones are looked at and how many there are, and
    /// may stop it: nothing is changed before all of them are looked at.
    ///
    /// # Errors
    /// As [`Index::repair`], and [`Error::Cancelled`] if `progress` stopped it.
    pub fn repair_with(path: &Path, progress: Progress<'_>) -> Result<Repaired> {
        use crate::folder::{Contents, contents};
        match contents(path)? {
            Contents::Index | Contents::Other(Found::Interrupted) => {}
            Contents::Older => {
                return Err(Error::Format {
                    path: path.to_owned(),
                    found: 3,
                    known: crate::manifest::FORMAT,
                });
            }
            Contents::Other(found) => return Err(Error::NotAnIndex { path: path.to_owned(), found }),
        }
        Self::repair_in_with(Arc::new(Folder::new(path)), progress)
    }

    /// [`Index::repair`] for the index in a storage.
    ///
    /// # Errors
    /// As there.
    pub fn repair_in(storage: Arc<dyn Storage>) -> Result<Repaired> {
        Self::repair_in_with(storage, &|_, _| ControlFlow::Continue(()))
    }

    /// [`Index::repair_with`] for the index in a storage.
    ///
    /// # Errors
    /// As there.
    pub fn repair_in_with(storage: Arc<dyn Storage>, progress: Progress<'_>) -> Result<Repaired> {
        let lock = storage.lock().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::Locked { path: storage.path().to_owned() },
            _ => Error::writing(&*storage, &error),
        })?;
        let files = storage.list().map_err(|error| Error::reading(&*storage, error))?;
        let looked_at = Counter::begin(files.len(), progress)?;
        let published = storage.manifest().map_err(|error| Error::reading(&*storage, error))?;
        let shown = published.as_ref().and_then(|bytes| read_manifest(&*storage, bytes).ok());
        let known = Catalogue::open(&*storage).and_then(|catalogue| catalogue.manifest(&*storage));
        let known = known.ok().flatten().and_then(|bytes| read_manifest(&*storage, &bytes).ok());
        let mut lost = Vec::new();
        // The catalogue may be one commit ahead, which nobody was told of.
        let mut found = None;
        for (manifest, from) in [(known, RepairedFrom::Catalogue), (shown, RepairedFrom::Manifest)] {
            let Some(manifest) = manifest else { continue };
            // Where both are the same commit the published one is said to be what was found.
            let better =
                |(best, _): &(Manifest, _)| best.generation < manifest.generation || *best == manifest;
            if found.as_ref().is_none_or(better) && opens(&storage, &manifest) {
                found = Some((manifest, from));
            }
        }
        let (manifest, from) = match found {
            Some(found) => {
                looked_at.add(files.len())?;
                found
            }
            None => (gather(&*storage, &files, &looked_at, &mut lost)?, RepairedFrom::Segments),
        };
        catalogue::remove(&*storage)?;
        let bytes = manifest.to_bytes();
        Catalogue::open(&*storage)?.commit(&*storage, &bytes)?;
        if published.as_ref() != Some(&bytes) {
            storage
                .publish(&bytes, published.as_deref())
                .map_err(|error| Error::writing(&*storage, &error))?;
        }
        drop(lock);
        Ok(Repaired { from, documents: manifest.live() as usize, lost })
    }
}

/// Whether every file that a manifest names can be opened.
fn opens(storage: &Arc<dyn Storage>, manifest: &Manifest) -> bool {
    let pool = Arc::new(QueryPool::new(None));
    matches!(Snapshot::of(storage, &pool, None, manifest.clone(), Vec::new()), Ok(Opened::Snapshot(_)))
}

/// A manifest of all segment files that can be opened, with the newest tombstones of each.
fn gather(
    storage: &dyn Storage,
    files: &[(String, u64)],
    looked_at: &Counter<'_>,
    lost: &mut Vec<String>,
) -> Result<Manifest> {
    let mut segments: Vec<Segment> = Vec::new();
    // Tombstones are always written by the index itself; so are segments that are named as they say.
    let mut index = files.iter().find_map(|(name, _)| {
        segment_of_deleted(name)?;
        storage.open(name).ok().and_then(|blob| Deleted::index_of(&blob))
    });
    for (name, _) in files {
        let Some(id) = segment_of(name) else { continue };
        let opened = storage
            .open(name)
            .map_err(|error| error.to_string())
            .and_then(|blob| Trailer::read(&blob))
            .and_then(|trailer| {
                let mut origin = trailer.origin();
                if origin.segment == id {
                    origin.index = *index.get_or_insert(trailer.index);
                }
                Segment::open_file(storage, origin, id).map_err(|error| format!("{error:?}"))
            });
        match opened {
            Ok(segment) => segments.push(segment),
            Err(why) => lost.push(format!("{name}: {why}")),
        }
        looked_at.add(1)?;
    }
    let Some(newest) = segments.last() else {
        return Err(Error::damaged(storage, "it has no segment that can be read"));
    };
    // Where all segments are of other indexes nothing says which index this was.
    let index = index.unwrap_or_else(IndexId::random);
    let model = newest.header().model.clone();
    let deleted = newest_tombstones(storage, index, files, &segments, lost);
    looked_at.add(files.iter().filter(|(name, _)| segment_of(name).is_none()).count())?;
    let segments = without_replaced(segments, &deleted);
    // Other indexes have commits of their own.
    let own = segments.iter().filter(|segment| segment.is_own());
    let generation = own.map(|segment| segment.header().generation);
    let generation = generation.chain(deleted.values().map(|(_, record)| record.generation)).max();
    let next_segment = files.iter().filter_map(|(name, _)| segment_of(name)).max().map_or(1, |id| id + 1);
    let records = segments.iter().filter_map(|segment| record_of(segment, &deleted));
    Ok(Manifest {
        index,
        generation: generation.unwrap_or(1) + 1,
        model,
        ef: 0,
        next_segment,
        segments: records.collect(),
        trust: None,
    })
}

type Tombstones = HashMap<u64, (Arc<Deleted>, crate::manifest::DeletedRecord)>;

/// The newest tombstones of each segment that can be read.
fn newest_tombstones(
    storage: &dyn Storage,
    index: IndexId,
    files: &[(String, u64)],
    segments: &[Segment],
    lost: &mut Vec<String>,
) -> Tombstones {
    let mut newest = Tombstones::new();
    for (name, _) in files {
        let Some((id, generation)) = segment_of_deleted(name) else { continue };
        let Some(segment) = segments.iter().find(|segment| segment.id() == id) else { continue };
        match Deleted::read(storage, index, id, generation, segment.passages()) {
            Ok(Some(found)) => {
                let known = newest.get(&id).map_or(0, |(_, record)| record.generation);
                if generation > known {
                    newest.insert(id, found);
                }
            }
            Ok(None) => {}
            Err(error) => lost.push(format!("{name}: {error}")),
        }
    }
    newest
}

/// Leaves out either the segments that another replaces, or that other one: whichever has the older tombstones.
/// Where both are alike the merged one counts, since the others are removed only after it was committed.
fn without_replaced(mut segments: Vec<Segment>, deleted: &Tombstones) -> Vec<Segment> {
    let generation = |id: u64| deleted.get(&id).map_or(0, |(_, record)| record.generation);
    let mut dropped = Vec::new();
    // What an adopted segment was made of is in another index.
    for merged in segments.iter().rev().filter(|segment| segment.is_own()) {
        let sources = &merged.header().replaces;
        let all_there = sources.iter().all(|id| segments.iter().any(|segment| segment.id() == *id));
        let newest_source = sources.iter().map(|id| generation(*id)).max().unwrap_or(0);
        let written = merged.header().generation;
        if !sources.is_empty() && all_there && newest_source >= written.max(generation(merged.id())) {
            dropped.push(merged.id());
        } else if !dropped.contains(&merged.id()) {
            dropped.extend(sources);
        }
    }
    segments.retain(|segment| !dropped.contains(&segment.id()));
    segments
}

fn record_of(segment: &Segment, deleted: &Tombstones) -> Option<SegmentRecord> {
    let edges = segment.has_graph().then(|| segment.edges());
    let record = SegmentRecord {
        id: segment.id(),
        documents: segment.documents() as u64,
        passages: segment.passages() as u64,
        length: segment.length(),
        checksum: segment.checksum(),
        edges,
        deleted: deleted.get(&segment.id()).map(|(_, record)| *record),
        origin: (!segment.is_own()).then(|| segment.origin()),
    };
    (record.live() > 0).then_some(record)
}

/// A storage whose manifest is kept back until everything is there.
#[derive(Debug)]
pub(super) struct Unpublished {
    inner: Arc<dyn Storage>,
    manifest: Mutex<Option<Vec<u8>>>,
}

impl Unpublished {
    pub(super) fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, manifest: Mutex::new(None) }
    }

    /// Removes what an interrupted attempt left.
    pub(super) fn clear(&self) -> Result<()> {
        catalogue::remove(&*self.inner)?;
        let files = self.inner.list().map_err(|error| Error::reading(&*self.inner, error))?;
        files.iter().try_for_each(|(name, _)| {
            self.inner.remove(name).map_err(|error| Error::writing(&*self.inner, &error))
        })
    }

    /// Publishes the manifest that was kept back.
    pub(super) fn publish_now(&self) -> Result<()> {
        let manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = manifest.as_deref().unwrap_or_default();
        self.inner.publish(manifest, None).map_err(|error| Error::writing(&*self.inner, &error))
    }
}

impl Storage for Unpublished {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn manifest(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.manifest.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn manifest_stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::default())
    }

    fn publish(&self, manifest: &[u8], _: Option<&[u8]>) -> io::Result<()> {
        *self.manifest.lock().unwrap_or_else(PoisonError::into_inner) = Some(manifest.to_vec());
        Ok(())
    }

    fn sync_manifest(&self) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<Blob> {
        self.inner.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        self.inner.create(name)
    }

    fn link(&self, name: &str, from: &dyn Storage, of: &str) -> io::Result<()> {
        self.inner.link(name, from, of)
    }

    fn file(&self, name: &str) -> Option<std::path::PathBuf> {
        self.inner.file(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.inner.sync_names()
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.inner.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        self.inner.lock()
    }

    fn catalogue(&self) -> CatalogueHome {
        self.inner.catalogue()
    }

    fn catalogue_synced(&self) {
        self.inner.catalogue_synced();
    }

    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }
}
