//! Groups of near duplicates.
//!
//! Two sentences are linked if their similarity is at least a threshold. A group is a connected component of the
//! links (single linkage), so its ends may be less similar than the threshold. Equal sentences are always linked.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use akin_index::{Cancelled, Counter, Progress};
use akin_kernels::dot;

use crate::compare::{Pair, each_pair, work};
use crate::sampled::{self, SampledRecall, pair_recall};
use crate::sentences::Sentences;

/// A group of near duplicates. The first sentence stands for the group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The row of the first sentence.
    pub kept: usize,
    /// The other sentences, in the order of their rows.
    pub duplicates: Vec<Duplicate>,
}

/// A near duplicate of an earlier sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duplicate {
    /// Its row.
    pub row: usize,
    /// Cosine similarity to the kept sentence. It may be below the threshold: links go through other sentences.
    pub score: f32,
    /// Cosine similarity to the most similar sentence of the group.
    pub link: f32,
}

/// The near duplicates of a set of sentences.
#[derive(Debug, Clone, PartialEq)]
pub struct NearDuplicates {
    /// The groups, in the order of their first sentences. Single sentences are left out.
    pub groups: Vec<Group>,
    /// Where a graph chose what is compared: the share of the true links, between different sentences, whose ends are
    /// in one group. None where every pair was compared: then it is one.
    pub recall: Option<SampledRecall>,
}

/// Groups of near duplicates.
///
/// Groups are the connected components of all pairs of equal sentences, and of the pairs with a similarity of at least
/// `threshold` that [`each_pair`] finds of the different ones. Memory grows with the sentences, not with the pairs.
pub fn near_duplicates(sentences: &Sentences, threshold: f32) -> NearDuplicates {
    near_duplicates_with(sentences, threshold, &|_, _| ControlFlow::Continue(())).expect("nothing stops it")
}

/// The same. `progress` hears how much of the work is done and how much there is, in comparisons or, beyond
/// [`MAX_EXACT_SENTENCES`](crate::compare::MAX_EXACT_SENTENCES), in visits of sentences; it may stop the work.
///
/// # Errors
/// [`Cancelled`] if `progress` stopped it.
pub fn near_duplicates_with(
    sentences: &Sentences,
    threshold: f32,
    progress: Progress<'_>,
) -> Result<NearDuplicates, Cancelled> {
    let rows = sentences.distinct().rows();
    let done = Counter::begin(work(rows) + sampled::work(rows), progress)?;
    let mut links = Links::new(sentences.len());
    sentences.copies().for_each(|(first, copy)| links.enter(1.0, first, copy));
    let links = Mutex::new(links);
    let enter = |pairs: &[Pair]| {
        if !pairs.is_empty() {
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            for pair in pairs {
                links.enter(pair.score, sentences.first_of(pair.first), sentences.first_of(pair.second));
            }
        }
    };
    let graph = each_pair(sentences.distinct(), &|| threshold, &enter, &done)?;
    let mut links = links.into_inner().unwrap_or_else(PoisonError::into_inner);
    let recall = graph.map(|_| {
        let firsts: Vec<usize> = (0..rows).map(|row| links.first_of(sentences.first_of(row))).collect();
        let together = |one, other| firsts[one] == firsts[other];
        pair_recall(sentences.distinct(), threshold, &together, &done)
    });
    Ok(NearDuplicates { recall: recall.transpose()?, groups: links.into_groups(sentences) })
}

/// A union-find over rows, with the greatest similarity of each row to another.
struct Links {
    /// An earlier row of the same group, or the row itself if it is the first.
    parent: Vec<usize>,
    best: Vec<f32>,
}

impl Links {
    fn new(rows: usize) -> Self {
        Self { parent: (0..rows).collect(), best: vec![f32::NEG_INFINITY; rows] }
    }

    fn enter(&mut self, score: f32, one: usize, other: usize) {
        for row in [one, other] {
            self.best[row] = self.best[row].max(score);
        }
        let (one, other) = (self.first_of(one), self.first_of(other));
        self.parent[one.max(other)] = one.min(other);
    }

    /// The first row of the group of `row`. Halves the path on the way.
    fn first_of(&mut self, mut row: usize) -> usize {
        while self.parent[row] != row {
            self.parent[row] = self.parent[self.parent[row]];
            row = self.parent[row];
        }
        row
    }

