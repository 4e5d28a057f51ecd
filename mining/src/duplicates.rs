//! Groups of near duplicates.
//!
//! Two sentences are linked if their similarity is at least a threshold. A group is a connected component of the
//! links (single linkage), so its ends may be less similar than the threshold.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use akin_kernels::Embeddings;
use akin_kernels::dot;

use crate::compare::{Pair, each_pair};

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

/// Groups of near duplicates, in the order of their first rows. The rows have length one.
///
/// Groups are the connected components of the pairs with a similarity of at least `threshold`; single sentences
/// are left out. The pairs are those that [`each_pair`] finds, and all pairs of equal rows: among many copies of one
/// sentence a graph would find only some. Memory grows with the rows, not with the pairs.
pub fn near_duplicates(embeddings: &Embeddings, threshold: f32) -> Vec<Group> {
    let mut links = Links::new(embeddings.rows());
    let distinct = link_copies(embeddings, threshold, &mut links);
    let links = Mutex::new(links);
    let enter = |pairs: &[Pair]| {
        if !pairs.is_empty() {
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            for pair in pairs {
                links.enter(pair.score, distinct[pair.first], distinct[pair.second]);
            }
        }
    };
    if distinct.len() == embeddings.rows() {
        each_pair(embeddings, &|| threshold, &enter);
    } else {
        each_pair(&picked(embeddings, &distinct), &|| threshold, &enter);
    }
    links.into_inner().unwrap_or_else(PoisonError::into_inner).into_groups(embeddings)
}

/// Links each row with the first row that equals it, and returns the rows that equal no earlier one.
fn link_copies(embeddings: &Embeddings, threshold: f32, links: &mut Links) -> Vec<usize> {
    let mut first_of_equals = HashMap::new();
    let mut distinct = Vec::new();
    for (row, values) in embeddings.iter().enumerate() {
        let first = *first_of_equals.entry(Bits(values)).or_insert(row);
        let score = dot(values, values);
        // A row of zeros is similar to nothing, its copies neither.
        if first != row && score >= threshold {
            links.enter(score.min(1.0), first, row);
        } else {
            distinct.push(row);
        }
    }
    distinct
}

/// Some rows of a matrix.
fn picked(embeddings: &Embeddings, rows: &[usize]) -> Embeddings {
    let mut picked = Embeddings::empty(embeddings.dimension());
    rows.iter().for_each(|row| picked.push(embeddings.row(*row)));
    picked
}

/// A row that is equal to another if all bits are.
struct Bits<'a>(&'a [f32]);

impl PartialEq for Bits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|value| value.to_bits()).eq(other.0.iter().map(|value| value.to_bits()))
    }
}

impl Eq for Bits<'_> {}

impl Hash for Bits<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|value| state.write_u32(value.to_bits()));
    }
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

    fn into_groups(mut self, embeddings: &Embeddings) -> Vec<Group> {
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
            let score = dot(embeddings.row(kept), embeddings.row(row)).clamp(-1.0, 1.0);
            groups[group].duplicates.push(Duplicate { row, score, link: self.best[row] });
        }
        groups.sort_unstable_by_key(|group| group.kept);
        groups
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::Random;

    use super::*;

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
}
