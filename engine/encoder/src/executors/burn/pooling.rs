//! Pooling of padded batches, as burn computes it.

use burn::tensor::{Bool, Int, Tensor};

use crate::pooling::Pooling;

/// Below any hidden state: what padding is worth to a maximum.
const LOWEST: f32 = f32::MIN;

/// Pools hidden states `[sentences, longest, hidden]` to `[sentences, hidden]`; `padding` is true where
/// there is no token.
pub fn pool(hidden: Tensor<3>, padding: Option<Tensor<2, Bool>>, pooling: Pooling) -> Tensor<2> {
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::pooling::pool_tokens;

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
    }
}
