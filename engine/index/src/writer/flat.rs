//! Segments without a graph: each commit makes one, and they are searched exactly. Vectors that are compared by a distance
//! never have a graph.
//!
//! A graph is worth building for thousands of passages, once: [`Index::seal`] builds it at the end of a run.
//! Until then small segments are put together into larger ones, so that they stay few.

use std::ops::ControlFlow;

use super::Index;
use super::join::join;
use crate::Result;
use crate::progress::Progress;
use crate::reader::snapshot::SegmentView;

/// With fewer passages than this a graph is not worth building: they are searched exactly.
pub const SEAL_PASSAGES: usize = 4096;

/// With this many passages without a graph an upsert builds it by itself, where a graph is built at all.
pub const SEGMENT_PASSAGES: usize = 1 << 20;

/// So many segments of one size become one: a document is copied as often as the logarithm to this base.
const FAN: usize = 64;

/// So many segments without a graph may be left at the end of a run.
const LEFT: usize = 8;

/// Up to so many deleted passages stay where they are: to write them out takes longer than their room is worth.
const KEPT_DEAD: usize = 1024;

impl Index {
    /// Builds the graph of the documents that have none yet, if they have at least [`SEAL_PASSAGES`] passages;
    /// else puts their segments together where they are many.
    ///
    /// `progress` is told how many passages are in the graph and how many there will be, and may stop it.
    ///
    /// # Errors
    /// [`Error::Write`](crate::Error::Write) if the disk takes no more,
    /// [`Error::Cancelled`](crate::Error::Cancelled) if it was stopped: no document is lost.
    pub fn seal(&mut self, progress: Progress<'_>) -> Result<()> {
        self.require_sound()?;
        let snapshot = self.now();
        let flats: Vec<&SegmentView> =
            snapshot.segments.iter().filter(|view| !view.segment.has_graph()).collect();
        let (live, all) = live_and_all(&snapshot);
        let by_product = snapshot.model().similarity.is_product();
        let graph = live >= SEAL_PASSAGES && by_product;
        // What never gets a graph is put together by size alone, as it is added.
        let few = flats.len() <= LEFT || !by_product && live >= SEAL_PASSAGES;
        if !graph && few && 2 * live >= all {
            return Ok(());
        }
        self.join_flats(0, graph, progress)
    }

    /// Live passages of segments without a graph.
    pub(super) fn flat_passages(&self) -> usize {
        live_and_all(&self.now()).0
    }

    /// Makes one segment of those without a graph where more of their passages are deleted than live: what is replaced
    /// again and again would take many times the room of what is left. Each copy of a live passage is paid for by a deleted
    /// one. The change before it stands where this fails, and is not made to fail by it while the index is sound.
    pub(super) fn reclaim_flats(&mut self) -> Result<()> {
        let (live, all) = live_and_all(&self.now());
        if all - live <= live.max(KEPT_DEAD) {
            return Ok(());
        }
        match self.join_flats(0, false, &|_, _| ControlFlow::Continue(())) {
            Err(error) if !self.failed => {
                tracing::warn!("the room of deleted documents could not be freed, and stays taken: {error}");
                Ok(())
            }
            joined => joined,
        }
    }

    /// Puts the newest segments without a graph together where there are [`FAN`] of about one size.
    pub(super) fn join_small_flats(&mut self) -> Result<()> {
        let snapshot = self.now();
        let flats = snapshot.segments.iter().filter(|view| !view.segment.has_graph());
        let classes: Vec<u32> = flats.map(|view| view.segment.passages().ilog(FAN)).collect();
        let Some(newest) = classes.last() else { return Ok(()) };
        let alike = classes.iter().rev().take_while(|class| *class <= newest).count();
        if alike < FAN {
            return Ok(());
        }
        self.join_flats(classes.len() - alike, false, &|_, _| ControlFlow::Continue(()))
    }

    /// Makes one segment of those without a graph, leaving out the `kept` oldest of them.
    fn join_flats(&mut self, kept: usize, graph: bool, progress: Progress<'_>) -> Result<()> {
        let snapshot = self.now();
        let is_flat = |view: &SegmentView| !view.segment.has_graph();
        let sources: Vec<SegmentView> =
            snapshot.segments.iter().filter(|view| is_flat(view)).skip(kept).cloned().collect();
        let id = self.new_segment();
        let record = join(&snapshot, &sources, id, graph, progress)?;
        self.replace(&snapshot, &sources, record)?;
        self.find_recent_ids()
    }

    /// Names a segment in the place of those that it was made of.
    pub(super) fn replace(
        &mut self,
        snapshot: &crate::Snapshot,
        sources: &[SegmentView],
        record: Option<crate::manifest::SegmentRecord>,
    ) -> Result<()> {
        let mut manifest = snapshot.manifest.clone();
        let is_source = |id: u64| sources.iter().any(|view| view.segment.id() == id);
        let place = manifest.segments.iter().position(|held| is_source(held.id));
        manifest.segments.retain(|held| !is_source(held.id));
        if let Some(record) = record {
            manifest.segments.insert(place.unwrap_or(0), record);
        }
        self.commit(manifest).map(drop)
    }
}

/// The live passages of segments without a graph, and all of them.
fn live_and_all(snapshot: &crate::Snapshot) -> (usize, usize) {
    let flats = snapshot.segments.iter().filter(|view| !view.segment.has_graph());
    flats.fold((0, 0), |(live, all), view| (live + view.live_passages(), all + view.segment.passages()))
}
