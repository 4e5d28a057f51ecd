//! Token vectors to one sentence vector (section 3 of the paper).

/// How the vectors of the tokens become the vector of the sentence (section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over the tokens.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The greatest value over the tokens, dimension by dimension.
    Max,
}

/// Pools the hidden states of one sentence, `[tokens, hidden]`, to `pooled`, `[hidden]`. No tokens make zeros.
pub fn pool_tokens(hidden: &[f32], pooled: &mut [f32], pooling: Pooling) {
    let mut tokens = hidden.chunks_exact(pooled.len());
    let Some(first) = tokens.next() else {
        pooled.fill(0.0);
        return;
    };
    pooled.copy_from_slice(first);
    let mut fold = |combine: fn(f32, f32) -> f32| {
        for token in tokens.by_ref() {
            for (sum, value) in pooled.iter_mut().zip(token) {
                *sum = combine(*sum, *value);
            }
        }
    };
    match pooling {
        Pooling::Cls => {}
        // `f32::max` would hide a NaN.
        Pooling::Max => fold(|a, b| if a >= b || a.is_nan() { a } else { b }),
        Pooling::Mean => {
            fold(|a, b| a + b);
            let count = (hidden.len() / pooled.len()) as f32;
            pooled.iter_mut().for_each(|sum| *sum /= count);
        }
    }
}

/// Pools without the first `skipped` tokens, which are those of a prompt: `include_prompt` of the pooling. Where no
/// token is left, mean and maximum make zeros, and CLS takes the first token of all, as sentence-transformers does.
pub(crate) fn pool_without_prompt(hidden: &[f32], pooled: &mut [f32], pooling: Pooling, skipped: usize) {
    match (pooling, hidden.get(skipped * pooled.len()..).filter(|rest| !rest.is_empty())) {
        (_, Some(rest)) => pool_tokens(rest, pooled, pooling),
        (Pooling::Cls, None) => pool_tokens(hidden, pooled, pooling),
        (Pooling::Mean | Pooling::Max, None) => pooled.fill(0.0),
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
        for (pooling, expected) in
            [(Pooling::Mean, [3.0, -2.0]), (Pooling::Max, [6.0, 0.0]), (Pooling::Cls, [1.0, -1.0])]
        {
            let mut pooled = [f32::NAN; 2];
            pool_tokens(&hidden, &mut pooled, pooling);
            assert_eq!(pooled, expected);
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
        ] {
            let mut pooled = [f32::NAN; 2];
            pool_without_prompt(&hidden, &mut pooled, pooling, 1);
            assert_eq!(pooled, expected);
            for skipped in [3, 100] {
                pool_without_prompt(&hidden, &mut pooled, pooling, skipped);
                assert_eq!(pooled, without_any);
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
