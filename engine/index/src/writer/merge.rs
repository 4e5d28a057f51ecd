//! Merging segments: several become one, without what was deleted from them.
//!
//! A search walks each segment, so they must not be many, and what is deleted takes room until its segment
//! is written anew. Segments are merged where [`FAN`] have about one size, a factor of [`FAN`] between one size
//! and the next; so a passage goes into a new graph as often as the logarithm of all of them to that base, and
//! adding a few to a large index costs no more than a few, on average. A segment of more than half of
//! [`MERGED_PASSAGES`] is left alone unless half of it is deleted, so that an index of n passages has at most
//! 2n / [`MERGED_PASSAGES`] of those and [`FAN`] - 1 of each smaller size.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::flat::SEAL_PASSAGES;
use super::join::join;
use super::{Index, WriterLock};
use crate::manifest::{IndexId, SegmentRecord};
use crate::progress::Progress;
use crate::reader::snapshot::{SegmentView, Snapshot};
use crate::segment::Deleted;
use crate::storage::Storage;
use crate::{Error, Result};

/// So many neighbors of about one size are merged.
const FAN: usize = 4;

/// No merge makes a segment of more passages than this.
pub const MERGED_PASSAGES: usize = 1 << 21;

/// A merge that is due. It can [run](Self::run) on any thread while the index takes documents. Until it and what
/// comes of it are dropped no other writer can open the index.
pub struct Merge {
    snapshot: Arc<Snapshot>,
    sources: Vec<SegmentView>,
    /// The id of the new segment.
    id: u64,
    lock: Arc<WriterLock>,
}

/// A merge that has run, and counts when its index has [taken](Index::take_merged) it. Dropped, its file goes.
pub struct Merged {
    index: IndexId,
    sources: Vec<SegmentView>,
    record: Option<SegmentRecord>,
    storage: Arc<dyn Storage>,
    _lock: Arc<WriterLock>,
}

impl Index {
    /// The merge that is due, if there is one. Only one may be under way.
    pub fn due_merge(&mut self) -> Option<Merge> {
        let snapshot = self.now();
        // Segments with a graph come first: those without are the newest.
        let sealed: Vec<&SegmentView> =
            snapshot.segments.iter().filter(|view| view.segment.has_graph()).collect();
        let sizes: Vec<Size> = sealed
            .iter()
            .map(|view| Size { live: view.live_passages(), all: view.segment.passages() })
            .collect();
        let sources: Vec<SegmentView> = sealed[due(&sizes)?].iter().map(|view| (*view).clone()).collect();
        let id = self.new_segment();
        Some(Merge { snapshot, sources, id, lock: Arc::clone(&self.lock) })
    }

    /// Puts a merged segment in the place of those it was made of; on the disk when it returns. What was
    /// deleted since it was made stays deleted.
    ///
    /// # Errors
    /// [`Error::Stale`] if it was made of segments that this index does not have (any more),
    /// [`Error::Write`] if the disk takes no more: the index stays as it was.
    pub fn take_merged(&mut self, mut merged: Merged) -> Result<()> {
        self.require_sound()?;
        let snapshot = self.now();
        let stale = Error::Stale("the merge was made of segments that the index does not have");
        if merged.index != snapshot.manifest.index {
            return Err(stale);
        }
        let mut manifest = snapshot.manifest.clone();
        let id = merged.sources[0].segment.id();
        // Sources whose last documents were deleted meanwhile are gone already.
        let present = |id: u64| snapshot.segments.iter().find(|view| view.segment.id() == id);
        let is_source = |id: u64| merged.sources.iter().any(|view| view.segment.id() == id);
        if !merged.sources.iter().any(|view| present(view.segment.id()).is_some()) && merged.record.is_some()
        {
            return Err(stale);
        }
        let place = manifest.segments.iter().position(|held| is_source(held.id));
        let place = place.unwrap_or_else(|| manifest.segments.partition_point(|held| held.id < id));
        manifest.segments.retain(|held| !is_source(held.id));
        if let Some(record) = &merged.record {
            manifest.segments.insert(place.min(manifest.segments.len()), record.clone());
            let deleted = merged.deleted_since(&present).map_err(|fault| snapshot.fault(fault))?;
            if let Some(deleted) = deleted {
                self.name_deleted(&snapshot, record.id, &deleted, &mut manifest)?;
            }
        }
        let committed = self.commit(manifest).map(drop);
        if committed.is_ok() || self.failed {
            // Its file is the index's own now, or may be: a commit that failed late may be on the disk.
            merged.record = None;
        }
        committed
    }

