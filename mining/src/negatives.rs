//! Hard negatives: texts that are close to an anchor and do not belong to it, which training learns most from.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

use akin_kernels::Embeddings;
use akin_kernels::matmul::{Matrix, multiply};
use rayon::prelude::*;

/// Anchors that one thread compares at a time.
const BLOCK_ANCHORS: usize = 64;
/// Candidates that they are compared with at a time: their products are a quarter of a megabyte.
const BLOCK_CANDIDATES: usize = 1024;

/// Which candidates are negatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegativeSettings {
    /// How many a pair gets at most: the closest.
    pub count: usize,
    /// How many of the closest candidates are left out: they may belong to the anchor though nobody said so.
    pub skip: usize,
    /// How many of the closest after those are looked at.
    pub depth: usize,
    /// The least similarity of a negative to the anchor.
    pub least: f32,
    /// The greatest.
    pub most: f32,
    /// By how much a negative is less similar than the positive, at least.
    pub margin: Option<f32>,
    /// The greatest share of the positive's similarity that a negative has.
    pub share: Option<f32>,
}

impl Default for NegativeSettings {
    fn default() -> Self {
        Self { count: 5, skip: 0, depth: 100, least: -1.0, most: 1.0, margin: None, share: None }
    }
}

/// The negatives of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Negatives {
    /// The similarity of anchor and positive.
    pub positive: f32,
    /// The number and the similarity of each negative, the closest first.
    pub found: Vec<(usize, f32)>,
}

/// Finds the negatives of each pair. `anchors` and `positives` have a row for each pair, and `candidates` one for each text
/// that may be a negative; all rows have length one. `belong[pair]` are the candidates that are no negatives of a pair: its
/// positives, and copies of the anchor. Every anchor is compared with every candidate.
///
/// # Panics
/// If there are not as many positives and lists as anchors, or if dimensions differ.
pub fn hard_negatives(
    anchors: &Embeddings,
    positives: &Embeddings,
    candidates: &Embeddings,
    belong: &[HashSet<usize>],
    settings: &NegativeSettings,
) -> Vec<Negatives> {
    let width = candidates.dimension();
    assert_eq!((anchors.rows(), belong.len()), (positives.rows(), positives.rows()), "a list for each pair");
    assert_eq!((anchors.dimension(), positives.dimension()), (width, width), "embeddings of one model");
    let blocks: Vec<usize> = (0..anchors.rows()).step_by(BLOCK_ANCHORS).collect();
    let found = blocks.into_par_iter().flat_map_iter(|first| {
        let last = (first + BLOCK_ANCHORS).min(anchors.rows());
        let closest = closest(anchors, first..last, candidates, belong, settings.skip + settings.depth);
        closest.into_iter().zip(first..last).map(|(closest, pair)| {
            let positive = dot(anchors.row(pair), positives.row(pair));
            let limit = limit(positive, settings);
            let fits = |(_, score): &(usize, f32)| *score >= settings.least && *score <= limit;
            let found = closest.into_iter().skip(settings.skip).filter(fits).take(settings.count).collect();
            Negatives { positive, found }
        })
    });
    found.collect()
}

/// The greatest similarity that a negative may have beside a positive of this one.
fn limit(positive: f32, settings: &NegativeSettings) -> f32 {
    let by_margin = settings.margin.map_or(f32::INFINITY, |margin| positive - margin);
    // Of a positive below zero a share would be above it.
    let by_share = settings.share.map_or(f32::INFINITY, |share| positive - (1.0 - share) * positive.abs());
    settings.most.min(by_margin).min(by_share)
}

/// The closest candidates of some anchors that do not belong to them, the closest first.
fn closest(
    anchors: &Embeddings,
    pairs: std::ops::Range<usize>,
    candidates: &Embeddings,
    belong: &[HashSet<usize>],
    depth: usize,
) -> Vec<Vec<(usize, f32)>> {
    let width = candidates.dimension();
    let own = &anchors.as_slice()[pairs.start * width..pairs.end * width];
    let mut heaps: Vec<BinaryHeap<Worst>> = pairs.clone().map(|_| BinaryHeap::new()).collect();
    for first in (0..candidates.rows()).step_by(BLOCK_CANDIDATES) {
        let last = (first + BLOCK_CANDIDATES).min(candidates.rows());
        let block = Matrix::new(&candidates.as_slice()[first * width..last * width], width);
        let mut scores = vec![0.0; pairs.len() * (last - first)];
        multiply(Matrix::new(own, width), block.transposed(), false, &mut scores);
        for ((heap, scores), pair) in
            heaps.iter_mut().zip(scores.chunks_exact(last - first)).zip(pairs.clone())
        {
            for (candidate, score) in (first..last).zip(scores) {
                keep(heap, Worst(*score, candidate), depth, &belong[pair]);
            }
        }
    }
    let sorted = |heap: BinaryHeap<Worst>| {
        heap.into_sorted_vec()
            .into_iter()
            .map(|Worst(score, number)| (number, score.clamp(-1.0, 1.0)))
            .collect()
    };
    heaps.into_iter().map(sorted).collect()
}

