//! Searching a graph: greedy down the upper layers, then best first through the base over codes (Malkov
//! & Yashunin 2018, algorithm 5), and the best few ranked again by their vectors.
//!
//! A walk goes on with more candidates where its answer may be wrong: while its best changed late, or while all that it
//! keeps are so near each other that codes cannot rank them.

use std::cell::Cell;

use super::beam::{Beam, Candidate, Extent};
use super::codes::{CodesView, set_query};
use super::nearest::{Nearest, Ranked};
use super::vectors::Vectors;
use super::{Fault, GraphView, Trust};

/// Cost of visiting one point in a walk, in units of one exact comparison (measured on 117,659 vectors of 384 numbers,
/// with a filter that has nothing to do with the queries, where both take 0.9 ms for 9,000 rows).
pub(crate) const VISIT: usize = 8;

/// Up to so many candidates are kept in a sorted list, which is faster than a heap; entering one into a longer
/// list would cost its length.
const SORTED: usize = 1024;

/// A walk with fewer candidates than a search keeps by itself was asked to be fast: it ends at once. To go on is no better
/// there than to begin with more candidates (measured on 100,000 glosses: at recalls of 0.95 and 0.99 it took 1.2 times as
/// long).
const PATIENT: usize = crate::DEFAULT_EF;

/// Points of the lowest upper layer from which a patient walk goes on to the base.
const STARTS: usize = 4;

/// One in so many of a walk's candidates is watched, and at most `k`: a walk whose watched candidates change late goes on.
const WATCHED: usize = 4;

/// How many times the candidates that were asked for a walk takes in the end if its best change late.
const LATE: usize = 8;

/// A crowded walk goes on with so many times the candidates, until it has [`WIDEST`].
const WIDER: usize = 4;
const WIDEST: usize = 8192;

thread_local! {
    /// The buffers of this thread's last walk, for the next one.
    static BEAM: Cell<Option<Box<Beam>>> = const { Cell::new(None) };
}

/// Only some rows may be found.
pub(crate) struct Filtered<'a> {
    /// Whether a row may.
    pub(crate) live: &'a (dyn Fn(u32) -> Result<bool, Fault> + Sync),
    /// The walk gives up when it has met more points: comparing with every such row is cheaper then.
    pub(crate) most: usize,
}

/// What a search found: (dot product, row), best first. None where comparing with every row, or with every row that may be found,
/// costs less than the walk.
pub(crate) type Found = Option<Vec<(f32, u32)>>;

/// How a walk ended.
enum Ended {
    /// Its best points are those of the beam.
    Complete,
    /// It would visit so many points that comparing with every row costs less.
    TooWide,
}

/// A walk through the base layer.
struct Walk<'a> {
    graph: &'a GraphView<'a>,
    codes: CodesView<'a>,
    starts: Vec<Candidate>,
    /// By how much the codes may be wrong.
    error: i32,
    k: usize,
    /// Candidates that it keeps.
    ef: usize,
}

impl Walk<'_> {
    /// Walks with the candidates in a sorted list, and goes on while the best change late or are crowded.
    fn sorted(&mut self, beam: &mut Beam, trust: &impl Trust) -> Result<Ended, Fault> {
        let base = self.graph.base();
        let asked = self.ef;
        let watched = if asked < PATIENT { 0 } else { self.k.min(asked / WATCHED) };
        let mut met = beam.walk(trust, base, self.codes, &self.starts, asked, watched)?;
        loop {
            let factor = match () {
                _ if self.is_crowded(met) => WIDER,
                _ if met.len() == self.ef && self.ef < LATE * asked && beam.changed_late() => 2,
                _ => return Ok(Ended::Complete),
            };
            if !self.grow(factor) {
                return Ok(Ended::TooWide);
            }
            if self.ef > SORTED {
                return self.heaped(beam, trust, None);
            }
            met = beam.widen(trust, base, self.codes, self.ef)?;
        }
    }

    /// Walks with the candidates in a heap, and begins anew with more while they are crowded.
    fn heaped(
        &mut self,
        beam: &mut Beam,
        trust: &impl Trust,
        filtered: Option<Filtered<'_>>,
    ) -> Result<Ended, Fault> {
        let rows = self.graph.rows;
        let most = filtered.as_ref().map_or(usize::MAX, |filtered| filtered.most);
        let live = |point: u32| match &filtered {
            Some(filtered) => trust.row(point).and_then(|()| (filtered.live)(rows[point as usize])),
            None => Ok(true),
        };
        loop {
            let extent = Extent {
                limit: self.ef,
                watched: self.k.min(self.ef / WATCHED),
                widest: if self.ef < PATIENT { self.ef } else { (LATE * self.ef).min(WIDEST) },
            };
            let (base, starts) = (self.graph.base(), &self.starts);
            let met = beam.walk_live(trust, base, self.codes, starts, extent, &live, most)?;
            let Some(met) = met else { return Ok(Ended::TooWide) };
            if !self.is_crowded(met) {
                return Ok(Ended::Complete);
            }
            if !self.grow(WIDER) {
                return Ok(Ended::TooWide);
            }
        }
    }

    /// Whether all candidates are so near the best `k` that codes cannot tell which are nearer: others that were not kept
    /// may be as near.
    fn is_crowded(&self, met: &[Candidate]) -> bool {
        let best = self.k.min(met.len() / 2);
        met.len() >= self.ef
            && (PATIENT..WIDEST).contains(&met.len())
            && met[met.len() - 1].nearness() >= met[best - 1].nearness().saturating_sub(self.error)
    }

    /// Takes `factor` times the candidates; false if comparing with every row costs less.
    fn grow(&mut self, factor: usize) -> bool {
        self.ef *= factor;
        self.ef * VISIT <= self.graph.shape.points as usize
    }
}

