//! Searching one segment: by a walk through its graph, or by comparing with every passage.

use std::time::Instant;

use super::rows::VISIT;
use super::{Deleted, RowSet, Segment};
use crate::graph::exact::{scan, scan_among};
use crate::graph::walk::Found;
use crate::graph::{Fault, Filtered, Trusted};

/// What a search of a segment looks for.
pub(crate) struct Wanted<'a> {
    /// A unit vector.
    pub(crate) query: &'a [f32],
    /// How many passages, at most.
    pub(crate) k: usize,
    /// Candidates that a walk keeps.
    pub(crate) ef: usize,
    /// Compare with every passage.
    pub(crate) exact: bool,
    /// Only these rows, all of them live.
    pub(crate) among: Option<&'a RowSet>,
    pub(crate) deleted: Option<&'a Deleted>,
}

impl Segment {
    /// The live passages nearest to a query: (score, passage), best first.
    pub(crate) fn nearest(&self, wanted: &Wanted<'_>) -> Result<Vec<(f32, u32)>, Fault> {
        let live = self.passages() - wanted.deleted.map_or(0, Deleted::passages);
        let k = wanted.k.min(wanted.among.map_or(live, RowSet::count));
        if k == 0 {
            return Ok(Vec::new());
        }
        let ef = wanted.ef.min(self.passages()).max(k);
        let is_live = |row: u32| !wanted.deleted.is_some_and(|deleted| deleted.contains(row));
        match wanted.among {
            None if self.walks(wanted, ef) => {
                let filtered = wanted.deleted.map(|_| Filtered { live: &is_live, most: usize::MAX });
                let found = self.walk(wanted.query, k, ef, filtered)?;
                Ok(found.expect("no walk meets more than all points"))
            }
            None => scan(&self.vectors(), wanted.query, k, &is_live),
            Some(rows) => {
                if self.walks(wanted, ef) && rows.favors_walk(self.passages(), ef) {
                    let fits = |row: u32| rows.contains(row);
                    let filtered = Filtered { live: &fits, most: rows.count() };
                    if let Some(found) = self.walk(wanted.query, k, ef, Some(filtered))? {
                        return Ok(found);
                    }
                }
                let rows: Vec<u32> = rows.iter().collect();
                scan_among(&self.vectors(), wanted.query, k, &rows)
            }
        }
    }

    /// Whether a walk that keeps `ef` candidates costs less than comparing with every passage: it visits more
    /// points than it keeps, and each takes as long as [`VISIT`] comparisons.
    fn walks(&self, wanted: &Wanted<'_>, ef: usize) -> bool {
        self.has_graph() && !wanted.exact && ef.saturating_mul(VISIT) < self.passages()
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
