//! Searching a graph: greedy down the upper layers, then best first through the base over codes (Malkov
//! & Yashunin 2018, algorithm 5), and the best few ranked again by their vectors.

use std::cell::Cell;

use super::beam::{Beam, Candidate};
use super::codes::{CodesView, set_query};
use super::nearest::{Nearest, Ranked};
use super::vectors::Vectors;
use super::{Fault, GraphView, Trust};

/// Up to so many candidates are kept in a sorted list, which is faster than a heap; entering one into a longer
/// list would cost its length.
const SORTED: usize = 1024;

thread_local! {
    /// The buffers of this thread's last walk, for the next one.
    static BEAM: Cell<Option<Box<Beam>>> = const { Cell::new(None) };
}

/// A walk visits a point in the time of so many exact comparisons (measured on 117,659 vectors of 384 numbers,
/// with a filter that has nothing to do with the queries, where both take 0.9 ms for 9,000 rows).
pub(crate) const VISIT: usize = 8;

/// A walk that is crowded is made again with so many times the candidates, until it has this many.
const WIDER: usize = 4;
const WIDEST: usize = 8192;
const WATCHED: usize = 4;
const LATE: usize = 8;

/// Whether all candidates of a walk are so near the best `k` that codes cannot tell which are nearer: others that it did
/// not keep may be as near.
fn is_crowded(met: &[Candidate], k: usize, ef: usize, error: i32) -> bool {
    met.len() == ef
        && met.len() > k
        && met[ef - 1].nearness() >= met[k - 1].nearness().saturating_sub(error)
}

/// Only some rows may be found.
pub(crate) struct Filtered<'a> {
    /// Whether a row may.
    pub(crate) live: &'a (dyn Fn(u32) -> Result<bool, Fault> + Sync),
    /// The walk gives up when it has met more points: comparing with every such row is cheaper then.
    pub(crate) most: usize,
}

/// What a search found: (dot product, row), best first. None where a filtered walk gave up.
pub(crate) type Found = Option<Vec<(f32, u32)>>;

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
        set_query(&mut beam.query, query);
        trust.codes(&[0])?;
        let mut start = Candidate::new(beam.nearness(codes, 0), 0);
        for layer in self.upper_down() {
            start = beam.descend(trust, layer, codes, start)?;
        }
        let error = codes.error(self.shape.square, &beam.query);
        let base = self.base();
        let mut ef = ef.max(k);
        if filtered.is_none() && ef <= SORTED {
            let watched = k.min(ef / WATCHED);
            let most = (ef * LATE).min(SORTED);
            let mut met = beam.walk_watching(trust, base, codes, start, ef, watched)?.len();
            loop {
                let crowded = is_crowded(&beam.best, k, ef, error);
                let late = beam.changed_late() && ef < most;
                if met < ef || !(crowded || late) {
                    return self.rank_again(trust, vectors, query, k, &beam.best, error).map(Some);
                }
                ef *= if crowded { 4 } else { 2 };
                if ef * VISIT > self.shape.points as usize {
                    return Ok(None);
                }
                if ef > SORTED {
                    break;
                }
                met = beam.widen(trust, base, codes, ef)?.len();
            }
        }
        loop {
            let met = match &filtered {
                None => beam.walk_live(trust, base, codes, start, ef, &|_| Ok(true), usize::MAX)?,
                Some(Filtered { live, most }) => {
                    let rows = self.rows;
                    let live = |point: u32| trust.row(point).and_then(|()| live(rows[point as usize]));
                    beam.walk_live(trust, base, codes, start, ef, &live, *most)?
                }
            };
            let Some(met) = met else { return Ok(None) };
            if ef < WIDEST && is_crowded(met, k, ef, error) {
                ef *= WIDER;
                if ef * VISIT > self.shape.points as usize {
                    return Ok(None);
                }
                continue;
            }
            return self.rank_again(trust, vectors, query, k, met, error).map(Some);
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
