//! Token vectors to one sentence vector (section 3 of the paper).

use burn::tensor::{Bool, Int, Tensor};

use super::config::Pooling;

/// Below any hidden state: what padding is worth to a maximum.
const LOWEST: f32 = f32::MIN;

/// Pools hidden states `[sentences, longest, hidden]` to `[sentences, hidden]`; `padding` is true where
/// there is no token.
pub(crate) fn pool(hidden: Tensor<3>, padding: Option<Tensor<2, Bool>>, pooling: Pooling) -> Tensor<2> {
    let [rows, longest, width] = hidden.dims();
    let spread =
        padding.clone().map(|padding| padding.reshape([rows, longest, 1]).expand([rows, longest, width]));
    match (pooling, spread, padding) {
        (Pooling::Cls, ..) => hidden.slice([0..rows, 0..1]).reshape([rows, width]),
        (Pooling::Max, Some(spread), _) => hidden.mask_fill(spread, LOWEST).max_dim(1).reshape([rows, width]),
        (Pooling::Max, ..) => hidden.max_dim(1).reshape([rows, width]),
        (Pooling::Mean, Some(spread), Some(padding)) => {
            let tokens: Tensor<2, Int> = padding.bool_not().int().sum_dim(1);
            hidden.mask_fill(spread, 0.0).sum_dim(1).reshape([rows, width]) / tokens.float()
        }
        (Pooling::Mean, ..) => hidden.mean_dim(1).reshape([rows, width]),
    }
}

/// The same for one sentence without padding: `hidden` is `[tokens, hidden]`. No tokens make zeros.
pub(crate) fn pool_tokens(hidden: &[f32], pooled: &mut [f32], pooling: Pooling) {
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

/// Divides an embedding by its length, so that a dot product is a cosine; zeros stay zeros.
pub(crate) fn normalize(embedding: &mut [f32]) {
    let length = embedding.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12);
    for x in embedding {
        *x = (f64::from(*x) / length) as f32;
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn pooled(pooling: Pooling) -> Vec<f32> {
        let device = Device::default();
        // Two sentences of two dimensions: three tokens, and one token with two of padding.
        let hidden = Tensor::<3>::from_data(
            TensorData::new(
                vec![1.0f32, -1.0, 2.0, -5.0, 6.0, 0.0, -3.0, -4.0, 9.0, 9.0, 9.0, 9.0],
                [2, 3, 2],
            ),
            &device,
        );
        let padding = Tensor::<2, Bool>::from_data(
            TensorData::new(vec![false, false, false, false, true, true], [2, 3]),
            &device,
        );
        pool(hidden, Some(padding), pooling).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn padding_weighs_nothing() {
        assert_eq!(pooled(Pooling::Mean), [3.0, -2.0, -3.0, -4.0]);
        assert_eq!(pooled(Pooling::Max), [6.0, 0.0, -3.0, -4.0]);
        assert_eq!(pooled(Pooling::Cls), [1.0, -1.0, -3.0, -4.0]);
    }

    #[test]
    fn a_sentence_alone_is_pooled_as_in_a_batch() {
        let hidden = [1.0, -1.0, 2.0, -5.0, 6.0, 0.0];
        for pooling in [Pooling::Mean, Pooling::Max, Pooling::Cls] {
            let mut alone = [f32::NAN; 2];
            pool_tokens(&hidden, &mut alone, pooling);
            assert_eq!(alone, pooled(pooling)[..2]);
        }
        let mut none = [1.0];
        pool_tokens(&[], &mut none, Pooling::Mean);
        assert_eq!(none, [0.0]);
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
