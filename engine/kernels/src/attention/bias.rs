//! What is added to the scores of attention before the softmax: how far two tokens are apart, and which see which.

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
        let values = (0..heads)
            .flat_map(|head| distances.clone().map(move |distance| (head, distance)))
            .map(|(head, distance)| (value(head, distance) / scale).max(LEAST))
            .collect();
        Self { reach, values }
    }

    /// The longest sentence, in tokens.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// The heads that it has numbers for: one, for all alike, or as many as the network has.
    pub fn heads(&self) -> usize {
        self.values.len() / (2 * self.reach - 1)
    }

    /// What is added to the scores of the query of token `query` with the keys of the first `tokens` tokens, before they
    /// are multiplied by their scale.
    #[inline(always)]
    pub fn row(&self, head: usize, query: usize, tokens: usize) -> &[f32] {
        let width = 2 * self.reach - 1;
        let head = if self.values.len() == width { 0 } else { head };
        &self.values[head * width + self.reach - 1 - query..][..tokens]
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

    /// Adds to the scores of one query, `scores`, one for each token.
    #[inline(always)]
    pub(super) fn add(&self, head: usize, query: usize, scores: &mut [f32]) {
        let tokens = scores.len();
        let values = match self {
            Self::None => return,
            Self::ByDistance { table, first_head } => table.row(first_head + head, query, tokens),
            Self::ByPair(values) => &values[(head * tokens + query) * tokens..][..tokens],
        };
        scores.iter_mut().zip(values).for_each(|(score, value)| *score += value);
    }
}