/// Keeps a candidate if it is among the `depth` closest.
fn keep(heap: &mut BinaryHeap<Worst>, candidate: Worst, depth: usize, belong: &HashSet<usize>) {
    let is_close = heap.len() < depth || heap.peek().is_some_and(|worst| candidate < *worst);
    if candidate.0.is_nan() || !is_close || belong.contains(&candidate.1) {
        return;
    }
    heap.push(candidate);
    if heap.len() > depth {
        heap.pop();
    }
}

/// A candidate with its similarity. The greater is the less similar one, and of equals the later one.
#[derive(PartialEq)]
struct Worst(f32, usize);

impl Eq for Worst {}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then_with(|| self.1.cmp(&other.1))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use akin_fixtures::random::{Random, normalize};

    use super::*;

    fn rows(count: usize, seed: u64) -> Embeddings {
        let mut random = Random::new(seed);
        let mut embeddings = Embeddings::empty(8);
        for _ in 0..count {
            let mut row: Vec<f32> = (0..8).map(|_| random.uniform() - 0.5).collect();
            normalize(&mut row);
            embeddings.push(&row);
        }
        embeddings
    }

    /// By the definition, one candidate at a time.
    fn plain(anchor: &[f32], candidates: &Embeddings, belong: &HashSet<usize>) -> Vec<(usize, f32)> {
        let mut all: Vec<(usize, f32)> = (0..candidates.rows())
            .filter(|number| !belong.contains(number))
            .map(|number| (number, dot(anchor, candidates.row(number))))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }

    #[test]
    fn negatives_are_the_closest_that_do_not_belong_across_all_borders_of_blocks() {
        let (anchors, positives) = (rows(BLOCK_ANCHORS + 3, 1), rows(BLOCK_ANCHORS + 3, 2));
        let candidates = rows(BLOCK_CANDIDATES + 5, 3);
        let belong: Vec<HashSet<usize>> = (0..anchors.rows())
            .map(|pair| plain(anchors.row(pair), &candidates, &HashSet::new())[0].0)
            .map(|closest| [closest].into())
            .collect();
        let settings = NegativeSettings { count: 4, skip: 2, ..NegativeSettings::default() };
        let found = hard_negatives(&anchors, &positives, &candidates, &belong, &settings);
        assert_eq!(found.len(), anchors.rows());
        for (pair, found) in found.iter().enumerate() {
            let expected = plain(anchors.row(pair), &candidates, &belong[pair]);
            let expected = &expected[2..6];
            assert_eq!(found.found.len(), 4);
            for (found, expected) in found.found.iter().zip(expected) {
                assert!((found.1 - expected.1).abs() < 1e-5, "{found:?} and not {expected:?}");
            }
        }
    }

    #[test]
    fn limits_are_of_the_similarity_and_of_that_of_the_positive() {
        let (anchors, candidates) = (rows(1, 1), rows(300, 3));
        let positives = anchors.clone();
        let find = |settings: NegativeSettings| {
            let settings = NegativeSettings { count: 300, depth: 300, ..settings };
            let found = hard_negatives(&anchors, &positives, &candidates, &[HashSet::new()], &settings);
            assert!((found[0].positive - 1.0).abs() < 1e-5);
            let scores: Vec<f32> = found[0].found.iter().map(|(_, score)| *score).collect();
            (scores.len(), scores.iter().copied().fold(f32::MIN, f32::max), scores.last().copied().unwrap())
        };
        let settings = NegativeSettings::default();
        assert_eq!(find(settings).0, 300);
        let (count, most, least) = find(NegativeSettings { least: -0.2, most: 0.4, ..settings });
        assert!(count < 300 && most <= 0.4 && least >= -0.2);
        assert!(find(NegativeSettings { margin: Some(0.7), ..settings }).1 <= 0.3 + 1e-5);
        assert!(find(NegativeSettings { share: Some(0.5), ..settings }).1 <= 0.5 + 1e-5);
    }

    #[test]
    fn few_candidates_give_few_negatives_and_none_give_none() {
        let anchors = rows(2, 1);
        let find = |candidates: &Embeddings| {
            let belong = vec![HashSet::new(); 2];
            hard_negatives(&anchors, &anchors, candidates, &belong, &NegativeSettings::default())
        };
        assert!(find(&rows(0, 5)).iter().all(|pair| pair.found.is_empty()));
        assert!(find(&rows(3, 5)).iter().all(|pair| pair.found.len() == 3));
    }
}
