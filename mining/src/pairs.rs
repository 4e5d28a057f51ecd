//! The most similar pairs of a set of sentences (paraphrase mining).
//!
//! This is the task that motivates Sentence-BERT (Reimers & Gurevych 2019, section 1): BERT took 65 hours for
//! 10,000 sentences.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use akin_index::graph::Graph;
use akin_index::{Cancelled, Counter, Progress};

use crate::compare::{MAX_EXACT_SENTENCES, each_pair, work};
use crate::sampled::{self, SampledRecall, neighbor_recall};
use crate::sentences::Sentences;

pub use crate::compare::Pair;

/// The most similar pairs of a set of sentences.
#[derive(Debug, Clone, PartialEq)]
pub struct MostSimilar {
    /// The pairs, best first; equally similar ones by their sentences. `first` and `second` are sentences.
    pub pairs: Vec<Pair>,
    /// Where a graph chose what is compared: the share of the 10 true nearest of a sentence that it finds, beside its
    /// copies and above the threshold. None where every pair was compared, or none had to be.
    pub recall: Option<SampledRecall>,
}

/// The `top` most similar pairs with a similarity of at least `threshold`, best first.
///
/// Equal sentences come first: each copy in a pair with the first sentence that it equals, with a similarity of one.
/// Of two copies no pair is made, and of other pairs only the first of equal sentences is part: a thousand copies make
/// 999 pairs and not half a million.
///
/// Compares every pair of up to [`MAX_EXACT_SENTENCES`] different sentences, and those that [`each_pair`] finds of more.
/// Memory grows with `top`, not with the number of pairs.
pub fn most_similar(sentences: &Sentences, top: usize, threshold: f32) -> MostSimilar {
    most_similar_with(sentences, top, threshold, &|_, _| ControlFlow::Continue(())).expect("nothing stops it")
}

/// The same. `progress` hears how much of the work is done and how much there is, in comparisons or, beyond
/// [`MAX_EXACT_SENTENCES`], in visits of sentences; it may stop the work.
///
/// # Errors
/// [`Cancelled`] if `progress` stopped it.
pub fn most_similar_with(
    sentences: &Sentences,
    top: usize,
    threshold: f32,
    progress: Progress<'_>,
) -> Result<MostSimilar, Cancelled> {
    let rows = sentences.distinct().rows();
    let all = work(rows) + sampled::work(rows);
    let done = Counter::begin(all, progress)?;
    let equal = |(first, second)| Pair { score: 1.0, first, second };
    let mut pairs: Vec<Pair> = sentences.copies().map(equal).filter(|pair| pair.score >= threshold).collect();
    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
    pairs.truncate(top);
    let left = top - pairs.len();
    let embeddings = sentences.distinct();
    if left == 0 {
        done.reach(all)?;
        return Ok(MostSimilar { pairs, recall: None });
    }
    let twice = rows > MAX_EXACT_SENTENCES;
    let each = |least: Least<'_>, show: Show<'_>| each_pair(embeddings, least, show, &done);
    let (found, graph) = best(left, threshold, twice, &each)?;
    let sentence = |row| sentences.first_of(row);
    pairs.extend(found.iter().map(|pair| Pair {
        first: sentence(pair.first),
        second: sentence(pair.second),
        ..*pair
    }));
    let recall = graph.map(|graph| neighbor_recall(&graph, embeddings, threshold, &done));
    Ok(MostSimilar { pairs, recall: recall.transpose()? })
}

type Least<'a> = &'a (dyn Fn() -> f32 + Sync);
type Show<'a> = &'a (dyn Fn(&[Pair]) + Sync);
type Each<'a> = &'a dyn Fn(Least<'_>, Show<'_>) -> Result<Option<Graph>, Cancelled>;

