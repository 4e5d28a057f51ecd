//! Searching one segment: by a walk through its graph, or by comparing with every passage.

use std::time::Instant;

use super::{Deleted, PassageSet, Segment};
use crate::graph::exact::{scan, scan_among};
use crate::graph::walk::{Found, VISIT};
use crate::graph::{Fault, Filtered, Trusted};

/// What a search of a segment looks for.
pub(crate) struct Wanted<'a> {
    /// As vectors are stored: of length one where they are compared by their cosine.
    pub(crate) query: &'a [f32],
    /// How many passages, at most.
    pub(crate) k: usize,
    /// Candidates that a walk keeps.
    pub(crate) ef: usize,
    /// Compare with every passage.
    pub(crate) exact: bool,
    /// Only these passages, all of them live.
    pub(crate) among: Option<&'a PassageSet>,
    pub(crate) deleted: Option<&'a Deleted>,
}

impl Wanted<'_> {
    /// Whether a passage may be found.
    #[inline]
    fn fits(&self, passage: u32) -> bool {
        match self.among {
            Some(among) => among.contains(passage),
            None => !self.deleted.is_some_and(|deleted| deleted.contains(passage)),
        }
    }
}

impl Segment {
    /// The live passages nearest to a query: (score, passage), best first.
    pub(crate) fn nearest(&self, wanted: &Wanted<'_>) -> Result<Vec<(f32, u32)>, Fault> {
        let live = self.passages() - wanted.deleted.map_or(0, Deleted::passages);
        let k = wanted.k.min(wanted.among.map_or(live, PassageSet::count));
        if k == 0 {
            return Ok(Vec::new());
        }
        let vectors = self.nearest_vectors(wanted, k.min(self.distinct_vectors()))?;
        if !self.shares_vectors() {
            return Ok(vectors);
        }
        self.prefetch_passages_with(vectors.iter().map(|(_, vector)| *vector));
        let mut found = Vec::with_capacity(k);
        for (score, vector) in vectors {
            let passages = self.passages_with(vector)?;
            let fitting = passages.iter().filter(|passage| wanted.fits(*passage));
            found.extend(fitting.take(k - found.len()).map(|passage| (score, passage)));
        }
        Ok(found)
    }

    /// The `k` nearest vectors that a live passage has: (score, vector), best first.
    fn nearest_vectors(&self, wanted: &Wanted<'_>, k: usize) -> Result<Vec<(f32, u32)>, Fault> {
        let vectors = self.distinct_vectors();
        let ef = wanted.ef.min(vectors).max(k);
        let fits = |vector: u32| match self.shares_vectors() {
            false => Ok(wanted.fits(vector)),
            true => Ok(self.passages_with(vector)?.iter().any(|passage| wanted.fits(passage))),
        };
        let walks = self.walks(wanted, ef);
        match wanted.among {
            None => {
                if walks {
                    let filtered = wanted.deleted.map(|_| Filtered { live: &fits, most: usize::MAX });
                    if let Some(found) = self.walk(wanted.query, k, ef, filtered)? {
                        return Ok(found);
                    }
                }
                scan(&self.vectors(), self.similarity(), wanted.query, k, &fits)
            }
            Some(among) => {
                if walks && among.favors_walk(self.passages(), ef) {
                    let filtered = Filtered { live: &fits, most: among.count() };
                    if let Some(found) = self.walk(wanted.query, k, ef, Some(filtered))? {
                        return Ok(found);
                    }
                }
                scan_among(&self.vectors(), self.similarity(), wanted.query, k, &self.vectors_of(among)?)
            }
        }
    }

    /// The vectors of some passages, ascending, each once.
    fn vectors_of(&self, among: &PassageSet) -> Result<Vec<u32>, Fault> {
        if !self.shares_vectors() {
            return Ok(among.iter().collect());
        }
        let vector_of = |passage: u32| self.vector_of(passage as usize).map(|vector| vector as u32);
        let mut vectors = among.iter().map(vector_of).collect::<Result<Vec<u32>, Fault>>()?;
        vectors.sort_unstable();
        vectors.dedup();
        Ok(vectors)
    }

    /// Whether a walk that keeps `ef` candidates costs less than comparing with every vector: it visits more
    /// points than it keeps, and each takes as long as [`VISIT`] comparisons.
    fn walks(&self, wanted: &Wanted<'_>, ef: usize) -> bool {
        self.has_graph() && !wanted.exact && ef.saturating_mul(VISIT) < self.distinct_vectors()
    }

    fn walk(
        &self,
        query: &[f32],
        k: usize,
        ef: usize,
        filtered: Option<Filtered<'_>>,
    ) -> Result<Found, Fault> {
        if let Some(graph) = self.resident_graph() {
            return graph.view().search(&Trusted, &self.vectors(), query, k, ef, filtered);
        }
        let (view, trust) = self.mapped_graph().expect("only a segment with a graph is walked");
        let begun = Instant::now();
        let found = view.search(&trust, &self.vectors(), query, k, ef, filtered);
        self.note_walk(begun.elapsed());
        found
    }
}
