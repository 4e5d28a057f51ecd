//! Hits that differ from each other: maximal marginal relevance (Carbonell & Goldstein 1998).
//!
//! Hit by hit, the document is taken whose relevance, less the square of its greatest similarity to those taken before, is greatest.
//! Both are brought to one scale first, for scores may be cosines or anything else: relevance is 1 for the best document and 0
//! for the last that was retrieved, similarity is 1 for equal vectors and 0 for the least that any has to the best. The
//! square tells copies, which are worth nothing, from what is of the same subject.

use akin_index::{Neighbor, Snapshot};
use akin_kernels::dot;

use crate::Result;

/// Puts the first `wanted` documents of a list, which comes best first, in the order of what each adds to those before.
pub(crate) fn order(snapshot: &Snapshot, found: &[Neighbor], wanted: usize) -> Result<Vec<Neighbor>> {
    let vectors = found.iter().map(|near| Ok(unit(snapshot.vector(near)?))).collect::<Result<Vec<_>>>()?;
    let scores: Vec<f32> = found.iter().map(|near| near.score).collect();
    Ok(choose(&scores, &vectors, wanted).into_iter().map(|place| found[place]).collect())
}

/// The places of `wanted` documents of these scores, best first, and unit vectors.
fn choose(scores: &[f32], vectors: &[Vec<f32>], wanted: usize) -> Vec<usize> {
    let (Some(best), Some(last)) = (scores.first(), scores.last()) else { return Vec::new() };
    let relevance = |place: usize| scale(scores[place], *last, *best);
    let similarities_to = |place: usize| vectors.iter().map(move |vector| dot(vector, &vectors[place]));
    let least = similarities_to(0).fold(1.0, f32::min);
    let mut nearest = vec![0.0f32; scores.len()];
    let mut left: Vec<usize> = (0..scores.len()).collect();
    let mut chosen = Vec::with_capacity(wanted.min(scores.len()));
    while chosen.len() < wanted {
        let worth = |place: usize| relevance(place) - nearest[place] * nearest[place];
        // The first of equal ones, which is the better one.
        let next = (0..left.len()).rev().max_by(|a, b| worth(left[*a]).total_cmp(&worth(left[*b])));
        let Some(place) = next.map(|next| left.remove(next)) else { break };
        for (nearest, similarity) in nearest.iter_mut().zip(similarities_to(place)) {
            *nearest = nearest.max(scale(similarity, least, 1.0));
        }
        chosen.push(place);
    }
    chosen
}

/// Where a value is between two others; 1 where they are equal.
fn scale(value: f32, least: f32, greatest: f32) -> f32 {
    if greatest > least { (value - least) / (greatest - least) } else { 1.0 }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(angles: &[f32]) -> Vec<Vec<f32>> {
        angles.iter().map(|angle| vec![angle.to_radians().cos(), angle.to_radians().sin()]).collect()
    }

    #[test]
    fn a_copy_of_a_better_hit_gives_way_to_what_says_something_else() {
        let near = vectors(&[10.0, 10.0, 11.0, -30.0, 80.0]);
        let scores = [0.98, 0.98, 0.97, 0.86, 0.17];
        assert_eq!(choose(&scores, &near, 2), [0, 3]);
        assert_eq!(choose(&scores, &near, 9).len(), 5);
    }

    #[test]
    fn the_scale_of_scores_is_no_matter() {
        let near = vectors(&[10.0, 10.0, 11.0, -30.0, 80.0]);
        let (cosines, others) = ([0.98, 0.98, 0.97, 0.86, 0.17], [98.0, 98.0, 97.0, 86.0, 17.0]);
        assert_eq!(choose(&cosines, &near, 5), choose(&others, &near, 5));
    }

    #[test]
    fn equal_documents_keep_their_order_and_none_is_left_out() {
        assert_eq!(choose(&[0.5; 3], &vectors(&[0.0; 3]), 3), [0, 1, 2]);
        assert!(choose(&[], &[], 3).is_empty());
    }
}