/// The best of the pairs that `each` shows, and the graph that it made. `twice` says that it may show a pair two times.
fn best(
    top: usize,
    threshold: f32,
    twice: bool,
    each: Each<'_>,
) -> Result<(Vec<Pair>, Option<Graph>), Cancelled> {
    let limit = if twice { top.saturating_mul(2) } else { top };
    let best = Mutex::new(Best::new(limit, threshold));
    let lock = || -> MutexGuard<'_, Best> { best.lock().unwrap_or_else(PoisonError::into_inner) };
    // Pairs below the current limit are dropped before they are collected.
    let graph = each(&|| lock().least(), &|pairs| {
        if !pairs.is_empty() {
            let mut best = lock();
            pairs.iter().for_each(|pair| best.take(pair.score, pair.first, pair.second));
        }
    })?;
    let mut pairs = best.into_inner().unwrap_or_else(PoisonError::into_inner).into_pairs();
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    pairs.truncate(top);
    Ok((pairs, graph))
}

/// The best pairs so far.
struct Best {
    limit: usize,
    threshold: f32,
    /// The worst pair is on top.
    heap: BinaryHeap<Reverse<Ranked>>,
}

impl Best {
    fn new(limit: usize, threshold: f32) -> Self {
        Self { limit, threshold, heap: BinaryHeap::new() }
    }

    /// The similarity that a pair needs to be among the best.
    fn least(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.limit => worst.0.0.max(self.threshold),
            _ => self.threshold,
        }
    }

    fn take(&mut self, score: f32, one: usize, other: usize) {
        if score < self.threshold || self.limit == 0 || score.is_nan() {
            return;
        }
        let pair = Reverse(Ranked(score, one.min(other), one.max(other)));
        if self.heap.len() < self.limit {
            self.heap.push(pair);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && pair < *worst
        {
            *worst = pair;
        }
    }

    fn into_pairs(self) -> Vec<Pair> {
        let mut ranked: Vec<Ranked> = self.heap.into_iter().map(|ranked| ranked.0).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let pair = |Ranked(score, first, second)| Pair { score: score.clamp(-1.0, 1.0), first, second };
        ranked.into_iter().map(pair).collect()
    }
}

