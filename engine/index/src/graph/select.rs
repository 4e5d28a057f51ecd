//! Which of many near points become neighbors: near ones in different directions (Malkov & Yashunin
//! 2018, algorithm 4).

use super::beam::Candidate;
use super::codes::CodesView;
use akin_kernels::QuantizedQuery;

/// Chooses neighbors. Its memory serves one choice after another.
#[derive(Default)]
pub(super) struct NeighborSelection {
    chosen: Vec<Candidate>,
    /// What may still be chosen, best first.
    left: Vec<Candidate>,
    points: Vec<u32>,
    factors: QuantizedQuery,
    sums: Vec<i32>,
}

impl NeighborSelection {
    /// At most `limit` of `candidates`, which come nearest first: each is at least as near to the point
    /// they are candidates of as to any chosen before it. (As near are copies of that point, which must
    /// not lose each other.)
    pub(super) fn select(
        &mut self,
        codes: CodesView<'_>,
        candidates: &[Candidate],
        limit: usize,
    ) -> &[Candidate] {
        self.chosen.clear();
        self.left.clear();
        self.left.extend(candidates);
        while self.chosen.len() < limit && !self.left.is_empty() {
            let next = self.left.remove(0);
            self.chosen.push(next);
            self.factors.set_codes(codes.row(next.point()));
            self.points.clear();
            self.points.extend(self.left.iter().map(|other| other.point()));
            self.factors.dots(codes.bytes, &self.points, &mut self.sums);
            let mut sums = self.sums.iter();
            self.left.retain(|other| sums.next().is_some_and(|sum| *sum <= other.nearness()));
        }
        &self.chosen
    }
}
