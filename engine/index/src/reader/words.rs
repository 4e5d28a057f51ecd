//! Searching a snapshot by words: statistics of all segments together, then the best passages of each.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use rayon::prelude::*;

use super::Snapshot;
use super::snapshot::SegmentView;
use crate::graph::Fault;
use crate::segment::PassageSet;
use crate::segment::postings::Matches;
use crate::segment::word_search::WordSearch;
use crate::words::analysis::Analyzer;
use crate::words::bm25::{Bm25, Constants, Statistics};
use crate::words::language::Language;
use crate::words::query::{Plan, Unit};
use crate::{DocId, Hit, Neighbor, Result, SearchOptions, WordQuery};

/// Below the score of any passage that has a word.
const NOTHING: f32 = -1.0;

impl Snapshot {
    /// The documents that have the words of a query, best first, by BM25 of their best passage; of equal ones the older
    /// comes first. Of `options` it takes `k` and `among`. Segments that an earlier release wrote have no words until
    /// the index is compacted: nothing is found in them.
    ///
    /// # Errors
    /// [`Error::Stale`](crate::Error::Stale) if the documents to search among were selected from another snapshot;
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn search_words(&self, query: &WordQuery, options: &SearchOptions) -> Result<Vec<Hit>> {
        self.hits(self.nearest_words(query, options)?)
    }

    /// The same without their texts.
    ///
    /// # Errors
    /// As [`Snapshot::search_words`].
    pub fn nearest_words(&self, query: &WordQuery, options: &SearchOptions) -> Result<Vec<Neighbor>> {
        if let Some(selection) = &options.among {
            selection.require(self)?;
        }
        if options.k == 0 {
            return Ok(Vec::new());
        }
        self.best_by_words(query, options).map_err(|fault| self.fault(fault))
    }

    /// The same for many queries, each by itself, in their order, on all threads that search.
    ///
    /// # Errors
    /// As [`Snapshot::search_words`].
    pub fn nearest_words_all(
        &self,
        queries: &[WordQuery],
        options: &SearchOptions,
    ) -> Result<Vec<Vec<Neighbor>>> {
        match queries {
            [only] => Ok(vec![self.nearest_words(only, options)?]),
            _ => {
                let search = |query| self.nearest_words(query, options);
                self.pool.run(|| queries.par_iter().map(search).collect())
            }
        }
    }

    /// The same for queries whose hits are put together with those by meaning: for each query, what it finds, and the scores by
    /// words of the passages that were found otherwise.
    ///
    /// # Errors
    /// As [`Snapshot::search_words`]; [`Error::Stale`](crate::Error::Stale) if another snapshot named the passages.
    pub fn nearest_words_beside_all(
        &self,
        queries: &[WordQuery],
        others: &[Vec<Neighbor>],
        options: &SearchOptions,
    ) -> Result<Vec<(Vec<Neighbor>, Vec<f32>)>> {
        let search = |(query, others): (&WordQuery, &Vec<Neighbor>)| {
            if let Some(selection) = &options.among {
                selection.require(self)?;
            }
            let searched = self.find_words(query).map_err(|fault| self.fault(fault))?;
            let weights = Weights::of(&searched, query);
            let found = self.best_of(&searched, &weights, options).map_err(|fault| self.fault(fault))?;
            Ok((found, self.scores_of(&searched, &weights, others)?))
        };
        match queries {
            [query] => others.first().map(|others| search((query, others))).into_iter().collect(),
            _ => self.pool.run(|| queries.par_iter().zip(others).map(search).collect()),
        }
    }

    /// The documents of neighbors that this snapshot named, with their texts.
    ///
    /// # Errors
    /// [`Error::Stale`](crate::Error::Stale) if another one named them, [`Error::Damaged`](crate::Error::Damaged) if what is
    /// stored cannot be trusted.
    pub fn hits(&self, neighbors: Vec<Neighbor>) -> Result<Vec<Hit>> {
        neighbors.into_iter().map(|near| self.hit(near)).collect()
    }