/// A pair as the heap orders it: a greater value is a higher score or, at equal scores, earlier rows.
#[derive(Clone, Copy, PartialEq)]
struct Ranked(f32, usize, usize);

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then_with(|| (other.1, other.2).cmp(&(self.1, self.2)))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::random::{Random, normalize};
    use akin_kernels::Embeddings;

    use super::*;
    use crate::compare::{BLOCK_COLUMNS, BLOCK_ROWS, by_graph, by_products};

    fn by_products_best(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<Pair> {
        let done = Counter::begin(0, &go_on).unwrap();
        let each =
            |least: Least<'_>, show: Show<'_>| by_products(embeddings, least, show, &done).map(|()| None);
        best(top, threshold, false, &each).unwrap().0
    }

    fn go_on(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn by_graph_best(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<Pair> {
        let done = Counter::begin(0, &go_on).unwrap();
        best(top, threshold, true, &|least, show| by_graph(embeddings, least, show, &done).map(Some))
            .unwrap()
            .0
    }

    /// Rows of length one; every seventh repeats the one before, a little moved.
    fn rows(count: usize) -> Embeddings {
        let mut random = Random::new(3);
        let mut embeddings = Embeddings::empty(16);
        let mut row = vec![0f32; 16];
        for number in 0..count {
            for value in &mut row {
                let noise = random.uniform();
                *value = if number % 7 == 6 { *value + noise * 0.01 } else { noise };
            }
            normalize(&mut row);
            embeddings.push(&row);
        }
        embeddings
    }

    /// The scores of the best pairs, by a plain double loop.
    fn plain(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<f32> {
        let pairs = (0..embeddings.rows()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let mut scores: Vec<f32> = pairs.map(|(first, second)| score(embeddings, first, second)).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.into_iter().filter(|score| *score >= threshold).take(top).collect()
    }

    fn score(embeddings: &Embeddings, first: usize, second: usize) -> f32 {
        embeddings.row(first).iter().zip(embeddings.row(second)).map(|(a, b)| a * b).sum()
    }

    fn places(pairs: &[Pair]) -> Vec<(usize, usize)> {
        pairs.iter().map(|pair| (pair.first, pair.second)).collect()
    }

    #[test]
    fn every_pair_counts_across_all_borders_of_blocks() {
        let embeddings = rows(BLOCK_COLUMNS + BLOCK_ROWS + 5);
        for (top, threshold) in [(40, -1.0), (100, 0.7), (1, 0.0)] {
            let pairs = by_products_best(&embeddings, top, threshold);
            let scores = plain(&embeddings, top, threshold);
            assert_eq!(pairs.len(), scores.len());
            for (pair, best) in pairs.iter().zip(scores) {
                // Sums in another order may differ in their last bits.
                let own = score(&embeddings, pair.first, pair.second);
                assert!((pair.score - best).abs() < 1e-5 && (pair.score - own).abs() < 1e-5);
                assert!(pair.first < pair.second && pair.score >= threshold);
            }
            let mut places = places(&pairs);
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), pairs.len());
        }
    }

    #[test]
    fn the_graph_finds_the_pairs_that_products_find() {
        let embeddings = rows(3000);
        let exact = by_products_best(&embeddings, 300, -1.0);
        let found = places(&by_graph_best(&embeddings, 300, -1.0));
        assert_eq!(found.len(), 300);
        let right = places(&exact).iter().filter(|pair| found.contains(pair)).count();
        assert!(right >= 297, "{right} of 300");
    }

    #[test]
    fn a_graph_tells_twice_its_rows_and_can_be_stopped_while_it_is_built_and_searched() {
        let embeddings = rows(3000);
        for until in [0, 2999, 3001, 5999] {
            let stop = |done: usize, _| match done > until {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let done = Counter::begin(6000, &stop).unwrap();
            assert!(by_graph(&embeddings, &|| 2.0, &|_| (), &done).is_err(), "{until}");
        }
        let last = Mutex::new(0);
        let hear = |done: usize, _| {
            *last.lock().unwrap() = done;
            ControlFlow::Continue(())
        };
        let done = Counter::begin(6000, &hear).unwrap();
        by_graph(&embeddings, &|| 2.0, &|_| (), &done).unwrap();
        assert_eq!(*last.lock().unwrap(), 6000);
    }

    #[test]
    fn few_sentences_have_few_pairs() {
        for count in 0..4 {
            let pairs = most_similar(&Sentences::of(&rows(count)), 10, -1.0).pairs;
            assert_eq!(pairs.len(), count * count.saturating_sub(1) / 2);
        }
        assert_eq!(most_similar(&Sentences::of(&rows(30)), 0, -1.0).pairs, []);
        assert_eq!(most_similar(&Sentences::of(&rows(5)), 10, 0.9999999).pairs, []);
    }

    #[test]
    fn each_copy_is_paired_with_the_first_and_only_the_first_with_others() {
        let embeddings = rows(6);
        let mut sentences = Sentences::of(&embeddings);
        (0..300).for_each(|_| sentences.push_copy(4));
        sentences.push(embeddings.row(1));
        let found = most_similar(&sentences, 1000, -1.0).pairs;
        let copies: Vec<(usize, usize)> =
            std::iter::once((1, 306)).chain((6..306).map(|copy| (4, copy))).collect();
        assert_eq!(places(&found[..301]), copies);
        assert!(found[..301].iter().all(|pair| pair.score == 1.0));
        assert_eq!(found.len(), 301 + 6 * 5 / 2, "every pair of different sentences comes once");
        assert!(found[301..].iter().all(|pair| pair.second < 6));
        assert_eq!(places(&most_similar(&sentences, 2, -1.0).pairs), [(1, 306), (4, 6)]);
    }
}
