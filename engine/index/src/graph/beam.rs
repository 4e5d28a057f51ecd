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

    #[inline]
    pub(crate) fn point(self) -> u32 {
        !(self.0 as u32) >> 1
    }

    #[inline]
    pub(crate) fn nearness(self) -> i32 {
        ((self.0 >> 32) as u32 ^ 1 << 31) as i32
    }
}

/// The state of a walk, and what it has found. Its memory serves one walk after another.
#[derive(Default)]
pub(crate) struct Beam {
    /// What is looked for.
    pub(crate) query: QuantizedQuery,
    visited: Visited,
    /// The best points so far, best first, `limit` at most.
    pub(super) best: Vec<Candidate>,
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

    /// Goes from `start` to whichever neighbor is nearest, until none is nearer (algorithm 5).
    pub(crate) fn descend(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        mut start: Candidate,
    ) -> Result<Candidate, Fault> {
        loop {
            self.fresh.clear();
            trust.list(layer, start.point())?;
            self.fresh.extend(layer.of(start.point()));
            trust.codes(&self.fresh)?;
            self.query.dots(codes.bytes, &self.fresh, &mut self.sums);
            let met = self.fresh.iter().zip(&self.sums).map(|(point, sum)| Candidate::new(*sum, *point));
            match met.max() {
                Some(nearest) if nearest.nearness() > start.nearness() => start = nearest,
                _ => return Ok(start),
            }
        }
    }

    /// The `limit` points nearest to what is looked for that the walk from `start` meets, best first.
    /// Fewer only where point 0 does not lead to so many.
    pub(crate) fn walk(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        start: Candidate,
        limit: usize,
    ) -> Result<&[Candidate], Fault> {
        self.walk_watching(trust, layer, codes, start, limit, 0)
    }

    /// The same, and it can be [widened](Self::widen) if `watched` is not 0: it notes when the best `watched` points
    /// [changed](Self::changed_late) last.
    pub(crate) fn walk_watching(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        start: Candidate,
        limit: usize,
        watched: usize,
    ) -> Result<&[Candidate], Fault> {
        self.visited.clear(layer.points());
        self.best.clear();
        self.others.clear();
        self.limit = limit;
        (self.expanded, self.changed, self.watched) = (0, 0, watched);
        for start in [start, Candidate::new(self.nearness(codes, 0), 0)] {
            if self.best.len() < limit && self.visited.insert(start.point()) {
                self.take(start);
                self.expand_all(trust, layer, codes)?;
            }
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

    /// Whether the best of a walk changed in the second half of its expansions: more of them may be near that it did
    /// not meet.
    pub(crate) fn changed_late(&self) -> bool {
        2 * self.changed > self.expanded
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

    /// The `limit` live points nearest to what is looked for that the walk from `start` meets, best
    /// first. Dead points are walked through all the same and do not count, so that `limit` points come
    /// back wherever point 0 leads to so many live ones. None if it meets more than `most` points before it ends.
    #[allow(clippy::too_many_arguments)] // those of a walk, and of its filter
    pub(crate) fn walk_live(
        &mut self,
        trust: &impl Trust,
        layer: Lists<'_>,
        codes: CodesView<'_>,
        start: Candidate,
        limit: usize,
        live: &dyn Fn(u32) -> Result<bool, Fault>,
        most: usize,
    ) -> Result<Option<&[Candidate]>, Fault> {
        self.visited.clear(layer.points());
        let mut found = Nearest::new(limit);
        let mut met = 0;
        // Candidates to be expanded.
        let mut ahead = BinaryHeap::new();
        for start in [start, Candidate::new(self.nearness(codes, 0), 0)] {
            if found.is_full() || !self.visited.insert(start.point()) {
                continue;
            }
            ahead.push(start);
            if live(start.point())? {
                found.offer(start);
            }
            while let Some(best) = ahead.pop().filter(|best| found.admits(*best)) {
                self.meet_neighbors(trust, layer, codes, best.point())?;
                met += self.fresh.len();
                if met > most {
                    return Ok(None);
                }
                for (point, sum) in self.fresh.iter().zip(&self.sums) {
                    let candidate = Candidate::new(*sum, *point);
                    if found.admits(candidate) {
                        ahead.push(candidate);
                        if live(*point)? {
                            found.offer(candidate);
                        }
                    }
                }
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
