//! Lists of neighbors: each at a place of its own, all of one width.

use super::Pages;

/// Ends a list of neighbors that is shorter than its place.
pub(crate) const NONE: u32 = u32::MAX;

/// Which array a list is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Base,
    Upper,
}

/// The lists of one layer, `[points, width]`, nearest neighbor first, ended by [`NONE`] where a list is
/// shorter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lists<'a> {
    pub(crate) width: usize,
    /// The array that the lists are in, and the number of the array that they begin at.
    pub(crate) layer: Layer,
    pub(crate) first: usize,
    pub(crate) targets: &'a [u32],
}

impl<'a> Lists<'a> {
    pub(crate) fn points(&self) -> usize {
        self.targets.len() / self.width
    }

    /// The whole place of `point`, with its padding.
    #[inline]
    pub(crate) fn place(&self, point: u32) -> &'a [u32] {
        &self.targets[point as usize * self.width..][..self.width]
    }

    /// The neighbors of `point`.
    #[inline]
    pub(crate) fn of(&self, point: u32) -> impl Iterator<Item = u32> + use<'a> {
        self.place(point).iter().copied().take_while(|target| *target != NONE)
    }
}

/// Lists that a graph under construction changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adjacency {
    pub(super) width: usize,
    pub(super) targets: Pages<u32>,
}

impl Adjacency {
    pub(super) fn new(width: usize, points: usize) -> Self {
        Self { width, targets: Pages::filled(NONE, points * width) }
    }

    pub(super) fn points(&self) -> usize {
        self.targets.len() / self.width
    }

    #[inline]
    pub(super) fn lists(&self) -> Lists<'_> {
        Lists { width: self.width, layer: Layer::Base, first: 0, targets: &self.targets }
    }

    #[inline]
    pub(super) fn of(&self, point: u32) -> impl Iterator<Item = u32> {
        self.lists().of(point)
    }

    #[inline]
    pub(super) fn place(&self, point: u32) -> &[u32] {
        self.lists().place(point)
    }
}