    /// The same of many lists, on all threads that search.
    ///
    /// # Errors
    /// As [`Snapshot::hits`].
    pub fn hits_all(&self, lists: Vec<Vec<Neighbor>>) -> Result<Vec<Vec<Hit>>> {
        match lists.len() {
            0 | 1 => lists.into_iter().map(|list| self.hits(list)).collect(),
            _ => self.pool.run(|| lists.into_par_iter().map(|list| self.hits(list)).collect()),
        }
    }

    /// Whether all live documents are in segments that can be searched by words, or have none.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn has_words(&self) -> Result<bool> {
        for view in &self.segments {
            if view.segment.words().map_err(|fault| self.fault(fault))?.is_none() {
                return Ok(false);
            }
        }
        Ok(!self.is_empty())
    }

    /// How many live passages are in segments that can be searched by words.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn passages_with_words(&self) -> Result<usize> {
        let mut passages = 0;
        for view in &self.segments {
            if view.segment.words().map_err(|fault| self.fault(fault))?.is_some() {
                passages += view.live_passages();
            }
        }
        Ok(passages)
    }

    fn best_by_words(&self, query: &WordQuery, options: &SearchOptions) -> Result<Vec<Neighbor>, Fault> {
        let searched = self.find_words(query)?;
        self.best_of(&searched, &Weights::of(&searched, query), options)
    }

    fn best_of(
        &self,
        searched: &[Searched<'_>],
        weights: &Weights<'_>,
        options: &SearchOptions,
    ) -> Result<Vec<Neighbor>, Fault> {
        let mut best = Best::new(options.k);
        for segment in searched {
            let among = options.among.as_ref().map(|selection| selection.rows(segment.at));
            let threshold = best.threshold();
            segment.search(weights, among, threshold, &mut |near| best.offer(near))?;
        }
        Ok(best.into_sorted())
    }

    /// The scores of passages, in their order; 0 in segments that have no words.
    fn scores_of(
        &self,
        searched: &[Searched<'_>],
        weights: &Weights<'_>,
        passages: &[Neighbor],
    ) -> Result<Vec<f32>> {
        let mut scores = vec![0.0; passages.len()];
        for segment in searched {
            let of_segment = |near: &Neighbor| near.doc.segment as usize == segment.at;
            let mut places: Vec<usize> =
                (0..passages.len()).filter(|at| of_segment(&passages[*at])).collect();
            if places.is_empty() {
                continue;
            }
            places.sort_by_key(|at| passages[*at].passage);
            let rows: Vec<u32> = places.iter().map(|at| passages[*at].passage).collect();
            if rows.last().is_some_and(|last| *last as usize >= segment.view.segment.passages()) {
                return Err(crate::Error::Stale("the passage is one of another snapshot"));
            }
            let found = segment.scores(weights, &rows).map_err(|fault| self.fault(fault))?;
            places.into_iter().zip(found).for_each(|(at, score)| scores[at] = score);
        }
        Ok(scores)
    }

    /// Those of some passages of a document that a query finds.
    pub(super) fn words_of_passages(
        &self,
        query: &WordQuery,
        doc: DocId,
        passages: Range<usize>,
    ) -> Result<Vec<Neighbor>, Fault> {
        let searched = self.find_words(query)?;
        let weights = Weights::of(&searched, query);
        let mut found = Vec::new();
        if let Some(segment) = searched.iter().find(|segment| segment.at == doc.segment as usize) {
            let among = PassageSet::of_range(passages);
            segment.search(&weights, Some(&among), NOTHING, &mut |near| {
                found.push(near);
                NOTHING
            })?;
        }
        Ok(found)
    }

    /// The language of most passages that have words.
    pub(super) fn main_language(&self) -> Result<Option<Language>, Fault> {
        let mut passages: HashMap<Language, usize> = HashMap::new();
        for view in &self.segments {
            if let Some(words) = view.segment.words()? {
                *passages.entry(words.language).or_default() += view.live_passages();
            }
        }
        let most = passages.into_iter().max_by_key(|(language, passages)| (*passages, *language as u8));
        Ok(most.map(|(language, _)| language))
    }

    /// How common each thing is that a query looks for; none where no passage has words.
    pub(super) fn commonness(&self, query: &WordQuery) -> Result<Option<Commonness>, Fault> {
        let searched = self.find_words(query)?;
        let weights = Weights::of(&searched, query);
        let passages = weights.statistics.passages;
        let holding = weights.holding.iter().map(|(unit, holding)| ((*unit).clone(), *holding)).collect();
        Ok((passages > 0).then_some(Commonness { passages, holding }))
    }

    /// What a query looks for in each segment that has words.
    fn find_words(&self, query: &WordQuery) -> Result<Vec<Searched<'_>>, Fault> {
        let mut plans: Vec<(Language, Plan)> = Vec::new();
        let mut searched = Vec::new();
        for (at, view) in self.segments.iter().enumerate() {
            let Some(words) = view.segment.words()? else { continue };
            // Segments are of one language, but for small ones that were written before it was decided.
            let known = plans.iter().position(|(language, _)| *language == words.language);
            let plan = known.unwrap_or_else(|| {
                plans.push((words.language, query.plan(&Analyzer::new(words.language))));
                plans.len() - 1
            });
            let statistics = view.segment.word_statistics(&words);
            searched.push(Searched::find(at, view, &plans[plan].1, statistics)?);
        }
        Ok(searched)
    }
}

