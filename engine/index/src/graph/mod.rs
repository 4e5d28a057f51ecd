//! A navigable small-world graph (HNSW: Malkov & Yashunin 2018) in flat arrays: what a sealed segment keeps
//! and a query walks.
//!
//! This room knows vectors, rows and points, and nothing of documents or files. In the order of the data:
//! `codes` turns vectors into bytes (`lengths` brings those of unlike length to one), `build` inserts points (`beam` looks for neighbors, `select` chooses
//! among them, `connect` makes every point reachable, `reorder` puts near points near each other in memory),
//! `walk` answers queries, and [`exact`] scans instead. Arrays are `Pages` of this process, or belong to
//! a mapped file; a `GraphView` walks both.

pub(crate) mod beam;
mod build;
pub(crate) mod codes;
mod connect;
pub mod exact;
mod lengths;
pub(crate) mod lists;
mod mend;
pub(crate) mod nearest;
mod order;
pub(crate) mod pages;
mod reorder;
mod select;
pub(crate) mod trust;
pub(crate) mod vectors;
pub(crate) mod walk;

pub(crate) use self::lists::{Layer, Lists, NONE};
pub(crate) use self::pages::Pages;
pub(crate) use self::trust::{Fault, Trust, Trusted};
pub(crate) use self::vectors::Matrix;
pub(crate) use self::walk::Filtered;

use crate::Embeddings;

/// Layers above the base that a graph can have.
const MAX_LAYERS: usize = 16;
/// Neighbors of one point on one layer, at most.
const MAX_WIDTH: usize = 512;

/// Neighbors of a point on an upper layer, half of those on the base: `M` of the paper.
pub(crate) const NEIGHBORS: usize = 16;

/// A graph has fewer points.
pub(crate) const POINT_LIMIT: usize = 1 << 31;

/// The sizes of a graph's arrays.
#[derive(Debug, Clone, PartialEq, bincode::Encode, bincode::Decode)]
pub(crate) struct Shape {
    /// Points of the base layer. A point is a row of the vectors.
    pub(crate) points: u32,
    /// Places for neighbors of a point on the base layer.
    pub(crate) base_width: u32,
    /// Places for neighbors of a point on each upper layer.
    pub(crate) upper_width: u32,
    /// Points of layers 1, 2, …: each holds the first points of the layer below.
    pub(crate) upper: Vec<u32>,
    /// Bytes from one row of codes to the next.
    pub(crate) stride: u32,
    /// The greatest squared length of a row of codes.
    pub(crate) square: f32,
}

impl Shape {
    /// Says what is wrong with the sizes, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let widths = [self.base_width as usize, self.upper_width as usize];
        if widths.iter().any(|width| !(1..=MAX_WIDTH).contains(width)) {
            return Err(format!("its lists have places for {} and {} neighbors", widths[0], widths[1]));
        }
        if self.points as usize >= POINT_LIMIT {
            return Err(format!("it has {} points", self.points));
        }
        if self.upper.len() > MAX_LAYERS {
            return Err(format!("it has {} upper layers", self.upper.len()));
        }
        let mut below = self.points;
        for (above, points) in self.upper.iter().enumerate() {
            if *points == 0 || *points > below {
                return Err(format!("layer {} has {points} points above {below}", above + 1));
            }
            below = *points;
        }
        Ok(())
    }

    /// Numbers of the base layer.
    pub(crate) fn base_len(&self) -> u64 {
        u64::from(self.points) * u64::from(self.base_width)
    }

    /// Numbers of the upper layers together.
    pub(crate) fn upper_len(&self) -> u64 {
        self.upper.iter().map(|points| u64::from(*points)).sum::<u64>() * u64::from(self.upper_width)
    }

    /// Bytes of all codes.
    pub(crate) fn code_bytes(&self) -> u64 {
        u64::from(self.points) * u64::from(self.stride)
    }
}

/// A graph whose arrays belong to this process: [`build`](Self::build) makes it, [`search`](Self::search)
/// walks it.
///
/// Its points have an order of their own: those of the highest layer first, and near ones near each other.
/// It holds codes of the vectors it was built from; a search brings the vectors themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub(crate) shape: Shape,
    /// Which row each point is. Each search begins at the first point.
    pub(crate) rows: Pages<u32>,
    /// The base layer: `[points, base_width]`.
    pub(crate) base: Pages<u32>,
    /// The upper layers, one after another, from layer 1 up: `[points of the layer, upper_width]`.
    pub(crate) upper: Pages<u32>,
    /// `[points, stride]`.
    pub(crate) codes: Pages<u8>,
}

impl Graph {
    /// How many points it has: the rows of the vectors it was built from.
    pub fn points(&self) -> usize {
        self.shape.points as usize
    }

    /// Bytes of its lists and of the order of its points, without the codes.
    pub fn bytes(&self) -> usize {
        4 * (self.rows.len() + self.base.len() + self.upper.len())
    }

    /// How many neighbors its points have, all layers taken together.
    pub fn edges(&self) -> usize {
        self.base.iter().chain(self.upper.iter()).filter(|target| **target != NONE).count()
    }

    /// The `k` rows of `vectors` nearest to `query` that a walk with `ef` candidates meets, as (dot product,
    /// row), best first. `ef` below `k` counts as `k`.
    ///
    /// With `live` only rows that it approves of are found. The others are walked through all the same, and do
    /// not count against `ef`: `k` live rows come back wherever there are so many.
    ///
    /// # Panics
    /// If `vectors` is not the matrix that the graph was built from, as far as its shape tells.
    pub fn search(
        &self,
        vectors: &Embeddings,
        query: &[f32],
        k: usize,
        ef: usize,
        live: Option<&(dyn Fn(u32) -> bool + Sync)>,
    ) -> Vec<(f32, u32)> {
        assert_eq!(vectors.rows(), self.points(), "a graph of other embeddings");
        let fits = live.map(|live| move |row: u32| Ok(live(row)));
        let filtered = fits.as_ref().map(|live| Filtered { live, most: usize::MAX });
        let found = self.view().search(&Trusted, vectors, query, k, ef, filtered);
        let found = found.expect("arrays in memory have no faults");
        found.unwrap_or_else(|| {
            exact::exact_search(vectors, query, k, &|row| live.is_none_or(|live| live(row)))
        })
    }

    /// What walks it.
    pub(crate) fn view(&self) -> GraphView<'_> {
        GraphView {
            shape: &self.shape,
            rows: &self.rows,
            base: &self.base,
            upper: &self.upper,
            codes: &self.codes,
        }
    }
}

/// The arrays of a graph, wherever they are.
#[derive(Clone, Copy)]
pub(crate) struct GraphView<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) rows: &'a [u32],
    pub(crate) base: &'a [u32],
    pub(crate) upper: &'a [u32],
    pub(crate) codes: &'a [u8],
}

impl<'a> GraphView<'a> {
    /// The lists of the base layer.
    #[inline]
    pub(crate) fn base(&self) -> Lists<'a> {
        Lists { width: self.shape.base_width as usize, layer: Layer::Base, first: 0, targets: self.base }
    }

    /// The lists of the upper layers, the highest first.
    pub(crate) fn upper_down(&self) -> impl Iterator<Item = Lists<'a>> + use<'a> {
        let (width, upper) = (self.shape.upper_width as usize, self.upper);
        let mut end = upper.len();
        self.shape.upper.iter().rev().map(move |points| {
            let first = end - *points as usize * width;
            let targets = &upper[first..end];
            end = first;
            Lists { width, layer: Layer::Upper, first, targets }
        })
    }
}
