//! What is added to the scores of attention before the softmax: how far two tokens are apart, and which see which.

use std::ops::Range;

/// What is added to the scores of the heads.
#[derive(Clone, Copy)]
pub enum ScoreBias<'a> {
    /// Nothing.
    None,
    /// By the distance of the two tokens. `first_head` is the head of the table that the first of the heads has.
    ByDistance {
        /// The numbers.
        table: &'a DistanceBias,
        /// Which head of the table is the first here.
        first_head: usize,
    },
    /// By what the two tokens say to their distance.
    ByBucket(BucketBias<'a>),
}

/// What the tokens of a sentence say to each bucket of distances, in one head (He et al. 2021), before scores are
/// multiplied by their scale.
#[derive(Clone, Copy)]
pub struct BucketBias<'a> {
    /// What each token says as a query, `[tokens, count]`; empty where queries are not asked.
    pub of_queries: &'a [f32],
    /// The same as a key.
    pub of_keys: &'a [f32],
    /// How many buckets there are.
    pub count: usize,
    /// The bucket of each distance of the query from the key: `1 - tokens` first, `tokens - 1` last.
    pub buckets: &'a [u32],
}

/// Numbers that are added to scores by the distance from the query to the key.
#[derive(Debug, Clone)]
pub struct DistanceBias {
    /// Distances are below this in either direction.
    reach: usize,
    /// `[heads, 2 * reach - 1]`, the most negative distance first, divided by the scale of the scores.
    values: Vec<f32>,
    /// How many tokens before a query have keys that a head sees, at most, and how many after it.
    before: usize,
    after: usize,
}

/// In place of minus infinity, of which products may be no number.
const LEAST: f32 = -1e30;

impl DistanceBias {
    /// Adds `value(head, position of the key - position of the query)` to scores that were multiplied by `scale`, for
    /// sentences of up to `reach` tokens. Where it is minus infinity the key is not seen. A table of one head is that of
    /// all heads.
    pub fn new(heads: usize, reach: usize, scale: f32, value: impl Fn(usize, isize) -> f32) -> Self {
        let reach = reach.max(1);
        let distances = (1 - reach as isize)..reach as isize;
        let values: Vec<f32> = (0..heads)
            .flat_map(|head| distances.clone().map(move |distance| (head, distance)))
            .map(|(head, distance)| (value(head, distance) / scale).max(LEAST))
            .collect();
        let width = 2 * reach - 1;
        let seen = values.iter().enumerate().filter(|(_, value)| **value > LEAST);
        let (mut before, mut after) = (0, 0);
        for column in seen.map(|(at, _)| at % width) {
            before = before.max((reach - 1).saturating_sub(column));
            after = after.max(column.saturating_sub(reach - 1));
        }
        Self { reach, values, before, after }
    }

    /// The longest sentence, in tokens.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// The heads that it has numbers for: one, for all alike, or as many as the network has.
    pub fn heads(&self) -> usize {
        self.values.len() / (2 * self.reach - 1)
    }

    /// What is added to the scores of the query of token `query` with the keys of the tokens `keys`, before they are
    /// multiplied by their scale.
    #[inline(always)]
    pub fn row(&self, head: usize, query: usize, keys: Range<usize>) -> &[f32] {
        let width = 2 * self.reach - 1;
        let head = if self.values.len() == width { 0 } else { head };
        &self.values[head * width + self.reach - 1 - query + keys.start..][..keys.len()]
    }
}

impl ScoreBias<'_> {
    /// Asserts that there is a number for each head and pair of tokens.
    pub(super) fn check(&self, heads: usize, tokens: usize) {
        match self {
            Self::None => {}
            Self::ByDistance { table, first_head } => {
                assert!(tokens <= table.reach, "a sentence within reach of the table");
                assert!(table.heads() == 1 || first_head + heads <= table.heads(), "heads of the table");
            }
            Self::ByBucket(bias) => bias.check(tokens),
        }
    }

    /// The tokens of a sentence whose keys may be seen by the queries of the tokens `queries`, these among them.
    #[inline(always)]
    pub(super) fn keys_seen(&self, queries: Range<usize>, tokens: usize) -> Range<usize> {
        match self {
            Self::ByDistance { table, .. } => {
                let end = queries.end.saturating_add(table.after).min(tokens);
                queries.start.saturating_sub(table.before)..end
            }
            Self::None | Self::ByBucket(_) => 0..tokens,
        }
    }

    /// Adds to the scores of one query, one for each of the tokens from `first` on.
    #[inline(always)]
    pub(super) fn add(&self, head: usize, query: usize, tokens: usize, first: usize, scores: &mut [f32]) {
        let keys = first..first + scores.len();
        let values = match self {
            Self::None => return,
            Self::ByDistance { table, first_head } => table.row(first_head + head, query, keys),
            Self::ByBucket(bias) => return bias.add(query, tokens, first, scores),
        };
        scores.iter_mut().zip(values).for_each(|(score, value)| *score += value);
    }
}

impl BucketBias<'_> {
    fn check(&self, tokens: usize) {
        for said in [self.of_queries, self.of_keys] {
            assert!(
                said.is_empty() || said.len() == tokens * self.count,
                "a number for each token and bucket"
            );
        }
        assert_eq!(self.buckets.len(), (2 * tokens).saturating_sub(1), "a bucket for each distance");
        assert!(self.buckets.iter().all(|bucket| (*bucket as usize) < self.count), "buckets there are");
    }

    #[inline(always)]
    fn add(&self, query: usize, tokens: usize, first: usize, scores: &mut [f32]) {
        // The next key is a token nearer to the end of the sentence: its distance is one less.
        let last = tokens - 1 + query - first;
        let buckets = self.buckets[last + 1 - scores.len()..=last].iter().rev();
        let of_query = match self.of_queries {
            [] => [].as_slice(),
            said => &said[query * self.count..][..self.count],
        };
        let mut of_keys = self.of_keys.get(first * self.count..).unwrap_or_default().chunks_exact(self.count);
        for (score, bucket) in scores.iter_mut().zip(buckets) {
            let of_query = of_query.get(*bucket as usize).copied().unwrap_or(0.0);
            let of_key = of_keys.next().map_or(0.0, |said| said[*bucket as usize]);
            *score += of_query + of_key;
        }
    }
}