    /// Runs all merges that are due, one after another. `progress` hears how many passages of a merge are in
    /// its graph, and how many there will be, and may stop it.
    ///
    /// # Errors
    /// As [`Merge::run`] and [`Index::take_merged`].
    pub fn merge(&mut self, progress: Progress<'_>) -> Result<()> {
        while let Some(merge) = self.due_merge() {
            let merged = merge.run(progress)?;
            self.take_merged(merged)?;
        }
        Ok(())
    }
}

impl Merge {
    /// How many documents it will write.
    pub fn documents(&self) -> usize {
        self.sources.iter().map(SegmentView::live).sum()
    }

    /// Writes the new segment where nothing refers to it. Holds up nobody.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more, [`Error::Damaged`] if a source cannot be trusted,
    /// [`Error::Cancelled`] if `progress` stopped it: the index stays as it was.
    pub fn run(self, progress: Progress<'_>) -> Result<Merged> {
        // With a graph however few are left: segments without one are the newest, and stay behind the others.
        let record = join(&self.snapshot, &self.sources, self.id, true, progress)?;
        let (index, storage) = (self.snapshot.manifest.index, Arc::clone(&self.snapshot.storage));
        Ok(Merged { index, sources: self.sources, record, storage, _lock: self.lock })
    }
}

impl Merged {
    /// What was deleted from its sources since it was made, as tombstones of the new segment.
    fn deleted_since<'a>(
        &self,
        present: &dyn Fn(u64) -> Option<&'a SegmentView>,
    ) -> Result<Option<Deleted>, crate::graph::Fault> {
        let passages = self.record.as_ref().map_or(0, |record| record.passages as usize);
        let mut deleted = Deleted::none(passages);
        // The passages of the new segment are those that were live, in their order.
        let mut first = 0;
        for then in &self.sources {
            let now = present(then.segment.id());
            let same = now.is_some_and(|now| now.deleted == then.deleted);
            if same {
                first += then.live_passages();
                continue;
            }
            for document in then.documents() {
                let document = document?;
                let count = then.segment.passages_of(document)?.len();
                let is_live = now.map_or(Ok(false), |now| now.is_live_document(document))?;
                if !is_live {
                    deleted.bury(first..first + count);
                }
                first += count;
            }
        }
        Ok((deleted.documents() > 0).then_some(deleted))
    }
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("of", &self.snapshot).field("documents", &self.documents()).finish()
    }
}

impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merged").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let _ = self.storage.remove(&crate::segment::write::file_name(record.id));
        }
    }
}

/// The passages of a sealed segment.
#[derive(Clone, Copy)]
struct Size {
    live: usize,
    all: usize,
}

impl Size {
    /// 0 for segments as they are sealed at the least, 1 for those of [`FAN`] times as many passages, …
    fn class(self) -> u32 {
        (self.live / SEAL_PASSAGES).max(1).ilog(FAN)
    }

    /// Whether merging it with others would make it too large.
    fn is_full(self) -> bool {
        self.live > MERGED_PASSAGES / 2
    }
}

