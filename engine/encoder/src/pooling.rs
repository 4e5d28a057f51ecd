//! Token vectors to one sentence vector (section 3 of the paper).

/// How the vectors of the tokens become the vector of the sentence (section 3, and what came after the paper).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over the tokens.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The greatest value over the tokens, dimension by dimension.
    Max,
    /// The sum over the tokens, divided by the square root of their number.
    MeanSqrtLen,
    /// The mean over the tokens, in which the first token counts once, the second twice, and so on.
    WeightedMean,
    /// The vector of the last token.
    LastToken,
}

impl Pooling {
    /// Every way of pooling, in the order in which sentence-transformers joins the vectors of several flags.
    pub const ALL: [Self; 6] =
        [Self::Cls, Self::Max, Self::Mean, Self::MeanSqrtLen, Self::WeightedMean, Self::LastToken];

    /// Its name in the settings of a model, from sentence-transformers 6 on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::MeanSqrtLen => "mean_sqrt_len_tokens",
            Self::WeightedMean => "weightedmean",
            Self::LastToken => "lasttoken",
        }
    }

    /// The key of its flag, in the settings that releases before 6 wrote.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Cls => "pooling_mode_cls_token",
            Self::Max => "pooling_mode_max_tokens",
            Self::Mean => "pooling_mode_mean_tokens",
            Self::MeanSqrtLen => "pooling_mode_mean_sqrt_len_tokens",
            Self::WeightedMean => "pooling_mode_weightedmean_tokens",
            Self::LastToken => "pooling_mode_lasttoken",
        }
    }

    /// What the vector of each of `count` tokens is multiplied by before all are added. None for the greatest value,
    /// which is no sum.
    ///
    /// The first `skipped` tokens, those of a prompt, are not among the `count`. They still count as places of the
    /// weighted mean.
    pub fn shares(self, count: usize, skipped: usize) -> Option<Vec<f32>> {
        let mut shares = vec![0.0; count];
        match self {
            Self::Max => return None,
            Self::Cls => shares.iter_mut().take(1).for_each(|share| *share = 1.0),
            Self::LastToken => shares.iter_mut().last().into_iter().for_each(|share| *share = 1.0),
            Self::Mean => shares.fill(1.0 / count as f32),
            Self::MeanSqrtLen => shares.fill(1.0 / (count as f32).sqrt()),
            Self::WeightedMean => {
                let places = skipped + 1..=skipped + count;
                let sum: f64 = places.clone().map(|place| place as f64).sum();
                for (share, place) in shares.iter_mut().zip(places) {
                    *share = (place as f64 / sum) as f32;
                }
            }
        }
        Some(shares)
    }
}

/// Pools the hidden states of one sentence, `[tokens, hidden]`, to `pooled`, `[hidden]`. No tokens make zeros.
pub fn pool_tokens(hidden: &[f32], pooled: &mut [f32], pooling: Pooling) {
    pool_after(hidden, pooled, pooling, 0);
}

/// The same for tokens that follow `skipped` others.
fn pool_after(hidden: &[f32], pooled: &mut [f32], pooling: Pooling, skipped: usize) {
    let mut tokens = hidden.chunks_exact(pooled.len());
    let count = tokens.len();
    let first = tokens.next();
    let last = tokens.clone().next_back().or(first);
    let (Some(first), Some(last)) = (first, last) else {
        pooled.fill(0.0);
        return;
    };
    pooled.copy_from_slice(if pooling == Pooling::LastToken { last } else { first });
    let mut fold = |combine: fn(f32, f32) -> f32| {
        for token in tokens.by_ref() {
            for (sum, value) in pooled.iter_mut().zip(token) {
                *sum = combine(*sum, *value);
            }
        }
    };
    match pooling {
        Pooling::Cls | Pooling::LastToken => {}
        // `f32::max` would hide a NaN.
        Pooling::Max => fold(|a, b| if a >= b || a.is_nan() { a } else { b }),
        Pooling::Mean => {
            fold(|a, b| a + b);
            pooled.iter_mut().for_each(|sum| *sum /= count as f32);
        }
        Pooling::MeanSqrtLen => {
            fold(|a, b| a + b);
            pooled.iter_mut().for_each(|sum| *sum /= (count as f32).sqrt());
        }
        Pooling::WeightedMean => {
            pooled.fill(0.0);
            let shares = pooling.shares(count, skipped).unwrap_or_default();
            for (token, share) in hidden.chunks_exact(pooled.len()).zip(shares) {
                pooled.iter_mut().zip(token).for_each(|(sum, value)| *sum += share * value);
            }
        }
    }
}

