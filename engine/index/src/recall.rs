//! Recall of a search: which share of the true nearest it found.
//!
//! A hit is right when it is as near as the true k-th one. Ids do not count: of thirty equal texts any ten are a
//! perfect answer to a query for ten.

/// How far a score may be below that of the true k-th hit and still count as equal, as a share of it where it is greater
/// than one. A dot product is a sum of f32: added up in another order, or by another kernel, that of unit vectors differs by
/// some 1e-7. Scores that differ by more are different.
pub const SCORE_TOLERANCE: f32 = 1e-6;

/// How many of the scores `found` are right, given the scores of the true nearest, best first. At most as many as
/// there are true ones.
pub fn right_hits(found: impl IntoIterator<Item = f32>, truth: &[f32]) -> usize {
    let Some(least) = truth.last() else { return 0 };
    let right =
        found.into_iter().filter(|score| *score >= least - SCORE_TOLERANCE * least.abs().max(1.0)).count();
    right.min(truth.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_right_when_it_is_as_near_as_the_true_last_one() {
        let truth = [0.9, 0.8, 0.8];
        assert_eq!(right_hits([0.9, 0.8, 0.8], &truth), 3);
        assert_eq!(right_hits([0.9, 0.8, 0.7], &truth), 2);
        assert_eq!(right_hits([0.8, 0.8, 0.8, 0.8], &truth), 3, "no more than there are true ones");
    }

    #[test]
    fn rounding_is_forgiven_and_a_difference_is_not() {
        assert_eq!(right_hits([0.5 - 2e-7], &[0.5]), 1);
        assert_eq!(right_hits([0.5 - 1e-5], &[0.5]), 0);
        assert_eq!(right_hits([-80.00001, -80.001], &[-80.0, -80.0]), 1);
    }

    #[test]
    fn where_nothing_is_to_be_found_nothing_is_right() {
        assert_eq!(right_hits([0.5], &[]), 0);
        assert_eq!(right_hits([], &[0.5]), 0);
    }
}
