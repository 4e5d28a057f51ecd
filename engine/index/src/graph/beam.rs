//! The walk over one layer of a graph: from a point to its best neighbors, and on from the best of
//! those, until all that are kept are expanded (Malkov & Yashunin 2018, algorithm 2).

use std::collections::BinaryHeap;

use super::codes::CodesView;
use super::nearest::Nearest;
use super::{Fault, Lists, NONE, Trust};
use akin_kernels::{QuantizedQuery, prefetch};

/// A point and how near it is to what is looked for: greater is nearer, and of two equally near ones the
/// lower point is greater. Points are below [`POINT_LIMIT`](super::POINT_LIMIT).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Candidate(u64);

/// Set while a candidate is not expanded.
const AHEAD: u64 = 1;

impl Candidate {
    #[inline]
    pub(crate) fn new(nearness: i32, point: u32) -> Self {
        let ordered = nearness as u32 ^ 1 << 31;
        Self(u64::from(ordered) << 32 | u64::from(!point << 1) | AHEAD)
    }

    /// The same, to be expanded.
    pub(crate) fn ahead(self) -> Self {
        Self(self.0 | AHEAD)
    }

    #[inline]
    pub(crate) fn point(self) -> u32 {
        !(self.0 as u32) >> 1
    }

    #[inline]
    pub(crate) fn nearness(self) -> i32 {
        ((self.0 >> 32) as u32 ^ 1 << 31) as i32
    }
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Candidates that it keeps.
    pub(crate) limit: usize,
    /// How many of the best are watched for late changes.
    pub(crate) watched: usize,
    /// Candidates that it keeps in the end, at most, if those change late.
    pub(crate) widest: usize,
}

/// The state of a walk, and what it has found. Its memory serves one walk after another.
#[derive(Default)]
pub(crate) struct Beam {
    /// What is looked for.
    pub(crate) query: QuantizedQuery,
    visited: Visited,
    /// The best points so far, best first, `limit` at most.
    best: Vec<Candidate>,
    limit: usize,
    /// What was met and is not among the best: a walk that is [widened](Self::widen) takes the better of them in again.
    others: Vec<Candidate>,
    /// How many points were expanded, and how many when the first `watched` of the best changed last.
    expanded: usize,
    changed: usize,
    watched: usize,
    /// Neighbors of one point that are met for the first time, and their nearness.
    fresh: Vec<u32>,
    sums: Vec<i32>,
}

impl Beam {
    /// How near `point` is to what is looked for.
    pub(crate) fn nearness(&mut self, codes: CodesView<'_>, point: u32) -> i32 {
        self.query.dots(codes.bytes, &[point], &mut self.sums);
        self.sums[0]
    }

