//! Puts what was found by meaning and what was found by words together.
//!
//! Either part may know nothing: the model may not read the language of a text, and words say little where all texts have
//! the same ones. What each part is worth is told, query by query, from its scores alone. Meaning counts more where its
//! best hit stands high above what is near by chance and ahead of its tenth; words count more where theirs is ahead. An
//! index also knows how well its model understands its documents at all.
//! docs/RETRIEVAL.md says how the constants were found, and what other ways of putting lists together come to.

use std::collections::HashMap;
use std::hash::Hash;

use akin_index::{Background, DocId, Neighbor};

/// Documents of each list that are put together, at least: as each has both scores, with 50 nDCG@10 is the same within 0.001.
pub(crate) const DEPTH: usize = 20;

/// How far the best hit of a list is ahead is told by the hit of this rank.
const TENTH: usize = 10;

/// The logarithm of what meaning counts beside words where neither has a clear winner.
const EVEN: f32 = -0.5;

/// By how much it grows with the lead of the best hit.
const LEAD: f32 = 2.5;

/// By how much it grows with the trust in the model.
const TRUST: f32 = 4.0;

/// The least deviation of a background: that of an index of equal vectors.
const LEAST_DEVIATION: f32 = 1e-6;

/// What is known beside the two lists.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// The background of the query among the vectors.
    pub(crate) background: Background,
    /// [`Snapshot::trust`](akin_index::Snapshot::trust).
    pub(crate) trust: f32,
}

/// What was found for a query, best first, and what the other way to search says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lists<'a> {
    pub(crate) by_meaning: &'a [Neighbor],
    /// The scores by words of the passages found by meaning.
    pub(crate) words_of_near: &'a [f32],
    pub(crate) by_words: &'a [Neighbor],
    /// The similarities of the passages found by words.
    pub(crate) similarities_of_found: &'a [f32],
}

/// The `k` best documents of two lists. Their scores are on the scale of similarities: a weighted mean of the similarity and
/// of the score by words, which lies between the background and the best similarity as it lies between 0 and the best.
pub(crate) fn fuse(lists: Lists<'_>, known: Known, k: usize) -> Vec<Neighbor> {
    let Lists { by_meaning, words_of_near, by_words, similarities_of_found } = lists;
    let scores = |list: &[Neighbor]| list.iter().map(|near| (near.doc, near.score)).collect();
    let (meaning, words): (Vec<Scored<DocId>>, Vec<Scored<DocId>>) = (scores(by_meaning), scores(by_words));
    let fused = fuse_scores(&meaning, words_of_near, &words, similarities_of_found, known, k);
    let near = |place: usize| by_meaning.get(place).unwrap_or_else(|| &by_words[place - by_meaning.len()]);
    fused.into_iter().map(|(place, score)| scored(near(place), score)).collect()
}

/// A document with its score.
pub(crate) type Scored<Doc> = (Doc, f32);

/// The same for documents of any kind, of which equal scores are in the order of `Doc`. Gives the place of each in both lists,
/// which lie end to end, with its score.
pub(crate) fn fuse_scores<Doc: Copy + Eq + Hash + Ord>(
    by_meaning: &[Scored<Doc>],
    words_of_near: &[f32],
    by_words: &[Scored<Doc>],
    similarities_of_found: &[f32],
    known: Known,
    k: usize,
) -> Vec<(usize, f32)> {
    let (Some(nearest), Some(best)) = (by_meaning.first(), by_words.first()) else {
        let only = if by_meaning.is_empty() { by_words } else { by_meaning };
        return only.iter().map(|(_, score)| *score).enumerate().take(k).collect();
    };
    let (nearest, best) = (nearest.1, best.1);
    let weight = weight(by_meaning, by_words, known);
    let Background { mean, deviation } = known.background;
    let deviation = deviation.max(LEAST_DEVIATION);
    // A graph may have missed a passage that words find: it is no nearer than the nearest.
    let meaning = |score: f32| weight * (score.min(nearest) - mean) / deviation;
    let words = |score: f32| if best > 0.0 { score.min(best) / best } else { 0.0 };
    let mut places: HashMap<Doc, usize> = HashMap::with_capacity(by_meaning.len());
    let mut fused: Vec<(Doc, usize, f32)> = Vec::with_capacity(by_meaning.len() + by_words.len());
    for ((doc, similarity), score) in by_meaning.iter().zip(words_of_near) {
        places.insert(*doc, fused.len());
        fused.push((*doc, fused.len(), meaning(*similarity) + words(*score)));
    }
    for (at, ((doc, score), similarity)) in by_words.iter().zip(similarities_of_found).enumerate() {
        match places.get(doc) {
            // Another passage of the document may say more of the words than the one that is nearest.
            Some(place) => fused[*place].2 = meaning(by_meaning[*place].1) + words(*score),
            None => fused.push((*doc, by_meaning.len() + at, meaning(*similarity) + words(*score))),
        }
    }
    fused.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    fused.truncate(k);
    // The scores of a query in another unit, which says the same: the background is the least, and a document that is the
    // best of both lists has its similarity.
    let most = meaning(nearest).max(0.0) + 1.0;
    let height = (nearest - mean).max(0.0);
    fused.iter().map(|(_, place, score)| (*place, (mean + height * score / most).min(nearest))).collect()
}

