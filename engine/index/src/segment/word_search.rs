//! Finds the passages with the best BM25 scores, without looking at those that cannot be among them.
//!
//! MaxScore (Turtle & Flood 1995) over the bounds of blocks, in windows of rows, as Lucene does: terms whose bounds
//! together do not reach the threshold are only looked up in passages that another term has.

use super::postings::{Cursor, Matches};
use super::{Deleted, PassageSet, Segment};
use crate::graph::Fault;
use crate::words::bm25::Bm25;

/// Rows that are scored together, at most.
const WINDOW: usize = 4096;
/// And at least, where blocks are shorter.
const SHORTEST: u32 = 256;

/// What to look for in one segment.
pub(crate) struct WordSearch<'a> {
    /// What adds to a score.
    pub(crate) optional: &'a [(Matches, Bm25)],
    /// What a passage must have, too.
    pub(crate) required: &'a [(Matches, Bm25)],
    /// What a document must not have.
    pub(crate) excluded: &'a [Matches],
    pub(crate) among: Option<&'a PassageSet>,
    pub(crate) deleted: Option<&'a Deleted>,
}

/// Takes a passage and its score, and gives the score that others must exceed.
pub(crate) type Offer<'a> = &'a mut dyn FnMut(u32, f32) -> Result<f32, Fault>;

/// A cursor with its weight and bounds.
struct Scored<'a> {
    cursor: Cursor<'a>,
    bm25: Bm25,
    /// No score is greater, in the segment and in the window.
    all: f32,
    within: f32,
}

impl Segment {
    /// Offers passages that may be among the best, ascending; `threshold` is the score that they must exceed.
    pub(crate) fn search_words(
        &self,
        search: &WordSearch<'_>,
        threshold: f32,
        offer: Offer<'_>,
    ) -> Result<(), Fault> {
        let excluded = match search.excluded {
            [] => None,
            matches => Some(self.documents_of(matches)?),
        };
        let wanted = |row: u32| {
            !search.deleted.is_some_and(|deleted| deleted.contains(row))
                && search.among.is_none_or(|among| among.contains(row))
                && !excluded.as_ref().is_some_and(|excluded| excluded.contains(row))
        };
        let mut optional = self.scored(search.optional)?;
        match search.required {
            [] => self.search_any(&mut optional, &wanted, threshold, offer),
            required => self.search_all(&mut self.scored(required)?, &mut optional, &wanted, offer),
        }
    }

    /// The scores of some passages, ascending, by everything that adds to a score, without looking at others.
    pub(crate) fn word_scores(
        &self,
        matches: &[(Matches, Bm25)],
        passages: &[u32],
    ) -> Result<Vec<f32>, Fault> {
        let mut scored = self.scored(matches)?;
        let scores = passages.iter().map(|passage| {
            let mut score = 0.0;
            for scored in &mut scored {
                score += scored.score_at(self, *passage)?;
            }
            Ok(score as f32)
        });
        scores.collect()
    }

    fn scored<'a>(&'a self, matches: &'a [(Matches, Bm25)]) -> Result<Vec<Scored<'a>>, Fault> {
        let scored = matches.iter().map(|(matches, bm25)| {
            let cursor = Cursor::new(self, matches)?;
            let all = cursor.bound(bm25)?;
            Ok(Scored { cursor, bm25: *bm25, all, within: all })
        });
        scored.collect()
    }

    /// Offers every passage that has all that is required.
    fn search_all<'a>(
        &'a self,
        required: &mut [Scored<'a>],
        optional: &mut [Scored<'a>],
        wanted: &dyn Fn(u32) -> bool,
        offer: Offer<'_>,
    ) -> Result<(), Fault> {
        let mut row = 0;
        'rows: loop {
            for scored in required.iter_mut() {
                match scored.cursor.seek(row)? {
                    None => return Ok(()),
                    Some(found) if found > row => {
                        row = found;
                        continue 'rows;
                    }
                    Some(_) => {}
                }
            }
            if wanted(row) {
                let mut score = 0.0;
                for scored in required.iter_mut().chain(optional.iter_mut()) {
                    score += scored.score_at(self, row)?;
                }
                offer(row, score as f32)?;
            }
            row += 1;
        }
    }