    /// Comes down through `layers`, the highest first: to the best point of each (algorithm 5), and to the `limit` best of the
    /// lowest.
    pub(crate) fn come_down<'a>(
        &mut self,
        trust: &impl Trust,
        layers: impl Iterator<Item = Lists<'a>>,
        codes: CodesView<'_>,
        limit: usize,
    ) -> Result<Vec<Candidate>, Fault> {
        let mut starts = vec![Candidate::new(self.nearness(codes, 0), 0)];
        let mut layers = layers.peekable();
        while let Some(layer) = layers.next() {
            let limit = if layers.peek().is_some() { 1 } else { limit };
            let best = self.walk(trust, layer, codes, &starts, limit, 0)?;
            starts.clear();
            starts.extend(best.iter().map(|best| best.ahead()));
        }
        Ok(starts)
    }

    /// The `limit` points nearest to what is looked for that the walk from `starts` meets, best first. Fewer only where
    /// point 0 does not lead to so many.
    ///
    /// If `watched` is not 0 the walk can be [widened](Self::widen), and notes when the best `watched` points
    /// [changed](Self::changed_late) last.
    pub(crate) fn walk(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        starts: &[Candidate],
        limit: usize,
        watched: usize,
    ) -> Result<&[Candidate], Fault> {
        self.visited.clear(layer.points());
        self.best.clear();
        self.others.clear();
        self.limit = limit;
        (self.expanded, self.changed, self.watched) = (0, 0, watched);
        for start in starts {
            if self.visited.insert(start.point()) {
                self.take(*start);
            }
        }
        self.expand_all(trust, layer, codes)?;
        // Where the starts do not lead to enough points, the first point does.
        if self.best.len() < limit && self.visited.insert(0) {
            let first = Candidate::new(self.nearness(codes, 0), 0);
            self.take(first);
            self.expand_all(trust, layer, codes)?;
        }
        Ok(&self.best)
    }

    /// Goes on with a walk that has ended, with more candidates.
    pub(crate) fn widen(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        limit: usize,
    ) -> Result<&[Candidate], Fault> {
        self.limit = limit;
        self.others.sort_unstable_by(|a, b| b.cmp(a));
        // Each of the best is better than all others.
        let more = self.others.len().min(limit - self.best.len());
        self.best.extend(self.others.drain(..more));
        self.expand_all(trust, layer, codes)?;
        Ok(&self.best)
    }

    /// Whether the watched best changed late in the walk, so that more of them may be near that it has not met. Where
    /// neighbors are easy to find, a walk meets them early and then expands the rest in vain.
    pub(crate) fn changed_late(&self) -> bool {
        5 * self.changed > 2 * self.expanded
    }

    /// What the walk has found, best first.
    pub(crate) fn best(&self) -> &[Candidate] {
        &self.best
    }

    /// Expands the best unexpanded candidate, again and again, until every kept one is expanded.
    fn expand_all(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
    ) -> Result<(), Fault> {
        // Every candidate before it is expanded.
        let mut at = 0;
        while let Some(candidate) = self.best.get_mut(at) {
            if candidate.0 & AHEAD == 0 {
                at += 1;
                continue;
            }
            candidate.0 ^= AHEAD;
            let point = candidate.point();
            self.expanded += 1;
            if let Some(next) = self.best.get(at + 1) {
                prefetch(layer.place(next.point()));
            }
            self.meet_neighbors(trust, layer, codes, point)?;
            for met in 0..self.fresh.len() {
                let candidate = Candidate::new(self.sums[met], self.fresh[met]);
                if self.best.len() < self.limit || self.best.last().is_some_and(|worst| candidate > *worst) {
                    let place = self.take(candidate);
                    if place < self.watched {
                        self.changed = self.expanded;
                    }
                    if place <= at {
                        // It is the next to be expanded, unless a better one comes.
                        prefetch(layer.place(candidate.point()));
                        at = place;
                    }
                } else if self.watched > 0 {
                    self.others.push(candidate);
                }
            }
        }
        Ok(())
    }

    /// Puts a candidate among the best, and tells where.
    fn take(&mut self, candidate: Candidate) -> usize {
        if self.best.len() == self.limit
            && let Some(worst) = self.best.pop()
            && self.watched > 0
        {
            self.others.push(worst);
        }
        let place = self.best.partition_point(|other| *other > candidate);
        self.best.insert(place, candidate);
        place
    }

    /// The `limit` live points nearest to what is looked for that the walk from `starts` meets, best
    /// first. Dead points are walked through all the same and do not count, so that `limit` points come
    /// back wherever point 0 leads to so many live ones. While the best `watched` [change late](Self::changed_late) the
    /// walk goes on with twice the candidates, up to `widest`. None if it meets more than `most` points before it ends.
    #[allow(clippy::too_many_arguments)] // those of a walk, and of its filter
    pub(crate) fn walk_live(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        starts: &[Candidate],
        Extent { mut limit, watched, widest }: Extent,
        live: &dyn Fn(u32) -> Result<bool, Fault>,
        most: usize,
    ) -> Result<Option<&[Candidate]>, Fault> {
        self.visited.clear(layer.points());
        self.others.clear();
        (self.expanded, self.changed) = (0, 0);
        let mut found = Nearest::new(limit);
        let mut top = Nearest::new(watched);
        // The live points that were met, and the candidates to be expanded.
        let (mut lives, mut ahead) = (Vec::new(), BinaryHeap::new());
        let mut met = 0;
        let mut meet = starts.to_vec();
        meet.retain(|start| self.visited.insert(start.point()));
        loop {
            for candidate in meet.drain(..) {
                if !found.admits(candidate) {
                    self.others.push(candidate);
                    continue;
                }
                ahead.push(candidate);
                if live(candidate.point())? {
                    found.offer(candidate);
                    lives.push(candidate);
                    if top.admits(candidate) {
                        top.offer(candidate);
                        self.changed = self.expanded;
                    }
                }
            }
            if let Some(best) = ahead.peek().filter(|best| found.admits(**best)) {
                let point = best.point();
                ahead.pop();
                self.expanded += 1;
                self.meet_neighbors(trust, layer, codes, point)?;
                met += self.fresh.len();
                if met > most {
                    return Ok(None);
                }
                let fresh = self.fresh.iter().zip(&self.sums);
                meet.extend(fresh.map(|(point, sum)| Candidate::new(*sum, *point)));
            } else if !found.is_full() && self.visited.insert(0) {
                // The first point leads to all others.
                meet.push(Candidate::new(self.nearness(codes, 0), 0));
            } else if found.is_full() && limit < widest && self.changed_late() {
                limit = widest.min(2 * limit);
                found = Nearest::new(limit);
                lives.iter().for_each(|live| found.offer(*live));
                meet.append(&mut self.others);
            } else {
                break;
            }
        }
        self.best.clear();
        self.best.extend(found.drain_best());
        Ok(Some(&self.best))
    }

    /// Makes `fresh` the neighbors of a point that were not met before, and `sums` their nearness.
    #[inline]
    fn meet_neighbors(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        point: u32,
    ) -> Result<(), Fault> {
        trust.list(layer, point)?;
        self.fresh.clear();
        for neighbor in layer.of(point) {
            if self.visited.insert(neighbor) {
                self.fresh.push(neighbor);
            }
        }
        trust.codes(&self.fresh)?;
        self.query.dots(codes.bytes, &self.fresh, &mut self.sums);
        Ok(())
    }
}

/// Points that a walk has met: a bit each, few enough to stay in the nearest caches. All of them are cleared
/// for each walk: to clear only the words that the last walk had touched made a query of 320,000 points 14 %
/// slower, not faster.
#[derive(Default)]
struct Visited {
    bits: Vec<u64>,
}

impl Visited {
    fn clear(&mut self, points: usize) {
        self.bits.clear();
        self.bits.resize(points.div_ceil(64), 0);
    }

    /// Marks `point`; false if it was marked.
    #[inline]
    fn insert(&mut self, point: u32) -> bool {
        debug_assert_ne!(point, NONE);
        let word = &mut self.bits[point as usize / 64];
        let bit = 1 << (point % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn candidates_compare_by_nearness_and_then_the_lower_point(
            a in any::<i32>(), b in any::<i32>(), p in 0u32..1 << 31, q in 0u32..1 << 31,
        ) {
            let (x, y) = (Candidate::new(a, p), Candidate::new(b, q));
            prop_assert_eq!((x.nearness(), x.point()), (a, p));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b).then(q.cmp(&p)));
        }
    }
}