/// The same document with another score.
fn scored(near: &Neighbor, score: f32) -> Neighbor {
    let mut near = *near;
    near.score = score;
    near
}

/// What meaning counts beside words, in deviations of the background and shares of the best score by words.
fn weight<Doc>(by_meaning: &[Scored<Doc>], by_words: &[Scored<Doc>], known: Known) -> f32 {
    let tenth = |list: &[Scored<Doc>]| list.get(TENTH - 1).map(|(_, score)| *score);
    let nearest = by_meaning[0].1;
    let far = tenth(by_meaning).unwrap_or(by_meaning[by_meaning.len() - 1].1);
    let height = nearest - known.background.mean;
    let ahead = if height > 0.0 { ((nearest - far) / height).min(1.0) } else { 0.0 };
    let best = by_words[0].1;
    // With fewer hits than ten the tenth has no word.
    let words_ahead = if best > 0.0 { (best - tenth(by_words).unwrap_or(0.0)) / best } else { 0.0 };
    (EVEN + LEAD * (ahead - words_ahead) + TRUST * known.trust).exp()
}

#[cfg(test)]
mod tests {
    use akin_fixtures::files::Folder;
    use akin_index::{Document, Embeddings, Index, ModelIdentity, SearchOptions, Snapshot};
    use std::sync::Arc;

    use super::*;

    const BACKGROUND: Background = Background { mean: 0.1, deviation: 0.1 };

