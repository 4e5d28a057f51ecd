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
    /// A number for each pair of tokens, `[heads, tokens, tokens]`, before scores are multiplied by their scale.
    ByPair(&'a [f32]),
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
            Self::ByPair(values) => {
                assert_eq!(values.len(), heads * tokens * tokens, "a number for each pair")
            }
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
            Self::None | Self::ByPair(_) => 0..tokens,
        }
    }

    /// Adds to the scores of one query, one for each of the tokens from `first` on.
    #[inline(always)]
    pub(super) fn add(&self, head: usize, query: usize, tokens: usize, first: usize, scores: &mut [f32]) {
        let keys = first..first + scores.len();
        let values = match self {
            Self::None => return,
            Self::ByDistance { table, first_head } => table.row(first_head + head, query, keys),
            Self::ByPair(values) => &values[(head * tokens + query) * tokens..][keys],
        };
        scores.iter_mut().zip(values).for_each(|(score, value)| *score += value);
    }
}
