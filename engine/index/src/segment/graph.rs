//! The graph of a sealed segment: mapped and checked at first use, or a copy in large pages.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Segment;
use super::sections::Section;
use crate::graph::pages::memory_available;
use crate::graph::{Fault, Graph, GraphView, Layer, Lists, NONE, Pages, Shape, Trust};

/// Bytes of a graph that are copied, checks and page faults included, in a nanosecond.
const COPIED_A_NANOSECOND: u64 = 1;

/// Arrays of fewer bytes are copied without asking for the memory that is free.
const SMALL: u64 = 64 << 20;

impl Segment {
    /// The arrays of its graph in the mapping, to be checked as they are used.
    pub(super) fn mapped_graph(&self) -> Option<(GraphView<'_>, CheckedAtUse<'_>)> {
        let shape = self.header.graph.as_ref()?;
        let view = GraphView {
            shape,
            rows: self.sections.numbers(Section::GraphRows),
            base: self.sections.numbers(Section::GraphBase),
            upper: self.sections.numbers(Section::GraphUpper),
            codes: self.sections.bytes(Section::Codes),
        };
        Some((view, CheckedAtUse { segment: self, shape }))
    }

    /// The copy of its graph in large pages, where walks are a third faster. It is made once walks through the
    /// mapping have taken as long as the copy would: a process that asks once never pays for it.
    pub(super) fn resident_graph(&self) -> Option<&Graph> {
        if let Some(resident) = self.resident.get() {
            return resident.as_deref();
        }
        let copy = self.header.graph.as_ref().map_or(0, graph_bytes) / COPIED_A_NANOSECOND;
        if self.walked.load(Ordering::Relaxed) < copy {
            return None;
        }
        self.load_graph()
    }

    /// Notes how long a walk through the mapping took.
    pub(super) fn note_walk(&self, took: Duration) {
        self.walked.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Copies its graph into large pages, if there is memory for it.
    pub(crate) fn load_graph(&self) -> Option<&Graph> {
        let resident = self.resident.get_or_init(|| {
            let shape = self.header.graph.as_ref()?;
            has_memory_for(graph_bytes(shape)).then(|| self.copy_graph(shape).ok().map(Box::new)).flatten()
        });
        resident.as_deref()
    }

    /// What cannot be read is left to the walk through the mapping, which reports it.
    fn copy_graph(&self, shape: &Shape) -> Result<Graph, Fault> {
        self.check_graph(shape)?;
        let graph = Graph {
            shape: shape.clone(),
            rows: Pages::of(self.sections.numbers(Section::GraphRows)),
            base: Pages::of(self.sections.numbers(Section::GraphBase)),
            upper: Pages::of(self.sections.numbers(Section::GraphUpper)),
            codes: Pages::of(self.sections.bytes(Section::Codes)),
        };
        for section in [Section::GraphRows, Section::GraphBase, Section::GraphUpper, Section::Codes] {
            self.sections.forget(section);
        }
        Ok(graph)
    }

    /// Edges of its graph.
    pub(crate) fn edges(&self) -> u64 {
        let lists =
            [Section::GraphBase, Section::GraphUpper].map(|section| self.sections.numbers::<u32>(section));
        lists.iter().flat_map(|targets| targets.iter()).filter(|target| **target != NONE).count() as u64
    }

    /// Checks a range of a section, and of a graph that it names only points and rows that exist: once its blocks
    /// are known to hold their checksums, no walk looks at that again.
    pub(super) fn check_content(&self, section: Section, bytes: Range<usize>) -> Result<(), Fault> {
        match (&self.header.graph, section) {
            (Some(shape), Section::GraphRows) => CheckedAtUse { segment: self, shape }.rows(bytes),
            (Some(shape), Section::GraphBase | Section::GraphUpper) => {
                CheckedAtUse { segment: self, shape }.targets(section, bytes)
            }
            (_, Section::PassageVectors | Section::VectorPassages) => self.check_numbers(section, bytes),
            _ => self.sections.check(section, bytes),
        }
    }

    /// Checks all arrays of its graph.
    fn check_graph(&self, shape: &Shape) -> Result<(), Fault> {
        let trust = CheckedAtUse { segment: self, shape };
        trust.rows(0..self.sections.len(Section::GraphRows) as usize)?;
        trust.targets(Section::GraphBase, 0..self.sections.len(Section::GraphBase) as usize)?;
        if let Some((view, trust)) = self.mapped_graph() {
            for lists in view.upper_down() {
                (0..lists.points() as u32).try_for_each(|point| trust.list(lists, point))?;
            }
        }
        self.check_section(Section::Codes)
    }

    /// Every array of its graph is sound, and each row is one point.
    pub(super) fn verify_graph(&self) -> Result<(), Fault> {
        let Some(shape) = &self.header.graph else { return Ok(()) };
        // The blocks are known by now, so look at what they say again.
        let fault = |section: Section, why: String| self.sections.fault(section, &why);
        let mut seen = vec![false; self.distinct_vectors()];
        for (point, row) in self.sections.numbers::<u32>(Section::GraphRows).iter().enumerate() {
            match seen.get_mut(*row as usize) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => {
                    return Err(fault(
                        Section::GraphRows,
                        format!("point {point} is row {row}, as another is"),
                    ));
                }
                None => {
                    return Err(fault(
                        Section::GraphRows,
                        format!("point {point} is row {row}, which is not there"),
                    ));
                }
            }
        }
        let base = self.sections.numbers(Section::GraphBase);
        check_targets(shape, Section::GraphBase, base).map_err(|why| fault(Section::GraphBase, why))?;
        self.check_graph(shape)
    }
}