    /// An index of documents whose ids are their numbers, oldest first.
    fn index() -> (Folder, Arc<Snapshot>) {
        let folder = Folder::new();
        let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(1)).unwrap();
        let documents: Vec<Document> =
            (0..30).map(|id| Document { id: id.to_string(), ..Document::default() }).collect();
        index.upsert(&documents, &Embeddings::from_values(1, vec![1.0; 30])).unwrap();
        let snapshot = index.snapshot();
        (folder, snapshot)
    }

    /// A list of documents by their numbers.
    fn list(index: &Snapshot, scores: &[(usize, f32)]) -> Vec<Neighbor> {
        let options = SearchOptions { k: 30, ..SearchOptions::default() };
        let all = index.nearest(&[1.0], &options).unwrap();
        scores.iter().map(|(id, score)| scored(&all[*id], *score)).collect()
    }

    /// What comes of two lists: numbers and scores. What one of them lacks has the other score that `lacking` names, or none.
    fn fused_with(
        trust: f32,
        meaning: &[(usize, f32)],
        words: &[(usize, f32)],
        lacking: &[(usize, f32)],
        k: usize,
    ) -> Vec<(usize, f32)> {
        let (_folder, index) = index();
        let other = |list: &[(usize, f32)], of: &[(usize, f32)], none: f32| -> Vec<f32> {
            let score = |id: &usize| of.iter().chain(lacking).find(|(other, _)| other == id);
            list.iter().map(|(id, _)| score(id).map_or(none, |(_, score)| *score)).collect()
        };
        let lists = Lists {
            by_meaning: &list(&index, meaning),
            words_of_near: &other(meaning, words, 0.0),
            by_words: &list(&index, words),
            similarities_of_found: &other(words, meaning, BACKGROUND.mean),
        };
        let found = fuse(lists, Known { background: BACKGROUND, trust }, k);
        let number = |near: &Neighbor| index.document(near.doc).unwrap().id.parse().unwrap();
        found.iter().map(|near| (number(near), near.score)).collect()
    }

    /// The same without trust or distrust.
    fn fused(meaning: &[(usize, f32)], words: &[(usize, f32)], k: usize) -> Vec<(usize, f32)> {
        fused_with(0.0, meaning, words, &[], k)
    }

    fn assert_near(found: &[(usize, f32)], expected: &[(usize, f32)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-5,
                "{found:?} and {expected:?}"
            );
        }
    }

    #[test]
    fn a_document_in_both_lists_is_before_those_in_one() {
        let meaning = [(7, 0.8), (3, 0.5), (9, 0.4)];
        let words = [(3, 12.0), (5, 9.0), (7, 3.0)];
        let lacking = [(5, 0.2), (9, 1.5)];
        let expected = [(3, 0.622_238), (7, 0.586_084), (5, 0.373_170), (9, 0.313_415)];
        assert_near(&fused_with(0.0, &meaning, &words, &lacking, 10), &expected);
        assert_near(&fused_with(0.0, &meaning, &words, &lacking, 2), &expected[..2]);
    }

    #[test]
    fn a_model_that_does_not_understand_the_index_counts_little() {
        let meaning = [(7, 0.8), (3, 0.5), (9, 0.4)];
        let words = [(3, 12.0), (5, 9.0), (7, 3.0)];
        let expected = [(3, 0.792_217), (5, 0.613_974), (7, 0.288_621), (9, 0.193_013)];
        assert_near(&fused_with(-1.0, &meaning, &words, &[(5, 0.2), (9, 1.5)], 10), &expected);
    }

    #[test]
    fn a_list_of_words_with_a_clear_winner_counts_more_than_meaning_without() {
        let meaning: Vec<(usize, f32)> = (0..10).map(|i| (i, 0.6 - 0.01 * i as f32)).collect();
        let words: Vec<(usize, f32)> =
            [(20, 20.0)].into_iter().chain((0..9).map(|i| (i, 5.0 - 0.1 * i as f32))).collect();
        assert_eq!(fused(&meaning, &words, 1)[0].0, 20);
        let flat: Vec<(usize, f32)> = (10..20).map(|i| (i, 5.0 - 0.01 * i as f32)).collect();
        let winner: Vec<(usize, f32)> =
            [(4, 0.9)].into_iter().chain((5..14).map(|i| (i, 0.2 - 0.01 * i as f32))).collect();
        assert_eq!(fused(&winner, &flat, 1)[0].0, 4);
    }

    #[test]
    fn a_score_is_that_of_the_best_similarity_at_most() {
        let meaning = [(7, 0.8), (3, 0.5)];
        let found = fused(&meaning, &[(7, 12.0), (3, 1.0)], 10);
        assert!(found[0] == (7, 0.8) && found[1].1 < 0.5, "{found:?}");
        // Even where all is below the background.
        let found = fused(&[(1, -0.2), (2, -0.3)], &[(2, 3.0)], 10);
        assert!(found.iter().all(|(_, score)| *score <= -0.2) && found[0].0 == 2, "{found:?}");
    }

    #[test]
    fn what_a_walk_missed_is_no_nearer_than_what_it_found() {
        let found = fused_with(0.0, &[(7, 0.8)], &[(3, 12.0)], &[(3, 0.95), (7, 13.0)], 10);
        assert_near(&found, &[(3, 0.8), (7, 0.8)]);
    }

    #[test]
    fn one_list_alone_stays_as_it_is() {
        assert_eq!(fused(&[(1, 0.5), (2, 0.4)], &[], 1), [(1, 0.5)]);
        assert_eq!(fused(&[], &[(2, 3.0)], 10), [(2, 3.0)]);
        assert_eq!(fused(&[], &[], 10), []);
    }
}