/// What a query looks for in a segment.
struct Searched<'a> {
    at: usize,
    view: &'a SegmentView,
    statistics: Statistics,
    optional: Vec<Found>,
    required: Vec<Found>,
    excluded: Vec<Matches>,
}

/// How many passages have each thing that a query looks for.
pub(super) struct Commonness {
    passages: u64,
    holding: HashMap<Unit, u64>,
}

impl Commonness {
    /// The share of all passages that have it.
    pub(super) fn of(&self, unit: &Unit) -> f64 {
        self.holding.get(unit).map_or(0.0, |holding| *holding as f64 / self.passages as f64)
    }
}

/// Something that a query looks for, how often it says so, and where a segment has it.
struct Found {
    unit: Unit,
    times: u32,
    matches: Option<Matches>,
}

impl<'a> Searched<'a> {
    fn find(at: usize, view: &'a SegmentView, plan: &Plan, statistics: Statistics) -> Result<Self, Fault> {
        let find = |units: &[(Unit, u32)]| -> Result<Vec<Found>, Fault> {
            let found = units.iter().map(|(unit, times)| {
                Ok(Found { unit: unit.clone(), times: *times, matches: view.segment.matches(unit)? })
            });
            found.collect()
        };
        let excluded = plan.excluded.iter().filter_map(|unit| view.segment.matches(unit).transpose());
        Ok(Self {
            at,
            view,
            statistics,
            optional: find(&plan.optional)?,
            required: find(&plan.required)?,
            excluded: excluded.collect::<Result<_, _>>()?,
        })
    }

    /// What adds to a score, and its weight.
    fn optional(&self, weights: &Weights<'_>) -> Vec<(Matches, Bm25)> {
        let counted = self.optional.iter().filter(|found| weights.counts(found));
        counted.filter_map(|found| weights.weigh(found)).collect()
    }

    /// The scores of passages of the segment, ascending.
    fn scores(&self, weights: &Weights<'_>, passages: &[u32]) -> Result<Vec<f32>, Fault> {
        let mut matches = self.optional(weights);
        matches.extend(self.required.iter().filter_map(|found| weights.weigh(found)));
        self.view.segment.word_scores(&matches, passages)
    }