    fn into_groups(mut self, sentences: &Sentences) -> Vec<Group> {
        let embeddings = sentences.distinct();
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of = vec![None; self.parent.len()];
        for row in 0..self.parent.len() {
            let kept = self.first_of(row);
            if kept == row {
                continue;
            }
            let group = *group_of[kept].get_or_insert_with(|| {
                groups.push(Group { kept, duplicates: Vec::new() });
                groups.len() - 1
            });
            let [first, own] = [kept, row].map(|sentence| sentences.row_of(sentence));
            let score = match first == own {
                true => 1.0,
                false => dot(embeddings.row(first), embeddings.row(own)).clamp(-1.0, 1.0),
            };
            groups[group].duplicates.push(Duplicate { row, score, link: self.best[row] });
        }
        groups.sort_unstable_by_key(|group| group.kept);
        groups
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::Random;
    use akin_kernels::Embeddings;

    use super::*;

    fn near_duplicates(embeddings: &Embeddings, threshold: f32) -> Vec<Group> {
        super::near_duplicates(&Sentences::of(embeddings), threshold).groups
    }

    /// Unit vectors in a plane, by their angles in degrees.
    fn at_degrees(degrees: &[f32]) -> Embeddings {
        let values = degrees.iter().flat_map(|degrees| {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            [cosine, sine]
        });
        Embeddings::from_values(2, values.collect())
    }

    #[test]
    fn what_leads_to_each_other_is_one_group_and_the_first_is_kept() {
        // Ten degrees are a cosine of 0.985, twenty of 0.940.
        let embeddings = at_degrees(&[90.0, 0.0, 200.0, 20.0, 91.0, 10.0]);
        let groups = near_duplicates(&embeddings, 0.98);
        assert_eq!(groups.iter().map(|group| group.kept).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(groups[0].duplicates.iter().map(|one| one.row).collect::<Vec<_>>(), [4]);
        let [far, near] = groups[1].duplicates[..] else { panic!("{groups:?}") };
        assert_eq!((far.row, near.row), (3, 5));
        assert!((far.score - 0.940).abs() < 1e-3 && (far.link - 0.985).abs() < 1e-3, "{far:?}");
        assert!((near.score - 0.985).abs() < 1e-3 && near.score == near.link.min(near.score), "{near:?}");
    }

    #[test]
    fn groups_are_the_components_that_a_search_through_all_pairs_finds() {
        let degrees: Vec<f32> =
            Random::new(9).vector(1000).iter().map(|number| (number + 1.0) * 180.0).collect();
        // Differences of angles are exact enough to have no doubtful pair.
        let threshold = 0.3f32.to_radians().cos();
        let mut sorted: Vec<usize> = (0..degrees.len()).collect();
        sorted.sort_by(|a, b| degrees[*a].total_cmp(&degrees[*b]));
        let groups = near_duplicates(&at_degrees(&degrees), threshold);
        let mut group_of = vec![usize::MAX; degrees.len()];
        for (number, group) in groups.iter().enumerate() {
            group_of[group.kept] = number;
            group.duplicates.iter().for_each(|one| group_of[one.row] = number);
            assert!(group.duplicates.iter().all(|one| one.row > group.kept && one.link >= threshold));
        }
        for pair in sorted.windows(2) {
            let apart = degrees[pair[1]] - degrees[pair[0]];
            let together = group_of[pair[0]] == group_of[pair[1]] && group_of[pair[0]] != usize::MAX;
            if (apart - 0.3).abs() > 0.02 {
                assert_eq!(together, apart < 0.3, "{pair:?} are {apart} degrees apart");
            }
        }
    }

    #[test]
    fn copies_are_one_group_with_what_is_near_them() {
        let copies = [vec![30.0; 700], vec![100.0], vec![30.0; 700], vec![31.0]].concat();
        let groups = near_duplicates(&at_degrees(&copies), 0.999);
        assert_eq!(groups.iter().map(|group| group.kept).collect::<Vec<_>>(), [0]);
        let rows: Vec<usize> = groups[0].duplicates.iter().map(|one| one.row).collect();
        assert_eq!(rows, (1..1402).filter(|row| *row != 700).collect::<Vec<_>>());
        assert!(groups[0].duplicates.iter().all(|one| one.link > 0.9998));
    }

    #[test]
    fn copies_of_a_row_of_zeros_are_not_similar() {
        assert_eq!(near_duplicates(&Embeddings::from_values(2, vec![0.0; 8]), 0.5), []);
    }

    #[test]
    fn none_and_one_and_all_alike() {
        assert_eq!(near_duplicates(&Embeddings::empty(2), 0.9), []);
        assert_eq!(near_duplicates(&at_degrees(&[1.0]), -1.0), []);
        let all = near_duplicates(&at_degrees(&[7.0; 2000]), 0.999);
        assert_eq!((all.len(), all[0].kept, all[0].duplicates.len()), (1, 0, 1999));
    }

    #[test]
    fn equal_texts_are_duplicates_whatever_their_embeddings() {
        let mut sentences = Sentences::of(&Embeddings::from_values(2, vec![0.0, 0.0, 1.0, 0.0]));
        sentences.push_copy(0);
        sentences.push_copy(1);
        let groups = super::near_duplicates(&sentences, 1.0).groups;
        let rows: Vec<(usize, usize)> = groups.iter().map(|g| (g.kept, g.duplicates[0].row)).collect();
        assert_eq!(rows, [(0, 2), (1, 3)]);
        assert!(groups.iter().all(|g| (g.duplicates[0].score, g.duplicates[0].link) == (1.0, 1.0)));
    }
}
