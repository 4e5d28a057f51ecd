//! Puts what was found by meaning and what was found by words together.

use std::collections::HashMap;

use akin_index::{DocId, Neighbor};

/// Documents of each list that are put together.
pub(crate) const DEPTH: usize = 1000;

/// How much each list counts.
const SHARE: f32 = 0.5;

/// The `k` best documents of two lists, each of which comes best first. The scores of a list are brought to 0 to 1, the
/// last and the first of it, and added up.
pub(crate) fn fuse(by_meaning: &[Neighbor], by_words: &[Neighbor], k: usize) -> Vec<Neighbor> {
    let mut places: HashMap<DocId, usize> = HashMap::new();
    let mut fused: Vec<Neighbor> = Vec::with_capacity(by_meaning.len() + by_words.len());
    for list in [by_meaning, by_words] {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { continue };
        for near in list {
            let range = first.score - last.score;
            let share = if range > 0.0 { (near.score - last.score) / range } else { 1.0 };
            let place = *places.entry(near.doc).or_insert_with(|| {
                let mut near = *near;
                near.score = 0.0;
                fused.push(near);
                fused.len() - 1
            });
            fused[place].score += SHARE * share;
        }
    }
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.doc.cmp(&b.doc)));
    fused.truncate(k);
    fused
}