    /// Offers the passages `among` those of the segment that score more than a threshold, which each offer may raise.
    fn search(
        &self,
        weights: &Weights<'_>,
        among: Option<&PassageSet>,
        threshold: f32,
        offer: &mut dyn FnMut(Neighbor) -> f32,
    ) -> Result<(), Fault> {
        let required = self.required.iter().map(|found| weights.weigh(found)).collect::<Option<Vec<_>>>();
        // What must be there is nowhere in this segment.
        let Some(required) = required else { return Ok(()) };
        let optional = self.optional(weights);
        let search = WordSearch {
            optional: &optional,
            required: &required,
            excluded: &self.excluded,
            among,
            deleted: self.view.deleted.as_deref(),
        };
        let segment = &self.view.segment;
        segment.search_words(&search, threshold, &mut |passage, score| {
            let document = segment.document_of(passage as usize)? as u32;
            let doc = DocId { segment: self.at as u32, document };
            Ok(offer(Neighbor { score, doc, passage }))
        })
    }
}

/// How much each part of a query counts: by how many passages of all segments have it, deleted ones too until their
/// segment is written anew.
struct Weights<'a> {
    constants: Constants,
    statistics: Statistics,
    holding: HashMap<&'a Unit, u64>,
    /// What more passages have does not count, unless all must have it.
    most: u64,
}

impl<'a> Weights<'a> {
    fn of(searched: &'a [Searched<'_>], query: &WordQuery) -> Self {
        let constants = query.constants();
        let mut weights =
            Self { constants, statistics: Statistics::default(), holding: HashMap::new(), most: u64::MAX };
        for segment in searched {
            weights.statistics.add(segment.statistics);
            for found in segment.optional.iter().chain(&segment.required) {
                *weights.holding.entry(&found.unit).or_default() +=
                    found.matches.as_ref().map_or(0, Matches::passages);
            }
        }
        if let Some(most) = query.most_common(weights.statistics.passages) {
            let optional = searched.iter().flat_map(|segment| &segment.optional);
            let mut holding = optional.map(|found| weights.holding[&found.unit]);
            // Where all words are common they are all that can be looked for.
            if holding.any(|holding| (1..=most).contains(&holding)) {
                weights.most = most;
            }
        }
        weights
    }

    /// Whether something adds to scores.
    fn counts(&self, found: &Found) -> bool {
        self.holding.get(&found.unit).is_some_and(|holding| *holding <= self.most)
    }

    /// Where a segment has something, and its weight; none if it has it nowhere.
    fn weigh(&self, found: &Found) -> Option<(Matches, Bm25)> {
        let holding = self.holding.get(&found.unit).copied().unwrap_or(0);
        Some((found.matches.clone()?, Bm25::new(self.statistics, holding, found.times, self.constants)))
    }
}

/// The best documents so far, each by its best passage. Passages come segment after segment, ascending.
struct Best {
    k: usize,
    kept: BinaryHeap<Reverse<Ranked>>,
    /// The document whose passages are being offered.
    last: Option<Neighbor>,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, kept: BinaryHeap::new(), last: None }
    }

    /// The score that a passage must exceed.
    fn threshold(&self) -> f32 {
        match self.kept.peek() {
            Some(Reverse(worst)) if self.kept.len() == self.k => worst.0.score,
            _ => NOTHING,
        }
    }

    /// Takes a passage, and gives the score that the next ones must exceed.
    fn offer(&mut self, near: Neighbor) -> f32 {
        match &mut self.last {
            Some(last) if last.doc == near.doc => {
                if near.score > last.score {
                    *last = near;
                }
            }
            _ => {
                self.keep_last();
                self.last = Some(near);
            }
        }
        self.threshold()
    }

    fn keep_last(&mut self) {
        let Some(last) = self.last.take() else { return };
        self.kept.push(Reverse(Ranked(last)));
        if self.kept.len() > self.k {
            self.kept.pop();
        }
    }

    fn into_sorted(mut self) -> Vec<Neighbor> {
        self.keep_last();
        self.kept.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.0).collect()
    }
}

/// A neighbor that is greater than those of less score, and of equal ones than the newer.
struct Ranked(Neighbor);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = self.0.score.total_cmp(&other.0.score);
        by_score.then_with(|| (other.0.doc, other.0.passage).cmp(&(self.0.doc, self.0.passage)))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
