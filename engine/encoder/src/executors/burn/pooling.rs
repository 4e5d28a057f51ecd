//! Pooling of padded batches, as burn computes it.

use burn::tensor::{Bool, Tensor, TensorData};

use crate::pooling::Pooling;

/// Below any hidden state: what padding is worth to a maximum.
const LOWEST: f32 = f32::MIN;

/// Pools hidden states `[sentences, longest, hidden]` to `[sentences, hidden]`; `padding` is true where
/// there is no token.
pub fn pool(hidden: Tensor<3>, padding: Option<Tensor<2, Bool>>, pooling: Pooling) -> Tensor<2> {
    let [rows, longest, width] = hidden.dims();
    match (pooling, padding) {
        (Pooling::Cls, _) => hidden.slice([0..rows, 0..1]).reshape([rows, width]),
        (Pooling::Max, Some(padding)) => {
            let spread = padding.reshape([rows, longest, 1]).expand([rows, longest, width]);
            hidden.mask_fill(spread, LOWEST).max_dim(1).reshape([rows, width])
        }
        (Pooling::Max, None) => hidden.max_dim(1).reshape([rows, width]),
        (Pooling::Mean, None) => hidden.mean_dim(1).reshape([rows, width]),
        (pooling, padding) => weighted_sum(hidden, padding, pooling),
    }
}

/// Adds the vectors of the tokens, each multiplied by its share ([`Pooling::shares`]).
fn weighted_sum(hidden: Tensor<3>, padding: Option<Tensor<2, Bool>>, pooling: Pooling) -> Tensor<2> {
    let [rows, longest, width] = hidden.dims();
    let device = hidden.device();
    let padding =
        padding.map_or_else(Vec::new, |padding| padding.into_data().iter::<bool>().collect::<Vec<_>>());
    let mut shares = vec![0.0; rows * longest];
    for row in 0..rows {
        let place = row * longest..(row + 1) * longest;
        let padded =
            padding.get(place.clone()).map_or(0, |row| row.iter().filter(|padding| **padding).count());
        let own = pooling.shares(longest - padded, 0).unwrap_or_default();
        shares[place][..own.len()].copy_from_slice(&own);
    }
    let shares = Tensor::<3>::from_data(TensorData::new(shares, [rows, longest, 1]), &device);
    let hidden = match padding.is_empty() {
        true => hidden,
        // What stands in the place of padding may be anything.
        false => {
            let padding = Tensor::<3, Bool>::from_data(TensorData::new(padding, [rows, longest, 1]), &device);
            hidden.mask_fill(padding.expand([rows, longest, width]), 0.0)
        }
    };
    (hidden * shares).sum_dim(1).reshape([rows, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

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
        assert_eq!(pooled(Pooling::LastToken), [6.0, 0.0, -3.0, -4.0]);
    }

    #[test]
    fn a_sentence_alone_is_pooled_as_in_a_batch() {
        let hidden = [1.0, -1.0, 2.0, -5.0, 6.0, 0.0];
        for pooling in Pooling::ALL {
            let mut alone = [f32::NAN; 2];
            pool_tokens(&hidden, &mut alone, pooling);
            let differs = alone.iter().zip(pooled(pooling)).any(|(a, b)| (a - b).abs() > 1e-6);
            assert!(!differs, "{pooling:?}: {alone:?} and not {:?}", pooled(pooling));
        }
    }
}