/// Bytes of all arrays of a graph.
fn graph_bytes(shape: &Shape) -> u64 {
    shape.code_bytes() + 4 * (shape.base_len() + shape.upper_len() + u64::from(shape.points))
}

/// Whether arrays of so many bytes may be copied into memory: a fifth of what is available must be left. A process
/// that is stopped for taking too much answers nothing; a mapped file only answers slower.
pub(super) fn has_memory_for(bytes: u64) -> bool {
    bytes <= SMALL || memory_available().is_none_or(|available| bytes <= available / 5 * 4)
}

/// Checks the blocks of a mapped graph when they are first used, and that they name only points and rows that
/// exist.
#[derive(Clone, Copy)]
pub(super) struct CheckedAtUse<'a> {
    segment: &'a Segment,
    shape: &'a Shape,
}

impl CheckedAtUse<'_> {
    #[inline]
    fn rows(&self, bytes: std::ops::Range<usize>) -> Result<(), Fault> {
        self.segment.check_numbers(Section::GraphRows, bytes)
    }

    #[inline]
    fn targets(&self, section: Section, bytes: std::ops::Range<usize>) -> Result<(), Fault> {
        self.segment.sections.check_with(section, bytes, &|_, block| {
            check_targets(self.shape, section, bytemuck::cast_slice(block))
        })
    }
}

/// No list names a point that is not there. Points of an upper layer are looked up among those of the lowest
/// upper layer here, and [`Trust::list`] holds them against their own.
fn check_targets(shape: &Shape, section: Section, targets: &[u32]) -> Result<(), String> {
    let points = match section {
        Section::GraphUpper => shape.upper.first().copied().unwrap_or(0),
        _ => shape.points,
    };
    match targets.iter().find(|target| **target != NONE && **target >= points) {
        Some(target) => Err(format!("it names point {target} of {points}")),
        None => Ok(()),
    }
}

impl Trust for CheckedAtUse<'_> {
    #[inline]
    fn list(&self, lists: Lists<'_>, point: u32) -> Result<(), Fault> {
        let first = 4 * (lists.first + point as usize * lists.width);
        let bytes = first..first + 4 * lists.width;
        match lists.layer {
            Layer::Base => self.targets(Section::GraphBase, bytes),
            Layer::Upper => {
                self.targets(Section::GraphUpper, bytes)?;
                let points = lists.points() as u32;
                match lists.of(point).find(|target| *target >= points) {
                    Some(target) => Err(self
                        .segment
                        .sections
                        .fault(Section::GraphUpper, &format!("it names point {target} of {points}"))),
                    None => Ok(()),
                }
            }
        }
    }

    #[inline]
    fn codes(&self, points: &[u32]) -> Result<(), Fault> {
        let stride = self.shape.stride as usize;
        points.iter().try_for_each(|point| {
            let first = *point as usize * stride;
            self.segment.sections.check(Section::Codes, first..first + stride)
        })
    }

    #[inline]
    fn row(&self, point: u32) -> Result<(), Fault> {
        self.rows(4 * point as usize..4 * (point as usize + 1))
    }
}