/// Pools without the first `skipped` tokens, which are those of a prompt: `include_prompt` of the pooling. Where no
/// token is left, CLS takes the first token of all, as sentence-transformers does, and all others make zeros.
pub(crate) fn pool_without_prompt(hidden: &[f32], pooled: &mut [f32], pooling: Pooling, skipped: usize) {
    match (pooling, hidden.get(skipped * pooled.len()..).filter(|rest| !rest.is_empty())) {
        (_, Some(rest)) => pool_after(rest, pooled, pooling, skipped),
        (Pooling::Cls, None) => pool_after(hidden, pooled, pooling, 0),
        (_, None) => pooled.fill(0.0),
    }
}

/// Pools in each of several ways and joins the vectors, one after the other: `hidden` is `[tokens, width]`, `pooled`
/// `[poolings, width]`.
pub(crate) fn pool_joined(hidden: &[f32], pooled: &mut [f32], poolings: &[Pooling], skipped: usize) {
    let width = pooled.len() / poolings.len().max(1);
    for (pooling, part) in poolings.iter().zip(pooled.chunks_exact_mut(width.max(1))) {
        pool_without_prompt(hidden, part, *pooling, skipped);
    }
}

/// Divides an embedding by its length, so that a dot product is a cosine; zeros stay zeros.
pub(crate) fn normalize(embedding: &mut [f32]) {
    let length = embedding.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12);
    for x in embedding {
        *x = (f64::from(*x) / length) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_pooled_by_mean_greatest_and_first() {
        let hidden = [1.0, -1.0, 2.0, -5.0, 6.0, 0.0];
        for (pooling, expected) in [
            (Pooling::Mean, [3.0, -2.0]),
            (Pooling::Max, [6.0, 0.0]),
            (Pooling::Cls, [1.0, -1.0]),
            (Pooling::MeanSqrtLen, [5.196_152, -3.464_101_6]),
            (Pooling::WeightedMean, [23.0 / 6.0, -11.0 / 6.0]),
            (Pooling::LastToken, [6.0, 0.0]),
        ] {
            let mut pooled = [f32::NAN; 2];
            pool_tokens(&hidden, &mut pooled, pooling);
            let differs = pooled.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-6);
            assert!(!differs, "{pooling:?}: {pooled:?} and not {expected:?}");
        }
        let mut none = [1.0];
        pool_tokens(&[], &mut none, Pooling::Mean);
        assert_eq!(none, [0.0]);
    }

    #[test]
    fn the_tokens_of_a_prompt_are_left_out() {
        let hidden = [9.0, 9.0, 1.0, -1.0, 2.0, -5.0];
        for (pooling, expected, without_any) in [
            (Pooling::Mean, [1.5, -3.0], [0.0, 0.0]),
            (Pooling::Max, [2.0, -1.0], [0.0, 0.0]),
            (Pooling::Cls, [1.0, -1.0], [9.0, 9.0]),
            (Pooling::MeanSqrtLen, [2.121_320_2, -4.242_640_5], [0.0, 0.0]),
            // The prompt keeps its place: the two tokens left count twice and three times.
            (Pooling::WeightedMean, [1.6, -3.4], [0.0, 0.0]),
            (Pooling::LastToken, [2.0, -5.0], [0.0, 0.0]),
        ] {
            let mut pooled = [f32::NAN; 2];
            pool_without_prompt(&hidden, &mut pooled, pooling, 1);
            let differs = pooled.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-6);
            assert!(!differs, "{pooling:?}: {pooled:?} and not {expected:?}");
            for skipped in [3, 100] {
                pool_without_prompt(&hidden, &mut pooled, pooling, skipped);
                assert_eq!(pooled, without_any);
            }
        }
    }

    #[test]
    fn several_poolings_are_joined_in_their_order() {
        let hidden = [1.0, -1.0, 2.0, -5.0];
        let mut pooled = [f32::NAN; 4];
        pool_joined(&hidden, &mut pooled, &[Pooling::LastToken, Pooling::Cls], 0);
        assert_eq!(pooled, [2.0, -5.0, 1.0, -1.0]);
    }

    #[test]
    fn shares_are_what_each_token_counts() {
        let hidden = [1.0, -1.0, 2.0, -5.0, 6.0, 0.0];
        for pooling in Pooling::ALL {
            let Some(shares) = pooling.shares(3, 0) else {
                assert_eq!(pooling, Pooling::Max);
                continue;
            };
            let mut pooled = [0.0; 2];
            pool_tokens(&hidden, &mut pooled, pooling);
            for (column, value) in pooled.into_iter().enumerate() {
                let sum: f32 =
                    shares.iter().enumerate().map(|(row, share)| share * hidden[2 * row + column]).sum();
                assert!((sum - value).abs() < 1e-6, "{pooling:?}");
            }
        }
    }

    #[test]
    fn a_normalized_embedding_has_length_one_and_zeros_stay() {
        let mut embedding = [3.0, 4.0];
        normalize(&mut embedding);
        assert_eq!(embedding, [0.6, 0.8]);
        let mut zeros = [0.0, 0.0];
        normalize(&mut zeros);
        assert_eq!(zeros, [0.0, 0.0]);
    }
}