/// Which segments, oldest first, are to be merged now: one that is half dead, or [`FAN`] of one class with
/// nothing but smaller ones between them.
fn due(sizes: &[Size]) -> Option<Range<usize>> {
    if let Some(at) = sizes.iter().position(|size| size.all > size.live && size.all >= 2 * size.live) {
        return Some(at..at + 1);
    }
    let greatest = sizes.iter().map(|size| size.class()).max()?;
    (0..=greatest).find_map(|class| due_of_class(sizes, class))
}

fn due_of_class(sizes: &[Size], class: u32) -> Option<Range<usize>> {
    let mut first = None;
    let (mut members, mut live) = (0, 0);
    for (at, size) in sizes.iter().enumerate() {
        if size.class() > class || size.is_full() {
            first = None;
            continue;
        }
        if size.class() == class {
            if first.is_none() {
                (first, members, live) = (Some(at), 0, 0);
            }
            members += 1;
        }
        live += size.live;
        let Some(begin) = first else { continue };
        // As many as fit: two halves of the limit are worth a merge, too.
        let next_fits = sizes.get(at + 1).is_some_and(|next| live + next.live <= MERGED_PASSAGES);
        if live <= MERGED_PASSAGES && (members == FAN || members >= 2 && !next_fits && at + 1 < sizes.len()) {
            return Some(begin..at + 1);
        }
        if live > MERGED_PASSAGES {
            (first, members, live) = (Some(at), 1, size.live);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(live: &[usize]) -> Vec<Size> {
        live.iter().map(|live| Size { live: *live, all: *live }).collect()
    }

    #[test]
    fn neighbors_of_one_size_are_merged_and_a_large_one_is_left_alone() {
        assert_eq!(due(&sizes(&[])), None);
        assert_eq!(due(&sizes(&[1_100_000, 5000, 5000, 5000])), None);
        assert_eq!(due(&sizes(&[1_100_000, 5000, 5000, 5000, 4096])), Some(1..5));
        assert_eq!(due(&sizes(&[5000, 20_000, 5000, 5000, 5000])), None);
        assert_eq!(due(&sizes(&[5000, 20_000, 5000, 5000, 5000, 5000])), Some(2..6));
        assert_eq!(due(&sizes(&[20_000, 5000, 20_000, 20_000, 5000, 20_000, 5000])), Some(0..6));
        assert_eq!(due(&sizes(&[288_000, 288_000, 288_000, 288_000])), Some(0..4));
    }

    #[test]
    fn a_segment_that_is_half_dead_is_written_anew() {
        let half = Size { live: 10, all: 20 };
        assert_eq!(due(&[Size { live: 100, all: 199 }, half]), Some(1..2));
        assert_eq!(due(&[Size { live: 1, all: 1 }]), None);
    }

    /// Adds segments of `step` passages until there are `count`, and merges what is due after each.
    fn grown(step: usize, count: usize) -> (Vec<Size>, usize) {
        let (mut held, mut merged) = (Vec::new(), 0);
        for _ in 0..count {
            held.push(Size { live: step, all: step });
            while let Some(run) = due(&held) {
                let live = held[run.clone()].iter().map(|size| size.live).sum();
                assert!(live <= MERGED_PASSAGES);
                merged += live;
                held.splice(run, [Size { live, all: live }]);
            }
        }
        (held, merged)
    }

    #[test]
    fn a_passage_is_merged_as_often_as_the_logarithm() {
        let (held, merged) = grown(SEAL_PASSAGES, 256);
        assert!(merged <= 4 * 256 * SEAL_PASSAGES, "{}", merged / SEAL_PASSAGES);
        assert_eq!(held.len(), 1);
    }

    #[test]
    fn segments_of_any_size_stay_few() {
        for step in [SEAL_PASSAGES, 5000, 20_000, 100_000, 288_000, 400_000, 600_000, 1_000_000, 2_000_000] {
            let total = 40_000_000usize;
            let (held, _) = grown(step, total / step);
            let bound = 2 * total / MERGED_PASSAGES + 3 * 5;
            assert!(held.len() <= bound, "{} segments of {step}, at most {bound}", held.len());
        }
    }
}