    /// Offers passages that have anything of `scored`.
    fn search_any(
        &self,
        scored: &mut [Scored<'_>],
        wanted: &dyn Fn(u32) -> bool,
        mut threshold: f32,
        offer: Offer<'_>,
    ) -> Result<(), Fault> {
        scored.sort_by(|a, b| a.all.total_cmp(&b.all));
        let mut window = Window::new();
        let mut from = 0;
        loop {
            let alone = needless(scored.iter().map(|scored| scored.all), threshold);
            let Some(rows) = next_window(&mut scored[alone..], from) else { return Ok(()) };
            from = rows.end;
            for scored in scored.iter_mut() {
                scored.cursor.skip_to(rows.start);
                scored.within = scored.cursor.bound_within(rows.end, scored.all, &scored.bm25);
            }
            let mut order: Vec<&mut Scored<'_>> = scored.iter_mut().collect();
            order.sort_by(|a, b| a.within.total_cmp(&b.within));
            let others = needless(order.iter().map(|scored| scored.within), threshold);
            if others == order.len() {
                continue;
            }
            let lengths = self.lengths(rows.start as usize..(rows.end as usize).min(self.passages()))?;
            let (others, needed) = order.split_at_mut(others);
            for scored in needed {
                window.add(scored, &rows, lengths)?;
            }
            threshold = window.offer(self, rows.start, others, wanted, threshold, offer)?;
        }
    }
}

/// How many of ascending bounds do not exceed the threshold together.
fn needless(bounds: impl Iterator<Item = f32>, threshold: f32) -> usize {
    let sums = bounds.scan(0f64, |sum, bound| {
        *sum += f64::from(bound);
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= f64::from(threshold)).count()
}

/// The next rows, from `from` on, that a cursor has something in: up to the end of the first block that ends.
fn next_window(needed: &mut [Scored<'_>], from: u32) -> Option<std::ops::Range<u32>> {
    needed.iter_mut().for_each(|scored| scored.cursor.skip_to(from));
    let start = needed.iter().filter_map(|scored| scored.cursor.lower()).min()?;
    let end = needed.iter().filter_map(|scored| scored.cursor.block_end()).min()?;
    let end = end.saturating_add(1).clamp(start + SHORTEST, start + WINDOW as u32);
    Some(start..end)
}

impl Scored<'_> {
    /// Its score of a passage, if it has it.
    fn score_at(&mut self, segment: &Segment, row: u32) -> Result<f64, Fault> {
        if self.cursor.seek(row)? != Some(row) {
            return Ok(0.0);
        }
        let length = segment.lengths(row as usize..row as usize + 1)?[0];
        Ok(self.bm25.score(self.cursor.occurrences(), length).into())
    }
}

/// The scores of some rows. Sums of few `f32` in `f64` are the same in any order, so that equal passages have equal scores.
struct Window {
    scores: Vec<f64>,
    /// A bit for each row that has a score.
    has: [u64; WINDOW / 64],
}

impl Window {
    fn new() -> Self {
        Self { scores: vec![0.0; WINDOW], has: [0; WINDOW / 64] }
    }

    fn add(
        &mut self,
        scored: &mut Scored<'_>,
        rows: &std::ops::Range<u32>,
        lengths: &[u16],
    ) -> Result<(), Fault> {
        let bm25 = scored.bm25;
        scored.cursor.each_before(rows.end, |row, occurrences| {
            let at = (row - rows.start) as usize;
            self.scores[at] += f64::from(bm25.score(occurrences, lengths[at]));
            self.has[at / 64] |= 1 << (at % 64);
        })
    }

    /// Completes the scores of passages that may exceed the threshold by those of `others`, whose bounds ascend, and offers them.
    fn offer(
        &mut self,
        segment: &Segment,
        start: u32,
        others: &mut [&mut Scored<'_>],
        wanted: &dyn Fn(u32) -> bool,
        mut threshold: f32,
        offer: Offer<'_>,
    ) -> Result<f32, Fault> {
        let left: f64 = others.iter().map(|scored| f64::from(scored.within)).sum();
        for word in 0..self.has.len() {
            let mut bits = std::mem::take(&mut self.has[word]);
            while bits != 0 {
                let at = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let score = std::mem::take(&mut self.scores[at]);
                let row = start + at as u32;
                if score + left <= threshold.into() || !wanted(row) {
                    continue;
                }
                if let Some(score) = complete(segment, row, score, left, others, threshold)? {
                    threshold = offer(row, score)?;
                }
            }
        }
        Ok(threshold)
    }
}

/// The whole score of a passage, if it exceeds the threshold.
fn complete(
    segment: &Segment,
    row: u32,
    mut score: f64,
    mut left: f64,
    others: &mut [&mut Scored<'_>],
    threshold: f32,
) -> Result<Option<f32>, Fault> {
    for scored in others.iter_mut().rev() {
        if score + left <= threshold.into() {
            return Ok(None);
        }
        score += scored.score_at(segment, row)?;
        left = (left - f64::from(scored.within)).max(0.0);
    }
    let score = score as f32;
    Ok((score > threshold).then_some(score))
}