impl GraphView<'_> {
    /// The `k` rows nearest to `query` that a walk with `ef` candidates meets. `ef` below `k` counts as `k`.
    ///
    /// # Errors
    /// What `trust` or the vectors report of what the walk needs.
    pub(crate) fn search(
        &self,
        trust: &impl Trust,
        vectors: &impl Vectors,
        query: &[f32],
        k: usize,
        ef: usize,
        filtered: Option<Filtered<'_>>,
    ) -> Result<Found, Fault> {
        if k == 0 || self.shape.points == 0 {
            return Ok(Some(Vec::new()));
        }
        // Taken out, not borrowed: `live` may search, too.
        let mut beam = BEAM.take().unwrap_or_default();
        let found = self.walk(&mut beam, trust, vectors, query, k, ef, filtered);
        BEAM.set(Some(beam));
        found
    }

    #[allow(clippy::too_many_arguments)] // those of the search, and its buffers
    fn walk(
        &self,
        beam: &mut Beam,
        trust: &impl Trust,
        vectors: &impl Vectors,
        query: &[f32],
        k: usize,
        ef: usize,
        filtered: Option<Filtered<'_>>,
    ) -> Result<Found, Fault> {
        let codes = CodesView { stride: self.shape.stride as usize, bytes: self.codes };
        set_query(&mut beam.query, query, codes.stride);
        trust.codes(&[0])?;
        let mut walk = Walk {
            starts: beam.come_down(trust, self.upper_down(), codes, if ef < PATIENT { 1 } else { STARTS })?,
            error: codes.error(self.shape.square, &beam.query),
            ef: ef.max(k),
            graph: self,
            codes,
            k,
        };
        let ended = match filtered {
            None if walk.ef <= SORTED => walk.sorted(beam, trust)?,
            filtered => walk.heaped(beam, trust, filtered)?,
        };
        match ended {
            Ended::Complete => self.rank_again(trust, vectors, query, k, beam.best(), walk.error).map(Some),
            Ended::TooWide => Ok(None),
        }
    }

    /// The best `k` of `met` by their vectors. `met` comes in the order of the codes, whose products differ
    /// from those of the vectors by `error` at most: points beyond that margin are not compared.
    fn rank_again(
        &self,
        trust: &impl Trust,
        vectors: &impl Vectors,
        query: &[f32],
        k: usize,
        met: &[Candidate],
        error: i32,
    ) -> Result<Vec<(f32, u32)>, Fault> {
        let enough = match met.get(k - 1) {
            Some(last) => {
                met.partition_point(|near| near.nearness() >= last.nearness().saturating_sub(2 * error))
            }
            None => met.len(),
        };
        let mut rows = Vec::with_capacity(enough);
        for near in &met[..enough] {
            trust.row(near.point())?;
            rows.push(self.rows[near.point() as usize]);
        }
        let mut scores = Vec::with_capacity(enough);
        vectors.scores(query, &rows, &mut scores)?;
        let mut nearest = Nearest::new(k);
        for (score, row) in scores.into_iter().zip(rows) {
            nearest.offer(Ranked::new(score, row));
        }
        Ok(nearest.drain_hits())
    }
}
